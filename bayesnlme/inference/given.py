"""Estimates that are given by name, as a vector on the unconstrained scales."""

from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
from scipy import optimize

from bayesnlme._types import Floats
from bayesnlme.errors import ModelError, did_you_mean
from bayesnlme.inference.likelihood_tree import estimate_rows, estimate_scale
from bayesnlme.marginal.conditional import Conditional

CLOSE = 1e-8
"""So near the given values, relative to their scale, the vector must come."""


def unconstrained(conditional: Conditional, given: Mapping[str, Any]) -> Floats:
    """Return the vector whose estimates have the given values.

    Parameters
    ----------
    conditional : Conditional
        Whose parameters they are.
    given : mapping of str to float
        A value for each estimate, by the names of ``fit.estimates``, on natural scales.

    Returns
    -------
    array, shape (parameter,)

    Raises
    ------
    ModelError
        If a name is missing or foreign, or a value impossible.
    """
    known = list(estimate_rows(conditional, conditional.start))
    _require_names(given, known)
    scales = [estimate_scale(each, conditional) for each in known]
    wanted = np.array(
        [_value(each, given[each], scale) for each, scale in zip(known, scales, strict=True)]
    )
    size = np.maximum(np.abs(wanted), 1.0)

    def apart(theta: Floats) -> Floats:
        found = estimate_rows(conditional, theta)
        values = np.array([each[0] for each, _ in found.values()])
        return (
            np.array([_straight(a, scale) for a, scale in zip(values, scales, strict=True)]) / size
            - straight
        )

    straight = np.array([_straight(a, b) for a, b in zip(wanted, scales, strict=True)]) / size
    found = optimize.least_squares(apart, conditional.start, xtol=1e-15, ftol=1e-15, gtol=1e-15)
    off = np.abs(apart(found.x))
    if not (off < CLOSE).all():
        worst = known[int(np.argmax(off))]
        raise ModelError(f"at: the model cannot have {worst} = {given[worst]!r} with the rest.")
    return np.asarray(found.x, dtype=np.float64)


def _straight(value: float, scale: str) -> float:
    """Return a value on the scale on which the vector moves it nearly evenly."""
    if scale == "log":
        return float(np.log(value))
    return float(np.arctanh(value)) if scale == "correlation" else float(value)


def _value(name: str, given: object, scale: str) -> float:
    if isinstance(given, bool) or not isinstance(given, Real) or not np.isfinite(float(given)):
        raise ModelError(f"at: {name}={given!r} must be a number.")
    value = float(given)
    if scale == "log" and value <= 0:
        raise ModelError(f"at: {name}={given!r} must be positive.")
    if scale == "correlation" and not -1 < value < 1:
        raise ModelError(f"at: {name}={given!r} must lie between -1 and 1.")
    return value


def _require_names(given: Mapping[str, Any], known: list[str]) -> None:
    foreign = [str(each) for each in given if each not in known]
    if foreign:
        raise ModelError(
            f"at: there is no estimate {foreign[0]!r}. {did_you_mean(foreign[0], known)}"
        )
    missing = [each for each in known if each not in given]
    if missing:
        raise ModelError(f"at: values are missing for {', '.join(missing)}.")
