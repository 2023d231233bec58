"""Covariate effects: how what is known of a subject moves its typical value.

Written for a covariate x with reference r and coefficient b:

============  ==========================  ==================  ====================
effect        log-normal parameter        normal parameter    logit-normal
============  ==========================  ==================  ====================
power         times (x/r)^b               times (x/r)^b       logit + b log(x/r)
exponential   times exp(b (x - r))        times exp(b(x-r))   logit + b (x - r)
linear        times 1 + b (x - r)         plus b (x - r)      logit + b (x - r)
categorical   times exp(b_level)          plus b_level        logit + b_level
maturation    times f = x^h / (x^h+c^h)   times f             logit + log f
function      times f(x)                  times f(x)          logit + log f(x)
============  ==========================  ==================  ====================

A coefficient given as a number is taken as known, as in allometric scaling; left out, it is
estimated under ``Normal(0, scale)``: scale is 1 for power, ``1/|r|`` for exponential, ``s/|r|`` for
linear and s for categorical, where s is the parameter's own scale: 1 for log-normal, 1.5 for
logit-normal, the SD of the typical value's prior for normal. Where r is 0, or a normal parameter's
prior names no SD, there is no such scale, and the coefficient needs a value or a prior. The
coefficients of maturation and functions are always stated.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar

import pytensor.tensor as pt

from bayesnlme._types import Tensor
from bayesnlme.errors import ModelError, did_you_mean
from bayesnlme.population.factors import (
    Factor,
    Function,
    Maturation,
    check_column,
    factor_from_dict,
    function_of,
    latex_name,
    maturation_of,
)
from bayesnlme.population.priors import (
    Fixed,
    Prior,
    Typical,
    finite_number,
    prior_from_value,
    prior_to_value,
    stated,
)

type Coefficient = Fixed | Prior | None


@dataclass(frozen=True, slots=True)
class Continuous:
    """An effect of a continuous covariate; see the module's table for its three forms.

    Attributes
    ----------
    covariate : str
        Column of the table.
    reference : float
        Value at which the effect vanishes.
    coefficient : Fixed, Prior or None
        Known value, prior, or None to estimate it under the default prior.
    """

    covariate: str
    reference: float
    coefficient: Coefficient = None

    kind: ClassVar[str]
    additive_on_normal: ClassVar[bool] = False
    positive: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_column(self.covariate)
        reference = finite_number(self.reference, f"{self.kind}({self.covariate!r}): reference")
        object.__setattr__(self, "reference", reference)

    def prior(self, parameter_scale: float | None) -> Prior | Fixed:
        """Return the coefficient's prior, for a parameter on whose scale additive effects act.

        Raises
        ------
        ModelError
            If neither the parameter nor the reference says what the coefficient's scale is.
        """
        return self.coefficient or _default(self, self._scale(parameter_scale))

    def _scale(self, parameter_scale: float | None) -> float | None:
        """SD of the default prior: by it, an x of twice the reference moves by one scale."""
        reach = parameter_scale if self.additive_on_normal else 1.0
        return None if reach is None or self.reference == 0 else reach / abs(self.reference)

    def to_dict(self) -> dict[str, Any]:
        """Return plain TOML values."""
        entries = {"effect": self.kind, "covariate": self.covariate, "reference": self.reference}
        if self.coefficient is not None:
            entries["coefficient"] = prior_to_value(self.coefficient)
        return entries


@dataclass(frozen=True, slots=True)
class Power(Continuous):
    """(x/r)^b, for a positive covariate."""

    kind: ClassVar[str] = "power"
    positive: ClassVar[bool] = True

    def __post_init__(self) -> None:
        Continuous.__post_init__(self)
        if self.reference <= 0:
            raise ModelError(
                f"power({self.covariate!r}): reference {self.reference:g} must be positive."
            )

    def _scale(self, parameter_scale: float | None) -> float:
        """SD of the default prior of the exponent, a pure number."""
        del parameter_scale
        return 1.0

    def log_factor(self, x: Tensor, b: Tensor) -> Tensor:
        """Log of the factor on a positive parameter."""
        return b * pt.log(x / self.reference)

    shift = log_factor

    def text(self, b: str) -> str:
        """Write the factor in plain text."""
        return f"({self.covariate}/{self.reference:g})^{b}"

    def latex(self, b: str) -> str:
        """Write the factor in LaTeX."""
        name = rf"\mathrm{{{latex_name(self.covariate)}}}_i"
        return rf"\left(\frac{{{name}}}{{{self.reference:g}}}\right)^{{{b}}}"


@dataclass(frozen=True, slots=True)
class Exponential(Continuous):
    """exp(b (x - r))."""

    kind: ClassVar[str] = "exponential"

    def log_factor(self, x: Tensor, b: Tensor) -> Tensor:
        """Log of the factor on a positive parameter."""
        return b * (x - self.reference)

    shift = log_factor

    def text(self, b: str) -> str:
        """Write the factor in plain text."""
        return f"exp({b} ({centred(self.covariate, self.reference)}))"

    def latex(self, b: str) -> str:
        """Write the factor in LaTeX."""
        return rf"e^{{{b}\,({latex_centred(self)})}}"


@dataclass(frozen=True, slots=True)
class Linear(Continuous):
    """1 + b (x - r) on a positive parameter, + b (x - r) otherwise."""

    kind: ClassVar[str] = "linear"
    additive_on_normal: ClassVar[bool] = True

    def log_factor(self, x: Tensor, b: Tensor) -> Tensor:
        """Log of the factor on a positive parameter; NaN (a rejected proposal) below zero."""
        return pt.log1p(b * (x - self.reference))

    def shift(self, x: Tensor, b: Tensor) -> Tensor:
        """Shift of a parameter on the line."""
        return b * (x - self.reference)

    def text(self, b: str) -> str:
        """Write the factor in plain text."""
        return f"(1 + {b} ({centred(self.covariate, self.reference)}))"

    def latex(self, b: str) -> str:
        """Write the factor in LaTeX."""
        return rf"\left(1 + {b}\,({latex_centred(self)})\right)"


@dataclass(frozen=True, slots=True)
class Categorical:
    """One coefficient for each level but the reference; exp(b_level) on a positive parameter.

    Attributes
    ----------
    covariate : str
        Column of the table.
    reference : str
        Level at which the effect vanishes, as written in the table.
    coefficient : Fixed, Prior or None
        One known value or one prior for every other level, or None for the default prior.
    """

    covariate: str
    reference: str
    coefficient: Coefficient = None

    kind: ClassVar[str] = "categorical"
    additive_on_normal: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_column(self.covariate)
        if not isinstance(self.reference, str) or not self.reference:
            raise ModelError(
                f"categorical({self.covariate!r}): reference must be one of its levels, "
                f"not {self.reference!r}."
            )

    def prior(self, parameter_scale: float | None) -> Prior | Fixed:
        """Return the prior of each level's coefficient; see :meth:`Continuous.prior`."""
        return self.coefficient or _default(self, parameter_scale)

    def log_factor(self, x: Tensor, b: Tensor) -> Tensor:
        """Log of the factor; ``x`` holds level codes, 0 for the reference."""
        return pt.concatenate([pt.zeros(1), b])[x]

    shift = log_factor

    def text(self, b: str) -> str:
        """Write the factor in plain text."""
        return f"exp({b}[{self.covariate}])"

    def latex(self, b: str) -> str:
        """Write the factor in LaTeX."""
        return rf"e^{{{b}[\mathrm{{{latex_name(self.covariate)}}}_i]}}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain TOML values."""
        entries = {"effect": self.kind, "covariate": self.covariate, "reference": self.reference}
        if self.coefficient is not None:
            entries["coefficient"] = prior_to_value(self.coefficient)
        return entries


