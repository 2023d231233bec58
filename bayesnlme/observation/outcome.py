"""What every kind of outcome offers: from a prediction f to the distribution of observations."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, Self

import numpy as np

from bayesnlme._types import Booleans, Floats, Integers, Tensor
from bayesnlme.population.priors import Fixed, Prior

type Magnitudes = Mapping[str, Any]
"""Numbers or tensors by the names of an outcome's magnitudes."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bounds:
    """What is known of observations that were not measured exactly.

    Attributes
    ----------
    lower, upper : float64 array, shape (observation,)
        Where a censored observation lies; not a number where the value is exact.
    limit : float64 array, shape (observation,)
        Limit of quantification; not a number where there is none.
    """

    lower: Floats
    upper: Floats
    limit: Floats
    exact: Integers = field(init=False)
    """Positions of the exact values."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "exact", np.flatnonzero(np.isnan(self.upper)))

    def __len__(self) -> int:
        return len(self.limit)

    @classmethod
    def none(cls, size: int) -> Self:
        """Return the bounds of so many exact values."""
        nothing = np.full(size, np.nan)
        return cls(lower=nothing, upper=nothing, limit=nothing)

    @property
    def censored(self) -> Booleans:
        """Mark the observations that are not exact."""
        return ~np.isnan(self.upper)


class Outcome(Protocol):
    """A kind of outcome, with its priors.

    Attributes
    ----------
    kind : str
        Its name in files.
    key : str
        The entry of a file that holds its name: ``"error"`` or ``"distribution"``.
    scale : str
        What its values are: ``"continuous"``, ``"count"``, ``"category"`` or ``"event"``.
    positive : bool
        Whether observations must be positive.
    """

    kind: ClassVar[str]
    key: ClassVar[str]
    scale: ClassVar[str]

    @property
    def positive(self) -> bool:
        """Whether observations must be positive."""
        ...

    @property
    def blq(self) -> str:
        """How observations below the limit of quantification are treated."""
        ...

    def priors(self) -> dict[str, Prior | Fixed]:
        """Return the prior of each magnitude, by its name."""
        ...

    def stated(self) -> dict[str, Any]:
        """Return each magnitude as it was stated."""
        ...

    def meaning(self, magnitude: str) -> str:
        """Say what a magnitude is, to be followed by "of" and the output."""
        ...

    def refusal(self, value: float) -> tuple[str, str] | None:
        """Say why an exact value is impossible and what to do, or None."""
        ...

    def log_density(self, y: Tensor, f: Tensor, magnitudes: Magnitudes, bounds: Bounds) -> Tensor:
        """Return the log density of observations, shape (..., observation)."""
        ...

    def quantile(self, level: Floats, f: Floats, magnitudes: Magnitudes, bounds: Bounds) -> Floats:
        """Return quantiles of observations, in NumPy."""
        ...

    def draw(
        self, f: Floats, magnitudes: Magnitudes, bounds: Bounds, rng: np.random.Generator
    ) -> Floats:
        """Draw observations, in NumPy; censored ones as if they had been measured."""
        ...

    def moved(self, f: Floats, other: Floats, magnitudes: Magnitudes) -> Floats:
        """Return how far apart two predictions are, in SDs of an observation."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return plain TOML values."""
        ...

    def text(self, output: str) -> str:
        """Write the equation in plain text."""
        ...

    def latex(self, output: str) -> str:
        """Write the right-hand side in LaTeX."""
        ...


class WithoutMagnitudes:
    """What outcomes share whose prediction says all there is to say."""

    __slots__ = ()

    def priors(self) -> dict[str, Prior | Fixed]:
        """Return no priors: there is nothing besides the prediction."""
        return {}

    def stated(self) -> dict[str, Any]:
        """Return each magnitude as it was stated; there is none."""
        return {}

    def meaning(self, magnitude: str) -> str:
        """Say what a magnitude is; there is none."""
        raise KeyError(magnitude)


def open_uniform(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Draw from the open interval (0, 1)."""
    return np.asarray(rng.uniform(np.finfo(float).tiny, 1.0, shape))


def magnitude(output: str, name: str) -> str:
    """Write a magnitude in LaTeX."""
    escaped = name.replace("_", r"\_")
    return rf"\mathrm{{{output}}}_{{\mathrm{{{escaped}}}}}"
