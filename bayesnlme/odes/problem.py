"""The problem to solve: states, parameters, equations and all derivatives, as symbols."""

import hashlib
import json
import keyword
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sympy

from bayesnlme.errors import ModelError, did_you_mean
from bayesnlme.odes.continuity import check_continuous
from bayesnlme.odes.derivative import derivative
from bayesnlme.odes.text import RESERVED, TIME, parse, symbol, text

type Expressions = tuple[sympy.Expr, ...]
type Matrix = tuple[Expressions, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Problem:
    """An initial value problem with outputs; equal to another of the same text.

    Attributes
    ----------
    states : tuple of str
        Names of the states, in the order that CMT counts them.
    parameters : tuple of str
        Names of the parameters, in order of first use.
    rhs : tuple of expression
        Time derivative of every state.
    initial : tuple of expression
        Value of every state at the start, a function of the parameters alone.
    outputs : tuple of str
        Names of the outputs.
    readouts : tuple of expression
        Every output as a function of time, states and parameters.
    key : str
        SHA-256 of the canonical text of the equations, in hexadecimal.
    """

    states: tuple[str, ...]
    parameters: tuple[str, ...]
    rhs: Expressions
    initial: Expressions
    outputs: tuple[str, ...]
    readouts: Expressions
    key: str = field(init=False)

    def __post_init__(self) -> None:
        content = json.dumps(self.to_dict(), sort_keys=False)
        object.__setattr__(self, "key", hashlib.sha256(content.encode()).hexdigest())

    @property
    def state_symbols(self) -> tuple[sympy.Symbol, ...]:
        """The symbols of the states."""
        return tuple(map(symbol, self.states))

    @property
    def parameter_symbols(self) -> tuple[sympy.Symbol, ...]:
        """The symbols of the parameters."""
        return tuple(map(symbol, self.parameters))

    @property
    def dfdy(self) -> Matrix:
        """Derivative of the right-hand side by the states, ``[i][j] = df_i/dy_j``."""
        return _jacobian(self.rhs, self.state_symbols)

    @property
    def dfdp(self) -> Matrix:
        """Derivative of the right-hand side by the parameters, ``[i][k] = df_i/dp_k``."""
        return _jacobian(self.rhs, self.parameter_symbols)

    @property
    def dinitial(self) -> Matrix:
        """Derivative of the initial state by the parameters."""
        return _jacobian(self.initial, self.parameter_symbols)

    @property
    def dreadout_dy(self) -> Matrix:
        """Derivative of the outputs by the states."""
        return _jacobian(self.readouts, self.state_symbols)

    @property
    def dreadout_dp(self) -> Matrix:
        """Derivative of the outputs by the parameters, at fixed states."""
        return _jacobian(self.readouts, self.parameter_symbols)

    @property
    def sensitive(self) -> tuple[tuple[int, int], ...]:
        """Pairs (state, parameter) whose sensitivity is not zero for structural reasons.

        A sensitivity starts where a parameter enters the derivative or the initial value of
        a state, and spreads along the non-zero entries of ``dfdy``.
        """
        size = range(len(self.states))
        direct, start, flow = self.dfdp, self.dinitial, self.dfdy
        found = {
            (i, k)
            for i in size
            for k in range(len(self.parameters))
            if direct[i][k] != 0 or start[i][k] != 0
        }
        while True:
            spread = {(i, k) for j, k in found for i in size if flow[i][j] != 0} - found
            if not spread:
                return tuple(sorted(found))
            found |= spread

    @property
    def reachable(self) -> tuple[tuple[int, ...], ...]:
        """For every state, itself and the states that a dose into it reaches."""
        flow = self.dfdy
        size = range(len(self.states))
        reached = []
        for source in size:
            found, border = {source}, {source}
            while border:
                border = {i for j in border for i in size if flow[i][j] != 0} - found
                found |= border
            reached.append(tuple(sorted(found)))
        return tuple(reached)

    def to_dict(self) -> dict[str, Any]:
        """Return the equations as canonical text; `problem_from_text` reads it back."""
        return {
            "states": list(self.states),
            "parameters": list(self.parameters),
            "rhs": _texts(self.states, self.rhs),
            "initial": {
                name: value
                for name, value in _texts(self.states, self.initial).items()
                if value != "0"
            },
            "outputs": _texts(self.outputs, self.readouts),
        }

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Problem) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