type Effect = Power | Exponential | Linear | Categorical | Factor


def power(covariate: str, *, reference: float, exponent: object = None) -> Power:
    """Scale a parameter by ``(x / reference) ** exponent``.

    Parameters
    ----------
    covariate : str
        Column of the table; its values must be positive.
    reference : float
        Value at which the factor is 1, in the covariate's unit.
    exponent : float, Prior or None
        A number is known (0.75 in allometry), a prior is estimated under that prior, None is
        estimated under ``Normal(0, 1)``.

    Examples
    --------
    >>> power("WT", reference=70, exponent=0.75).text("CL_WT")
    '(WT/70)^CL_WT'
    """
    return Power(covariate, reference, _coefficient(exponent, f"power({covariate!r})"))


def exponential(covariate: str, *, reference: float, coefficient: object = None) -> Exponential:
    """Scale a parameter by ``exp(coefficient * (x - reference))``; see :func:`power`."""
    what = f"exponential({covariate!r})"
    return Exponential(covariate, reference, _coefficient(coefficient, what))


def linear(covariate: str, *, reference: float, coefficient: object = None) -> Linear:
    """Scale a parameter by ``1 + coefficient * (x - reference)``; see :func:`power`."""
    return Linear(covariate, reference, _coefficient(coefficient, f"linear({covariate!r})"))


def categorical(
    covariate: str, *, reference: str | float, coefficient: object = None
) -> Categorical:
    """Give every level but the reference a coefficient of its own; see :func:`power`."""
    return Categorical(
        covariate, level_label(reference), _coefficient(coefficient, f"categorical({covariate!r})")
    )


def maturation(covariate: str, *, half: object, hill: object) -> Maturation:
    """Let a parameter mature: times ``x**hill / (x**hill + half**hill)`` [Anderson2008]_.

    Parameters
    ----------
    covariate : str
        Column of the table, such as the postmenstrual age; its values must be positive.
    half : float, Fixed or Prior
        Covariate at half of the mature parameter. A number is known, a prior is estimated under
        that prior.
    hill : float, Fixed or Prior
        Steepness, likewise.

    Examples
    --------
    >>> maturation("PMA", half=47.7, hill=3.4).text({"half": "47.7", "hill": "3.4"})
    'PMA^3.4 / (PMA^3.4 + 47.7^3.4)'
    """
    return maturation_of(covariate, half, hill)


