r"""Events and when they happen: the prediction is a hazard h, its integral over time H.

What a row of the table says of the stretch since the subject's row before:

======  ==================================================  ==========================
DV 0    nothing happened                                    :math:`e^{-\Delta H}`
DV 1    the event happened at the row's time                :math:`h\,e^{-\Delta H}`
DV 2    it happened, but nobody knows when                  :math:`1 - e^{-\Delta H}`
======  ==================================================  ==========================

with :math:`\Delta H` the hazard accumulated over the stretch. A subject's first row, DV 0, says
when the risk starts. A last row with DV 0 is right censored, DV 2 is interval censored, left
censored where it is the second row; rows of a subject multiply to the likelihood of all it went
through, single event or repeated ones [Andersen1993]_.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytensor.tensor as pt

from bayesnlme._types import Floats, Tensor
from bayesnlme.errors import ModelError
from bayesnlme.observation.noise import log1mexp
from bayesnlme.observation.outcome import Bounds, Magnitudes, WithoutMagnitudes, open_uniform

NONE, EXACT, BETWEEN = 0.0, 1.0, 2.0
"""What DV says of the stretch since the row before."""

HAZARD = "hazard"
"""Name of the hazard at the event, which the density takes beside the accumulated one."""

_ROUNDING = 1e-6
"""How far below 0 the error of a solver may leave the integral of a hazard that is 0."""


@dataclass(frozen=True, slots=True)
class TimeToEvent(WithoutMagnitudes):
    """An event that happens once, or again and again, at a rate that is the prediction."""

    repeated: bool = False

    kind: ClassVar[str] = "time_to_event"
    key: ClassVar[str] = "distribution"
    scale: ClassVar[str] = "event"
    positive: ClassVar[bool] = False
    blq: ClassVar[str] = "none"

    def __post_init__(self) -> None:
        if not isinstance(self.repeated, bool):
            raise ModelError(f"time_to_event, repeated={self.repeated!r}: write True or False.")

    def refusal(self, value: float) -> tuple[str, str] | None:
        """Say why a value is impossible and what to do, or None."""
        if value in (NONE, EXACT, BETWEEN):
            return None
        return (
            "is a time to event: DV is 0, 1 or 2",
            "Write 1 where the event happened at the row's time, 2 where it happened at an unknown "
            "time since the row before, and 0 where the risk starts or nothing happened.",
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain TOML values."""
        return {"distribution": self.kind, "repeated": self.repeated}

    def log_density(self, y: Tensor, f: Tensor, magnitudes: Magnitudes, bounds: Bounds) -> Tensor:  # noqa: ARG002
        """Return the log density of what rows say.

        Parameters
        ----------
        y : tensor
            0, 1 or 2.
        f : tensor
            Hazard accumulated since the row before; 0 where the risk starts.
        magnitudes : mapping
            ``"hazard"`` at the rows with an event at a known time; any positive number elsewhere.
        bounds : Bounds
            Not used.
        """
        y, f, hazard = map(pt.as_tensor, (y, f, magnitudes[HAZARD]))
        exact, between = pt.eq(y, EXACT), pt.eq(y, BETWEEN)
        rate = pt.switch(exact & (hazard > 0), hazard, 1.0)
        grown = f > 0
        happened = log1mexp(-pt.switch(grown & between, f, 1.0))
        density = pt.switch(between, happened, pt.log(rate) - f)
        possible = pt.switch(between, grown, (f > -_ROUNDING) & ((hazard > 0) | ~exact))
        return pt.switch(possible, density, -np.inf)

    def quantile(self, level: Floats, f: Floats, magnitudes: Magnitudes, bounds: Bounds) -> Floats:  # noqa: ARG002
        """Return quantiles of what a row can say where times are not known, in NumPy: 0 or 2."""
        happened = level > np.exp(-f)
        return np.where(np.isnan(f), np.nan, np.where(happened, BETWEEN, NONE))

    def draw(
        self, f: Floats, magnitudes: Magnitudes, bounds: Bounds, rng: np.random.Generator
    ) -> Floats:
        """Draw whether the event happens since the row before, given that it may: 0 or 2."""
        return self.quantile(open_uniform(rng, np.shape(f)), f, magnitudes, bounds)

    def moved(self, f: Floats, other: Floats, magnitudes: Magnitudes) -> Floats:  # noqa: ARG002
        """Return how far apart two probabilities of the event are, in SDs of its indicator."""
        with np.errstate(invalid="ignore", divide="ignore"):
            p, q = -np.expm1(-f), -np.expm1(-other)
            return np.where(f == other, 0.0, np.abs(q - p) / np.sqrt(p * (1 - p)))

    def text(self, output: str) -> str:
        """Write the equation in plain text."""
        return f"{output} ~ {self._word}(hazard f)"

    def latex(self, output: str) -> str:  # noqa: ARG002
        """Write the right-hand side in LaTeX."""
        return rf"\mathrm{{{self._word}}}\left(h = f\right)"

    @property
    def _word(self) -> str:
        return "RepeatedEvents" if self.repeated else "TimeToEvent"


def time_to_event(*, repeated: bool = False) -> TimeToEvent:
    """Observe when something happens, at a rate that is the prediction: a hazard.

    In the table, the first row of a subject has DV 0 and says when its risk starts. A later row
    says what happened since the row before: DV 1, the event, at the row's time; DV 2, the event,
    at an unknown time (interval censored); DV 0, nothing (at the last row: right censored).

    The hazard is any output of the structure, in 1 over the unit of time. It is integrated in
    closed form for the hazards of :mod:`bayesnlme.structural.hazard`, and else as one more state
    of the differential equations.

    Parameters
    ----------
    repeated : bool
        Whether the event may happen more than once to a subject. If not, its row is the last.

    Examples
    --------
    >>> time_to_event().text("death")
    'death ~ TimeToEvent(hazard f)'
    """
    return TimeToEvent(repeated)
