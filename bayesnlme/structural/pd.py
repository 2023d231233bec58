"""The pharmacodynamic catalogue, as users name it: ``bn.pd.emax(bn.pk.one_compartment())``.

Every model takes the structure that drives it, names the output that does (``driver``), and keeps
its outputs; so effects can be chained, as in ``emax(effect_compartment(pk), driver="site")``. Where
both have a name, rename the first: ``pk.renamed(MTT="MTT_absorption")``.

The equations, the units and the sources of all models are in the reference of the catalogue.
"""

from typing import Any, Literal

from bayesnlme.errors import ModelError
from bayesnlme.structural.catalogue import (
    annotated,
    catalogued,
    check_choice,
    check_drives,
    check_output,
    driven,
    like,
    per_time,
    pure,
    saturation,
    state,
    times,
)
from bayesnlme.structural.custom import OdeStructure

__all__ = ["effect_compartment", "emax", "friberg", "indirect_response"]

type Effect = Literal["stimulation", "inhibition"]

_EFFECTS = ("stimulation", "inhibition")


@catalogued("pd")
def effect_compartment(
    pk: OdeStructure, *, driver: str = "conc", output: str = "effect_site"
) -> OdeStructure:
    """Concentration at a site of effect, which follows the driver at rate ``ke0`` [Sheiner1979]_.

    Parameters
    ----------
    pk : OdeStructure
        What drives.
    driver : str
        Name of its output that does.
    output : str
        Name of the concentration at the site.

    Returns
    -------
    OdeStructure
        `pk` with this output too.

    Raises
    ------
    ModelError
        If `pk` has no output `driver`, or has a name that this model brings.

    References
    ----------
    .. [Sheiner1979] L. B. Sheiner, D. R. Stanski, S. Vozeh, R. D. Miller, J. Ham, Simultaneous
       modeling of pharmacokinetics and pharmacodynamics: application to d-tubocurarine, Clin.
       Pharmacol. Ther. 25 (1979) 358-371.

    Examples
    --------
    >>> from bayesnlme import pk
    >>> effect_compartment(pk.one_compartment()).parameters
    ('CL', 'V', 'ke0')
    """
    check_drives(pk)
    check_output(output, model="effect_compartment")
    made = driven(
        pk,
        driver,
        lambda c, y, p: {"effect_site": p.ke0 * (c - y.effect_site)},
        states=("effect_site",),
        outputs={output: state("effect_site")},
    )
    return annotated(made, *per_time("ke0"), *like(driver, output))


@catalogued("pd")
def emax(
    pk: OdeStructure,
    *,
    driver: str = "conc",
    effect: Effect = "stimulation",
    sigmoid: bool = False,
    baseline: bool = True,
    output: str = "E",
) -> OdeStructure:
    """Effect that follows the driver at once, up to a maximum.

    Parameters
    ----------
    pk : OdeStructure
        What drives; an `effect_compartment` for an effect that lags.
    driver : str
        Name of its output that does.
    effect : "stimulation" or "inhibition"
        ``E0 + Emax*C/(EC50 + C)``, or ``E0*(1 - Imax*C/(IC50 + C))``.
    sigmoid : bool
        Whether ``C`` and its half-maximal value are raised to ``gamma`` [Holford1981]_.
    baseline : bool
        Whether there is an effect ``E0`` without drug. Inhibition needs it.
    output : str
        Name of the effect.

    Returns
    -------
    OdeStructure
        `pk` with this output too.

    Raises
    ------
    ModelError
        If an option is unknown, `pk` has no output `driver`, or has a name that this model
        brings.

    References
    ----------
    .. [Holford1981] N. H. G. Holford, L. B. Sheiner, Understanding the dose-effect relationship:
       clinical application of pharmacokinetic-pharmacodynamic models, Clin. Pharmacokinet. 6
       (1981) 429-453.

    Examples
    --------
    >>> from bayesnlme import pk
    >>> emax(pk.one_compartment(), sigmoid=True).parameters
    ('CL', 'V', 'E0', 'Emax', 'EC50', 'gamma')
    """
    check_drives(pk)
    check_choice(effect, _EFFECTS, model="emax", what="effect")
    check_output(output, model="emax")
    if effect == "inhibition" and not baseline:
        raise ModelError("emax: an inhibition needs the baseline that it lowers.")

    def reached(c: Any, _: Any, p: Any) -> Any:
        base = p.E0 if baseline else 0
        change = _change(c, p, effect, sigmoid=sigmoid)
        return base + change if effect == "stimulation" else base * (1 - change)

    made = driven(pk, driver, lambda *_: {}, outputs={output: reached})
    return annotated(
        made, *like(output, "E0", "Emax"), *like(driver, "EC50", "IC50"), *pure("Imax", "gamma")
    )


