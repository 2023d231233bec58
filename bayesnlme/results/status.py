"""How a fit ended."""

from enum import StrEnum


class Status(StrEnum):
    """How a fit ended; only ``CONVERGED`` may be read as a final result."""

    CONVERGED = "converged"
    NOT_CONVERGED = "not converged"
    INTERRUPTED = "interrupted"
