"""The simulator itself: against NONMEM, against doses written out, against differences."""

import json

import numpy as np
import pytest

from tests.reference import nonmem
from tests.reference.cases import again, all_cases, dose, see, steady, table
from tests.reference.flows import Collocation, Scipy, exponential, radau
from tests.reference.make_bank import BANK, rows_in_force
from tests.reference.models import MODELS, VALUES
from tests.reference.simulate import simulate

CASES = {case.name: case for case in all_cases()}


@pytest.mark.skipif(not nonmem.DOSING.exists(), reason="development data are not here")
def test_concentrations_of_nonmem():
    """Five digits are given: 5e-5 is their rounding."""
    subjects = nonmem.dosing_subjects()
    assert len(subjects) == 40
    for each in subjects:
        found = simulate(nonmem.ORAL, each.table, each.parameters, flow=exponential, gradient=False)
        np.testing.assert_allclose(
            found.value, each.concentration, rtol=6e-5, atol=1e-3, err_msg=each.name
        )


@pytest.mark.skipif(not nonmem.TIME_VARYING.exists(), reason="development data are not here")
def test_concentrations_of_nonmem_while_weight_changes():
    each = nonmem.time_varying_subject()
    found = simulate(nonmem.ORAL, each.table, each.parameters, flow=exponential, gradient=False)
    np.testing.assert_allclose(found.value, each.concentration, rtol=6e-5, atol=1e-3)


STEADY = {
    "bolus": (dose("bolus", 0.0, "depot", 50.0), 6.0, {}),
    "bolus, lag beyond the interval": (dose("bolus", 0.0, "depot", 50.0), 6.0, {"tlag": 20.5}),
    "infusion": (dose("infusion", 0.0, "central", 40.0, rate=11.0), 8.0, {}),
    "long infusion": (dose("infusion", 0.0, "central", 60.0, rate=4.0), 6.0, {}),
    "long infusion, lag beyond the interval": (
        dose("infusion", 0.0, "central", 60.0, rate=4.0),
        6.0,
        {"delay": 8.2},
    ),
    "modelled duration": (dose("duration", 0.0, "central", 40.0), 4.0, {}),
}


@pytest.mark.parametrize("model", ["oral", "michaelis_menten"])
@pytest.mark.parametrize("name", STEADY)
def test_steady_state_is_a_long_row_of_doses(name, model):
    """The slowest rate is 0.11/h (linear) and 0.9/h: little is left of the first dose."""
    first, interval, more = STEADY[name]
    flow, hours = (exponential, 450) if model == "oral" else (Collocation(tolerance=1e-10), 60)
    values = [VALUES[model] | more | ({} if model == "oral" else {"Vmax": 45.0})]
    seen = see(0.7, 3.1, 7.9, 13.0, 30.0)
    cycles = round(hours / interval)
    early = {**first, "time": -cycles * interval}
    written_out = simulate(
        MODELS[model], table(early, again(early, interval, cycles), seen), values, flow=flow
    )
    found = simulate(MODELS[model], table(steady(first, interval), seen), values, flow=flow)
    np.testing.assert_allclose(found.value, written_out.value, rtol=1e-11)
    scale = np.max(np.abs(written_out.gradient), axis=0)
    assert np.all(np.abs(found.gradient - written_out.gradient) <= 1e-9 * scale)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("oral: lags reorder doses", MODELS["oral"].parameters),
        ("oral: modelled duration", ("CL", "share", "D")),
        ("oral: modelled rate", ("share", "R")),
        ("oral: steady state of long infusions with a lag beyond the interval", ("CL", "delay")),
        ("oral: parameters change twice", MODELS["oral"].parameters),
        ("michaelis_menten: lags reorder doses", ("tlag", "delay", "Km")),
        ("michaelis_menten: modelled duration", ("D", "Vmax")),
    ],
)
def test_derivatives_are_differences(name, parameters):
    """Central differences, extrapolated once: their error is about 1e-9 of the largest value."""
    case = CASES[name]
    model = MODELS[case.model]
    flow = exponential if model.linear else Collocation(stages=5, tolerance=1e-12)
    exact = simulate(model, case.table, case.parameters, flow=flow)

    def moved(row, parameter, step):
        values = [dict(each) for each in case.parameters]
        values[row][parameter] *= 1 + step
        return simulate(model, case.table, values, flow=flow, gradient=False).value

    for row, values in enumerate(case.parameters):
        for parameter in parameters:
            wide, narrow = (
                (moved(row, parameter, step) - moved(row, parameter, -step)) / (2 * step)
                for step in (2e-3, 1e-3)
            )
            found = exact.gradient[:, row, model.parameters.index(parameter)] * values[parameter]
            np.testing.assert_allclose(
                found, (4 * narrow - wide) / 3, rtol=1e-7, atol=1e-8 * np.max(np.abs(exact.value))
            )


def test_radau_matrices():
    """The two-stage method as printed by Hairer and Wanner, IV.5, table 5.5."""
    nodes, matrix = radau(2)
    np.testing.assert_allclose(np.float64(nodes), [1 / 3, 1], rtol=1e-15)
    np.testing.assert_allclose(np.float64(matrix), [[5 / 12, -1 / 12], [3 / 4, 1 / 4]], rtol=1e-15)


def test_three_flows_agree():
    case = CASES["oral: reset and dose"]
    flows = (Collocation(), exponential, Scipy("DOP853"))
    found = [simulate(MODELS["oral"], case.table, case.parameters, flow=flow) for flow in flows]
    for other in found[1:]:
        np.testing.assert_allclose(other.value, found[0].value, rtol=1e-12)
        np.testing.assert_allclose(other.gradient, found[0].gradient, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(
    "name",
    [
        "bolus: one dose",
        "oral: steady state calls off what runs and pends",
        "parallel: samples before and after a dose at its time",
        "sir: influenza at a school",
    ],
)
def test_the_bank_holds_what_the_simulator_gives(name):
    bank = json.loads(BANK.read_text())
    stored = next(each for each in bank["cases"] if each["name"] == name)
    case = CASES[name]
    assert case.table == stored["table"]
    found = simulate(MODELS[case.model], case.table, case.parameters)
    np.testing.assert_allclose(found.value, stored["prediction"], rtol=1e-13)
    pairs = [found.gradient[j, r] for j, n in enumerate(rows_in_force(case)) for r in range(n)]
    scale = np.max(np.abs(pairs), axis=0)
    assert np.all(np.abs(np.array(pairs) - stored["gradient"]) <= 1e-13 * scale)


def test_every_case_has_its_own_name_and_agrees_by_two_routes():
    bank = json.loads(BANK.read_text())
    found = [each["name"] for each in bank["cases"]]
    assert len(found) == len(set(found))
    assert found == list(CASES)
    for each in bank["cases"]:
        assert each["accuracy"]["prediction"] <= 1e-13
        assert each["accuracy"]["gradient"] <= 1e-12
        assert each["second_route"]["difference"]["prediction"] <= 1e-11
        assert each["second_route"]["difference"]["gradient"] <= 1e-10
