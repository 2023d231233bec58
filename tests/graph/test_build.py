"""The graph against a log density written by hand, and against itself under symmetries."""

import dataclasses

import numpy as np
import pytest
from scipy import special, stats

import bayesnlme as bn
from bayesnlme.odes.op import PopulationSolve
from bayesnlme.structural.superposition import Superpose
from tests.conftest import draw_points, frame, theophylline_equations, theophylline_model

FAST = "FAST_COMPILE"


@pytest.fixture(scope="module")
def log_density(population):
    return population.pymc.compile_logp(mode=FAST)


@pytest.fixture(scope="module")
def gradient(population):
    return population.pymc.compile_dlogp(mode=FAST)


def by_hand(point, data):
    """Return the joint log density of the theophylline model, with its Jacobians, in NumPy."""
    omega = np.exp(point["omega_log__"])
    place = special.expit(point["corr_CL_V_partial_logodds__"])[0]
    r = 2 * place - 1
    z = point["eta_standard"]
    eta = omega * np.stack([z[:, 0], z[:, 1], r * z[:, 1] + np.sqrt(1 - r**2) * z[:, 2]], axis=1)
    weight = data.covariates["WT"].by_subject
    ka, CL, V = (np.exp(point[f"{name}_pop_log__"]) for name in ("ka", "CL", "V"))
    ka, V = ka * np.exp(eta[:, 0]), V * np.exp(eta[:, 2])
    CL = CL * (weight / 70) ** 0.75 * np.exp(eta[:, 1])
    seen, i = data.observations, data.observations.subject
    amount = data.doses.amount[i]
    k = CL / V
    f = (amount * ka[i] / V[i] / (ka[i] - k[i])) * (
        np.exp(-k[i] * seen.time) - np.exp(-ka[i] * seen.time)
    )
    a, b = np.exp(point["conc_additive_log__"]), np.exp(point["conc_proportional_log__"])
    total = stats.norm.logpdf(seen.value, f, np.sqrt(a**2 + (b * f) ** 2)).sum()
    total += stats.norm.logpdf(z).sum()
    for name, number in (("ka", 1.5), ("CL", 2.8), ("V", 32.0)):
        total += stats.norm.logpdf(point[f"{name}_pop_log__"], np.log(number), 1.0)
    half = np.sqrt(np.pi / 2)
    scales = [0.6 * half, 0.3 * half, 0.2 * half, 0.3 * half, 0.1 * half]
    for sd, scale in zip([*omega, a, b], scales, strict=True):
        total += stats.halfnorm.logpdf(sd, scale=scale) + np.log(sd)
    return total + stats.beta.logpdf(place, 2, 2) + np.log(place * (1 - place))


def test_log_density_equals_the_one_written_by_hand(log_density, prior_points, data):
    for point in prior_points:
        assert log_density(point) == pytest.approx(by_hand(point, data), rel=1e-11)


def test_gradient_equals_central_differences(log_density, gradient, prior_points):
    for point in prior_points[:3]:
        found, names = gradient(point), list(point)
        sizes = [point[name].size for name in names]
        for number, name in enumerate(names):
            start = sum(sizes[:number])
            for entry in range(min(point[name].size, 4)):
                expected = fourth_order_difference(log_density, point, name, entry)
                assert found[start + entry] == pytest.approx(expected, rel=1e-6, abs=1e-6)


def fourth_order_difference(function, point, name, entry, step=1e-3):
    def shifted(h):
        moved = {key: np.array(value, dtype=float) for key, value in point.items()}
        moved[name].reshape(-1)[entry] += h
        return function(moved)

    near = shifted(step) - shifted(-step)
    far = shifted(2 * step) - shifted(-2 * step)
    return (8 * near - far) / (12 * step)


def test_names_and_dims_are_those_of_the_contract(population):
    graph = population.pymc
    free = {each.name for each in graph.free_RVs}
    assert {"ka_pop", "CL_pop", "V_pop", "omega", "conc_additive", "conc_proportional"} <= free
    dims = graph.named_vars_to_dims
    assert dims["omega"] == ("effect",)
    assert dims["eta"] == ("subject", "effect")
    assert dims["ka"] == ("subject",)
    assert dims["prediction"] == dims["conc"] == ("observation",)
    assert dims["omega_corr"] == ("effect", "effect_bis")
    assert list(graph.coords["effect"]) == ["ka", "CL", "V"]
    assert list(graph.coords["subject"]) == [str(number) for number in range(1, 13)]
    assert graph["conc_observed"].get_value().shape == (132,)


