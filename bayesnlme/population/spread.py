r"""Standard deviations as the field publishes them: as CV, as variance, with a standard error.

=====================  ====================================================================
``cv(30)``             a coefficient of variation of 30 %
``variance(0.09)``     :math:`\omega^2`, as in NONMEM's table of OMEGA
``sd(0.3, rse=0.2)``   the standard deviation itself
=====================  ====================================================================

What a CV c says of the standard deviation depends on where that stands:

=========================================  ==============================================
random effect of a ``LogNormal`` parameter   :math:`\omega = \sqrt{\log(1 + c^2)}`
log-normal residual error                  the same
proportional residual error                :math:`c`
anywhere else                              nothing without the typical value: refused
=========================================  ==============================================

Without a relative standard error it is an expectation like a number: the mean of a half-normal.
With one, r, the prior of the standard deviation is log-normal, its median at what was stated: for
a variance :math:`\omega^2` is log-normal with CV r, hence :math:`\log\omega` has half the SD
:math:`\sqrt{\log(1 + r^2)}`; for a CV the SD is multiplied by the slope :math:`d\log\omega / d\log
c = c^2 / ((1 + c^2) \log(1 + c^2))`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from bayesnlme.errors import ModelError
from bayesnlme.population.priors import (
    Fixed,
    Prior,
    Stated,
    Typical,
    finite_number,
    prior_from_value,
    relative_error,
    rounded,
    source_entry,
    source_text,
    standard_deviation_prior,
    stated,
)

type Scale = Literal["log", "fraction", "own"]
"""What a standard deviation is of: a logarithm, a fraction of the prediction, its own unit."""

FORMS = ("cv_percent", "variance", "sd")


@dataclass(frozen=True, slots=True)
class Spread:
    """A standard deviation stated in one of the field's forms; see :func:`cv`.

    Attributes
    ----------
    form : "cv_percent", "variance" or "sd"
        What the value is.
    value : float
        The value.
    rse : float or None
        Relative standard error of the value as a fraction, if known.
    source : str
        Where it comes from.
    """

    form: str
    value: float
    rse: float | None = None
    source: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", finite_number(self.value, self._called))
        if self.value <= 0:
            raise ModelError(f"{self._called}: {self.value:g} must be positive.")
        if self.rse is None and self.form == "sd":
            raise ModelError("bn.sd needs rse=; a standard deviation without one is a number.")
        if self.rse is not None:
            object.__setattr__(self, "rse", relative_error(self.rse, self._called))
        source_text(self.source, self._called)

    def __repr__(self) -> str:
        rse = "" if self.rse is None else f", rse={self.rse:g}"
        return f"{self._called}({self.value:g}{rse})"

    def deviation(self, scale: Scale, what: str) -> float:
        """Return the standard deviation that is stated, on its scale."""
        if self.form == "sd":
            return self.value
        if self.form == "variance":
            return math.sqrt(self.value)
        fraction = self.value / 100
        if scale == "own":
            raise ModelError(
                f"{what}: a CV of {self.value:g} % says nothing of a standard deviation that is "
                "not on a log scale. State the standard deviation: typical value times CV."
            )
        return fraction if scale == "fraction" else math.sqrt(math.log1p(fraction**2))

    def prior(self, scale: Scale, what: str) -> Prior | Fixed:
        """Return the prior of the standard deviation."""
        deviation = self.deviation(scale, what)
        if self.rse is None:
            return standard_deviation_prior(deviation, what)
        sigma = math.sqrt(math.log1p(self.rse**2)) * self._slope(scale)
        return Prior("LogNormal", mu=rounded(math.log(deviation)), sigma=rounded(sigma))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that :func:`deviation_from_value` reads back."""
        rse = {} if self.rse is None else {"rse": self.rse}
        return {self.form: self.value, **rse, **source_entry(self.source)}

    def _slope(self, scale: Scale) -> float:
        """Return by how much the log of the standard deviation moves with that of the value."""
        if self.form == "variance":
            return 0.5
        if self.form == "sd" or scale == "fraction":
            return 1.0
        square = (self.value / 100) ** 2
        return square / ((1 + square) * math.log1p(square))

    @property
    def _called(self) -> str:
        return "bn.cv" if self.form == "cv_percent" else f"bn.{self.form}"


type Deviation = Stated | Spread
"""What a user may write where the model needs a standard deviation."""


