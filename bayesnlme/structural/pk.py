"""The pharmacokinetic catalogue, as users name it: ``bn.pk.two_compartment(...)``.

Compartments are dosed by name or by number: with first-order absorption CMT 1 is ``depot`` and
CMT 2 ``central``; without absorption, or with zero-order absorption, CMT 1 is ``central``; with
transit compartments CMT 1 is ``depot``, the head of the chain. Peripheral compartments come last.

Models with linear elimination are solved in closed form; the others as differential equations.
The equations, the units and the sources of all models are in the reference of the catalogue.
"""

from bayesnlme.structural.absorption import Absorption, Said, entry
from bayesnlme.structural.catalogue import catalogued
from bayesnlme.structural.compartments import Elimination, Parametrization, compartments
from bayesnlme.structural.custom import OdeStructure
from bayesnlme.structural.one_compartment import superposed
from bayesnlme.structural.tmdd import tmdd

__all__ = ["one_compartment", "three_compartment", "tmdd", "two_compartment"]


@catalogued("pk")
def one_compartment(  # noqa: PLR0913  each choice by its own name
    *,
    absorption: Absorption = None,
    transit: int | None = None,
    elimination: Elimination = "linear",
    parametrization: Parametrization = "clearance",
    lag: Said = False,
    bioavailability: Said = False,
    duration: Said = False,
    rate: Said = False,
    output: str = "conc",
) -> OdeStructure:
    """One compartment.

    Parameters
    ----------
    absorption : None, "first_order", "zero_order" or "transit"
        None: doses go into the central compartment, as a bolus or an infusion. First order: from
        the depot at rate ``ka``. Zero order: into the central compartment at a constant rate over
        ``Tk0``, for doses of RATE 0. Transit: from the depot through a chain of mean transit time
        ``MTT``, then at rate ``ka`` [Savic2007]_.
    transit : int, optional
        Number of transit compartments, from 1 to 50.
    elimination : "linear", "michaelis_menten" or "parallel"
        Linear; saturable, with ``Vmax`` (amount per time) and ``Km`` (concentration) in place of
        clearance; or both side by side.
    parametrization : "clearance", "micro" or "half_life"
        ``CL`` and ``V``; ``k`` and ``V``; or ``V`` and ``t_half``.
    lag : bool, str or mapping
        Whether doses enter later: True for the parameter ``Tlag``, or another name; for the first
        compartment, or as in ``lag={"central": "Tlag"}``.
    bioavailability : bool, str or mapping
        Whether a fraction of a dose enters: True for ``F``; otherwise as `lag`.
    duration : bool, str or mapping
        How long doses of RATE -2 take to enter: True for ``D1``; otherwise as `lag`.
    rate : bool, str or mapping
        At what rate doses of RATE -1 enter: True for ``R1``; otherwise as `lag`.
    output : str
        Name of the concentration, amount over volume.

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
    .. [Savic2007] R. M. Savic, D. M. Jonker, T. Kerbusch, M. O. Karlsson, Implementation of a
       transit compartment model for describing drug absorption in pharmacokinetic studies,
       J. Pharmacokinet. Pharmacodyn. 34 (2007) 711-726.

    Examples
    --------
    >>> one_compartment(absorption="first_order", lag=True).parameters
    ('ka', 'CL', 'V', 'Tlag')
    """
    way = entry(absorption, transit, model="one_compartment")
    said = {"lag": lag, "bioavailability": bioavailability, "duration": duration, "rate": rate}
    structure = compartments(1, way, elimination, parametrization, said, output)
    plain = absorption in {None, "first_order"} and not any(said.values())
    if plain and elimination == "linear" and parametrization == "clearance":
        return superposed(structure)
    return structure


@catalogued("pk")
def two_compartment(  # noqa: PLR0913  each choice by its own name
    *,
    absorption: Absorption = None,
    transit: int | None = None,
    elimination: Elimination = "linear",
    parametrization: Parametrization = "clearance",
    lag: Said = False,
    bioavailability: Said = False,
    duration: Said = False,
    rate: Said = False,
    output: str = "conc",
) -> OdeStructure:
    """Two compartments: a central one, and ``peripheral``, which exchanges with it.

    Parameters
    ----------
    parametrization : "clearance", "micro" or "half_life"
        ``CL``, ``V1``, ``Q`` and ``V2``; ``k``, ``V``, ``k12`` and ``k21``; or ``V``,
        ``t_half_alpha``, ``t_half_beta`` and ``f_beta``, with which the concentration after a
        bolus is ``dose/V * ((1 - f_beta)*exp(-alpha*t) + f_beta*exp(-beta*t))``.
    absorption, transit, elimination, lag, bioavailability, duration, rate, output
        As in `one_compartment`.

    Returns
    -------
    OdeStructure
        The structure.

    Raises
    ------
    ModelError
        If an option is unknown, or options contradict each other.

    Examples
    --------
    >>> two_compartment(parametrization="half_life").parameters
    ('V', 't_half_alpha', 't_half_beta', 'f_beta')
    """
    way = entry(absorption, transit, model="two_compartment")
    said = {"lag": lag, "bioavailability": bioavailability, "duration": duration, "rate": rate}
    return compartments(2, way, elimination, parametrization, said, output)


@catalogued("pk")
def three_compartment(  # noqa: PLR0913  each choice by its own name
    *,
    absorption: Absorption = None,
    transit: int | None = None,
    elimination: Elimination = "linear",
    parametrization: Parametrization = "clearance",
    lag: Said = False,
    bioavailability: Said = False,
    duration: Said = False,
    rate: Said = False,
    output: str = "conc",
) -> OdeStructure:
    """Three compartments: a central one, and two, ``peripheral_1`` and ``peripheral_2``.

    Parameters
    ----------
    parametrization : "clearance", "micro" or "half_life"
        ``CL``, ``V1``, ``Q2``, ``V2``, ``Q3`` and ``V3``; ``k``, ``V``, ``k12``, ``k21``, ``k13``
        and ``k31``; or ``V``, ``t_half_alpha``, ``t_half_beta``, ``t_half_gamma``, ``f_beta`` and
        ``f_gamma``.
    absorption, transit, elimination, lag, bioavailability, duration, rate, output
        As in `one_compartment`.

    Returns
    -------
    OdeStructure
        The structure.

    Raises
    ------
    ModelError
        If an option is unknown, or options contradict each other.

    Examples
    --------
    >>> three_compartment(absorption="first_order").compartments
    ('depot', 'central', 'peripheral_1', 'peripheral_2')
    """
    way = entry(absorption, transit, model="three_compartment")
    said = {"lag": lag, "bioavailability": bioavailability, "duration": duration, "rate": rate}
    return compartments(3, way, elimination, parametrization, said, output)
