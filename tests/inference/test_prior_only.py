"""Without a likelihood the sampler returns every prior: transforms, Jacobians, random effects.

Each quantile of a stated prior is compared with the share of draws below it; its Monte-Carlo error
follows from the effective sample size of that indicator.
"""

import math
from dataclasses import replace

import arviz as az
import numpy as np
import pytensor.tensor as pt
import pytest
import xarray as xr
from scipy import stats

import bayesnlme as bn
from bayesnlme.graph import outcomes
from bayesnlme.inference.nuts import sample
from bayesnlme.names import SUBJECTS
from bayesnlme.population.priors import LKJ, Fixed
from tests import features
from tests.graph.test_prior_rows import SCIPY, variable_and_entry

PROBABILITIES = (0.05, 0.25, 0.5, 0.75, 0.95)
LARGEST = 4.5
"""Monte-Carlo errors; of 500 independent normal numbers one is larger with probability 0.003."""


def prior_only(model, method, monkeypatch):
    """Sample a model whose observations have all the same density."""
    flat = lambda *_: lambda value, *_: pt.zeros_like(value)  # noqa: E731
    monkeypatch.setattr(outcomes, "_log_density", flat)
    population = bn.build(model, features.table())
    return population, sample(population, method, seed=5, progress=False)


def shares_below(uniform):
    """Compare values that should be uniform, dims (chain, draw, ...), with the quantiles."""
    for probability in PROBABILITIES:
        below = (uniform <= probability).astype(float)
        per_draw = below.mean([dim for dim in below.dims if dim not in ("chain", "draw")])
        spread = float(per_draw.std())
        ess = float(az.ess(xr.Dataset({"x": per_draw}))["x"])
        yield probability, (float(per_draw.mean()) - probability) / (spread / math.sqrt(ess))


def uniforms(population, posterior):
    """Yield each prior's probability integral transform, by its text."""
    model, graph = population.model, population.pymc
    for row in model.priors:
        if isinstance(row.prior, Fixed):
            continue
        name, entry = variable_and_entry(model, graph, row)
        draws = posterior[name]
        draws = draws if entry is None else draws.isel({draws.dims[-1]: entry})
        if isinstance(row.prior, LKJ):
            yield from correlations(model, posterior, row)
            continue
        prior = SCIPY[row.prior.distribution](**row.prior.keywords)
        yield row.text, draws.copy(data=prior.cdf(draws))


def correlations(model, posterior, row):
    """Yield each correlation: under LKJ(s) of n effects (r + 1)/2 ~ Beta(a, a), a = s - 1 + n/2."""
    layer, block = next(
        (layer, block)
        for layer in model.layers
        for block in layer.blocks
        if layer.names.correlation(block) == row.name
    )
    a = row.prior.shape - 1 + len(block) / 2
    called = layer.names
    for number, second in enumerate(block):
        for first in block[:number]:
            r = posterior[called.corr].sel({called.effect: first, called.effect_bis: second})
            yield f"{row.name} {first} {second}", r.copy(data=stats.beta(a, a).cdf((r + 1) / 2))


def effect_uniforms(model, posterior):
    """Yield what is uniform where the random effects are N(0, Omega), effect by effect."""
    for layer in model.layers:
        called = layer.names
        sd, effects = posterior[called.sd], posterior[called.effects]
        scaled = (effects / sd).transpose("chain", "draw", called.unit, called.effect).values
        if layer.blocks:
            factor = np.linalg.cholesky(posterior[called.corr].values)
            scaled = np.linalg.solve(factor[:, :, None], scaled[..., None])[..., 0]
        for number, name in enumerate(layer.effects):
            z = xr.DataArray(scaled[..., number], dims=("chain", "draw", called.unit))
            if name not in layer.tails:
                yield f"{called.effects} of {name}", z.copy(data=stats.norm.cdf(z))
                continue
            df = posterior[f"{name}_df"].values[..., None]
            yield f"{called.effects} of {name}", z.copy(data=stats.t.cdf(z, df))


def assert_priors(population, posterior):
    compared = [*uniforms(population, posterior), *effect_uniforms(population.model, posterior)]
    far = {
        f"{text} at {probability}": round(z, 1)
        for text, uniform in compared
        for probability, z in shares_below(uniform)
        if not abs(z) < LARGEST
    }
    assert not far
    assert len(compared) >= len(population.model.priors) // 2


def informed(model):
    """Return the model with random effects whose SDs cannot come near zero.

    Without data the centred form is a funnel at small SDs, which no step size can sample.
    """
    sd = bn.sd(0.4, rse=0.2)
    changed = {name: replace(each, iiv=sd) for name, each in model.parameters.items()}
    return model.replace(parameters=changed)


def test_sampling_without_data_returns_the_priors(monkeypatch):
    method = bn.NUTS(draws=800, tune=500, chains=2)
    population, draws = prior_only(features.stated(), method, monkeypatch)
    assert_priors(population, draws.posterior)


@pytest.mark.slow
@pytest.mark.parametrize("name", features.MODELS)
def test_every_feature_returns_its_prior(name, monkeypatch):
    method = bn.NUTS(draws=4000, tune=1000, chains=4)
    population, draws = prior_only(features.MODELS[name](), method, monkeypatch)
    assert_priors(population, draws.posterior)


@pytest.mark.slow
@pytest.mark.parametrize("name", features.MODELS)
def test_centred_effects_return_the_same_priors(name, monkeypatch):
    method = bn.NUTS(draws=4000, tune=1000, chains=4, parametrization="centered")
    model = informed(features.MODELS[name]())
    population, draws = prior_only(model, method, monkeypatch)
    assert SUBJECTS.sampled("CL") in draws.posterior
    assert_priors(population, draws.posterior)
