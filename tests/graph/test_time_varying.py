"""Time-varying covariates from the table to the density, through closed forms and equations."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bayesnlme as bn

PUBLISHED = Path(__file__).parents[3] / "shared/data/published"
FAST = "FAST_COMPILE"


def equations(**more):
    return bn.ode(
        lambda t, y, p: {
            "depot": -p.ka * y.depot,
            "central": p.ka * y.depot - p.CL / p.V * y.central,
        },
        states=("depot", "central"),
        outputs={"conc": lambda t, y, p: y.central / p.V},
        solver=bn.Solver(method="tsit5", rtol=1e-9, atol=1e-9),
        **more,
    )


STRUCTURES = {
    "closed form": lambda: bn.pk.one_compartment(absorption="first_order"),
    "equations": equations,
}


@pytest.mark.skipif(not PUBLISHED.exists(), reason="development data are not here")
@pytest.mark.parametrize("structure", STRUCTURES)
def test_concentrations_of_nonmem_under_a_changing_weight(structure):
    """CL 1.1 (WT/70)^0.75, V 20, KA 1.5; NONMEM's CP is 1000 times amount over volume."""
    frame = pd.read_csv(PUBLISHED / "nonmem_time_varying.csv")
    table = frame.assign(DV=(frame.CP_NONMEM / 1000).where(frame.EVID == 0))
    options = {"covariates": ["WT"], "outputs": {1: "conc"}}
    data = bn.read_data(table, covariate_interpolation="nocb", **options)
    weight = bn.covariates.power("WT", reference=70, exponent=0.75)
    model = bn.Model(
        name="changing weight",
        parameters={
            "ka": bn.LogNormal(bn.fixed(1.5)),
            "CL": bn.LogNormal(bn.fixed(1.1), covariates=[weight]),
            "V": bn.LogNormal(bn.fixed(20.0)),
        },
        structure=STRUCTURES[structure](),
        observations={"conc": bn.additive(1.0)},
    )
    graph = bn.build(model, data).pymc
    np.testing.assert_allclose(graph["CL"].eval(), frame.CL_NONMEM[1:], rtol=5e-5)
    found = graph["prediction"].eval(mode=FAST)
    np.testing.assert_allclose(found, data.observations.value, rtol=5e-4)


def growing(carried):
    """Two subjects whose weight changes between, at and after doses, one through a reset."""
    columns = ["ID", "TIME", "EVID", "AMT", "CMT", "RATE", "II", "ADDL", "SS", "DV", "WT"]
    rows = [
        (1, 0.0, 1, 100.0, 1, 0, 8, 3, 0, np.nan, 50.0),
        (1, 3.0, 0, 0, 2, 0, 0, 0, 0, 4.0, 50.0),
        (1, 7.0, 2, 0, 2, 0, 0, 0, 0, np.nan, 60.0),
        (1, 11.0, 0, 0, 2, 0, 0, 0, 0, 5.0, 60.0),
        (1, 15.0, 0, 0, 2, 0, 0, 0, 0, 4.5, 75.0),
        (1, 20.0, 1, 40.0, 2, 8.0, 0, 0, 0, np.nan, 80.0),
        (1, 23.0, 0, 0, 2, 0, 0, 0, 0, 6.0, 80.0),
        (1, 40.0, 0, 0, 2, 0, 0, 0, 0, 2.0, 90.0),
        (2, 0.0, 1, 80.0, 1, 0, 12, 1, 1, np.nan, 90.0),
        (2, 5.0, 0, 0, 2, 0, 0, 0, 0, 5.0, 80.0),
        (2, 14.0, 0, 0, 2, 0, 0, 0, 0, 6.0, 70.0),
        (2, 16.0, 4, 60.0, 2, 0, 0, 0, 0, np.nan, 65.0),
        (2, 18.0, 0, 0, 2, 0, 0, 0, 0, 2.5, 65.0),
        (2, 22.0, 0, 0, 2, 0, 0, 0, 0, 2.0, 55.0),
    ]
    table = pd.DataFrame(rows, columns=columns)
    return bn.read_data(table, covariate_interpolation=carried, outputs={1: "conc"})


