r"""FO, FOCE and FOCEI: the observations made linear in the random effects.

With :math:`c` the centre of the observations, v their variance, :math:`G = \partial_z c` and
:math:`W = \partial_z v`, a subject's likelihood is

* **FOCEI** [Wang2007]_ (eq. 20): Laplace's with the expected Hessian :math:`M = I + \sum_j G_j
  G_j^\top / v_j + \tfrac12 W_j W_j^\top / v_j^2`, at the mode;
* **FOCE**, without interaction [Lindstrom1990]_: the same with the variance of the typical subject,
  so that :math:`W = 0`;
* **FO** [Beal1982]_: the exact likelihood of the model linear in z around 0, where
  :math:`y \sim N(c, GG^\top + \mathrm{diag}\, v)`.

The slopes of :math:`\log\det M` need second derivatives of c and v along the columns of
:math:`M^{-1/2}` alone, which are differences of analytic first ones.
"""

import numpy as np
from scipy import sparse

from bayesnlme._types import Floats
from bayesnlme.errors import ModelError
from bayesnlme.marginal.conditional import LOG_2PI, Conditional, Normals
from bayesnlme.marginal.contribution import Contributions
from bayesnlme.marginal.modes import Modes, find_modes, first_difference, follow


class _Linearised:
    """What FO and FOCE share: the curvature M and the slope of its log determinant."""

    def __init__(self, conditional: Conditional) -> None:
        conditional.refuse_others_than_normal()
        self.conditional = conditional
        self._step = first_difference(conditional)
        self._subject = conditional.population.data.observations.subject
        count = self._subject.size
        shape = (conditional.n_subjects, count)
        self._sum = sparse.csr_array((np.ones(count), (self._subject, np.arange(count))), shape)

    def values(self, theta: Floats, start: Floats | None = None) -> Floats:
        """Return the values alone, shape (subject,)."""
        return self._expanded(theta, start)[0]

    def _expanded(self, theta: Floats, start: Floats | None) -> tuple[Floats, Modes, Normals]:
        """Return values, modes, and the observations where they are made linear."""
        raise NotImplementedError

    def _curvature(self, normals: Normals) -> Floats:
        """Return M, shape (subject, effect, effect)."""
        G, W, v = normals.centre_by_z, normals.variance_by_z, normals.variance
        n_effects = len(G)
        curvature = np.tile(np.eye(n_effects), (self.conditional.n_subjects, 1, 1))
        for a in range(n_effects):
            for b in range(a + 1):
                terms = G[a] * G[b] / v + 0.5 * W[a] * W[b] / v**2
                curvature[:, a, b] += self._sum @ terms
                curvature[:, b, a] = curvature[:, a, b]
        return curvature

    def _log_det_slope(
        self, theta: Floats, z: Floats, spread: Floats, normals: Normals, way: Floats
    ) -> Floats:
        """Return the slope of log det M, shape (subject, parameter).

        Parameters
        ----------
        theta, z : array
            Where.
        spread : array, shape (subject, effect, effect)
            U with U U' the inverse of M.
        normals : Normals
            At z.
        way : array, shape (subject, effect, parameter)
            dz / dtheta.
        """
        v, G, W = normals.variance, normals.centre_by_z, normals.variance_by_z
        way = way[self._subject]
        v_slope = normals.variance_by_theta + np.einsum("dj,jdp->pj", W, way)
        terms = np.zeros_like(v_slope)
        for m in range(self.conditional.n_effects):
            u = spread[:, :, m]
            above, below = (
                self.conditional.normals(theta, z + s * self._step * u) for s in (1, -1)
            )
            u = u[self._subject]
            changed = [
                (getattr(above, name) - getattr(below, name)) / (2 * self._step)
                for name in (
                    "centre_by_theta", "centre_by_z", "variance_by_theta", "variance_by_z",
                )
            ]  # fmt: skip
            g_slope = changed[0] + np.einsum("dj,jdp->pj", changed[1], way)
            w_slope = changed[2] + np.einsum("dj,jdp->pj", changed[3], way)
            g, w = np.einsum("dj,jd->j", G, u), np.einsum("dj,jd->j", W, u)
            terms += (2 * g * g_slope - g**2 * v_slope / v) / v
            terms += (w * w_slope - w**2 * v_slope / v) / v**2
        return np.asarray(self._sum @ terms.T)


