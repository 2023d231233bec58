r"""The expected Fisher information of the population parameters, first-order.

A subject's observations are taken for normal with mean c and covariance :math:`V = G G^\top +
\mathrm{diag}\, v`, linear in the random effects around 0 [Retout2003]_:

.. math:: M_{kl} = \partial_k c^\top V^{-1} \partial_l c + \tfrac12 \mathrm{tr}(V^{-1} \partial_k V
          \, V^{-1} \partial_l V),

summed over subjects; of theta on the unconstrained scales. The slopes of c and v are analytic,
those of G differences of analytic ones.
"""

import numpy as np

from bayesnlme._types import Floats
from bayesnlme.marginal.conditional import Conditional


def expected_information(conditional: Conditional, theta: Floats) -> Floats:
    """Return the information of all subjects together, shape (parameter, parameter).

    Parameters
    ----------
    conditional : Conditional
        Densities without interaction.
    theta : array, shape (parameter,)
        Population parameters.

    Raises
    ------
    ModelError
        If an outcome or an effect is not normal, or a value censored.
    """
    z, size = conditional.no_effects, theta.size
    here = conditional.normals(theta, z)
    step = float(np.clip(conditional.roughness ** (1 / 3), 1e-5, 1e-2))
    slopes = np.empty((size, *here.centre_by_z.shape))
    for k in range(size):
        move = step * (np.arange(size) == k)
        above, below = (conditional.normals(theta + s * move, z).centre_by_z for s in (1, -1))
        slopes[k] = (above - below) / (2 * step)
    total = np.zeros((size, size))
    subject = conditional.population.data.observations.subject
    for i in range(conditional.n_subjects):
        at = np.flatnonzero(subject == i)
        G, dG = here.centre_by_z[:, at], slopes[:, :, at]
        V = G.T @ G + np.diag(here.variance[at])
        mean = here.centre_by_theta[:, at]
        cross = np.einsum("kda,db->kab", dG, G)
        dV = cross + cross.transpose(0, 2, 1)
        dV[:, range(at.size), range(at.size)] += here.variance_by_theta[:, at]
        weighed = np.linalg.solve(V, dV)
        total += mean @ np.linalg.solve(V, mean.T)
        total += 0.5 * np.einsum("kab,lba->kl", weighed, weighed)
    return total
