"""Straight-line code of a problem: its functions, ready for numba.

All functions read bare pointers: ``y`` the states followed by the packed sensitivities (see
`Problem.sensitive`), ``c`` the parameters followed by the constants made of them, ``r`` the
infusion rate into every state.
"""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, override

import sympy
from sympy.printing.pycode import PythonCodePrinter

from bayesnlme.odes.compiling import njit, njit_inlined
from bayesnlme.odes.problem import Problem

_INLINED = 32
"""Largest right-hand side that is copied into every stage; a call costs as much as ten sums."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Code:
    """The functions of one problem, with or without sensitivities.

    Attributes
    ----------
    problem : Problem
        Where they come from.
    sensitivities : bool
        Whether there are sensitivities, or values alone.
    sensitive : tuple of (int, int)
        Pairs (state, parameter) of the packed sensitivities, empty for values alone.
    constants : callable
        ``c`` -> the constants made of parameters, to be stored behind them.
    initial : callable
        ``c`` -> states and packed sensitivities at the start.
    rhs : callable
        ``(t, y, c, r)`` -> derivative of states and packed sensitivities.
    readouts : callable
        ``(t, y, c)`` -> for every output its value, then (with sensitivities) its
        derivative by every parameter.
    n_constants : int
        Parameters and constants together.
    source : str
        Text of all functions.
    """

    problem: Problem
    sensitivities: bool
    sensitive: tuple[tuple[int, int], ...]
    constants: Any
    initial: Any
    rhs: Any
    readouts: Any
    n_constants: int
    source: str

    @property
    def size(self) -> int:
        """Number of states and packed sensitivities."""
        return len(self.problem.states) + len(self.sensitive)


@lru_cache(maxsize=64)
def generate(problem: Problem, *, sensitivities: bool) -> Code:
    """Write the functions of a problem as Python source, through SymPy's printer."""
    packed = problem.sensitive if sensitivities else ()
    writer = _Writer(problem, packed, sensitivities=sensitivities)
    functions = {
        "initial": writer.initial(),
        "rhs": writer.rhs(),
        "readouts": writer.readouts(),
    }
    functions["constants"] = writer.constants()
    return Code(
        problem=problem,
        sensitivities=sensitivities,
        sensitive=packed,
        n_constants=len(problem.parameters) + len(writer.hoisted),
        source="\n".join(inspect.getsource(each) for each in functions.values()),
        rhs=(njit_inlined if writer.size <= _INLINED else njit)(functions["rhs"]),
        **{name: njit(each) for name, each in functions.items() if name != "rhs"},
    )


