"""Derivatives of traced expressions that stay right where a base is zero."""

from typing import Any

import sympy

from bayesnlme.math import where


def derivative(expression: sympy.Expr, variable: sympy.Symbol) -> sympy.Expr:
    """Differentiate, taking care of powers of zero.

    SymPy writes the derivative of ``x**g`` as ``g*x**g/x``, which is 0/0 at ``x = 0``; a
    Hill curve would then fail at a concentration of zero. Here

    - d(x**g)/dx = g x**(g - 1), and 0 at ``x = 0`` where ``g < 1``, whose true slope is
      infinite: such a solve is about to leave zero, or stays there with no sensitivity;
    - d(x**g)/dg = x**g log(x), and its limit 0 at ``x = 0``; so also for ``0**g``, which
      ``maximum(x, 0)**g`` is below zero.
    """
    held = expression.replace(_needs_care, lambda power: _Power(*power.args))
    return _release(sympy.diff(held, variable))


def _needs_care(node: sympy.Basic) -> bool:
    if not node.is_Pow or (node.base.is_number and node.base != 0):
        return False
    exponent = node.exp
    return not exponent.is_number or bool(not exponent.is_integer and 0 < exponent < 1)


def _release(expression: sympy.Expr) -> sympy.Expr:
    released = expression.replace(_PowerLog, _power_log).replace(_PowerSlope, _power_slope)
    return released.replace(_Power, lambda base, exponent: base**exponent)


def _power_log(base: sympy.Expr, exponent: sympy.Expr) -> sympy.Expr:
    return where(base > 0, base**exponent * sympy.log(base), sympy.Integer(0))


def _power_slope(base: sympy.Expr, exponent: sympy.Expr) -> sympy.Expr:
    at_zero = where(
        exponent > 1, sympy.Integer(0), where(exponent >= 1, exponent, sympy.Integer(0))
    )
    elsewhere = exponent * base**exponent / base
    return sympy.Piecewise((at_zero, sympy.Eq(base, 0)), (elsewhere, True))


class _PowerLog(sympy.Function):
    """``base**exponent * log(base)``, with its limit where the base is zero."""


class _PowerSlope(sympy.Function):
    """``exponent * base**(exponent - 1)``, and 0 where that is infinite."""


class _Power(sympy.Function):
    """``base**exponent``, held back from SymPy's own rule of differentiation."""

    def fdiff(self, argindex: int = 1) -> Any:
        return (_PowerSlope if argindex == 1 else _PowerLog)(*self.args)
