"""Whether equations that switch are continuous where the switch moves.

Sensitivities are integrated along with the states. Where a right-hand side jumps at a place that
depends on a parameter or a state, they jump too, by an amount that integration does not see:
the derivatives would be wrong without a sign of it. So such an equation is refused unless its
pieces are shown to agree there.
"""

from collections.abc import Collection, Iterator

import sympy

from bayesnlme.errors import ModelError
from bayesnlme.odes.text import TIME, symbol, text


def check_continuous(
    expression: sympy.Expr, *, label: str, parameters: Collection[sympy.Symbol]
) -> None:
    """Refuse an equation that may jump where a parameter or a state says.

    Switches at times that are numbers are free: they do not move.

    Parameters
    ----------
    expression : expression
        Right-hand side or initial value.
    label : str
        What it defines, for messages.
    parameters : collection of symbol
        Symbols that are assumed to differ from zero where they alone are divided by.

    Raises
    ------
    ModelError
        If two pieces differ, or cannot be shown to agree, where a switch moves.
    """
    for node in sympy.preorder_traversal(expression):
        if not isinstance(node, sympy.Piecewise):
            continue
        for place, (value, condition) in enumerate(node.args[:-1]):
            moving = condition.free_symbols - {symbol(TIME)}
            rest = sympy.Piecewise(*node.args[place + 1 :])
            if moving and not _agree(value, rest, condition, parameters):
                raise ModelError(_refusal(node, condition, moving, label))


def _refusal(
    node: sympy.Expr, condition: sympy.Rel, moving: Collection[sympy.Symbol], label: str
) -> str:
    names = ", ".join(repr(name) for name in sorted(each.name for each in moving))
    return (
        f"{label}: {text(node)!r} may jump where {text(condition.lhs)} = {text(condition.rhs)}, "
        f"which depends on {names}; the derivatives of the solution would miss the jump. "
        "Let both pieces agree there (minimum, maximum and abs do), switch at a time that is a "
        "number, or change smoothly, as with (1 + tanh((t - start)/0.1))/2."
    )


def _agree(
    value: sympy.Expr, rest: sympy.Expr, condition: sympy.Rel, parameters: Collection[sympy.Symbol]
) -> bool:
    """Show that two pieces are equal wherever the two sides of a condition are."""
    jump, gap = _exact(value - rest), _exact(condition.lhs - condition.rhs)
    try:
        if sympy.cancel(jump / gap).is_number:
            return True
        borders = list(_borders(gap, parameters))
        return bool(borders) and all(_vanishes(jump, border) for border in borders)
    except (sympy.PolynomialError, NotImplementedError):
        return False


def _exact(expression: sympy.Expr) -> sympy.Expr:
    """Take decimal numbers as written, so that 0.3 * 0.1 is 0.03."""
    floats = expression.atoms(sympy.Float)
    return expression.xreplace({each: sympy.Rational(repr(float(each))) for each in floats})


def _borders(gap: sympy.Expr, parameters: Collection[sympy.Symbol]) -> Iterator[sympy.Expr]:
    """Yield expressions of which one is zero wherever the gap changes its sign.

    Nothing is yielded where only a denominator can be zero.
    """
    above, below = sympy.fraction(sympy.together(gap))
    zeros = [factor for factor, _ in sympy.factor_list(above)[1]]
    poles = [factor for factor, _ in sympy.factor_list(below)[1] if factor not in parameters]
    yield from (*zeros, *poles) if zeros else ()


def _vanishes(jump: sympy.Expr, border: sympy.Expr) -> bool:
    """Show that a jump is zero on a border, by putting in one symbol that the border gives."""
    for each in sorted(border.free_symbols, key=str):
        if not border.is_polynomial(each) or sympy.degree(border, each) != 1:
            continue
        slope, offset = sympy.Poly(border, each).all_coeffs()
        if sympy.simplify(jump.subs(each, -offset / slope)) == 0:
            return True
    return False
