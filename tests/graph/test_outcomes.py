"""Every kind of outcome in the graph: one density, wherever it is asked for."""

from functools import partial

import numpy as np
import pandas as pd
import pymc as pm
import pytest
import xarray as xr
from scipy import special, stats

import bayesnlme as bn
from bayesnlme import names
from bayesnlme.graph.densities import draw_observations, log_likelihood
from bayesnlme.graph.grid import at_times, observation_quantiles
from bayesnlme.inference.density import compile_density
from bayesnlme.marginal.conditional import Conditional
from tests.marginal.points import standard_log_density, theta_of

check = partial(bn.check, identifiability=False)

FAST = "FAST_COMPILE"
TABLE = pd.DataFrame({
    "ID": [1, 1, 1, 1, 2, 2, 2, 2],
    "TIME": [0.0, 1.0, 2.0, 4.0, 0.0, 1.0, 2.0, 4.0],
    "DV": [5.0, 3.0, 2.0, 1.0, 6.0, 2.0, 1.0, 1.0],
})  # fmt: skip
CENSORED = TABLE.assign(CENS=[-1, 0, 0, 1, 0, 0, 1, 1], LLOQ=1.0, LIMIT=[9.0, *[np.nan] * 6, 0.3])
CURVE = bn.curve(lambda t, p: p.a * bn.math.exp(-p.k * t), output="z")
LINE = bn.curve(lambda t, p: p.a - p.k * t, output="z")
OUTCOMES = {
    "combined sd": (bn.combined(additive=0.5, proportional=0.2, convention="sd"), CENSORED, CURVE),
    "power": (bn.power_error(coefficient=0.4, exponent=0.8), CENSORED, CURVE),
    "student_t": (bn.student_t(bn.additive(0.7), df=4), CENSORED, CURVE),
    "log_normal": (bn.log_normal(0.5), CENSORED, CURVE),
    "M2": (bn.additive(0.7, blq="M2"), CENSORED, CURVE),
    "M4": (bn.additive(0.7, blq="M4"), CENSORED, CURVE),
    "poisson": (bn.poisson(), TABLE, CURVE),
    "negative_binomial": (bn.negative_binomial(dispersion=0.5), TABLE, CURVE),
    "binary": (bn.binary(), TABLE.assign(DV=[1, 1, 0, 0, 1, 1, 0, 1]), LINE),
    "ordered": (
        bn.ordered(thresholds=[-1, 0, 1]), TABLE.assign(DV=[3, 2, 1, 0, 2, 2, 1, 0]), LINE,
    ),
}  # fmt: skip


def population_of(kind):
    outcome, table, structure = OUTCOMES[kind]
    model = bn.Model(
        name=kind.replace(" ", "_"),
        parameters={"a": bn.LogNormal(4.0, iiv=0.3), "k": bn.LogNormal(0.4)},
        structure=structure,
        observations={"z": outcome},
    )
    return bn.build(model, bn.read_data(table))


@pytest.fixture(scope="module", params=OUTCOMES)
def population(request):
    return population_of(request.param)


def draws_of(population, count=2, seed=3):
    """Return some draws of the free variables and what they determine, without sampling."""
    graph, rng = population.pymc, np.random.default_rng(seed)
    point = graph.initial_point()
    wanted = graph.replace_rvs_by_values(
        [*graph.free_RVs, *(d for d in graph.deterministics if d.name != names.OMEGA_CORR)]
    )
    named = [each.name for each in [*graph.free_RVs, *graph.deterministics]]
    evaluate = graph.compile_fn(wanted, inputs=graph.value_vars, mode=FAST)
    points = [
        {k: v + rng.normal(0, 0.2, np.shape(v)) for k, v in point.items()} for _ in range(count)
    ]
    values = [evaluate(each) for each in points]
    found = {}
    for place, name in enumerate(named):
        dims = graph.named_vars_to_dims.get(name, ())
        array = np.array([each[place] for each in values])
        found[name] = (("chain", "draw", *dims), array[None])
    return points, xr.Dataset(found)


def test_the_graph_and_the_log_likelihood_agree(population):
    graph = population.pymc
    points, posterior = draws_of(population)
    likelihood = log_likelihood(population, posterior)["z"].values[0]
    density = graph.compile_fn(
        graph.logp(vars=[graph["z"]], sum=False, jacobian=False)[0], mode=FAST
    )
    for k, point in enumerate(points):
        np.testing.assert_allclose(likelihood[k], density(point), rtol=1e-12)


def test_the_subjects_densities_agree():
    population = population_of("M4")
    _, posterior = draws_of(population)
    likelihood = log_likelihood(population, posterior)["z"].values[0]
    conditional = Conditional(population)
    for k in range(2):
        theta = theta_of(conditional, {n: v.values[0, k] for n, v in posterior.items()})
        z = posterior["eta_standard"].values[0, k]
        subject = population.data.observations.subject
        expected = np.bincount(subject, weights=likelihood[k]) + standard_log_density(z)
        np.testing.assert_allclose(conditional.density(theta, z)[0], expected, rtol=1e-11)


