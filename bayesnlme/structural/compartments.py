"""Mammillary compartments: a central one, and up to two that exchange with it.

Gibaldi and Perrier (1982), *Pharmacokinetics*, 2nd ed., chapters 1, 2 and 7.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from sympy import log

from bayesnlme.errors import ModelError
from bayesnlme.structural.absorption import Entry, Said, dose_balances, doses
from bayesnlme.structural.catalogue import (
    Balance,
    annotated,
    check_choice,
    check_output,
    like,
    per_time,
    pure,
    saturation,
    times,
)
from bayesnlme.structural.custom import OdeStructure, ode

type Elimination = Literal["linear", "michaelis_menten", "parallel"]
type Parametrization = Literal["clearance", "micro", "half_life"]

_ELIMINATIONS = ("linear", "michaelis_menten", "parallel")
_MODELS = ("one_compartment", "two_compartment", "three_compartment")
_SHARES = ("f_beta", "f_gamma")
_PERIPHERAL = ((), ("peripheral",), ("peripheral_1", "peripheral_2"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Disposition:
    """Where a drug goes from the central compartment.

    Attributes
    ----------
    V : expression
        Volume of the central compartment.
    k : expression
        Rate constant of linear elimination, 0 if there is none.
    exchange : tuple of (expression, expression)
        For every peripheral compartment the rate constants into it and back.
    shorthand : mapping of str to expression
        What is written as a symbol of its own.
    """

    V: Any
    k: Any
    exchange: tuple[tuple[Any, Any], ...]
    shorthand: Mapping[str, Any] = field(default_factory=dict)


def compartments(
    count: int,
    way: Entry,
    elimination: Elimination,
    parametrization: Parametrization,
    said: Mapping[str, Said],
    output: str,
) -> OdeStructure:
    """Put a model together.

    Parameters
    ----------
    count : int
        Number of compartments, the way in left out: 1, 2 or 3.
    way : Entry
        The way in.
    elimination, parametrization, output
        As in `bayesnlme.structural.pk.one_compartment`.
    said : mapping of str to Said
        What is said of doses, for every name of `DOSING`.

    Raises
    ------
    ModelError
        If an option is unknown, or options contradict each other.
    """
    model = _MODELS[count - 1]
    check_choice(elimination, _ELIMINATIONS, model=model, what="elimination")
    check_choice(parametrization, tuple(_DISPOSITIONS), model=model, what="parametrization")
    check_output(output, model=model)
    linear = elimination != "michaelis_menten"
    if parametrization == "half_life" and elimination != "linear":
        raise ModelError(f"{model}: half-lives need linear elimination, not {elimination!r}.")
    peripheral = _PERIPHERAL[count - 1]

    def disposition(p: Any) -> Disposition:
        return _DISPOSITIONS[parametrization](p, count, linear=linear)

    def rhs(_: Any, y: Any, p: Any) -> dict[str, Any]:
        flows, supply = way.flows(y, p)
        body = disposition(p)
        central = supply - body.k * y.central
        if elimination != "linear":
            central -= p.Vmax * saturation(y.central / body.V, p.Km)
        for name, (out, back) in zip(peripheral, body.exchange, strict=True):
            flows[name] = out * y.central - back * getattr(y, name)
            central -= flows[name]
        return {**flows, "central": central}

    made = ode(
        rhs,
        states=(*way.states, "central", *peripheral),
        outputs={output: lambda _, y, p: y.central / disposition(p).V},
        zero_order=tuple(way.duration),
        **doses(said, way, model=model),
    )
    made = replace(made, shares=tuple(each for each in _SHARES if each in made.parameters))
    return annotated(
        made,
        *_balances(output),
        *dose_balances(made.problem),
        shorthand=lambda y, p: {
            **way.shorthand(p),
            **disposition(p).shorthand,
            **({} if elimination == "linear" else {output: y.central / disposition(p).V}),
        },
    )


def _clearance(p: Any, count: int, *, linear: bool) -> Disposition:
    cleared = p.CL if linear else 0
    V = p.V if count == 1 else p.V1
    pairs = {1: (), 2: (("Q", "V2"),), 3: (("Q2", "V2"), ("Q3", "V3"))}[count]
    exchange = [(getattr(p, flow), getattr(p, volume)) for flow, volume in pairs]
    return Disposition(
        V=V, k=cleared / V, exchange=tuple((Q / V, Q / other) for Q, other in exchange)
    )


def _micro(p: Any, count: int, *, linear: bool) -> Disposition:
    k, V = p.k if linear else 0, p.V
    others = range(2, count + 1)
    exchange = tuple((getattr(p, f"k1{i}"), getattr(p, f"k{i}1")) for i in others)
    return Disposition(V=V, k=k, exchange=exchange)


def _half_life(p: Any, count: int, *, linear: bool) -> Disposition:  # noqa: ARG001  always
    """Invert half-lives and shares; every factor is positive, so nothing cancels.

    With alpha > beta > gamma the rates of the phases, ``k21`` lies between alpha and beta, at the
    share ``f_beta`` of the way, and ``k31`` between beta and gamma at the share ``f_gamma``.
    """
    V = p.V
    if count == 1:
        k = log(2) / p.t_half
        return Disposition(V=V, k=k, exchange=(), shorthand={"k": k})
    phases = ("alpha", "beta", "gamma")[:count]
    rates = {name: log(2) / getattr(p, f"t_half_{name}") for name in phases}
    shares = [getattr(p, f"f_{name}") for name in phases[1:]]
    constants = (_two_phases if count == 2 else _three_phases)(*rates.values(), *shares)
    exchange = [(constants[f"k1{i}"], constants[f"k{i}1"]) for i in range(2, count + 1)]
    return Disposition(
        V=V, k=constants["k"], exchange=tuple(exchange), shorthand={**rates, **constants}
    )


def _two_phases(alpha: Any, beta: Any, f_beta: Any) -> dict[str, Any]:
    k21 = beta + f_beta * (alpha - beta)
    k12 = f_beta * (1 - f_beta) * (alpha - beta) ** 2 / k21
    return {"k21": k21, "k12": k12, "k": alpha * beta / k21}


def _three_phases(alpha: Any, beta: Any, gamma: Any, f_beta: Any, f_gamma: Any) -> dict[str, Any]:
    k21 = beta + f_beta * (alpha - beta)
    k31 = gamma + f_gamma * (beta - gamma)
    apart = f_beta * (alpha - beta) + (1 - f_gamma) * (beta - gamma)
    k12 = f_beta * (1 - f_beta) * (alpha - beta) ** 2 * (k21 - gamma) / (k21 * apart)
    k13 = f_gamma * (1 - f_gamma) * (beta - gamma) ** 2 * (alpha - k31) / (k31 * apart)
    k = alpha * beta * gamma / (k21 * k31)
    return {"k21": k21, "k31": k31, "k12": k12, "k13": k13, "k": k}


_DISPOSITIONS = {"clearance": _clearance, "micro": _micro, "half_life": _half_life}


def _balances(output: str) -> list[Balance]:
    """Return all balances that a model of this kind may have."""
    return [
        *({"AMT": 1, V: -1, output: -1} for V in ("V", "V1")),
        *({"CL": 1, V: -1, "TIME": 1} for V in ("V", "V1")),
        *({Q: 1, "V1": -1, "TIME": 1} for Q in ("Q", "Q2", "Q3")),
        *like("V1", "V2", "V3"),
        *per_time("ka", "k", "k12", "k21", "k13", "k31"),
        *times("MTT", "t_half", "t_half_alpha", "t_half_beta", "t_half_gamma"),
        *pure(*_SHARES),
        *like(output, "Km"),
        {"Vmax": 1, "TIME": 1, "AMT": -1},
    ]
