r"""Residual errors of continuous observations: from a prediction f to the density of y.

=====================  ==============================================================
``AdditiveError``      :math:`y = f + a\,\varepsilon`
``ProportionalError``  :math:`y = f + b f\,\varepsilon`
``CombinedError``      :math:`y = f + \sqrt{a^2 + b^2 f^2}\,\varepsilon`, or
                       :math:`y = f + (a + b f)\,\varepsilon`
``PowerError``         :math:`y = f + b f^c\,\varepsilon`
``LogNormalError``     :math:`\log y = \log f + s\,\varepsilon`, for positive y and f
``StudentError``       any of these with :math:`\varepsilon \sim t_\nu`
=====================  ==============================================================

with :math:`\varepsilon \sim N(0, 1)`. What a value below the limit of quantification L says is
chosen by ``blq``, in the words of [Beal2001]_ and [Ahn2008]_:

====  =================================================================================
M1    nothing: such records are dropped
M2    they are dropped, and the others have the density given :math:`y > L`
M3    :math:`P(y < L)`
M4    :math:`P(y < L \mid y > 0)`; the others have the density given :math:`y > 0`
====  =================================================================================

A value above an upper limit U says :math:`P(y > U)`, one between two bounds :math:`P(l < y < u)`.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from bayesnlme.errors import ModelError, did_you_mean
from bayesnlme.observation.noise import Noise, StudentNoise
from bayesnlme.observation.outcome import Magnitudes, magnitude
from bayesnlme.observation.priors import degrees_prior, exponent_prior
from bayesnlme.observation.residual import ResidualError
from bayesnlme.population.priors import Fixed, Prior, Stated, prior_to_value
from bayesnlme.population.spread import Deviation


@dataclass(frozen=True, slots=True)
class AdditiveError(ResidualError):
    """The same standard deviation everywhere, in the unit of the observation."""

    additive: Deviation

    kind: ClassVar[str] = "additive"
    magnitudes: ClassVar[tuple[str, ...]] = ("additive",)

    def sd(self, f: Any, magnitudes: Magnitudes) -> Any:  # noqa: ARG002
        """Return a."""
        return magnitudes["additive"]

    def sd_text(self, output: str) -> str:
        """Write the standard deviation in plain text."""
        return f"{output}_additive"

    def variance_latex(self, output: str) -> str:
        """Write the variance in LaTeX."""
        return f"{magnitude(output, 'additive')}^2"


@dataclass(frozen=True, slots=True)
class ProportionalError(ResidualError):
    """A standard deviation proportional to the prediction; the magnitude is a fraction."""

    proportional: Deviation

    kind: ClassVar[str] = "proportional"
    magnitudes: ClassVar[tuple[str, ...]] = ("proportional",)

    def sd(self, f: Any, magnitudes: Magnitudes) -> Any:
        """Return b f."""
        return magnitudes["proportional"] * abs(f)

    def sd_text(self, output: str) -> str:
        """Write the standard deviation in plain text."""
        return f"{output}_proportional * f"

    def variance_latex(self, output: str) -> str:
        """Write the variance in LaTeX."""
        return f"{magnitude(output, 'proportional')}^2 f^2"


@dataclass(frozen=True, slots=True)
class CombinedError(ResidualError):
    """Additive and proportional error: their variances add, or their standard deviations."""

    additive: Deviation
    proportional: Deviation
    convention: str = field(default="variance", kw_only=True)

    kind: ClassVar[str] = "combined"
    magnitudes: ClassVar[tuple[str, ...]] = ("additive", "proportional")

    def __post_init__(self) -> None:
        known = ("variance", "sd")
        if self.convention not in known:
            near = did_you_mean(str(self.convention), known)
            raise ModelError(f"combined error, convention={self.convention!r}. {near}")
        ResidualError.__post_init__(self)

    def sd(self, f: Any, magnitudes: Magnitudes) -> Any:
        """Return sqrt(a² + b² f²), or a + b f."""
        a, b = magnitudes["additive"], magnitudes["proportional"]
        if self.convention == "sd":
            return a + b * abs(f)
        return (a**2 + (b * f) ** 2) ** 0.5

    def sd_text(self, output: str) -> str:
        """Write the standard deviation in plain text."""
        if self.convention == "sd":
            return f"{output}_additive + {output}_proportional * f"
        return f"sqrt({output}_additive^2 + ({output}_proportional * f)^2)"

    def variance_latex(self, output: str) -> str:
        """Write the variance in LaTeX."""
        a, b = magnitude(output, "additive"), magnitude(output, "proportional")
        if self.convention == "sd":
            return rf"\left({a} + {b} f\right)^2"
        return f"{a}^2 + {b}^2 f^2"

    def _options(self) -> dict[str, Any]:
        chosen = {} if self.convention == "variance" else {"convention": self.convention}
        return chosen | ResidualError._options(self)


@dataclass(frozen=True, slots=True)
class PowerError(ResidualError):
    """A standard deviation proportional to a power of the prediction."""

    coefficient: Deviation
    exponent: Stated

    kind: ClassVar[str] = "power"
    magnitudes: ClassVar[tuple[str, ...]] = ("coefficient", "exponent")

    def meaning(self, magnitude: str) -> str:
        """Say what a magnitude is, to be followed by "of" and the output."""
        return f"{magnitude} of the residual error"

    def sd(self, f: Any, magnitudes: Magnitudes) -> Any:
        """Return b f^c."""
        return magnitudes["coefficient"] * abs(f) ** magnitudes["exponent"]

    def sd_text(self, output: str) -> str:
        """Write the standard deviation in plain text."""
        return f"{output}_coefficient * f^{output}_exponent"

    def variance_latex(self, output: str) -> str:
        """Write the variance in LaTeX."""
        b, c = magnitude(output, "coefficient"), magnitude(output, "exponent")
        return rf"{b}^2 f^{{2 {c}}}"

    def _prior(self, name: str) -> Prior | Fixed:
        if name == "exponent":
            return exponent_prior(self.exponent, self._what(name))
        return ResidualError._prior(self, name)


@dataclass(frozen=True, slots=True)
class LogNormalError(ResidualError):
    """Additive error on the log scale: the observations must be positive."""

    log_sd: Deviation

    kind: ClassVar[str] = "log_normal"
    magnitudes: ClassVar[tuple[str, ...]] = ("log_sd",)

    @property
    def positive(self) -> bool:
        """Whether the observations must be positive."""
        return True

    def sd(self, f: Any, magnitudes: Magnitudes) -> Any:  # noqa: ARG002
        """Return s, on the log scale."""
        return magnitudes["log_sd"]

    def text(self, output: str) -> str:
        """Write the equation in plain text."""
        return f"log {output} ~ Normal(log f, {self.sd_text(output)}){self._method_text(output)}"

    def latex(self, output: str) -> str:
        """Write the right-hand side in LaTeX."""
        tail = self._method_latex(output)
        return rf"\mathrm{{LogNormal}}\left(\log f,\; {self.variance_latex(output)}\right){tail}"

    def sd_text(self, output: str) -> str:
        """Write the standard deviation in plain text."""
        return f"{output}_log_sd"

    def variance_latex(self, output: str) -> str:
        """Write the variance in LaTeX."""
        return f"{magnitude(output, 'log_sd')}^2"


@dataclass(frozen=True, slots=True)
class StudentError(ResidualError):
    """A residual error whose noise is Student's t: far observations weigh less."""

    error: "Residual"
    df: Stated

    kind: ClassVar[str] = "student_t"
    magnitudes: ClassVar[tuple[str, ...]] = ("df",)

    def __post_init__(self) -> None:
        if isinstance(self.error, StudentError) or not isinstance(self.error, ResidualError):
            raise ModelError(
                f"student_t error: {self.error!r} is no other residual error. "
                "Give one, such as bn.student_t(bn.additive(0.5), df=4)."
            )
        if self.error.blq != "M3":
            raise ModelError("student_t error: say blq= to student_t, not to the error in it.")
        ResidualError.__post_init__(self)

    @property
    def positive(self) -> bool:
        """Whether the observations must be positive."""
        return self.error.positive

    def stated(self) -> dict[str, Any]:
        """Return each magnitude as it was stated."""
        return {**self.error.stated(), "df": self.df}

    def priors(self) -> dict[str, Prior | Fixed]:
        """Return the prior of each magnitude, by its name."""
        return {**self.error.priors(), "df": degrees_prior(self.df, self._what("df"))}

    def meaning(self, magnitude: str) -> str:
        """Say what a magnitude is, to be followed by "of" and the output."""
        if magnitude == "df":
            return "degrees of freedom of the residual error"
        return self.error.meaning(magnitude)

    def to_dict(self) -> dict[str, Any]:
        """Return plain TOML values."""
        return {"error": self.kind, "of": self.error.to_dict(), "df": prior_to_value(self.df)} | (
            self._options()
        )

    def sd(self, f: Any, magnitudes: Magnitudes) -> Any:
        """Return the scale of the noise."""
        return self.error.sd(f, magnitudes)

    def noise(self, magnitudes: Magnitudes) -> Noise:
        """Return the distribution of the noise."""
        return StudentNoise(magnitudes["df"])

    def text(self, output: str) -> str:
        """Write the equation in plain text."""
        left, f = (f"log {output}", "log f") if self.positive else (output, "f")
        inside = f"{output}_df, {f}, {self.error.sd_text(output)}"
        return f"{left} ~ StudentT({inside}){self._method_text(output)}"

    def latex(self, output: str) -> str:
        """Write the right-hand side in LaTeX."""
        log = r"\log " * self.positive
        name = r"\mathrm{Log}\text{-}" * self.positive
        scale, df = self.error.variance_latex(output), magnitude(output, "df")
        inside = rf"\left({log}f,\; {scale}\right)"
        return rf"{name}t_{{{df}}}{inside}{self._method_latex(output)}"

    def _prior(self, name: str) -> Prior | Fixed:
        return degrees_prior(getattr(self, name), self._what(name))


