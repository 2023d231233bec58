"""What covariates do to each parameter, as a table for a forest plot."""

from collections.abc import Iterator, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
import pytensor.tensor as pt

from bayesnlme import names
from bayesnlme._types import Floats, Tensor
from bayesnlme.diagnostics.labels import labels
from bayesnlme.diagnostics.predictive import tails
from bayesnlme.errors import FitError, did_you_mean
from bayesnlme.population.covariates import Categorical, Effect, level_label
from bayesnlme.population.factors import Function, Maturation
from bayesnlme.population.priors import Fixed, Prior
from bayesnlme.results.fit import Fit, require_fit

RANGE = (0.8, 1.25)
"""Within it a ratio is held to be without consequence: 80 to 125 %."""


def covariate_forest(
    fit: Fit,
    values: Mapping[str, Sequence[Any]],
    *,
    interval: float = 0.9,
    inside: tuple[float, float] = RANGE,
) -> pd.DataFrame:
    """Tabulate how each parameter changes with stated covariate values.

    Parameters
    ----------
    fit : Fit
        With draws.
    values : mapping of str to sequence
        For each covariate the values to look at: numbers, or levels as the table writes them.
    interval : float
        Probability of the equal-tailed interval.
    inside : (float, float)
        Range of ratios whose posterior probability is told.

    Returns
    -------
    DataFrame
        A row for each parameter, covariate that acts on it and value: ``parameter``,
        ``covariate``, ``value``; ``median``, ``lower`` and ``upper`` of the ratio of the typical
        parameter at this value to the typical value at the covariate's reference (for maturation
        and functions, to the parameter without the factor); ``probability`` that the ratio lies
        inside the range. ``.attrs`` holds the interval and the range.

    Raises
    ------
    FitError
        If no parameter depends on a covariate, or a value is none of it.
    """
    require_fit(fit)
    lower, upper = tails(interval)
    low, high = inside
    if not 0 < low < high:
        raise FitError(f"inside={inside} must be a range of positive ratios, such as {RANGE}.")
    rows = []
    for covariate, asked in _asked(fit, values):
        for name, parameter in fit.model.parameters.items():
            for effect in parameter.covariates:
                if effect.covariate != covariate:
                    continue
                for value in asked:
                    ratio = _ratio(fit, name, effect, _code(fit, name, effect, value))
                    edges = np.quantile(ratio, [0.5, lower, upper])
                    within = np.mean((ratio >= low) & (ratio <= high))
                    rows.append((name, covariate, str(value), *edges, within))
    columns = ["parameter", "covariate", "value", "median", "lower", "upper", "probability"]
    table = pd.DataFrame(rows, columns=columns)
    table.attrs |= labels(fit) | {"interval": interval, "inside": (float(low), float(high))}
    return table


def _asked(fit: Fit, values: Mapping[str, Sequence[Any]]) -> Iterator[tuple[str, list[Any]]]:
    if not isinstance(values, Mapping) or not values:
        raise FitError('values must be a mapping such as {"WT": [50, 70, 100], "SEX": ["F"]}.')
    for covariate, asked in values.items():
        if covariate not in fit.model.covariates:
            near = did_you_mean(covariate, fit.model.covariates)
            raise FitError(f"No parameter depends on {covariate!r}. {near}")
        if isinstance(asked, str) or not isinstance(asked, Sequence | np.ndarray) or not len(asked):
            raise FitError(f"{covariate}: give a list of values, not {asked!r}.")
        yield covariate, list(asked)


def _code(fit: Fit, name: str, effect: Effect, value: Any) -> float:
    """Return what an effect takes: a number, or the place of a level with the reference at 0."""
    if isinstance(effect, Categorical):
        covariate = fit.data.covariates[effect.covariate]
        others = sorted({level_label(each) for each in covariate.levels} - {effect.reference})
        known = [effect.reference, *others]
        label = level_label(value)
        if label not in known:
            near = did_you_mean(str(label), known)
            raise FitError(f"{effect.covariate} has no level {value!r}. {near}")
        return float(known.index(label))
    if isinstance(value, bool) or not isinstance(value, Real) or not np.isfinite(float(value)):
        raise FitError(f"{effect.covariate}: {value!r} is no number, which {name} depends on.")
    if effect.positive and value <= 0:
        raise FitError(
            f"{effect.covariate}: a {effect.kind} effect on {name} needs values above 0."
        )
    return float(value)


def _ratio(fit: Fit, name: str, effect: Effect, code: float) -> Floats:
    """Return the ratio at every draw, shape (n_draws,)."""
    parameter, count = fit.model.parameters[name], fit.posterior["chain"].size
    count *= fit.posterior["draw"].size
    typical = _drawn(fit, names.typical(name), parameter.typical_prior(), count)
    if isinstance(effect, Categorical):
        x, b = _of_level(fit, name, effect, int(code), count)
    else:
        x, b = pt.constant(np.full(count, code)), _coefficients(fit, name, effect, count)
    value: Tensor = parameter.individual(pt.constant(typical), [(effect, x, b)], None)
    ratio: Floats = np.broadcast_to(value.eval(mode="FAST_COMPILE") / typical, count)
    return ratio


def _of_level(
    fit: Fit, name: str, effect: Categorical, code: int, count: int
) -> tuple[Tensor, Tensor]:
    """Make each draw's coefficient of a level a level of its own."""
    prior = effect.prior(fit.model.parameters[name].scale)
    variable = names.coefficient(name, effect.covariate)
    if code == 0:
        coefficient = np.zeros(count)
    elif isinstance(prior, Fixed):
        coefficient = np.full(count, prior.value)
    else:
        dim = names.levels(name, effect.covariate)
        level = fit.posterior[variable].isel({dim: code - 1})
        coefficient = level.transpose("chain", "draw").values.ravel()
    return pt.constant(np.arange(1, count + 1)), pt.constant(coefficient)


def _coefficients(fit: Fit, name: str, effect: Effect, count: int) -> Any:
    if isinstance(effect, Maturation | Function):
        return {
            which: pt.constant(
                _drawn(fit, names.coefficient(name, effect.covariate, which), prior, count)
            )
            for which, prior in effect.coefficients.items()
        }
    prior = effect.prior(fit.model.parameters[name].scale)
    return pt.constant(_drawn(fit, names.coefficient(name, effect.covariate), prior, count))


def _drawn(fit: Fit, variable: str, prior: Prior | Fixed, count: int) -> Floats:
    """Return a variable's draws, or its known value as often."""
    if variable in fit.posterior:
        draws: Floats = fit.posterior[variable].transpose("chain", "draw").values.ravel()
        return draws
    if not isinstance(prior, Fixed):
        raise FitError(f"The fit holds no draws of {variable}.")
    return np.full(count, prior.value)
