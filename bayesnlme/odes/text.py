"""Equations as text and back: a printer of symbols, and a parser that evaluates nothing.

The text is canonical: two problems are the same problem when their texts are equal.
"""

import ast
import operator
from collections.abc import Callable, Collection
from typing import Any, override

import sympy
from sympy.printing.precedence import PRECEDENCE
from sympy.printing.str import StrPrinter

from bayesnlme import math
from bayesnlme.errors import ModelError, did_you_mean

TIME = "t"

FUNCTIONS: dict[str, tuple[Callable[..., Any], int]] = {
    "exp": (math.exp, 1),
    "log": (math.log, 1),
    "log10": (math.log10, 1),
    "sqrt": (math.sqrt, 1),
    "sin": (math.sin, 1),
    "cos": (math.cos, 1),
    "tan": (math.tan, 1),
    "tanh": (math.tanh, 1),
    "abs": (math.abs, 1),
    "power": (math.power, 2),
    "minimum": (math.minimum, 2),
    "maximum": (math.maximum, 2),
    "where": (math.where, 3),
}
"""Functions that an equation may call, with their number of arguments."""

RESERVED = frozenset(FUNCTIONS) | {TIME, "pi"}
"""Names that no state and no parameter may have."""

_HEADS = (
    sympy.Add,
    sympy.Mul,
    sympy.Pow,
    sympy.exp,
    sympy.log,
    sympy.sin,
    sympy.cos,
    sympy.tan,
    sympy.tanh,
    sympy.Abs,
    sympy.Piecewise,
    sympy.functions.elementary.piecewise.ExprCondPair,
    sympy.StrictLessThan,
    sympy.LessThan,
    sympy.StrictGreaterThan,
    sympy.GreaterThan,
)
_ATOMS = (sympy.Symbol, sympy.Number, sympy.NumberSymbol, sympy.logic.boolalg.BooleanTrue)

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


def symbol(name: str) -> sympy.Symbol:
    """Return the symbol of a state, a parameter or the time: real, of either sign."""
    return sympy.Symbol(name, real=True)


def text(expression: sympy.Expr) -> str:
    """Write an expression so that `parse` reads it back.

    Examples
    --------
    >>> x = symbol("x")
    >>> text(math.where(x > 0, 0.1 * x, -x))
    'where(x > 0, 0.1*x, -x)'
    """
    return _Printer().doprint(expression)


