"""Traced expressions as PyTensor graphs, with the derivatives of `bayesnlme.odes.derivative`.

PyTensor would differentiate both sides of a choice, so that a side that is not chosen and not
finite there, such as a logarithm before its start, would make the derivative not a number.
"""

from collections.abc import Mapping
from functools import reduce
from operator import add, mul
from typing import Any

import pytensor.tensor as pt
import sympy
from pytensor.compile.builders import OpFromGraph

from bayesnlme._types import Tensor
from bayesnlme.odes.derivative import derivative

_FUNCTIONS = {
    sympy.exp: pt.exp,
    sympy.log: pt.log,
    sympy.sin: pt.sin,
    sympy.cos: pt.cos,
    sympy.tan: pt.tan,
    sympy.tanh: pt.tanh,
    sympy.Abs: pt.abs,
    sympy.sign: pt.sign,
    sympy.DiracDelta: pt.zeros_like,  # second derivatives of abs, beside its kink
    sympy.Eq: pt.eq,
    sympy.StrictLessThan: pt.lt,
    sympy.LessThan: pt.le,
    sympy.StrictGreaterThan: pt.gt,
    sympy.GreaterThan: pt.ge,
}


def to_tensor(expression: sympy.Expr, values: Mapping[sympy.Symbol, Tensor]) -> Tensor:
    """Write an expression as a graph that can be differentiated any number of times.

    Parameters
    ----------
    expression : expression
        What to write.
    values : mapping of symbol to tensor
        What every symbol stands for, all of one shape.

    Returns
    -------
    tensor
        The graph, of that shape; a scalar where the expression is a number.
    """
    symbols = [each for each in values if each in expression.free_symbols]
    if not symbols:
        return pt.constant(float(expression))
    inner = {each: values[each].type() for each in symbols}

    def pullback(inputs: list[Tensor], _: list[Tensor], cotangents: list[Tensor]) -> list[Tensor]:
        here = dict(zip(symbols, inputs, strict=True))
        return [cotangents[0] * to_tensor(derivative(expression, each), here) for each in symbols]

    graph = _write(expression, dict(inner))
    written = OpFromGraph([*inner.values()], [graph], inline=True, pullback=pullback)
    return written(*(values[each] for each in symbols))


def _write(node: Any, known: dict[Any, Tensor]) -> Tensor:
    if node not in known:
        known[node] = _new(node, known)
    return known[node]


def _new(node: Any, known: dict[Any, Tensor]) -> Tensor:
    if isinstance(node, sympy.Expr) and node.is_number:
        return pt.constant(float(node))
    if isinstance(node, sympy.Piecewise):
        *choices, (last, _) = node.args
        result = _write(last, known)
        for value, condition in reversed(choices):
            result = pt.switch(_write(condition, known), _write(value, known), result)
        return result
    arguments = [_write(each, known) for each in node.args]
    if isinstance(node, sympy.Add | sympy.Mul):
        return reduce(add if isinstance(node, sympy.Add) else mul, arguments)
    if isinstance(node, sympy.Pow):
        return _power(node, *arguments)
    return _FUNCTIONS[node.func](*arguments)


def _power(node: sympy.Pow, base: Tensor, exponent: Tensor) -> Tensor:
    if node.exp == sympy.Rational(1, 2):
        return pt.sqrt(base)
    if node.exp.is_Integer:
        return base ** int(node.exp)
    return base**exponent
