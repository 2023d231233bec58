r"""Distributions of random effects other than the normal [Petersson2009]_.

=============  ===================================================================================
``boxcox``     :math:`(e^{\lambda \eta_i} - 1) / \lambda` stands for :math:`\eta_i \sim N(0,
               \omega^2)`: skewed to the right for :math:`\lambda > 0`, to the left below
``student_t``  :math:`\eta_i \sim t_\nu(0, \omega)`: outlying subjects are more common; omega is
               the scale, the SD is :math:`\omega \sqrt{\nu / (\nu - 2)}` for :math:`\nu > 2`
=============  ===================================================================================
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import pytensor.tensor as pt

from bayesnlme._types import Tensor
from bayesnlme.errors import ModelError, did_you_mean
from bayesnlme.population.priors import (
    Fixed,
    Prior,
    Stated,
    Typical,
    positive_prior,
    prior_from_value,
    prior_to_value,
    stated,
)
from bayesnlme.population.sharing import Shared
from bayesnlme.population.spread import Spread

DEFAULT_BOXCOX_SD = 0.5
"""SD of the Box-Cox shape's prior where it was given as a number."""


@dataclass(frozen=True, slots=True)
class BoxCox:
    """A Box-Cox transformed random effect; see :func:`boxcox`.

    Attributes
    ----------
    value : float, Prior or Fixed
        What is stated of lambda.
    """

    value: Stated

    kind: ClassVar[str] = "boxcox"
    variable: ClassVar[str] = "boxcox"
    meaning: ClassVar[str] = "Box-Cox shape of the random effect"

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", stated(self.value, "boxcox"))
        self.prior()

    def prior(self) -> Prior | Fixed:
        """Return the prior of lambda: around a number, Normal with SD 0.5."""
        if isinstance(self.value, float):
            return Prior("Normal", mu=self.value, sigma=DEFAULT_BOXCOX_SD)
        if isinstance(self.value, Typical):
            raise ModelError(
                "boxcox: bn.typical() is for typical values. Give a number (the prior's mean), "
                "bn.fixed(value) or bn.Prior(name, ...)."
            )
        return self.value

    def transformed(self, eta: Tensor, shape: Tensor) -> Tensor:
        """Return what stands for the effect; the limit, eta itself, where lambda eta is zero."""
        x = shape * eta
        small = pt.abs(x) < 1e-4
        safe = pt.switch(small, 1.0, x)
        series = 1.0 + x / 2.0 * (1.0 + x / 3.0 * (1.0 + x / 4.0))
        return eta * pt.switch(small, series, pt.expm1(safe) / safe)

    def text(self, eta: str, shape: str) -> str:
        """Write what stands for the effect in plain text."""
        return f"(exp({shape} {eta}) - 1) / {shape}"

    def latex(self, eta: str, shape: str) -> str:
        """Write what stands for the effect in LaTeX."""
        return rf"\frac{{e^{{{shape} {eta}}} - 1}}{{{shape}}}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain TOML values."""
        return {self.kind: prior_to_value(self.value)}


@dataclass(frozen=True, slots=True)
class StudentT:
    """A random effect with Student's t distribution; see :func:`student_t`.

    Attributes
    ----------
    value : float, Prior, Typical or Fixed
        What is stated of the degrees of freedom.
    """

    value: Stated

    kind: ClassVar[str] = "student_t"
    variable: ClassVar[str] = "df"
    meaning: ClassVar[str] = "degrees of freedom of the random effect"

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", stated(self.value, "student_t: df"))
        self.prior()

    def prior(self) -> Prior | Fixed:
        """Return the prior of the degrees of freedom: around a number, log-normal by half."""
        value = Typical(self.value, 0.5) if isinstance(self.value, float) else self.value
        if not isinstance(value, Prior) and value.value <= 0:
            raise ModelError(f"student_t: df={value.value:g} must be positive.")
        return positive_prior(value, "student_t: df")

    def to_dict(self) -> dict[str, Any]:
        """Return plain TOML values."""
        return {self.kind: prior_to_value(self.value)}


type Shape = BoxCox | StudentT

_KINDS: dict[str, type[BoxCox] | type[StudentT]] = {"boxcox": BoxCox, "student_t": StudentT}


def boxcox(shape: object) -> BoxCox:
    """Transform a random effect so that its distribution may be skewed.

    Parameters
    ----------
    shape : float, Prior or Fixed
        lambda: 0 is the normal random effect. A number is an expectation, its prior normal with SD
        0.5.

    Examples
    --------
    >>> boxcox(0.2).prior()
    Normal(mu=0.2, sigma=0.5)
    """
    return BoxCox(shape)  # type: ignore[arg-type]  # checked there


def student_t(*, df: object) -> StudentT:
    """Give a random effect heavier tails than the normal.

    Parameters
    ----------
    df : float, Prior, Typical or Fixed
        Degrees of freedom. A number is an expectation, with a relative standard error of 50 %.

    Examples
    --------
    >>> student_t(df=5).prior()
    LogNormal(mu=1.60944, sigma=0.472381)
    """
    return StudentT(df)  # type: ignore[arg-type]  # checked there


def shape_from_dict(entries: Mapping[str, Any], parameter: str) -> Shape:
    """Read back a shape's ``to_dict``, or what a user wrote in TOML."""
    kind, *others = entries
    if others or kind not in _KINDS:
        near = did_you_mean(str(kind), _KINDS)
        raise ModelError(f"{parameter} shape: {dict(entries)!r} is none. {near}")
    return _KINDS[kind](prior_from_value(entries[kind], f"{parameter} shape"))


def check_shape(kind: str, shape: object, iiv: object) -> None:
    """Refuse a distribution of a random effect that a kind of parameter cannot have."""
    if shape is None:
        return
    if not isinstance(shape, BoxCox | StudentT):
        raise ModelError(
            f"shape={shape!r} is no distribution of a random effect. Use bn.effects.boxcox(0.2) or "
            "bn.effects.student_t(df=5)."
        )
    if iiv is None:
        raise ModelError(f"{kind}: a shape without a random effect. Give iiv=... too.")
    if isinstance(iiv, Shared) and isinstance(shape, StudentT):
        raise ModelError(
            f"{kind}: Student's t is the distribution of an effect of its own. Give it to "
            f"{iiv.parameter}, whose effect is shared."
        )
    if isinstance(iiv, Spread) and iiv.form == "cv_percent":
        raise ModelError(
            f"{kind} iiv: with a shape the individual values are not log-normal, and a CV says "
            "nothing of omega. State the standard deviation."
        )
    if isinstance(shape, BoxCox) and kind == "Normal":
        raise ModelError(
            "Normal: the Box-Cox transform needs an effect without a unit. Use bn.LogNormal, "
            "bn.LogitNormal or bn.effects.student_t(df=...)."
        )