def test_gradients_of_the_compiled_density(population):
    density = compile_density(population.pymc)
    evaluate = density.function
    rng = np.random.default_rng(4)
    x = rng.normal(0, 0.3, density.size)
    value, gradient = evaluate(x)
    assert np.isfinite(value)
    gradient = gradient.copy()
    for k in range(x.size):
        step = np.zeros_like(x)
        step[k] = 1e-5
        expected = (evaluate(x + step)[0] - evaluate(x - step)[0]) / 2e-5
        assert gradient[k] == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_new_observations_are_possible_ones(population):
    _, posterior = draws_of(population)
    drawn = draw_observations(population, posterior, np.random.default_rng(5))["z"].values
    assert drawn.shape == (1, 2, population.data.n_observations)
    outcome = population.model.observations["z"]
    assert all(outcome.refusal(float(each)) is None for each in drawn.ravel())
    if outcome.blq == "M2":
        assert drawn.min() > 1.0
    with population.pymc:
        prior = pm.sample_prior_predictive(20, random_seed=1, compile_kwargs={"mode": FAST})
    simulated = prior.prior_predictive["z"].values
    assert all(outcome.refusal(float(each)) is None for each in simulated.ravel())


def test_quantiles_at_other_times(population):
    times = {"1": np.array([0.5, 1.5]), "2": np.array([3.0])}
    grid = bn.build(population.model, at_times(population.data, times))
    _, posterior = draws_of(grid)
    found = observation_quantiles(grid, posterior, np.array([[0.2, 0.8]]))["z"]
    assert np.isfinite(found.values).all()
    assert found.shape == (1, 2, 3)


def test_nothing_stands_in_the_way(population):
    found = check(population.model, population.data)
    assert [each for each in found if each.severity == "error"] == []


def test_a_joint_model_of_concentrations_and_counts():
    """Two outcomes of different kinds share the random effects; by hand in NumPy."""
    model = bn.Model(
        name="joint",
        parameters={
            "CL": bn.LogNormal(3.0, iiv=0.3),
            "V": bn.LogNormal(30.0),
            "r": bn.LogNormal(2.0),
        },
        structure=bn.ode(
            lambda t, y, p: {"central": -p.CL / p.V * y.central},
            states=("central",),
            outputs={
                "conc": lambda t, y, p: y.central / p.V,
                "events": lambda t, y, p: p.r * bn.math.exp(-y.central / p.V / 3),
            },
        ),
        observations={"conc": bn.proportional(0.2), "events": bn.poisson()},
    )
    rows = [(1, 0, 1, 100.0, None, None), (1, 2, 0, None, 1, 2.9), (1, 2, 0, None, 2, 1),
            (1, 9, 0, None, 2, 2), (2, 0, 1, 100.0, None, None), (2, 3, 0, None, 1, 1.9),
            (2, 5, 0, None, 2, 0)]  # fmt: skip
    table = pd.DataFrame(rows, columns=["ID", "TIME", "EVID", "AMT", "DVID", "DV"]).assign(CMT=1)
    population = bn.build(model, bn.read_data(table))
    points, posterior = draws_of(population)
    likelihood = log_likelihood(population, posterior)
    for k, point in enumerate(points):
        clearance, rate = posterior["CL"].values[0, k], posterior["r"].values[0, k]
        b = float(posterior["conc_proportional"].values[0, k])

        def conc(who, t, V=posterior["V"].values[0, k], CL=clearance):
            return 100 / V[who] * np.exp(-CL[who] / V[who] * t)

        f = np.array([conc(0, 2.0), conc(1, 3.0)])
        expected = stats.norm(f, b * f).logpdf([2.9, 1.9])
        np.testing.assert_allclose(likelihood["conc"].values[0, k], expected, rtol=1e-8)
        mean = np.array([rate[0] * np.exp(-conc(0, 2.0) / 3), rate[0] * np.exp(-conc(0, 9.0) / 3),
                         rate[1] * np.exp(-conc(1, 5.0) / 3)])  # fmt: skip
        expected_counts = stats.poisson(mean).logpmf([1, 2, 0])
        np.testing.assert_allclose(likelihood["events"].values[0, k], expected_counts, rtol=1e-8)
        total = population.pymc.compile_fn(population.pymc.observedlogp, mode=FAST)(point)
        assert total == pytest.approx(expected.sum() + expected_counts.sum(), rel=1e-8)


def test_a_known_number_keeps_all_its_digits():
    """Whole numbers such as 3.0 would become single precision if PyTensor were left to choose."""
    outcome = bn.student_t(bn.additive(bn.fixed(0.5)), df=bn.fixed(3))
    model = bn.Model(
        name="fixed", parameters={"a": bn.LogNormal(4.0), "k": bn.LogNormal(bn.fixed(0.25))},
        structure=CURVE, observations={"z": outcome},
    )  # fmt: skip
    population = bn.build(model, bn.read_data(TABLE))
    found = population.pymc.compile_fn(population.pymc.observedlogp, mode=FAST)(
        {"a_pop_log__": np.array(np.log(5.0))}
    )
    f = 5.0 * np.exp(-0.25 * TABLE.TIME.to_numpy())
    assert found == pytest.approx(stats.t(3, f, 0.5).logpdf(TABLE.DV).sum(), rel=1e-13)


def test_a_censored_value_in_the_far_tail_has_a_gradient():
    model = bn.Model(
        name="far", parameters={"a": bn.LogNormal(1000.0), "k": bn.LogNormal(0.4)},
        structure=CURVE, observations={"z": bn.additive(bn.fixed(1.0))},
    )  # fmt: skip
    data = bn.read_data(TABLE.assign(CENS=1))
    density = compile_density(bn.build(model, data).pymc)
    at = {"a_pop_log__": np.log(1000.0), "k_pop_log__": np.log(0.4)}
    value, gradient = density.function(np.array([at[each.name] for each in density.free]))
    f = 1000.0 * np.exp(-0.4 * TABLE.TIME.to_numpy())
    below = special.log_ndtr(TABLE.DV.to_numpy() - f).sum()
    prior = stats.norm(0, 1).logpdf(0) * 2
    assert value == pytest.approx(below + prior, rel=1e-12)
    assert np.isfinite(gradient).all()
