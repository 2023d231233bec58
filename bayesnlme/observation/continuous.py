r"""Residual errors of continuous observations: from a prediction f to the density of y.

===============  ============================================================
``AdditiveError``      :math:`y = f + a\,\varepsilon`
``ProportionalError``  :math:`y = f + b f\,\varepsilon`
``CombinedError``      :math:`y = f + \sqrt{a^2 + b^2 f^2}\,\varepsilon`
``LogNormalError``     :math:`\log y = \log f + s\,\varepsilon`, for positive y and f
===============  ============================================================

with :math:`\varepsilon \sim N(0, 1)`.
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
    prior_from_value,
    prior_to_value,
    standard_deviation_prior,
    stated,
)


@dataclass(frozen=True, slots=True)
class _Residual:
    """What all residual errors share: their magnitudes are standard deviations."""

    kind: ClassVar[str]
    magnitudes: ClassVar[tuple[str, ...]]
    positive: ClassVar[bool] = False
    """Whether the observations must be positive."""

    def __post_init__(self) -> None:
        for name in self.magnitudes:
            what = f"{self.kind} error, {name}"
            value = stated(getattr(self, name), what)
            standard_deviation_prior(value, what)
            object.__setattr__(self, name, value)

    def priors(self) -> dict[str, Prior | Fixed]:
        """Return the prior of each magnitude, by its name."""
        return {
            name: standard_deviation_prior(getattr(self, name), f"{self.kind} error, {name}")
            for name in self.magnitudes
        }

    def to_dict(self) -> dict[str, Any]:
        """Return plain TOML values."""
        magnitudes = {name: prior_to_value(getattr(self, name)) for name in self.magnitudes}
        return {"error": self.kind, **magnitudes}


@dataclass(frozen=True, slots=True)
class AdditiveError(_Residual):
    """The same standard deviation everywhere, in the unit of the observation."""

    additive: Stated

    kind: ClassVar[str] = "additive"
    magnitudes: ClassVar[tuple[str, ...]] = ("additive",)

    def density(self, f: Tensor, magnitudes: Mapping[str, Tensor]) -> tuple[str, dict[str, Tensor]]:
        """Return PyMC's name of the distribution of y and its arguments."""
        return "Normal", {"mu": f, "sigma": magnitudes["additive"]}

    def text(self, output: str) -> str:
        """Write the equation in plain text."""
        return f"{output} ~ Normal(f, {output}_additive)"

    def latex(self, output: str) -> str:
        """Write the right-hand side in LaTeX."""
        return rf"\mathcal{{N}}\left(f,\; {_magnitude(output, 'additive')}^2\right)"


@dataclass(frozen=True, slots=True)
class ProportionalError(_Residual):
    """A standard deviation proportional to the prediction; the magnitude is a fraction."""

    proportional: Stated

    kind: ClassVar[str] = "proportional"
    magnitudes: ClassVar[tuple[str, ...]] = ("proportional",)

    def density(self, f: Tensor, magnitudes: Mapping[str, Tensor]) -> tuple[str, dict[str, Tensor]]:
        """Return PyMC's name of the distribution of y and its arguments."""
        return "Normal", {"mu": f, "sigma": magnitudes["proportional"] * pt.abs(f)}

    def text(self, output: str) -> str:
        """Write the equation in plain text."""
        return f"{output} ~ Normal(f, {output}_proportional * f)"

    def latex(self, output: str) -> str:
        """Write the right-hand side in LaTeX."""
        return rf"\mathcal{{N}}\left(f,\; {_magnitude(output, 'proportional')}^2 f^2\right)"