type Residual = (
    AdditiveError | ProportionalError | CombinedError | PowerError | LogNormalError | StudentError
)


def additive(sd: object, *, blq: str = "M3") -> AdditiveError:
    """State an additive error by its standard deviation, in the unit of the observation.

    Parameters
    ----------
    sd : float, Spread, Prior or Fixed
        A number is the mean of a half-normal prior; ``bn.sd(0.5, rse=0.2)`` and ``bn.variance``
        state it with its standard error.
    blq : "M1", "M2", "M3" or "M4"
        What an observation below the limit of quantification says [Beal2001]_: M1 nothing, it is
        dropped; M2 nothing, and the others are known to exceed the limit; M3 that the value is
        below the limit; M4 the same, every value known to be positive.

    Examples
    --------
    >>> additive(0.5).priors()
    {'additive': HalfNormal(sigma=0.626657)}
    """
    return AdditiveError(sd, blq=blq)  # type: ignore[arg-type]


def proportional(sd: object, *, blq: str = "M3") -> ProportionalError:
    """State a proportional error by its standard deviation as a fraction of the prediction.

    ``sd`` and ``blq`` are as in `additive`; ``bn.cv(10)`` states it in percent.
    """
    return ProportionalError(sd, blq=blq)  # type: ignore[arg-type]


