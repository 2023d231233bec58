"""The catalogue of disease and population dynamics, as users name it: ``bn.disease.sir()``.

The equations, the units and the sources of all models are in the reference of the catalogue.
"""

from typing import Any, Literal

from bayesnlme.errors import ModelError
from bayesnlme.structural.catalogue import (
    annotated,
    catalogued,
    check_choice,
    check_output,
    driven,
    like,
    per_time,
    pure,
    saturation,
    state,
)
from bayesnlme.structural.custom import OdeStructure, ode

__all__ = ["lotka_volterra", "seir", "sir", "viral_dynamics"]


@catalogued("disease")
def viral_dynamics(
    pk: OdeStructure | None = None,
    *,
    driver: str = "conc",
    efficacy: Literal["production", "infection"] | None = None,
    start: Literal["chronic", "acute"] = "chronic",
    output: str = "virus",
) -> OdeStructure:
    """Target cells, infected cells and virus, and a drug that holds them back.

    The basic model of [Perelson1996]_ and [Neumann1998]_: target cells are made at rate ``s``,
    die at ``d`` and are infected at ``beta`` per virus; infected cells die at ``delta`` and make
    ``rho`` virus each per time; virus is cleared at ``c``.

    Parameters
    ----------
    pk : OdeStructure, optional
        What drives the efficacy, then ``C/(EC50 + C)``. Without it the efficacy is ``epsilon``,
        from the first record on.
    driver : str
        Name of its output that does.
    efficacy : None, "production" or "infection"
        What the drug lowers: nothing, the making of virus, or infection.
    start : "chronic" or "acute"
        At the first record: the steady state with the disease and without drug, or the one
        without disease and ``V0`` virus.
    output : str
        Name of the amount of virus per volume.

    Returns
    -------
    OdeStructure
        The structure; the outputs of `pk` stay.

    Raises
    ------
    ModelError
        If an option is unknown, `pk` is given without an efficacy, has no output `driver`, or
        has a name that this model brings.

    References
    ----------
    .. [Perelson1996] A. S. Perelson, A. U. Neumann, M. Markowitz, J. M. Leonard, D. D. Ho, HIV-1
       dynamics in vivo: virion clearance rate, infected cell life-span, and viral generation
       time, Science 271 (1996) 1582-1586.
    .. [Neumann1998] A. U. Neumann et al., Hepatitis C viral dynamics in vivo and the antiviral
       efficacy of interferon-alpha therapy, Science 282 (1998) 103-107.

    Examples
    --------
    >>> viral_dynamics(efficacy="production").parameters
    ('s', 'd', 'beta', 'delta', 'rho', 'c', 'epsilon')
    """
    model = "viral_dynamics"
    check_choice(efficacy, (None, "production", "infection"), model=model, what="efficacy")
    check_choice(start, ("chronic", "acute"), model=model, what="start")
    check_output(output, model=model)
    if pk is not None and efficacy is None:
        raise ModelError(
            "viral_dynamics: say what the drug lowers, with efficacy='production' or 'infection'."
        )

    def rhs(c: Any, y: Any, p: Any) -> dict[str, Any]:
        s, d, beta, delta = p.s, p.d, p.beta, p.delta
        infected = beta * y.target * y.virus
        made = p.rho * y.infected
        cleared = p.c * y.virus
        if efficacy is not None:
            left = 1 - (saturation(c, p.EC50) if pk else p.epsilon)
            infected = infected * left if efficacy == "infection" else infected
            made = made * left if efficacy == "production" else made
        return {
            "target": s - d * y.target - infected,
            "infected": infected - delta * y.infected,
            "virus": made - cleared,
        }

    made = driven(
        pk,
        driver,
        rhs,
        states=("target", "infected", "virus"),
        initial=_chronic() if start == "chronic" else _acute(),
        outputs={output: state("virus")},
    )
    return annotated(
        made,
        *per_time("d", "delta", "c"),
        {"beta": 1, output: 1, "TIME": 1},
        *like(output, "V0"),
        *like(driver, "EC50"),
        *pure("epsilon"),
    )


