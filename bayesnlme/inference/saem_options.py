"""The options of SAEM."""

from dataclasses import asdict, dataclass
from numbers import Real
from typing import Any, ClassVar

from bayesnlme.errors import ModelError
from bayesnlme.inference.options import require_count, require_flag

BATCHES = 10
"""Batches of iterations that the Monte-Carlo error comes from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SAEM:
    """Maximise the likelihood by the stochastic approximation EM algorithm [Kuhn2005]_.

    Parameters
    ----------
    burn_in : int
        Iterations that lead to where the likelihood is large.
    smoothing : int
        Iterations after them, at least 20, over which the estimates are averaged.
    chains : int or None
        Markov chains of each subject's random effects. None: as many as give 120 chains of all
        subjects together.
    simulated_annealing : float or None
        Least factor from one iteration to the next of a variance, of random effects and residual
        error, in the first half of the burn-in; None for no limit.
    priors : bool
        Whether the priors of the population parameters count, on their natural scales: a penalised
        likelihood. Otherwise the numbers of the model are starting values and nothing else.

    Raises
    ------
    ModelError
        If an option is not what it should be.
    """

    burn_in: int = 200
    smoothing: int = 200
    chains: int | None = None
    simulated_annealing: float | None = 0.95
    priors: bool = False

    name: ClassVar[str] = "SAEM"
    title: ClassVar[str] = "SAEM"

    def __post_init__(self) -> None:
        require_count(self.name, "burn_in", self.burn_in)
        require_count(self.name, "smoothing", self.smoothing, 2 * BATCHES)
        if self.chains is not None:
            require_count(self.name, "chains", self.chains)
        require_flag(self.name, "priors", self.priors)
        given = self.simulated_annealing
        real = isinstance(given, Real) and not isinstance(given, bool)
        if given is not None and not (real and 0 < given < 1):
            raise ModelError(
                f"{self.name}: simulated_annealing={given!r} must be a number in (0, 1), or None."
            )

    def to_dict(self) -> dict[str, Any]:
        """Return the options that the estimates depend on."""
        return {"name": self.name, **asdict(self)}
