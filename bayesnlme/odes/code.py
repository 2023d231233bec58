"""Straight-line code of a problem: every function that a solve needs, as machine code.

All functions have one C signature, ``f(t, y, c, r, v, out)``, and work on `WIDTH` lanes at once
(see `bayesnlme.odes.emit`): ``y`` is the states followed by the packed columns of the
sensitivities, ``c`` the parameters followed by the constants made of them, ``r`` what infusions add
to every derivative, ``v`` a direction.

Columns of the sensitivities are numbered: first the parameters, then (for solves that change the
row of parameters or look for a steady state) the states, whose columns are the transition matrix
since the last event, then the rates of infusions that depend on parameters.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sympy

from bayesnlme.odes.derivative import derivative
from bayesnlme.odes.emit import Code as Lines
from bayesnlme.odes.emit import Compiled, compile_functions, slot
from bayesnlme.odes.linear import Block
from bayesnlme.odes.newton import NODES_AT_MOST, square_lines, table_lines
from bayesnlme.odes.problem import DOSING, Problem
from bayesnlme.odes.text import TIME, symbol

type Pairs = tuple[tuple[int, int], ...]

FUNCTIONS = (
    "constants",
    "initial",
    "readouts",
    "dosing",
    "spectrum",
    "jacobian",
    "differences",
    "square",
    "rhs",
    "curve",
    "drift",
    "rhs_transition",
    "curve_transition",
    "drift_transition",
)
"""The functions of a problem, in the order of their table of addresses."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Code:
    """The functions of one problem, with or without sensitivities.

    Attributes
    ----------
    problem : Problem
        Where they come from.
    sensitivities : bool
        Whether there are derivatives by the parameters, or values alone.
    plain, transition : tuple of (int, int)
        Pairs (state, column) of the packed sensitivities, for solves without and with the
        transition matrix.
    n_constants : int
        Parameters and constants together.
    blocks : tuple of Block
        The eigenvalues of a linear problem, where they have a closed form.
    n_nodes : int
        How many nodes the closed form of its solution takes; 0 without one.
    symbol : str
        Prefix of the names under which machine code finds them.
    lines : mapping of str to lines
        The functions by name, as symbols:

        ``constants``  ``c`` -> the constants, to be stored behind the parameters
        ``initial``    ``c`` -> states and plain packed sensitivities at the start
        ``readouts``   ``t, y, c`` -> for every output its value, then (with sensitivities) its
                       derivative by every state and by every parameter
        ``dosing``     ``c`` -> for every state lag, bioavailability, duration and rate, each
                       followed by its derivative by every parameter
        ``spectrum``   ``c`` -> coefficients of the blocks of eigenvalues
        ``jacobian``   ``t, y, c`` -> df/dy, by rows
        ``differences``, ``square``  divided differences; see `bayesnlme.odes.newton`
        ``rhs``        ``t, y, c, r`` -> derivative of states and packed sensitivities
        ``curve``      ``t, y, c, v`` -> change of the packed sensitivities' derivative as the
                       states move along v
        ``drift``      ``t, y, c`` -> partial derivative of ``rhs`` by time
    """

    problem: Problem
    sensitivities: bool
    plain: Pairs
    transition: Pairs
    n_constants: int
    blocks: tuple[Block, ...]
    n_nodes: int
    symbol: str
    lines: dict[str, Lines]

    def compile(self) -> Compiled:
        """Turn all functions into machine code of this process; the second call is free."""
        return compile_functions(self.lines, symbol=self.symbol)


@lru_cache(maxsize=64)
def generate(problem: Problem, *, sensitivities: bool) -> Code:
    """Write the functions of a problem."""
    writer = _Writer(problem, sensitivities=sensitivities)
    plain = problem.sensitive if sensitivities else ()
    transition = plain + _transition_pairs(problem)
    blocks = problem.spectrum or ()
    n_nodes = _n_nodes(blocks, sensitivities=sensitivities)
    lines: dict[str, Lines] = {
        "initial": writer.initial(plain),
        "readouts": writer.readouts(),
        "dosing": writer.dosing(),
        "spectrum": writer.spectrum(blocks),
        "jacobian": writer.jacobian(),
        "differences": table_lines(n_nodes),
        "square": square_lines(n_nodes),
    }
    for suffix, pairs in (("", plain), ("_transition", transition)):
        lines |= {name + suffix: each for name, each in writer.flow(pairs).items()}
    lines["constants"] = writer.constants()
    digest = hashlib.sha256(f"{problem.key} {sensitivities} {_digest(lines)}".encode()).hexdigest()
    return Code(
        problem=problem,
        sensitivities=sensitivities,
        plain=plain,
        transition=transition,
        n_constants=len(problem.parameters) + len(writer.hoisted),
        blocks=blocks,
        n_nodes=n_nodes,
        symbol=f"bayesnlme_{digest[:32]}",
        lines={name: lines[name] for name in FUNCTIONS},
    )


