"""New observations from a fitted model, and how the observed ones compare with them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from bayesnlme import names
from bayesnlme._types import Booleans, Floats, Integers
from bayesnlme.data import Dataset
from bayesnlme.diagnostics.censoring import ABOVE, BELOW, censoring_limits, marks
from bayesnlme.diagnostics.estimates import parameter_draws, thinned
from bayesnlme.diagnostics.events import event_times
from bayesnlme.diagnostics.labels import labels
from bayesnlme.errors import FitError
from bayesnlme.graph.build import build
from bayesnlme.graph.densities import draw_observations
from bayesnlme.graph.effects import new_effects, prediction_inputs
from bayesnlme.graph.grid import predict_draws
from bayesnlme.model.model import Model
from bayesnlme.results.fit import Fit, require_draws, require_fit

QUANTILES = (0.05, 0.5, 0.95)
MOST_BINS = 12


def posterior_predictive(
    fit: Fit, *, seed: int, new_subjects: bool = False, draws: int | None = None
) -> xr.Dataset:
    """Draw new observations from the fitted model.

    Parameters
    ----------
    fit : Fit
        With draws.
    seed : int
        Seed of the new observations and random effects.
    new_subjects : bool
        False: the same subjects are observed again, so only the observations are new. True: each
        draw gets new subjects from the population, with the doses, times and covariates of the
        table.
    draws : int, optional
        About how many of the fit's draws to use, evenly spaced in every chain; all by default.

    Returns
    -------
    Dataset
        A variable for each output, dims (chain, draw, observation). A censored observation is
        drawn as it would have been measured, or given that it exceeds what M2 or M4 ask for. Of
        an event, its time for each subject, dims (chain, draw, subject), and with a further dim
        ``event_number`` where it repeats; see :func:`bayesnlme.diagnostics.events.event_times`.
        NaN where an ODE could not be solved for a new subject. ``.attrs`` says what was drawn.
    """
    require_draws(fit)
    posterior = thinned(fit.posterior, draws)
    return _drawn(fit, posterior, seed=seed, new_subjects=new_subjects)


def simulated_studies(fit: Fit, *, seed: int, draws: int) -> xr.Dataset:
    """Draw observations of new subjects, as :func:`posterior_predictive` does.

    Of a fit without draws every study is drawn at the estimates, whose uncertainty does not count.
    """
    require_fit(fit)
    return _drawn(fit, parameter_draws(fit, draws), seed=seed, new_subjects=True)


def _drawn(fit: Fit, posterior: xr.Dataset, *, seed: int, new_subjects: bool) -> xr.Dataset:
    population = build(fit.model, fit.data)
    rng, given = np.random.default_rng(seed), list(fit.model.parameters)
    if new_subjects:
        given = prediction_inputs(fit.model, population.pymc)
        posterior = new_effects(fit.model, posterior, rng)
        prediction = predict_draws(population, posterior, given)
        posterior = posterior.assign({names.PREDICTION: prediction})
    with np.errstate(invalid="ignore", divide="ignore"):
        found = draw_observations(population, posterior, rng)
    if fit.model.events:
        rows = [names.observation_dim(each, fit.data.outputs) for each in fit.model.events]
        found = found.drop_dims(rows).assign(event_times(population, posterior, given, rng))
    return found.assign_attrs(
        seed=seed, subjects="new" if new_subjects else "same", status=str(fit.status)
    )


def tails(interval: float) -> tuple[float, float]:
    """Return the probabilities below the two ends of an equal-tailed interval.

    Raises
    ------
    FitError
        If the interval's probability is not between 0 and 1.
    """
    if not 0 < interval < 1:
        raise FitError(f"interval={interval} must lie between 0 and 1, such as 0.9.")
    return (1 - interval) / 2, (1 + interval) / 2


def predictive_check(
    fit: Fit,
    *,
    seed: int,
    draws: int = 500,
    bins: int | None = None,
    interval: float = 0.9,
) -> xr.Dataset:
    """Compare quantiles of the observations with those of new subjects from the fitted model.

    The table of a visual predictive check: observations are put in bins of time; in each bin their
    5, 50 and 95 % quantiles stand against the same quantiles of every simulated replicate of the
    study, whose subjects are drawn anew from the population. Where observations are censored,
    observed and simulated values beyond a limit stand at the limit in both, and the shares beyond
    it are compared too. Values that M1 drops from the table are dropped from the simulated studies
    where the table gives their limit. Outputs that are categories or times to events have no
    quantiles and are left out.

    Parameters
    ----------
    fit : Fit
        With draws, or with estimates, at which every replicate is then drawn.
    seed : int
        Seed of the simulation.
    draws : int
        About how many replicates, one for each of as many draws of the parameters.
    bins : int, optional
        Bins of time for each output, of about equal counts; about as many as a subject has
        observations by default, at most 12.
    interval : float
        Probability of the equal-tailed interval of each simulated quantile.

    Returns
    -------
    Dataset
        By ``bin`` and ``quantile``: ``observed``, and ``simulated`` with dim ``band`` (lower,
        median, upper); by ``bin``: ``time`` (median), ``start``, ``end``, ``count`` and the
        ``output`` it belongs to, ``below_observed`` and ``below_simulated`` (shares below the
        limit), ``above_observed`` and ``above_simulated``, which are NaN where nothing is
        censored; by ``observation``: ``value``, ``mark`` (``"below"``, ``"above"`` or empty),
        ``observation_time`` and ``observation_output``. ``.attrs`` holds the ``outputs`` in it,
        the interval, the number of replicates, how many more failed, and units.

    Raises
    ------
    FitError
        If no replicate could be simulated, no output has quantiles, or the interval is not
        between 0 and 1.
    """
    tails(interval)
    outputs = compared_outputs(fit)
    if not outputs:
        raise FitError(
            "Every output is a category or a time to an event, which has no quantiles to compare."
        )
    simulated = simulated_studies(fit, seed=seed, draws=draws)
    drawn, failed = replicates(fit.data, simulated, outputs)
    parts = []
    for number, output in enumerate(fit.data.outputs):
        if output in outputs:
            compared = at_limits(fit.model, fit.data, drawn, number)
            places = time_bins(compared.time, bins or usual_bins(fit.data, compared.chosen))
            parts += [
                compared.bin(places == place, interval).assign(output=output)
                for place in np.unique(places)
            ]
    table = xr.concat(parts, "bin").assign_coords(quantile=list(QUANTILES))
    return table.assign(_observed(fit.data)).assign_attrs(
        **labels(fit),
        outputs=outputs,
        interval=interval,
        replicates=drawn.shape[0],
        failed=failed,
        seed=seed,
    )


def compared_outputs(fit: Fit) -> tuple[str, ...]:
    """Return the outputs that have quantiles: all but categories and times to events."""
    outcomes = fit.model.observations
    return tuple(
        each for each in fit.data.outputs if outcomes[each].scale in ("continuous", "count")
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Compared:
    """One output as it can be compared: values beyond a limit stand at the limit.

    Attributes
    ----------
    chosen : int64 array
        Positions of its observations among all.
    time, value : float64 array, shape (observation,)
        When and what was observed.
    simulated : float64 array, shape (replicate, observation)
        Not a number where a method drops what is below the limit.
    beyond : mapping of str to pair of bool arrays, or None
        By ``"below"`` and ``"above"``: which observed and which simulated values passed the limit;
        None where no observation did.
    """

    chosen: Integers
    time: Floats
    value: Floats
    simulated: Floats
    beyond: Mapping[str, tuple[Booleans, Booleans] | None]

    def bin(self, inside: Booleans, interval: float) -> xr.Dataset:
        """Return quantiles and shares beyond the limits of the observations of one bin."""
        time, values = self.time[inside], self.simulated[:, inside]
        quantile = np.nanquantile if np.isnan(values).any() else np.quantile
        each = quantile(values, QUANTILES, axis=1)
        found = {
            "time": np.median(time),
            "start": time.min(),
            "end": time.max(),
            "count": time.size,
            "observed": ("quantile", np.quantile(self.value[inside], QUANTILES)),
            "simulated": (("quantile", "band"), band(each, interval)),
        }
        for side, passed in self.beyond.items():
            seen, drawn = (np.nan, np.full(3, np.nan))
            if passed is not None:
                seen = passed[0][inside].mean()
                drawn = band(passed[1][:, inside].mean(axis=1), interval)
            found |= {f"{side}_observed": seen, f"{side}_simulated": ("band", drawn)}
        return xr.Dataset(found, coords={"band": ["lower", "median", "upper"]})


def band(values: Floats, interval: float) -> Floats:
    """Return the ends and the median of replicates, last axis; shape (..., band)."""
    lower, upper = tails(interval)
    quantile = np.nanquantile if np.isnan(values).any() else np.quantile
    return np.asarray(np.moveaxis(quantile(values, [lower, 0.5, upper], axis=-1), 0, -1))


def at_limits(model: Model, data: Dataset, replicates: Floats, number: int) -> Compared:
    """Put observed and simulated values beyond a limit at the limit."""
    observations = data.observations
    chosen = np.flatnonzero(observations.output == number)
    lower, upper = censoring_limits(data, number)
    marked, value = marks(data)[chosen], observations.value[chosen]
    simulated = replicates[:, chosen]
    limit = observations.limit[chosen]
    if model.observations[data.outputs[number]].blq == "M1":
        simulated = np.where(simulated < limit, np.nan, simulated)
    passed = {
        BELOW: ((marked == BELOW) | (value < lower), simulated < lower),
        ABOVE: ((marked == ABOVE) | (value > upper), simulated > upper),
    }
    return Compared(
        chosen=chosen,
        time=observations.time[chosen],
        value=np.clip(value, lower, upper),
        simulated=np.clip(simulated, lower, upper),
        beyond={side: each if (marked == side).any() else None for side, each in passed.items()},
    )


def replicates(
    data: Dataset, simulated: xr.Dataset, outputs: Collection[str]
) -> tuple[Floats, int]:
    """Return the complete replicates of some outputs, and how many were not.

    Returns
    -------
    values : array, shape (replicate, observation)
        0 where the output is another.
    failed : int
        Replicates with a value that is none.
    """
    counts = simulated.sizes["chain"] * simulated.sizes["draw"]
    values = np.zeros((counts, data.n_observations))
    for number, output in enumerate(data.outputs):
        if output not in outputs:
            continue
        chosen = data.observations.output == number
        values[:, chosen] = simulated[output].values.reshape(counts, -1)
    complete = np.isfinite(values).all(axis=1)
    if not complete.any():
        raise FitError(
            "No replicate of the study could be simulated: the structural model fails for subjects "
            "drawn from the population. The random effects may be far too wide."
        )
    return values[complete], int((~complete).sum())


def usual_bins(data: Dataset, chosen: Integers) -> int:
    """About as many bins as a subject has observations."""
    counts = np.bincount(data.observations.subject[chosen])
    return int(np.clip(np.median(counts[counts > 0]), 1, MOST_BINS))


def time_bins(times: Floats, bins: int) -> Integers:
    """Put times into bins of about equal counts; equal times share a bin.

    Examples
    --------
    >>> time_bins(np.array([0.0, 0.0, 1.0, 2.0, 3.0, 3.0]), 3)
    array([0, 0, 1, 1, 2, 2])
    """
    unique, inverse, counts = np.unique(times, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - counts / 2
    place = np.minimum(middle * min(bins, unique.size) // times.size, bins - 1)
    return place.astype(np.int64)[inverse]


def _observed(data: Dataset) -> dict[str, tuple[str, np.ndarray]]:
    observations = data.observations
    return {
        "observation_time": (names.OBSERVATION, observations.time),
        "observation_output": (
            names.OBSERVATION,
            np.array(data.outputs, dtype=object)[observations.output],
        ),
        "value": (names.OBSERVATION, observations.value),
        "mark": (names.OBSERVATION, marks(data)),
    }
