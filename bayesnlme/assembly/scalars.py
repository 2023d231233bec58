"""Operations of PyTensor on single numbers, written for all lanes at once.

A condition is 0.0 or 1.0 in memory and between operations; comparisons and selections of
one block are joined by the code generator.

References
----------
.. [Higham2002] N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., SIAM (2002).
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytensor.scalar as ps
from pytensor.graph.basic import Constant

from bayesnlme.assembly.errors import NoMachineCode
from bayesnlme.assembly.special import digamma, erfcx
from bayesnlme.odes.block import Block


def write_scalars(operation: Any, block: Block, values: Sequence[str]) -> list[str]:
    """Write an operation, or a composite of several; return the registers of its results.

    Raises
    ------
    NoMachineCode
        If there is none.
    """
    if isinstance(operation, ps.Composite):
        return _composite(operation, block, values)
    write = _WRITERS.get(type(operation).__name__)
    if isinstance(operation, ps.Cast):
        write = _CASTS.get(operation.o_type.dtype)
    if write is None:
        raise NoMachineCode(operation)
    return [write(block, *values)]


def _composite(operation: Any, block: Block, values: Sequence[str]) -> list[str]:
    graph = operation.fgraph
    known = dict(zip(graph.inputs, values, strict=True))

    def value(variable: Any) -> str:
        if isinstance(variable, Constant):
            return block.constant(float(variable.data))
        return known[variable]

    for node in graph.toposort():
        results = write_scalars(node.op, block, [value(each) for each in node.inputs])
        known.update(zip(node.outputs, results, strict=True))
    return [value(each) for each in graph.outputs]


def _folded(name: str) -> Callable[..., str]:
    """Write an operation of two numbers for any number of them."""

    def write(block: Block, first: str, *others: str) -> str:
        for each in others:
            first = getattr(block, name)(first, each)
        return first

    return write


def _compared(relation: str) -> Callable[..., str]:
    return lambda block, a, b: _truth(block, block.compare(relation, a, b))


def _truth(block: Block, condition: str) -> str:
    return block.select(condition, block.constant(1.0), block.constant(0.0))


def _holds(block: Block, a: str) -> str:
    return block.compare("une", a, block.constant(0.0))


def _switch(block: Block, condition: str, a: str, b: str) -> str:
    return block.select(_holds(block, condition), a, b)


def _larger(block: Block, a: str, b: str) -> str:
    """Return the larger number, NaN if there is one."""
    chosen = block.select(block.compare("ogt", a, b), a, b)
    return block.select(block.compare("uno", a, a), a, chosen)


def _smaller(block: Block, a: str, b: str) -> str:
    chosen = block.select(block.compare("olt", a, b), a, b)
    return block.select(block.compare("uno", a, a), a, chosen)


def _sign(block: Block, a: str) -> str:
    one = block.intrinsic("copysign", block.constant(1.0), a)
    apart = block.compare("une", a, block.constant(0.0))
    return block.select(block.logic("and", apart, block.compare("ord", a, a)), one, a)


def _power(block: Block, x: str, y: str) -> str:
    return block.call("power", x, y, *block.call_pair("split_log", x))


def _log1p(block: Block, x: str) -> str:
    """log(1 + x) = log(u) + (x - (u - 1))/u with u = 1 + x rounded [Higham2002]_, 1.14.1."""
    one = block.constant(1.0)
    u = block.add(one, x)
    missing = block.div(block.sub(x, block.sub(u, one)), u)
    usual = block.add(block.call("log", u), missing)
    finite = block.logic(
        "and",
        block.compare("olt", x, block.constant(math.inf)),
        block.compare("ogt", x, block.constant(-1.0)),
    )
    return block.select(finite, usual, block.call("log", u))


def _expm1(block: Block, x: str) -> str:
    """exp(x) - 1 = 2 tanh(x/2) / (1 - tanh(x/2)) near 0."""
    one = block.constant(1.0)
    t = block.call("tanh", block.mul(block.constant(0.5), x))
    near = block.div(block.add(t, t), block.sub(one, t))
    small = block.compare("olt", block.intrinsic("fabs", x), one)
    return block.select(small, near, block.sub(block.call("exp", x), one))


def _sigmoid(block: Block, x: str) -> str:
    one = block.constant(1.0)
    return block.div(one, block.add(one, block.call("exp", block.neg(x))))


def _softplus(block: Block, x: str) -> str:
    """log(1 + exp(x)) = max(x, 0) + log1p(exp(-abs(x)))."""
    decay = block.call("exp", block.neg(block.intrinsic("fabs", x)))
    return block.add(_larger(block, x, block.constant(0.0)), _log1p(block, decay))


_WRITERS: dict[str, Callable[..., str]] = {
    "Add": _folded("add"),
    "Mul": _folded("mul"),
    "Sub": lambda block, a, b: block.sub(a, b),
    "TrueDiv": lambda block, a, b: block.div(a, b),
    "Neg": lambda block, a: block.neg(a),
    "Sqr": lambda block, a: block.mul(a, a),
    "Sqrt": lambda block, a: block.intrinsic("sqrt", a),
    "Reciprocal": lambda block, a: block.div(block.constant(1.0), a),
    "Abs": lambda block, a: block.intrinsic("fabs", a),
    "Sign": _sign,
    "Sgn": _sign,
    "Exp": lambda block, a: block.call("exp", a),
    "Log": lambda block, a: block.call("log", a),
    "Log1p": _log1p,
    "Expm1": _expm1,
    "Tanh": lambda block, a: block.call("tanh", a),
    "Sin": lambda block, a: block.call("sin", a),
    "Cos": lambda block, a: block.call("cos", a),
    "Erf": lambda block, a: block.per_lane("erf", a),
    "Erfc": lambda block, a: block.per_lane("erfc", a),
    "Erfcx": erfcx,
    "Psi": digamma,
    "GammaLn": lambda block, a: block.per_lane("lgamma", a),
    "Pow": _power,
    "Sigmoid": _sigmoid,
    "Softplus": _softplus,
    "Maximum": _larger,
    "Minimum": _smaller,
    "ScalarMaximum": _larger,
    "ScalarMinimum": _smaller,
    "Switch": _switch,
    "Second": lambda block, a, b: b,  # noqa: ARG005
    "Identity": lambda block, a: a,  # noqa: ARG005
    "LT": _compared("olt"),
    "GT": _compared("ogt"),
    "LE": _compared("ole"),
    "GE": _compared("oge"),
    "EQ": _compared("oeq"),
    "NEQ": _compared("une"),
    "AND": _folded("mul"),
    "OR": lambda block, a, b: _truth(
        block, block.logic("or", _holds(block, a), _holds(block, b))
    ),
    "Invert": lambda block, a: block.sub(block.constant(1.0), a),
    "IsNan": lambda block, a: _truth(block, block.compare("uno", a, a)),
    "IsInf": lambda block, a: _truth(
        block, block.compare("oeq", block.intrinsic("fabs", a), block.constant(math.inf))
    ),
}  # fmt: skip

_CASTS: dict[str, Callable[..., str]] = {
    "float64": lambda block, a: a,  # noqa: ARG005
    "bool": lambda block, a: _truth(block, _holds(block, a)),
}