@dataclass(frozen=True, slots=True)
class CombinedError(_Residual):
    """Additive and proportional error, their variances added."""

    additive: Stated
    proportional: Stated

    kind: ClassVar[str] = "combined"
    magnitudes: ClassVar[tuple[str, ...]] = ("additive", "proportional")

    def density(self, f: Tensor, magnitudes: Mapping[str, Tensor]) -> tuple[str, dict[str, Tensor]]:
        """Return PyMC's name of the distribution of y and its arguments."""
        variance = magnitudes["additive"] ** 2 + (magnitudes["proportional"] * f) ** 2
        return "Normal", {"mu": f, "sigma": pt.sqrt(variance)}

    def text(self, output: str) -> str:
        """Write the equation in plain text."""
        return f"{output} ~ Normal(f, sqrt({output}_additive^2 + ({output}_proportional * f)^2))"

    def latex(self, output: str) -> str:
        """Write the right-hand side in LaTeX."""
        a, b = _magnitude(output, "additive"), _magnitude(output, "proportional")
        return rf"\mathcal{{N}}\left(f,\; {a}^2 + {b}^2 f^2\right)"


@dataclass(frozen=True, slots=True)
class LogNormalError(_Residual):
    """Additive error on the log scale: the observations must be positive."""

    log_sd: Stated

    kind: ClassVar[str] = "log_normal"
    magnitudes: ClassVar[tuple[str, ...]] = ("log_sd",)
    positive: ClassVar[bool] = True

    def density(self, f: Tensor, magnitudes: Mapping[str, Tensor]) -> tuple[str, dict[str, Tensor]]:
        """Return PyMC's name of the distribution of y and its arguments."""
        return "LogNormal", {"mu": pt.log(f), "sigma": magnitudes["log_sd"]}

    def text(self, output: str) -> str:
        """Write the equation in plain text."""
        return f"log {output} ~ Normal(log f, {output}_log_sd)"

    def latex(self, output: str) -> str:
        """Write the right-hand side in LaTeX."""
        return rf"\mathrm{{LogNormal}}\left(\log f,\; {_magnitude(output, 'log\\_sd')}^2\right)"


type Residual = AdditiveError | ProportionalError | CombinedError | LogNormalError


def additive(sd: object) -> AdditiveError:
    """State an additive error by its standard deviation, in the unit of the observation.

    Parameters
    ----------
    sd : float, Prior or Fixed
        A number is the mean of a half-normal prior.

    Examples
    --------
    >>> additive(0.5).priors()
    {'additive': HalfNormal(sigma=0.626657)}
    """
    return AdditiveError(sd)  # type: ignore[arg-type]


def proportional(sd: object) -> ProportionalError:
    """State a proportional error by its standard deviation as a fraction of the prediction."""
    return ProportionalError(sd)  # type: ignore[arg-type]


def combined(*, additive: object, proportional: object) -> CombinedError:
    """State a combined error: the variances of its additive and proportional parts add."""
    return CombinedError(additive, proportional)  # type: ignore[arg-type]


def log_normal(sd: object) -> LogNormalError:
    """State a log-normal error by its standard deviation on the log scale."""
    return LogNormalError(sd)  # type: ignore[arg-type]


_KINDS: dict[str, Any] = {
    cls.kind: cls for cls in (AdditiveError, ProportionalError, CombinedError, LogNormalError)
}


def residual_from_dict(output: str, entries: Mapping[str, Any]) -> Residual:
    """Read back a residual's ``to_dict``, or what a user wrote in TOML."""
    given = dict(entries)
    kind = given.pop("error", None)
    if not isinstance(kind, str) or kind not in _KINDS:
        raise ModelError(
            f"observations.{output}: error = {kind!r}. {did_you_mean(str(kind), _KINDS)}"
        )
    expected = _KINDS[kind].magnitudes
    for name in {*given, *expected}:
        if name not in expected or name not in given:
            raise ModelError(
                f"observations.{output}: error {kind!r} takes {', '.join(expected)}, "
                f"not {', '.join(given) or 'nothing'}."
            )
    what = f"observations.{output}"
    return _KINDS[kind](*(prior_from_value(given[name], what) for name in expected))


def _magnitude(output: str, name: str) -> str:
    return rf"\mathrm{{{output}}}_{{\mathrm{{{name}}}}}"
