"""Trace the user's Python functions once, with symbols."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sympy

from bayesnlme.errors import ModelError, did_you_mean
from bayesnlme.odes.problem import (
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


def trace(
    rhs: RightHandSide,
    *,
    states: Sequence[str],
    initial: Initial | None,
    outputs: Mapping[str, Readout],
) -> Problem:
    """Call the functions of a model with symbols and keep the equations they return.

    Raises
    ------
    ModelError
        If a function cannot be traced, names contradict each other, or a derivative or an initial
        value may jump where a parameter or a state says.
    """
    order = _names(states)
    check_names(order, (), tuple(outputs))
    check_known(initial or {}, order, what="initial")
    y, p = _States(order), _Parameters()
    derivatives = _call(rhs, (symbol(TIME), y, p), label="rhs")
    if not isinstance(derivatives, Mapping):
        raise ModelError(
            "rhs must return a dict from every state to its derivative, "
            f"not {type(derivatives).__name__}."
        )
    check_states(derivatives, order, what="rhs")
    flows = [check_expression(derivatives[name], label=f"d {name}/dt") for name in order]
    starts = [_start((initial or {}).get(name, 0), p, label=f"initial {name}") for name in order]
    readouts = [_readout(each, y, p, label=f"output {name}") for name, each in outputs.items()]
    return make_problem(
        states=order,
        parameters=p.names(),
        rhs=flows,
        initial=starts,
        outputs=outputs,
        readouts=readouts,
    )


def _names(states: Sequence[str]) -> tuple[str, ...]:
    if isinstance(states, str):
        raise ModelError(f"states must be a tuple of names, such as ({states!r},).")
    return tuple(states)


def _start(value: Any, p: Any, *, label: str) -> sympy.Expr:
    result = _call(value, (p,), label=label) if callable(value) else value
    return check_expression(result, label=label)


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
    """The states, by attribute: ``y.central``."""

    __slots__ = ("_known",)

    def __init__(self, names: tuple[str, ...]) -> None:
        self._known = names

    def __getattr__(self, name: str) -> sympy.Symbol:
        if name.startswith("__"):
            raise AttributeError(name)
        if name not in self._known:
            raise ModelError(f"y.{name} is no state. {did_you_mean(name, self._known)}")
        return symbol(name)


class _Parameters:
    """The parameters, by attribute: ``p.CL``; remembers the names in order of first use."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: dict[str, None] = {}

    def __getattr__(self, name: str) -> sympy.Symbol:
        if name.startswith("__"):
            raise AttributeError(name)
        self._seen[name] = None
        return symbol(name)

    def names(self) -> tuple[str, ...]:
        return tuple(self._seen)
