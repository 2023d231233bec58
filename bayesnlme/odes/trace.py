"""Trace the user's Python functions once, with symbols."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sympy

from bayesnlme.errors import ModelError, did_you_mean
from bayesnlme.odes.problem import (
    DOSING,
    Problem,
    check_known,
    check_names,
    check_states,
    make_problem,
)
from bayesnlme.odes.text import TIME, check_expression, symbol

type RightHandSide = Callable[[Any, Any, Any], Mapping[str, Any]]
type Initial = Mapping[str, float | Callable[[Any], Any]]
type Readout = Callable[[Any, Any, Any], Any]
type Dosing = Mapping[str, str | float | Callable[[Any], Any]]


_NOTHING = Problem(
    states=(), parameters=(), rhs=(), initial=(), outputs=(), readouts=(),
    lag=(), bioavailability=(), duration=(), rate=(),
)  # fmt: skip


def trace(
    rhs: RightHandSide,
    *,
    states: Sequence[str],
    initial: Initial | None,
    outputs: Mapping[str, Readout],
    dosing: Mapping[str, Dosing | None] | None = None,
    onto: Problem | None = None,
) -> Problem:
    """Call the functions of a model with symbols and keep the equations they return.

    Parameters
    ----------
    rhs, states, initial, outputs
        As in `bayesnlme.ode`.
    dosing : mapping, optional
        By a name of `DOSING`, what the model says of the doses into its states: the name of a
        parameter, a number or a function of the parameters.
    onto : Problem, optional
        A problem that these equations are added to. Its states and outputs are attributes of
        ``y`` as well.

    Raises
    ------
    ModelError
        If a function cannot be traced, names contradict each other, or an equation is refused by
        `make_problem`.
    """
    base = _NOTHING if onto is None else onto
    own = _names(states)
    order = (*base.states, *own)
    check_names(order, (), (*base.outputs, *outputs))
    check_known(initial or {}, own, what="initial")
    y = _States(order, dict(zip(base.outputs, base.readouts, strict=True)))
    p = _Parameters(base.parameters)
    derivatives = _call(rhs, (symbol(TIME), y, p), label="rhs")
    if not isinstance(derivatives, Mapping):
        raise ModelError(
            "rhs must return a dict from every state to its derivative, "
            f"not {type(derivatives).__name__}."
        )
    check_states(derivatives, own, what="rhs")
    flows = [check_expression(derivatives[name], label=f"d {name}/dt") for name in own]
    starts = [_start((initial or {}).get(name, 0), p, label=f"initial {name}") for name in own]
    readouts = [_readout(each, y, p, label=f"output {name}") for name, each in outputs.items()]
    said = {name: _dosing(name, (dosing or {}).get(name), base, order, p) for name in DOSING}
    return make_problem(
        states=order,
        parameters=p.names(),
        rhs=(*base.rhs, *flows),
        initial=(*base.initial, *starts),
        outputs=(*base.outputs, *outputs),
        readouts=(*base.readouts, *readouts),
        dosing=said,
    )


def trace_curve(
    function: Callable[[Any, Any], Any], *, label: str = "curve", argument: str = TIME
) -> tuple[sympy.Expr, tuple[str, ...]]:
    """Call a function of time, or of another argument, and parameters with symbols.

    Returns
    -------
    expression : expression
        What it returns.
    parameters : tuple of str
        Names of its parameters, in order of first use.

    Raises
    ------
    ModelError
        If it cannot be traced.
    """
    p = _Parameters(())
    value = _call(function, (symbol(argument), p), label=label)
    return check_expression(value, label=label), p.names()


def _names(states: Sequence[str]) -> tuple[str, ...]:
    if isinstance(states, str):
        raise ModelError(f"states must be a tuple of names, such as ({states!r},).")
    return tuple(states)


def _start(value: Any, p: Any, *, label: str) -> sympy.Expr:
    result = _call(value, (p,), label=label) if callable(value) else value
    return check_expression(result, label=label)


def _dosing(
    what: str, given: Dosing | None, base: Problem, states: Sequence[str], p: Any
) -> dict[str, sympy.Expr]:
    """Return what is said of the doses into each state, by the base and now."""
    if not isinstance(given, Mapping | None):
        raise ModelError(
            f'{what} must be a dict from states, such as {what}={{"{states[0]}": "name"}}, '
            f"not {given!r}."
        )
    check_known(given or {}, states, what=what)
    known = zip(base.states, getattr(base, what), strict=True)
    said = {state: each for state, each in known if each is not None}
    for state, value in (given or {}).items():
        if state in said:
            raise ModelError(f"The {what} of {state!r} is given already.")
        said[state] = _start(_named(value, p, what, state), p, label=f"{what} {state}")
    return said


def _named(value: Any, p: Any, what: str, state: str) -> Any:
    """Take a text as the name of a parameter."""
    if not isinstance(value, str):
        return value
    if not value.isidentifier():
        raise ModelError(
            f"{what} of {state!r}: {value!r} is no name of a parameter. "
            "Give a name, a number, or a function of p."
        )
    return getattr(p, value)


def _readout(function: Any, y: Any, p: Any, *, label: str) -> sympy.Expr:
    if not callable(function):
        raise ModelError(f"{label} must be a function of (t, y, p), not {function!r}.")
    return check_expression(_call(function, (symbol(TIME), y, p), label=label), label=label)


def _call(function: Callable[..., Any], arguments: tuple[Any, ...], *, label: str) -> Any:
    try:
        return function(*arguments)
    except TypeError as error:
        raise ModelError(f"{label} could not be traced with symbols: {_advice(error)}") from error


def _advice(error: TypeError) -> str:
    said = str(error)
    if "truth value" in said:
        return (
            "it decides on a value that is known only while solving (an if, and, or, min or max). "
            "Use bayesnlme.math.where, minimum or maximum."
        )
    if "to float" in said or "ufunc" in said or "must be real number" in said:
        return (
            "it calls a function of math or numpy. Use the one of bayesnlme.math, "
            "such as bayesnlme.math.exp."
        )
    return f"{said}."


class _States:
    """The states and the outputs of what is built onto, by attribute: ``y.central``."""

    __slots__ = ("_known", "_outputs")

    def __init__(self, names: tuple[str, ...], outputs: Mapping[str, sympy.Expr]) -> None:
        self._known = names
        self._outputs = outputs

    def __getattr__(self, name: str) -> sympy.Expr:
        if name.startswith("__"):
            raise AttributeError(name)
        if name in self._known and self._outputs.get(name, symbol(name)) != symbol(name):
            raise ModelError(
                f"y.{name} may mean the state {name!r} or the output of that name, which are not "
                "the same. Give the output another name."
            )
        if name in self._known:
            return symbol(name)
        if name in self._outputs:
            return self._outputs[name]
        near = did_you_mean(name, (*self._known, *self._outputs))
        raise ModelError(f"y.{name} is no state. {near}")


class _Parameters:
    """The parameters, by attribute: ``p.CL``; remembers the names in order of first use."""

    __slots__ = ("_seen",)

    def __init__(self, known: Sequence[str]) -> None:
        self._seen = dict.fromkeys(known)

    def __getattr__(self, name: str) -> sympy.Symbol:
        if name.startswith("__"):
            raise AttributeError(name)
        self._seen[name] = None
        return symbol(name)

    def names(self) -> tuple[str, ...]:
        return tuple(self._seen)
