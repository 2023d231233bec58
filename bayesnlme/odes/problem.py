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
from bayesnlme.odes.linear import Block, is_affine, spectrum
from bayesnlme.odes.text import RESERVED, TIME, parse, symbol, text

type Expressions = tuple[sympy.Expr, ...]
type Matrix = tuple[Expressions, ...]
type Optionals = tuple[sympy.Expr | None, ...]

DOSING = ("lag", "bioavailability", "duration", "rate")
"""What a model may say of the doses into a state."""


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
    lag : tuple of (expression or None)
        For every state, the time from a dose to its entry, a function of the parameters alone,
        as are the next three; None where the model says nothing.
    bioavailability : tuple of (expression or None)
        For every state, the fraction of a dose that enters.
    duration : tuple of (expression or None)
        For every state, how long a dose takes to enter at a constant rate, where the table
        leaves that to the model (RATE -2).
    rate : tuple of (expression or None)
        For every state, the constant rate at which a dose enters, where the table leaves that
        to the model (RATE -1).
    integrals : tuple of str
        States that only add up an output over time; doses do not set their tolerance.
    key : str
        SHA-256 of the canonical text of the equations, in hexadecimal.
    """

    states: tuple[str, ...]
    parameters: tuple[str, ...]
    rhs: Expressions
    initial: Expressions
    outputs: tuple[str, ...]
    readouts: Expressions
    lag: Optionals
    bioavailability: Optionals
    duration: Optionals
    rate: Optionals
    integrals: tuple[str, ...] = ()
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
        a state, or the lag, bioavailability, duration or rate of the doses into it, and spreads
        along the non-zero entries of ``dfdy``.
        """
        size = range(len(self.states))
        direct, start, flow = self.dfdp, self.dinitial, self.dfdy
        found = {
            (i, k)
            for i in size
            for k, parameter in enumerate(self.parameter_symbols)
            if direct[i][k] != 0 or start[i][k] != 0 or self._doses_depend(i, parameter)
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

    @property
    def linear(self) -> bool:
        """Whether the derivatives are affine in the states, by the parameters alone.

        Neither the coefficients nor the constant terms depend on time. Outputs may be anything.
        """
        return is_affine(self.rhs, self.state_symbols)

    @property
    def spectrum(self) -> tuple[Block, ...] | None:
        """The eigenvalues of ``dfdy``; see `bayesnlme.odes.linear.spectrum`.

        None where the problem is not linear, or where they have no closed form or may be complex.
        """
        return spectrum(self.dfdy) if self.linear else None

    def _doses_depend(self, state: int, parameter: sympy.Symbol) -> bool:
        said = (getattr(self, name)[state] for name in DOSING)
        return any(each is not None and parameter in each.free_symbols for each in said)

    def to_dict(self) -> dict[str, Any]:
        """Return the equations as canonical text; `problem_from_text` reads it back."""
        content = {
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
        for name in DOSING:
            said = zip(self.states, getattr(self, name), strict=True)
            if texts := {state: text(each) for state, each in said if each is not None}:
                content[name] = texts
        return content | ({"integrals": list(self.integrals)} if self.integrals else {})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Problem) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


def problem_from_text(  # noqa: PLR0913  one keyword for each entry of the text
    *,
    rhs: Mapping[str, str],
    outputs: Mapping[str, str],
    initial: Mapping[str, str] | None = None,
    lag: Mapping[str, str] | None = None,
    bioavailability: Mapping[str, str] | None = None,
    duration: Mapping[str, str] | None = None,
    rate: Mapping[str, str] | None = None,
    states: Sequence[str] | None = None,
    parameters: Sequence[str] | None = None,
) -> Problem:
    """Read a problem from equations as text.

    Parameters
    ----------
    rhs, outputs, initial : mapping of str to str
        Derivative of every state; every output; initial values that are not zero.
    lag, bioavailability, duration, rate : mapping of str to str, optional
        Of the doses into a state, for the states where the model says it.
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
    given = zip(DOSING, (lag, bioavailability, duration, rate), strict=True)
    dosing = {
        name: {s: parse(e, label=f"{name} {s}", names=fixed) for s, e in (said or {}).items()}
        for name, said in given
    }
    said = [each for by_state in dosing.values() for each in by_state.values()]
    used = ordered_names([*derivatives, *starts, *readouts, *said])
    return make_problem(
        states=order,
        parameters=tuple(n for n in used if n not in order) if fixed is None else fixed,
        rhs=derivatives,
        initial=starts,
        outputs=outputs,
        readouts=readouts,
        dosing=dosing,
    )


def make_problem(  # noqa: PLR0913  the fields of a problem
    *,
    states: Sequence[str],
    parameters: Sequence[str],
    rhs: Sequence[sympy.Expr],
    initial: Sequence[sympy.Expr],
    outputs: Sequence[str] | Mapping[str, Any],
    readouts: Sequence[sympy.Expr],
    dosing: Mapping[str, Mapping[str, sympy.Expr]],
) -> Problem:
    """Check a problem, bring its expressions to canonical form and freeze it.

    `dosing` has, for every name of `DOSING`, the states where the model says it.

    Raises
    ------
    ModelError
        If names contradict each other; a derivative, an initial value or what is said of doses
        may jump where a parameter or a state says; or what is said of doses depends on a state
        or on time, or is a number that it cannot be.
    """
    check_names(states, parameters, tuple(outputs))
    if not parameters:
        raise ModelError("These equations have no parameter, so there is nothing to estimate.")
    said = [each for by_state in dosing.values() for each in by_state.values()]
    used = {each.name for expr in (*rhs, *initial, *readouts, *said) for each in expr.free_symbols}
    for name in sorted(used - {*states, *parameters, TIME}):
        raise ModelError(f"{name!r} is neither a state nor a parameter of these equations.")
    for name, start in zip(states, initial, strict=True):
        _check_parameters_alone(start, f"The initial value of {name!r}", parameters)
    for what, by_state in dosing.items():
        check_known(by_state, states, what=what)
        for name, each in by_state.items():
            _check_parameters_alone(each, f"The {what} of {name!r}", parameters)
            _check_number(each, what, name)
    problem = Problem(
        states=tuple(states),
        parameters=tuple(each for each in parameters if each in used),
        rhs=_canonical(rhs),
        initial=_canonical(initial),
        outputs=tuple(outputs),
        readouts=_canonical(readouts),
        integrals=(),
        **{name: _optional(dosing[name], states) for name in DOSING},
    )
    _check_switches(problem)
    return problem


def renamed(problem: Problem, names: Mapping[str, str]) -> Problem:
    """Return a problem with other names of states, parameters and outputs, by the old ones.

    Raises
    ------
    ModelError
        If there is no such name, or the new ones contradict each other.
    """
    check_known(names, (*problem.states, *problem.parameters, *problem.outputs), what="renamed")
    symbols = {symbol(old): symbol(new) for old, new in names.items()}

    def renewed(expressions: Optionals) -> list[sympy.Expr | None]:
        return [None if each is None else each.xreplace(symbols) for each in expressions]

    def called(group: Sequence[str]) -> list[str]:
        return [names.get(each, each) for each in group]

    states = called(problem.states)
    return make_problem(
        states=states,
        parameters=called(problem.parameters),
        rhs=renewed(problem.rhs),
        initial=renewed(problem.initial),
        outputs=called(problem.outputs),
        readouts=renewed(problem.readouts),
        dosing={
            name: {
                state: each
                for state, each in zip(states, renewed(getattr(problem, name)), strict=True)
                if each is not None
            }
            for name in DOSING
        },
    )


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
    """Refuse what is no mapping, and names that are no states."""
    if not isinstance(given, Mapping):
        raise ModelError(
            f"{what} is {given!r}: write a mapping from the names of states, such as "
            f"{{{states[0]!r}: ...}}."
        )
    for name in given:
        if name not in states:
            raise ModelError(f"{what} names {name!r}. {did_you_mean(str(name), states)}")


def check_names(states: Sequence[str], parameters: Sequence[str], outputs: Sequence[str]) -> None:
    """Refuse a problem without states or outputs, and names that cannot be."""
    if not states or not outputs:
        raise ModelError("An ODE needs at least one state and at least one output.")
    check_identifiers((*states, *parameters), outputs)


def check_identifiers(symbols: Sequence[str], outputs: Sequence[str]) -> None:
    """Refuse names that are no identifiers, are reserved, or mean two things."""
    for name in (*symbols, *outputs):
        if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
            raise ModelError(f"{name!r} is no name: use letters, digits and underscores.")
    for name in symbols:
        if name in RESERVED:
            raise ModelError(f"{name!r} is reserved in equations: choose another name.")
    for group in (symbols, outputs):
        twice = sorted({name for name in group if group.count(name) > 1})
        if twice:
            raise ModelError(f"{twice[0]!r} is used twice: every name means one thing.")


def _check_parameters_alone(
    expression: sympy.Expr, subject: str, parameters: Sequence[str]
) -> None:
    for each in sorted(s.name for s in expression.free_symbols if s.name not in parameters):
        raise ModelError(
            f"{subject} may not depend on {each!r}: it is a function of the parameters alone."
        )


def _check_number(value: sympy.Expr, what: str, state: str) -> None:
    zero_allowed = what in {"lag", "bioavailability"}
    if value.is_number and (value < 0 or (value == 0 and not zero_allowed)):
        least = "at least" if zero_allowed else "above"
        raise ModelError(f"The {what} of {state!r} must be {least} 0, not {text(value)}.")


def _check_switches(problem: Problem) -> None:
    """Refuse moving jumps in derivatives, initial values and dosing; outputs may have them."""
    expressions = {"d {}/dt": problem.rhs, "initial {}": problem.initial}
    for word, each_state in {
        **expressions,
        **{f"{n} {{}}": getattr(problem, n) for n in DOSING},
    }.items():
        for name, each in zip(problem.states, each_state, strict=True):
            if each is not None:
                check_continuous(
                    each, label=word.format(name), parameters=problem.parameter_symbols
                )


def _canonical(expressions: Sequence[sympy.Expr]) -> Expressions:
    return tuple(parse(text(each), label="equation") for each in expressions)


def _optional(by_state: Mapping[str, sympy.Expr], states: Sequence[str]) -> Optionals:
    return tuple(_canonical([by_state[name]])[0] if name in by_state else None for name in states)


def _texts(names: Sequence[str], expressions: Expressions) -> dict[str, str]:
    return {name: text(each) for name, each in zip(names, expressions, strict=True)}


def _jacobian(functions: Expressions, variables: Sequence[sympy.Symbol]) -> Matrix:
    return tuple(tuple(derivative(each, by) for by in variables) for each in functions)