class FirstOrderConditional(_Linearised):
    """FOCE: linear around each subject's mode.

    Parameters
    ----------
    conditional : Conditional
        Densities given the random effects; its ``interaction`` tells FOCE from FOCEI.
    """

    def at(self, theta: Floats, start: Floats | None = None) -> Contributions:
        """Return values, slopes and modes; see :class:`Contributions`."""
        value, modes, normals = self._expanded(theta, start)
        spread = _inverse_root(self._curvature(normals))
        moved = follow(self.conditional, theta, modes, full=False)
        slope = self._log_det_slope(theta, modes.z, spread, normals, moved.way)
        return Contributions(value=value, slope=moved.by_theta - 0.5 * slope, modes=modes)

    def _expanded(self, theta: Floats, start: Floats | None) -> tuple[Floats, Modes, Normals]:
        modes = find_modes(self.conditional, theta, start)
        normals = self.conditional.normals(theta, modes.z)
        log_det = np.linalg.slogdet(self._curvature(normals))[1]
        value = modes.h + 0.5 * (self.conditional.n_effects * LOG_2PI - log_det)
        return np.where(modes.found, value, -np.inf), modes, normals


class FirstOrder(_Linearised):
    """FO: linear around the typical subject.

    Parameters
    ----------
    conditional : Conditional
        Densities given the random effects, without interaction.

    Raises
    ------
    ModelError
        If they are with interaction, which has no meaning at the typical subject.
    """

    def __init__(self, conditional: Conditional) -> None:
        if conditional.interaction:
            raise ModelError("FO has no interaction: give the densities without it.")
        super().__init__(conditional)

    def at(self, theta: Floats, start: Floats | None = None) -> Contributions:
        """Return values, slopes and modes of the linear model; see :class:`Contributions`."""
        value, modes, normals = self._expanded(theta, start)
        z = self.conditional.no_effects
        v, G = normals.variance, normals.centre_by_z
        rho = self._residual(normals) - np.einsum("dj,jd->j", G, modes.z[self._subject])
        length = np.maximum(np.linalg.norm(modes.z, axis=1, keepdims=True), 1e-8)
        along = self._step * modes.z / length
        above, below = (self.conditional.normals(theta, s * along) for s in (1, -1))
        bent = (above.centre_by_theta - below.centre_by_theta) / (2 * self._step)
        bent *= length[self._subject, 0]
        terms = rho / v * (normals.centre_by_theta + bent)
        terms += 0.5 * normals.variance_by_theta / v * (rho**2 / v - 1)
        still = np.zeros((*z.shape, theta.size))
        log_det = self._log_det_slope(theta, z, modes.spread, normals, still)
        return Contributions(value=value, slope=self._sum @ terms.T - 0.5 * log_det, modes=modes)

    def _residual(self, normals: Normals) -> Floats:
        return self.conditional.normal_values - normals.centre

    def _expanded(self, theta: Floats, start: Floats | None) -> tuple[Floats, Modes, Normals]:
        del start
        normals = self.conditional.normals(theta, self.conditional.no_effects)
        v, G, residual = normals.variance, normals.centre_by_z, self._residual(normals)
        spread = _inverse_root(self._curvature(normals))
        pull = (self._sum @ (G * residual / v).T).reshape(self.conditional.no_effects.shape)
        z = np.einsum("nij,nkj,nk->ni", spread, spread, pull)
        rho = residual - np.einsum("dj,jd->j", G, z[self._subject])
        terms = self.conditional.log_jacobian - 0.5 * (LOG_2PI + np.log(v) + rho**2 / v)
        joint = self._sum @ terms - 0.5 * (z**2).sum(axis=1)
        log_det = -2.0 * np.linalg.slogdet(spread)[1]
        found = np.isfinite(joint)
        h = joint - 0.5 * self.conditional.n_effects * LOG_2PI
        modes = Modes(z=z, h=h, spread=spread, log_det=log_det, found=found)
        return np.where(found, joint - 0.5 * log_det, -np.inf), modes, normals


def _inverse_root(curvature: Floats) -> Floats:
    """Return U with U U' the inverse of each positive definite matrix."""
    bad = ~np.isfinite(curvature).all(axis=(1, 2))
    safe = np.where(bad[:, None, None], np.eye(curvature.shape[1]), curvature)
    return np.linalg.inv(np.linalg.cholesky(safe)).transpose(0, 2, 1)
