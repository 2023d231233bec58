"""Target-mediated drug disposition: a drug that binds to what it meets, and is lost with it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from bayesnlme.errors import ModelError
from bayesnlme.math import sqrt, where
from bayesnlme.structural.absorption import Absorption, Said, dose_balances, doses, entry
from bayesnlme.structural.catalogue import (
    Balance,
    annotated,
    catalogued,
    check_choice,
    check_output,
    like,
    per_time,
    times,
)
from bayesnlme.structural.custom import OdeStructure, ode

type Approximation = Literal["quasi_steady_state"] | None

_ALSO_OUTPUTS = ("total", "target", "bound")


@catalogued("pk")
def tmdd(  # noqa: PLR0913  each choice by its own name
    *,
    approximation: Approximation = None,
    peripheral: bool = False,
    absorption: Absorption = None,
    transit: int | None = None,
    lag: Said = False,
    bioavailability: Said = False,
    duration: Said = False,
    rate: Said = False,
    output: str = "conc",
) -> OdeStructure:
    """Target-mediated disposition of a drug in a central compartment.

    Drug and target bind one to one. Their amounts per volume are counted in the same unit, that
    of doses over ``V``; the target is made at the rate ``ksyn`` and starts at ``ksyn/kdeg``.

    Parameters
    ----------
    approximation : None or "quasi_steady_state"
        None: the full model of [Mager2001]_, with ``kon`` and ``koff``. Quasi steady
        state: binding is as fast as what follows it, with ``Kss = (koff + kint)/kon``
        [Gibiansky2008]_, eqs 16-19.
    peripheral : bool
        Whether free drug exchanges with a compartment ``peripheral`` (``CL``, ``V1``, ``Q`` and
        ``V2`` in place of ``CL`` and ``V``).
    absorption, transit, lag, bioavailability, duration, rate
        As in `one_compartment`.
    output : str
        Name of the concentration of free drug. Further outputs are ``total`` (drug, free and
        bound), ``target`` (free) and ``bound``.

    Returns
    -------
    OdeStructure
        The structure.

    Raises
    ------
    ModelError
        If an option is unknown, or options contradict each other.

    References
    ----------
    .. [Mager2001] D. E. Mager, W. J. Jusko, General pharmacokinetic model for drugs exhibiting
       target-mediated drug disposition, J. Pharmacokinet. Pharmacodyn. 28 (2001) 507-532.
    .. [Gibiansky2008] L. Gibiansky, E. Gibiansky, T. Kakkar, P. Ma, Approximations of the
       target-mediated drug disposition model and identifiability of model parameters,
       J. Pharmacokinet. Pharmacodyn. 35 (2008) 573-591.

    Examples
    --------
    >>> tmdd(approximation="quasi_steady_state").parameters
    ('CL', 'V', 'Kss', 'kint', 'ksyn', 'kdeg')
    """
    check_choice(approximation, tuple(_KINDS), model="tmdd", what="approximation")
    check_choice(peripheral, (False, True), model="tmdd", what="peripheral")
    check_output(output, model="tmdd")
    if output in _ALSO_OUTPUTS:
        raise ModelError(f"tmdd: output={output!r} is the name of another output. Choose another.")
    way = entry(absorption, transit, model="tmdd")
    said = {"lag": lag, "bioavailability": bioavailability, "duration": duration, "rate": rate}
    targets, bind = _KINDS[approximation]

    def binding(y: Any, p: Any) -> Binding:
        return bind(y, p, p.V1 if peripheral else p.V)

    def rhs(_: Any, y: Any, p: Any) -> dict[str, Any]:
        flows, supply = way.flows(y, p)
        cleared, here = p.CL, binding(y, p)
        flows["central"] = supply - cleared * here.free - here.taken
        if peripheral:
            flows["peripheral"] = p.Q * here.free - p.Q * y.peripheral / p.V2
            flows["central"] -= flows["peripheral"]
        return {**flows, **here.flows}

    made = ode(
        rhs,
        states=(*way.states, "central", *(("peripheral",) if peripheral else ()), *targets),
        outputs={
            output: lambda _, y, p: binding(y, p).free,
            "total": lambda _, y, p: binding(y, p).total,
            "target": lambda _, y, p: binding(y, p).target,
            "bound": lambda _, y, p: binding(y, p).bound,
        },
        initial={targets[0]: lambda p: p.ksyn / p.kdeg},
        zero_order=tuple(way.duration),
        **doses(said, way, model="tmdd"),
    )
    return annotated(
        made,
        *_balances(output),
        *dose_balances(made.problem),
        shorthand=lambda y, p: {**way.shorthand(p), output: binding(y, p).free},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """Drug and target in the central compartment.

    Attributes
    ----------
    free, bound, total, target : expression
        Concentrations of drug: free, bound, and both; of free target.
    taken : expression
        Amount per time that binding takes out of the state ``central``.
    flows : dict
        Derivatives of the states of the target.
    """

    free: Any
    bound: Any
    total: Any
    target: Any
    taken: Any
    flows: dict[str, Any]


def _full(y: Any, p: Any, V: Any) -> Binding:
    """Bind and let go: ``central`` is the amount of free drug."""
    free = y.central / V
    bound = p.kon * free * y.target - p.koff * y.bound
    return Binding(
        free=free,
        bound=y.bound,
        total=free + y.bound,
        target=y.target,
        taken=V * bound,
        flows={
            "target": p.ksyn - p.kdeg * y.target - bound,
            "bound": bound - p.kint * y.bound,
        },
    )


def _quasi_steady_state(y: Any, p: Any, V: Any) -> Binding:
    """Bind at once: ``central`` is the amount of all drug, free and bound.

    Free drug is the positive root of ``C**2 - excess*C - Kss*total = 0``, written so that nothing
    cancels on either side of ``excess = 0``.
    """
    total = y.central / V
    excess = total - y.total_target - p.Kss
    root = sqrt(excess**2 + 4 * p.Kss * total)
    free = where(excess >= 0, (excess + root) / 2, 2 * p.Kss * total / (root - excess))
    bound = y.total_target * free / (p.Kss + free)
    unbound = y.total_target * p.Kss / (p.Kss + free)
    return Binding(
        free=free,
        bound=bound,
        total=total,
        target=unbound,
        taken=p.kint * V * bound,
        flows={"total_target": p.ksyn - p.kdeg * unbound - p.kint * bound},
    )


_KINDS: dict[Approximation, tuple[tuple[str, ...], Callable[[Any, Any, Any], Binding]]] = {
    None: (("target", "bound"), _full),
    "quasi_steady_state": (("total_target",), _quasi_steady_state),
}


def _balances(output: str) -> list[Balance]:
    """Return all balances that a model of this kind may have."""
    return [
        *({"AMT": 1, V: -1, output: -1} for V in ("V", "V1")),
        *({"CL": 1, V: -1, "TIME": 1} for V in ("V", "V1")),
        {"Q": 1, "V1": -1, "TIME": 1},
        *like("V1", "V2"),
        *like(output, "Kss", "total", "target", "bound"),
        *per_time("ka", "koff", "kint", "kdeg"),
        *times("MTT"),
        {"kon": 1, output: 1, "TIME": 1},
        {"ksyn": 1, "TIME": 1, output: -1},
    ]
