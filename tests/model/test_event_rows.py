"""Rows of times to events next to a model: what each table says, and what is refused."""

import numpy as np
import pandas as pd
import pytest

import bayesnlme as bn
from bayesnlme.errors import DataError, ModelError
from bayesnlme.model.event_rows import risk_starts, rows_before
from bayesnlme.model.matching import table_findings

GOOD = {"ID": [1, 1, 2, 2, 3, 3, 3], "TIME": [0, 4, 0, 6, 0, 2, 5], "DV": [0, 1, 0, 0, 0, 0, 2]}


def model_of(*, repeated=False):
    return bn.Model(
        name="rows",
        parameters={"Te": bn.LogNormal(5.0), "shape": bn.LogNormal(1.2)},
        structure=bn.hazard.weibull(output="death"),
        observations={"death": bn.time_to_event(repeated=repeated)},
    )


def found(rows, **options):
    data = bn.read_data(pd.DataFrame(rows))
    return [(each.code, each.row) for each in table_findings(model_of(**options), data)]


def changed(place, **cells):
    rows = {name: list(column) for name, column in GOOD.items()}
    for name, value in cells.items():
        rows[name][place] = value
    return rows


def test_a_good_table_has_no_findings():
    assert found(GOOD) == []


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (changed(0, DV=1), [("E_EVENT_AFTER", 2), ("E_RISK_START", 1)]),
        (changed(1, DV=3), [("E_DV_IMPOSSIBLE", 2)]),
        (changed(1, DV=0.5), [("E_DV_IMPOSSIBLE", 2)]),
        (changed(1, DV=-1), [("E_DV_IMPOSSIBLE", 2)]),
        (changed(5, DV=1), [("E_EVENT_AFTER", 7)]),
        (changed(6, TIME=2), [("E_EVENT_NO_TIME", 7)]),
        ({"ID": [1, 1, 2], "TIME": [0, 4, 3], "DV": [0, 1, 0]}, [("E_RISK_ALONE", 3)]),
        ({"ID": [1, 2], "TIME": [4, 3], "DV": [1, 1]}, [("E_RISK_START", 1), ("E_RISK_START", 2)]),
        ({"ID": [1, 1], "TIME": [0, 3], "DV": [0, 0]}, [("W_EVENT_NEVER", None)]),
    ],
)
def test_what_is_wrong_is_said_of_its_row(rows, expected):
    assert sorted(found(rows)) == expected


def test_an_event_that_repeats_may_be_followed():
    assert found(changed(5, DV=1), repeated=True) == []


def test_right_censoring_marked_twice_says_what_to_do():
    data = bn.read_data(pd.DataFrame(GOOD | {"CENS": [0, 0, 0, 1, 0, 0, 0]}))
    (finding,) = table_findings(model_of(), data)
    assert finding.code == "E_CENSORING_UNSUPPORTED"
    assert "DV 0 at a subject's last row says the same" in finding.remedy


def test_time_that_goes_back_is_refused_with_the_table():
    with pytest.raises(DataError, match="E_TIME_BACK"):
        bn.read_data(pd.DataFrame(changed(6, TIME=1)))


def test_a_late_entry_is_told_once():
    rows = {
        "ID": [1, 1, 1, 2, 2, 2],
        "TIME": [0, 3, 8, 0, 2, 9],
        "DV": [np.nan, 0, 1, np.nan, 0, 1],
    }
    rows["EVID"] = [2, 0, 0, 2, 0, 0]
    data = bn.read_data(pd.DataFrame(rows))
    (finding,) = table_findings(model_of(), data)
    assert (finding.code, finding.row, finding.subject) == ("W_RISK_LATE", 2, "1")
    assert "of 2 subjects" in finding.message


@pytest.mark.parametrize(("column", "cell"), [("EVID", 4), ("SS", 1)])
def test_what_would_empty_the_accumulated_hazard_is_refused(column, cell):
    dose = {"ID": 1, "TIME": 0.0, "EVID": 1, "AMT": 10.0, "DV": np.nan, "SS": 0, "II": 0.0}
    dose |= {column: cell} | ({"II": 12.0} if column == "SS" else {})
    rows = [dose, {**dose, "EVID": 0, "AMT": 0, "SS": 0, "II": 0, "DV": 0}]
    rows.append(rows[1] | {"TIME": 5.0, "DV": 1})
    data = bn.read_data(pd.DataFrame(rows).assign(CMT=1))
    model = bn.Model(
        name="driven",
        parameters={n: bn.LogNormal(1.0) for n in ("CL", "V", "h0", "beta")},
        structure=bn.hazard.constant(bn.pk.one_compartment(), output="death"),
        observations={"death": bn.time_to_event()},
    )
    (finding,) = table_findings(model, data)
    assert (finding.code, finding.row) == ("E_EVENT_RESET", 1)


def test_rows_know_the_one_before():
    rows = GOOD | {"DVID": [1, 1, 1, 1, 2, 2, 2]}
    data = bn.read_data(pd.DataFrame(rows))
    assert rows_before(data, [0, 1]).tolist() == [-1, 0, -1, 2, -1, 4, 5]
    assert rows_before(data, [1]).tolist() == [-1, -1, -1, -1, -1, 4, 5]
    assert risk_starts(data, ["2"]).tolist() == [False] * 4 + [True, False, False]
    assert not risk_starts(data, []).any()


def test_names_of_an_event_may_not_be_taken():
    parameters = {"death_hazard": bn.LogNormal(1.0)}
    structure = bn.curve(lambda t, p: p.death_hazard * t, output="death")
    with pytest.raises(ModelError, match="death_hazard"):
        model_of().replace(parameters=parameters, structure=structure)


def test_only_functions_of_time_and_equations_have_hazards():
    class Unknown:
        parameters, outputs, compartments, balances, shares = (
            ("Te", "shape"),
            ("death",),
            (),
            (),
            (),
        )

        def inputs(self, data, rows=None): ...
        def predict(self, parameters, inputs): ...
        def equations(self): ...
        def to_dict(self): ...

    with pytest.raises(ModelError, match="cannot integrate a hazard"):
        model_of().replace(structure=Unknown())
