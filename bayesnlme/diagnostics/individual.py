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
from bayesnlme.diagnostics.labels import labels
from bayesnlme.diagnostics.predictive import tails, thinned
from bayesnlme.errors import FitError, did_you_mean
from bayesnlme.graph.build import build, model_rows
from bayesnlme.graph.effects import prediction_inputs
from bayesnlme.graph.grid import at_times, observation_quantiles, predict_draws
from bayesnlme.results.fit import Fit, require_draws

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
        With draws.
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
        By ``observation``: ``observation_subject``, ``observation_output``, ``observation_time``,
        ``value`` and ``mark`` (``"below"`` or ``"above"`` a limit, which ``value`` then is). By
        ``dose``: ``dose_subject``, ``dose_time`` and ``dose_amount``. ``.attrs`` holds the
        interval, units and how many subjects the fit has. Times to events have no such curves
        and are left out.

    Raises
    ------
    FitError
        If the fit has no such subject, none is named, or the interval is not between 0 and 1.
    """
    chosen, (lower, upper) = _known(fit, subjects), tails(interval)
    rows = model_rows(fit.model, fit.data)
    times = {name: _times(fit.data, rows, name, points) for name in chosen}
    population = build(fit.model, at_times(fit.data, times, fit.model.events))
    posterior = thinned(fit.posterior, draws)
    prediction = predict_draws(population, posterior, list(fit.model.parameters))
    seen = observation_quantiles(
        population,
        posterior.drop_dims(names.OBSERVATION).merge(prediction),
        _residual_levels(posterior),
    )
    table = _points(population.data) | {
        name: ("point", prediction.quantile(level, ("chain", "draw"), skipna=False).values)
        for name, level in (("median", 0.5), ("lower", lower), ("upper", upper))
    }
    table |= {
        f"new_{name}": ("point", _joined(population.data, seen, level))
        for name, level in (("lower", lower), ("upper", upper))
    }
    kept = ~np.isin(table["output"][1].astype(str), fit.model.events)
    table = {name: (dim, values[kept]) for name, (dim, values) in table.items()}
    return xr.Dataset(table | _observed(fit, chosen) | _doses(fit.data, chosen)).assign_attrs(
        **labels(fit),
        interval=interval,
        subjects=tuple(chosen),
        of_subjects=fit.data.n_subjects,
        draws=posterior.sizes["chain"] * posterior.sizes["draw"],
    )


def observed_vs_predicted(fit: Fit, *, draws: int = 200, interval: float = 0.9) -> pd.DataFrame:
    """Tabulate every observation next to its predictions.

    Parameters
    ----------
    fit : Fit
        With draws.
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
        covariates and all random effects at zero). Times to events are left out.
    """
    require_draws(fit)
    lower, upper = tails(interval)
    over = ("chain", "draw")
    table = fit.observation_frame()
    levels = fit.predictions.quantile([lower, 0.5, upper], over, skipna=False).values
    table["lower"], table["individual"], table["upper"] = levels
    table["mark"] = marks(fit.data)
    table["typical"] = _typical(fit, draws).median(over, skipna=False).values
    table = table[~table["output"].isin(fit.model.events)].reset_index(drop=True)
    table.attrs |= labels(fit) | {"interval": interval}
    return table


def _typical(fit: Fit, draws: int) -> xr.DataArray:
    population = build(fit.model, fit.data)
    posterior = thinned(fit.posterior, draws)
    effects = [layer.names.standard for layer in fit.model.layers]
    zero = {name: xr.zeros_like(posterior[name]) for name in effects}
    given = prediction_inputs(fit.model, population.pymc)
    return predict_draws(population, posterior.assign(zero), given)


def _residual_levels(posterior: xr.Dataset) -> Floats:
    """Return one probability in (0, 1) for each draw, evenly spread, shape (chain, draw).

    A draw has the same one at all times: each point's distribution is right and the bands come
    out smooth.
    """
    shape = posterior.sizes["chain"], posterior.sizes["draw"]
    turns = (np.arange(shape[0] * shape[1], dtype=np.float64) + 0.5) * GOLDEN
    return np.asarray(turns % 1.0, dtype=np.float64).reshape(shape)


def _known(fit: Fit, subjects: Sequence[str] | None) -> list[str]:
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


def _points(grid: Dataset) -> dict[str, tuple[str, np.ndarray]]:
    observations = grid.observations
    return {
        "subject": ("point", np.array(grid.subjects, dtype=object)[observations.subject]),
        "output": ("point", np.array(grid.outputs, dtype=object)[observations.output]),
        "time": ("point", observations.time),
    }


def _joined(grid: Dataset, by_output: xr.Dataset, level: float) -> Floats:
    """Return a quantile of every output's values, in the order of the observations."""
    joined = np.full(grid.n_observations, np.nan)
    for number, output in enumerate(grid.outputs):
        if output not in by_output:
            continue
        values = by_output[output].quantile(level, ("chain", "draw"), skipna=False).values
        joined[grid.observations.output == number] = values
    return joined


def _observed(fit: Fit, chosen: Sequence[str]) -> dict[str, tuple[str, np.ndarray]]:
    data, observations = fit.data, fit.data.observations
    subject = np.array(data.subjects, dtype=object)[observations.subject]
    output = np.array(data.outputs, dtype=object)[observations.output]
    mine = np.isin(subject, list(chosen)) & ~np.isin(output.astype(str), fit.model.events)
    return {
        "observation_subject": ("observation", subject[mine]),
        "observation_output": ("observation", output[mine]),
        "observation_time": ("observation", observations.time[mine]),
        "value": ("observation", observations.value[mine]),
        "mark": ("observation", marks(data)[mine]),
    }


def _doses(data: Dataset, chosen: Sequence[str]) -> dict[str, tuple[str, np.ndarray]]:
    doses = expand_doses(data)
    subject = np.array(data.subjects, dtype=object)[doses.subject]
    mine = np.isin(subject, list(chosen)) & (doses.amount > 0)
    return {
        "dose_subject": ("dose", subject[mine]),
        "dose_time": ("dose", doses.time[mine]),
        "dose_amount": ("dose", doses.amount[mine]),
    }