def modelled_rates(problem: Problem) -> tuple[int, ...]:
    """Return the states into which infusions may run whose rate depends on parameters."""
    return tuple(
        i
        for i, (duration, rate) in enumerate(zip(problem.duration, problem.rate, strict=True))
        if duration is not None or rate is not None
    )


def _transition_pairs(problem: Problem) -> Pairs:
    """Pairs of the columns behind the parameters: each state, then each modelled rate."""
    first = len(problem.parameters)
    reached = problem.reachable
    sources = (*range(len(problem.states)), *modelled_rates(problem))
    return tuple((i, first + k) for k, source in enumerate(sources) for i in reached[source])


def _n_nodes(blocks: Sequence[Block], *, sensitivities: bool) -> int:
    """Return how many nodes the closed form of a linear problem takes; 0 without one."""
    count = sum(block.size for block in blocks) * (1 + sensitivities) + 1
    return count if blocks and count <= NODES_AT_MOST else 0


def _digest(lines: dict[str, Lines]) -> str:
    text = repr(sorted((name, str(each)) for name, each in lines.items()))
    return hashlib.sha256(text.encode()).hexdigest()


class _Writer:
    """Lays out the symbols of a problem in memory and writes its functions.

    Whatever depends on the parameters alone is hoisted out of the functions of time: it is
    computed once per row of parameters.
    """

    def __init__(self, problem: Problem, *, sensitivities: bool) -> None:
        self.problem = problem
        self.sensitivities = sensitivities
        self.hoisted: dict[sympy.Expr, sympy.Symbol] = {}
        self._fixed = frozenset(problem.parameter_symbols)
        self._depends: dict[sympy.Basic, tuple[bool, bool]] = {}
        self._moved: dict[sympy.Expr, sympy.Expr] = {}
        self._states = range(len(problem.states))
        self._parameters = range(len(problem.parameters))
        self._flow, self._direct = problem.dfdy, problem.dfdp
        self._rates = modelled_rates(problem)
        self._place = {each: slot("y", i) for i, each in enumerate(problem.state_symbols)} | {
            each: slot("c", k) for k, each in enumerate(problem.parameter_symbols)
        }

    def constants(self) -> Lines:
        """``c`` -> constants; call it last, when all of them are known."""
        return _shared([each.xreplace(self._place) for each in self.hoisted])

    def initial(self, pairs: Pairs) -> Lines:
        slopes = self.problem.dinitial
        starts = [*self.problem.initial, *(slopes[i][k] for i, k in pairs)]
        return _shared([each.xreplace(self._place) for each in starts])

    def readouts(self) -> Lines:
        problem = self.problem
        results: list[sympy.Expr] = []
        for value, by_state, by_parameter in zip(
            problem.readouts, problem.dreadout_dy, problem.dreadout_dp, strict=True
        ):
            results += [value, *(by_state if self.sensitivities else ())]
            results += by_parameter if self.sensitivities else ()
        return self._lines(results)

    def dosing(self) -> Lines:
        problem = self.problem
        results: list[sympy.Expr] = []
        for i in self._states:
            for name in DOSING:
                said = getattr(problem, name)[i]
                value = sympy.Integer(name == "bioavailability") if said is None else said
                results += [value, *(derivative(value, p) for p in problem.parameter_symbols)]
        return _shared([each.xreplace(self._place) for each in results])

    def spectrum(self, blocks: Sequence[Block]) -> Lines:
        return self._lines([each for block in blocks for each in block.coefficients])

    def jacobian(self) -> Lines:
        return self._lines([each for row in self._flow for each in row])

    def flow(self, pairs: Pairs) -> dict[str, Lines]:
        """Return the right-hand side S' = J S + df/dp on packed pairs, and its derivatives."""
        problem, time = self.problem, symbol(TIME)
        column = {pair: slot("y", len(problem.states) + q) for q, pair in enumerate(pairs)}
        slopes = [self._slope(i, k, column) for i, k in pairs]
        whole = [*problem.rhs, *slopes]
        added = [slot("r", i) for i in self._states]
        added += [self._forcing(q, i, k) for q, (i, k) in enumerate(pairs)]
        along = [slot("v", i) for i in self._states]
        curve = [
            sympy.Add(
                *(
                    derivative(slope, state) * v
                    for state, v in zip(problem.state_symbols, along, strict=True)
                )
            )
            for slope in slopes
        ]
        timed = any(time in each.free_symbols for each in problem.rhs)
        return {
            "rhs": self._lines(whole, added),
            "curve": self._lines(curve),
            "drift": self._lines([derivative(each, time) for each in whole] if timed else []),
        }

    def _slope(self, i: int, k: int, column: dict[tuple[int, int], sympy.Symbol]) -> sympy.Expr:
        return sympy.Add(
            self._direct[i][k] if k in self._parameters else 0,
            *(self._flow[i][j] * column[j, k] for j in self._states if (j, k) in column),
        )

    def _forcing(self, q: int, i: int, k: int) -> sympy.Expr:
        """Return what an infusion adds to a column: its rate's derivative, or 1 for its own."""
        own = k - len(self._parameters) - len(self._states)
        if own >= 0:
            return sympy.Integer(self._rates[own] == i)
        rated = i in self._rates and k in self._parameters
        return slot("r", len(self._states) + q) if rated else sympy.Integer(0)

    def _lines(
        self, expressions: Sequence[sympy.Expr], added: Sequence[sympy.Expr] | None = None
    ) -> Lines:
        """Share what occurs twice; terms `added` at the end take no part in that."""
        shared, reduced = _shared([self._placed(each) for each in expressions])
        if added is None:
            return shared, reduced
        return shared, [each + more for each, more in zip(reduced, added, strict=True)]

    def _placed(self, expression: sympy.Expr) -> sympy.Expr:
        """Put places for symbols, and for what depends on the parameters alone."""
        if expression not in self._moved:
            self._moved[expression] = self._place_of(expression)
        return self._moved[expression]

    def _place_of(self, expression: sympy.Expr) -> sympy.Expr:
        if not expression.args:
            return self._place.get(expression, expression)
        if self._constant(expression):
            return self._keep(expression)
        arguments = list(expression.args)
        if expression.is_Add or expression.is_Mul:
            arguments = self._gather(expression)
        return expression.func(*(self._placed(each) for each in arguments))

    def _gather(self, expression: sympy.Expr) -> list[sympy.Expr]:
        """Bring the constant terms or factors of a sum or product together."""
        numbers = [each for each in expression.args if each.is_number]
        constant = [e for e in expression.args if not e.is_number and self._constant(e)]
        rest = [e for e in expression.args if not e.is_number and not self._constant(e)]
        return [*numbers, *([expression.func(*constant)] if constant else []), *rest]

    def _constant(self, expression: sympy.Basic) -> bool:
        """Say whether an expression depends on parameters, and on nothing else."""
        return self._dependence(expression) == (True, False)

    def _dependence(self, expression: sympy.Basic) -> tuple[bool, bool]:
        """Say whether an expression depends on parameters, and on anything else."""
        if not expression.args:
            fixed = expression in self._fixed
            return fixed, expression.is_Symbol and not fixed
        if expression not in self._depends:
            parts = [self._dependence(each) for each in expression.args]
            self._depends[expression] = any(p for p, _ in parts), any(o for _, o in parts)
        return self._depends[expression]

    def _keep(self, expression: sympy.Expr) -> sympy.Expr:
        if not isinstance(expression, sympy.Expr):
            return expression.xreplace(self._place)
        if expression not in self.hoisted:
            index = len(self.problem.parameters) + len(self.hoisted)
            self.hoisted[expression] = slot("c", index)
        return self.hoisted[expression]


def _shared(expressions: Sequence[sympy.Expr]) -> Any:
    shared, reduced = sympy.cse(list(expressions))
    return list(shared), list(reduced)