def function(
    covariate: str, function: Callable[[Any, Any], Any] | str, **coefficients: object
) -> Function:
    """Scale a parameter by a function of your own.

    Parameters
    ----------
    covariate : str
        Column of the table.
    function : callable or str
        ``function(x, b)`` returns the factor. It is called once, with symbols: coefficients are
        attributes, as in ``b.slope``, and `bayesnlme.math` has the functions that it may use. Or
        the same as text, of ``x`` and the coefficients.
    **coefficients : float, Fixed or Prior
        Every coefficient. A number is known, a prior is estimated under that prior.

    Examples
    --------
    >>> from bayesnlme.math import exp
    >>> effect = function("AGE", lambda x, b: 1 - b.loss * exp(-x / 2), loss=0.6)
    >>> effect.text({"loss": "CL_AGE_loss"})
    '(-CL_AGE_loss*exp(-AGE/2) + 1)'
    """
    return function_of(covariate, function, coefficients)


_FACTORIES: dict[str, Callable[[str, Any, Any], Effect]] = {
    "power": lambda c, r, b: power(c, reference=r, exponent=b),
    "exponential": lambda c, r, b: exponential(c, reference=r, coefficient=b),
    "linear": lambda c, r, b: linear(c, reference=r, coefficient=b),
    "categorical": lambda c, r, b: categorical(c, reference=r, coefficient=b),
}


def effect_from_dict(entries: Mapping[str, Any], parameter: str) -> Effect:
    """Read back an effect's ``to_dict``, or what a user wrote in TOML."""
    given = dict(entries)
    what = f"covariate effect on {parameter}"
    if given.get("effect") in ("maturation", "function"):
        del given["effect"]
        return factor_from_dict(given, what)
    missing = {"effect", "covariate", "reference"} - set(given)
    if missing:
        raise ModelError(f"{what}: {sorted(missing)} missing from {given!r}.")
    kind = given.pop("effect")
    if not isinstance(kind, str) or kind not in _FACTORIES:
        near = did_you_mean(str(kind), _FACTORIES)
        raise ModelError(f"{what}: no effect {kind!r}. {near}")
    coefficient = given.pop("exponent", None) if kind == "power" else None
    coefficient = given.pop("coefficient", coefficient)
    covariate, reference = given.pop("covariate"), given.pop("reference")
    if given:
        raise ModelError(f"{what}: {sorted(given)} not understood in a {kind} effect.")
    return _FACTORIES[kind](covariate, reference, prior_from_value(coefficient, what))


def level_label(value: Any) -> Any:
    """Write a level that is a number as text: 1.0 is the level ``"1"``; text stays as it is."""
    return f"{float(value):.15g}" if isinstance(value, Real) else value


def _default(effect: Continuous | Categorical, scale: float | None) -> Prior:
    if scale is None:
        raise ModelError(
            f"{effect.kind}({effect.covariate!r}, reference={effect.reference!r}): nothing says "
            "how large the coefficient may be. Give a reference that is not 0, or the "
            "coefficient: a number (known) or bn.Prior('Normal', mu=0, sigma=...)."
        )
    return Prior("Normal", mu=0, sigma=float(f"{scale:.12g}"))


def _coefficient(value: object, what: str) -> Coefficient:
    if value is None:
        return None
    read = stated(value, what)
    if isinstance(read, Typical):
        raise ModelError(f"{what}: give a number (known), bn.Prior(...) or nothing (estimated).")
    return Fixed(read) if isinstance(read, float) else read


def centred(name: str, reference: float) -> str:
    """Write ``"AGE - 40"``."""
    return name + _minus(reference)


def _minus(reference: float) -> str:
    """Write "- reference": nothing for 0, with a plus where the reference is negative."""
    if reference == 0:
        return ""
    return f" - {reference:g}" if reference > 0 else f" + {-reference:g}"


def latex_centred(effect: Continuous) -> str:
    """Write the distance from the reference in LaTeX."""
    name = rf"\mathrm{{{latex_name(effect.covariate)}}}_i"
    return name + _minus(effect.reference)


def term_text(effect: Effect, coefficient: Any) -> str:
    """Write an effect that is added on the line."""
    if isinstance(effect, Maturation | Function):
        return f"log({effect.text(coefficient)})"
    if isinstance(effect, Categorical):
        return f"{coefficient}[{effect.covariate}]"
    if isinstance(effect, Power):
        return f"{coefficient} log({effect.covariate}/{effect.reference:g})"
    return f"{coefficient} ({centred(effect.covariate, effect.reference)})"


def term_latex(effect: Effect, coefficient: Any) -> str:
    """Write an effect that is added on the line, in LaTeX."""
    if isinstance(effect, Maturation | Function):
        return rf"\log\left({effect.latex(coefficient)}\right)"
    name = rf"\mathrm{{{latex_name(effect.covariate)}}}_i"
    if isinstance(effect, Categorical):
        return rf"{coefficient}[{name}]"
    if isinstance(effect, Power):
        return rf"{coefficient}\,\log({name}/{effect.reference:g})"
    return rf"{coefficient}\,({latex_centred(effect)})"
