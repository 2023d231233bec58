"""The coordinates of the warm-up change nothing else; data can be swapped."""

import ctypes
from dataclasses import replace

import numpy as np
import pytest

import bayesnlme as bn
from bayesnlme.graph.chart import identity
from bayesnlme.graph.places import in_vector
from bayesnlme.inference.compiled import compile_model
from bayesnlme.inference.native import LogDensity
from bayesnlme.inference.starts import starting_points
from bayesnlme.inference.warmup import FEWEST, FEWEST_UNITS, learnt
from tests.conftest import frame
from tests.graph.test_occasions import COLUMNS, RECORDS, model_of

EXPAND = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_uint64] * 2, *[ctypes.c_void_p] * 3)


@pytest.fixture(scope="module")
def compiled(population):
    return compile_model(population, swapped=["conc"])


def random_chart(chart, seed=4):
    """Return coordinates made up of random numbers, apart from effects that are lacking."""
    rng = np.random.default_rng(seed)
    noise = {name: 0.2 * rng.normal(size=each.shape) for name, each in chart.numbers.items()}
    noise["spread"] *= chart.places.there.T[:, :, None] & chart.places.there
    return replace(chart, **{name: each + noise[name] for name, each in chart.numbers.items()})


@pytest.fixture(scope="module")
def with_occasions():
    """Compile a population whose subjects have two occasions and one."""
    data = bn.read_data(frame(RECORDS[:6] + RECORDS[6:8], COLUMNS))
    return compile_model(bn.build(model_of(), data))


def test_effects_of_occasions_stand_behind_those_of_their_subject(with_occasions):
    places = in_vector(with_occasions.population)
    assert places.kinds.tolist() == [0, 1, 2, 1, 2]
    assert (places.effects[1] < 0).tolist() == [False, False, False, True, True]
    listed = [*places.theta, *places.effects[places.there]]
    assert sorted(listed) == list(range(with_occasions.density.size))


@pytest.mark.parametrize("name", ["compiled", "with_occasions"])
def test_density_and_draws_are_those_of_the_variables(name, request):
    compiled = request.getfixturevalue(name)
    mapped = compiled.density.with_chart(random_chart(compiled.density.chart))
    x = starting_points(compiled)(1)
    value, gradient = compiled.density.function(x)
    u = mapped.chart.coordinates(x)
    np.testing.assert_allclose(mapped.chart.point(u), x, rtol=1e-10, atol=1e-10)
    found, slopes = mapped.function(u)
    assert found == pytest.approx(value, rel=1e-10)
    step = np.random.default_rng(1).normal(size=x.size)
    moved = mapped.chart.point(u + step) - x
    assert slopes @ step == pytest.approx(gradient @ moved, rel=1e-8)
    draw = np.empty((*mapped.free, *mapped.other)[-1].where.stop)
    addresses = (each.ctypes.data for each in (u, draw, mapped.data))
    assert EXPAND(mapped.expand.address)(u.size, draw.size, *addresses) == 0
    np.testing.assert_allclose(draw[: x.size], x, rtol=1e-10, atol=1e-10)


def test_swapped_observations_equal_a_model_built_anew(compiled, model, data):
    table = data.to_frame()
    table["DV"] = table["DV"].where(table["EVID"] != 0, table["DV"] * 1.1 + 0.2)
    other = bn.read_data(table)
    swapped = compiled.with_observed({"conc": other.observations.value})
    x = starting_points(compiled)(2)
    anew = compile_model(bn.build(model, other)).density.function(x)
    value, gradient = swapped.density.function(x)
    assert value == pytest.approx(anew[0], rel=1e-13)
    np.testing.assert_allclose(gradient, anew[1], rtol=1e-10, atol=1e-10)
    assert value != compiled.density.function(x)[0]


def test_what_cannot_be_swapped_is_refused(compiled):
    for values in ({"conc": np.zeros(3)}, {"other": np.zeros(132)}):
        with pytest.raises(bn.ModelError, match="cannot be swapped"):
            compiled.with_observed(values)
    with pytest.raises(ValueError, match="numbers of data"):
        LogDensity(compiled.density.evaluate)


def test_one_map_after_another(compiled):
    """That of the coordinates of a chart, and the chart."""
    rng, chart = np.random.default_rng(3), random_chart(compiled.density.chart)
    n = len(chart.root)
    inner = replace(
        identity(compiled.population),
        root=np.tril(rng.normal(size=(n, n)), -1) + np.diag(rng.uniform(0.5, 2, n)),
        way=rng.normal(size=chart.way.shape),
    )
    u = rng.normal(size=compiled.density.size)
    both = chart.refined(inner.root, inner.way)
    np.testing.assert_allclose(both.point(u), chart.point(inner.point(u)), rtol=1e-9, atol=1e-9)


def test_a_linear_dependence_is_learnt_and_noise_is_not(compiled):
    """Draws in which the first effect of all subjects follows the first typical value."""
    chart, rng = compiled.density.chart, np.random.default_rng(6)
    draws = rng.normal(size=(4, 300, compiled.density.size))
    draws[:, :, chart.places.effects[:, 0]] -= 2 * draws[:, :, chart.places.theta[:1]]
    found = learnt(chart, draws)
    np.testing.assert_allclose(found.way[0, :, 0], -2.0, atol=0.2)
    assert np.abs(found.way[:, :, 1:]).max() < 0.1
    assert np.abs(found.way[1:]).max() < 0.1
    np.testing.assert_allclose(found.root, np.eye(len(found.root)), atol=0.15)


def test_little_teaches_nothing(compiled, model, data):
    chart, size = compiled.density.chart, compiled.density.size
    few, rng = FEWEST * chart.places.theta.size, np.random.default_rng(1)
    assert learnt(chart, rng.normal(size=(1, few - 1, size))) is chart
    assert learnt(chart, rng.normal(size=(1, few, size))) is not chart
    assert learnt(chart, np.ones((2, few, size))) is chart
    chart = identity(bn.build(model, data.subset(subjects=list(range(1, FEWEST_UNITS)))))
    assert learnt(chart, rng.normal(size=(2, few, size))) is chart


def test_known_population_parameters_have_nothing_to_learn(data):
    known = {
        name: bn.LogNormal(bn.fixed(value), iiv=bn.fixed(0.3))
        for name, value in {"ka": 1.5, "CL": 2.8, "V": 32.0}.items()
    }
    model = bn.Model(
        name="known",
        parameters=known,
        structure=bn.pk.one_compartment(absorption="first_order"),
        observations={"conc": bn.additive(bn.fixed(1.0))},
    )
    chart = identity(bn.build(model, data))
    assert learnt(chart, np.random.default_rng(1).normal(size=(4, 60, 36))) is chart
