from functools import partial

import pandas as pd
import pytest

import bayesnlme as bn
from bayesnlme.errors import Severity

check = partial(bn.check, identifiability=False)

COLUMNS = ["ID", "TIME", "EVID", "AMT", "CMT", "DV"]
ROWS = [
    [1, -1.0, 0, None, None, 0.1],
    [1, 0.0, 1, 100.0, 1, None],
    [1, 1.0, 0, None, None, 4.0],
    [2, 0.0, 1, 100.0, 1, None],
    [2, 2.0, 0, None, None, 3.0],
]


def data_of(rows=ROWS):
    return bn.read_data(pd.DataFrame(rows, columns=COLUMNS))


def model_of(residual, typical=30.0):
    return bn.Model(
        name="check",
        parameters={"CL": bn.LogNormal(3.0, iiv=0.3), "V": bn.LogNormal(typical)},
        structure=bn.pk.one_compartment(),
        observations={"conc": residual},
    )


def errors(found):
    return [each for each in found if each.severity is Severity.ERROR]


def test_nothing_is_said_of_a_sound_model_and_table():
    assert errors(check(model_of(bn.additive(1.0)), data_of())) == []


def test_what_reading_noticed_is_told_again():
    data = data_of()
    assert data.findings
    assert check(model_of(bn.additive(1.0)), data)[: len(data.findings)] == data.findings


@pytest.mark.parametrize("residual", [bn.proportional(0.2), bn.log_normal(0.2)])
def test_a_prediction_of_zero_before_the_first_dose(residual):
    (finding,) = errors(check(model_of(residual), data_of()))
    assert finding.code == "E_START_DENSITY"
    assert (finding.row, finding.subject) == (1, "1")
    assert "predicted as 0" in finding.message
    assert "combined error" in finding.remedy


@pytest.mark.parametrize("residual", [bn.additive(0.2), bn.combined(additive=1, proportional=0.1)])
def test_a_prediction_of_zero_is_no_trouble_with_an_additive_part(residual):
    assert errors(check(model_of(residual), data_of())) == []


def test_without_the_early_sample_there_is_no_trouble():
    assert errors(check(model_of(bn.log_normal(0.2)), data_of(ROWS[1:]))) == []


def test_what_the_structure_cannot_express_is_found():
    rows = [list(row) for row in ROWS]
    rows[3][4] = 4
    (finding,) = errors(check(model_of(bn.additive(1.0)), data_of(rows)))
    assert (finding.code, finding.row, finding.column) == ("E_COMPARTMENT_UNKNOWN", 4, "CMT")
    assert finding.remedy


def test_nothing_is_changed():
    model, data = model_of(bn.additive(1.0)), data_of()
    before = model.hash, data.hash
    check(model, data)
    assert (model.hash, data.hash) == before


def test_a_subject_that_cannot_be_solved_is_named_with_the_reason(data, ode_model):
    structure = ode_model.structure.with_solver(bn.Solver(method="tsit5", max_steps=2))
    model = ode_model.replace(structure=structure)
    found = [each for each in check(model, data) if each.severity == "error"]
    assert [each.subject for each in found] == list(data.subjects)
    assert {each.code for each in found} == {"E_START_SOLVE"}
    assert "2 steps were not enough, and t=" in found[0].message


def test_a_value_below_the_limit_before_the_first_dose_is_no_trouble():
    frame = pd.DataFrame(ROWS, columns=COLUMNS).assign(CENS=[1, 0, 0, 0, 0])
    for residual in (bn.proportional(0.2), bn.log_normal(0.2)):
        assert errors(check(model_of(residual), bn.read_data(frame))) == []


def test_a_censored_value_that_cannot_be_is_told_with_its_bounds():
    frame = pd.DataFrame(ROWS, columns=COLUMNS).assign(CENS=[-1, 0, 0, 0, 0])
    (finding,) = errors(check(model_of(bn.proportional(0.2)), bn.read_data(frame)))
    assert "a value between 0.1 and inf was observed" in finding.message


def test_a_count_whose_mean_is_zero():
    rows = [list(row) for row in ROWS]
    rows[0][5], rows[2][5] = 1, 4
    (finding,) = errors(check(model_of(bn.poisson()), data_of(rows)))
    assert (finding.code, finding.row) == ("E_START_DENSITY", 1)
    assert "mean" in finding.remedy
