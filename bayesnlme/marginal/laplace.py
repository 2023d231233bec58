r"""Laplace's approximation of each subject's likelihood, with its analytic slope.

.. math:: \log p(y_i \mid \theta) \approx h_i(\theta, \hat z_i) + \tfrac d2 \log 2\pi
          - \tfrac12 \log\det H_i, \qquad H_i = -\nabla_z^2 h_i(\theta, \hat z_i).

The slope follows the mode, :math:`d\hat z / d\theta = H^{-1} \partial_z \partial_\theta h`. With
:math:`H^{-1} = \sum_m u_m u_m^\top`, the slope of :math:`-\tfrac12 \log\det H` is half the sum of
second derivatives of :math:`\partial_\theta h` (and, for the way of the mode, of
:math:`\partial_z h`) along the :math:`u_m`, so :math:`2d + 1` evaluations of the analytic slopes
give all of it, however many parameters there are. Compare [Almquist2015]_, who differentiate the
sensitivity equations once more.
"""

import numpy as np

from bayesnlme._types import Floats
from bayesnlme.marginal.conditional import LOG_2PI, Conditional
from bayesnlme.marginal.contribution import Contributions
from bayesnlme.marginal.modes import Modes, find_modes


class LaplaceApproximation:
    """The second-order expansion of the log density at each subject's mode.

    Parameters
    ----------
    conditional : Conditional
        Densities given the random effects.
    """

    def __init__(self, conditional: Conditional) -> None:
        self.conditional = conditional
        self._step = float(np.clip(conditional.roughness ** (1 / 4), 3e-3, 5e-2))

    def at(self, theta: Floats, start: Floats | None = None) -> Contributions:
        """Return values, slopes and modes; see :class:`Contributions`."""
        modes = find_modes(self.conditional, theta, start)
        return Contributions(
            value=self._values(modes), slope=self._slope(theta, modes), modes=modes
        )

    def values(self, theta: Floats, start: Floats | None = None) -> Floats:
        """Return the values alone, shape (subject,)."""
        return self._values(find_modes(self.conditional, theta, start))

    def _values(self, modes: Modes) -> Floats:
        value = modes.h + 0.5 * (self.conditional.n_effects * LOG_2PI - modes.log_det)
        return np.where(modes.found, value, -np.inf)

    def _slope(self, theta: Floats, modes: Modes) -> Floats:
        scores = self.conditional.scores
        _, by_z, by_theta = scores(theta, modes.z)
        curved = np.zeros_like(by_theta)
        curved_z = np.zeros_like(by_z)
        way = np.zeros((*by_z.shape, by_theta.shape[1]))
        for m in range(self.conditional.n_effects):
            u = modes.spread[:, :, m]
            _, z_above, above = scores(theta, modes.z + self._step * u)
            _, z_below, below = scores(theta, modes.z - self._step * u)
            curved += (above - 2 * by_theta + below) / self._step**2
            curved_z += (z_above - 2 * by_z + z_below) / self._step**2
            way += u[:, :, None] * ((above - below) / (2 * self._step))[:, None, :]
        return by_theta + 0.5 * (curved + np.einsum("nd,ndp->np", curved_z, way))
