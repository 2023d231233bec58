r"""Importance weights of a posterior whose subjects are independent given the population.

Points :math:`\theta_s` of the population parameters are drawn from a proposal g, and at each of
them effects :math:`z_{im}` of every subject from a proposal of its own, :math:`g_i`. With
:math:`h_i` of :class:`bayesnlme.marginal.conditional.Conditional`,

.. math:: w_{sim} = \frac{e^{h_i(\theta_s, z_{im})}}{g_i(z_{im} \mid \theta_s)}, \qquad
          W_s = \frac{p(\theta_s) \prod_i M^{-1} \sum_m w_{sim}}{g(\theta_s)}.

The mean over m estimates the likelihood of a subject without bias, so that points weighted by
:math:`W_s`, with one of its effects for each subject chosen in proportion to :math:`w_{sim}`, are
draws of the joint posterior [Tran2021]_: the error of a subject counts once and does not multiply
over the subjects, as it does in a weight of all effects together. Two kinds of weights can have
too heavy a tail: :math:`W_s`, which every answer rests on, and
:math:`W_s \, w_{sim} / \sum_m w_{sim}`, by which the effects of subject i are averaged.

Points are drawn in rounds. The proposal of the first is the normal approximation with tails of
Student's t, nowhere narrower than Laplace's, because that of the largest bound is too narrow. Those
of the next have the weighted mean and covariance of all before, and all points are weighed by the
mixture of the proposals [Cornuet2012]_.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from arviz_stats.base import array_stats
from scipy.special import gammaln, logsumexp

from bayesnlme._types import Floats, Integers
from bayesnlme.graph.chart import Chart
from bayesnlme.inference.elbo import MeanField
from bayesnlme.inference.native import LogDensity
from bayesnlme.marginal.conditional import LOG_2PI, Conditional
from bayesnlme.marginal.modes import find_modes

ROUNDS = 4
DF = 7.0
"""Degrees of freedom of the proposals."""

FIRST = 8
"""Draws of each subject's effects at a point of the first round."""

VARIANCE = 0.2
"""Variance of the log likelihood, over draws of the effects, for which their number is chosen."""

MOST = 256
"""Largest number of them; the least is that of the first round."""

NEGLIGIBLE = 0.01
"""Log weights that differ by no more have no tail."""

_LOWEST = 700.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Weighed:
    r"""Points of the posterior with their weights.

    Attributes
    ----------
    points : array, shape (point, size)
        Coordinates u, the effects chosen among those drawn.
    log_weights : array, shape (point,)
        log W; the log of the mean of W estimates the log evidence.
    log_shares : array, shape (2, point, subject)
        :math:`\log(w_{sim} / \sum_m w_{sim})` of two of the draws, which mirror each other.
    effect_draws : int
        Draws of each subject's effects at a point of the last round.
    """

    points: Floats
    log_weights: Floats
    log_shares: Floats
    effect_draws: int

    @property
    def log_evidence(self) -> tuple[float, float]:
        """The log of the probability of the data, and its Monte-Carlo error."""
        shares = np.exp(self.log_weights - logsumexp(self.log_weights))
        count = shares.size
        value = float(logsumexp(self.log_weights) - np.log(count))
        return value, float((count * shares).std(ddof=1) / np.sqrt(count))

    @cached_property
    def shares(self) -> Floats:
        """Pareto-smoothed weights that add up to one, shape (point,)."""
        return smoothed(self.log_weights)[0]

    @property
    def failed(self) -> int:
        """Points without density, whose weight is zero."""
        return int((~np.isfinite(self.log_weights)).sum())

    def subject_tails(self) -> Floats:
        """Return Pareto's k of the weights of each subject's effects, shape (subject,)."""
        weights = self.log_weights[:, None] + self.log_shares
        return np.array([smoothed(each.ravel())[1] for each in np.moveaxis(weights, 2, 0)])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Proposal:
    """Student's t around a mean; `root` is a root of its scale matrix."""

    mean: Floats
    root: Floats

    def draw(self, count: int, rng: np.random.Generator) -> Floats:
        return self.mean + _student((count, self.mean.size), rng) @ self.root.T

    def log_density(self, points: Floats) -> Floats:
        steps = np.linalg.solve(self.root, (points - self.mean).T).T
        return _log_student(steps) - np.linalg.slogdet(self.root)[1]


