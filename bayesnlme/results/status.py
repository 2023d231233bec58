"""How a fit ended."""

from enum import StrEnum


class Status(StrEnum):
    """How a fit ended; ``CONVERGED`` and ``AT_BOUND`` may be read as a final result.

    ``AT_BOUND`` is a likelihood that is largest where a variance is zero or a correlation one.
    """

    CONVERGED = "converged"
    AT_BOUND = "converged at a bound"
    NOT_CONVERGED = "not converged"
    INTERRUPTED = "interrupted"
