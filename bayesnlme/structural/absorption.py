"""How a drug reaches the central compartment, and what a model says of the doses."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

from bayesnlme.errors import ModelError
from bayesnlme.odes.problem import DOSING, Problem
from bayesnlme.structural.catalogue import Balance, check_choice

type Absorption = Literal["first_order", "zero_order", "transit"] | None
type Said = bool | str | Mapping[str, str | float]
"""Of doses: nothing (False), by a parameter of the usual name (True), by one of another name, or
for each compartment by a parameter or a number."""

_KINDS = (None, "first_order", "zero_order", "transit")
_USUAL = {"lag": "Tlag", "bioavailability": "F", "duration": "D1", "rate": "R1"}
_LONGEST = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """The way into the central compartment.

    Attributes
    ----------
    states : tuple of str
        Compartments before it.
    flows : callable
        ``(y, p)`` -> their derivatives, and the flow into the central compartment.
    duration : mapping of str to str
        By compartment, the duration over which plain doses enter it.
    shorthand : callable
        ``(p)`` -> what is written as a symbol of its own, by name.
    """

    states: tuple[str, ...]
    flows: Callable[[Any, Any], tuple[dict[str, Any], Any]]
    duration: Mapping[str, str]
    shorthand: Callable[[Any], dict[str, Any]] = lambda _: {}

    @property
    def first(self) -> str:
        """The first compartment, which doses go into."""
        return (*self.states, "central")[0]


def entry(absorption: Absorption, transit: int | None, *, model: str) -> Entry:
    """Return the way in.

    Parameters
    ----------
    absorption : None, "first_order", "zero_order" or "transit"
        None: doses go into the central compartment.
    transit : int, optional
        Number of transit compartments.
    model : str
        Name of the model, for messages.

    Raises
    ------
    ModelError
        If the absorption is none of these, or the number is missing, needless or out of range.
    """
    check_choice(absorption, _KINDS, model=model, what="absorption")
    if absorption == "transit":
        return _transit(_length(transit, model))
    if transit is not None:
        raise ModelError(f"{model}: transit={transit!r} needs absorption='transit'.")
    if absorption == "first_order":
        return Entry(states=("depot",), flows=_first_order, duration={})
    duration = {"central": "Tk0"} if absorption == "zero_order" else {}
    return Entry(states=(), flows=lambda *_: ({}, 0), duration=duration)


def _first_order(y: Any, p: Any) -> tuple[dict[str, Any], Any]:
    absorbed = p.ka * y.depot
    return {"depot": -absorbed}, absorbed


def _transit(count: int) -> Entry:
    """Return a chain of ``count + 1`` steps of rate ``ktr``, then one of rate ``ka``."""
    chain = ("depot", *(f"transit_{i}" for i in range(1, count + 1)))

    def flows(y: Any, p: Any) -> tuple[dict[str, Any], Any]:
        ktr = _transit_rate(count, p)
        absorbed = p.ka * y.absorption
        passed = [ktr * getattr(y, name) for name in chain]
        arrived = dict(zip((*chain[1:], "absorption"), passed, strict=True))
        left = {**dict(zip(chain, passed, strict=True)), "absorption": absorbed}
        return {name: arrived.get(name, 0) - left[name] for name in left}, absorbed

    return Entry(
        states=(*chain, "absorption"),
        flows=flows,
        duration={},
        shorthand=lambda p: {"ktr": _transit_rate(count, p)},
    )


def _transit_rate(count: int, p: Any) -> Any:
    return (count + 1) / p.MTT


def _length(transit: int | None, model: str) -> int:
    if not isinstance(transit, int) or isinstance(transit, bool) or not 1 <= transit <= _LONGEST:
        raise ModelError(
            f"{model}: absorption='transit' needs the number of transit compartments, a whole "
            f"number from 1 to {_LONGEST} such as transit=3, not {transit!r}."
        )
    return transit


class Doses(TypedDict):
    """What `bayesnlme.structural.custom.ode` is told of doses, by compartment."""

    lag: dict[str, Any]
    bioavailability: dict[str, Any]
    duration: dict[str, Any]
    rate: dict[str, Any]


def doses(said: Mapping[str, Said], way: Entry, *, model: str) -> Doses:
    """Take what a model is told of doses.

    Parameters
    ----------
    said : mapping of str to Said
        For every name of `DOSING`; where no compartment is named the first one is meant.
    way : Entry
        The way in, which may give a duration itself.
    model : str
        Name of the model, for messages.

    Raises
    ------
    ModelError
        If what is said is none of the forms, or a duration is given twice.
    """
    by_state = {name: _by_state(name, said[name], way.first, model) for name in DOSING}
    for state in sorted(by_state["duration"].keys() & way.duration.keys()):
        raise ModelError(
            f"{model}: zero-order absorption gives doses into {state!r} the duration "
            f"{way.duration[state]!r} already. Leave out duration=."
        )
    by_state["duration"] |= way.duration
    return Doses(
        lag=by_state["lag"],
        bioavailability=by_state["bioavailability"],
        duration=by_state["duration"],
        rate=by_state["rate"],
    )


def _by_state(what: str, said: Said, first: str, model: str) -> dict[str, Any]:
    if isinstance(said, Mapping):
        return dict(said)
    if isinstance(said, bool):
        return {first: _USUAL[what]} if said else {}
    if isinstance(said, str):
        return {first: said}
    raise ModelError(
        f"{model}: {what} must be True, the name of a parameter, or a dict from compartments to "
        f"these, not {said!r}."
    )


def dose_balances(problem: Problem) -> Iterator[Balance]:
    """Yield the balances of parameters that stand alone for what is said of doses."""
    units: dict[str, Balance] = {
        "lag": {"TIME": -1},
        "bioavailability": {},
        "duration": {"TIME": -1},
        "rate": {"TIME": 1, "AMT": -1},
    }
    for what, others in units.items():
        for each in getattr(problem, what):
            if each is not None and each.is_Symbol:
                yield {each.name: 1, **others}