def problem_from_text(
    *,
    rhs: Mapping[str, str],
    outputs: Mapping[str, str],
    initial: Mapping[str, str] | None = None,
    states: Sequence[str] | None = None,
    parameters: Sequence[str] | None = None,
) -> Problem:
    """Read a problem from equations as text.

    Parameters
    ----------
    rhs, outputs, initial : mapping of str to str
        Derivative of every state; every output; initial values that are not zero.
    states : sequence of str, optional
        Order of the states; that of `rhs` if not given.
    parameters : sequence of str, optional
        Names of the parameters in their order; every other name, in order of first use, if
        not given.

    Raises
    ------
    ModelError
        If an equation cannot be read, the names contradict each other, or an equation may jump
        where a parameter or a state says.
    """
    order = tuple(rhs) if states is None else tuple(states)
    check_states(rhs, order, what="rhs")
    known = None if parameters is None else (*order, *parameters, TIME)
    fixed = None if parameters is None else tuple(parameters)
    derivatives = [parse(rhs[name], label=f"d {name}/dt", names=known) for name in order]
    starts = [
        parse((initial or {}).get(name, "0"), label=f"initial {name}", names=fixed)
        for name in order
    ]
    readouts = [parse(each, label=f"output {name}", names=known) for name, each in outputs.items()]
    check_known(initial or {}, order, what="initial")
    used = ordered_names([*derivatives, *starts, *readouts])
    return make_problem(
        states=order,
        parameters=tuple(n for n in used if n not in order) if fixed is None else fixed,
        rhs=derivatives,
        initial=starts,
        outputs=outputs,
        readouts=readouts,
    )


def make_problem(
    *,
    states: Sequence[str],
    parameters: Sequence[str],
    rhs: Sequence[sympy.Expr],
    initial: Sequence[sympy.Expr],
    outputs: Sequence[str] | Mapping[str, Any],
    readouts: Sequence[sympy.Expr],
) -> Problem:
    """Check a problem, bring its expressions to canonical form and freeze it.

    Raises
    ------
    ModelError
        If names contradict each other, or a derivative or an initial value may jump where a
        parameter or a state says.
    """
    check_names(states, parameters, tuple(outputs))
    if not parameters:
        raise ModelError("These equations have no parameter, so there is nothing to estimate.")
    used = {each.name for expr in (*rhs, *initial, *readouts) for each in expr.free_symbols}
    for name in sorted(used - {*states, *parameters, TIME}):
        raise ModelError(f"{name!r} is neither a state nor a parameter of these equations.")
    for name, start in zip(states, initial, strict=True):
        for each in sorted(s.name for s in start.free_symbols if s.name not in parameters):
            raise ModelError(f"The initial value of {name!r} may not depend on {each!r}.")
    problem = Problem(
        states=tuple(states),
        parameters=tuple(each for each in parameters if each in used),
        rhs=_canonical(rhs),
        initial=_canonical(initial),
        outputs=tuple(outputs),
        readouts=_canonical(readouts),
    )
    _check_switches(problem)
    return problem


def ordered_names(expressions: Sequence[sympy.Expr]) -> tuple[str, ...]:
    """Return the names used in expressions, time left out, in order of first use."""
    found: dict[str, None] = {}
    for expression in expressions:
        names = {each.name for each in expression.free_symbols} - {TIME}
        found |= dict.fromkeys(sorted(names - found.keys(), key=text(expression).find))
    return tuple(found)


def check_states(given: Mapping[str, Any], states: Sequence[str], *, what: str) -> None:
    """Refuse a mapping that does not name every state exactly once."""
    check_known(given, states, what=what)
    missing = [name for name in states if name not in given]
    if missing:
        names = ", ".join(map(repr, missing))
        raise ModelError(f"{what} gives no derivative of {names}: return one for every state.")


def check_known(given: Mapping[str, Any], states: Sequence[str], *, what: str) -> None:
    """Refuse names that are no states."""
    for name in given:
        if name not in states:
            raise ModelError(f"{what} names {name!r}. {did_you_mean(str(name), states)}")


def check_names(*groups: Sequence[str]) -> None:
    """Refuse names that are no identifiers, are reserved, or mean two things."""
    states, parameters, outputs = groups
    if not states or not outputs:
        raise ModelError("An ODE needs at least one state and at least one output.")
    for name in (*states, *parameters, *outputs):
        if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
            raise ModelError(f"{name!r} is no name: use letters, digits and underscores.")
    for name in (*states, *parameters):
        if name in RESERVED:
            raise ModelError(f"{name!r} is reserved in equations: choose another name.")
    for group in ((*states, *parameters), outputs):
        twice = sorted({name for name in group if group.count(name) > 1})
        if twice:
            raise ModelError(f"{twice[0]!r} is used twice: every name means one thing.")


def _check_switches(problem: Problem) -> None:
    """Refuse moving jumps in derivatives and initial values; outputs may have them."""
    for word, expressions in (("d {}/dt", problem.rhs), ("initial {}", problem.initial)):
        for name, each in zip(problem.states, expressions, strict=True):
            check_continuous(each, label=word.format(name), parameters=problem.parameter_symbols)


def _canonical(expressions: Sequence[sympy.Expr]) -> Expressions:
    return tuple(parse(text(each), label="equation") for each in expressions)


def _texts(names: Sequence[str], expressions: Expressions) -> dict[str, str]:
    return {name: text(each) for name, each in zip(names, expressions, strict=True)}


def _jacobian(functions: Expressions, variables: Sequence[sympy.Symbol]) -> Matrix:
    return tuple(tuple(derivative(each, by) for by in variables) for each in functions)
