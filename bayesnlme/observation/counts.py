r"""Counts: whole numbers whose mean is the prediction f.

============================  ===================================================
``PoissonCounts``             :math:`P(y) = e^{-f} f^y / y!`; the variance is f
``NegativeBinomialCounts``    mean f, variance :math:`f + \delta f^2`
============================  ===================================================

The negative binomial is a Poisson count whose rate varies as a gamma distribution with mean f
and coefficient of variation :math:`\sqrt\delta`; a dispersion of 0 is the Poisson distribution.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytensor.tensor as pt
from scipy import stats

from bayesnlme._types import Floats, Tensor
from bayesnlme.observation.gamma import log_gamma_ratio
from bayesnlme.observation.outcome import Bounds, Magnitudes, WithoutMagnitudes, magnitude
from bayesnlme.population.priors import (
    Fixed,
    Prior,
    Stated,
    prior_to_value,
    standard_deviation_prior,
    stated,
)


@dataclass(frozen=True, slots=True)
class _Counts:
    """What counts share."""

    kind: ClassVar[str]
    key: ClassVar[str] = "distribution"
    scale: ClassVar[str] = "count"
    positive: ClassVar[bool] = False
    blq: ClassVar[str] = "none"

    def refusal(self, value: float) -> tuple[str, str] | None:
        """Say why a value is impossible and what to do, or None."""
        if value >= 0 and float(value).is_integer():
            return None
        return (
            "is a count: a whole number of at least 0",
            "Correct the value, or use a residual error for what is measured.",
        )

    def moved(self, f: Floats, other: Floats, magnitudes: Magnitudes) -> Floats:
        """Return how far apart two predictions are, in SDs of an observation."""
        with np.errstate(invalid="ignore", divide="ignore"):
            sd = np.sqrt(self.variance(f, magnitudes))
            return np.where(f == other, 0.0, np.abs(other - f) / sd)

    def variance(self, f: Floats, magnitudes: Magnitudes) -> Floats:
        """Return the variance of an observation."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class PoissonCounts(WithoutMagnitudes, _Counts):
    """Counts whose variance is their mean."""

    kind: ClassVar[str] = "poisson"

    def to_dict(self) -> dict[str, Any]:
        """Return plain TOML values."""
        return {"distribution": self.kind}

    def variance(self, f: Floats, magnitudes: Magnitudes) -> Floats:  # noqa: ARG002
        """Return the variance of an observation."""
        return f

    def log_density(self, y: Tensor, f: Tensor, magnitudes: Magnitudes, bounds: Bounds) -> Tensor:  # noqa: ARG002
        """Return the log probability of counts."""
        y, f = pt.as_tensor(y), pt.as_tensor(f)
        possible = (f > 0) | ((f >= 0) & (y <= 0))
        rate = pt.switch(f > 0, f, 1.0)
        density = y * pt.log(rate) - f - pt.gammaln(y + 1.0)
        return pt.switch(possible, density, -np.inf)

    def quantile(self, level: Floats, f: Floats, magnitudes: Magnitudes, bounds: Bounds) -> Floats:  # noqa: ARG002
        """Return quantiles of observations, in NumPy."""
        return np.asarray(stats.poisson.ppf(level, f))

    def draw(
        self,
        f: Floats,
        magnitudes: Magnitudes,  # noqa: ARG002
        bounds: Bounds,  # noqa: ARG002
        rng: np.random.Generator,
    ) -> Floats:
        """Draw observations, in NumPy."""
        return _poisson(rng, f)

    def text(self, output: str) -> str:
        """Write the equation in plain text."""
        return f"{output} ~ Poisson(f)"

    def latex(self, output: str) -> str:  # noqa: ARG002
        """Write the right-hand side in LaTeX."""
        return r"\mathrm{Poisson}(f)"


