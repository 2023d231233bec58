"""A right-hand side that another program may differentiate, but neither see nor simplify."""

from collections.abc import Sequence
from typing import Any

import sympy

_COMPARISONS: tuple[tuple[type[sympy.Basic], str], ...] = (
    (sympy.StrictLessThan, "<"),
    (sympy.LessThan, "<="),
    (sympy.StrictGreaterThan, ">"),
    (sympy.GreaterThan, ">="),
    (sympy.Equality, "=="),
)


class Seal:
    """Hides functions behind names that can be differentiated once, and puts them back."""

    def __init__(self) -> None:
        self._content: list[list[sympy.Expr]] = []

    def close(
        self,
        variables: Sequence[sympy.Symbol],
        values: Sequence[sympy.Expr],
        slopes: Sequence[Sequence[sympy.Expr]],
    ) -> list[sympy.Expr]:
        """Return a sealed function in the place of every value.

        Parameters
        ----------
        variables : sequence of symbol
            What the other program differentiates by.
        values : sequence of expression
            The functions.
        slopes : sequence of sequence of expression
            For every function its derivative by every variable.
        """
        self._content = [
            [_printable(each) for each in (value, *row)]
            for value, row in zip(values, slopes, strict=True)
        ]
        return [_Sealed(number, 0, *variables) for number in range(len(values))]

    def open(self, expression: sympy.Expr) -> sympy.Expr:
        """Put the contents in the place of the sealed functions and their derivatives."""
        sealed = expression.atoms(_Sealed)
        return expression.xreplace({e: self._content[e.args[0]][e.args[1]] for e in sealed})


class _Sealed(sympy.Function):
    """Function number ``args[0]``; if ``args[1]`` is k > 0, its derivative by the k-th variable."""

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        number, _, *variables = self.args
        return _Sealed(number, argindex - 2, *variables)


class _Choice(sympy.Function):
    """``args[3]`` where comparison number ``args[0]`` of ``args[1:3]`` holds, else ``args[4]``.

    SymPy's printer for NumPy writes a choice over whole arrays, which numba cannot compile for
    numbers.
    """

    def _numpycode(self, printer: Any) -> str:
        kind = _COMPARISONS[self.args[0]][1]
        left, right, value, other = (f"({printer.doprint(each)})" for each in self.args[1:])
        return f"({value} if {left} {kind} {right} else {other})"


def _printable(expression: sympy.Expr) -> sympy.Expr:
    """Write choices as `_Choice`, and what may overflow an integer as floating-point number."""
    if expression.is_Rational and max(abs(expression.p), expression.q) >= 1000:
        return sympy.Float(expression)
    if isinstance(expression, sympy.Piecewise):
        return _choices(expression)
    if not expression.args:
        return expression
    return expression.func(*map(_printable, expression.args))


def _choices(piecewise: sympy.Piecewise) -> sympy.Expr:
    *rest, (last, _) = piecewise.args
    result = _printable(last)
    for value, comparison in reversed(rest):
        kind = next(k for k, (each, _) in enumerate(_COMPARISONS) if isinstance(comparison, each))
        sides = map(_printable, comparison.args)
        result = _Choice(kind, *sides, _printable(value), result)
    return result
