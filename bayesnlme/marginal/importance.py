r"""Importance sampling of each subject's likelihood, with its Monte-Carlo error.

Random effects are drawn from Student's t around the mode, :math:`z = \hat z_i + U t`, whose tails
are heavier than those of the density, and weighted by :math:`w = e^{h_i(z)} / q(z)`
[Geweke1989]_: the mean of the weights is the likelihood. The draws of all subjects share their
random numbers, and the second half mirrors the first. The tail of the weights, Pareto's k
[Vehtari2024]_, says whether the mean may be believed.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from arviz_stats.base import array_stats
from scipy import stats
from scipy.special import logsumexp

from bayesnlme._types import Floats
from bayesnlme.marginal.conditional import Conditional
from bayesnlme.marginal.modes import Modes, find_modes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WeightedEffects:
    """Draws of the random effects of all subjects with their weights.

    Attributes
    ----------
    z : array, shape (draw, subject, effect)
        The draws.
    log_weights : array, shape (draw, subject)
        Of the joint density over that of the proposal.
    modes : Modes
        The proposal's centre and spread.
    """

    z: Floats
    log_weights: Floats
    modes: Modes

    @property
    def log_likelihood(self) -> Floats:
        """Log of the mean weight, shape (subject,)."""
        return np.asarray(logsumexp(self.log_weights, axis=0) - np.log(len(self.log_weights)))

    @property
    def shares(self) -> Floats:
        """Weights that add up to one, shape (draw, subject)."""
        return np.exp(self.log_weights - logsumexp(self.log_weights, axis=0))

    @property
    def standard_error(self) -> Floats:
        """Monte-Carlo standard error of the log likelihoods, shape (subject,).

        Mirrored draws are counted in pairs.
        """
        half = len(self.log_weights) // 2
        relative = len(self.log_weights) * self.shares
        pairs = (relative[:half] + relative[half:]) / 2
        return pairs.std(axis=0, ddof=1) / np.sqrt(half)

    @property
    def pareto_k(self) -> Floats:
        """Tail index of each subject's weights; above 0.7 the mean may not be believed."""
        smoothed: Any = array_stats.psislw
        return np.array([float(smoothed(-each)[1]) for each in self.log_weights.T])


def sample_effects(
    conditional: Conditional,
    theta: Floats,
    *,
    draws: int,
    df: float,
    rng: np.random.Generator,
    start: Floats | None = None,
) -> WeightedEffects:
    """Draw the random effects of all subjects from a proposal around their modes.

    Parameters
    ----------
    conditional : Conditional
        Densities given the random effects.
    theta : array, shape (parameter,)
        Population parameters.
    draws : int
        Draws of each subject, an even number.
    df : float
        Degrees of freedom of the proposal.
    rng : Generator
        Random numbers.
    start : array, shape (subject, effect), optional
        Where the search for the modes starts.
    """
    modes = find_modes(conditional, theta, start)
    count = conditional.n_effects
    first = rng.standard_normal((draws // 2, count))
    mixed = np.sqrt(df / rng.chisquare(df, draws // 2))[:, None]
    steps = np.concatenate([first * mixed, -first * mixed])
    log_proposal = stats.multivariate_t.logpdf(steps, np.zeros(count), np.eye(count), df)
    z = modes.z + np.einsum("nij,kj->kni", modes.spread, steps)
    h = np.stack([conditional.density(theta, each)[0] for each in z])
    log_weights = np.nan_to_num(h, nan=-np.inf) - np.atleast_1d(log_proposal)[:, None]
    return WeightedEffects(z=z, log_weights=log_weights - 0.5 * modes.log_det, modes=modes)
