"""The random effects of all subjects."""

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayesnlme import names
from bayesnlme._types import Tensor
from bayesnlme.graph.correlation import correlation_factor, times_transpose
from bayesnlme.graph.variables import variable_of
from bayesnlme.model.model import Model
from bayesnlme.population.parameters import Parameter
from bayesnlme.population.priors import Fixed, Prior


def random_effects(model: Model) -> dict[str, Tensor]:
    """Return each parameter's random effect, shape (subject,)."""
    if not model.effects:
        return {}
    omega = _standard_deviations(model)
    standard = pm.Normal(names.ETA_STANDARD, 0, 1, dims=(names.SUBJECT, names.EFFECT))
    if model.correlated:
        factor = correlation_factor(model)
        pm.Deterministic(
            names.OMEGA_CORR, times_transpose(factor), dims=(names.EFFECT, names.EFFECT_BIS)
        )
        columns = [
            omega[k] * sum(entry * standard[:, j] for j, entry in row.items())
            for k, row in enumerate(factor)
        ]
        effects = pt.stack(columns, axis=1)
    else:
        effects = standard * omega
    eta = pm.Deterministic(names.ETA, effects, dims=(names.SUBJECT, names.EFFECT))
    return {name: eta[:, number] for number, name in enumerate(model.effects)}


def _standard_deviations(model: Model) -> Tensor:
    """Return omega, shape (effect,): one vector variable where all are half-normal."""
    priors = [_iiv_prior(model.parameters[name]) for name in model.effects]
    half_normal = [
        each.keywords["sigma"]
        for each in priors
        if isinstance(each, Prior) and each.distribution == "HalfNormal"
    ]
    if len(half_normal) == len(priors):
        scales = np.array(half_normal)
        start = scales * np.sqrt(2 / np.pi)
        return pm.HalfNormal(names.OMEGA, scales, dims=names.EFFECT, initval=start)
    each_sd = [
        variable_of(names.random_effect_sd(name), prior)
        for name, prior in zip(model.effects, priors, strict=True)
    ]
    return pm.Deterministic(names.OMEGA, pt.stack(each_sd), dims=names.EFFECT)


def _iiv_prior(parameter: Parameter) -> Prior | Fixed:
    prior = parameter.iiv_prior()
    if prior is None:
        raise AssertionError("a parameter among the effects has a random effect")
    return prior
