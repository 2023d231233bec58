"""Functions for the equations of a model: they take traced symbols, numbers and arrays.

Equations given to `bn.ode` are traced once with symbols, so they call these
functions and not those of ``math`` or ``numpy``. A call on numbers gives numbers.
"""

import builtins
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import sympy

from bayesnlme.errors import ModelError

pi = math.pi


def exp(x: Any) -> Any:
    """Return e to the power of `x`.

    Examples
    --------
    >>> float(exp(0.0))
    1.0
    """
    return _apply(sympy.exp, np.exp, x)


def log(x: Any) -> Any:
    """Return the natural logarithm of `x`."""
    return _apply(sympy.log, np.log, x)


def log10(x: Any) -> Any:
    """Return the logarithm of `x` to base 10."""
    return log(x) / math.log(10.0)


def sqrt(x: Any) -> Any:
    """Return the square root of `x`."""
    return _apply(sympy.sqrt, np.sqrt, x)


def sin(x: Any) -> Any:
    """Return the sine of `x` in radians."""
    return _apply(sympy.sin, np.sin, x)


def cos(x: Any) -> Any:
    """Return the cosine of `x` in radians."""
    return _apply(sympy.cos, np.cos, x)


def tan(x: Any) -> Any:
    """Return the tangent of `x` in radians."""
    return _apply(sympy.tan, np.tan, x)


def tanh(x: Any) -> Any:
    """Return the hyperbolic tangent of `x`."""
    return _apply(sympy.tanh, np.tanh, x)


def abs(x: Any) -> Any:  # noqa: A001
    """Return the absolute value of `x`."""
    return builtins.abs(x)


def power(x: Any, exponent: Any) -> Any:
    """Return `x` to the power of `exponent`."""
    return x**exponent


def minimum(x: Any, y: Any) -> Any:
    """Return the smaller of `x` and `y`.

    Examples
    --------
    >>> float(minimum(1.0, 2.0))
    1.0
    """
    return where(x <= y, x, y) if _symbolic(x, y) else np.minimum(x, y)


def maximum(x: Any, y: Any) -> Any:
    """Return the larger of `x` and `y`."""
    return where(x >= y, x, y) if _symbolic(x, y) else np.maximum(x, y)


def where(condition: Any, x: Any, y: Any) -> Any:
    """Return `x` where the condition holds and `y` elsewhere.

    Parameters
    ----------
    condition : comparison
        One comparison with ``<``, ``<=``, ``>`` or ``>=``.
    x, y : symbol, number or array
        The two values.

    Raises
    ------
    ModelError
        If the condition is no single comparison, or was decided by Python before it
        arrived here, which is what ``==`` and ``!=`` of symbols do.

    Examples
    --------
    >>> float(where(1.0 < 2.0, 10.0, 20.0))
    10.0
    """
    if isinstance(condition, sympy.logic.boolalg.BooleanAtom):
        return x if condition else y
    if isinstance(condition, sympy.core.relational._Inequality):
        return _choose(condition, sympy.sympify(x), sympy.sympify(y))
    if isinstance(condition, sympy.Basic) or _symbolic(x, y):
        raise ModelError(
            f"where was given the condition {condition!r}; a traced equation needs one comparison "
            "with <, <=, > or >=. Nest where for several, and decide constants with a Python if."
        )
    return np.where(condition, x, y)[()]


def _choose(condition: Any, x: Any, y: Any) -> Any:
    """Choose by an inequality; one that compares a choice is taken apart, case by case."""
    inner = next((e for e in sympy.preorder_traversal(condition) if e.is_Piecewise), None)
    if inner is None:
        return sympy.Piecewise((x, condition), (y, True))
    cases = [
        (where(*(each.xreplace({inner: value}) for each in (condition, x, y))), case)
        for value, case in inner.args
    ]
    result, _ = cases.pop()
    for value, case in reversed(cases):
        result = sympy.Piecewise((value, case), (result, True))
    return result


def _symbolic(*values: Any) -> bool:
    return any(isinstance(value, sympy.Basic) for value in values)


def _apply(traced: Callable[..., Any], numeric: Callable[..., Any], x: Any) -> Any:
    return traced(x) if _symbolic(x) else numeric(x)