def combined(
    *, additive: object, proportional: object, convention: str = "variance", blq: str = "M3"
) -> CombinedError:
    """State a combined error by its additive and its proportional part.

    Parameters
    ----------
    additive, proportional : float, Prior or Fixed
        Standard deviations, in the unit of the observation and as a fraction.
    convention : "variance" or "sd"
        What adds up: the variances of the two parts, so that the standard deviation is
        ``sqrt(additive**2 + (proportional * f)**2)``, or the standard deviations:
        ``additive + proportional * f``, which Monolix calls combined1.
    blq : "M1", "M2", "M3" or "M4"
        As in `additive`.
    """
    return CombinedError(
        additive,  # type: ignore[arg-type]
        proportional,  # type: ignore[arg-type]
        convention=convention,
        blq=blq,
    )


def power_error(*, coefficient: object, exponent: object, blq: str = "M3") -> PowerError:
    """State an error whose standard deviation is ``coefficient * f**exponent``.

    Parameters
    ----------
    coefficient : float, Prior or Fixed
        The standard deviation where the prediction is 1; a number is the mean of a half-normal
        prior.
    exponent : float, Prior or Fixed
        0 is an additive error, 1 a proportional one. A number x becomes ``Normal(x, 0.5)``.
    blq : "M1", "M2", "M3" or "M4"
        As in `additive`.
    """
    return PowerError(coefficient, exponent, blq=blq)  # type: ignore[arg-type]


def log_normal(sd: object, *, blq: str = "M3") -> LogNormalError:
    """State a log-normal error by its standard deviation on the log scale.

    ``sd`` and ``blq`` are as in `additive`; ``bn.cv(10)`` states it in percent.
    """
    return LogNormalError(sd, blq=blq)  # type: ignore[arg-type]


def student_t(error: Residual, *, df: object, blq: str = "M3") -> StudentError:
    """Give a residual error the noise of Student's t, so that far observations weigh less.

    Parameters
    ----------
    error : residual error
        Its standard deviation becomes the scale of the noise, which is smaller than the standard
        deviation of the observation: that is ``sqrt(df / (df - 2))`` times the scale.
    df : float, Prior or Fixed
        Degrees of freedom. A number x above 1 is the mean of the default prior: x - 1 is the mean
        of a half-normal above 1. ``bn.fixed(4)`` is exact.
    blq : "M1", "M2", "M3" or "M4"
        As in `additive`.

    Examples
    --------
    >>> student_t(additive(0.5), df=4).priors()["df"]
    TruncatedNormal(lower=1, mu=1, sigma=3.75994)
    """
    return StudentError(error, df, blq=blq)  # type: ignore[arg-type]
