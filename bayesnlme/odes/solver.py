"""How to solve: the choice of a method and its tolerances."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from bayesnlme.errors import ModelError, did_you_mean

_METHODS = ("auto", "tsit5")
_METHODS_TO_COME = ("rodas5p",)
_BACKENDS = ("numba",)
_BACKENDS_TO_COME = ("sunode", "cvodes", "scipy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Solver:
    """Options of the ODE solver.

    Attributes
    ----------
    method : str
        ``"auto"`` or ``"tsit5"``: the explicit pair of order 5(4) of [Tsitouras2011]_.
    rtol : float
        Relative tolerance of one step, on states and sensitivities.
    atol : float
        Absolute tolerance of one step, in units of each state's scale: its initial value,
        or the largest dose of the subject for states that doses reach.
    backend : str
        ``"numba"``: compiled by numba, inside the sampler.
    max_steps : int
        Steps, refused ones included, after which the solve of a subject counts as failed.

    Raises
    ------
    ModelError
        If an option is unknown, not available yet or out of range.

    References
    ----------
    .. [Tsitouras2011] Ch. Tsitouras, Runge-Kutta pairs of order 5(4) satisfying only the
       first column simplifying assumption, Comput. Math. Appl. 62 (2011) 770-775.
    """

    method: str = "auto"
    rtol: float = 1e-6
    atol: float = 1e-8
    backend: str = "numba"
    max_steps: int = 100_000

    def __post_init__(self) -> None:
        _check_choice("method", self.method, _METHODS, _METHODS_TO_COME)
        _check_choice("backend", self.backend, _BACKENDS, _BACKENDS_TO_COME)
        _check_tolerance("rtol", self.rtol)
        _check_tolerance("atol", self.atol)
        if isinstance(self.max_steps, bool) or not isinstance(self.max_steps, int):
            raise ModelError(f"Solver: max_steps must be a whole number, not {self.max_steps!r}.")
        if self.max_steps < 1:
            raise ModelError(f"Solver: max_steps must be at least 1, not {self.max_steps}.")

    def to_dict(self) -> dict[str, Any]:
        """Return the options as plain values."""
        return asdict(self)


def _check_choice(
    what: str, value: object, known: tuple[str, ...], to_come: tuple[str, ...]
) -> None:
    if value in to_come:
        raise ModelError(
            f"Solver: the {what} {value!r} is not available yet. Use {known[0]!r} for now."
        )
    if value not in known:
        raise ModelError(f"Solver: unknown {what} {value!r}. {did_you_mean(str(value), known)}")


def _check_tolerance(what: str, value: object) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not 1e-14 <= value < 1:  # type: ignore[arg-type, operator]
        raise ModelError(f"Solver: {what} must be a number from 1e-14 to below 1, not {value!r}.")
