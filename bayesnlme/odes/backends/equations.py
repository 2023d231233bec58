"""The right-hand side of a problem and its tangents, compiled for the backends.

SymPy's printer writes them, so that they share no code with what the engine compiles.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, override

import numba
import numpy as np
import sympy
from sympy.printing.numpy import NumPyPrinter
from sympy.printing.pycode import PythonCodePrinter

from bayesnlme._types import Floats
from bayesnlme.odes.backends.stretch import Stretch
from bayesnlme.odes.compiling import OPTIONS
from bayesnlme.odes.problem import Problem
from bayesnlme.odes.text import TIME, symbol

_POINT = "float64, float64[:], float64[::1]"
"""Types of time, states and parameters."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Equations:
    """What moves states and sensitivities: y' = f + rates, S' = J S + D.

    All write into ``out`` and say whether it is finite.

    Attributes
    ----------
    derivative : callable
        ``(t, y, p, rates, out)``: y', shape (n,).
    tangents : callable
        ``(t, y, p, S, columns, out)``: adds J S + df/dp[columns] to what is there, (n, q).
    """

    derivative: Callable[..., bool]
    tangents: Callable[..., bool]


@lru_cache(maxsize=64)
def compile_equations(problem: Problem) -> Equations:
    """Write and compile the functions of a problem, here and now.

    Nothing is left to be compiled at the first call, which may come in a thread of a sampler.
    """
    slopes = [[*dy, *dp] for dy, dp in zip(problem.dfdy, problem.dfdp, strict=True)]
    places = [(i, k) for i, row in enumerate(slopes) for k, each in enumerate(row) if each != 0]
    entries = _write(problem, [slopes[i][k] for i, k in places])
    at = np.array(places, np.int64).reshape(-1, 2)
    matrix = "float64[:, :]"
    return Equations(
        derivative=_njit(f"{_POINT}, float64[::1], float64[:]")(
            _derivative(_write(problem, problem.rhs))
        ),
        tangents=_njit(f"{_POINT}, {matrix}, int64[::1], {matrix}")(_tangents(entries, at)),
    )


def _derivative(values: Any) -> Any:
    def derivative(t: Any, y: Any, p: Any, rates: Any, out: Any) -> Any:
        found, finite = values(t, y, p), True
        for i in range(len(rates)):
            out[i] = found[i] + rates[i]
            finite &= np.isfinite(out[i])
        return finite

    return derivative


def _tangents(entries: Any, at: Any) -> Any:
    def tangents(t: Any, y: Any, p: Any, s: Any, columns: Any, out: Any) -> Any:
        slopes, finite = entries(t, y, p), True
        for place in range(len(at)):
            i, k = at[place]
            for j in range(len(columns)):
                if k < len(y):
                    out[i, j] += slopes[place] * s[k, j]
                elif columns[j] == k - len(y):
                    out[i, j] += slopes[place]
                finite &= np.isfinite(out[i, j])
        return finite

    return tangents


class Motion:
    """The equations on one stretch, with its parameters, rates and columns."""

    def __init__(self, equations: Equations, stretch: Stretch) -> None:
        self._equations = equations
        self._parameters = np.array(stretch.parameters, np.float64)  # copies may be written to
        self._rates = np.array(stretch.rates, np.float64)
        self._columns = np.array(stretch.columns, np.int64)
        self._forcing = np.array(stretch.forcing, np.float64)
        self._identity = np.eye(len(stretch.state))
        self._directions = np.full(len(stretch.state), -1)

    def derivative(self, t: float, y: Floats, out: Floats) -> bool:
        """Write y', shape (n,), and say whether it is finite."""
        return self._equations.derivative(t, y, self._parameters, self._rates, out)

    def jacobian(self, t: float, y: Floats, out: Floats) -> bool:
        """Write dy'/dy, shape (n, n), and say whether it is finite."""
        out[:] = 0.0
        return self._equations.tangents(
            t, y, self._parameters, self._identity, self._directions, out
        )

    def tangents(self, t: float, y: Floats, s: Floats, out: Floats) -> bool:
        """Write S', shape (n, q), and say whether it is finite."""
        out[:] = self._forcing
        return self._equations.tangents(t, y, self._parameters, s, self._columns, out)


def _njit(types: str) -> Any:
    """Return a decorator that compiles a function of these types at once."""
    return numba.njit(f"boolean({types})", **OPTIONS)


def _write(problem: Problem, expressions: Sequence[sympy.Expr]) -> Any:
    """Return a function of time, states and parameters that gives a list, and a zero after it.

    The zero makes it a list of floating-point numbers, whatever is in it.
    """
    return numba.njit(**OPTIONS)(
        sympy.lambdify(
            [symbol(TIME), problem.state_symbols, problem.parameter_symbols],
            [*expressions, sympy.Float(0)],
            modules="numpy",
            printer=_Printer({"fully_qualified_modules": False, "inline": True}),
            dummify=True,
            cse=True,
        )
    )


class _Printer(NumPyPrinter):
    """Code for scalars: no integer that overflows, and of a choice the branch taken alone."""

    @override
    def _print_Piecewise(self, expr: sympy.Piecewise) -> str:
        return PythonCodePrinter._print_Piecewise(self, expr)

    @override
    def _print_Relational(self, expr: sympy.core.relational.Relational) -> str:
        return PythonCodePrinter._print_Relational(self, expr)

    @override
    def _print_Float(self, expr: sympy.Float) -> str:
        return repr(float(expr))

    @override
    def _print_Integer(self, expr: sympy.Integer) -> str:
        return str(int(expr)) if abs(int(expr)) < 1000 else repr(float(expr))

    @override
    def _print_Rational(self, expr: sympy.Rational) -> str:
        return repr(float(expr))
