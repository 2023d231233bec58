"""The modes of all subjects' random effects at once, by Newton's method with a line search."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from bayesnlme._types import Booleans, Floats
from bayesnlme.marginal.conditional import Conditional

MOST_ITERATIONS = 60
HALVINGS = 12
DECREMENT = 1e-13
"""Half the squared length of the last step, in conditional SDs, at which a mode is found."""

WIDELY = 1.5
"""SD of the points from which other modes are sought, the effects being at SD 1."""

APART = 1.0
"""Modes are different that lie further apart, in conditional SDs of the known one."""

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
        The lower triangular U with U U' the inverse of the negative Hessian H, the conditional
        variance.
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


def find_modes(
    conditional: Conditional,
    theta: Floats,
    start: Floats | None = None,
    *,
    most_iterations: int = MOST_ITERATIONS,
) -> Modes:
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
    most_iterations : int
        Newton steps at the most; `spread` is that before the last.
    """
    z = conditional.no_effects if start is None else start.copy()
    h, slope = conditional.density(theta, z)
    if start is not None:
        z, h, slope = _better_of_zero(conditional, theta, (z, h, slope))
    spread = np.tile(np.eye(conditional.n_effects), (conditional.n_subjects, 1, 1))
    step_size = first_difference(conditional)
    limit = max(DECREMENT, conditional.roughness**2)
    curved = np.isfinite(h)
    for _ in range(most_iterations):
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
    spread = _lower_triangular(spread)
    found = np.isfinite(h) & curved & (decrement <= np.sqrt(limit))
    return Modes(z=z, h=h, spread=spread, log_det=log_det, found=found)


def second_modes(
    conditional: Conditional, theta: Floats, modes: Modes, *, starts: int, rng: np.random.Generator
) -> Floats:
    """Return what share of each subject's mass lies in another mode, shape (subject,).

    Modes are sought from the mirror image of those known and from points drawn around zero; the
    mass of one is Laplace's. Zero where none was found.

    Parameters
    ----------
    conditional : Conditional
        Densities.
    theta : array, shape (parameter,)
        Population parameters.
    modes : Modes
        Those known.
    starts : int
        Points to start from.
    rng : Generator
        Random numbers.
    """
    known, share = modes.h - 0.5 * modes.log_det, np.zeros(conditional.n_subjects)
    drawn = WIDELY * rng.standard_normal((starts, *modes.z.shape))
    for start in (-modes.z, *drawn):
        other = find_modes(conditional, theta, start)
        away = np.linalg.solve(modes.spread, (other.z - modes.z)[..., None])[..., 0]
        apart = other.found & ((away**2).sum(axis=1) > APART**2)
        mass = np.where(apart, other.h - 0.5 * other.log_det, -np.inf)
        share = np.maximum(share, expit(mass - known) * apart)
    return share


def _lower_triangular(root: Floats) -> Floats:
    """Return the lower triangular root of the same matrices; by QR, which rounding cannot stop."""
    if root.size == 0:
        return root
    lower = np.linalg.qr(root.transpose(0, 2, 1), mode="r").transpose(0, 2, 1)
    signs = np.where(np.einsum("nii->ni", lower) < 0, -1.0, 1.0)
    return np.asarray(lower * signs[:, None, :])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Movement:
    r"""How modes and their curvature move with the population parameters.

    Attributes
    ----------
    by_theta : array, shape (subject, parameter)
        Slopes of h at fixed random effects.
    way : array, shape (subject, effect, parameter)
        Slopes of the modes, :math:`H^{-1} \partial_z \partial_\theta h`.
    curvature : array, shape (subject, effect, effect, parameter)
        Slopes of the negative Hessian along the columns of U, :math:`U^\top dH\, U`; only its
        diagonal where no more was asked for.
    """

    by_theta: Floats
    way: Floats
    curvature: Floats

    @property
    def log_det(self) -> Floats:
        """Slopes of log det H, shape (subject, parameter)."""
        return np.einsum("naap->np", self.curvature)


def follow(conditional: Conditional, theta: Floats, modes: Modes, *, full: bool) -> Movement:
    """Return how the modes move.

    By second differences of the analytic slopes along conditional SDs: 2d + 1 evaluations for d
    effects, however many parameters there are, and 4 more for each pair of effects if `full`.
    """
    step = float(np.clip(conditional.roughness ** (1 / 4), 3e-3, 5e-2))
    count = conditional.n_effects

    def slopes(direction: Floats) -> tuple[Floats, Floats]:
        _, by_z, by_theta = conditional.scores(theta, modes.z + step * direction)
        return by_z, by_theta

    by_z, by_theta = slopes(np.zeros_like(modes.z))
    way = np.zeros((*by_z.shape, by_theta.shape[1]))
    bent_z = np.zeros((*by_z.shape, count, count))
    bent = np.zeros((by_z.shape[0], count, count, by_theta.shape[1]))
    for a in range(count):
        u = modes.spread[:, :, a]
        (z_above, above), (z_below, below) = slopes(u), slopes(-u)
        way += u[:, :, None] * ((above - below) / (2 * step))[:, None, :]
        bent_z[:, :, a, a] = (z_above - 2 * by_z + z_below) / step**2
        bent[:, a, a] = (above - 2 * by_theta + below) / step**2
    for a in range(count if full else 0):
        for b in range(a):
            u, v = modes.spread[:, :, a], modes.spread[:, :, b]
            corners = [(s * t, slopes(s * u + t * v)) for s in (1, -1) for t in (1, -1)]
            mixed_z = sum(sign * each[0] for sign, each in corners) / (4 * step**2)
            mixed = sum(sign * each[1] for sign, each in corners) / (4 * step**2)
            bent_z[:, :, a, b] = bent_z[:, :, b, a] = mixed_z
            bent[:, a, b] = bent[:, b, a] = mixed
    curvature = -bent - np.einsum("ndab,ndp->nabp", bent_z, way)
    return Movement(by_theta=by_theta, way=way, curvature=curvature)


def first_difference(conditional: Conditional) -> float:
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
