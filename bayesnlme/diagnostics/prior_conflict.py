"""Where prior and data conflict: the rules, and the words.

Studies drawn from the prior are compared with the observed one by statistics of each output. One
that lies outside the central 95 % of theirs (two-sided prior predictive p-value below 0.05
[Box1980]_) is a conflict. Each statistic is judged alone: where model and prior are right, some
statistic of an output is so far out in more than one of twenty tables.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from bayesnlme import names
from bayesnlme._types import Booleans, Floats
from bayesnlme.data import Dataset
from bayesnlme.diagnostics.predictive import Compared, at_limits, time_bins
from bayesnlme.errors import Finding, Severity
from bayesnlme.graph.densities import observed_values
from bayesnlme.graph.outcomes import positions
from bayesnlme.model.model import Model

LEVEL = 0.05
LEAST_DRAWS = 100
LEAST_INSIDE = 0.05
MOST_DECADES = 3.0
STRETCHES = 4
QUANTILES = {"5 % quantile": 0.05, "median": 0.5, "95 % quantile": 0.95}
COMPARED = ("continuous", "count", "category")
_LOOK = (
    "Look at bn.plots.implied_curves(bn.diagnostics.implied_curves(prior)). Units that differ "
    "between doses, observations and parameters are a usual reason; else state priors that allow "
    "what was seen."
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Statistic:
    """One number of a study, observed and in every study drawn from the prior."""

    name: str
    observed: float
    simulated: Floats

    @property
    def p_value(self) -> float:
        """Twice the smaller probability of at least as far on either side, at most 1."""
        below = 1 + (self.simulated <= self.observed).sum()
        above = 1 + (self.simulated >= self.observed).sum()
        return float(min(1.0, 2 * min(below, above) / (self.simulated.size + 1)))


def study_values(data: Dataset, tree: xr.DataTree, complete: Booleans) -> Floats:
    """Return the drawn observations of all whole draws, shape (draw, observation)."""
    values = np.empty((int(complete.sum()), data.n_observations))
    for number, output in enumerate(data.outputs):
        drawn = tree["prior_predictive"].to_dataset()[output].values[0]
        values[:, positions(data, number)] = drawn[complete]
    return values


def compared_statistics(
    model: Model, data: Dataset, tree: xr.DataTree, complete: Booleans
) -> pd.DataFrame:
    """Tabulate the statistics of every output; see `PriorPredictive.statistics`."""
    rows = []
    for output, statistics in _statistics(model, data, tree, complete):
        for each in statistics:
            lower, middle, upper = np.quantile(each.simulated, [0.025, 0.5, 0.975])
            rows.append(
                {
                    "output": output,
                    "statistic": each.name,
                    "observed": each.observed,
                    "lower": lower,
                    "median": middle,
                    "upper": upper,
                    "p_value": each.p_value,
                    "conflict": each.p_value < LEVEL,
                }
            )
    columns = ["output", "statistic", "observed", "lower", "median", "upper", "p_value", "conflict"]
    return pd.DataFrame(rows, columns=columns)


def conflict_findings(
    model: Model, data: Dataset, tree: xr.DataTree, complete: Booleans
) -> Iterator[Finding]:
    """Yield what is to be said of a prior; see `PriorPredictive.findings`."""
    failed = int((~complete).sum())
    if failed:
        yield _finding(
            "W_PRIOR_FAILED",
            f"{failed} of {complete.size} draws from the prior gave no finite prediction; they are "
            "NaN in the tree and have no part in the comparison.",
            "Priors that reach into the impossible are a usual reason: narrow them, or look at "
            "bn.Solver.",
        )
    if not complete.any():
        return
    table = compared_statistics(model, data, tree, complete)
    yield from _few_draws(int(complete.sum()))
    values = study_values(data, tree, complete)
    for number, output in enumerate(data.outputs):
        scale = model.observations[output].scale
        if scale not in COMPARED:
            yield Finding(
                code="N_PRIOR_NOT_COMPARED",
                message=f"{output} has no quantiles and no categories to compare.",
                remedy="Look at the prior of its parameters.",
                severity=Severity.NOTE,
                column="DV",
            )
            continue
        yield from _conflicts(output, table[(table["output"] == output) & table["conflict"]])
        if scale != "category":
            yield from _elsewhere(output, at_limits(model, data, values, number))
            yield from _wide(output, _largest(data, tree, complete, number))


def _statistics(
    model: Model, data: Dataset, tree: xr.DataTree, complete: Booleans
) -> Iterator[tuple[str, list[Statistic]]]:
    if not complete.any():
        return
    values = study_values(data, tree, complete)
    for number, output in enumerate(data.outputs):
        outcome = model.observations[output]
        if outcome.scale == "category":
            drawn = values[:, positions(data, number)]
            yield output, list(_shares(observed_values(data, output), drawn))
        elif outcome.scale in COMPARED:
            yield output, list(_of_quantiles(at_limits(model, data, values, number)))


def _shares(seen: Floats, drawn: Floats) -> Iterator[Statistic]:
    for category in np.unique(np.concatenate([seen, drawn.ravel()])):
        yield Statistic(
            name=f"share of {category:g}",
            observed=float((seen == category).mean()),
            simulated=(drawn == category).mean(axis=1),
        )


def _of_quantiles(compared: Compared) -> Iterator[Statistic]:
    for name, probability in QUANTILES.items():
        yield _quantile(name, compared, np.ones(compared.time.size, dtype=bool), probability)
    places = time_bins(compared.time, STRETCHES)
    if np.unique(places).size > 1:
        for place in np.unique(places):
            inside = places == place
            start, end = compared.time[inside].min(), compared.time[inside].max()
            yield _quantile(f"median, time {start:g} to {end:g}", compared, inside, 0.5)
    for side, passed in compared.beyond.items():
        if passed is not None:
            yield Statistic(
                name=f"share {side} the limit",
                observed=float(passed[0].mean()),
                simulated=passed[1].mean(axis=1),
            )


def _quantile(name: str, compared: Compared, inside: Booleans, probability: float) -> Statistic:
    drawn = compared.simulated[:, inside]
    quantile = np.nanquantile if np.isnan(drawn).any() else np.quantile
    return Statistic(
        name=name,
        observed=float(np.quantile(compared.value[inside], probability)),
        simulated=np.asarray(quantile(drawn, probability, axis=1)),
    )


def _few_draws(draws: int) -> Iterator[Finding]:
    if draws < LEAST_DRAWS:
        yield Finding(
            code="N_PRIOR_FEW_DRAWS",
            message=f"{draws} draws are too few to judge a conflict by.",
            remedy=f"Use draws={LEAST_DRAWS} or more.",
            severity=Severity.NOTE,
        )


def _conflicts(output: str, rows: pd.DataFrame) -> Iterator[Finding]:
    if len(rows):
        listed = "; ".join(
            f"the {row.statistic} is {row.observed:.3g}, where 95 % of such studies have "
            f"{row.lower:.3g} to {row.upper:.3g}"
            for row in rows.itertuples()
        )
        yield _finding(
            "W_PRIOR_CONFLICT",
            f"The observations of {output} are not what studies drawn from the prior look like: "
            f"{listed}.",
            _LOOK,
        )


def _elsewhere(output: str, compared: Compared) -> Iterator[Finding]:
    lowest, highest = compared.value.min(), compared.value.max()
    drawn = compared.simulated[~np.isnan(compared.simulated)]
    inside = float(((drawn >= lowest) & (drawn <= highest)).mean())
    if inside < LEAST_INSIDE:
        yield _finding(
            "W_PRIOR_ELSEWHERE",
            f"Only {inside:.1%} of the observations of {output} drawn from the prior lie between "
            f"{lowest:.3g} and {highest:.3g}, where all observed ones lie.",
            _LOOK,
        )


def _largest(data: Dataset, tree: xr.DataTree, complete: Booleans, number: int) -> Floats:
    """Return the largest prediction of each study in absolute value."""
    predicted = tree["prior"].to_dataset()[names.PREDICTION].values[0][complete]
    return np.asarray(np.abs(predicted[:, positions(data, number)]).max(axis=1))


def _wide(output: str, largest: Floats) -> Iterator[Finding]:
    lower, upper = np.quantile(largest, [0.05, 0.95])
    if upper > 0 and (lower <= 0 or np.log10(upper / lower) > MOST_DECADES):
        yield _finding(
            "W_PRIOR_WIDE",
            f"The largest prediction of {output} in a study spans {lower:.2g} to {upper:.2g} (90 % "
            f"of the draws from the prior): more than {MOST_DECADES:g} decades.",
            "State what is known: bn.typical(value, rse=...), a smaller iiv, or priors from a "
            "publication by Model.with_priors.",
        )


def _finding(code: str, message: str, remedy: str) -> Finding:
    return Finding(
        code=code, message=message, remedy=remedy, severity=Severity.WARNING, column="DV"
    )
