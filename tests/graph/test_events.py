"""Times to events in the graph: one density, by hand and by every route."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesnlme as bn
from bayesnlme.graph.densities import log_likelihood
from bayesnlme.graph.grid import at_times
from bayesnlme.inference.density import compile_density
from bayesnlme.marginal.conditional import Conditional
from tests.graph.test_outcomes import FAST, draws_of
from tests.marginal.points import standard_log_density, theta_of

TE, SHAPE = 6.0, 1.4
WEIBULL = stats.weibull_min(SHAPE, scale=TE)
ROWS = [
    ("exact", 0.0, 0), ("exact", 3.0, 1),
    ("right", 0.0, 0), ("right", 7.0, 0),
    ("interval", 0.0, 0), ("interval", 2.0, 0), ("interval", 5.0, 2),
    ("left", 0.0, 0), ("left", 4.0, 2),
    ("late", 2.0, 0), ("late", 9.0, 1),
]  # fmt: skip
EVENTS = pd.DataFrame(ROWS, columns=["ID", "TIME", "DV"])
EXPECTED = [
    0, WEIBULL.logpdf(3),
    0, WEIBULL.logsf(7),
    0, WEIBULL.logsf(2), np.log(1 - WEIBULL.sf(5) / WEIBULL.sf(2)),
    0, WEIBULL.logcdf(4),
    0, WEIBULL.logpdf(9) - WEIBULL.logsf(2),
]  # fmt: skip


def weibull(**changes):
    return bn.Model(
        name="events",
        parameters={
            "Te": bn.LogNormal(bn.fixed(TE), iiv=0.3),
            "shape": bn.LogNormal(SHAPE),
        },
        structure=bn.hazard.weibull(),
        observations={"event": bn.time_to_event()},
    ).replace(**changes)


def joint_table():
    rng, rows = np.random.default_rng(2), []
    for i in range(1, 7):
        rows.append((i, 0.0, 1, 50.0 * (i % 3), np.nan, 1))
        rows += [(i, t, 0, 0.0, 2.5 * (i % 3) * np.exp(-0.1 * t) + rng.normal() * 0.2, 1)
                 for t in (1.0, 4.0, 8.0)]  # fmt: skip
        rows += [(i, 0.0, 0, 0.0, 0, 2), (i, 2.0 + i, 0, 0.0, 1, 2), (i, 10.0, 0, 0.0, 0, 2)]
    frame = pd.DataFrame(rows, columns=["ID", "TIME", "EVID", "AMT", "DV", "DVID"])
    frame = frame.assign(CMT=1, MDV=frame["EVID"])
    return frame.sort_values(["ID", "TIME", "EVID"], ascending=[True, True, False], kind="stable")


def joint():
    return bn.Model(
        name="joint",
        parameters={
            "CL": bn.LogNormal(2.0, iiv=0.3),
            "V": bn.LogNormal(20.0),
            "h0": bn.LogNormal(0.1),
            "beta": bn.Normal(bn.Prior("Normal", mu=-0.2, sigma=0.5)),
        },
        structure=bn.hazard.constant(bn.pk.one_compartment()),
        observations={"conc": bn.additive(0.3), "event": bn.time_to_event(repeated=True)},
    )


@pytest.fixture(scope="module", params=["weibull", "joint"])
def population(request):
    if request.param == "joint":
        return bn.build(joint(), bn.read_data(joint_table()))
    return bn.build(weibull(), bn.read_data(EVENTS))


def test_every_kind_of_row_equals_scipy():
    graph = bn.build(weibull(), bn.read_data(EVENTS)).pymc
    density = graph.compile_logp(vars=[graph["event"]], sum=False)(graph.initial_point())[0]
    np.testing.assert_allclose(density, EXPECTED, rtol=1e-10, atol=1e-12)


def test_a_user_function_gives_the_same_by_equations():
    curve = bn.curve(lambda t, p: p.shape / p.Te * (t / p.Te) ** (p.shape - 1), output="event")
    graph = bn.build(weibull(structure=curve), bn.read_data(EVENTS)).pymc
    density = graph.compile_logp(vars=[graph["event"]], sum=False)(graph.initial_point())[0]
    np.testing.assert_allclose(density, EXPECTED, atol=2e-5)


def test_repeated_events_are_the_product_by_hand():
    rows = EVENTS[EVENTS["ID"] == "exact"]
    frame = pd.concat([rows, pd.DataFrame({"ID": "exact", "TIME": [4.0, 6.0], "DV": [1, 0]})])
    model = weibull(observations={"event": bn.time_to_event(repeated=True)})
    graph = bn.build(model, bn.read_data(frame)).pymc
    found = graph.compile_logp(vars=[graph["event"]])(graph.initial_point())
    hazard = WEIBULL.pdf([3, 4]) / WEIBULL.sf([3, 4])
    assert found == pytest.approx(np.log(hazard).sum() + WEIBULL.logsf(6), rel=1e-10)


def test_the_prediction_is_the_hazard_accumulated_since_the_row_before():
    graph = bn.build(weibull(), bn.read_data(EVENTS)).pymc
    wanted = graph.replace_rvs_by_values([graph["prediction"], graph["event_hazard"]])
    found, hazard = graph.compile_fn(wanted, inputs=graph.value_vars, mode=FAST,
                                     on_unused_input="ignore")(graph.initial_point())  # fmt: skip
    cumulative = (EVENTS["TIME"] / TE) ** SHAPE
    first = ~EVENTS["ID"].duplicated()
    np.testing.assert_allclose(found, cumulative.diff().where(~first, 0.0), rtol=1e-10, atol=1e-15)
    exact = EVENTS["DV"].eq(1)
    np.testing.assert_allclose(hazard[exact], WEIBULL.pdf([3, 9]) / WEIBULL.sf([3, 9]), rtol=1e-10)
    assert (hazard[~exact] == 1).all()


def test_the_graph_and_the_log_likelihood_agree(population):
    graph = population.pymc
    points, posterior = draws_of(population)
    found = log_likelihood(population, posterior)
    for output in population.data.outputs:
        density = graph.compile_fn(
            graph.logp(vars=[graph[output]], sum=False, jacobian=False)[0],
            inputs=graph.value_vars,
            mode=FAST,
            on_unused_input="ignore",
        )
        for k, point in enumerate(points):
            expected = density(point)
            # the solver's tolerance: with and without sensitivities it takes other steps
            np.testing.assert_allclose(found[output].values[0, k], expected, rtol=2e-5, atol=1e-6)


def test_the_subjects_densities_agree(population):
    _, posterior = draws_of(population)
    found, seen = log_likelihood(population, posterior), population.data.observations
    conditional = Conditional(population)
    for k in range(2):
        theta = theta_of(conditional, {n: v.values[0, k] for n, v in posterior.items()})
        z = posterior["eta_standard"].values[0, k]
        joined = np.empty(len(seen))
        for number, output in enumerate(population.data.outputs):
            joined[seen.output == number] = found[output].values[0, k]
        expected = np.bincount(seen.subject, weights=joined) + standard_log_density(z)
        density = conditional.density(theta, z)[0]
        np.testing.assert_allclose(density, expected, rtol=1e-6, atol=1e-8)


def test_gradients_of_the_compiled_density(population):
    density = compile_density(population.pymc)
    evaluate = density.function
    point = population.pymc.initial_point()
    x = np.concatenate([np.ravel(point[each.name]) for each in density.free])
    x = x + np.random.default_rng(4).normal(0, 0.1, x.size)
    value, gradient = evaluate(x)
    assert np.isfinite(value)
    gradient = gradient.copy()
    for k in range(x.size):
        step = np.zeros_like(x)
        step[k] = 1e-4
        expected = (evaluate(x + step)[0] - evaluate(x - step)[0]) / 2e-4
        assert gradient[k] == pytest.approx(expected, rel=1e-4, abs=2e-4)


def test_other_times_accumulate_the_same_hazard():
    data = bn.build(weibull(), bn.read_data(EVENTS)).data
    times = {"exact": np.linspace(0, 8, 5), "late": np.linspace(2, 9, 3)}
    graph = bn.build(weibull(), at_times(data, times, ["event"])).pymc
    found = graph.compile_fn(
        graph.replace_rvs_by_values([graph["prediction"]])[0], inputs=graph.value_vars, mode=FAST,
        on_unused_input="ignore",
    )(graph.initial_point())  # fmt: skip
    np.testing.assert_allclose(np.cumsum(found[:5]), (times["exact"] / TE) ** SHAPE, rtol=1e-10)
    late = (times["late"] / TE) ** SHAPE
    np.testing.assert_allclose(np.cumsum(found[5:]), late - late[0], rtol=1e-10, atol=1e-15)
