r"""Densities subject by subject, given random effects, from the graph of the joint model.

For subject i with the random effects :math:`z_i` at SD 1 and without correlation, between subjects
and on each of its occasions, and the population parameters :math:`\theta` on the unconstrained
scales of the PyMC model:

.. math:: h_i(\theta, z_i) = \log p(y_i \mid z_i, \theta) + \log p(z_i \mid \theta),

with its slopes in :math:`z_i` and in :math:`\theta`, for all subjects at once. No observation
depends on another subject's effects, so the slope of the sum over subjects is the slope of each;
the slopes in :math:`\theta` are pushed forward, one direction for each parameter, through one solve
of the structural model.

FO, FOCE, Laplace, quadrature, SAEM, importance sampling and marginal cross-validation stand on
these, so that none has a likelihood of its own. That the effects are at SD 1 changes none of them
(each is invariant when the effects are scaled), and keeps a variance of zero an ordinary point.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pytensor.tensor as pt
import xarray as xr
from pytensor.graph import clone_replace, rewrite_graph
from pytensor.graph.traversal import ancestors

from bayesnlme import names
from bayesnlme._types import Booleans, Floats, Integers, Tensor
from bayesnlme.errors import ModelError
from bayesnlme.graph.build import Population
from bayesnlme.graph.effects import effect_variables
from bayesnlme.graph.flat import (
    FAST,
    SIMPLE,
    arranged,
    compiling,
    flat_graph,
    frozen,
    starting_vector,
)
from bayesnlme.graph.outcomes import positions
from bayesnlme.graph.places import EffectPlaces, effect_places
from bayesnlme.marginal.functions import Function, pushed
from bayesnlme.observation.continuous import StudentError
from bayesnlme.observation.residual import ResidualError
from bayesnlme.odes.op import ROUNDING, PopulationSolve
from bayesnlme.population.priors import Fixed

LOG_2PI = float(np.log(2 * np.pi))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Normals:
    """Observations as normal ones around a centre, with slopes.

    Attributes
    ----------
    centre, variance : array, shape (observation,)
        Mean and variance; of log y where the error is log-normal.
    centre_by_z, variance_by_z : array, shape (effect, observation)
        Slopes in the effects of the observation's subject.
    centre_by_theta, variance_by_theta : array, shape (parameter, observation)
        Slopes in the population parameters.
    """

    centre: Floats
    variance: Floats
    centre_by_z: Floats
    variance_by_z: Floats
    centre_by_theta: Floats
    variance_by_theta: Floats


class Conditional:
    """Densities of all subjects given their random effects.

    Parameters
    ----------
    population : Population
        Model and data, not centred.
    interaction : bool
        Whether the residual variance follows the prediction with the random effects; otherwise it
        is that of the typical subject, as in FO, and in FOCE without interaction.
    swapped : sequence of str
        Outputs whose observed values can be exchanged by `observe`.

    Attributes
    ----------
    population : Population
        The same.
    interaction : bool
        The same.
    parameters : tuple of Variable
        The population parameters, on their unconstrained scales, in one vector.
    start : array, shape (parameter,)
        Their starting values.
    n_subjects, n_effects : int
        Subjects; effects of the subject that has the most. Effects that a subject lacks have no
        influence.
    """

    def __init__(
        self, population: Population, *, interaction: bool = True, swapped: Sequence[str] = ()
    ) -> None:
        self.population, self.interaction = population, interaction
        self.n_subjects = population.data.n_subjects
        with compiling():
            self._model = frozen(population.pymc, [names.observed(each) for each in swapped])
        sampled = effect_variables(population.model)
        own = [each.name for each in population.pymc.free_RVs if each.name not in sampled]
        self._free = [self._model[name] for name in own]
        self._values = [self._model.rvs_to_values[each] for each in self._free]
        self.parameters = arranged(
            [each.name for each in self._values], [each.type.shape for each in self._values]
        )
        self.start = starting_vector(population.pymc, self.parameters)
        self._places = effect_places(population)
        self.n_effects = max((int(at.max()) + 1 for at, _ in self._places.values()), default=0)
        of_outputs = [self._rows(each) for each in swapped]
        self._swapped = arranged(swapped, [rows.shape for rows in of_outputs])
        seen = population.data.observations.value
        self._data = np.concatenate([*(seen[rows] for rows in of_outputs), np.zeros(1)])
        self._z = pt.tensor("z", dtype="float64", shape=(self.n_subjects, self.n_effects))

    @property
    def n_parameters(self) -> int:
        """Length of the vector of population parameters."""
        return self.start.size

    @cached_property
    def roughness(self) -> float:
        """Relative size of the steps in the densities, which a difference magnifies."""
        nodes = (each.owner for each in ancestors([self._model[names.PREDICTION]]))
        solves = [each.op for each in nodes if each and isinstance(each.op, PopulationSolve)]
        return max([each.roughness for each in solves], default=ROUNDING)

    @cached_property
    def present(self) -> Booleans:
        """Mark the effects that each subject has, shape (subject, effect)."""
        there = np.zeros((self.n_subjects, self.n_effects), dtype=bool)
        for columns, subject in self._places.values():
            there[subject[:, None], columns] = True
        return there

    def density(self, theta: Floats, z: Floats) -> tuple[Floats, Floats]:
        """Return h, shape (subject,), and its slopes in z, shape (subject, effect).

        Parameters
        ----------
        theta : array, shape (parameter,)
            Population parameters.
        z : array, shape (subject, effect)
            Random effects at SD 1. What is returned for a subject whose equations cannot be solved
            there is not a number.
        """
        h, by_z = self._density(theta, z)
        return h[0], by_z[0]

    def scores(self, theta: Floats, z: Floats) -> tuple[Floats, Floats, Floats]:
        """Return h, its slopes in z, and its slopes in theta, shape (subject, parameter)."""
        h, by_z, by_theta = self._scores(theta, z)
        return h[0], by_z[0], by_theta.T

    def normals(self, theta: Floats, z: Floats) -> Normals:
        """Return the observations as normal ones with their slopes.

        Raises
        ------
        ModelError
            If an outcome or an effect is not normal, or a value censored.
        """
        moments, centre_by_z, variance_by_z, centre_by_theta, variance_by_theta = self._normals(
            theta, z
        )
        return Normals(
            centre=moments[0],
            variance=moments[1],
            centre_by_z=centre_by_z,
            variance_by_z=variance_by_z,
            centre_by_theta=centre_by_theta,
            variance_by_theta=variance_by_theta,
        )

    def log_prior(self, theta: Floats) -> tuple[float, Floats]:
        """Return the log prior density of the parameters on their natural scales, and its slope."""
        value, slope = self._log_prior(theta, self.no_effects)
        return float(value[0]), slope[0]

    def log_prior_of_theta(self, theta: Floats) -> tuple[float, Floats]:
        """Return the log prior density of the parameters on their unconstrained scales."""
        value, slope = self._log_prior_of_theta(theta, self.no_effects)
        return float(value[0]), slope[0]

    def observe(self, values: Mapping[str, Floats]) -> None:
        """Put other values in the place of those observed; nothing is compiled.

        Parameters
        ----------
        values : mapping of str to array
            By output, in the order of the table. What is censored stays so.

        Raises
        ------
        ModelError
            If an output was not to be swapped or has another number of observations.
        """
        known = {each.name: each for each in self._swapped}
        for output, given in values.items():
            if output not in known or np.shape(given) != known[output].shape:
                shapes = {each.name: each.shape for each in self._swapped}
                raise ModelError(
                    f"{output} with values of shape {np.shape(given)} cannot be swapped: the "
                    f"compiled densities take {shapes}."
                )
            self._data[known[output].where] = given

    @property
    def effect_places(self) -> EffectPlaces:
        """Columns of z of each sampled variable, shape (unit, effect), and each unit's subject."""
        return self._places

    def natural(self, theta: Floats) -> xr.Dataset:
        """Return population parameters on their natural scales.

        Parameters
        ----------
        theta : array, shape (draw, parameter)
            Vectors.

        Returns
        -------
        Dataset
            Dims (chain, draw, ...), one chain; correlation matrices among the variables.
        """
        wanted, function = self._natural
        found = [function(each, self.no_effects) for each in np.atleast_2d(theta)]
        return self._labelled(
            {name: np.stack([each[k] for each in found])[None, :, 0] for k, name in wanted.items()},
            ("chain", "draw"),
        )

    def individual(self, theta: Floats, z: Floats) -> xr.Dataset:
        """Return random effects on their own scales, individual parameters and predictions."""
        wanted, function = self._individual
        found = function(theta, z)
        return self._labelled({name: found[k][0] for k, name in wanted.items()})

    def at_effects(self, name: str, z: Floats) -> Tensor:
        """Return a variable of the graph, of theta alone, where z has known values."""
        given: Any = {self._z: pt.constant(z)}
        (found,) = clone_replace(self._of_values([self._model[name]]), given)
        return found

    def of_theta(self, vector: Tensor) -> Callable[[Floats], Floats]:
        """Compile a vector that depends on theta alone."""
        function = self._compiled([[vector]], SIMPLE)
        return lambda theta: function(theta, self.no_effects)[0][0]

    @property
    def no_effects(self) -> Floats:
        """Random effects of zero."""
        return np.zeros((self.n_subjects, self.n_effects))

    @cached_property
    def log_scale(self) -> Booleans:
        """Mark the observations that are normal on the log scale."""
        data, model = self.population.data, self.population.model
        found = np.array([model.observations[each].positive for each in data.outputs])
        return np.asarray(found[data.observations.output])

    @property
    def normal_values(self) -> Floats:
        """The observed values on the scale on which they are normal, shape (observation,)."""
        value = self.population.data.observations.value.copy()
        for each in self._swapped:
            value[self._rows(each.name)] = self._data[each.where]
        return np.where(self.log_scale, np.log(np.where(self.log_scale, value, 1.0)), value)

    @property
    def log_jacobian(self) -> Floats:
        """What a log density has beside that of the normal value: -log y on the log scale."""
        return np.where(self.log_scale, -self.normal_values, 0.0)

    def refuse_others_than_normal(self) -> None:
        """Refuse a model whose observations or effects are not normal.

        Raises
        ------
        ModelError
            Saying which.
        """
        data, model = self.population.data, self.population.model
        for number, output in enumerate(data.outputs):
            outcome = model.observations[output]
            normal = isinstance(outcome, ResidualError) and not isinstance(outcome, StudentError)
            what = "" if normal else f"{output} is not normal"
            if normal and data.observations.censored[positions(data, number)].any():
                what = f"{output} has censored values"
            if normal and outcome.blq in {"M2", "M4"}:
                what = f"{output} is truncated by blq={outcome.blq!r}"
            if what:
                raise ModelError(
                    f"FO and FOCE linearise normal observations, and {what}: use bn.Laplace(), "
                    "bn.Quadrature() or bn.SAEM()."
                )
        tails = [name for layer in model.layers for name in layer.tails]
        if tails:
            raise ModelError(
                f"FO and FOCE take normal random effects, and that of {tails[0]} has Student's t "
                "distribution: use bn.Laplace(), bn.Quadrature() or bn.SAEM()."
            )

    @cached_property
    def _density(self) -> Function:
        h = self._joint
        return self._compiled([[h], [pt.grad(h.sum(), self._z)]])

    @cached_property
    def _scores(self) -> Function:
        h = self._joint
        with compiling():
            by_theta = pushed(h, self._theta_directions())
            return self._compiled([[h], [pt.grad(h.sum(), self._z)], by_theta])

    @cached_property
    def _normals(self) -> Function:
        self.refuse_others_than_normal()
        with compiling():
            moments = self._moments
            slopes = [
                pushed(each, directions)
                for directions in (self._z_directions(), self._theta_directions())
                for each in moments
            ]
            return self._compiled([list(moments), *slopes])

    @cached_property
    def _log_prior(self) -> Function:
        return self._prior(jacobian=False)

    @cached_property
    def _log_prior_of_theta(self) -> Function:
        return self._prior(jacobian=True)

    def _prior(self, *, jacobian: bool) -> Function:
        with compiling():
            terms = self._model.logp(vars=self._free, jacobian=jacobian)
            slopes: Any = pt.grad(terms, self._values, disconnected_inputs="ignore")
            slope = pt.concatenate([each.ravel() for each in slopes])
            return self._compiled([[terms], [slope]])

    @cached_property
    def _natural(self) -> tuple[Mapping[int, str], Function]:
        free = [each.name for each in self._free]
        rest = [
            each.name for each in self._model.deterministics if not self._depends_on_effects(each)
        ]
        return self._of_graph([*free, *rest])

    @cached_property
    def _individual(self) -> tuple[Mapping[int, str], Function]:
        wanted = [layer.names.effects for layer in self.population.model.layers]
        return self._of_graph([*wanted, *self.population.model.parameters, names.PREDICTION])

    def _of_graph(self, wanted: Sequence[str]) -> tuple[Mapping[int, str], Function]:
        with compiling():
            given = self._of_values([self._model[each] for each in wanted])
            function = self._compiled([[pt.as_tensor(each)] for each in given], SIMPLE)
        return dict(enumerate(wanted)), function

    def _depends_on_effects(self, variable: Tensor) -> bool:
        effects = {self._model[name] for name in self._places}
        return not effects.isdisjoint(ancestors([variable]))

    def _labelled(self, found: Mapping[str, Floats], first: tuple[str, ...] = ()) -> xr.Dataset:
        graph = self.population.pymc
        variables = {}
        for name, values in found.items():
            own = graph.named_vars_to_dims.get(name) or ()
            missing = values.ndim - len(first) - len(own)
            own = (*own, *(f"{name}_dim_{k}" for k in range(missing)))
            variables[name] = ((*first, *own), values)
        used = {dim for dims, _ in variables.values() for dim in dims}
        coords = {k: list(v) for k, v in graph.coords.items() if k in used and v is not None}
        return xr.Dataset(variables, coords)

    @cached_property
    def _joint(self) -> Tensor:
        """The symbolic h, shape (subject,), of value variables and z."""
        with compiling():
            total = self._outcomes() + self._effects()
            return rewrite_graph(total, include=("canonicalize", "stabilize"))

    def _outcomes(self) -> Tensor:
        seen = self.population.data.observations
        if not self.interaction:
            self.refuse_others_than_normal()
            centre, variance = self._moments
            value: Any = pt.zeros(seen.subject.size)
            for output in self.population.data.outputs:
                value = value[self._rows(output)].set(self._model[names.observed(output)])
            logs = pt.log(pt.where(self.log_scale, value, 1.0))
            normal: Any = pt.where(self.log_scale, logs, value)
            squares = (normal - centre) ** 2 / variance + 2 * self.log_scale * normal
            density = -0.5 * (LOG_2PI + pt.log(variance) + squares)
            return pt.zeros(self.n_subjects)[seen.subject].inc(density)
        total = pt.zeros(self.n_subjects)
        outputs = self.population.data.outputs
        terms = self._model.logp(vars=[self._model[each] for each in outputs], sum=False)
        for number, each in enumerate(self._with_z(terms)):
            subject = seen.subject[positions(self.population.data, number)]
            total = total[subject].inc(each)
        return total

    def _effects(self) -> Tensor:
        """Log density of each subject's effects; of those it lacks, the standard normal one."""
        lacking = (self._z**2 + LOG_2PI) * np.where(self.present, 0.0, -0.5)
        total = lacking.sum(axis=1)
        terms = self._model.logp(vars=[self._model[name] for name in self._places], sum=False)
        for each, (_, subject) in zip(self._with_z(terms), self._places.values(), strict=True):
            of_unit = each.reshape((len(subject), -1)).sum(axis=1)
            total = total[subject].inc(of_unit)
        return total

    @cached_property
    def _moments(self) -> tuple[Tensor, Tensor]:
        """Centre and variance of the normal observations, of value variables and z."""
        data, model = self.population.data, self.population.model
        f = self._model[names.PREDICTION]
        centre: Any = pt.switch(self.log_scale, pt.log(f), f) if self.log_scale.any() else f
        variance: Any = pt.zeros(data.n_observations)
        for number, output in enumerate(data.outputs):
            outcome: Any = model.observations[output]
            magnitudes = {
                name: np.float64(prior.value)
                if isinstance(prior, Fixed)
                else self._model[names.magnitude(output, name)]
                for name, prior in outcome.priors().items()
            }
            at = positions(data, number)
            variance = variance[at].set(outcome.sd(f[at], magnitudes) ** 2)
        centre, variance = self._of_values([centre, variance])
        if not self.interaction:
            typical: Any = {self._z: pt.zeros_like(self._z)}
            variance = clone_replace([variance], typical)[0]
        return centre, variance

    def _of_values(self, variables: Sequence[Tensor]) -> list[Tensor]:
        return self._with_z(self._model.replace_rvs_by_values(variables))

    def _with_z(self, outputs: Sequence[Tensor]) -> list[Tensor]:
        """Put z in for the effects."""
        given = {}
        for name, (columns, subject) in self._places.items():
            value = self._model.rvs_to_values[self._model[name]]
            given[value] = self._z[subject[:, None], columns].reshape(value.type.shape)
        return list(clone_replace(list(outputs), given))

    def _theta_directions(self) -> list[tuple[Tensor, Tensor]]:
        """Return for each entry of theta its variable and the direction in which it alone grows."""
        return [
            (value, pt.constant(row.reshape(value.type.shape)))
            for value in self._values
            for row in np.eye(int(np.prod(value.type.shape)))
        ]

    def _z_directions(self) -> list[tuple[Tensor, Tensor]]:
        """Return the same for each effect, in which it grows for all subjects at once."""
        shape = (self.n_subjects, self.n_effects)
        columns = np.eye(self.n_effects)
        return [(self._z, pt.constant(np.broadcast_to(each, shape))) for each in columns]

    def _compiled(
        self, groups: Sequence[Sequence[Tensor]], rewrites: Sequence[str] = FAST
    ) -> Function:
        size = self.n_parameters
        x = pt.tensor("x", dtype="float64", shape=(size + self.n_subjects * self.n_effects,))
        given = {
            value: x[each.where].reshape(each.shape)
            for value, each in zip(self._values, self.parameters, strict=True)
        }
        given[self._z] = x[size:].reshape((self.n_subjects, self.n_effects))
        data = pt.tensor("data", dtype="float64", shape=self._data.shape)
        given |= {self._model[names.observed(e.name)]: data[e.where] for e in self._swapped}
        with compiling():
            flat = [each for group in groups for each in group]
            graph = flat_graph((x, data), flat, given, *rewrites)
            return Function(graph, [len(group) for group in groups], self._data)

    def _rows(self, output: str) -> Integers:
        """Say which observations are of an output."""
        data = self.population.data
        return positions(data, data.outputs.index(output))