@catalogued("disease")
def sir(*, output: str = "infected") -> OdeStructure:
    """Susceptible, infected and recovered people, ``N`` in all [Kermack1927]_.

    Each infected infects ``beta`` people per time if all are susceptible, and recovers at rate
    ``gamma``; ``I0`` are infected at the first record, the others susceptible.

    Parameters
    ----------
    output : str
        Name of the number of infected people.

    Returns
    -------
    OdeStructure
        The structure.

    References
    ----------
    .. [Kermack1927] W. O. Kermack, A. G. McKendrick, A contribution to the mathematical theory of
       epidemics, Proc. R. Soc. Lond. A 115 (1927) 700-721.

    Examples
    --------
    >>> sir().parameters
    ('beta', 'N', 'gamma', 'I0')
    """
    return _epidemic("sir", output, latent=False)


@catalogued("disease")
def seir(*, output: str = "infected") -> OdeStructure:
    """People as in `sir` who, once infected, first are exposed and become infectious at ``sigma``.

    Parameters
    ----------
    output : str
        Name of the number of infectious people.

    Returns
    -------
    OdeStructure
        The structure; ``I0`` are infectious at the first record, none exposed.

    Examples
    --------
    >>> seir().parameters
    ('beta', 'N', 'gamma', 'sigma', 'I0')
    """
    return _epidemic("seir", output, latent=True)


@catalogued("disease")
def lotka_volterra() -> OdeStructure:
    """Prey and predators [Lotka1925]_ [Volterra1926]_; both are outputs.

    Prey multiply at rate ``alpha`` and are eaten at ``beta`` per predator; predators die at
    ``gamma`` and multiply at ``delta`` per prey. They start at ``prey0`` and ``predator0``.

    Returns
    -------
    OdeStructure
        The structure.

    References
    ----------
    .. [Lotka1925] A. J. Lotka, Elements of Physical Biology, Williams and Wilkins, 1925.
    .. [Volterra1926] V. Volterra, Fluctuations in the abundance of a species considered
       mathematically, Nature 118 (1926) 558-560.

    Examples
    --------
    >>> lotka_volterra().outputs
    ('prey', 'predator')
    """
    made = ode(
        lambda _, y, p: {
            "prey": p.alpha * y.prey - p.beta * y.prey * y.predator,
            "predator": p.delta * y.prey * y.predator - p.gamma * y.predator,
        },
        states=("prey", "predator"),
        initial={"prey": lambda p: p.prey0, "predator": lambda p: p.predator0},
        outputs={"prey": state("prey"), "predator": state("predator")},
    )
    return annotated(
        made,
        *per_time("alpha", "gamma"),
        {"beta": 1, "predator": 1, "TIME": 1},
        {"delta": 1, "prey": 1, "TIME": 1},
        *like("prey", "prey0"),
        *like("predator", "predator0"),
    )


def _epidemic(model: str, output: str, *, latent: bool) -> OdeStructure:
    check_output(output, model=model)
    states = ("susceptible", *(("exposed",) if latent else ()), "infected", "recovered")

    def rhs(_: Any, y: Any, p: Any) -> dict[str, Any]:
        passed = [p.beta * y.susceptible * y.infected / p.N, p.gamma * y.infected]
        if latent:
            passed.insert(1, p.sigma * y.exposed)
        return {
            name: arriving - leaving
            for name, arriving, leaving in zip(states, [0, *passed], [*passed, 0], strict=True)
        }

    made = ode(
        rhs,
        states=states,
        initial={"susceptible": lambda p: p.N - p.I0, "infected": lambda p: p.I0},
        outputs={output: state("infected")},
    )
    return annotated(made, *per_time("beta", "gamma", "sigma"), *like(output, "N", "I0"))


def _chronic() -> dict[str, Any]:
    """Return the steady state with the disease."""

    def target(p: Any) -> Any:
        return p.c * p.delta / (p.beta * p.rho)

    def infected(p: Any) -> Any:
        return (p.s - p.d * target(p)) / p.delta

    return {"target": target, "infected": infected, "virus": lambda p: p.rho * infected(p) / p.c}


def _acute() -> dict[str, Any]:
    """Return the steady state without the disease, and some virus."""
    return {"target": lambda p: p.s / p.d, "virus": lambda p: p.V0}
