"""Densities of single subjects against the joint density and against differences."""

import numpy as np
import pytest
from scipy import stats

import bayesnlme as bn
from bayesnlme.graph.subjects import subject_densities
from tests.conftest import theophylline_equations, theophylline_model

VALUES = {
    "omega": np.array([0.6, 0.3, 0.2]),
    "corr_CL_V_partial": np.array([0.7]),
    "ka_pop": 1.5,
    "CL_pop": 2.8,
    "V_pop": 32.0,
    "conc_additive": 0.3,
    "conc_proportional": 0.1,
}


@pytest.fixture(scope="module")
def densities(population):
    return subject_densities(population)


@pytest.fixture(scope="module")
def eta():
    return np.random.default_rng(3).normal(0, 0.2, size=(12, 3))


def test_random_effects_follow_omega(densities, eta):
    corr = np.array([[1, 0, 0], [0, 1, 0.4], [0, 0.4, 1]])
    cov = np.outer(VALUES["omega"], VALUES["omega"]) * corr
    expected = stats.multivariate_normal(np.zeros(3), cov).logpdf(eta)
    np.testing.assert_allclose(densities.log_densities(VALUES, eta)[1], expected, rtol=1e-12)


def test_subjects_add_up_to_the_joint_density(densities, population, eta):
    graph = population.pymc
    factor = np.array([[1, 0, 0], [0, 1, 0], [0, 0.4, np.sqrt(1 - 0.16)]])
    start = graph.initial_point()
    start["eta_standard"] = np.linalg.solve(factor, (eta / VALUES["omega"]).T).T
    for name in ("omega", "ka_pop", "CL_pop", "V_pop", "conc_additive", "conc_proportional"):
        start[f"{name}_log__"] = np.log(VALUES[name])
    start["corr_CL_V_partial_logodds__"] = np.log([0.7 / 0.3])
    joint = graph.compile_logp(vars=[graph["conc"]], mode="FAST_COMPILE")(start)
    assert densities.log_densities(VALUES, eta)[0].sum() == pytest.approx(joint, rel=1e-12)


def test_one_subject_depends_on_its_own_effects_only(densities, eta):
    moved = eta.copy()
    moved[4] += 0.1
    before, after = (densities.log_densities(VALUES, each)[0] for each in (eta, moved))
    assert np.flatnonzero(before != after).tolist() == [4]


def test_gradients_equal_differences(densities, eta):
    found = sum(densities.gradients(VALUES, eta))
    for k in range(3):
        step = np.zeros_like(eta)
        step[:, k] = 1e-4
        above, below = (sum(densities.log_densities(VALUES, eta + s * step)) for s in (1, -1))
        np.testing.assert_allclose(found[:, k], (above - below) / 2e-4, rtol=1e-5, atol=1e-5)


def test_hessian_blocks_are_exact_where_the_density_is_quadratic(data):
    """A model linear in normal effects: -H = X'X / sigma^2 + Omega^-1."""
    model = bn.Model(
        name="line",
        parameters={"a": bn.Normal(5.0, iiv=2.0), "b": bn.Normal(1.0, iiv=0.5)},
        structure=bn.ode(
            lambda t, y, p: {"line": p.b},
            states=("line",),
            initial={"line": lambda p: p.a},
            outputs={"line": lambda t, y, p: y.line},
        ),
        observations={"line": bn.additive(0.7)},
    )
    table = data.to_frame().query("EVID == 0")[["ID", "TIME", "DV"]]
    population = bn.build(model, bn.read_data(table))
    values = {"omega": np.array([2.0, 0.5]), "a_pop": 5.0, "b_pop": 1.0, "line_additive": 0.7}
    found = subject_densities(population).hessians(values, np.zeros((12, 2)))
    seen = population.data.observations
    for subject in range(12):
        time = seen.time[seen.subject == subject]
        X = np.stack([np.ones_like(time), time - time[0]], axis=1)
        expected = -(X.T @ X) / 0.49 - np.diag([1 / 4, 4.0])
        np.testing.assert_allclose(found[subject], expected, rtol=1e-6)


def sixth_order_hessians(densities, eta, step=2e-3):
    blocks = np.empty((*eta.shape, eta.shape[1]))
    for k in range(eta.shape[1]):
        move = step * np.eye(eta.shape[1])[k]
        near, middle, far = (
            sum(densities.gradients(VALUES, eta + n * move))
            - sum(densities.gradients(VALUES, eta - n * move))
            for n in (1, 2, 3)
        )
        blocks[:, :, k] = (45 * near - 9 * middle + far) / (60 * step)
    return blocks


def test_hessian_blocks_are_as_exact_as_said(densities, ode_population, data, eta):
    exact = sixth_order_hessians(densities, eta)
    largest = np.abs(exact).max(axis=(1, 2), keepdims=True)
    closed = theophylline_model(theophylline_equations(method="closed_form"))
    walked, stepped = (subject_densities(each) for each in (bn.build(closed, data), ode_population))
    limits = ((densities, 1e-10, 1e-8), (walked, 2e-9, 3e-7), (stepped, 2e-6, 3e-5))
    for each, of_largest, of_entry in limits:
        error = np.abs(each.hessians(VALUES, eta) - exact)
        assert (error / largest).max() < of_largest
        assert (error / np.abs(exact)).max() < of_entry


def test_missing_values_are_named(densities, eta):
    with pytest.raises(bn.ModelError, match="V_pop missing"):
        densities.log_densities({k: v for k, v in VALUES.items() if k != "V_pop"}, eta)


def test_a_model_without_effects_is_refused(data):
    model = theophylline_model().replace(
        parameters={
            name: bn.LogNormal(number) for name, number in (("ka", 1.5), ("CL", 2.8), ("V", 32.0))
        },
        correlated=(),
    )
    with pytest.raises(bn.ModelError, match="no random effects"):
        subject_densities(bn.build(model, data))
