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
from bayesnlme.marginal.modes import Modes, find_modes, follow


class LaplaceApproximation:
    """The second-order expansion of the log density at each subject's mode.

    Parameters
    ----------
    conditional : Conditional
        Densities given the random effects.
    """

    def __init__(self, conditional: Conditional) -> None:
        self.conditional = conditional

    def at(self, theta: Floats, start: Floats | None = None) -> Contributions:
        """Return values, slopes and modes; see :class:`Contributions`."""
        modes = find_modes(self.conditional, theta, start)
        moved = follow(self.conditional, theta, modes, full=False)
        slope = moved.by_theta - 0.5 * moved.log_det
        return Contributions(value=self._values(modes), slope=slope, modes=modes)

    def values(self, theta: Floats, start: Floats | None = None) -> Floats:
        """Return the values alone, shape (subject,)."""
        return self._values(find_modes(self.conditional, theta, start))

    def _values(self, modes: Modes) -> Floats:
        value = modes.h + 0.5 * (self.conditional.n_effects * LOG_2PI - modes.log_det)
        return np.where(modes.found, value, -np.inf)
