"""Every weight of centring gives the same posterior: densities agree up to the Jacobian."""

import numpy as np
import pytest

import bayesnlme as bn
from bayesnlme.inference.density import compile_density
from tests.conftest import frame

ROWS = [(i, t, 0, 0, 1, 5.0 + i + t, 40 + 10 * i) for i in (1, 2, 3) for t in (0.0, 1.0, 2.0)]
EFFECTS = ("a", "b", "c", "d")


@pytest.fixture(scope="module")
def data():
    return bn.read_data(frame(ROWS, "ID TIME EVID AMT CMT DV WT"))


def model():
    weight = bn.covariates.power("WT", reference=70)
    return bn.Model(
        name="four effects",
        parameters={
            "a": bn.LogNormal(3.0, iiv=0.4, covariates=[weight]),
            "b": bn.Normal(1.0, iiv=bn.fixed(0.5)),
            "c": bn.LogitNormal(2.0, iiv=0.6, lower=1.0, upper=4.0),
            "d": bn.LogNormal(0.5, iiv=0.3),
        },
        structure=bn.curve(lambda t, p: p.a + p.b * t + p.c * bn.math.exp(-p.d * t)),
        observations={"value": bn.additive(1.0)},
        correlated=[("d", "a", "c")],
    )


@pytest.fixture(scope="module")
def plain(data):
    return bn.build(model(), data).pymc


def values_of(graph, point):
    """Evaluate what a point determines, by name."""
    wanted = [each.name for each in graph.deterministics]
    outputs = graph.replace_rvs_by_values([graph[name] for name in wanted])
    function = graph.compile_fn(
        outputs, inputs=graph.value_vars, mode="FAST_COMPILE", on_unused_input="ignore"
    )
    return dict(zip(wanted, function(point), strict=True))


def sampled_by_hand(point, found, weights):
    """Return what is sampled at the same effects, and the log of dx/dz, in NumPy."""
    omega, z = found["omega"], point["eta_standard"]
    factor = np.linalg.cholesky(found["omega_corr"][np.ix_([3, 0, 2], [3, 0, 2])])
    rows = {3: (0, [3, 0, 2]), 0: (1, [3, 0, 2]), 2: (2, [3, 0, 2])}
    log_a = np.log(found_scalar(point, "a_pop_log__"))
    location = {
        0: log_a + point["a_WT"] * np.log(np.array([50.0, 60.0, 70.0]) / 70),
        1: point["b_pop"],
        2: point["c_pop_logit"],
        3: point["d_pop_log__"],
    }
    x, jacobian = {}, 0.0
    for k, name in enumerate(EFFECTS):
        mean, spread = 0.0, omega[k]
        if k in rows:
            row, order = rows[k]
            mean = omega[k] * sum(factor[row, j] * z[:, order[j]] for j in range(row))
            spread = omega[k] * factor[row, row]
        w = weights[:, k]
        x[f"eta_sampled_{name}"] = w * (location[k] + mean) + spread**w * z[:, k]
        jacobian += (w * np.log(spread)).sum()
    return x, jacobian


def found_scalar(point, name):
    return np.exp(point[name])


WEIGHTS = {
    "noncentered": np.zeros((3, 4)),
    "centered": np.ones((3, 4)),
    "partial": np.random.default_rng(1).uniform(size=(3, 4)),
}


@pytest.mark.parametrize("weights", WEIGHTS.values(), ids=WEIGHTS)
def test_densities_agree_up_to_the_jacobian(data, plain, weights):
    other = bn.build(model(), data, centring=weights).pymc
    reference, density = ((compile_density(each), each) for each in (plain, other))
    rng = np.random.default_rng(7)
    for _ in range(3):
        point = {
            name: value + rng.normal(0, 0.3, np.shape(value))
            for name, value in plain.initial_point().items()
        }
        x, jacobian = sampled_by_hand(point, values_of(plain, point), weights)
        moved = {name: value for name, value in point.items() if name != "eta_standard"} | x
        expected, _ = at(*reference, point)
        found, gradient = at(*density, moved)
        assert found + jacobian == pytest.approx(expected, rel=1e-10)
        assert np.isfinite(gradient).all()
        effects = [values_of(each, where) for each, where in ((plain, point), (other, moved))]
        np.testing.assert_allclose(effects[1]["eta"], effects[0]["eta"], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(effects[1]["eta_standard"], point["eta_standard"], rtol=1e-9)
        for name in EFFECTS:
            np.testing.assert_allclose(effects[1][name], effects[0][name], rtol=1e-9)


def at(density, graph, point):
    del graph
    x = np.concatenate([np.ravel(point[each.name]) for each in density.free])
    return density.function(x)


def test_weights_are_one_for_each_subject_and_effect(data):
    for wrong in (np.zeros((4, 3)), np.full((3, 4), 1.1), np.full((3, 4), np.nan)):
        with pytest.raises(bn.ModelError, match="centring must hold weights in"):
            bn.build(model(), data, centring=wrong)