def cv(percent: float, *, rse: float | None = None, source: str = "") -> Spread:
    """State a standard deviation as a coefficient of variation in percent.

    Parameters
    ----------
    percent : float
        The CV: 30 is 30 %. On a log-normal parameter ``omega = sqrt(log(1 + (percent/100)**2))``.
    rse : float, optional
        Its relative standard error as a fraction. Without it, an expectation like a number.

    source : str
        Where it comes from; listed with the prior.

    Raises
    ------
    ModelError
        If a number is not positive. A parameter that is not log-normal, and a residual error that
        is neither proportional nor log-normal, refuse a CV.

    Examples
    --------
    >>> from bayesnlme.population.parameters import LogNormal
    >>> LogNormal(2.8, iiv=cv(30, rse=0.2)).iiv_prior()
    LogNormal(mu=-1.22567, sigma=0.189749)
    """
    return Spread("cv_percent", percent, rse, source)


def variance(value: float, *, rse: float | None = None, source: str = "") -> Spread:
    """State a standard deviation by its square, omega^2.

    Parameters
    ----------
    value : float
        The variance; a random effect's on the scale of the effect, an additive residual error's in
        the squared unit of the observation.
    rse : float, optional
        Relative standard error of the variance as a fraction. Without it, an expectation like a
        number.

    source : str
        Where it comes from; listed with the prior.

    Raises
    ------
    ModelError
        If a number is not positive.

    Examples
    --------
    >>> from bayesnlme.population.parameters import LogNormal
    >>> LogNormal(2.8, iiv=variance(0.09)).iiv_prior()
    HalfNormal(sigma=0.375994)
    """
    return Spread("variance", value, rse, source)


def sd(value: float, *, rse: float, source: str = "") -> Spread:
    """State a standard deviation with its relative standard error.

    Parameters
    ----------
    value : float
        The standard deviation.
    rse : float
        Its relative standard error as a fraction.

    source : str
        Where it comes from; listed with the prior.

    Raises
    ------
    ModelError
        If a number is not positive.

    Examples
    --------
    >>> from bayesnlme.population.parameters import LogNormal
    >>> LogNormal(2.8, iiv=sd(0.3, rse=0.2)).iiv_prior()
    LogNormal(mu=-1.20397, sigma=0.198042)
    """
    return Spread("sd", value, rse, source)


def stated_deviation(value: object, what: str) -> Deviation:
    """Accept what a user wrote for a standard deviation."""
    return value if isinstance(value, Spread) else stated(value, what)


def deviation_prior(value: Deviation, what: str, scale: Scale = "own") -> Prior | Fixed:
    """Turn what was stated for a standard deviation into its prior: a number is its mean."""
    if isinstance(value, Spread):
        return value.prior(scale, what)
    if isinstance(value, Typical):
        raise ModelError(
            f"{what}: bn.typical() is for typical values. Give a number (the prior's mean), "
            "bn.sd(value, rse=...), bn.cv(percent), bn.fixed(value) or bn.Prior(name, ...)."
        )
    return standard_deviation_prior(value, what)


def expected_deviation(value: Deviation | None) -> float:
    """Return the standard deviation that is expected in its own unit, 0 where none is stated."""
    if isinstance(value, Spread):
        return value.deviation("own", "iiv")
    return value if isinstance(value, float) else 0.0


def deviation_from_value(value: Any, what: str) -> Any:
    """Read back what ``to_dict`` wrote, or what a user wrote in TOML."""
    forms = [form for form in FORMS if isinstance(value, Mapping) and form in value]
    if not forms:
        return prior_from_value(value, what)
    if len(forms) > 1 or set(value) - {forms[0], "rse", "source"}:
        raise ModelError(
            f"{what}: {dict(value)!r} is no standard deviation. Write {{cv_percent = 30}}, "
            "{variance = 0.09} or {sd = 0.3, rse = 0.2}; the first two take rse as well."
        )
    try:
        return Spread(forms[0], value[forms[0]], value.get("rse"), value.get("source", ""))
    except ModelError as problem:
        raise ModelError(f"{what}: {problem}") from problem


def by_default(value: object) -> bool:
    """Say whether the package chose the prior: a number was given, or a CV or variance alone."""
    return isinstance(value, float) or (isinstance(value, Spread) and value.rse is None)
