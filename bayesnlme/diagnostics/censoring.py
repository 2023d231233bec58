"""Censored observations next to predictions: marked, and compared at the limits they passed."""

import numpy as np

from bayesnlme._types import Floats
from bayesnlme.data import Dataset

BELOW, ABOVE = "below", "above"


def marks(data: Dataset) -> np.ndarray:
    """Mark every observation: ``"below"`` or ``"above"`` a limit, or ``""`` where exact."""
    seen = data.observations
    return np.where(seen.below, BELOW, np.where(seen.censored, ABOVE, "")).astype(object)


def censoring_limits(data: Dataset, number: int) -> tuple[Floats, Floats]:
    """Return the limits between which each value of one output can be compared.

    Its own limit of quantification where the table gives one, else the highest that the output
    has; the lowest upper limit that a value passed. Infinite where there is none.

    Returns
    -------
    lower, upper : float64 array, shape (observation of the output,)
    """
    seen = data.observations.take(np.flatnonzero(data.observations.output == number))
    above = seen.censored & ~seen.below
    lower = np.full(len(seen), -np.inf)
    if seen.below.any():
        known = np.isfinite(seen.limit)
        lower = np.where(known, seen.limit, seen.limit[known].max())
    upper = np.full(len(seen), seen.lower[above].min() if above.any() else np.inf)
    return lower, np.where(above, seen.lower, upper)
