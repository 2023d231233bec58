"""What all residual errors share: scale, noise, and what a censored value says."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import pytensor.tensor as pt

from bayesnlme._types import Floats, Integers, Tensor
from bayesnlme.errors import ModelError, did_you_mean
from bayesnlme.observation.noise import (
    Noise,
    NormalNoise,
    log_cdf,
    log_difference,
    nearer_tail,
)
from bayesnlme.observation.outcome import Bounds, Magnitudes, open_uniform
from bayesnlme.population.priors import (
    Fixed,
    Prior,
    prior_to_value,
    stated,
)
from bayesnlme.population.spread import Scale, deviation_prior, stated_deviation

METHODS = ("M1", "M2", "M3", "M4")


@dataclass(frozen=True, slots=True)
class ResidualError:
    """What all residual errors share; their magnitudes are standard deviations unless stated."""

    blq: str = field(default="M3", kw_only=True)

    kind: ClassVar[str]
    key: ClassVar[str] = "error"
    scale: ClassVar[str] = "continuous"
    magnitudes: ClassVar[tuple[str, ...]]
    deviations: ClassVar[Mapping[str, Scale]] = {
        "additive": "own",
        "proportional": "fraction",
        "coefficient": "own",
        "log_sd": "log",
    }
    """The magnitudes that are standard deviations, and of what."""

    def __post_init__(self) -> None:
        if self.blq not in METHODS:
            raise ModelError(
                f"{self.kind} error, blq={self.blq!r}. {did_you_mean(str(self.blq), METHODS)}"
            )
        if self.blq == "M4" and self.positive:
            raise ModelError(
                f"{self.kind} error, blq='M4': it conditions on positive values, and this error "
                "gives no others. Use M3, which is then the same."
            )
        for name in self.magnitudes:
            accept = stated_deviation if name in self.deviations else stated
            object.__setattr__(self, name, accept(getattr(self, name), self._what(name)))
            self._prior(name)

    @property
    def positive(self) -> bool:
        """Whether the observations must be positive."""
        return False

    def priors(self) -> dict[str, Prior | Fixed]:
        """Return the prior of each magnitude, by its name."""
        return {name: self._prior(name) for name in self.stated()}

    def stated(self) -> dict[str, Any]:
        """Return each magnitude as it was stated."""
        return {name: getattr(self, name) for name in self.magnitudes}

    def meaning(self, magnitude: str) -> str:
        """Say what a magnitude is, to be followed by "of" and the output."""
        return f"{magnitude.replace('_', ' ')} residual error"

    def refusal(self, value: float) -> tuple[str, str] | None:
        """Say why an exact value is impossible and what to do, or None."""
        if self.positive and value <= 0:
            return (
                "has a log-normal error",
                "Use an additive or combined error, or declare a value below the limit of "
                "quantification as such.",
            )
        if self.blq == "M4" and value <= 0:
            return (
                "is conditioned on positive values by blq='M4'",
                "Use M3, or declare a value below the limit of quantification as such.",
            )
        return None

    def to_dict(self) -> dict[str, Any]:
        """Return plain TOML values."""
        values = {name: prior_to_value(getattr(self, name)) for name in self.magnitudes}
        return {"error": self.kind, **values, **self._options()}

    def sd(self, f: Any, magnitudes: Magnitudes) -> Any:
        """Return the standard deviation of what the noise multiplies, for numbers or tensors."""
        raise NotImplementedError

    def noise(self, magnitudes: Magnitudes) -> Noise:  # noqa: ARG002
        """Return the distribution of the noise."""
        return NormalNoise()

    def log_density(self, y: Tensor, f: Tensor, magnitudes: Magnitudes, bounds: Bounds) -> Tensor:
        """Return the log density of observations, shape (..., observation).

        A censored one has the log of the probability of what is known of it. Where the prediction
        allows no other value than itself (an SD of zero, as a proportional error has before the
        first dose), a censored observation that agrees with it is certain, and an exact one has no
        density: minus infinity.
        """
        f = pt.as_tensor(f)
        possible = f > 0 if self.positive else pt.ones_like(f, dtype="bool")
        sd = self.sd(f, magnitudes)
        degenerate = pt.eq(f, 0) if self.positive else pt.eq(sd, 0)
        possible = possible & (sd > 0)
        sd = pt.switch(possible, sd, 1.0)
        centre = pt.log(pt.switch(possible, f, 1.0)) if self.positive else f
        found = _joined(self._pieces(y, (centre, sd), self.noise(magnitudes), bounds), len(bounds))
        return pt.switch(possible, found, self._impossible(f, degenerate, bounds))

    def quantile(self, level: Floats, f: Floats, magnitudes: Magnitudes, bounds: Bounds) -> Floats:
        """Return quantiles of observations, given that they exceed what M2 or M4 ask for."""
        sd, noise = self.sd(f, magnitudes), self.noise(magnitudes)
        with np.errstate(invalid="ignore", divide="ignore"):
            centre = np.log(f) if self.positive else f
            log_above = np.log1p(-level)
            floor = self._floor(bounds)
            if np.isfinite(floor).any():
                lowest = np.log(floor) if self.positive else floor
                log_above = log_above + noise.log_above((lowest - centre) / sd)
            value = centre + sd * noise.quantile_above(log_above)
            value = np.where(sd == 0, centre, value)
            return np.asarray(np.exp(value) if self.positive else value)

    def draw(
        self, f: Floats, magnitudes: Magnitudes, bounds: Bounds, rng: np.random.Generator
    ) -> Floats:
        """Draw observations, in NumPy; censored ones as if they had been measured."""
        return self.quantile(open_uniform(rng, np.shape(f)), f, magnitudes, bounds)

    def moved(self, f: Floats, other: Floats, magnitudes: Magnitudes) -> Floats:
        """Return how far apart two predictions are, in SDs of an observation."""
        with np.errstate(invalid="ignore", divide="ignore"):
            a, b = (np.log(f), np.log(other)) if self.positive else (f, other)
            return np.where(a == b, 0.0, np.abs(b - a) / self.sd(f, magnitudes))

    def text(self, output: str) -> str:
        """Write the equation in plain text."""
        return f"{output} ~ Normal(f, {self.sd_text(output)}){self._method_text(output)}"

    def latex(self, output: str) -> str:
        """Write the right-hand side in LaTeX."""
        tail = self._method_latex(output)
        return rf"\mathcal{{N}}\left(f,\; {self.variance_latex(output)}\right){tail}"

    def sd_text(self, output: str) -> str:
        """Write the standard deviation in plain text."""
        raise NotImplementedError

    def variance_latex(self, output: str) -> str:
        """Write the variance in LaTeX."""
        raise NotImplementedError

    def _pieces(
        self, y: Tensor, scaled: tuple[Tensor, Tensor], noise: Noise, bounds: Bounds
    ) -> list[tuple[Integers, Tensor]]:
        """Return log densities with the positions they belong to."""
        floor = self._floor(bounds)
        lower, upper = self._interval(bounds, floor)
        above_floor = np.flatnonzero(np.isfinite(floor))
        size, exact = len(bounds), bounds.exact
        centre, sd = scaled
        if {exact.size, above_floor.size} - {0, size}:
            sd = sd + pt.zeros_like(centre)

        def z(values: Any, at: Integers) -> Tensor:
            value = pt.log(values) if self.positive else values
            return (value - _at(centre, at, size)) / _at(sd, at, size)

        pieces = []
        if exact.size:
            values = _at(pt.as_tensor(y), exact, size)
            density = noise.log_pdf(z(values, exact)) - pt.log(_at(sd, exact, size))
            pieces.append((exact, density - pt.log(values) if self.positive else density))
        tails = list(_tails(z, (lower, upper)))
        if above_floor.size:
            tails.append((above_floor, [-z(floor[above_floor], above_floor)], pt.neg))
        return [*pieces, *_probabilities(noise, tails)]

    def _impossible(self, f: Tensor, degenerate: Tensor, bounds: Bounds) -> Tensor | float:
        """Return the log density where the prediction is the only possible value."""
        if not bounds.censored.any():
            return -np.inf
        lower, upper = self._interval(bounds, self._floor(bounds))
        with np.errstate(invalid="ignore"):
            certain = degenerate & (lower <= f) & (f < upper)
        return pt.switch(certain, 0.0, -np.inf)

    def _floor(self, bounds: Bounds) -> Floats:
        """Return what every observation is known to exceed before it is made."""
        if self.blq == "M4":
            return np.zeros(len(bounds))
        if self.blq == "M2":
            return np.where(np.isnan(bounds.limit), -np.inf, bounds.limit)
        return np.full(len(bounds), -np.inf)

    def _interval(self, bounds: Bounds, floor: Floats) -> tuple[Floats, Floats]:
        """Return the bounds of what is possible; not a number where the value is exact."""
        lower = np.maximum(bounds.lower, floor)
        if self.positive:
            lower = np.where(lower <= 0, -np.inf, lower)
        return lower, bounds.upper

    def _what(self, name: str) -> str:
        return f"{self.kind} error, {name}"

    def _prior(self, name: str) -> Prior | Fixed:
        return deviation_prior(getattr(self, name), self._what(name), self.deviations[name])

    def _options(self) -> dict[str, Any]:
        return {} if self.blq == "M3" else {"blq": self.blq}

    def _method_text(self, output: str) -> str:
        given = {"M2": f", given {output} > LLOQ", "M4": f", given {output} > 0"}
        return given.get(self.blq, "")

    def _method_latex(self, output: str) -> str:
        given = {"M2": r"\mathrm{LLOQ}", "M4": "0"}
        if self.blq not in given:
            return ""
        return rf",\; \mathrm{{{output}}} > {given[self.blq]}"


type _Tail = tuple[Integers, list[Tensor], Callable[..., Tensor]]
"""Positions, numbers whose log-cdf is needed there, and what to make of them."""


def _tails(
    z: Callable[[Any, Integers], Tensor], interval: tuple[Floats, Floats]
) -> Iterator[_Tail]:
    lower, upper = interval
    left, right = np.isfinite(lower), np.isfinite(upper)
    if (at := np.flatnonzero(right & np.isneginf(lower))).size:
        yield at, [z(upper[at], at)], lambda below: below
    if (at := np.flatnonzero(left & np.isposinf(upper))).size:
        yield at, [-z(lower[at], at)], lambda above: above
    if (at := np.flatnonzero(left & right)).size:
        a, b = nearer_tail(z(lower[at], at), z(upper[at], at))
        yield at, [b, a], log_difference


def _probabilities(noise: Noise, tails: list[_Tail]) -> Iterator[tuple[Integers, Tensor]]:
    """Evaluate all log-cdfs in one call, so that a graph holds them once."""
    if not tails:
        return
    asked = [each for _, numbers, _ in tails for each in numbers]
    sizes = [at.size for at, numbers, _ in tails for _ in numbers]
    found = log_cdf(noise, asked[0] if len(asked) == 1 else pt.concatenate(asked, axis=-1))
    ends = np.cumsum([0, *sizes]).tolist()
    parts = iter([found[..., start:end] for start, end in pairwise(ends)])
    for at, numbers, combined in tails:
        yield at, combined(*(next(parts) for _ in numbers))


def _at(x: Tensor, at: Integers, size: int) -> Tensor:
    return x if at.size == size else x[..., at]


def _joined(pieces: list[tuple[Integers, Tensor]], size: int) -> Tensor:
    """Put pieces in the order of the observations; where there are two for one they add up."""
    if len(pieces) == 1:
        return pieces[0][1]
    placed = [at for at, _ in pieces]
    if sum(map(len, placed)) == size:
        order = np.argsort(np.concatenate(placed))
        return pt.concatenate([each for _, each in pieces], axis=-1)[..., order]
    *disjoint, (at, last) = pieces
    total = _joined(disjoint, size)
    return total + last if at.size == size else pt.inc_subtensor(total[..., at], last)
