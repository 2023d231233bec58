r"""Densities subject by subject, from the same graph as the joint model.

For subject i: :math:`\log p(y_i \mid \eta_i, \theta)` and :math:`\log p(\eta_i \mid \Omega)`, their
gradients in :math:`\eta_i`, and Hessian blocks, for all subjects at once. Since no observation
depends on another subject's random effects, the gradient of a sum over subjects is the gradient of
each, and one row of every Hessian block comes from one more pass.

No estimator uses these yet. Linearisation, Laplace, quadrature, SAEM, importance sampling and
marginal cross-validation will be built on them, so that none has a likelihood of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
from pytensor.graph.replace import clone_replace

from bayesnlme import names
from bayesnlme._types import Floats, Tensor
from bayesnlme.errors import ModelError
from bayesnlme.graph.build import Population
from bayesnlme.graph.effects import effect_variables
from bayesnlme.population.priors import Fixed

type Values = Mapping[str, Floats | float]
"""Population parameters on their natural scale, by the names of the PyMC model."""

_STEP = np.finfo(float).eps ** (1 / 3)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SubjectDensities:
    """Compiled densities of every subject given its random effects.

    Attributes
    ----------
    parameters : tuple of str
        Names of the population parameters they take, on the natural scale; where parameters vary
        between occasions, also ``kappa``, shape (subject_occasion, occasion_effect), for the
        densities are conditional on the occasion effects.
    """

    parameters: tuple[str, ...]
    _values: Any
    _gradients: Any

    def log_densities(self, values: Values, eta: Floats) -> tuple[Floats, Floats]:
        """Return log p(y_i | eta_i) and log p(eta_i), each of shape (subject,).

        Parameters
        ----------
        values : mapping
            Population parameters.
        eta : array, shape (subject, effect)
            Random effects.
        """
        observations, effects = self._values(*self._ordered(values), eta)
        return observations, effects

    def gradients(self, values: Values, eta: Floats) -> tuple[Floats, Floats]:
        """Return the gradients of both in eta_i, each of shape (subject, effect)."""
        observations, effects = self._gradients(*self._ordered(values), eta)
        return observations, effects

    def hessians(self, values: Values, eta: Floats) -> Floats:
        """Return the Hessian blocks of log p(y_i, eta_i) in eta_i.

        By central differences of the analytic gradient, one pair of passes for each effect.
        Largest error on the theophylline model, relative to the largest entry of a block and to
        each entry: 5e-11 and 3e-9 by superposition; 9e-10 and 1e-7 in closed form from event to
        event, whose gradient is exact to 1e-13; 8e-7 and 1e-5 by steps with the default
        tolerances, because a difference magnifies the error of the solver.

        Returns
        -------
        array, shape (subject, effect, effect)
        """
        n_subjects, n_effects = eta.shape
        blocks = np.empty((n_subjects, n_effects, n_effects))
        for k in range(n_effects):
            step = np.zeros_like(eta)
            step[:, k] = _STEP * np.maximum(1.0, np.abs(eta[:, k]))
            above, below = (sum(self.gradients(values, eta + s * step)) for s in (1, -1))
            blocks[:, :, k] = (above - below) / (2 * step[:, k : k + 1])
        return (blocks + blocks.transpose(0, 2, 1)) / 2

    def _ordered(self, values: Values) -> list[Floats]:
        missing = [name for name in self.parameters if name not in values]
        if missing:
            raise ModelError(f"{', '.join(missing)} missing. Needed: {', '.join(self.parameters)}.")
        return [np.asarray(values[name], dtype=float) for name in self.parameters]


def subject_densities(population: Population) -> SubjectDensities:
    """Compile the densities of every subject given its random effects.

    Raises
    ------
    ModelError
        If the model has no random effects.
    """
    if not population.model.effects:
        raise ModelError("the model has no random effects: there is nothing to condition on.")
    graph, sampled = population.pymc, effect_variables(population.model)
    free = [each for each in graph.free_RVs if each.name not in sampled]
    if population.model.occasion_effects:
        free.append(graph[names.OCCASIONS.effects])
    inputs = [each.type(f"{each.name}_value") for each in free]
    eta = pt.matrix(names.ETA, shape=(len(population.data.subjects), len(population.model.effects)))
    outputs: Any = [_observed_density(population), _effect_density(population)]
    replaced = dict(zip(free, inputs, strict=True)) | {graph[names.ETA]: eta}
    outputs = clone_replace(outputs, replaced)
    gradients: Any = [pt.grad(each.sum(), eta) for each in outputs]
    return SubjectDensities(
        parameters=tuple(each.name for each in free),
        _values=pytensor.function([*inputs, eta], outputs, on_unused_input="ignore"),
        _gradients=pytensor.function([*inputs, eta], gradients, on_unused_input="ignore"),
    )


def _observed_density(population: Population) -> Tensor:
    """Sum each subject's observation densities, shape (subject,)."""
    graph, data = population.pymc, population.data
    total = pt.zeros(data.n_subjects)
    for number, output in enumerate(data.outputs):
        subject = data.observations.subject[data.observations.output == number]
        density = pm.logp(graph[output], graph.rvs_to_values[graph[output]])
        total = pt.inc_subtensor(total[subject], density)
    return total


def _effect_density(population: Population) -> Tensor:
    """Log density of each subject's random effects given Omega, shape (subject,)."""
    graph = population.pymc
    layer = population.model.layers[0]
    eta, omega = graph[names.ETA], graph[names.OMEGA]
    factor = omega[:, None] * pt.eye(len(layer.effects))
    if layer.blocks:
        factor = omega[:, None] * pt.linalg.cholesky(graph[names.OMEGA_CORR])
    standard = pt.linalg.solve_triangular(factor, eta.T, lower=True)
    density = -pt.log(pt.diag(factor)).sum()
    for number, name in enumerate(layer.effects):
        tails = layer.tails.get(name)
        if tails is None:
            density += pm.logp(pm.Normal.dist(), standard[number])
        else:
            df = (
                np.float64(tails.value)
                if isinstance(tails, Fixed)
                else graph[names.shape(name, "df")]
            )
            density += pm.logp(pm.StudentT.dist(df), standard[number])
    return density
