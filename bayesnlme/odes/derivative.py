"""Derivatives of traced expressions that stay right where a base is zero."""

from functools import lru_cache

import sympy

from bayesnlme.math import where


@lru_cache(maxsize=1 << 16)
def derivative(expression: sympy.Expr, variable: sympy.Symbol) -> sympy.Expr:
    """Differentiate by the chain rule, each subexpression once, taking care of powers of zero.

    SymPy writes the derivative of ``x**g`` as ``g*x**g/x``, which is 0/0 at ``x = 0``; a
    Hill curve would then fail at a concentration of zero. Here

    - d(x**g)/dx = g x**(g - 1), and 0 at ``x = 0`` where ``g < 1``, whose true slope is
      infinite: such a solve is about to leave zero, or stays there with no sensitivity;
    - d(x**g)/dg = x**g log(x), and its limit 0 at ``x = 0``; so also for ``0**g``, which
      ``maximum(x, 0)**g`` is below zero.
    """
    if not expression.args:
        return sympy.Integer(expression == variable)
    if expression.is_Piecewise:
        cases = [(derivative(value, variable), case) for value, case in expression.args]
        return sympy.Piecewise(*cases)
    slopes = [derivative(each, variable) for each in expression.args]
    terms = [
        _partial(expression, position) * slope
        for position, slope in enumerate(slopes)
        if slope != 0
    ]
    return sympy.Add(*terms)


@lru_cache(maxsize=1 << 16)
def _partial(expression: sympy.Expr, position: int) -> sympy.Expr:
    """Differentiate by one of the arguments."""
    if expression.is_Add:
        return sympy.Integer(1)
    if expression.is_Mul:
        return sympy.Mul(*(each for k, each in enumerate(expression.args) if k != position))
    if not expression.is_Pow:
        return expression.fdiff(position + 1)
    base, exponent = expression.args
    if _needs_care(expression):
        return (_power_log if position else _power_slope)(base, exponent)
    return expression * sympy.log(base) if position else exponent * base ** (exponent - 1)


def _needs_care(node: sympy.Basic) -> bool:
    if not node.is_Pow or (node.base.is_number and node.base != 0):
        return False
    exponent = node.exp
    return not exponent.is_number or bool(not exponent.is_integer and 0 < exponent < 1)


def _power_log(base: sympy.Expr, exponent: sympy.Expr) -> sympy.Expr:
    return where(base > 0, base**exponent * sympy.log(base), sympy.Integer(0))


def _power_slope(base: sympy.Expr, exponent: sympy.Expr) -> sympy.Expr:
    at_zero = where(
        exponent > 1, sympy.Integer(0), where(exponent >= 1, exponent, sympy.Integer(0))
    )
    elsewhere = exponent * base**exponent / base
    return sympy.Piecewise((at_zero, sympy.Eq(base, 0)), (elsewhere, True))