@catalogued("pd")
def indirect_response(  # noqa: PLR0913  each choice by its own name
    pk: OdeStructure,
    *,
    driver: str = "conc",
    effect: Effect = "inhibition",
    on: Literal["production", "loss"] = "production",
    sigmoid: bool = False,
    baseline: bool = False,
    output: str = "response",
) -> OdeStructure:
    """Response that is made and lost, where the drug changes one of both (turnover).

    The four models of [Dayneka1993]_: I is inhibition of production, II of loss, III stimulation
    of production, IV of loss.

    Parameters
    ----------
    pk : OdeStructure
        What drives.
    driver : str
        Name of its output that does.
    effect : "inhibition" or "stimulation"
        The factor ``1 - Imax*C/(IC50 + C)``, or ``1 + Emax*C/(EC50 + C)``.
    on : "production" or "loss"
        What it multiplies: ``kin``, or ``kout*response``.
    sigmoid : bool
        Whether ``C`` and its half-maximal value are raised to ``gamma``.
    baseline : bool
        Whether the response without drug, ``R0``, is a parameter in place of ``kin = R0*kout``.
    output : str
        Name of the response.

    Returns
    -------
    OdeStructure
        `pk` with this output too; the response starts at ``kin/kout``.

    Raises
    ------
    ModelError
        If an option is unknown, `pk` has no output `driver`, or has a name that this model
        brings.

    References
    ----------
    .. [Dayneka1993] N. L. Dayneka, V. Garg, W. J. Jusko, Comparison of four basic models of
       indirect pharmacodynamic responses, J. Pharmacokinet. Biopharm. 21 (1993) 457-478.

    Examples
    --------
    >>> from bayesnlme import pk
    >>> indirect_response(pk.one_compartment()).parameters
    ('CL', 'V', 'kin', 'kout', 'Imax', 'IC50')
    """
    check_drives(pk)
    check_choice(effect, _EFFECTS, model="indirect_response", what="effect")
    check_choice(on, ("production", "loss"), model="indirect_response", what="on")
    check_output(output, model="indirect_response")

    def rhs(c: Any, y: Any, p: Any) -> dict[str, Any]:
        made, lost = p.R0 * p.kout if baseline else p.kin, p.kout * y.response
        change = _change(c, p, effect, sigmoid=sigmoid)
        factor = 1 - change if effect == "inhibition" else 1 + change
        return {"response": made * factor - lost if on == "production" else made - lost * factor}

    made = driven(
        pk,
        driver,
        rhs,
        states=("response",),
        initial={"response": lambda p: p.R0 if baseline else p.kin / p.kout},
        outputs={output: state("response")},
    )
    return annotated(
        made,
        *per_time("kout"),
        *like(output, "R0"),
        {"kin": 1, "TIME": 1, output: -1},
        *like(driver, "EC50", "IC50"),
        *pure("Imax", "Emax", "gamma"),
    )


@catalogued("pd")
def friberg(
    pk: OdeStructure,
    *,
    driver: str = "conc",
    effect: Literal["linear", "emax"] = "linear",
    output: str = "cells",
) -> OdeStructure:
    """Cells in blood whose making the drug holds back (myelosuppression) [Friberg2002]_.

    Stem cells divide at the rate ``ktr = 4/MTT``, mature through three stages and circulate; the
    fewer circulate, the faster stem cells divide. All start at ``Circ0``.

    Parameters
    ----------
    pk : OdeStructure
        What drives.
    driver : str
        Name of its output that does.
    effect : "linear" or "emax"
        By how much the drug slows division: ``slope*C``, or ``Emax*C/(EC50 + C)``.
    output : str
        Name of the cells that circulate.

    Returns
    -------
    OdeStructure
        `pk` with this output too.

    Raises
    ------
    ModelError
        If an option is unknown, `pk` has no output `driver`, or has a name that this model
        brings.

    References
    ----------
    .. [Friberg2002] L. E. Friberg, A. Henningsson, H. Maas, L. Nguyen, M. O. Karlsson, Model of
       chemotherapy-induced myelosuppression with parameter consistency across drugs, J. Clin.
       Oncol. 20 (2002) 4713-4721.

    Examples
    --------
    >>> from bayesnlme import pk
    >>> friberg(pk.one_compartment()).parameters
    ('CL', 'V', 'MTT', 'slope', 'Circ0', 'gamma')
    """
    check_drives(pk)
    check_choice(effect, ("linear", "emax"), model="friberg", what="effect")
    check_output(output, model="friberg")
    chain = ("stem", "maturing_1", "maturing_2", "maturing_3", "circulating")

    def rhs(c: Any, y: Any, p: Any) -> dict[str, Any]:
        ktr = _maturation(p)
        slowed = p.slope * c if effect == "linear" else _change(c, p, "stimulation", sigmoid=False)
        divided = ktr * y.stem * (1 - slowed) * (p.Circ0 / y.circulating) ** p.gamma
        passed = [divided, *(ktr * getattr(y, name) for name in chain)]
        return {name: passed[i] - passed[i + 1] for i, name in enumerate(chain)}

    made = driven(
        pk,
        driver,
        rhs,
        states=chain,
        initial={name: lambda p: p.Circ0 for name in chain},
        outputs={output: state("circulating")},
    )
    return annotated(
        made,
        *times("MTT"),
        *like(output, "Circ0"),
        *like(driver, "EC50"),
        *pure("Emax", "gamma"),
        {"slope": 1, driver: 1},
        shorthand=lambda _, p: {"ktr": _maturation(p)},
    )


def _maturation(p: Any) -> Any:
    return 4 / p.MTT


def _change(c: Any, p: Any, kind: Effect, *, sigmoid: bool) -> Any:
    """Return the share of its maximum that an effect reaches, times the maximum."""
    most, half = (p.Emax, p.EC50) if kind == "stimulation" else (p.Imax, p.IC50)
    return most * saturation(c, half, p.gamma if sigmoid else None)