def model_of(structure):
    return bn.Model(
        name="growing",
        parameters={
            "ka": bn.LogNormal(1.1, iiv=0.3),
            "CL": bn.LogNormal(2.0, iiv=0.2, covariates=[bn.covariates.power("WT", reference=70)]),
            "V": bn.LogNormal(
                15.0, iiv=0.2, covariates=[bn.covariates.exponential("WT", reference=70)]
            ),
        },
        structure=structure,
        observations={"conc": bn.additive(0.5)},
    )


def points_of(graph, count):
    rng = np.random.default_rng(11)
    start = graph.initial_point()
    return [
        {name: value + rng.normal(0, 0.2, value.shape) for name, value in start.items()}
        for _ in range(count)
    ]


def central_difference(density, point, name, entry, step=4e-4):
    moved = np.zeros_like(point[name], dtype=float)
    moved.reshape(-1)[entry] = step
    near, far = (
        density(point | {name: point[name] + n * moved})
        - density(point | {name: point[name] - n * moved})
        for n in (1, 2)
    )
    return (8 * near - far) / (12 * step)


@pytest.mark.parametrize("carried", ["locf", "nocb"])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_gradient_through_a_changing_covariate_equals_differences(structure, carried):
    assert_gradient_equals_differences(
        bn.build(model_of(STRUCTURES[structure]()), growing(carried)).pymc
    )


def assert_gradient_equals_differences(graph):
    density, gradient = graph.compile_logp(mode=FAST), graph.compile_dlogp(mode=FAST)
    for point in points_of(graph, 2):
        expected = [
            central_difference(density, point, name, entry)
            for name, value in point.items()
            for entry in range(value.size)
        ]
        np.testing.assert_allclose(gradient(point), expected, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("carried", ["locf", "nocb"])
def test_gradient_where_lag_and_bioavailability_change_too(carried):
    """Each dose has the lag and the bioavailability of the row in force at its nominal time."""
    weight, late = bn.covariates.power("WT", reference=70), bn.covariates.linear("WT", reference=70)
    plain = model_of(equations())
    more = {
        "tlag": bn.LogNormal(0.7, iiv=0.2, covariates=[weight]),
        "F": bn.LogitNormal(0.6, covariates=[late]),
    }
    structure = equations(lag={"depot": "tlag"}, bioavailability={"depot": "F"})
    model = plain.replace(structure=structure, parameters={**plain.parameters, **more})
    graph = bn.build(model, growing(carried)).pymc
    assert_gradient_equals_differences(graph)


@pytest.mark.parametrize("carried", ["locf", "nocb"])
def test_closed_form_and_equations_agree(carried):
    data = growing(carried)
    closed, solved = (bn.build(model_of(make()), data).pymc for make in STRUCTURES.values())
    densities = [each.compile_logp(mode=FAST) for each in (closed, solved)]
    gradients = [each.compile_dlogp(mode=FAST) for each in (closed, solved)]
    for point in points_of(closed, 3):
        one, other = (each(point) for each in densities)
        assert other == pytest.approx(one, rel=1e-7)
        one, other = (each(point) for each in gradients)
        np.testing.assert_allclose(other, one, rtol=1e-6, atol=1e-6 * np.abs(one).max())


def test_how_covariates_are_carried_matters():
    forward, backward = (
        bn.build(model_of(STRUCTURES["closed form"]()), growing(carried)).pymc
        for carried in ("locf", "nocb")
    )
    point = points_of(forward, 1)[0]
    one, other = (each.compile_logp(mode=FAST)(point) for each in (forward, backward))
    assert one != pytest.approx(other, rel=1e-3)
