"""The probability of each category through time, of each subject."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from bayesnlme import names
from bayesnlme._types import Floats
from bayesnlme.diagnostics.categories import category_outputs
from bayesnlme.diagnostics.estimates import at_modes, at_no_effects, thinned
from bayesnlme.diagnostics.individual import (
    doses_of,
    grid_of,
    known_subjects,
    observed_of,
    points_of,
)
from bayesnlme.diagnostics.labels import labels
from bayesnlme.diagnostics.predictive import tails
from bayesnlme.errors import FitError
from bayesnlme.graph import grid
from bayesnlme.graph.build import Population, build
from bayesnlme.graph.effects import prediction_inputs
from bayesnlme.results.fit import Fit, require_fit

_OVER = ("chain", "draw")


def category_probabilities(
    fit: Fit,
    *,
    subjects: Sequence[str] | None = None,
    points: int = 100,
    draws: int = 200,
    interval: float = 0.9,
) -> xr.Dataset:
    """Predict the probability of each category through time for each subject.

    Parameters
    ----------
    fit : Fit
        With draws, or with modes of the random effects.
    subjects : sequence of str, optional
        Identifiers; all subjects by default.
    points : int
        As in `individual_predictions`.
    draws : int
        About how many of the fit's draws to use, evenly spaced in every chain.
    interval : float
        Probability of the equal-tailed interval.

    Returns
    -------
    Dataset
        By ``point``: ``subject``, ``output``, ``category``, ``time``; ``median``, ``lower`` and
        ``upper`` of the probability, or of a fit without draws ``mode`` and ``typical``, at the
        mode of the random effects and without them. By ``observation``: ``observation_subject``,
        ``observation_output``, ``observation_time``, ``value``, and ``probability`` of what was
        observed (the median, or at the mode). By ``dose`` as in `individual_predictions`.
        ``.attrs`` holds the ``outputs`` in it, the interval and the subjects.

    Raises
    ------
    FitError
        If no output is a category, the fit has no such subject, or the interval is not between 0
        and 1.
    """
    require_fit(fit)
    chosen, ends = known_subjects(fit, subjects), tails(interval)
    outputs = category_outputs(fit)
    if not outputs:
        raise FitError("No output of the model is a category.")
    population = grid_of(fit, chosen, points)
    curves = (
        _of_draws(fit, population, ends, draws) if fit.has_draws else _of_modes(fit, population)
    )
    table = xr.concat([_rows(population, curves, each) for each in outputs], "point")
    seen = observed_of(fit, chosen, outputs) | doses_of(fit.data, chosen)
    seen["probability"] = ("observation", _of_observed(fit, chosen, draws))
    return table.assign(seen).assign_attrs(
        **labels(fit),
        outputs=outputs,
        interval=interval,
        subjects=tuple(chosen),
        of_subjects=fit.data.n_subjects,
    )


type _Curves = dict[str, xr.Dataset]
"""By what is told of the probabilities: those of each output, dims (category, observation)."""


def _of_draws(fit: Fit, population: Population, ends: tuple[float, float], draws: int) -> _Curves:
    posterior = thinned(fit.posterior, draws)
    prediction = grid.predict_draws(population, posterior, list(fit.model.parameters))
    drawn = grid.category_probabilities(population, _with(posterior, prediction))
    levels = {"median": 0.5, "lower": ends[0], "upper": ends[1]}
    return {name: drawn.quantile(each, _OVER, skipna=False) for name, each in levels.items()}


def _of_modes(fit: Fit, population: Population) -> _Curves:
    given = {
        "mode": (at_modes(fit), list(fit.model.parameters)),
        "typical": (at_no_effects(fit), prediction_inputs(fit.model, population.pymc)),
    }
    found = {}
    for name, (draws, inputs) in given.items():
        prediction = grid.predict_draws(population, draws, inputs)
        drawn = grid.category_probabilities(population, _with(draws, prediction))
        found[name] = drawn.isel(chain=0, draw=0)
    return found


def _with(draws: xr.Dataset, prediction: xr.DataArray) -> xr.Dataset:
    return draws.drop_dims(names.OBSERVATION, errors="ignore").merge(prediction)


def _rows(population: Population, curves: _Curves, output: str) -> xr.Dataset:
    """Return the points of one output, category after category."""
    data = population.data
    mine = data.observations.output == data.outputs.index(output)
    where = {name: values[mine] for name, (_, values) in points_of(data).items()}
    dim = f"{output}_category"
    parts = []
    for category in next(iter(curves.values()))[dim].values:
        told = {name: each[output].sel({dim: category}).values for name, each in curves.items()}
        columns = where | told | {"category": np.full(mine.sum(), category)}
        parts.append(xr.Dataset({name: ("point", each) for name, each in columns.items()}))
    return xr.concat(parts, "point")


def _of_observed(fit: Fit, chosen: Sequence[str], draws: int) -> Floats:
    """Return the probability of what was observed in some subjects."""
    population, data = build(fit.model, fit.data), fit.data
    posterior = thinned(fit.posterior, draws) if fit.has_draws else at_modes(fit)
    drawn = grid.category_probabilities(population, posterior).median(_OVER, skipna=False)
    found = np.full(data.n_observations, np.nan)
    for output in category_outputs(fit):
        mine = np.flatnonzero(data.observations.output == data.outputs.index(output))
        each = drawn[output].transpose(f"{output}_category", ...)
        place = np.searchsorted(each[f"{output}_category"].values, data.observations.value[mine])
        found[mine] = each.values[place, np.arange(mine.size)]
    subject = np.array(data.subjects, dtype=object)[data.observations.subject]
    kept = np.isin(subject, list(chosen)) & np.isfinite(found)
    return found[kept]
