r"""The complete-data score: that of the observations and the individual parameters together.

With the individual parameters on the scale on which effects are added,

.. math:: \phi_i = \mu_i(\theta) + \Lambda(\theta) z_i,

where :math:`\mu_i` is the typical value with its covariates and :math:`\Lambda \Lambda^\top` the
variance of the effects, typical values and :math:`\Lambda` enter :math:`p(\phi_i \mid \theta)`
alone, and the EM algorithm moves them as a regression would [Kuhn2005]_. With
:math:`h_i(\theta, z_i)` of :class:`Conditional` the score at a fixed :math:`\phi_i` is

.. math:: s_i = \partial_\theta h_i + \partial_z h_i \cdot a_i - \partial_\theta \log\det\Lambda,
          \qquad a_i = \partial_\theta z_i = -\Lambda^{-1} (\partial_\theta \mu_i
          + \partial_\theta \Lambda \, z_i).

Any :math:`\mu_i` would do, since what of the model it leaves out stays in
:math:`\partial_\theta h_i`: where covariates vary within a subject, it is the mean over the
subject's intervals, and a Box-Cox transform stands outside.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pytensor.tensor as pt

from bayesnlme import names
from bayesnlme._types import Booleans, Floats, Tensor
from bayesnlme.graph.build import model_rows
from bayesnlme.graph.flat import compiling
from bayesnlme.graph.start import axis_scales
from bayesnlme.marginal.conditional import Conditional
from bayesnlme.names import SUBJECTS

ROUNDED = 1e-3
"""Share of its terms below which a sum of scores is taken for zero."""

STEP = 1e-5
"""Of the differences of mu and Lambda, which have closed forms."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Placement:
    """Which individual parameters the effects stand for.

    Attributes
    ----------
    location : array, shape (subject, effect)
        mu; zero for effects of occasions.
    root : array, shape (effect, effect)
        Lambda.
    """

    location: Floats
    root: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Slopes:
    """How a placement moves with theta, times the inverse of Lambda.

    Attributes
    ----------
    location : array, shape (parameter, subject, effect)
        Of mu.
    root : array, shape (parameter, effect, effect)
        Of Lambda.
    """

    location: Floats
    root: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CompleteScores:
    """Scores of all subjects in several chains.

    Attributes
    ----------
    h : array, shape (chain, subject)
        Log densities, as of :class:`Conditional`.
    by_z : array, shape (chain, subject, effect)
        Their slopes in z.
    normal : array, shape (chain, subject, parameter)
        Score of the individual parameters, as if these were normal.
    rest : array, shape (chain, subject, parameter)
        What else there is: score of the observations, and of effects that are not normal.
    concerned : array of bool, shape (parameter,)
        Parameters that the rest depends on, beyond rounding.
    """

    h: Floats
    by_z: Floats
    normal: Floats
    rest: Floats
    concerned: Booleans

    @property
    def total(self) -> Floats:
        """The complete-data scores, shape (chain, subject, parameter)."""
        return self.normal + self.rest


