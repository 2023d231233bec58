"""What an approximation says of each subject's marginal likelihood."""

from dataclasses import dataclass
from typing import Protocol

from bayesnlme._types import Floats
from bayesnlme.marginal.conditional import Conditional
from bayesnlme.marginal.modes import Modes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contributions:
    """Log marginal likelihoods of all subjects, with their slopes.

    Attributes
    ----------
    value : array, shape (subject,)
        log p(y_i | theta), or its approximation, constants included.
    slope : array, shape (subject, parameter)
        Derivatives by theta, on the unconstrained scales.
    modes : Modes
        Of the random effects, from which the next ones may start.
    """

    value: Floats
    slope: Floats
    modes: Modes


class Approximation(Protocol):
    """A way to integrate the random effects out."""

    conditional: Conditional

    def at(self, theta: Floats, start: Floats | None = None) -> Contributions:
        """Return the contributions at `theta`; `start` is where the search for modes begins."""
        ...

    def values(self, theta: Floats, start: Floats | None = None) -> Floats:
        """Return the values alone, shape (subject,)."""
        ...