def parse(source: str | float, *, label: str, names: Collection[str] | None = None) -> sympy.Expr:
    """Read an expression from text, by a closed list of operations.

    Parameters
    ----------
    source : str or float
        A number, or text of names, numbers, ``+ - * / **``, calls of the functions of
        `bayesnlme.math`, and one comparison as first argument of ``where``.
    label : str
        What the expression defines, for messages.
    names : collection of str, optional
        Names that may be used; any identifier if not given.

    Raises
    ------
    ModelError
        If the text is anything else, with its position.
    """
    if not isinstance(source, str):
        return check_expression(source, label=label)
    try:
        tree = ast.parse(source.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        place = getattr(error, "offset", None) or 1
        raise ModelError(f"{label}: cannot read {source!r} at position {place}.") from error
    reader = _Reader(source=source.strip(), label=label, names=names)
    try:
        return check_expression(reader.read(tree.body), label=label)
    except RecursionError as error:
        raise ModelError(f"{label}: the equation is nested too deeply to be read.") from error


def check_expression(value: Any, *, label: str) -> sympy.Expr:
    """Return a number or expression as an expression that `text` can write.

    Raises
    ------
    ModelError
        If it is none, is not finite, or uses a function that `bayesnlme.math` lacks.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | sympy.Expr):
        value = _from_numpy(value, label=label)
    expression = sympy.sympify(value)
    for node in sympy.preorder_traversal(expression):
        if node in (sympy.nan, sympy.zoo, sympy.oo, -sympy.oo, sympy.I):
            raise ModelError(f"{label}: {value} is not a finite real number.")
        if not isinstance(node, _HEADS + _ATOMS):
            raise ModelError(
                f"{label}: {type(node).__name__} is unknown here. "
                "Use the functions of bayesnlme.math: " + ", ".join(FUNCTIONS) + "."
            )
    return expression


def _from_numpy(value: Any, *, label: str) -> float:
    if not isinstance(value, bool) and getattr(value, "shape", None) == ():
        kind = getattr(getattr(value, "dtype", None), "kind", "")
        if kind in {"i", "u", "f"}:
            return float(value)
    raise ModelError(
        f"{label}: expected an expression or a number, got {type(value).__name__} {value!r}."
    )


class _Printer(StrPrinter):
    """Python text with exact numbers and the function names of `bayesnlme.math`."""

    @override
    def _print_Float(self, expr: sympy.Float) -> str:
        return repr(float(expr))

    @override
    def _print_NumberSymbol(self, expr: sympy.NumberSymbol) -> str:
        return repr(float(expr))

    @override
    def _print_Exp1(self, expr: sympy.Expr) -> str:
        return "exp(1)"

    @override
    def _print_Abs(self, expr: sympy.Abs) -> str:
        return f"abs({self._print(expr.args[0])})"

    @override
    def _print_Piecewise(self, expr: sympy.Piecewise) -> str:
        *rest, (last, _) = expr.args
        result = self._print(last)
        for value, condition in reversed(rest):
            result = f"where({self._print(condition)}, {self._print(value)}, {result})"
        return result

    @override
    def _print_Relational(self, expr: sympy.core.relational.Relational) -> str:
        left = self.parenthesize(expr.lhs, PRECEDENCE["Relational"])
        right = self.parenthesize(expr.rhs, PRECEDENCE["Relational"])
        return f"{left} {expr.rel_op} {right}"


class _Reader:
    """Walk a syntax tree and build the expression from the closed list."""

    def __init__(self, *, source: str, label: str, names: Collection[str] | None) -> None:
        self._source = source
        self._label = label
        self._names = names

    def read(self, node: ast.AST) -> Any:
        match node:
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                return self._number(node, value)
            case ast.Name(id=name):
                return self._name(node, name)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -self.read(operand)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self.read(operand)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
                return self._binary(node, _BINARY[type(op)], self.read(left), self.read(right))
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
                return self._call(node, name, arguments)
            case ast.BinOp(op=ast.BitXor()):
                raise self._error(node, "uses ^", hint="Write a power with **, as in x**2.")
        raise self._error(node, "is not allowed in an equation")

    def _number(self, node: ast.AST, value: float) -> Any:
        if isinstance(value, int):
            return sympy.Integer(value)
        if value in (float("inf"), float("-inf")):
            raise self._error(node, "is too large for a number")
        return sympy.Float(value)

    def _name(self, node: ast.AST, name: str) -> Any:
        if name == "pi":
            return sympy.Float(math.pi)
        if self._names is not None and name not in self._names:
            raise self._error(node, "is an unknown name", hint=did_you_mean(name, self._names))
        return symbol(name)

    def _binary(
        self, node: ast.AST, operate: Callable[[Any, Any], Any], left: Any, right: Any
    ) -> Any:
        too_big = operate is operator.pow and left.is_number and right.is_number
        if too_big and (abs(right) > 1000 or abs(left) > 10**6):
            raise self._error(node, "is too large a power of numbers")
        return operate(left, right)

    def _call(self, node: ast.AST, name: str, arguments: list[ast.expr]) -> Any:
        if name not in FUNCTIONS:
            raise self._error(node, "is an unknown function", hint=did_you_mean(name, FUNCTIONS))
        function, count = FUNCTIONS[name]
        if len(arguments) != count:
            raise self._error(node, f"needs {count} arguments")
        if name == "where":
            return function(self._condition(arguments[0]), *map(self.read, arguments[1:]))
        return function(*map(self.read, arguments))

    def _condition(self, node: ast.expr) -> Any:
        match node:
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARE:
                return _COMPARE[type(op)](self.read(left), self.read(right))
        raise self._error(node, "is not one comparison with <, <=, > or >=")

    def _error(self, node: ast.AST, problem: str, *, hint: str = "") -> ModelError:
        piece = ast.get_source_segment(self._source, node) or self._source
        place = getattr(node, "col_offset", 0) + 1
        message = f"{self._label}: {piece!r} at position {place} {problem}."
        return ModelError(f"{message} {hint}".rstrip())
