"""Covariates that vary within a subject: individual parameters by interval, by hand in NumPy."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import pytensor.tensor as pt
import pytest
import xarray as xr
from scipy import special, stats

from bayesnlme import names
from bayesnlme.data import read_data
from bayesnlme.data.rows import parameter_rows
from bayesnlme.graph.build import build
from bayesnlme.graph.grid import at_times, predict_draws
from bayesnlme.marginal.conditional import Conditional
from bayesnlme.model.model import Model
from bayesnlme.observation.continuous import additive
from bayesnlme.population import covariates
from bayesnlme.population.parameters import LogitNormal, LogNormal, Normal
from tests.marginal.points import standard_log_density, theta_of

FAST = "FAST_COMPILE"
TABLE = [
    ("a", 0.0, 1, 50.0, "fed", 40.0, np.nan),
    ("a", 1.0, 0, 50.0, "fed", 40.0, 9.0),
    ("a", 2.0, 0, 60.0, "fed", 40.0, 8.0),
    ("a", 3.0, 0, 60.0, "fast", 40.0, 6.0),
    ("a", 4.0, 0, 60.0, "fast", 40.0, 5.0),
    ("b", 0.0, 1, 80.0, "fast", 30.0, np.nan),
    ("b", 1.0, 0, 80.0, "fast", 30.0, 7.0),
    ("b", 2.0, 2, 80.0, "fed", 30.0, np.nan),
    ("b", 5.0, 0, 80.0, "fed", 30.0, 3.0),
]
WEIGHT, FED = np.array([50.0, 60, 60, 80, 80]), np.array([1, 1, 0, 0, 1])
SUBJECT, AGE = np.array([0, 0, 0, 1, 1]), np.array([40.0, 30.0])


@dataclass(frozen=True)
class Decay:
    """Predict 100 exp(-CL/V t) / V with the parameters in force at each observation."""

    parameters: ClassVar[tuple[str, ...]] = ("CL", "V")
    compartments: ClassVar[tuple[str, ...]] = ("central",)
    outputs: ClassVar[tuple[str, ...]] = ("conc",)
    balances: ClassVar[tuple[dict[str, int], ...]] = ()
    shares: ClassVar[tuple[str, ...]] = ()

    def inputs(self, data, rows=None):
        row = data.observations.subject if rows is None else rows.observation
        return {"row": row, "time": data.observations.time}

    def predict(self, parameters, inputs):
        CL, V = (parameters[name][inputs["row"]] for name in self.parameters)
        return 100 / V * pt.exp(-CL / V * inputs["time"])

    def equations(self):
        return ()

    def to_dict(self):
        return {"kind": "decay"}


def data_of(rows=TABLE, carried="locf"):
    frame = pd.DataFrame(rows, columns=["ID", "TIME", "EVID", "WT", "FOOD", "AGE", "DV"])
    frame = frame.assign(AMT=np.where(frame.EVID == 1, 100.0, 0.0), CMT=1)
    return read_data(frame, covariate_interpolation=carried, outputs={1: "conc"})


def model_of(CL=(), V=()):
    return Model(
        name="decay",
        parameters={
            "CL": LogNormal(2.0, iiv=0.3, covariates=CL),
            "V": LogNormal(10.0, iiv=0.2, covariates=V),
        },
        structure=Decay(),
        observations={"conc": additive(0.5)},
    )


@pytest.fixture(scope="module")
def population():
    model = model_of(
        CL=[covariates.power("WT", reference=70), covariates.categorical("FOOD", reference="fast")],
        V=[covariates.exponential("AGE", reference=35)],
    )
    return build(model, data_of())


@pytest.fixture(scope="module")
def points(population):
    rng = np.random.default_rng(8)
    start = population.pymc.initial_point()
    return [
        {name: value + rng.normal(0, 0.3, value.shape) for name, value in start.items()}
        for _ in range(4)
    ]


def individual_by_hand(point):
    eta = np.exp(point["omega_log__"]) * point["eta_standard"]
    shift = point["CL_WT"] * np.log(WEIGHT / 70) + point["CL_FOOD"][0] * FED
    clearance = np.exp(point["CL_pop_log__"] + shift + eta[SUBJECT, 0])
    volume = np.exp(point["V_pop_log__"] + point["V_AGE"] * (AGE - 35) + eta[:, 1])
    return clearance, volume


def predicted_by_hand(point):
    clearance, volume = individual_by_hand(point)
    row, subject = np.array([0, 1, 2, 2, 3, 4]), np.array([0, 0, 0, 0, 1, 1])
    time, V = np.array([1.0, 2, 3, 4, 1, 5]), volume[subject]
    return 100 / V * np.exp(-clearance[row] / V * time)


def log_density_by_hand(point):
    total = stats.norm.logpdf(point["eta_standard"]).sum()
    total += stats.norm.logpdf(point["CL_pop_log__"], np.log(2.0), 1.0)
    total += stats.norm.logpdf(point["V_pop_log__"], np.log(10.0), 1.0)
    total += stats.norm.logpdf([point["CL_WT"], point["CL_FOOD"][0]], 0, 1).sum()
    total += stats.norm.logpdf(point["V_AGE"], 0, 1 / 35)
    for name, scales in (("omega", [0.3, 0.2]), ("conc_additive", [0.5])):
        sd = np.atleast_1d(np.exp(point[f"{name}_log__"]))
        scale = np.sqrt(np.pi / 2) * np.array(scales)
        total += (stats.halfnorm.logpdf(sd, scale=scale) + np.log(sd)).sum()
    observed = [9.0, 8, 6, 5, 7, 3]
    sd = np.exp(point["conc_additive_log__"])
    return total + stats.norm.logpdf(observed, predicted_by_hand(point), sd).sum()


def test_what_varies_has_an_interval_dim_and_the_rest_a_subject_dim(population):
    graph = population.pymc
    dims = graph.named_vars_to_dims
    assert dims["CL"] == dims["covariate_WT"] == dims["covariate_FOOD_for_CL"] == ("interval",)
    assert dims["V"] == dims["covariate_AGE"] == ("subject",)
    assert dims["eta"] == ("subject", "effect")
    assert dims["interval_subject"] == ("interval",)
    assert list(graph.coords["interval"]) == ["a@0", "a@2", "a@3", "b@0", "b@2"]
    assert graph["interval_subject"].get_value().tolist() == SUBJECT.tolist()
    assert graph["covariate_WT"].get_value().tolist() == WEIGHT.tolist()
    assert graph["covariate_FOOD_for_CL"].get_value().tolist() == FED.tolist()


def test_individual_values_and_predictions_are_those_by_hand(population, points):
    graph = population.pymc
    wanted = graph.replace_rvs_by_values([graph[name] for name in ("CL", "V", "prediction")])
    evaluate = graph.compile_fn(
        wanted, inputs=graph.value_vars, mode=FAST, on_unused_input="ignore"
    )
    for point in points:
        CL, V, prediction = evaluate(point)
        for found, expected in zip((CL, V), individual_by_hand(point), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-12)
        np.testing.assert_allclose(prediction, predicted_by_hand(point), rtol=1e-12)


def test_log_density_is_the_one_by_hand(population, points):
    density = population.pymc.compile_logp(mode=FAST)
    for point in points:
        assert density(point) == pytest.approx(log_density_by_hand(point), rel=1e-11)


def test_gradient_equals_central_differences(population, points):
    gradient = population.pymc.compile_dlogp(mode=FAST)
    for point in points[:2]:
        found, expected = gradient(point), []
        for name, value in point.items():
            for entry in range(value.size):
                moved = np.zeros_like(value)
                moved.reshape(-1)[entry] = 1e-3
                near, far = (
                    log_density_by_hand(point | {name: value + n * moved})
                    - log_density_by_hand(point | {name: value - n * moved})
                    for n in (1, 2)
                )
                expected.append((8 * near - far) / 12e-3)
        np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-7)


def test_without_changes_there_are_no_intervals():
    seen = []

    @dataclass(frozen=True)
    class Watched(Decay):
        def inputs(self, data, rows=None):
            seen.append(rows)
            return super().inputs(data, rows)

    age = model_of(CL=[covariates.power("AGE", reference=35)])
    graph = build(age.replace(structure=Watched()), data_of()).pymc
    assert seen == [None]
    assert graph.named_vars_to_dims["CL"] == ("subject",)
    assert "interval" not in graph.coords
    assert "interval_subject" not in graph.named_vars


@pytest.mark.parametrize(
    ("effect", "forms"),
    [
        (covariates.power("WT", reference=70, exponent=0.5),
         lambda x, n: (np.log(x / 70) * 0.5,) * 2),
        (covariates.exponential("WT", reference=70, coefficient=0.01),
         lambda x, n: (0.01 * (x - 70),) * 2),
        (covariates.linear("WT", reference=70, coefficient=0.01),
         lambda x, n: (np.log1p(0.01 * (x - 70)), 0.01 * (x - 70))),
        (covariates.categorical("FOOD", reference="fast", coefficient=0.4),
         lambda x, n: (0.4 * n,) * 2),
    ],
    ids=["power", "exponential", "linear", "categorical"],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["LogNormal", "Normal", "LogitNormal"])
@pytest.mark.parametrize("iiv", [0.2, None])
def test_every_effect_on_every_kind_of_parameter(effect, forms, kind, iiv):
    rows = [0, 2, 3, 4] if effect.covariate == "FOOD" else [0, 1, 3]  # where this one changes
    log_factor, shift = forms(WEIGHT[rows], FED[rows])
    multiplies = effect.kind in ("power", "exponential")
    parameter, expected = {
        "LogNormal": (LogNormal(0.4, iiv=iiv, covariates=[effect]),
                      lambda e: 0.4 * np.exp(log_factor + e)),
        "Normal": (Normal(0.4, iiv=iiv, covariates=[effect]),
                   lambda e: (0.4 * np.exp(log_factor) if multiplies else 0.4 + shift) + e),
        "LogitNormal": (LogitNormal(0.4, iiv=iiv, covariates=[effect]),
                        lambda e: special.expit(special.logit(0.4) + shift + e)),
    }[kind]  # fmt: skip
    model = model_of().replace(parameters={**model_of().parameters, "CL": parameter})
    graph = build(model, data_of()).pymc
    point = graph.initial_point()
    point["eta_standard"] = np.arange(1.0, 1 + point["eta_standard"].size).reshape(2, -1)
    value = graph.compile_fn(
        graph.replace_rvs_by_values([graph["CL"]]), inputs=graph.value_vars, mode=FAST,
        on_unused_input="ignore",
    )(point)[0]  # fmt: skip
    omega = np.exp(point["omega_log__"])[0]
    eta = omega * point["eta_standard"][SUBJECT[rows], 0] if iiv else 0.0
    np.testing.assert_allclose(value, expected(eta), rtol=1e-12)
    assert graph.named_vars_to_dims["CL"] == ("interval",)


def test_new_covariate_values_can_be_put_in(population, points):
    graph = population.pymc
    density = graph.compile_logp(mode=FAST)
    before = density(points[0])
    try:
        graph.set_data("covariate_WT", np.full(5, 70.0))
        assert density(points[0] | {"CL_WT": np.array(3.0)}) == pytest.approx(
            density(points[0] | {"CL_WT": np.array(0.0)}) - 4.5, rel=1e-12
        )
    finally:
        graph.set_data("covariate_WT", WEIGHT)
    assert density(points[0]) == before


VALUES = {
    "omega": np.array([0.3, 0.2]),
    "CL_pop": 2.0,
    "V_pop": 10.0,
    "CL_WT": 0.75,
    "CL_FOOD": np.array([0.4]),
    "V_AGE": 0.01,
    "conc_additive": 0.5,
}


def test_densities_of_subjects_with_several_intervals(population):
    conditional = Conditional(population)
    z = np.array([[0.2, -0.1], [0.3, 0.1]]) / VALUES["omega"]
    point = {f"{name}_log__": np.log(VALUES[name]) for name in ("omega", "CL_pop", "V_pop")}
    point |= {name: VALUES[name] for name in ("CL_WT", "CL_FOOD", "V_AGE")}
    point["eta_standard"] = z
    each = stats.norm.logpdf([9.0, 8, 6, 5, 7, 3], predicted_by_hand(point), 0.5)
    theta = theta_of(conditional, VALUES)
    found, by_z = conditional.density(theta, z)
    expected = np.array([each[:4].sum(), each[4:].sum()]) + standard_log_density(z)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    for k in range(2):
        step = 1e-5 * np.eye(2)[k]
        above, below = (conditional.density(theta, z + s * step)[0] for s in (1, -1))
        np.testing.assert_allclose(by_z[:, k], (above - below) / 2e-5, rtol=1e-6)
    moved = conditional.density(theta, z + np.array([[0, 0], [0.1, 0]]))[0]
    assert np.flatnonzero(moved != found).tolist() == [1]


@pytest.mark.parametrize(
    ("carried", "rows", "starts"),
    [
        ("locf", [0, 0, 1, 1, 2, 2], ["a@0", "a@2", "a@3", "b@0", "b@2"]),
        ("nocb", [0, 1, 1, 2, 2, 2], ["a@0", "a@1", "a@2", "b@0", "b@1"]),
    ],
)
def test_other_times_keep_the_intervals(population, carried, rows, starts):
    data = data_of(carried=carried)
    times = {"a": np.array([0.5, 1.5, 2.0, 2.5, 3.5, 7.0])}
    grid = at_times(data, times)
    assert grid.covariate_interpolation == carried
    before, after = (parameter_rows(each, ["WT", "FOOD"]) for each in (data, grid))
    np.testing.assert_array_equal(after.subject, before.subject)
    np.testing.assert_array_equal(after.start, before.start)
    assert after.observation.tolist() == rows
    graph = build(population.model, data).pymc
    there = build(population.model, grid)
    assert list(graph.coords["interval"]) == list(there.pymc.coords["interval"]) == starts
    over = ("chain", "draw")
    CL = np.array([[[1.0, 2, 3, 4, 5], [2.0, 3, 4, 5, 6]]])
    draws = xr.Dataset(
        {"CL": ((*over, "interval"), CL), "V": ((*over, "subject"), np.full((1, 2, 2), 10.0))},
        {"chain": [0], "draw": [0, 1]},
    )
    found = predict_draws(there, draws, ["CL", "V"]).values
    expected = 10 * np.exp(-CL[..., rows] / 10 * times["a"])
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_intervals_of_one_time_are_told_apart():
    rows = [
        ("a", 0.0, 0, 50.0, "fed", 40.0, 9.0),
        ("a", 1e7 + 0.25, 0, 60.0, "fed", 40.0, 8.0),
        ("a", 1e7 + 0.25, 0, 70.0, "fed", 40.0, 7.0),
        ("a", 1e7 + 0.5, 0, 80.0, "fed", 40.0, 6.0),
    ]
    model = model_of(CL=[covariates.power("WT", reference=70)])
    labels = list(build(model, data_of(rows)).pymc.coords[names.INTERVAL])
    assert labels == ["a@0", "a@10000000.25", "a@10000000.25#2", "a@10000000.5"]
