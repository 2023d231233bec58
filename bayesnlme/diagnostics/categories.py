"""The shares of categories through time, observed and simulated."""

from collections.abc import Iterator

import numpy as np
import xarray as xr

from bayesnlme._types import Floats
from bayesnlme.diagnostics.labels import labels
from bayesnlme.diagnostics.predictive import (
    band,
    replicates,
    simulated_studies,
    tails,
    time_bins,
    usual_bins,
)
from bayesnlme.errors import FitError
from bayesnlme.observation.categories import BinaryOutcome, OrderedOutcome
from bayesnlme.results.fit import Fit


def category_check(
    fit: Fit,
    *,
    seed: int,
    draws: int = 500,
    bins: int | None = None,
    interval: float = 0.9,
) -> xr.Dataset:
    """Compare the shares of categories with those of new subjects from the fitted model.

    Observations are put in bins of time; in each bin the share of every category stands against
    the same share in every simulated replicate of the study, whose subjects are drawn anew from the
    population.

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
        Probability of the equal-tailed interval of each simulated share.

    Returns
    -------
    Dataset
        By ``share``: the ``output``, the ``category``, ``time`` (median), ``start``, ``end`` and
        ``count`` of its bin, ``observed``, and ``simulated`` with dim ``band`` (lower, median,
        upper). ``.attrs`` holds the ``outputs`` in it, the interval, the number of ``replicates``,
        how many more ``failed``, and units.

    Raises
    ------
    FitError
        If no output is a category, no replicate could be simulated, or the interval is not between
        0 and 1.
    """
    tails(interval)
    outputs = category_outputs(fit)
    if not outputs:
        raise FitError("No output of the model is a category.")
    simulated = simulated_studies(fit, seed=seed, draws=draws)
    drawn, failed = replicates(fit.data, simulated, outputs)
    shares = [
        each.assign(output=output)
        for output in outputs
        for each in _shares(fit, output, drawn, bins, interval)
    ]
    return xr.concat(shares, "share").assign_attrs(
        **labels(fit),
        outputs=outputs,
        interval=interval,
        replicates=drawn.shape[0],
        failed=failed,
        seed=seed,
    )


def category_outputs(fit: Fit) -> tuple[str, ...]:
    """Return the outputs that are categories."""
    outcomes = fit.model.observations
    return tuple(each for each in fit.data.outputs if outcomes[each].scale == "category")


def _categories(fit: Fit, output: str) -> tuple[int, ...]:
    outcome = fit.model.observations[output]
    return outcome.categories if isinstance(outcome, BinaryOutcome | OrderedOutcome) else ()


def _shares(
    fit: Fit, output: str, drawn: Floats, bins: int | None, interval: float
) -> Iterator[xr.Dataset]:
    """Yield the share of each category in each bin of time."""
    seen = fit.data.observations
    chosen = np.flatnonzero(seen.output == fit.data.outputs.index(output))
    time, value = seen.time[chosen], seen.value[chosen]
    places = time_bins(time, bins or usual_bins(fit.data, chosen))
    for category in _categories(fit, output):
        for place in np.unique(places):
            inside = places == place
            simulated = (drawn[:, chosen[inside]] == category).mean(axis=1)
            yield xr.Dataset(
                {
                    "category": category,
                    "time": np.median(time[inside]),
                    "start": time[inside].min(),
                    "end": time[inside].max(),
                    "count": inside.sum(),
                    "observed": (value[inside] == category).mean(),
                    "simulated": ("band", band(simulated, interval)),
                },
                coords={"band": ["lower", "median", "upper"]},
            )
