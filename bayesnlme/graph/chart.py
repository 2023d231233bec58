r"""Coordinates in which a posterior is nearly standard normal.

With the population parameters :math:`\theta` and the random effects :math:`z_i` of subject i,

.. math:: \theta = \hat\theta + A u_\theta, \qquad
          z_i = \hat z_i + W_i (\theta - \hat\theta) + U_i u_i,

where :math:`A A^\top` is the covariance of :math:`\theta`, :math:`U_i U_i^\top` that of
:math:`z_i` given it, and :math:`W_i` the slope of the mode of :math:`z_i`. That is the whole
covariance of Laplace's approximation, in as many numbers as there are subjects.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytensor.tensor as pt

from bayesnlme._types import Floats, Integers
from bayesnlme.graph.flat import Variable


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
    way : array, shape (subject, effect, parameter)
        W.
    spread : array, shape (subject, effect, effect)
        U.
    effects : mapping of str to tuple
        For each variable that effects are sampled as its columns of `modes`, shape (unit, effect),
        and the subject of each unit.
    """

    theta: Floats
    root: Floats
    modes: Floats
    way: Floats
    spread: Floats
    effects: Mapping[str, tuple[Integers, Integers]]

    def point(self, u: Any, free: Sequence[Variable]) -> Any:
        """Return the free variables, one after the other as `free` places them.

        Parameters
        ----------
        u : array or Tensor, shape (variable,)
            Coordinates, placed like the variables that they stand for.
        free : sequence of Variable
            All free variables; the population parameters in the order of `theta`.
        """
        of_theta, of_effects = self.places(free)
        moved = (self.root * u[of_theta]).sum(axis=1)
        own = u[np.maximum(of_effects, 0)] * (of_effects >= 0)
        z = (
            self.modes
            + (self.way * moved).sum(axis=2)
            + (self.spread * own[:, None, :]).sum(axis=2)
        )
        joined = _joined(self.theta + moved, z.reshape((-1,)), tensor=not isinstance(u, np.ndarray))
        listed = np.concatenate([of_theta, of_effects.ravel()])
        order = np.empty(free[-1].where.stop, dtype=np.int64)
        order[listed[listed >= 0]] = np.flatnonzero(listed >= 0)
        return joined[order]

    def places(self, free: Sequence[Variable]) -> tuple[Integers, Integers]:
        """Return where population parameters and effects stand, the latter (subject, effect).

        -1 for an effect that a subject lacks.
        """
        of_effects = np.full(self.modes.shape, -1, dtype=np.int64)
        of_theta = []
        for each in free:
            places = np.arange(each.where.start, each.where.stop)
            if each.name in self.effects:
                columns, subject = self.effects[each.name]
                of_effects[subject[:, None], columns] = places.reshape(columns.shape)
            else:
                of_theta.append(places)
        return np.concatenate(of_theta), of_effects


def _joined(first: Any, second: Any, *, tensor: bool) -> Any:
    return pt.concatenate([first, second]) if tensor else np.concatenate([first, second])
