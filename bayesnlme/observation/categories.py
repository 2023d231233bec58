r"""Outcomes that are one of a few categories.

===================  =====================================================================
``BinaryOutcome``    :math:`P(y = 1) = p` with :math:`\mathrm{logit}\,p = f`, or p = f
``OrderedOutcome``   :math:`\mathrm{logit}\,P(y \le k) = \tau_k - f`: proportional odds
                     [McCullagh1980]_
===================  =====================================================================
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pytensor.tensor as pt
from scipy import special

from bayesnlme._types import Floats, Tensor
from bayesnlme.errors import ModelError, did_you_mean
from bayesnlme.observation.noise import log1mexp
from bayesnlme.observation.outcome import (
    Bounds,
    Magnitudes,
    WithoutMagnitudes,
    magnitude,
    open_uniform,
)
from bayesnlme.observation.priors import increment_prior, threshold_prior
from bayesnlme.population.priors import Fixed, Prior, Stated, prior_to_value, stated

LINKS = ("logit", "identity")


@dataclass(frozen=True, slots=True)
class _Category:
    """What categories share."""

    kind: ClassVar[str]
    key: ClassVar[str] = "distribution"
    scale: ClassVar[str] = "category"
    positive: ClassVar[bool] = False
    blq: ClassVar[str] = "none"


@dataclass(frozen=True, slots=True)
class BinaryOutcome(WithoutMagnitudes, _Category):
    """Something that happens, 1, or does not, 0."""

    link: str = "logit"

    kind: ClassVar[str] = "binary"

    def __post_init__(self) -> None:
        if self.link not in LINKS:
            raise ModelError(f"binary, link={self.link!r}. {did_you_mean(str(self.link), LINKS)}")

    @property
    def categories(self) -> tuple[int, ...]:
        """The values there are."""
        return (0, 1)

    def refusal(self, value: float) -> tuple[str, str] | None:
        """Say why a value is impossible and what to do, or None."""
        if value in (0, 1):
            return None
        return "is binary: 0 or 1", "Write 1 where it happened and 0 where it did not."

    def to_dict(self) -> dict[str, Any]:
        """Return plain TOML values."""
        return {"distribution": self.kind, "link": self.link}

    def log_density(self, y: Tensor, f: Tensor, magnitudes: Magnitudes, bounds: Bounds) -> Tensor:  # noqa: ARG002
        """Return the log probability of 0 or 1."""
        y, f = pt.as_tensor(y), pt.as_tensor(f)
        if self.link == "logit":
            return y * f - pt.softplus(f)
        happened = y > 0
        p = pt.switch(happened, f, 1 - f)
        possible = (p > 0) & (p <= 1)
        return pt.switch(possible, pt.log(pt.switch(possible, p, 1.0)), -np.inf)

    def probability(self, f: Floats) -> Floats:
        """Return the probability of 1, in NumPy; not a number where f is none."""
        if self.link == "logit":
            return np.asarray(special.expit(f))
        with np.errstate(invalid="ignore"):
            return np.where((f >= 0) & (f <= 1), f, np.nan)

    def probabilities(self, f: Floats, magnitudes: Magnitudes) -> Floats:  # noqa: ARG002
        """Return the probability of each category, in NumPy, shape (category, ...)."""
        p = self.probability(f)
        return np.stack([1 - p, p])

    def quantile(self, level: Floats, f: Floats, magnitudes: Magnitudes, bounds: Bounds) -> Floats:  # noqa: ARG002
        """Return quantiles of observations, in NumPy."""
        p = self.probability(f)
        return np.where(np.isnan(p), np.nan, (level > 1 - p).astype(np.float64))

    def draw(
        self, f: Floats, magnitudes: Magnitudes, bounds: Bounds, rng: np.random.Generator
    ) -> Floats:
        """Draw observations, in NumPy."""
        return self.quantile(open_uniform(rng, np.shape(f)), f, magnitudes, bounds)

    def moved(self, f: Floats, other: Floats, magnitudes: Magnitudes) -> Floats:  # noqa: ARG002
        """Return how far apart two probabilities are, in SDs of an observation."""
        p, q = self.probability(f), self.probability(other)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(p == q, 0.0, np.abs(q - p) / np.sqrt(p * (1 - p)))

    def text(self, output: str) -> str:
        """Write the equation in plain text."""
        return f"{output} ~ Bernoulli({'logit p = f' if self.link == 'logit' else 'f'})"

    def latex(self, output: str) -> str:  # noqa: ARG002
        """Write the right-hand side in LaTeX."""
        p = r"\mathrm{logit}^{-1} f" if self.link == "logit" else "f"
        return rf"\mathrm{{Bernoulli}}\left({p}\right)"


@dataclass(frozen=True, slots=True)
class OrderedOutcome(_Category):
    """One of K ordered categories, whose odds move together with the prediction."""

    thresholds: tuple[Stated, ...]
    first: int = field(default=0, kw_only=True)

    kind: ClassVar[str] = "ordered"

    def __post_init__(self) -> None:
        given = self.thresholds
        if isinstance(given, str) or not isinstance(given, Sequence) or not given:
            raise ModelError(
                f"ordered, thresholds={given!r}: give a list with one threshold less than there "
                "are categories, such as [-1.0, 0.5, 2.0]."
            )
        if isinstance(self.first, bool) or self.first not in (0, 1):
            raise ModelError(f"ordered, first={self.first!r}: categories count from 0 or from 1.")
        values = tuple(
            stated(each, f"ordered, threshold {k}") for k, each in enumerate(given, start=1)
        )
        object.__setattr__(self, "thresholds", values)
        self.priors()

    @property
    def categories(self) -> tuple[int, ...]:
        """The values there are."""
        return tuple(range(self.first, self.first + len(self.thresholds) + 1))

    def priors(self) -> dict[str, Prior | Fixed]:
        """Return the priors of the first threshold and of the increments."""
        if all(isinstance(each, Prior) for each in self.thresholds):
            return self._exact_priors()
        levels = [each.value if isinstance(each, Fixed) else each for each in self.thresholds]
        fixed = [isinstance(each, Fixed) for each in self.thresholds]
        if any(fixed) != all(fixed) or not all(isinstance(each, float) for each in levels):
            raise ModelError(
                "ordered, thresholds: give numbers (expectations) alone, bn.fixed values alone, or "
                "priors alone: of the first threshold and then of the increments."
            )
        numbers = [float(each) for each in levels]  # type: ignore[arg-type]
        steps = np.diff(numbers).tolist()
        if min(steps, default=1.0) <= 0:
            raise ModelError(f"ordered, thresholds {numbers} must ascend.")
        if all(fixed):
            values = [Fixed(each) for each in (numbers[0], *steps)]
            return dict(zip(self._names, values, strict=True))
        priors = [threshold_prior(numbers[0]), *map(increment_prior, steps)]
        return dict(zip(self._names, priors, strict=True))

    def stated(self) -> dict[str, Any]:
        """Return each magnitude as it was stated."""
        return dict(zip(self._names, self.thresholds, strict=True))

    def meaning(self, magnitude: str) -> str:
        """Say what a magnitude is, to be followed by "of" and the output."""
        what, _, number = magnitude.partition("_")
        if what == "threshold":
            return "first threshold"
        return f"distance of threshold {number} from the one before"

    def refusal(self, value: float) -> tuple[str, str] | None:
        """Say why a value is impossible and what to do, or None."""
        if value in self.categories:
            return None
        names = f"{self.categories[0]}, ..., {self.categories[-1]}"
        return (
            f"has the categories {names}",
            "Correct the value, state a threshold less than there are categories, or count them "
            "from 1 by first=1.",
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain TOML values."""
        thresholds = [prior_to_value(each) for each in self.thresholds]
        return {"distribution": self.kind, "thresholds": thresholds, "first": self.first}

    def log_density(self, y: Tensor, f: Tensor, magnitudes: Magnitudes, bounds: Bounds) -> Tensor:  # noqa: ARG002
        """Return the log probability of a category.

        With a = τ_k - f and b the same of the category below, σ(a) - σ(b) is
        σ(a) σ(-b) (1 - exp(b - a)), whose factors lose no digits.
        """
        y, f = pt.as_tensor(y), pt.as_tensor(f)
        names, last = self._names, len(self._names)
        threshold, density = magnitudes[names[0]], -pt.softplus(f - magnitudes[names[0]])
        result = pt.switch(y > self.first, -np.inf, density)
        for k in range(1, last + 1):
            below = threshold
            density = -pt.softplus(below - f)
            if k < last:
                step = magnitudes[names[k]]
                threshold = threshold + step
                density = density - pt.softplus(f - threshold) + log1mexp(-pt.as_tensor(step))
            result = pt.switch(pt.eq(y, self.first + k), density, result)
        return result

    def probabilities(self, f: Floats, magnitudes: Magnitudes) -> Floats:
        """Return the probability of each category, in NumPy, shape (category, ...)."""
        steps = [np.broadcast_to(magnitudes[name], np.shape(f)) for name in self._names]
        thresholds = np.cumsum(steps, axis=0)
        up_to = special.expit(thresholds - f)
        edges = np.zeros((1, *up_to.shape[1:])), np.ones((1, *up_to.shape[1:]))
        return np.diff(np.concatenate([edges[0], up_to, edges[1]]), axis=0)

    def quantile(self, level: Floats, f: Floats, magnitudes: Magnitudes, bounds: Bounds) -> Floats:  # noqa: ARG002
        """Return quantiles of observations, in NumPy."""
        found, threshold = np.full(np.shape(f), float(self.first)), 0.0
        for name in self._names:
            threshold = threshold + magnitudes[name]
            found = found + (level > special.expit(threshold - f))
        return np.where(np.isnan(f), np.nan, found)

    def draw(
        self, f: Floats, magnitudes: Magnitudes, bounds: Bounds, rng: np.random.Generator
    ) -> Floats:
        """Draw observations, in NumPy."""
        return self.quantile(open_uniform(rng, np.shape(f)), f, magnitudes, bounds)

    def moved(self, f: Floats, other: Floats, magnitudes: Magnitudes) -> Floats:  # noqa: ARG002
        """Return how far apart two predictions are, in SDs of the logistic distribution."""
        return np.asarray(np.abs(other - f) * np.sqrt(3) / np.pi)

    def text(self, output: str) -> str:
        """Write the equation in plain text."""
        return f"logit P({output} <= k) = {output}_threshold[k] - f"

    def latex(self, output: str) -> str:
        """Write the right-hand side in LaTeX."""
        threshold = magnitude(output, "threshold")
        return rf"\mathrm{{Ordered}}\left({threshold} - f\right)"

    @property
    def _names(self) -> tuple[str, ...]:
        numbers = range(2, len(self.thresholds) + 1)
        return ("threshold_1", *(f"increment_{k}" for k in numbers))

    def _exact_priors(self) -> dict[str, Prior | Fixed]:
        found = dict(zip(self._names, self.thresholds, strict=True))
        for name, prior in found.items():
            if name != "threshold_1" and not prior.positive:  # type: ignore[union-attr]
                raise ModelError(
                    f"ordered, {name}: {prior!r} allows negative values, but thresholds ascend."
                )
        return found  # type: ignore[return-value]


