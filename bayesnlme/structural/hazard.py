r"""The catalogue of hazards, as users name it: ``bn.hazard.weibull()``.

Each is a baseline hazard, a function of time with a known integral, for `bn.time_to_event`. With a
pharmacokinetic model in front, an output of that model multiplies the hazard by
:math:`e^{\beta C}`: the joint model is one of differential equations. Covariates act through the
parameters: on ``h0`` they multiply the hazard, on ``Te`` they stretch time.

The equations, the units and the sources are in the reference of the catalogue.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import sympy

from bayesnlme.errors import ModelError, did_you_mean
from bayesnlme.math import exp, log, where
from bayesnlme.odes.text import TIME, symbol
from bayesnlme.structural.catalogue import (
    Symbols,
    annotated,
    catalogued,
    check_drives,
    check_output,
    per_time,
    pure,
    refuse_taken,
    times,
)
from bayesnlme.structural.curve import CurveStructure, curve
from bayesnlme.structural.custom import OdeStructure, ode

__all__ = ["constant", "gompertz", "log_logistic", "weibull"]

type Hazard = Callable[[Any, Any], Any]

_SMALL = 1e-4
"""Up to here (of the exponential: of the square) a few terms of a series are exact."""


@catalogued("hazard")
def constant(
    pk: OdeStructure | None = None, *, driver: str = "conc", output: str = "event"
) -> OdeStructure | CurveStructure:
    """Return the hazard ``h0`` that never changes: exponential times to the event.

    Parameters
    ----------
    pk : OdeStructure, optional
        What multiplies the hazard by ``exp(beta*C)``. Without it nothing does.
    driver : str
        Name of its output that does.
    output : str
        Name of the hazard.

    Returns
    -------
    CurveStructure or OdeStructure
        The structure; differential equations with a `pk`, whose outputs stay.

    Raises
    ------
    ModelError
        If `pk` has no output `driver`, or has a name that this model brings.

    Examples
    --------
    >>> constant().parameters
    ('h0',)
    """
    return _hazard("constant", pk, driver, output, (lambda _, p: p.h0, lambda t, p: p.h0 * t))


@catalogued("hazard")
def weibull(
    pk: OdeStructure | None = None, *, driver: str = "conc", output: str = "event"
) -> OdeStructure | CurveStructure:
    """Return a hazard that rises or falls as a power of time: Weibull times to the event.

    Parameters
    ----------
    pk, driver, output
        As in `constant`.

    Returns
    -------
    CurveStructure or OdeStructure
        The structure; differential equations with a `pk`, whose outputs stay.

    Raises
    ------
    ModelError
        If `pk` has no output `driver`, or has a name that this model brings.

    Examples
    --------
    >>> print(weibull(output="death").equations()[0].text)
    death = shape*(t/Te)**(shape - 1)/Te
    """
    return _hazard(
        "weibull",
        pk,
        driver,
        output,
        (
            lambda t, p: p.shape / p.Te * (t / p.Te) ** (p.shape - 1),
            lambda t, p: (t / p.Te) ** p.shape,
        ),
    )


@catalogued("hazard")
def gompertz(
    pk: OdeStructure | None = None, *, driver: str = "conc", output: str = "event"
) -> OdeStructure | CurveStructure:
    """Return a hazard that starts at ``h0`` and grows or falls exponentially at rate ``alpha``.

    Parameters
    ----------
    pk, driver, output
        As in `constant`.

    Returns
    -------
    CurveStructure or OdeStructure
        The structure; differential equations with a `pk`, whose outputs stay.

    Raises
    ------
    ModelError
        If `pk` has no output `driver`, or has a name that this model brings.

    Examples
    --------
    >>> gompertz().parameters
    ('h0', 'alpha')
    """
    return _hazard(
        "gompertz",
        pk,
        driver,
        output,
        (lambda t, p: p.h0 * exp(p.alpha * t), lambda t, p: p.h0 * t * _mean_growth(p.alpha * t)),
    )


@catalogued("hazard")
def log_logistic(
    pk: OdeStructure | None = None, *, driver: str = "conc", output: str = "event"
) -> OdeStructure | CurveStructure:
    """Return a hazard that, for a shape above 1, rises and then falls: log-logistic times.

    Parameters
    ----------
    pk, driver, output
        As in `constant`.

    Returns
    -------
    CurveStructure or OdeStructure
        The structure; differential equations with a `pk`, whose outputs stay.

    Raises
    ------
    ModelError
        If `pk` has no output `driver`, or has a name that this model brings.

    Examples
    --------
    >>> log_logistic().parameters
    ('shape', 'Te')
    """
    return _hazard(
        "log_logistic",
        pk,
        driver,
        output,
        (
            lambda t, p: p.shape / p.Te * (t / p.Te) ** (p.shape - 1) / (1 + (t / p.Te) ** p.shape),
            lambda t, p: _log1p((t / p.Te) ** p.shape),
        ),
    )


def _hazard(
    model: str,
    pk: OdeStructure | None,
    driver: str,
    output: str,
    known: tuple[Hazard, Hazard],
) -> OdeStructure | CurveStructure:
    """Make a structure from a hazard and its integral from time 0."""
    check_output(output, model=model)
    hazard, integral = known
    if pk is not None:
        return _driven(pk, driver, output, hazard)
    made = curve(hazard, output=output)
    units = [*per_time("h0", "alpha"), *times("Te"), *pure("shape"), *per_time(output)]
    balances = tuple(each for each in units if each.keys() <= {*made.parameters, output, "TIME"})
    return replace(made, integral=integral(symbol(TIME), Symbols()), balances=balances)


def _driven(pk: OdeStructure, driver: str, output: str, hazard: Hazard) -> OdeStructure:
    check_drives(pk)
    if driver not in pk.outputs:
        raise ModelError(f"driver: no output {driver!r}. {did_you_mean(str(driver), pk.outputs)}")
    for name in (*curve(hazard).parameters, "beta"):
        refuse_taken(name, (*pk.problem.states, *pk.parameters))
    made = ode(
        lambda *_: {},
        states=(),
        outputs={
            output: lambda t, y, p: _from_zero(hazard, t, p) * exp(p.beta * getattr(y, driver))
        },
        onto=pk,
    )
    made = annotated(
        made, *per_time("h0", "alpha"), *times("Te"), *pure("shape"), {"beta": 1, driver: 1}
    )
    shown = pk.problem.readouts[pk.outputs.index(driver)]
    return replace(made, shorthand={**made.shorthand, driver: shown})


def _from_zero(hazard: Hazard, t: Any, p: Any) -> Any:
    """Return a hazard that may be infinite at time 0, where the steps of a solver begin."""
    value = hazard(t, p)
    finite = not any(each.is_Pow and each.base.has(t) for each in sympy.preorder_traversal(value))
    return value if finite else where(t > 0, value, 0)


def _mean_growth(x: Any) -> Any:
    """Return ``(exp(x) - 1)/x``, 1 at 0, by its series where the difference would lose digits."""
    near = _series(x, (1, 1 / 2, 1 / 6, 1 / 24, 1 / 120, 1 / 720))
    return where(x * x < _SMALL, near, (exp(x) - 1) / x)


def _log1p(x: Any) -> Any:
    """Return ``log(1 + x)`` for x of at least 0, by its series where the sum would lose digits."""
    return where(x < _SMALL, _series(x, (1, -1 / 2, 1 / 3, -1 / 4, 1 / 5)) * x, log(1 + x))


def _series(x: Any, coefficients: Sequence[float]) -> Any:
    """Sum a power series, the lowest power first."""
    total: Any = 0
    for each in reversed(coefficients):
        total = each + x * total
    return total
