"""What the model says of each subject: curves through time, and predictions at the observations."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from bayesnlme import names
from bayesnlme._types import Floats
from bayesnlme.data import Dataset
from bayesnlme.data.events import expand_doses
from bayesnlme.data.rows import Rows
from bayesnlme.diagnostics.censoring import marks
from bayesnlme.diagnostics.estimates import at_modes, at_no_effects, thinned
from bayesnlme.diagnostics.labels import labels
from bayesnlme.diagnostics.predictive import compared_outputs, tails
from bayesnlme.errors import FitError, did_you_mean
from bayesnlme.graph.build import Population, build, model_rows
from bayesnlme.graph.effects import prediction_inputs
from bayesnlme.graph.grid import at_times, observation_quantiles, predict_draws
from bayesnlme.results.fit import Fit, require_fit

GOLDEN = (5**0.5 - 1) / 2


def individual_predictions(
    fit: Fit,
    *,
    subjects: Sequence[str] | None = None,
    points: int = 200,
    draws: int = 200,
    interval: float = 0.9,
) -> xr.Dataset:
    """Predict each subject's curves on a fine grid of times, with their uncertainty.

    Parameters
    ----------
    fit : Fit
        With draws, or with modes of the random effects.
    subjects : sequence of str, optional
        Identifiers; all subjects by default.
    points : int
        Evenly spaced times for each subject, from its first record to its last; the times of its
        records and doses are added, and the moments where a covariate of the model changes.
    draws : int
        About how many of the fit's draws to use, evenly spaced in every chain.
    interval : float
        Probability of the equal-tailed intervals.

    Returns
    -------
    Dataset
        By ``point``: ``subject``, ``output``, ``time``; ``median``, ``lower`` and ``upper`` of the
        individual prediction; ``new_lower`` and ``new_upper`` of a new observation of the subject.
        Of a fit without draws ``mode`` and ``typical`` stand for the first three: the prediction at
        the mode of the random effects, and with none; a new observation's interval then holds at
        the estimates and the mode.
        By ``observation``: ``observation_subject``, ``observation_output``, ``observation_time``,
        ``value`` and ``mark`` (``"below"`` or ``"above"`` a limit, which ``value`` then is). By
        ``dose``: ``dose_subject``, ``dose_time`` and ``dose_amount``. ``.attrs`` holds the
        interval, units and how many subjects the fit has. Categories
        (`category_probabilities`) and times to events have no such curves and are left out.

    Raises
    ------
    FitError
        If the fit has no such subject, none is named, no output has such curves, or the interval
        is not between 0 and 1.
    """
    require_fit(fit)
    chosen, ends = known_subjects(fit, subjects), tails(interval)
    outputs = compared_outputs(fit)
    if not outputs:
        raise FitError(
            "Every output is a category or a time to an event, whose prediction is no curve of "
            "theirs; of categories bn.diagnostics.category_probabilities has curves."
        )
    population = grid_of(fit, chosen, points)
    curves = _from_draws(fit, population, ends, draws) if fit.has_draws else _from_modes(
        fit, population, ends
    )  # fmt: skip
    table = points_of(population.data) | {name: ("point", each) for name, each in curves.items()}
    kept = np.isin(table["output"][1].astype(str), outputs)
    table = {name: (dim, values[kept]) for name, (dim, values) in table.items()}
    seen = observed_of(fit, chosen, outputs) | doses_of(fit.data, chosen)
    return xr.Dataset(table | seen).assign_attrs(
        **labels(fit),
        outputs=outputs,
        interval=interval,
        subjects=tuple(chosen),
        of_subjects=fit.data.n_subjects,
    )


def grid_of(fit: Fit, subjects: Sequence[str], points: int) -> Population:
    """Return the model on a fine grid of times of some subjects."""
    rows = model_rows(fit.model, fit.data)
    times = {name: _times(fit.data, rows, name, points) for name in subjects}
    return build(fit.model, at_times(fit.data, times, fit.model.events))


def _from_draws(
    fit: Fit, population: Population, ends: tuple[float, float], draws: int
) -> dict[str, Floats]:
    """Return quantiles of the prediction and of new observations at every point."""
    posterior, over = thinned(fit.posterior, draws), ("chain", "draw")
    prediction = predict_draws(population, posterior, list(fit.model.parameters))
    seen = observation_quantiles(
        population,
        posterior.drop_dims(names.OBSERVATION).merge(prediction),
        _residual_levels(posterior),
    )
    levels = zip(("lower", "upper"), ends, strict=True)
    found = {"median": prediction.quantile(0.5, over, skipna=False).values}
    for name, level in levels:
        found[name] = prediction.quantile(level, over, skipna=False).values
        quantiles = seen.quantile(level, over, skipna=False)
        found[f"new_{name}"] = _joined(population.data, quantiles)
    return found


def _from_modes(fit: Fit, population: Population, ends: tuple[float, float]) -> dict[str, Floats]:
    """Return predictions at the modes and without effects, and quantiles of new observations."""
    modes = at_modes(fit)
    prediction = predict_draws(population, modes, list(fit.model.parameters))
    given = prediction_inputs(fit.model, population.pymc)
    typical = predict_draws(population, at_no_effects(fit), given)
    found = {"mode": prediction.values[0, 0], "typical": typical.values[0, 0]}
    one = modes.drop_dims(names.OBSERVATION).merge(prediction)
    for name, level in zip(("lower", "upper"), ends, strict=True):
        quantiles = observation_quantiles(population, one, np.full((1, 1), level))
        found[f"new_{name}"] = _joined(population.data, quantiles.isel(chain=0, draw=0))
    return found


def observed_vs_predicted(fit: Fit, *, draws: int = 200, interval: float = 0.9) -> pd.DataFrame:
    """Tabulate every observation next to its predictions.

    Parameters
    ----------
    fit : Fit
        With draws, or with modes of the random effects.
    draws : int
        About how many draws to use for the typical prediction.
    interval : float
        Probability of the equal-tailed interval.

    Returns
    -------
    DataFrame
        A row for each observation: ``subject``, ``output``, ``time``, ``value``, ``row``;
        ``mark`` (``"below"`` or ``"above"`` a limit, which ``value`` then is);
        ``individual`` (posterior median of the individual prediction) with ``lower`` and
        ``upper``; ``typical`` (posterior median of the prediction with the subject's doses and
        covariates and all random effects at zero). Of a fit without draws both are at the
        estimates, the individual one at the modes of the random effects, and there is no ``lower``
        or ``upper``. Times to events are left out.
    """
    require_fit(fit)
    ends, over = tails(interval), ("chain", "draw")
    table = fit.observation_frame()
    if fit.has_draws:
        levels = fit.predictions.quantile([ends[0], 0.5, ends[1]], over, skipna=False).values
        table["lower"], table["individual"], table["upper"] = levels
        table["typical"] = _typical(fit, draws).median(over, skipna=False).values
    else:
        residuals = fit.tree["residuals"].to_dataset()
        table["individual"], table["typical"] = residuals["IPRED"].values, residuals["PRED"].values
    table["mark"] = marks(fit.data)
    table = table[~table["output"].isin(fit.model.events)].reset_index(drop=True)
    table.attrs |= labels(fit) | {"interval": interval}
    return table


def _typical(fit: Fit, draws: int) -> xr.DataArray:
    population = build(fit.model, fit.data)
    given = prediction_inputs(fit.model, population.pymc)
    return predict_draws(population, at_no_effects(fit, draws), given)


def _residual_levels(posterior: xr.Dataset) -> Floats:
    """Return one probability in (0, 1) for each draw, evenly spread, shape (chain, draw).

    A draw has the same one at all times: each point's distribution is right and the bands come
    out smooth.
    """
    shape = posterior.sizes["chain"], posterior.sizes["draw"]
    turns = (np.arange(shape[0] * shape[1], dtype=np.float64) + 0.5) * GOLDEN
    return np.asarray(turns % 1.0, dtype=np.float64).reshape(shape)


def known_subjects(fit: Fit, subjects: Sequence[str] | None) -> list[str]:
    """Return the subjects that were named, or all.

    Raises
    ------
    FitError
        If there is no such subject, or none is named.
    """
    if subjects is None:
        return list(fit.data.subjects)
    if not subjects:
        raise FitError("subjects is empty: name at least one, or leave it out for all.")
    for name in subjects:
        if name not in fit.data.subjects:
            raise FitError(f"no subject {name!r}. {did_you_mean(name, fit.data.subjects)}")
    return list(subjects)


def _times(data: Dataset, rows: Rows, subject: str, points: int) -> Floats:
    """Evenly spaced times, with those of records and doses, and the moments about jumps."""
    records, doses = data.records, expand_doses(data)
    number = data.subjects.index(subject)
    mine = records.time[records.subject == number]
    given = doses.time[doses.subject == number]
    even = np.linspace(mine.min(), mine.max(), points)
    changed = rows.start[rows.subject == number][1:]
    away = -np.inf if data.covariate_interpolation == "locf" else np.inf
    about = np.concatenate([np.nextafter(given, -np.inf), np.nextafter(changed, away)])
    times = np.unique(np.concatenate([even, mine, given, about]))
    return times[(times >= mine.min()) & (times <= mine.max())]


def points_of(grid: Dataset) -> dict[str, tuple[str, np.ndarray]]:
    """Return subject, output and time of every point of a grid."""
    observations = grid.observations
    return {
        "subject": ("point", np.array(grid.subjects, dtype=object)[observations.subject]),
        "output": ("point", np.array(grid.outputs, dtype=object)[observations.output]),
        "time": ("point", observations.time),
    }


def _joined(grid: Dataset, by_output: xr.Dataset) -> Floats:
    """Return every output's values in the order of the observations."""
    joined = np.full(grid.n_observations, np.nan)
    for number, output in enumerate(grid.outputs):
        if output in by_output:
            joined[grid.observations.output == number] = by_output[output].values
    return joined


def observed_of(
    fit: Fit, chosen: Sequence[str], outputs: Sequence[str]
) -> dict[str, tuple[str, np.ndarray]]:
    """Return the observations of some subjects and outputs."""
    data, observations = fit.data, fit.data.observations
    subject = np.array(data.subjects, dtype=object)[observations.subject]
    output = np.array(data.outputs, dtype=object)[observations.output]
    mine = np.isin(subject, list(chosen)) & np.isin(output.astype(str), list(outputs))
    return {
        "observation_subject": ("observation", subject[mine]),
        "observation_output": ("observation", output[mine]),
        "observation_time": ("observation", observations.time[mine]),
        "value": ("observation", observations.value[mine]),
        "mark": ("observation", marks(data)[mine]),
    }


def doses_of(data: Dataset, chosen: Sequence[str]) -> dict[str, tuple[str, np.ndarray]]:
    """Return the doses of some subjects."""
    doses = expand_doses(data)
    subject = np.array(data.subjects, dtype=object)[doses.subject]
    mine = np.isin(subject, list(chosen)) & (doses.amount > 0)
    return {
        "dose_subject": ("dose", subject[mine]),
        "dose_time": ("dose", doses.time[mine]),
        "dose_amount": ("dose", doses.amount[mine]),
    }
