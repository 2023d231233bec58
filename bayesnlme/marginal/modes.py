"""The modes of all subjects' random effects at once, by Newton's method with a line search."""

from dataclasses import dataclass

import numpy as np

from bayesnlme._types import Booleans, Floats
from bayesnlme.marginal.conditional import Conditional

MOST_ITERATIONS = 60
HALVINGS = 12
DECREMENT = 1e-13
"""Half the squared length of the last step, in conditional SDs, at which a mode is found."""

_LEAST_CURVATURE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Modes:
    """Where each subject's density in its random effects is largest, and how wide it is there.

    Attributes
    ----------
    z : array, shape (subject, effect)
        Modes of h, at SD 1.
    h : array, shape (subject,)
        Log densities there.
    spread : array, shape (subject, effect, effect)
        U with U U' the inverse of the negative Hessian, the conditional variance.
    log_det : array, shape (subject,)
        Log determinant of the negative Hessian.
    found : array of bool, shape (subject,)
        Whether it is a mode.
    """

    z: Floats
    h: Floats
    spread: Floats
    log_det: Floats
    found: Booleans


def find_modes(conditional: Conditional, theta: Floats, start: Floats | None = None) -> Modes:
    """Find each subject's mode.

    A Newton step is halved until the density grows; a Hessian that is not that of a mode is bent to
    one. Its columns are central differences of the analytic slopes, along conditional SDs.

    Parameters
    ----------
    conditional : Conditional
        Densities.
    theta : array, shape (parameter,)
        Population parameters.
    start : array, shape (subject, effect), optional
        Where to start; a subject with a larger density at zero starts there.
    """
    z = conditional.no_effects if start is None else start.copy()
    h, slope = conditional.density(theta, z)
    if start is not None:
        z, h, slope = _better_of_zero(conditional, theta, (z, h, slope))
    spread = np.tile(np.eye(conditional.n_effects), (conditional.n_subjects, 1, 1))
    step_size = _difference(conditional)
    limit = max(DECREMENT, conditional.roughness**2)
    curved = np.isfinite(h)
    for _ in range(MOST_ITERATIONS):
        spread, curved = _spread(conditional, theta, (z, spread), step_size)
        step = np.einsum("nij,nkj,nk->ni", spread, spread, slope)
        decrement = 0.5 * np.einsum("ni,ni->n", step, slope)
        moving = (decrement > limit) & np.isfinite(h)
        if not moving.any():
            break
        moved = _line_search(conditional, theta, (z, h, slope), (step, moving))
        if moved is None:
            break
        z, h, slope = moved
    log_det = -2.0 * np.linalg.slogdet(spread)[1] if conditional.n_effects else np.zeros_like(h)
    found = np.isfinite(h) & curved & (decrement <= np.sqrt(limit))
    return Modes(z=z, h=h, spread=spread, log_det=log_det, found=found)


def _difference(conditional: Conditional) -> float:
    """Return the step of a first difference, in conditional SDs."""
    return float(np.clip(conditional.roughness ** (1 / 3), 1e-4, 3e-2))


type _Point = tuple[Floats, Floats, Floats]
"""Effects, log densities, slopes."""


def _better_of_zero(conditional: Conditional, theta: Floats, point: _Point) -> _Point:
    z, h, slope = point
    at_zero, slope_at_zero = conditional.density(theta, conditional.no_effects)
    worse = ~(h >= at_zero)
    if not worse.any():
        return point
    return (
        np.where(worse[:, None], 0.0, z),
        np.where(worse, at_zero, h),
        np.where(worse[:, None], slope_at_zero, slope),
    )


def _spread(
    conditional: Conditional, theta: Floats, where: tuple[Floats, Floats], size: float
) -> tuple[Floats, Booleans]:
    """Return U with U U' the inverse of the negative Hessian, and where that has a mode's signs.

    Differences along the columns of the U before.
    """
    z, before = where
    whitened = np.empty_like(before)
    for k in range(conditional.n_effects):
        along = size * before[:, :, k]
        above, below = (conditional.density(theta, z + s * along)[1] for s in (1, -1))
        whitened[:, :, k] = np.einsum("nij,ni->nj", before, (below - above) / (2 * size))
    whitened = (whitened + whitened.transpose(0, 2, 1)) / 2
    known = np.isfinite(whitened).all(axis=(1, 2))
    whitened[~known] = np.eye(conditional.n_effects)
    values, vectors = np.linalg.eigh(whitened)
    curved = known & (values > 0).all(axis=1)
    values = np.maximum(np.abs(values), _LEAST_CURVATURE)
    root = vectors / np.sqrt(values)[:, None, :]
    return before @ root, curved


def _line_search(
    conditional: Conditional, theta: Floats, point: _Point, wanted: tuple[Floats, Booleans]
) -> _Point | None:
    """Move every subject along its step to a larger density; None where no subject can."""
    z, h, slope = (each.copy() for each in point)
    step, waiting = wanted[0], wanted[1].copy()
    size, moved = 1.0, False
    for _ in range(HALVINGS):
        tried = z + np.where(waiting[:, None], size * step, 0.0)
        value, slopes = conditional.density(theta, tried)
        gain = 1e-4 * size * np.einsum("ni,ni->n", step, slope)
        better = waiting & (value >= h + gain)
        if better.any():
            moved = True
            z[better], h[better], slope[better] = tried[better], value[better], slopes[better]
            waiting &= ~better
        if not waiting.any():
            break
        size /= 2
    return (z, h, slope) if moved else None
