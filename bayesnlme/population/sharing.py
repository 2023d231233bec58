r"""One random effect for several parameters, as where ETA(1) stands in two equations of NONMEM.

Where parameter Q shares the effect of CL, :math:`s\,\eta_{CL,i}` stands for a random effect of its
own, with a scale s that is 1, known or estimated: the two effects have a correlation of 1 or -1 and
Q's has the SD :math:`|s|\,\omega_{CL}`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bayesnlme.errors import ModelError
from bayesnlme.population.priors import (
    Fixed,
    Prior,
    Stated,
    prior_from_value,
    prior_to_value,
    real_prior,
    stated,
)

DEFAULT_SCALE_SD = 0.5
"""SD of the scale's prior where it was given as a number."""


@dataclass(frozen=True, slots=True)
class Shared:
    """The random effect of another parameter; see :func:`shared`.

    Attributes
    ----------
    parameter : str
        The parameter whose effect it is.
    scale : float, Prior, Typical, Fixed or None
        What is stated of the scale; None is exactly 1.
    """

    parameter: str
    scale: Stated | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.parameter, str) or not self.parameter:
            raise ModelError(
                f"bn.shared: {self.parameter!r} names no parameter. Write bn.shared('CL')."
            )
        if self.scale is not None:
            object.__setattr__(self, "scale", stated(self.scale, "bn.shared: scale"))
        self.prior()

    def __repr__(self) -> str:
        scale = "" if self.scale is None else f", scale={self.scale!r}"
        return f"bn.shared({self.parameter!r}{scale})"

    def prior(self) -> Prior | Fixed:
        """Return the prior of the scale: around a number, Normal with SD 0.5."""
        if self.scale is None:
            return Fixed(1.0)
        if isinstance(self.scale, float):
            return Prior("Normal", mu=self.scale, sigma=DEFAULT_SCALE_SD)
        return real_prior(self.scale, 0.0, "bn.shared: scale")

    def text(self, eta: str, variable: str) -> str:
        """Write the effect in plain text."""
        return eta if self.scale is None else f"{self._factor(variable)} {eta}"

    def latex(self, eta: str, variable: str) -> str:
        """Write the effect in LaTeX."""
        return eta if self.scale is None else rf"{self._factor(variable)}\,{eta}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain TOML values."""
        scale = {} if self.scale is None else {"scale": prior_to_value(self.scale)}
        return {"shared": self.parameter, **scale}

    def _factor(self, variable: str) -> str:
        return f"{self.scale.value:g}" if isinstance(self.scale, Fixed) else variable


def shared(parameter: str, *, scale: object = None) -> Shared:
    """Let a parameter share the random effect of another, instead of having its own.

    Parameters
    ----------
    parameter : str
        The parameter whose effect it shares; given as ``iiv`` its effect between subjects, as
        ``iov`` that between occasions.
    scale : float, Prior, Typical, Fixed or None
        What the effect is multiplied by. None: 1, for parameters of one kind. A number is an
        expectation, its prior normal with SD 0.5; ``bn.fixed(0.5)`` is exact.

    Raises
    ------
    ModelError
        If the parameter is no name, or the scale no number and no prior. The model refuses a
        parameter that it lacks, or one without a random effect of its own.

    Examples
    --------
    >>> shared("CL", scale=0.8).prior()
    Normal(mu=0.8, sigma=0.5)
    """
    return Shared(parameter, scale)  # type: ignore[arg-type]  # checked there


def shared_from_dict(entries: Mapping[str, Any], what: str) -> Shared:
    """Read back what ``to_dict`` wrote, or what a user wrote in TOML."""
    if set(entries) - {"shared", "scale"}:
        raise ModelError(f"{what}: {dict(entries)!r}: write {{shared = 'CL', scale = 0.5}}.")
    return Shared(entries["shared"], prior_from_value(entries.get("scale"), what))