def test_closed_form_and_equations_give_the_same_density_and_gradient(
    population, ode_population, prior_points
):
    functions = [each.pymc.compile_logp(mode=FAST) for each in (population, ode_population)]
    gradients = [each.pymc.compile_dlogp(mode=FAST) for each in (population, ode_population)]
    for point in prior_points[:10]:
        closed, solved = (function(point) for function in functions)
        assert solved == pytest.approx(closed, rel=1e-6)
        closed, solved = (function(point) for function in gradients)
        assert np.abs(solved - closed).max() <= 1e-5 * np.abs(closed).max()


def relabelled(table):
    return table.assign(ID=[f"patient {number}" for number in table["ID"]])


def reordered_subjects(table):
    order = [7, 3, 12, 1, 2, 11, 4, 10, 5, 9, 6, 8]
    return table.set_index("ID").loc[[str(each) for each in order]].reset_index()


def test_order_and_names_of_subjects_do_not_matter(log_density, prior_points, data, model):
    table = data.to_frame()
    table["ID"] = table["ID"].astype(str)
    renamed = bn.build(model, bn.read_data(relabelled(table))).pymc.compile_logp(mode=FAST)
    moved = bn.build(model, bn.read_data(reordered_subjects(table)))
    density = moved.pymc.compile_logp(mode=FAST)
    place = [data.subjects.index(name) for name in moved.data.subjects]
    for point in prior_points[:5]:
        expected = log_density(point)
        assert renamed(point) == pytest.approx(expected, rel=1e-10)
        there = point | {"eta_standard": point["eta_standard"][place]}
        assert density(there) == pytest.approx(expected, rel=1e-10)


def test_order_of_rows_at_one_time_does_not_matter(log_density, prior_points, data, model):
    """The pre-dose sample of an oral dose reads zero whichever record stands first."""
    table = data.to_frame()
    swapped = table.sort_values(["ID", "TIME", "EVID"], kind="stable")
    density = bn.build(model, bn.read_data(swapped)).pymc.compile_logp(mode=FAST)
    place = [data.subjects.index(name) for name in bn.read_data(swapped).subjects]
    for point in prior_points[:5]:
        there = point | {"eta_standard": point["eta_standard"][place]}
        assert density(there) == pytest.approx(log_density(point), rel=1e-10)


@pytest.mark.parametrize("structure", [None, "equations"])
def test_units_rescale(prior_points, data, structure):
    """Amounts in ug instead of mg: the density changes by the Jacobian n log 1000, no more."""
    table = data.to_frame()
    scaled = table.assign(AMT=table["AMT"] * 1000, DV=table["DV"] * 1000)
    equations = theophylline_equations(method="tsit5") if structure else None
    first = theophylline_model(equations)
    second = first.replace(observations={"conc": bn.combined(additive=300.0, proportional=0.1)})
    one, other = (
        bn.build(each, bn.read_data(frame)).pymc.compile_logp(mode=FAST)
        for each, frame in ((first, table), (second, scaled))
    )
    for point in prior_points[:5]:
        there = point | {"conc_additive_log__": point["conc_additive_log__"] + np.log(1000)}
        expected = one(point) - data.n_observations * np.log(1000)
        assert other(there) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(("structure", "rel"), [(None, 1e-10), ("equations", 1e-6)])
def test_units_of_time_rescale(prior_points, data, structure, rel):
    """Minutes instead of hours: with ka and CL per minute the density is the same."""
    table = data.to_frame()
    first = theophylline_model(theophylline_equations(method="tsit5") if structure else None)
    per_minute = {
        name: dataclasses.replace(each, typical=number / 60, unit=unit)
        for name, number, unit in (("ka", 1.5, "1/min"), ("CL", 2.8, "L/min"))
        for each in (first.parameters[name],)
    }
    second = first.replace(parameters={**first.parameters, **per_minute})
    one, other = (
        bn.build(each, bn.read_data(frame)).pymc.compile_logp(mode=FAST)
        for each, frame in ((first, table), (second, table.assign(TIME=table["TIME"] * 60)))
    )
    for point in prior_points[:5]:
        there = point | {
            name: point[name] - np.log(60) for name in ("ka_pop_log__", "CL_pop_log__")
        }
        assert other(there) == pytest.approx(one(point), rel=rel)


@pytest.mark.parametrize(
    ("built", "operation"), [("population", Superpose), ("ode_population", PopulationSolve)]
)
def test_one_solve_per_joint_log_density_and_gradient(
    request, monkeypatch, prior_points, built, operation
):
    graph = request.getfixturevalue(built).pymc
    calls = []
    perform = operation.perform

    def counted(self, *given):
        calls.append(self)
        return perform(self, *given)

    monkeypatch.setattr(operation, "perform", counted)
    function = graph.compile_fn([graph.logp(), graph.dlogp()], mode=FAST)
    for count, point in enumerate(prior_points[:3], 1):
        value, gradient = function(point)
        assert np.isfinite(value)
        assert np.isfinite(gradient).all()
        assert len(calls) == count


