r"""An affine map between the variables of a population model and those that are sampled.

With the population parameters :math:`\theta` and the random effects :math:`z_i` of subject i,

.. math:: \theta = \hat\theta + A u_\theta, \qquad
          z_i = \hat z_i + W_i (\theta - \hat\theta) + U_i u_i.

Where :math:`A A^\top` is the covariance of :math:`\theta`, :math:`U_i U_i^\top` that of
:math:`z_i` given it, and :math:`W_i` the slope of the mode of :math:`z_i`, u is nearly standard
normal: that is the whole covariance of a posterior, in as many numbers as there are subjects.
:mod:`bayesnlme.inference.laplace_start` takes them from Laplace's approximation,
:mod:`bayesnlme.inference.warmup` from draws.
"""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pytensor.tensor as pt

from bayesnlme._types import Floats
from bayesnlme.graph.build import Population
from bayesnlme.graph.places import Places, in_vector

NUMBERS = ("theta", "root", "modes", "way", "spread")
"""The attributes of a chart that are numbers, as a compiled density reads them."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chart:
    """An affine map from u to the free variables of a population model.

    Attributes
    ----------
    theta : array, shape (parameter,)
        The centre of the population parameters.
    root : array, shape (parameter, parameter)
        A.
    modes : array, shape (subject, effect)
        The centre of the random effects.
    way : array, shape (parameter, subject, effect)
        W.
    spread : array, shape (effect, subject, effect)
        U: by the coordinate, the subject and its effect. One that a subject lacks is apart.
    places : Places
        Where in the vectors x and u each stands.
    """

    theta: Any
    root: Any
    modes: Any
    way: Any
    spread: Any
    places: Places

    @property
    def numbers(self) -> dict[str, Floats]:
        """What depends on more than the model and the table."""
        return {name: getattr(self, name) for name in NUMBERS}

    def point(self, u: Any) -> Any:
        """Return the free variables as one vector.

        Parameters
        ----------
        u : array or Tensor, shape (variable,)
            Coordinates, placed like the variables that they stand for.
        """
        places = self.places
        away = (self.root * u[places.theta]).sum(axis=1)
        own = u[np.maximum(places.effects, 0)]
        if not places.there.all():
            own = own * places.there
        z = (
            self.modes
            + (self.way * away[:, None, None]).sum(axis=0)
            + (self.spread * own.T[:, :, None]).sum(axis=0)
        )
        return self._placed(self.theta + away, z)

    def coordinates(self, x: Floats) -> Floats:
        """Return the coordinates of a point."""
        away = x[self.places.theta] - self.theta
        z = x[np.maximum(self.places.effects, 0)]
        rest = z - self.modes - (self.way * away[:, None, None]).sum(axis=0)
        rest *= self.places.there
        own = np.linalg.solve(self.spread.transpose(1, 2, 0), rest[..., None])[..., 0]
        found: Floats = self._placed(np.linalg.solve(self.root, away), own)
        return found

    def refined(self, root: Floats, slopes: Floats) -> Self:
        r"""Return this map after another one of its coordinates.

        Parameters
        ----------
        root : array, shape (parameter, parameter)
            :math:`u_\theta = F u'_\theta`.
        slopes : array, shape (parameter, subject, effect)
            :math:`u_i = u'_i + S_i u_\theta`.
        """
        turned = np.einsum("jsk,psj->psk", self.spread, slopes)
        away = np.linalg.solve(self.root.T, turned.reshape(len(root), -1)).reshape(turned.shape)
        return replace(self, root=self.root @ root, way=self.way + away)

    def _placed(self, theta: Any, z: Any) -> Any:
        """Put population parameters and effects where they stand."""
        join = np.concatenate if isinstance(theta, np.ndarray) else pt.concatenate
        listed = np.concatenate([self.places.theta, self.places.effects.ravel()])
        order = np.empty(int((listed >= 0).sum()), dtype=np.int64)
        order[listed[listed >= 0]] = np.flatnonzero(listed >= 0)
        return join([theta, z.reshape((-1,))])[order]


def identity(population: Population) -> Chart:
    """Return the chart that changes nothing."""
    places = in_vector(population)
    (n_subjects, n_effects), n_parameters = places.effects.shape, places.theta.size
    return Chart(
        theta=np.zeros(n_parameters),
        root=np.eye(n_parameters),
        modes=np.zeros((n_subjects, n_effects)),
        way=np.zeros((n_parameters, n_subjects, n_effects)),
        spread=np.repeat(np.eye(n_effects)[:, None, :], n_subjects, axis=1),
        places=places,
    )
