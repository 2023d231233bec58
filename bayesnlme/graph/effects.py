r"""The random effects of a layer: of all subjects, or of all their occasions.

What is sampled is a matter of geometry, not of the model. Through the Cholesky factor L of the
correlation matrix, effect k given those before it is normal with mean :math:`m_k = \omega_k
\sum_{j<k} L_{kj} z_j` and SD :math:`s_k = \omega_k L_{kk}`; :math:`\mu` is the typical value with
its covariates on the scale on which the effect is added. Sampled is

.. math:: x_k \sim N(w (\mu + m_k),\; s_k^w), \qquad z_k = (x_k - w (\mu + m_k)) / s_k^w, \qquad
          \eta_k = m_k + s_k z_k,

with a weight w in [0, 1] for each subject and effect [Gorinova2020]_: w = 0 is the non-centred
form, where :math:`x = z`, w = 1 the centred one, where :math:`x = \mu + \eta`. The effects have the
same distribution for every w.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayesnlme._types import Floats, Tensor
from bayesnlme.graph.correlation import Factor, correlation_factor, times_transpose
from bayesnlme.graph.variables import variable_of
from bayesnlme.model.layers import Layer
from bayesnlme.model.model import Model
from bayesnlme.population.priors import Prior


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Centring:
    """How far the sampled variables are centred.

    Attributes
    ----------
    weights : array, shape (unit, effect)
        w, from 0 (non-centred) to 1 (centred).
    locations : mapping of str to Tensor
        Typical value of each parameter with its covariates, shape () or (unit,), on the scale on
        which its effect is added.
    """

    weights: Floats
    locations: Mapping[str, Tensor]


def random_effects(layer: Layer, lkj: float, centring: Centring | None = None) -> dict[str, Tensor]:
    """Return each parameter's random effect, one for each subject or subject's occasion.

    Parameters
    ----------
    layer : Layer
        The random effects.
    lkj : float
        Shape of the prior of their correlations.
    centring : Centring, optional
        Non-centred unless given.
    """
    called = layer.names
    sd = _standard_deviations(layer)
    factor = correlation_factor(layer, lkj)
    if layer.blocks:
        dims = (called.effect, called.effect_bis)
        pm.Deterministic(called.corr, times_transpose(factor), dims=dims)
    if centring is None:
        standard = pm.Normal(called.standard, 0, 1, dims=(called.unit, called.effect))
        effects = _scaled(standard, sd, factor if layer.blocks else None)
    else:
        effects = _partially_centred(layer, sd, factor, centring)
    effects = pm.Deterministic(called.effects, effects, dims=(called.unit, called.effect))
    return {name: effects[:, number] for number, name in enumerate(layer.effects)}


def effect_variables(model: Model) -> frozenset[str]:
    """Name all free variables that random effects may be made of."""
    called = [each.names for each in model.layers]
    sampled = [each.names.sampled(name) for each in model.layers for name in each.effects]
    return frozenset([each.standard for each in called] + sampled)


def _scaled(standard: Tensor, sd: Tensor, factor: Factor | None) -> Tensor:
    if factor is None:
        return standard * sd
    columns = [
        sd[k] * sum(entry * standard[:, j] for j, entry in row.items())
        for k, row in enumerate(factor)
    ]
    return pt.stack(columns, axis=1)


def _partially_centred(layer: Layer, sd: Tensor, factor: Factor, centring: Centring) -> Tensor:
    """Sample the effects one by one; a block's in the order of its factor."""
    called = layer.names
    order = [*layer.alone, *(name for block in layer.blocks for name in block)]
    standard: dict[int, Tensor] = {}
    effects: dict[int, Tensor] = {}
    for name in order:
        k = layer.effects.index(name)
        row, weight = factor[k], pt.constant(centring.weights[:, k])
        mean = sd[k] * sum((row[j] * standard[j] for j in row if j != k), start=pt.zeros(()))
        log_spread = pt.log(sd[k] * row[k])
        spread = pt.exp(weight * log_spread)
        centre = weight * (centring.locations[name] + mean)
        x = pm.Normal(called.sampled(name), centre, spread, dims=called.unit)
        standard[k] = (x - centre) / spread
        effects[k] = mean + pt.exp(log_spread) * standard[k]
    dims = (called.unit, called.effect)
    columns = [standard[k] for k in range(len(order))]
    pm.Deterministic(called.standard, pt.stack(columns, axis=1), dims=dims)
    return pt.stack([effects[k] for k in range(len(order))], axis=1)


def _standard_deviations(layer: Layer) -> Tensor:
    """Return the SDs, shape (effect,): one vector variable where all are half-normal."""
    called, priors = layer.names, layer.priors
    half_normal = [
        each.keywords["sigma"]
        for each in priors.values()
        if isinstance(each, Prior) and each.distribution == "HalfNormal"
    ]
    if len(half_normal) == len(priors):
        scales = np.array(half_normal)
        start = scales * np.sqrt(2 / np.pi)
        return pm.HalfNormal(called.sd, scales, dims=called.effect, initval=start)
    each_sd = [variable_of(called.sd_of(name), prior) for name, prior in priors.items()]
    return pm.Deterministic(called.sd, pt.stack(each_sd), dims=called.effect)