class _Writer:
    """Lays out the symbols of a problem in memory and writes its functions.

    Whatever depends on the parameters alone is hoisted out of the functions of time: it is
    computed once per solve.
    """

    def __init__(
        self, problem: Problem, packed: tuple[tuple[int, int], ...], *, sensitivities: bool
    ) -> None:
        size = len(problem.states)
        self.problem = problem
        self.sensitivities = sensitivities
        self.packed = packed
        self.hoisted: dict[sympy.Expr, sympy.Symbol] = {}
        self.size = size + len(packed)
        self._place = {
            each: sympy.Symbol(f"y[{i}]", real=True) for i, each in enumerate(problem.state_symbols)
        } | {
            each: sympy.Symbol(f"c[{k}]", real=True)
            for k, each in enumerate(problem.parameter_symbols)
        }
        self._slope = {
            pair: sympy.Symbol(f"y[{size + m}]", real=True) for m, pair in enumerate(packed)
        }

    def constants(self) -> Any:
        """``c`` -> constants; call it last, when all of them are known."""
        found = [each.xreplace(self._place) for each in self.hoisted]
        return _function("constants", "c", *sympy.cse(found))

    def initial(self) -> Any:
        starts = list(self.problem.initial)
        slopes = self.problem.dinitial
        starts += [slopes[i][k] for i, k in self.packed]
        return _function("initial", "c", *sympy.cse([e.xreplace(self._place) for e in starts]))

    def rhs(self) -> Any:
        """S' = J S + df/dp, on the entries of S that are not zero."""
        problem, size = self.problem, range(len(self.problem.states))
        flow = problem.dfdy if self.packed else ()
        direct = problem.dfdp if self.packed else ()
        entries = [(i, j) for i in size for j in size if flow and flow[i][j] != 0]
        expressions = [
            *problem.rhs,
            *(flow[i][j] for i, j in entries),
            *(direct[i][k] for i, k in self.packed),
        ]
        shared, reduced = self._reduce(expressions)
        states = [
            each + sympy.Symbol(f"r[{i}]", real=True) for i, each in enumerate(reduced[: len(size)])
        ]
        jacobian = self._name(reduced[len(size) : len(size) + len(entries)], shared)
        forcing = reduced[len(size) + len(entries) :]
        slopes = [
            sympy.Add(
                own,
                *(
                    factor * self._slope[j, k]
                    for (row, j), factor in zip(entries, jacobian, strict=True)
                    if row == i and (j, k) in self._slope
                ),
            )
            for (i, k), own in zip(self.packed, forcing, strict=True)
        ]
        return _function("rhs", "t, y, c, r", shared, [*states, *slopes])

    def readouts(self) -> Any:
        """dg/dp_k at fixed time = sum_i dg/dy_i S_ik + dg/dp_k."""
        problem = self.problem
        by_state, direct = problem.dreadout_dy, problem.dreadout_dp
        expressions: list[sympy.Expr] = []
        for o, value in enumerate(problem.readouts):
            expressions.append(value)
            expressions += [
                sympy.Add(
                    direct[o][k],
                    *(by_state[o][i] * self._slope[i, q] for i, q in self.packed if q == k),
                )
                for k in range(len(problem.parameters))
                if self.sensitivities
            ]
        return _function("readouts", "t, y, c", *self._reduce(expressions))

    def _reduce(self, expressions: Sequence[sympy.Expr]) -> Any:
        placed = [self._hoist(each).xreplace(self._place) for each in expressions]
        shared, reduced = sympy.cse(placed)
        return list(shared), list(reduced)

    def _name(self, expressions: Sequence[sympy.Expr], shared: list[Any]) -> list[sympy.Expr]:
        """Give a name to what is used several times."""
        named: list[sympy.Expr] = []
        for index, each in enumerate(expressions):
            if each.is_Atom:
                named.append(each)
                continue
            name = sympy.Symbol(f"j{index}", real=True)
            shared.append((name, each))
            named.append(name)
        return named

    def _hoist(self, expression: sympy.Expr) -> sympy.Expr:
        if not expression.args:
            return expression
        if self._constant(expression):
            return self._keep(expression)
        arguments = list(expression.args)
        if expression.is_Add or expression.is_Mul:
            arguments = self._gather(expression)
        return expression.func(*(self._hoist(each) for each in arguments))

    def _gather(self, expression: sympy.Expr) -> list[sympy.Expr]:
        """Bring the constant terms or factors of a sum or product together."""
        numbers = [each for each in expression.args if each.is_number]
        constant = [e for e in expression.args if not e.is_number and self._constant(e)]
        rest = [e for e in expression.args if not e.is_number and not self._constant(e)]
        return [*numbers, *([expression.func(*constant)] if constant else []), *rest]

    def _constant(self, expression: sympy.Basic) -> bool:
        free = expression.free_symbols
        return bool(free) and free <= set(self.problem.parameter_symbols)

    def _keep(self, expression: sympy.Expr) -> sympy.Expr:
        if not isinstance(expression, sympy.Expr) or expression.is_Atom:
            return expression
        if expression not in self.hoisted:
            index = len(self.problem.parameters) + len(self.hoisted)
            self.hoisted[expression] = sympy.Symbol(f"c[{index}]", real=True)
        return self.hoisted[expression]


def _function(name: str, arguments: str, shared: Any, results: Sequence[sympy.Expr]) -> Any:
    """Return a Python function that assigns the shared parts and returns a tuple."""
    function = sympy.lambdify(
        sympy.symbols(arguments, seq=True),
        tuple(results),
        modules="math",
        printer=_NumbaPrinter(),
        cse=lambda _: (shared, tuple(results)),
    )
    function.__name__ = function.__qualname__ = name
    return function


class _NumbaPrinter(PythonCodePrinter):
    """Python source with exact numbers, floating-point wherever integers might overflow."""

    def __init__(self) -> None:
        super().__init__({"fully_qualified_modules": False, "inline": True})

    @override
    def _print_Float(self, expr: sympy.Float) -> str:
        return repr(float(expr))

    @override
    def _print_Integer(self, expr: sympy.Integer) -> str:
        return str(int(expr)) if abs(int(expr)) < 1000 else repr(float(expr))

    @override
    def _print_Rational(self, expr: sympy.Rational) -> str:
        return repr(float(expr))

    @override
    def _print_NumberSymbol(self, expr: sympy.NumberSymbol) -> str:
        return repr(float(expr))

    @override
    def _print_Exp1(self, expr: sympy.Expr) -> str:
        return self._print_NumberSymbol(expr)

    @override
    def _print_sign(self, expr: sympy.Expr) -> str:
        inner = self._print(expr.args[0])
        return f"(1.0 if {inner} > 0.0 else (-1.0 if {inner} < 0.0 else 0.0))"
