r"""Steps of stochastic approximation: EM's, and EM's corrected for what is missing.

One Newton step on the expected complete-data log likelihood stands for its maximisation
[Lange1995]_, and only removes the share :math:`1 - r` of an error along a direction in which the
share r of the information is missing. Divided by :math:`1 - r` it is a Newton step on the
likelihood itself [Gu1998]_.
"""

import numpy as np

from bayesnlme._types import Booleans, Floats

MOST_MISSING = 0.98
"""Largest share of the information that a step is corrected for."""

LONGEST = 0.3
"""Longest corrected step, in standard errors."""

_FLAT = 1e-6


def em_step(gradient: Floats, information: Floats, floor: Floats) -> Floats:
    """Return the Newton step that stays above a floor.

    Parameters
    ----------
    gradient : array, shape (parameter,)
        Of the complete-data log likelihood.
    information : array, shape (parameter, parameter)
        Minus its Hessian; a direction in which that is negative is taken for positive.
    floor : array, shape (parameter,)
        Least step of each parameter, minus infinity or negative. Where the step would go below, it
        stops there, and the others adapt.
    """
    held = np.zeros(gradient.size, dtype=bool)
    step = np.zeros_like(gradient)
    for _ in range(gradient.size):
        step = np.where(held, floor, 0.0)
        step[~held] = _solved(information, gradient - information @ step, ~held)
        low = ~held & (step < floor)
        if not low.any():
            break
        held |= low
    return np.maximum(step, floor)


def corrected_information(complete: Floats, missing: Floats) -> Floats:
    r"""Return the information that is left, :math:`C^{1/2} (1 - R) C^{1/2}`, always positive.

    Parameters
    ----------
    complete, missing : array, shape (parameter, parameter)
        Complete information C, and the missing one, :math:`C^{1/2} R \, C^{1/2}`.
    """
    shares, rotated = missing_shares(complete, missing)
    return (rotated * (1.0 - np.clip(shares, 0.0, MOST_MISSING))) @ rotated.T


def missing_shares(complete: Floats, missing: Floats) -> tuple[Floats, Floats]:
    r"""Return the eigenvalues of R, and :math:`C^{1/2}` times its eigenvectors, as columns."""
    root = _root(complete)
    inverse = np.linalg.inv(root)
    shares, directions = np.linalg.eigh(inverse @ missing @ inverse.T)
    return shares, root @ directions


def newton_step(gradient: Floats, information: Floats, gain: float) -> Floats:
    """Return `gain` of the Newton step, and no more than 0.3 standard errors of it."""
    step = gain * np.linalg.solve(information, gradient)
    length = float(np.sqrt(step @ information @ step))
    return np.asarray(step / max(1.0, length / LONGEST))


def _solved(information: Floats, gradient: Floats, free: Booleans) -> Floats:
    root = _root(information[np.ix_(free, free)])
    return np.linalg.solve(root.T, np.linalg.solve(root, gradient[free]))


def _root(information: Floats) -> Floats:
    """Return a square root of the absolute matrix, kept away from singular; of any scale."""
    size = np.sqrt(np.maximum(np.abs(np.diag(information)), np.finfo(float).tiny))
    values, vectors = np.linalg.eigh(information / size / size[:, None])
    return size[:, None] * vectors * np.sqrt(np.maximum(np.abs(values), _FLAT))