def test_two_outputs_have_observation_dims_of_their_own():
    structure = bn.ode(
        lambda t, y, p: {"a": -p.k * y.a, "b": p.k * y.a},
        states=("a", "b"),
        outputs={"left": lambda t, y, p: y.a, "gone": lambda t, y, p: y.b},
    )
    model = bn.Model(
        name="two",
        parameters={"k": bn.LogNormal(0.3, iiv=0.2)},
        structure=structure,
        observations={"left": bn.additive(1.0), "gone": bn.proportional(0.1)},
    )
    rows = [
        (subject, time, 0, 0, 1, value, dvid)
        for subject in (1, 2)
        for time, value, dvid in ((1, 70, 1), (1, 30, 2), (2, 50, 1))
    ]
    rows = (
        [(s, 0, 1, 100, 1, np.nan, np.nan) for s in (1,)]
        + rows[:3]
        + [(2, 0, 1, 100, 1, np.nan, np.nan)]
        + rows[3:]
    )
    data = bn.read_data(frame(rows, "ID TIME EVID AMT CMT DV DVID"), outputs={1: "left", 2: "gone"})
    graph = bn.build(model, data).pymc
    assert graph.named_vars_to_dims["left"] == ("left_observation",)
    assert list(graph.coords["gone_observation"]) == [1, 4]
    point = draw_points(graph, 1, seed=1)[0]
    f = {"left": 100 * np.exp(-0.3), "gone": 100 * (1 - np.exp(-0.3))}
    there = graph.initial_point()
    each = graph.compile_fn(graph.logp(sum=False, vars=[graph["left"], graph["gone"]]), mode=FAST)
    left, gone = each(there)
    assert left[0] == pytest.approx(stats.norm.logpdf(70, f["left"], 1.0), rel=1e-6)
    assert gone[0] == pytest.approx(stats.norm.logpdf(30, f["gone"], 0.1 * f["gone"]), rel=1e-6)
    assert np.isfinite(graph.compile_logp(mode=FAST)(point))


def test_new_observations_can_be_put_in_without_building_anew(population, prior_points):
    graph = population.pymc
    density = graph.compile_logp(mode=FAST)
    before = density(prior_points[0])
    kept = graph["conc_observed"].get_value()
    try:
        graph.set_data("conc_observed", kept + 1.0)
        assert density(prior_points[0]) != before
    finally:
        graph.set_data("conc_observed", kept)
    assert density(prior_points[0]) == before


def test_a_model_without_random_effects_builds(data):
    model = theophylline_model().replace(
        parameters={
            name: bn.LogNormal(number) for name, number in (("ka", 1.5), ("CL", 2.8), ("V", 32.0))
        },
        correlated=(),
    )
    graph = bn.build(model, data).pymc
    assert "eta" not in graph.named_vars
    assert np.isfinite(graph.compile_logp(mode=FAST)(graph.initial_point()))


def test_every_kind_of_parameter_and_effect_builds(data):
    table = data.to_frame()
    table["SEX"] = np.where(table["ID"].astype(int) % 2, "f", "m")
    model = bn.Model(
        name="all",
        parameters={
            "ka": bn.LogitNormal(1.5, iiv=bn.Prior("Gamma", alpha=2, beta=4), lower=0.1, upper=9.0),
            "CL": bn.LogNormal(
                bn.typical(2.8, rse=0.3),
                iiv=0.3,
                covariates=[
                    bn.covariates.exponential("WT", reference=70),
                    bn.covariates.categorical("SEX", reference="m"),
                ],
            ),
            "V": bn.Normal(
                32.0, iiv=bn.fixed(4.0), covariates=[bn.covariates.linear("WT", reference=70)]
            ),
        },
        structure=bn.pk.one_compartment(absorption="first_order"),
        observations={"conc": bn.additive(0.5)},
    )
    graph = bn.build(model, bn.read_data(table)).pymc
    assert graph.named_vars_to_dims["CL_SEX"] == ("CL_SEX_level",)
    assert list(graph.coords["CL_SEX_level"]) == ["f"]
    assert {"CL_WT", "V_WT", "omega_ka", "omega_CL"} <= {v.name for v in graph.free_RVs}
    start = graph.initial_point()
    assert np.isfinite(graph.compile_logp(mode=FAST)(start))
    assert np.isfinite(graph.compile_dlogp(mode=FAST)(start)).all()
