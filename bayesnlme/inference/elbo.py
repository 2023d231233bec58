r"""Mean-field normal approximation of a posterior, by a deterministic objective [Giordano2024]_.

In the coordinates u of :class:`bayesnlme.graph.chart.Chart` the approximation is
:math:`q(u) = \prod_k N(u_k; m_k, s_k^2)`: independent there, and through the chart correlated as
Laplace's approximation is in the model's own. The evidence lower bound

.. math:: L(m, s) = \mathrm E_q[\log p(m + s \epsilon)] + \sum_k \log s_k + \mathrm{const}

is averaged over draws :math:`\epsilon` that are made once, so that it is a smooth function with
exact slopes, maximised by L-BFGS. The draws are mirrored, and those of the population parameters
and of any one subject's random effects together have a covariance of one: no product of two
subjects' effects is in the log density, and so a normal posterior is found without error.
"""

from dataclasses import dataclass

import numpy as np
from scipy import optimize

from bayesnlme._types import Floats
from bayesnlme.errors import FitError
from bayesnlme.graph.places import Places
from bayesnlme.inference.native import LogDensity

FEWEST = 16
"""Pairs of draws to begin with, at the least."""

MOST = 512
"""Pairs of draws at the most."""

HALVINGS = 20

_UNREACHED = 1e300


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MeanField:
    """A normal distribution of independent coordinates, and how it was found.

    Attributes
    ----------
    mean, sd : array, shape (size,)
        m and s.
    draws : int
        Fixed draws of the objective.
    error : float
        Root mean square, over means and log SDs of the population parameters, of the error that is
        due to these draws; of means in SDs. Infinite if fresh draws meet points without density.
    steps : int
        Steps of L-BFGS, over all numbers of draws.
    """

    mean: Floats
    sd: Floats
    draws: int
    error: float
    steps: int


class FixedElbo:
    """The bound, less a constant, as a function of m and log s, one after the other.

    Parameters
    ----------
    density : LogDensity
        Log density of u.
    draws : array, shape (draw, size)
        The fixed draws.
    """

    def __init__(self, density: LogDensity, draws: Floats) -> None:
        self._density, self._draws = density, draws

    def __call__(self, eta: Floats) -> tuple[float, Floats]:
        """Return the bound and its slope; minus infinity where a draw has no density."""
        mean, log_sd = np.split(eta, 2)
        sd = np.exp(log_sd)
        total, by_mean, by_log_sd = 0.0, np.zeros_like(mean), np.zeros_like(mean)
        for draw in self._draws:
            value, slope = self._density(mean + sd * draw)
            if not (np.isfinite(value) and np.isfinite(slope).all()):
                return -np.inf, np.zeros_like(eta)
            total += value
            by_mean += slope
            by_log_sd += slope * sd * draw
        count = len(self._draws)
        slopes = np.concatenate([by_mean / count, by_log_sd / count + 1.0])
        return total / count + float(log_sd.sum()), slopes


def approximate(
    density: LogDensity, places: Places, *, accuracy: float, rng: np.random.Generator
) -> MeanField:
    """Find the approximation of the largest bound.

    The draws are doubled until the error that is due to them is at most `accuracy`, or there are
    1024 of them. It is seen on as many fresh draws: by how much one Newton step on these would
    move, over the square root of two, with the information of a normal posterior, :math:`1/s^2` of
    a mean and 2 of a log SD.

    Parameters
    ----------
    density : LogDensity
        Log density of u.
    places : Places
        What u holds.
    accuracy : float
        See above.
    rng : Generator
        Random numbers.

    Raises
    ------
    FitError
        If no normal distribution around the mode has a density everywhere.
    """
    pairs = max(FEWEST, 2 + places.theta.size + places.effects.shape[1])
    eta, steps = np.zeros(2 * places.size), 0
    while True:
        bound = FixedElbo(density, fixed_draws(places, pairs, rng))
        found = _ascend(bound, _start(bound, eta))
        eta, steps = found.x, steps + int(found.nit)
        fresh = FixedElbo(density, fixed_draws(places, pairs, rng))
        error = _error(fresh, eta, places)
        if error <= accuracy or 2 * pairs > MOST:
            break
        pairs *= 2
    mean, log_sd = np.split(eta, 2)
    return MeanField(mean=mean, sd=np.exp(log_sd), draws=2 * pairs, error=error, steps=steps)


def fixed_draws(places: Places, pairs: int, rng: np.random.Generator) -> Floats:
    """Draw the fixed draws, shape (2 pairs, size): mirrored, of covariance one.

    Parameters
    ----------
    places : Places
        What u holds.
    pairs : int
        At least as many as there are population parameters and effects of a subject.
    rng : Generator
        Random numbers.
    """
    drawn = np.zeros((pairs, places.size))
    common = np.linalg.qr(rng.standard_normal((pairs, places.theta.size)))[0]
    drawn[:, places.theta] = common
    for row in places.effects:
        own = row[row >= 0]
        raw = rng.standard_normal((pairs, own.size))
        drawn[:, own] = np.linalg.qr(raw - common @ (common.T @ raw))[0]
    return np.sqrt(pairs) * np.concatenate([drawn, -drawn])


def _start(bound: FixedElbo, eta: Floats) -> Floats:
    """Narrow the distribution until every draw has a density."""
    for _ in range(HALVINGS):
        if np.isfinite(bound(eta)[0]):
            return eta
        eta = eta - np.log(2.0) * (np.arange(eta.size) >= eta.size // 2)
    raise FitError(
        "The posterior cannot be evaluated around its mode: no normal distribution approximates "
        "it. Use bn.NUTS()."
    )


def _ascend(bound: FixedElbo, start: Floats) -> optimize.OptimizeResult:
    def descent(eta: Floats) -> tuple[float, Floats]:
        value, slope = bound(eta)
        return (-value, -slope) if np.isfinite(value) else (_UNREACHED, slope)

    options = {"maxiter": 500, "maxcor": 20, "ftol": 1e-12, "gtol": 1e-4}
    return optimize.minimize(descent, start, jac=True, method="L-BFGS-B", options=options)


def _error(fresh: FixedElbo, eta: Floats, places: Places) -> float:
    value, slope = fresh(eta)
    if not np.isfinite(value):
        return np.inf
    by_mean, by_log_sd = np.split(slope, 2)
    sd = np.exp(np.split(eta, 2)[1])
    moved = np.stack([by_mean * sd, by_log_sd / 2])[:, places.theta] / np.sqrt(2.0)
    return float(np.sqrt((moved**2).mean()))