class CompleteData:
    """Scores and information of observations and individual parameters together.

    Parameters
    ----------
    conditional : Conditional
        Densities given the random effects.
    standard : array of bool, shape (effect,), optional
        Effects whose z is held as theta moves, so that phi moves along, and not phi. None unless
        given.
    """

    def __init__(self, conditional: Conditional, standard: Booleans | None = None) -> None:
        self.conditional = conditional
        none = np.zeros(conditional.n_effects, dtype=bool)
        self._standard = none if standard is None else standard
        model = conditional.population.model
        self._layers = [(each, each.names is SUBJECTS) for each in model.layers]
        self._tails = any(layer.tails for layer in model.layers)

    def holding(self, standard: Booleans) -> "CompleteData":
        """Return the same with other effects whose z is held; nothing is compiled again."""
        other = CompleteData(self.conditional, standard)
        other.__dict__["_vector"] = self._vector
        return other

    def placement(self, theta: Floats) -> Placement:
        """Return mu and Lambda.

        Parameters
        ----------
        theta : array, shape (parameter,)
            Population parameters.
        """
        if self._standard.all():
            location = self.conditional.no_effects
            return Placement(location=location, root=np.eye(location.shape[1]))
        location, root = self._unpacked(self._vector(theta)[None])
        root[:, self._standard] = np.eye(len(self._standard))[self._standard]
        return Placement(location=location[0], root=root[0])

    def slopes(self, theta: Floats, placed: Placement) -> Slopes:
        """Return the slopes of a placement, by central differences."""
        n_parameters, (n_subjects, n_effects) = theta.size, self.conditional.no_effects.shape
        if self._standard.all():
            return Slopes(
                location=np.zeros((n_parameters, n_subjects, n_effects)),
                root=np.zeros((n_parameters, n_effects, n_effects)),
            )
        steps = STEP * self.scales
        moves = np.diag(steps)
        above = np.stack([self._vector(theta + each) for each in moves])
        below = np.stack([self._vector(theta - each) for each in moves])
        location, root = self._unpacked((above - below) / (2 * steps[:, None]))
        inverse = np.linalg.inv(placed.root)
        return Slopes(location=location @ inverse.T, root=inverse @ root)

    def scores(self, theta: Floats, z: Floats, slopes: Slopes) -> CompleteScores:
        """Return the scores of several chains.

        Parameters
        ----------
        theta : array, shape (parameter,)
            Population parameters.
        z : array, shape (chain, subject, effect)
            Random effects at SD 1.
        slopes : Slopes
            Of the placement.
        """
        found = [self.conditional.scores(theta, each) for each in z]
        h, by_z, by_theta = (np.stack(each) for each in zip(*found, strict=True))
        present = self.conditional.present
        way = slopes.location + np.einsum("pjk,cnk->cpnj", slopes.root, z)
        way *= -present.astype(np.float64)
        growth = np.einsum("pjj,nj->np", slopes.root, present)
        through = np.einsum("cnj,cpnj->cnp", by_z + z, way)
        rest, size = by_theta + through, np.abs(by_theta) + np.abs(through)
        return CompleteScores(
            h=h,
            by_z=by_z,
            normal=-np.einsum("cnj,cpnj->cnp", z, way) - growth,
            rest=rest,
            concerned=self._tails
            | (np.abs(rest).sum(axis=(0, 1)) > ROUNDED * size.sum(axis=(0, 1))),
        )

    def log_density(self, h: Floats, placed: Placement) -> Floats:
        """Return the log density of observations and phi from h, both shape (..., subject)."""
        return h - self.conditional.present @ np.log(np.diag(placed.root))

    def information(self, slopes: Slopes) -> Floats:
        r"""Return the expected information of the individual parameters, as if normal.

        .. math:: \sum_i \partial_p \mu_i^\top \Omega^{-1} \partial_q \mu_i + \tfrac12
                  \mathrm{tr}(\Omega^{-1} \partial_p \Omega \, \Omega^{-1} \partial_q \Omega).
        """
        present = self.conditional.present.astype(np.float64)
        of_location = slopes.location * present
        both = slopes.root + slopes.root.transpose(0, 2, 1)
        counted = both * (present.T @ present)
        return np.einsum("pnj,qnj->pq", of_location, of_location) + 0.5 * np.einsum(
            "pjk,qjk->pq", counted, both
        )

    def rest_information(
        self, theta: Floats, z: Floats, placed: Placement, scores: CompleteScores
    ) -> Floats:
        """Return the information beside that of a normal phi, a mean over chains.

        By differences at fixed phi, of the parameters concerned. Of effects with Student's t
        distribution the information is that of the draws, which the expected one of normal
        effects has no part in.

        Parameters
        ----------
        theta, z
            As in :meth:`scores`.
        placed : Placement
            Of theta.
        scores : CompleteScores
            What :meth:`scores` gives.
        """
        found = np.zeros((theta.size, theta.size))
        share = float(np.clip(np.sqrt(self.conditional.roughness), 1e-4, 1e-2))
        for k in np.flatnonzero(scores.concerned):
            step = np.zeros_like(theta)
            step[k] = share * self.scales[k]
            beside = self.placement(theta + step)
            slopes = self.slopes(theta + step, beside)
            moved = self.scores(theta + step, self.moved(z, placed, beside), slopes)
            change = scores.total - moved.total if self._tails else scores.rest - moved.rest
            found[:, k] = found[k] = change.sum(axis=1).mean(axis=0) / step[k]
        if self._tails:
            found -= self.information(self.slopes(theta, placed))
        return found

    def moved(self, z: Floats, before: Placement, after: Placement) -> Floats:
        """Return the effects that stand for the same phi after the parameters have moved."""
        phi = before.location + z @ before.root.T
        found = (phi - after.location) @ np.linalg.inv(after.root).T
        return np.where(self.conditional.present, found, z)

    @cached_property
    def scales(self) -> Floats:
        """How far a parameter may move at once, shape (parameter,)."""
        return axis_scales(self.conditional.population.model, self.conditional.parameters)

    @cached_property
    def _vector(self) -> Callable[[Floats], Floats]:
        """The compiled function: mu and the blocks of Lambda in one vector."""
        with compiling():
            return self.conditional.of_theta(pt.concatenate(list(self._parts())))

    def _parts(self) -> Iterator[Tensor]:
        """Yield for each layer mu of its effects, shape (subject,), and the columns of Lambda."""
        first = 0
        for layer, of_subjects in self._layers:
            if of_subjects:
                yield from (self._location(name) for name in layer.effects)
            for column in range(len(layer.effects)):
                z = self.conditional.no_effects
                z[:, first + column] = 1.0
                yield self.conditional.at_effects(layer.names.effects, z)[0]
            first += len(layer.effects)

    def _location(self, name: str) -> Tensor:
        conditional, population = self.conditional, self.conditional.population
        value = conditional.at_effects(name, conditional.no_effects)
        location = population.model.parameters[name].location(value)
        if names.INTERVAL not in population.pymc.named_vars_to_dims[name]:
            return location
        rows = model_rows(population.model, population.data)
        total: Tensor = pt.zeros(conditional.n_subjects)
        counts = np.bincount(rows.subject, minlength=conditional.n_subjects)
        return total[rows.subject].inc(location) / counts

    def _unpacked(self, flat: Floats) -> tuple[Floats, Floats]:
        """Return mu and Lambda from vectors, shape (vector, ...)."""
        n_subjects, n_effects = self.conditional.no_effects.shape
        location = np.zeros((len(flat), n_subjects, n_effects))
        root = np.zeros((len(flat), n_effects, n_effects))
        at, first = 0, 0
        for layer, of_subjects in self._layers:
            count = len(layer.effects)
            if of_subjects:
                of_layer = flat[:, at : at + count * n_subjects].reshape(-1, count, n_subjects)
                location[:, :, :count] = of_layer.transpose(0, 2, 1)
                at += count * n_subjects
            block = flat[:, at : at + count**2].reshape(-1, count, count).transpose(0, 2, 1)
            at += count**2
            end = count if of_subjects else n_effects
            for start in range(first, end, count):
                root[:, start : start + count, start : start + count] = block
            first = end
        location[:, :, self._standard] = 0.0
        root[:, self._standard] = 0.0
        return location, root
