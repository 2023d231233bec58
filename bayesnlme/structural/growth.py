"""The catalogue of growth, as users name it: ``bn.growth.gompertz()``.

Two kinds of models. `exponential`, `logistic`, `gompertz` and `simeoni` are differential equations
of something that grows, such as a tumour; the output of a pharmacokinetic model may drive what
kills it. Those whose name ends in ``_curve`` are functions of time, for tables without doses.

The equations, the units and the sources of all models are in the reference of the catalogue.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from bayesnlme.math import exp, log
from bayesnlme.structural.catalogue import (
    annotated,
    catalogued,
    check_output,
    driven,
    like,
    per_time,
    state,
    times,
)
from bayesnlme.structural.curve import CurveStructure, curve
from bayesnlme.structural.custom import OdeStructure

_SHARPNESS = 20
"""Exponent of the change from exponential to linear growth, fixed by the authors."""

__all__ = [
    "asymptotic_curve",
    "exponential",
    "four_parameter_logistic_curve",
    "gompertz",
    "gompertz_curve",
    "logistic",
    "logistic_curve",
    "simeoni",
]


@catalogued("growth")
def exponential(
    pk: OdeStructure | None = None, *, driver: str = "conc", output: str = "size"
) -> OdeStructure:
    """Exponential growth from ``size0`` at rate ``kg``; a driver kills at rate ``kd*C``.

    Parameters
    ----------
    pk : OdeStructure, optional
        What drives the killing. Without it nothing is killed.
    driver : str
        Name of its output that does.
    output : str
        Name of the size.

    Returns
    -------
    OdeStructure
        The structure; the outputs of `pk` stay.

    Raises
    ------
    ModelError
        If `pk` has no output `driver`, or has a name that this model brings.

    Examples
    --------
    >>> exponential().parameters
    ('kg', 'size0')
    """
    return _growing("exponential", pk, driver, output, lambda size, p: p.kg * size)


@catalogued("growth")
def logistic(
    pk: OdeStructure | None = None, *, driver: str = "conc", output: str = "size"
) -> OdeStructure:
    """Growth that slows in proportion to the size, up to ``size_max``.

    Parameters
    ----------
    pk, driver, output
        As in `exponential`.

    Returns
    -------
    OdeStructure
        The structure; the outputs of `pk` stay.

    Raises
    ------
    ModelError
        If `pk` has no output `driver`, or has a name that this model brings.

    Examples
    --------
    >>> from bayesnlme import pk
    >>> logistic(pk.one_compartment()).parameters
    ('CL', 'V', 'kg', 'size_max', 'kd', 'size0')
    """
    return _growing(
        "logistic", pk, driver, output, lambda size, p: p.kg * size * (1 - size / p.size_max)
    )


@catalogued("growth")
def gompertz(
    pk: OdeStructure | None = None, *, driver: str = "conc", output: str = "size"
) -> OdeStructure:
    """Growth that slows with the logarithm of the size, up to ``size_max``.

    Parameters
    ----------
    pk, driver, output
        As in `exponential`.

    Returns
    -------
    OdeStructure
        The structure; the outputs of `pk` stay.

    Raises
    ------
    ModelError
        If `pk` has no output `driver`, or has a name that this model brings.

    Examples
    --------
    >>> gompertz().parameters
    ('kg', 'size_max', 'size0')
    """
    return _growing(
        "gompertz", pk, driver, output, lambda size, p: p.kg * size * log(p.size_max / size)
    )


@catalogued("growth")
def simeoni(
    pk: OdeStructure | None = None, *, driver: str = "conc", output: str = "weight"
) -> OdeStructure:
    """Growth of a tumour, first exponential and then linear, and its death in steps [Simeoni2004]_.

    Cells that the drug damages, at rate ``k2*C``, die in three steps of rate ``k1``; they weigh
    until then.

    Parameters
    ----------
    pk : OdeStructure, optional
        What drives the damage. Without it the tumour grows unperturbed.
    driver : str
        Name of its output that does.
    output : str
        Name of the weight of the tumour.

    Returns
    -------
    OdeStructure
        The structure; the outputs of `pk` stay.

    Raises
    ------
    ModelError
        If `pk` has no output `driver`, or has a name that this model brings.

    References
    ----------
    .. [Simeoni2004] M. Simeoni et al., Predictive pharmacokinetic-pharmacodynamic modeling of
       tumor growth kinetics in xenograft models after administration of anticancer agents,
       Cancer Res. 64 (2004) 1094-1101.

    Examples
    --------
    >>> simeoni().parameters
    ('lambda0', 'lambda1', 'w0')
    """
    check_output(output, model="simeoni")
    damaged = ("damaged_1", "damaged_2", "damaged_3") if pk else ()

    def weight(y: Any) -> Any:
        return sum((getattr(y, name) for name in damaged), y.growing)

    def rhs(c: Any, y: Any, p: Any) -> dict[str, Any]:
        linear = (p.lambda0 / p.lambda1 * weight(y)) ** _SHARPNESS
        grown = p.lambda0 * y.growing / (1 + linear) ** (1 / _SHARPNESS)
        if not damaged:
            return {"growing": grown}
        passed = [p.k2 * c * y.growing, *(p.k1 * getattr(y, name) for name in damaged)]
        deaths = {name: passed[i] - passed[i + 1] for i, name in enumerate(damaged)}
        return {"growing": grown - passed[0], **deaths}

    made = driven(
        pk,
        driver,
        rhs,
        states=("growing", *damaged),
        initial={"growing": lambda p: p.w0},
        outputs={output: lambda _, y, __: weight(y)},
    )
    return annotated(
        made,
        *per_time("lambda0", "k1"),
        *like(output, "w0"),
        {"lambda1": 1, "TIME": 1, output: -1},
        {"k2": 1, "TIME": 1, driver: 1},
    )


@catalogued("growth")
def logistic_curve(*, output: str = "size") -> CurveStructure:
    """Logistic curve of time: ``Asym/(1 + exp((xmid - t)/scal))``.

    It rises from 0 to ``Asym``, half of it at ``xmid``; three quarters are reached at
    ``xmid + 1.1*scal``.

    Parameters
    ----------
    output : str
        Name of what grows.

    Examples
    --------
    >>> logistic_curve().parameters
    ('Asym', 'xmid', 'scal')
    """
    made = curve(lambda t, p: p.Asym / (1 + exp((p.xmid - t) / p.scal)), output=output)
    return _measured(made, "Asym")


@catalogued("growth")
def four_parameter_logistic_curve(*, output: str = "size") -> CurveStructure:
    """Logistic curve between two levels: ``A + (B - A)/(1 + exp((xmid - t)/scal))``.

    Parameters
    ----------
    output : str
        Name of what grows from ``A`` to ``B``.

    Examples
    --------
    >>> four_parameter_logistic_curve().parameters
    ('A', 'B', 'xmid', 'scal')
    """

    def between(t: Any, p: Any) -> Any:
        start, end = p.A, p.B
        return start + (end - start) / (1 + exp((p.xmid - t) / p.scal))

    return _measured(curve(between, output=output), "A", "B")


@catalogued("growth")
def gompertz_curve(*, output: str = "size") -> CurveStructure:
    """Gompertz curve of time: ``Asym*exp(-exp((xmid - t)/scal))``.

    It rises from 0 to ``Asym``, steepest at ``xmid``, where it is ``Asym/e``.

    Parameters
    ----------
    output : str
        Name of what grows.

    Examples
    --------
    >>> gompertz_curve().parameters
    ('Asym', 'xmid', 'scal')
    """
    made = curve(lambda t, p: p.Asym * exp(-exp((p.xmid - t) / p.scal)), output=output)
    return _measured(made, "Asym")


@catalogued("growth")
def asymptotic_curve(*, output: str = "size") -> CurveStructure:
    """Exponential approach to a level: ``Asym + (y0 - Asym)*exp(-k*t)``.

    Parameters
    ----------
    output : str
        Name of what grows, from ``y0`` at time 0 to ``Asym``.

    Examples
    --------
    >>> asymptotic_curve().parameters
    ('Asym', 'y0', 'k')
    """
    made = curve(lambda t, p: p.Asym + (p.y0 - p.Asym) * exp(-p.k * t), output=output)
    return _measured(made, "Asym", "y0")


def _growing(
    model: str,
    pk: OdeStructure | None,
    driver: str,
    output: str,
    grown: Callable[[Any, Any], Any],
) -> OdeStructure:
    """Let a size grow by an equation, and a driver kill in proportion to both."""
    check_output(output, model=model)
    made = driven(
        pk,
        driver,
        lambda c, y, p: {"size": grown(y.size, p) - p.kd * c * y.size},
        states=("size",),
        initial={"size": lambda p: p.size0},
        outputs={output: state("size")},
    )
    return annotated(
        made,
        *per_time("kg"),
        *like(output, "size0", "size_max"),
        {"kd": 1, "TIME": 1, driver: 1},
    )


def _measured(made: CurveStructure, *levels: str) -> CurveStructure:
    """Return a curve with the units of its parameters: levels, times and a rate."""
    balances = [*like(made.output, *levels), *times("xmid", "scal"), *per_time("k")]
    known = {"TIME", made.output, *made.parameters}
    kept = tuple(each for each in balances if each.keys() <= known)
    return replace(made, balances=kept)
