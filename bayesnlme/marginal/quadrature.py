r"""Adaptive Gauss-Hermite quadrature over each subject's random effects.

With the mode :math:`\hat z_i` and :math:`U U^\top = H_i^{-1}`,

.. math:: p(y_i \mid \theta) = |\det U| \,(2\pi)^{d/2} \int e^{h_i(\theta, \hat z_i + U x) +
          |x|^2 / 2}\, \phi(x)\, dx,

and the integral is a sum over the product of the nodes of each dimension [Pinheiro1995]_. One point
is Laplace's approximation; with more of them the sum tends to the integral. The slope is that of
the sum, whose nodes move with the parameters: :math:`dU = -U\,\Phi(U^\top dH\, U)`, where
:math:`\Phi` takes the lower triangle and half of the diagonal.
"""

import numpy as np
from scipy.special import logsumexp

from bayesnlme._types import Floats
from bayesnlme.errors import ModelError
from bayesnlme.marginal.conditional import LOG_2PI, Conditional
from bayesnlme.marginal.contribution import Contributions
from bayesnlme.marginal.modes import Modes, find_modes, follow

MOST_NODES = 100_000


class AdaptiveQuadrature:
    """Gauss-Hermite quadrature around each subject's mode.

    Parameters
    ----------
    conditional : Conditional
        Densities given the random effects.
    points : int
        Nodes in each dimension.

    Raises
    ------
    ModelError
        If the nodes are too many.
    """

    def __init__(self, conditional: Conditional, points: int) -> None:
        count = points**conditional.n_effects
        if count > MOST_NODES:
            raise ModelError(
                f"Quadrature with {points} points in {conditional.n_effects} random effects takes "
                f"{count:.3g} nodes a subject; at most {MOST_NODES:,}. Use fewer points, "
                "bn.ImportanceSampling() or bn.SAEM()."
            )
        self.conditional = conditional
        self._nodes, self._log_weights = _product_rule(points, conditional.n_effects)

    def at(self, theta: Floats, start: Floats | None = None) -> Contributions:
        """Return values, slopes and modes; see :class:`Contributions`."""
        modes = find_modes(self.conditional, theta, start)
        moved = follow(self.conditional, theta, modes, full=True)
        widened = -np.einsum("nda,nabp->ndbp", modes.spread, _lower(moved.curvature))
        log_terms, slopes = [], []
        for node in self._nodes:
            h, by_z, by_theta = self.conditional.scores(theta, _moved(modes, node))
            way = moved.way + np.einsum("ndbp,b->ndp", widened, node)
            log_terms.append(h)
            slopes.append(by_theta + np.einsum("nd,ndp->np", by_z, way))
        value, share = self._summed(np.stack(log_terms), modes)
        slope = np.einsum("kn,knp->np", share, np.nan_to_num(np.stack(slopes)))
        return Contributions(value=value, slope=slope - 0.5 * moved.log_det, modes=modes)

    def values(self, theta: Floats, start: Floats | None = None) -> Floats:
        """Return the values alone, shape (subject,)."""
        modes = find_modes(self.conditional, theta, start)
        terms = [self.conditional.density(theta, _moved(modes, node))[0] for node in self._nodes]
        return self._summed(np.stack(terms), modes)[0]

    def _summed(self, h: Floats, modes: Modes) -> tuple[Floats, Floats]:
        """Return the log integrals, and each node's share of them, shape (node, subject)."""
        squares = 0.5 * (self._nodes**2).sum(axis=1)
        terms = np.nan_to_num(h, nan=-np.inf) + (squares + self._log_weights)[:, None]
        total = logsumexp(terms, axis=0)
        with np.errstate(invalid="ignore"):
            share = np.nan_to_num(np.exp(terms - total))
        value = total + 0.5 * (self.conditional.n_effects * LOG_2PI - modes.log_det)
        return np.where(modes.found, value, -np.inf), share


def _moved(modes: Modes, node: Floats) -> Floats:
    return modes.z + modes.spread @ node


def _lower(matrices: Floats) -> Floats:
    """Return the lower triangles, with half of the diagonals, over axes 1 and 2."""
    count = matrices.shape[1]
    weights = np.tril(np.ones((count, count))) - 0.5 * np.eye(count)
    return matrices * weights[None, :, :, None]


def _product_rule(points: int, dimensions: int) -> tuple[Floats, Floats]:
    """Return nodes, shape (node, dimension), and log weights for a standard normal."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(points)
    index = np.indices((points,) * dimensions).reshape(dimensions, points**dimensions).T
    log_weights = np.log(weights) - 0.5 * LOG_2PI
    return nodes[index], log_weights[index].sum(axis=1)
