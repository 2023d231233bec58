r"""Averages of complete-data scores over the conditional distribution of the random effects.

By Fisher's identity the score of the likelihood is the conditional mean of the complete-data
score, and by that of [Louis1982]_ its information is the complete one less the missing one:

.. math:: I = \mathrm E[-\partial_\theta^2 \ell_c] - \sum_i \mathrm{Var}[s_i].

For any slopes B, what is left of the score after the controls g,

.. math:: s_i - B_i^\top g_i, \qquad
          g_i = (\partial_j h_i, \; z_k \, \partial_j h_i + \delta_{jk})_{j, k},

has the same mean, because that of g is zero. With B from a regression of the scores on the controls
the variance is that of the residuals [Mira2013]_: next to nothing where the conditional
distributions are nearly normal.
"""

from dataclasses import dataclass, fields

import numpy as np

from bayesnlme._types import Floats

MOST_CROSSED = 4
"""Effects up to whose number every product is a control; beyond, each with its own slope."""

RIDGE = 0.02
"""Added to the correlations of the controls, so that a regression on them stays determined."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Moments:
    """Means over draws, by subject: scores, their products, controls' products, both."""

    score: Floats
    scores: Floats
    controls: Floats
    both: Floats


class Averages:
    """Conditional moments of scores and controls, followed while the parameters move.

    Attributes
    ----------
    count : int
        How often draws were taken in.
    """

    def __init__(self) -> None:
        self._moments: _Moments | None = None
        self._slopes: Floats | None = None
        self.count = 0

    def add(self, scores: Floats, controls: Floats, least_gain: float = 0.0) -> None:
        """Take in draws.

        Parameters
        ----------
        scores : array, shape (chain, subject, parameter)
            Complete-data scores.
        controls : array, shape (chain, subject, control)
            g of the same draws.
        least_gain : float
            Least weight of these draws against all before, so that old ones are forgotten.
        """
        n = len(scores)
        new = _Moments(
            score=scores.mean(axis=0),
            scores=np.einsum("cnp,cnq->npq", scores, scores) / n,
            controls=np.einsum("cng,cnh->ngh", controls, controls) / n,
            both=np.einsum("cng,cnp->ngp", controls, scores) / n,
        )
        self.count += 1
        gain = max(1.0 / self.count, least_gain)
        old = new if self._moments is None else self._moments
        self._moments = _Moments(
            **{
                each.name: (1.0 - gain) * getattr(old, each.name) + gain * getattr(new, each.name)
                for each in fields(_Moments)
            }
        )

    def regress(self) -> None:
        """Find the slopes of the scores on the controls, from the draws so far."""
        if self._moments is None:
            return
        controls = self._moments.controls
        size = np.einsum("ngg->ng", controls)
        scale = 1.0 / np.sqrt(np.where(size > 0, size, 1.0))
        correlation = controls * scale[:, :, None] * scale[:, None, :]
        correlation += RIDGE * np.eye(controls.shape[1])
        scaled = np.linalg.solve(correlation, scale[:, :, None] * self._moments.both)
        self._slopes = scale[:, :, None] * scaled

    def controlled(self, scores: Floats, controls: Floats) -> Floats:
        """Return the scores less what the controls explain of them."""
        if self._slopes is None:
            return scores
        return scores - np.einsum("cng,ngp->cnp", controls, self._slopes)

    @property
    def missing(self) -> Floats:
        """The missing information, shape (parameter, parameter); zero before the first draws."""
        if self._moments is None:
            return np.zeros(())
        mean = self._moments.score
        return np.asarray(self._moments.scores.sum(axis=0) - mean.T @ mean)


def controls_of(z: Floats, by_z: Floats) -> Floats:
    """Return the controls g, shape (chain, subject, control)."""
    n_effects = z.shape[-1]
    if n_effects > MOST_CROSSED:
        return np.concatenate([by_z, z * by_z + 1.0], axis=-1)
    crossed = by_z[..., :, None] * z[..., None, :] + np.eye(n_effects)
    return np.concatenate([by_z, crossed.reshape(*z.shape[:2], n_effects**2)], axis=-1)