def binary(*, link: str = "logit") -> BinaryOutcome:
    """Observe whether something happened: 1 or 0.

    Parameters
    ----------
    link : "logit" or "identity"
        What the prediction is: the logit of the probability of 1, or the probability itself.

    Examples
    --------
    >>> binary().text("response")
    'response ~ Bernoulli(logit p = f)'
    """
    return BinaryOutcome(link)


def ordered(*, thresholds: Sequence[object], first: int = 0) -> OrderedOutcome:
    """Observe one of K ordered categories: ``logit P(y <= k) = threshold_k - f``.

    The prediction f moves the odds of all categories together (proportional odds
    [McCullagh1980]_). Adding a constant to f and to all thresholds changes nothing, so the
    structure should have no free baseline of its own.

    Parameters
    ----------
    thresholds : sequence
        One less than there are categories, ascending. Numbers are expectations: the first becomes
        ``Normal(x, 2.5)``, the distance d of each from the one before ``LogNormal(log d, 1)``.
        ``bn.fixed`` values are exact; ``bn.Prior`` objects are the priors of the first threshold
        and then of the distances.
    first : 0 or 1
        The lowest category.

    Examples
    --------
    >>> ordered(thresholds=[-1.0, 1.0], first=1).categories
    (1, 2, 3)
    """
    return OrderedOutcome(thresholds, first=first)  # type: ignore[arg-type]
