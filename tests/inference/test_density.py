"""Compiled densities against PyMC's own evaluation, in Python."""

import ctypes

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest

import bayesnlme as bn
from bayesnlme.inference.density import compile_density

EXPAND = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_uint64] * 2, *[ctypes.c_void_p] * 3)


def regression():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(25, 3)), rng.normal(size=25)
    with pm.Model() as model:
        slope = pm.Normal("slope", 0, 1, shape=3)
        sd = pm.HalfNormal("sd", 1)
        mu = pm.Deterministic("mu", pt.dot(x, slope))
        pm.Normal("y", mu, sd, observed=y)
    return model


def counts():
    with pm.Model() as model:
        rate = pm.Gamma("rate", 2, 1, shape=5)
        share = pm.Beta("share", 2.0, 3.0)
        pm.Deterministic("larger", rate.max() + share)
        pm.Poisson("k", rate[np.arange(30) % 5] * share, observed=np.arange(30) % 7)
    return model


def bounded():
    with pm.Model() as model:
        low = pm.Uniform("low", -2.0, 3.0)
        scale = pm.InverseGamma("scale", 3.0, 2.0)
        below = pm.Weibull("below", 2.0, 3.0)
        pm.StudentT("y", nu=4, mu=low, sigma=scale + below, observed=np.linspace(-1, 3, 9))
    return model


@pytest.fixture(scope="module")
def theophylline(population):
    return population.pymc


@pytest.mark.parametrize("make", [regression, counts, bounded, None])
def test_values_gradients_and_draws(make, theophylline):
    model = theophylline if make is None else make()
    density = compile_density(model)
    reference = _reference(model)
    for point in _points(model, 3):
        vector = _vector(density, point)
        value, slopes, draw = reference(point)
        found, gradient = density.function(vector)
        np.testing.assert_allclose(found, value, rtol=1e-13)
        for each in density.free:
            np.testing.assert_allclose(
                gradient[each.where].reshape(each.shape), slopes[each.name], rtol=1e-11, atol=1e-11
            )
        expanded = _expanded(density, vector)
        assert {each.name for each in (*density.free, *density.other)} == set(draw)
        for each in (*density.free, *density.other):
            np.testing.assert_allclose(
                expanded[each.where].reshape(each.shape), draw[each.name], rtol=1e-12, atol=1e-300
            )


def test_nothing_is_compiled_by_numba(theophylline, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("numba was asked")

    monkeypatch.setattr("bayesnlme.assembly.foreign.numba_funcify_and_cache_key", refuse)
    compile_density(theophylline)


def test_out_of_bounds_there_is_no_density():
    with pm.Model() as model:
        sd = pm.Normal("sd", 1, 1)
        pm.Normal("y", 0, sd, observed=[1.0, 2.0])
    density = compile_density(model).function
    assert np.isfinite(density(np.array([0.5]))[0])
    assert density(np.array([-0.5]))[0] == -np.inf


def test_the_time_to_compile_does_not_grow_with_the_data(data):
    table = data.to_frame()
    many = np.concatenate([table["ID"].to_numpy(dtype=int) + 100 * k for k in range(30)])
    wide = table.loc[np.tile(table.index, 30)].assign(ID=many)
    model = bn.model.examples.theophylline_model()
    texts = [
        len(compile_density(bn.build(model, bn.read_data(each)).pymc).evaluate.text)
        for each in (table, wide)
    ]
    assert texts[1] < 1.05 * texts[0]


def _reference(model):
    names = [model.rvs_to_values[each].name for each in model.free_RVs]
    values = [model.rvs_to_values[each] for each in model.free_RVs]
    logp = model.logp()
    rest = model.unobserved_value_vars
    function = pytensor.function(
        values, [logp, *pt.grad(logp, values), *rest], mode="FAST_COMPILE", on_unused_input="ignore"
    )

    def evaluate(point):
        value, *others = function(*(point[name] for name in names))
        slopes = dict(zip(names, others, strict=False))
        draw = {each.name: x for each, x in zip(rest, others[len(names) :], strict=True)}
        return value, slopes, draw

    return evaluate


def _points(model, count):
    rng, start = np.random.default_rng(2), model.initial_point()
    return [
        {name: np.asarray(x + rng.normal(0, 0.4, size=np.shape(x))) for name, x in start.items()}
        for _ in range(count)
    ]


def _vector(density, point):
    return np.concatenate([np.ravel(point[each.name]) for each in density.free])


def _expanded(density, vector):
    result = np.empty((*density.free, *density.other)[-1].where.stop)
    addresses = (each.ctypes.data for each in (vector, result, density.data))
    assert EXPAND(density.expand.address)(vector.size, result.size, *addresses) == 0
    return result
