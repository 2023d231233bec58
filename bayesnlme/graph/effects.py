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
import xarray as xr

from bayesnlme import names
from bayesnlme._types import Floats, Tensor
from bayesnlme.graph.correlation import Factor, correlation_factor, times_transpose
from bayesnlme.graph.variables import variable_of
from bayesnlme.model.layers import Layer
from bayesnlme.model.model import Model
from bayesnlme.population.priors import Fixed, Prior


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
    dims = (called.unit, called.effect)
    if centring is None and not layer.tails:
        standard = pm.Normal(called.standard, 0, 1, dims=dims)
    else:
        columns = _standard_columns(layer, sd, factor, centring)
        standard = pm.Deterministic(called.standard, pt.stack(columns, axis=1), dims=dims)
    effects = _scaled(standard, sd, factor if layer.blocks else None)
    effects = pm.Deterministic(called.effects, effects, dims=dims)
    return {name: effects[:, number] for number, name in enumerate(layer.effects)}


def effect_variables(model: Model) -> frozenset[str]:
    """Name all free variables that random effects may be made of."""
    called = [each.names for each in model.layers]
    sampled = [each.names.sampled(name) for each in model.layers for name in each.effects]
    return frozenset([each.standard for each in called] + sampled)


def prediction_inputs(model: Model, graph: pm.Model) -> list[str]:
    """Name what the prediction is computed from: free variables, and effects at SD 1."""
    sampled = effect_variables(model)
    free = [each.name for each in graph.free_RVs if each.name not in sampled]
    return free + [layer.names.standard for layer in model.layers]


def new_effects(model: Model, draws: xr.Dataset, rng: np.random.Generator) -> xr.Dataset:
    """Draw the effects at SD 1 of new subjects, as many as `draws` has, and put them there."""
    redrawn = {}
    for layer in model.layers:
        known = draws[layer.names.standard]
        values = rng.standard_normal(known.shape)
        for name, prior in layer.tails.items():
            place = {layer.names.effect: layer.effects.index(name)}
            df = prior.value if isinstance(prior, Fixed) else draws[names.shape(name, "df")]
            column = known.isel(place)
            like = xr.zeros_like(column) + df
            values[..., place[layer.names.effect]] = rng.standard_t(like.values)
        redrawn[layer.names.standard] = known.copy(data=values)
    return draws.assign(redrawn)


def _scaled(standard: Tensor, sd: Tensor, factor: Factor | None) -> Tensor:
    if factor is None:
        return standard * sd
    columns = [
        sd[k] * sum(entry * standard[:, j] for j, entry in row.items())
        for k, row in enumerate(factor)
    ]
    return pt.stack(columns, axis=1)


def _standard_columns(
    layer: Layer, sd: Tensor, factor: Factor, centring: Centring | None
) -> list[Tensor]:
    """Sample the effects one by one, a block's in the order of its factor; return z of each."""
    order = [*layer.alone, *(name for block in layer.blocks for name in block)]
    standard: dict[int, Tensor] = {}
    for name in order:
        k = layer.effects.index(name)
        if centring is None:
            standard[k] = _sampled(layer, name, 0.0, 1.0)
            continue
        row, weight = factor[k], pt.constant(centring.weights[:, k])
        mean = sd[k] * sum((row[j] * standard[j] for j in row if j != k), start=pt.zeros(()))
        spread = pt.exp(weight * pt.log(sd[k] * row[k]))
        centre = weight * (centring.locations[name] + mean)
        standard[k] = (_sampled(layer, name, centre, spread) - centre) / spread
    return [standard[k] for k in range(len(order))]


def _sampled(layer: Layer, name: str, centre: Tensor | float, spread: Tensor | float) -> Tensor:
    variable, dims = layer.names.sampled(name), layer.names.unit
    tails = layer.tails.get(name)
    if tails is None:
        return pm.Normal(variable, centre, spread, dims=dims)
    df = variable_of(names.shape(name, "df"), tails)
    return pm.StudentT(variable, nu=df, mu=centre, sigma=spread, dims=dims)


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
