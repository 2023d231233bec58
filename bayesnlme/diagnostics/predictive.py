"""New observations from a fitted model, and how the observed ones compare with them."""

import numpy as np
import xarray as xr

from bayesnlme import names
from bayesnlme._types import Floats, Integers
from bayesnlme.data import Dataset
from bayesnlme.diagnostics.labels import labels
from bayesnlme.errors import FitError
from bayesnlme.graph.build import Population, build
from bayesnlme.graph.densities import draw_observations
from bayesnlme.graph.effects import new_effects, prediction_inputs
from bayesnlme.graph.grid import predict_draws
from bayesnlme.results.fit import Fit

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
        Seed of the new residuals and random effects.
    new_subjects : bool
        False: the same subjects are observed again, so only the residuals are new. True: each draw
        gets new subjects from the population, with the doses, times and covariates of the table.
    draws : int, optional
        About how many of the fit's draws to use, evenly spaced in every chain; all by default.

    Returns
    -------
    Dataset
        A variable for each output, dims (chain, draw, observation). NaN where an ODE could not be
        solved for a new subject. ``.attrs`` says what was drawn.
    """
    population = build(fit.model, fit.data)
    rng = np.random.default_rng(seed)
    posterior = thinned(fit.posterior, draws)
    if new_subjects:
        posterior = posterior.assign({names.PREDICTION: _new_subjects(population, posterior, rng)})
    with np.errstate(invalid="ignore", divide="ignore"):
        found = draw_observations(population, posterior, rng)
    return found.assign_attrs(
        seed=seed, subjects="new" if new_subjects else "same", status=str(fit.status)
    )


def thinned(posterior: xr.Dataset, draws: int | None) -> xr.Dataset:
    """Keep about this many draws in all, evenly spaced in every chain.

    Raises
    ------
    FitError
        If the number is not positive.
    """
    if draws is None:
        return posterior
    if draws < 1:
        raise FitError(f"draws={draws} must be at least 1.")
    each = min(-(-draws // posterior.sizes["chain"]), posterior.sizes["draw"])
    chosen = np.linspace(0, posterior.sizes["draw"] - 1, each).round().astype(np.int64)
    return posterior.isel(draw=chosen)


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


def _new_subjects(
    population: Population, posterior: xr.Dataset, rng: np.random.Generator
) -> xr.DataArray:
    """Predict the table's observations for subjects drawn from the population."""
    given = prediction_inputs(population.model, population.pymc)
    return predict_draws(population, new_effects(population.model, posterior, rng), given)


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
    study, whose subjects are drawn anew from the population.

    Parameters
    ----------
    fit : Fit
        With draws.
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
        ``output`` it belongs to; by ``observation``: ``value``, ``observation_time`` and
        ``observation_output``. ``.attrs`` holds the interval, the number of replicates, how many
        more failed, and units.

    Raises
    ------
    FitError
        If no replicate could be simulated, or the interval is not between 0 and 1.
    """
    tails(interval)
    simulated = posterior_predictive(fit, seed=seed, new_subjects=True, draws=draws)
    replicates, failed = _replicates(fit.data, simulated)
    observations = fit.data.observations
    parts = []
    for number, output in enumerate(fit.data.outputs):
        chosen = np.flatnonzero(observations.output == number)
        places = time_bins(observations.time[chosen], bins or _usual_bins(fit.data, chosen))
        parts += [
            _bin(fit.data, replicates, chosen[places == place], interval).assign(output=output)
            for place in np.unique(places)
        ]
    table = xr.concat(parts, "bin").assign_coords(quantile=list(QUANTILES))
    return table.assign(_observed(fit.data)).assign_attrs(
        **labels(fit),
        interval=interval,
        replicates=replicates.shape[0],
        failed=failed,
        seed=seed,
    )


def _replicates(data: Dataset, simulated: xr.Dataset) -> tuple[Floats, int]:
    """Return the complete replicates, shape (replicate, observation), and how many were not."""
    counts = simulated.sizes["chain"] * simulated.sizes["draw"]
    values = np.empty((counts, data.n_observations))
    for number, output in enumerate(data.outputs):
        chosen = data.observations.output == number
        values[:, chosen] = simulated[output].values.reshape(counts, -1)
    complete = np.isfinite(values).all(axis=1)
    if not complete.any():
        raise FitError(
            "No replicate of the study could be simulated: the structural model fails for subjects "
            "drawn from the population. The random effects may be far too wide."
        )
    return values[complete], int((~complete).sum())


def _usual_bins(data: Dataset, chosen: Integers) -> int:
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


def _bin(data: Dataset, replicates: Floats, chosen: Integers, interval: float) -> xr.Dataset:
    times = data.observations.time[chosen]
    lower, upper = tails(interval)
    each = np.quantile(replicates[:, chosen], QUANTILES, axis=1)
    return xr.Dataset(
        {
            "time": np.median(times),
            "start": times.min(),
            "end": times.max(),
            "count": chosen.size,
            "observed": ("quantile", np.quantile(data.observations.value[chosen], QUANTILES)),
            "simulated": (("quantile", "band"), np.quantile(each, [lower, 0.5, upper], axis=1).T),
        },
        coords={"band": ["lower", "median", "upper"]},
    )


def _observed(data: Dataset) -> dict[str, tuple[str, np.ndarray]]:
    observations = data.observations
    return {
        "observation_time": (names.OBSERVATION, observations.time),
        "observation_output": (
            names.OBSERVATION,
            np.array(data.outputs, dtype=object)[observations.output],
        ),
        "value": (names.OBSERVATION, observations.value),
    }
