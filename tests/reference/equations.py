"""Equations written as text, evaluated on complex arrays of extended precision.

A second, independent reading of the text that `bayesnlme.odes` compiles: nothing is shared.
Complex arguments carry derivatives in their imaginary part, so a comparison looks at real
parts, and a power of zero keeps derivative zero.
"""

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

type Array = np.ndarray[Any, Any]

PI = 3.141592653589793


def power(base: Any, exponent: Any) -> Any:
    """Raise to a power; exactly zero stays zero for a positive exponent."""
    base, exponent = np.asarray(base), np.asarray(exponent)
    if not exponent.shape and exponent.imag == 0 and exponent.real == np.round(exponent.real):
        return base ** int(exponent.real)
    zero = base == 0
    return np.where(zero, 0, np.exp(exponent * np.log(np.where(zero, 1, base))))


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "exp": np.exp,
    "log": np.log,
    "log10": lambda x: np.log(x) / np.log(np.longdouble(10)),
    "sqrt": np.sqrt,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "tanh": np.tanh,
    "abs": lambda x: np.where(np.real(x) < 0, -x, x),
    "power": power,
    "minimum": lambda a, b: np.where(np.real(a) < np.real(b), a, b),
    "maximum": lambda a, b: np.where(np.real(a) > np.real(b), a, b),
    "where": np.where,
}
BINARY = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: power,
}
COMPARE = {ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge}


def value(node: ast.AST, names: Mapping[str, Any]) -> Any:
    """Evaluate a syntax tree with these values of the names."""
    match node:
        case ast.Constant(value=number):
            return np.longdouble(number)
        case ast.Name(id=name):
            return PI if name == "pi" else names[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -value(operand, names)
        case ast.BinOp(left=left, op=op, right=right):
            return BINARY[type(op)](value(left, names), value(right, names))
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            sides = (np.real(value(each, names)) for each in (left, right))
            return COMPARE[type(op)](*sides)
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return FUNCTIONS[name](*(value(each, names) for each in arguments))
    raise ValueError(ast.dump(node))


def read(text: str) -> ast.AST:
    """Read an equation."""
    return ast.parse(text, mode="eval").body


@dataclass(frozen=True, kw_only=True)
class Model:
    """One system: equations as text, by state.

    `breaks` are times at which the right-hand side has a kink or a jump: integration stops
    there. `stiff` and `linear` say which further routes can check it.
    """

    rhs: dict[str, str]
    outputs: dict[str, str]
    parameters: tuple[str, ...]
    initial: dict[str, str] = field(default_factory=dict)
    lag: dict[str, str] = field(default_factory=dict)
    bioavailability: dict[str, str] = field(default_factory=dict)
    duration: dict[str, str] = field(default_factory=dict)
    rate: dict[str, str] = field(default_factory=dict)
    breaks: tuple[float, ...] = ()
    linear: bool = False
    stiff: bool = False

    @property
    def states(self) -> tuple[str, ...]:
        """Names of the states, in order."""
        return tuple(self.rhs)

    def text(self) -> dict[str, Any]:
        """Return the equations, empty mappings left out."""
        names = ("rhs", "outputs", "initial", "lag", "bioavailability", "duration", "rate")
        found = {name: getattr(self, name) for name in names}
        return {name: each for name, each in found.items() if each}


class System:
    """A model ready to evaluate on arrays whose axis after the states are directions."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.states = model.states
        self._rhs = [read(each) for each in model.rhs.values()]
        self._outputs = {name: read(each) for name, each in model.outputs.items()}
        self._initial = [read(model.initial.get(name, "0")) for name in model.states]
        self._dosing = {
            word: {name: read(each) for name, each in getattr(model, word).items()}
            for word in ("lag", "bioavailability", "duration", "rate")
        }

    def names(self, p: Array) -> dict[str, Any]:
        """Name the parameters, first axis of `p`."""
        return dict(zip(self.model.parameters, p, strict=True))

    def derivative(self, t: Any, y: Array, p: Mapping[str, Any]) -> Array:
        """Right-hand side, shape of `y`, without inputs."""
        names = {**p, **dict(zip(self.states, y, strict=True)), "t": t}
        return np.stack([value(each, names) + 0 * y[0] for each in self._rhs])

    def start(self, p: Mapping[str, Any], like: Array) -> Array:
        """Give the initial state, shape (states, directions)."""
        return np.stack([value(each, p) + 0 * like for each in self._initial])

    def output(self, name: str, t: Any, y: Array, p: Mapping[str, Any]) -> Array:
        """One output, shape (directions,)."""
        names = {**p, **dict(zip(self.states, y, strict=True)), "t": t}
        return value(self._outputs[name], names) + 0 * y[0]

    def dosing(self, word: str, state: str, p: Mapping[str, Any], default: float) -> Any:
        """Lag, bioavailability, duration or rate of a state."""
        found = self._dosing[word].get(state)
        return np.longdouble(default) if found is None else value(found, p)