class _Subjects:
    """Draws of all subjects' effects at points of the population parameters."""

    def __init__(self, conditional: Conditional, chart: Chart) -> None:
        self._conditional, self._chart, self._places = conditional, chart, chart.places
        self._present = chart.places.there
        self._lacking = 0.5 * LOG_2PI * (~self._present).sum(axis=1)

    def draw(
        self, u_theta: Floats, count: int, rng: np.random.Generator
    ) -> tuple[float, Floats, Floats]:
        """Return log p(y, theta), the coordinates with the effects chosen, and all log shares.

        The shares have the shape (draw, subject).
        """
        moved = self._chart.root @ u_theta
        theta = self._chart.theta + moved
        start = self._chart.modes + np.tensordot(moved, self._chart.way, 1)
        z, log_weights = self._effects(theta, start, count, rng)
        total = np.logaddexp.reduce(log_weights, axis=0)
        if not np.isfinite(total).all():
            return -np.inf, self._placed(u_theta, z[0] - start), np.full_like(log_weights, -np.inf)
        shares = log_weights - total
        below = rng.random(total.size) > np.exp(shares).cumsum(axis=0)
        chosen = np.minimum(below.sum(axis=0), len(z) - 1)
        prior = self._conditional.log_prior_of_theta(theta)[0]
        value = prior + float((total - np.log(len(z))).sum())
        return value, self._placed(u_theta, z[chosen, np.arange(total.size)] - start), shares

    def _effects(
        self, theta: Floats, start: Floats, count: int, rng: np.random.Generator
    ) -> tuple[Floats, Floats]:
        """Return draws of z, shape (draw, subject, effect), and their log weights."""
        if not self._present.size:
            return start[None], self._conditional.density(theta, start)[0][None]
        modes = find_modes(self._conditional, theta, start, most_iterations=1)
        half = _student((count // 2, *start.shape), rng)
        steps = np.concatenate([half, -half]) * self._present
        z = modes.z + np.einsum("nij,mnj->mni", modes.spread, steps)
        h = np.stack([self._conditional.density(theta, each)[0] for each in z])
        log_weights = np.nan_to_num(h, nan=-np.inf) - _log_student(steps, self._present)
        return z, log_weights + self._lacking - 0.5 * modes.log_det

    def _placed(self, u_theta: Floats, apart: Floats) -> Floats:
        """Return the coordinates of effects that are so far from where the chart has them."""
        u = np.empty(self._places.size)
        u[self._places.theta] = u_theta
        own = np.linalg.solve(self._chart.spread.transpose(1, 2, 0), apart[..., None])[..., 0]
        u[self._places.effects[self._present]] = own[self._present]
        return u


def weigh(
    conditional: Conditional,
    chart: Chart,
    found: MeanField,
    *,
    count: int,
    rng: np.random.Generator,
    watch: Callable[[int, int], None],
) -> Weighed:
    """Draw points around an approximation and weigh them.

    Parameters
    ----------
    conditional : Conditional
        Densities of the subjects given their effects.
    chart : Chart
        Coordinates.
    found : MeanField
        The approximation.
    count : int
        Points, a multiple of four.
    rng : Generator
        Random numbers.
    watch : callable
        Told how many points are done, of how many.
    """
    places = chart.places
    subjects = _Subjects(conditional, chart)
    widened = np.maximum(found.sd[places.theta], 1.0)
    proposals = [_Proposal(mean=found.mean[places.theta], root=np.diag(widened))]
    each, draws = count // ROUNDS, FIRST if places.effects.size else 1
    drawn: list[Floats] = []
    targets: list[float] = []
    shares: list[Floats] = []
    for number in range(ROUNDS):
        for u_theta in proposals[-1].draw(each, rng):
            value, u, of_effects = subjects.draw(u_theta, draws, rng)
            drawn.append(u)
            targets.append(value)
            shares.append(of_effects)
            watch(len(drawn), count)
        points = np.stack(drawn)
        log_weights = _log_weights(points[:, places.theta], np.array(targets), proposals)
        if number == 0 and places.effects.size:
            draws = _enough(np.stack(shares))
        shares = [of_point[[0, len(of_point) // 2]] for of_point in shares]
        if number < ROUNDS - 1:
            proposals.append(_adapted(proposals[-1], points[:, places.theta], log_weights))
    return Weighed(
        points=points,
        log_weights=log_weights + np.linalg.slogdet(chart.root)[1],
        log_shares=np.stack(shares, axis=1),
        effect_draws=draws,
    )


def weights_of_approximation(
    density: LogDensity, chart: Chart, found: MeanField, *, count: int, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Return draws of the approximation itself, shape (draw, size), and their log weights.

    The weights are of all parameters and effects together; their mean log is the evidence lower
    bound.
    """
    steps = rng.standard_normal((count, found.mean.size))
    points = found.mean + found.sd * steps
    values = np.array([density(each)[0] for each in points])
    log_q = -0.5 * (steps**2 + LOG_2PI).sum(axis=1) - np.log(found.sd).sum()
    scale = np.linalg.slogdet(chart.root)[1] + _log_spread(chart).sum()
    return points, values + scale - log_q


def smoothed(log_weights: Floats) -> tuple[Floats, float]:
    """Return Pareto-smoothed weights that add up to one, and Pareto's k [Vehtari2024]_.

    k is minus infinity where the weights are so equal that they have no tail, and infinity where
    fewer than 25 points have any weight.
    """
    shares = np.exp(log_weights - logsumexp(log_weights))
    known = log_weights[np.isfinite(log_weights)]
    if known.size < 25:
        return shares, np.inf
    if np.ptp(log_weights) <= NEGLIGIBLE:
        return shares, -np.inf
    tailed: Any = array_stats.psislw
    with np.errstate(all="ignore"):
        found, k = tailed(-np.maximum(log_weights, known.max() - _LOWEST))
    return np.exp(found - logsumexp(found)), float(k)


def resampled(shares: Floats, count: int, rng: np.random.Generator) -> Integers:
    """Draw indices in proportion to shares, each as often as its share says to within one.

    Systematic resampling, in random order.
    """
    where = (rng.random() + np.arange(count)) / count
    found = np.minimum(np.searchsorted(shares.cumsum(), where), shares.size - 1)
    return rng.permutation(found)


def _log_weights(points: Floats, targets: Floats, proposals: list[_Proposal]) -> Floats:
    mixture = logsumexp([each.log_density(points) for each in proposals], axis=0)
    return np.asarray(targets - mixture + np.log(len(proposals)))


def _adapted(before: _Proposal, points: Floats, log_weights: Floats) -> _Proposal:
    """Move a proposal to the weighted moments, so far as the effective draws allow."""
    if not np.isfinite(log_weights).any():
        return before
    shares = smoothed(log_weights)[0]
    effective = 1.0 / (shares**2).sum()
    gain = effective / (effective + 2.0 * points.shape[1])
    mean = shares @ points
    apart = points - mean
    covariance = (1.0 - gain) * before.root @ before.root.T + gain * (apart.T * shares) @ apart
    return _Proposal(
        mean=before.mean + gain * (mean - before.mean), root=np.linalg.cholesky(covariance)
    )


def _enough(log_shares: Floats) -> int:
    """Return how many draws of the effects keep the variance of the log likelihood small.

    From log shares of shape (point, draw, subject).
    """
    known = log_shares[np.isfinite(log_shares).any(axis=(1, 2))]
    if not known.size:
        return FIRST
    single = known.shape[1] * np.exp(2 * known).sum(axis=1) - 1.0
    wanted = int(np.clip(np.ceil(np.median(single.sum(axis=1)) / VARIANCE), FIRST, MOST))
    return wanted + wanted % 2


def _student(shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """Draw from Student's t, jointly along the last axis."""
    mixed = np.sqrt(DF / rng.chisquare(DF, shape[:-1]))
    return np.asarray(rng.standard_normal(shape) * mixed[..., None])


def _log_student(steps: Floats, present: Any = True) -> Floats:  # noqa: FBT002  an array
    """Return the log density of `_student` in as many dimensions as are present."""
    size = np.broadcast_to(present, steps.shape).sum(axis=-1)
    squares = (steps**2).sum(axis=-1)
    gammas = gammaln((DF + size) / 2) - gammaln(DF / 2)
    return gammas - 0.5 * size * np.log(DF * np.pi) - 0.5 * (DF + size) * np.log1p(squares / DF)


def _log_spread(chart: Chart) -> Floats:
    """Return the log determinant of each subject's spread."""
    return np.linalg.slogdet(chart.spread.transpose(1, 2, 0))[1]
