"""What the models of the catalogue share: short entries in files, drivers, drug effects, units."""

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import wraps
from typing import Any

import sympy

from bayesnlme.errors import ModelError, did_you_mean
from bayesnlme.math import maximum
from bayesnlme.odes.text import symbol
from bayesnlme.structural.curve import CurveStructure
from bayesnlme.structural.custom import OdeStructure, ode

type Balance = dict[str, int]


def catalogued[**P, S: OdeStructure | CurveStructure](
    home: str,
) -> Callable[[Callable[P, S]], Callable[P, S]]:
    """Let a function of the catalogue note its name and arguments in the structure it makes.

    ``to_dict`` of the structure then gives these instead of the equations.
    """

    def noting(make: Callable[P, S]) -> Callable[P, S]:
        signature = inspect.signature(make)

        @wraps(make)
        def made(*args: P.args, **kwargs: P.kwargs) -> S:
            structure = make(*args, **kwargs)
            stated = {
                name: value
                for name, value in signature.bind(*args, **kwargs).arguments.items()
                if value != signature.parameters[name].default
            }
            return replace(structure, entry={"kind": f"{home}.{make.__name__}", **stated})

        return made

    return noting


def check_choice(value: object, known: Collection[object], *, model: str, what: str) -> None:
    """Refuse an option that is none of those known."""
    if value not in known:
        listed = ", ".join(map(repr, known))
        raise ModelError(f"{model}: no {what} {value!r}. Known: {listed}.")


def check_output(name: object, *, model: str) -> None:
    """Refuse a name of an output that is none."""
    if not isinstance(name, str) or not name.isidentifier():
        raise ModelError(f"{model}: output {name!r} is not a valid name.")


def check_drives(pk: object) -> None:
    """Refuse what is no structure of equations, which can drive others."""
    if not isinstance(pk, OdeStructure):
        raise ModelError(f"pk must be a structure such as bn.pk.one_compartment(), not {pk!r}.")


def driven(
    pk: OdeStructure | None,
    driver: str,
    rhs: Callable[[Any, Any, Any], Mapping[str, Any]],
    *,
    outputs: Mapping[str, Callable[[Any, Any, Any], Any]],
    states: Sequence[str] = (),
    initial: Mapping[str, float | Callable[[Any], Any]] | None = None,
) -> OdeStructure:
    """Add equations that an output of a pharmacokinetic model drives.

    Parameters
    ----------
    pk : OdeStructure or None
        The model that drives. None: nothing does, and the driver is 0.
    driver : str
        Name of its output.
    rhs, outputs : callable, mapping of str to callable
        As in `ode`, with the driver in place of time: ``rhs(c, y, p)``.
    states, initial
        As in `ode`.

    Raises
    ------
    ModelError
        If `pk` is no such structure, has no such output, or already has a name that these
        equations bring.
    """
    if pk is not None:
        check_drives(pk)
        if driver not in pk.outputs:
            near = did_you_mean(str(driver), pk.outputs)
            raise ModelError(f"driver: no output {driver!r}. {near}")
    taken = (*pk.problem.states, *pk.parameters) if pk else ()
    for name in states:
        refuse_taken(name, taken)

    def by_driver(function: Callable[[Any, Any, Any], Any]) -> Callable[[Any, Any, Any], Any]:
        return lambda _, y, p: function(getattr(y, driver) if pk else 0, y, _Own(p, taken))

    def start(value: float | Callable[[Any], Any]) -> float | Callable[[Any], Any]:
        return (lambda p: value(_Own(p, taken))) if callable(value) else value

    made = ode(
        by_driver(rhs),
        states=states,
        outputs={name: by_driver(each) for name, each in outputs.items()},
        initial={name: start(each) for name, each in (initial or {}).items()},
        onto=pk,
    )
    shown = {driver: pk.problem.readouts[pk.outputs.index(driver)]} if pk else {}
    return replace(made, shorthand={**made.shorthand, **shown})


def state(name: str) -> Callable[[Any, Any, Any], Any]:
    """Return an output that is a state."""
    return lambda _, y, __: getattr(y, name)


class _Own:
    """The parameters that equations bring, by attribute; those of the driving model are refused."""

    __slots__ = ("_parameters", "_taken")

    def __init__(self, parameters: Any, taken: Collection[str]) -> None:
        self._parameters = parameters
        self._taken = taken

    def __getattr__(self, name: str) -> Any:
        refuse_taken(name, self._taken)
        return getattr(self._parameters, name)


def refuse_taken(name: str, taken: Collection[str]) -> None:
    """Refuse a name that the model in front has."""
    if name in taken:
        raise ModelError(
            f"Both models have {name!r}. Rename that of the first, as in pk.renamed({name}=...)."
        )


def saturation(c: Any, half: Any, shape: Any = None) -> Any:
    """Return ``c / (half + c)``, or with a shape the Hill curve of that exponent.

    A power of a concentration that came out below zero, within the tolerance of the solver, is
    that of zero.
    """
    if shape is None:
        return c / (half + c)
    raised = maximum(c, 0) ** shape
    return raised / (half**shape + raised)


class Symbols:
    """Every name as an attribute, a symbol: what states and parameters are once traced."""

    def __getattr__(self, name: str) -> sympy.Symbol:
        if name.startswith("__"):
            raise AttributeError(name)
        return symbol(name)


def annotated(
    structure: OdeStructure,
    *balances: Balance,
    shorthand: Callable[[Any, Any], Mapping[str, Any]] | None = None,
) -> OdeStructure:
    """Return a structure with what is known of it beside its equations.

    Parameters
    ----------
    structure : OdeStructure
        The structure.
    *balances : dict
        Products of units that must be 1; those with a name that the structure lacks are left out.
    shorthand : callable, optional
        ``(y, p)`` -> expressions by the names that they are shown by, each in terms of states
        and parameters alone, those that occur in others first.
    """
    known = {"AMT", "TIME", *structure.parameters, *structure.outputs}
    kept = tuple(each for each in balances if each.keys() <= known)
    shown = shorthand(Symbols(), Symbols()) if shorthand else {}
    return replace(
        structure,
        balances=(*structure.balances, *kept),
        shorthand={**structure.shorthand, **shown},
    )


def per_time(*names: str) -> list[Balance]:
    """Balances of rate constants."""
    return [{name: 1, "TIME": 1} for name in names]


def times(*names: str) -> list[Balance]:
    """Balances of times."""
    return [{name: 1, "TIME": -1} for name in names]


def pure(*names: str) -> list[Balance]:
    """Balances of fractions and exponents."""
    return [{name: 1} for name in names]


def like(other: str, *names: str) -> list[Balance]:
    """Balances of what is measured like something else."""
    return [{name: 1, other: -1} for name in names]