@dataclass(frozen=True, slots=True)
class NegativeBinomialCounts(_Counts):
    """Counts that vary more than Poisson's."""

    dispersion: Stated

    kind: ClassVar[str] = "negative_binomial"

    def __post_init__(self) -> None:
        object.__setattr__(self, "dispersion", stated(self.dispersion, self._what))
        self.priors()

    def priors(self) -> dict[str, Prior | Fixed]:
        """Return the prior of the dispersion."""
        return {"dispersion": standard_deviation_prior(self.dispersion, self._what)}

    def stated(self) -> dict[str, Any]:
        """Return each magnitude as it was stated."""
        return {"dispersion": self.dispersion}

    def meaning(self, magnitude: str) -> str:
        """Say what a magnitude is, to be followed by "of" and the output."""
        return magnitude

    def to_dict(self) -> dict[str, Any]:
        """Return plain TOML values."""
        return {"distribution": self.kind, "dispersion": prior_to_value(self.dispersion)}

    def variance(self, f: Floats, magnitudes: Magnitudes) -> Floats:
        """Return the variance of an observation."""
        return np.asarray(f + magnitudes["dispersion"] * f**2)

    def log_density(self, y: Tensor, f: Tensor, magnitudes: Magnitudes, bounds: Bounds) -> Tensor:  # noqa: ARG002
        """Return the log probability of counts, exact for any small dispersion.

        With n = 1/δ: Γ(y + n) / (Γ(n) y!) times (f/n)^y / (1 + f/n)^(y + n).
        """
        y, f, dispersion = map(pt.as_tensor, (y, f, magnitudes["dispersion"]))
        possible = ((f > 0) | ((f >= 0) & (y <= 0))) & (dispersion > 0)
        delta = pt.switch(dispersion > 0, dispersion, 1.0)
        rate = pt.switch(f > 0, f, 1.0)
        n = 1 / delta
        ratio = log_gamma_ratio(n, y) - pt.gammaln(y + 1.0)
        scaled = pt.switch(f > 0, delta * f, 0.0)
        density = ratio + y * pt.log(rate) - (y + n) * pt.log1p(scaled)
        return pt.switch(possible, density, -np.inf)

    def quantile(self, level: Floats, f: Floats, magnitudes: Magnitudes, bounds: Bounds) -> Floats:  # noqa: ARG002
        """Return quantiles of observations, in NumPy."""
        dispersion = magnitudes["dispersion"]
        return np.asarray(stats.nbinom.ppf(level, 1 / dispersion, 1 / (1 + dispersion * f)))

    def draw(
        self,
        f: Floats,
        magnitudes: Magnitudes,
        bounds: Bounds,  # noqa: ARG002
        rng: np.random.Generator,
    ) -> Floats:
        """Draw observations, in NumPy."""
        dispersion = np.broadcast_to(magnitudes["dispersion"], np.shape(f))
        return _poisson(rng, f * dispersion * rng.gamma(1 / dispersion))

    def text(self, output: str) -> str:
        """Write the equation in plain text."""
        return f"{output} ~ NegativeBinomial(mean f, variance f + {output}_dispersion * f^2)"

    def latex(self, output: str) -> str:
        """Write the right-hand side in LaTeX."""
        dispersion = magnitude(output, "dispersion")
        return rf"\mathrm{{NegBin}}\left(f,\; f + {dispersion} f^2\right)"

    @property
    def _what(self) -> str:
        return "negative_binomial, dispersion"


def poisson() -> PoissonCounts:
    """Count events whose mean is the prediction; the variance is the mean.

    Examples
    --------
    >>> poisson().text("seizures")
    'seizures ~ Poisson(f)'
    """
    return PoissonCounts()


def negative_binomial(*, dispersion: object) -> NegativeBinomialCounts:
    """Count events whose mean is the prediction f, with variance ``f + dispersion * f**2``.

    Parameters
    ----------
    dispersion : float, Prior or Fixed
        A number is the mean of a half-normal prior; near 0 the counts are Poisson's.

    Examples
    --------
    >>> negative_binomial(dispersion=0.2).priors()
    {'dispersion': HalfNormal(sigma=0.250663)}
    """
    return NegativeBinomialCounts(dispersion)  # type: ignore[arg-type]


_MOST = 1e15
"""Counts above it are no longer whole numbers apart, and NumPy refuses to draw them."""


def _poisson(rng: np.random.Generator, rate: Floats) -> Floats:
    """Draw counts; not a number where there is no rate."""
    drawable = (rate >= 0) & (rate < _MOST)
    drawn = rng.poisson(np.where(drawable, rate, 0.0)).astype(np.float64)
    return np.where(drawable, drawn, np.nan)
