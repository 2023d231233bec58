"""Every record of a table as the solver sees it, against hand-written arrays and plain loops."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytensor.tensor as pt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm

from bayesnlme.data import read_data
from bayesnlme.data.rows import parameter_rows
from bayesnlme.errors import DataError
from bayesnlme.odes.problem import problem_from_text
from bayesnlme.odes.schedule import REAL_FIELDS, Kind, Schedule
from bayesnlme.odes.solver import Solver
from bayesnlme.structural.custom import OdeStructure
from bayesnlme.structural.schedule import make_schedule

PUBLISHED = Path(__file__).parents[3] / "shared/data/published"
PLAIN = {
    "ID": 1, "TIME": 0.0, "EVID": 0, "AMT": 0.0, "CMT": None, "RATE": 0.0,
    "II": 0.0, "ADDL": 0, "SS": 0, "DVID": None, "DV": None, "WT": 70.0,
}  # fmt: skip


def dose(time, amount=10.0, **more):
    return PLAIN | {"TIME": time, "EVID": 1, "AMT": amount, "CMT": 1} | more


def sample(time, value=1.0, **more):
    return PLAIN | {"TIME": time, "DV": value, "DVID": "conc"} | more


def reset(time, **more):
    return PLAIN | {"TIME": time, "EVID": 3} | more


def data_of(*records, carried="locf"):
    return read_data(pd.DataFrame(list(records)), covariate_interpolation=carried)


def oral(**more):
    return problem_from_text(
        rhs={"depot": "-ka*depot", "central": "ka*depot - CL/V*central"},
        outputs={"conc": "central/V", "amount": "central"},
        **more,
    )


@pytest.fixture(scope="module")
def problem():
    return oral(duration={"central": "D2"}, rate={"depot": "R1"})


def records_of(schedule):
    """List the records as (kind, time, order, row)."""
    columns = (
        getattr(schedule, f"record_{name}").tolist() for name in ("kind", "time", "order", "row")
    )
    return [(Kind(kind).name, *rest) for kind, *rest in zip(*columns, strict=True)]


def pairs_of(schedule):
    """List the rows that each observation depends on."""
    ends = schedule.pair_offsets
    return [schedule.pair_row[a:b].tolist() for a, b in pairwise(ends)]


def test_subjects_without_changes_have_one_row_each(problem):
    data = data_of(
        dose(0.0, 5.0),
        sample(1.0),
        sample(3.0, 2.0, ID=2),
        dose(-1.0, ID=3),
        sample(1.0, ID=3),
    )
    schedule = make_schedule(problem, data)
    assert schedule.start_time.tolist() == [0, 3, -1]
    assert schedule.start_row.tolist() == [0, 1, 2]
    assert schedule.record_offsets.tolist() == [0, 1, 1, 2]
    assert records_of(schedule) == [("BOLUS", 0, 0, 0), ("BOLUS", -1, 6, 2)]
    assert schedule.observation_offsets.tolist() == [0, 1, 2, 3]
    assert schedule.observation_order.tolist() == [2, 4, 8]
    assert pairs_of(schedule) == [[0], [1], [2]]
    for name, array in schedule._asdict().items():
        assert array.dtype == (np.float64 if name in REAL_FIELDS else np.int64), name
    again = make_schedule(problem, data, parameter_rows(data, ["WT"]))
    for name in Schedule._fields:
        np.testing.assert_array_equal(getattr(again, name), getattr(schedule, name))


CHANGING = [
    dose(0.0, WT=50),
    sample(2.0, WT=50),
    sample(4.0, WT=60),
    sample(6.0, WT=60),
    sample(8.0, WT=70),
    dose(0.0, ID=2, WT=90),
    sample(1.0, ID=2, WT=90),
]


@pytest.mark.parametrize(
    ("carried", "changes"),
    [
        ("locf", [("ROW", 4, 3, 1), ("ROW", 8, 7, 2)]),
        ("nocb", [("ROW", 2, 3, 1), ("ROW", 6, 7, 2)]),
    ],
)
def test_a_change_comes_just_before_a_record_or_just_after_one(problem, carried, changes):
    data = data_of(*CHANGING, carried=carried)
    schedule = make_schedule(problem, data, parameter_rows(data, ["WT"]))
    assert records_of(schedule) == [("BOLUS", 0, 0, 0), *changes, ("BOLUS", 0, 10, 3)]
    assert schedule.start_row.tolist() == [0, 3]
    assert schedule.record_offsets.tolist() == [0, 3, 4]
    assert schedule.observation_order.tolist() == [2, 4, 6, 8, 12]
    assert pairs_of(schedule) == [[0], [0, 1], [0, 1], [0, 1, 2], [3]]
    turned = schedule.record_kind == Kind.ROW
    for name in ("compartment", "amount", "rate", "interval", "steady_state"):
        assert not getattr(schedule, f"record_{name}")[turned].any()


def test_changes_among_records_of_one_time(problem):
    """Samples before, between and after two doses of the same time, each with its own weight."""
    records = [
        sample(1.0, 1.0, WT=50),
        dose(1.0, 10.0, WT=60),
        sample(1.0, 2.0, WT=60),
        dose(1.0, 20.0, WT=70),
        sample(1.0, 3.0, WT=80),
    ]
    expected = [
        ("ROW", 1, 1, 1),
        ("BOLUS", 1, 2, 1),
        ("ROW", 1, 5, 2),
        ("BOLUS", 1, 6, 2),
        ("ROW", 1, 7, 3),
    ]
    for carried in ("locf", "nocb"):
        data = data_of(*records, carried=carried)
        schedule = make_schedule(problem, data, parameter_rows(data, ["WT"]))
        assert records_of(schedule) == expected
        assert pairs_of(schedule) == [[0], [0, 1], [0, 1, 2, 3]]


@pytest.mark.parametrize(
    ("carried", "expected"),
    [
        ("locf", [("BOLUS", 0, 0, 0), ("BOLUS", 4, 0, 0), ("ROW", 4, 1, 1), ("BOLUS", 8, 0, 0)]),
        ("nocb", [("BOLUS", 0, 0, 0), ("ROW", 0, 1, 1), ("BOLUS", 4, 0, 0), ("BOLUS", 8, 0, 0)]),
    ],
)
def test_additional_doses_stand_before_the_records_of_their_time(problem, carried, expected):
    records = [dose(0.0, II=4, ADDL=2, WT=50), sample(4.0, WT=60), sample(9.0, WT=60)]
    data = data_of(*records, carried=carried)
    assert records_of(make_schedule(problem, data, parameter_rows(data, ["WT"]))) == expected


@pytest.mark.parametrize("carried", ["locf", "nocb"])
def test_a_reset_begins_anew_with_the_row_of_its_record(problem, carried):
    records = [
        dose(0.0, II=3, ADDL=9, WT=50),
        reset(4.0, WT=60),
        dose(6.0, 5.0, EVID=4, WT=60),
        dose(7.0, 0.0, EVID=4, WT=70),
        sample(8.0, WT=70),
    ]
    data = data_of(*records, carried=carried)
    found = records_of(make_schedule(problem, data, parameter_rows(data, ["WT"])))
    plain = [each for each in found if each[0] != "ROW"]
    assert plain == [
        ("BOLUS", 0, 0, 0),
        ("BOLUS", 3, 0, 0),
        ("RESET", 4, 2, 1),
        ("RESET", 6, 4, 1),
        ("BOLUS", 6, 4, 1),
        ("RESET", 7, 6, 2),
    ]
    changes = [each for each in found if each[0] == "ROW"]
    times = (4, 7) if carried == "locf" else (0, 6)
    assert changes == [("ROW", times[0], 1, 1), ("ROW", times[1], 5, 2)]


@pytest.mark.parametrize(
    ("given", "kind", "compartment", "amount", "rate"),
    [
        ({"CMT": 1}, Kind.BOLUS, 0, 10, 0),
        ({"CMT": "central"}, Kind.DURATION, 1, 10, 0),
        ({"CMT": 2, "AMT": 0.0}, Kind.BOLUS, 1, 0, 0),
        ({"CMT": 2, "RATE": 4.0}, Kind.INFUSION, 1, 10, 4),
        ({"CMT": 1, "RATE": 4.0}, Kind.INFUSION, 0, 10, 4),
        ({"CMT": 1, "RATE": -1}, Kind.RATE, 0, 10, 0),
        ({"CMT": 2, "RATE": -2}, Kind.DURATION, 1, 10, 0),
    ],
)
def test_kinds_of_doses(problem, given, kind, compartment, amount, rate):
    data = data_of(dose(0.0, **given), sample(1.0))
    schedule = make_schedule(problem, data, zero_order=["central"])
    assert schedule.record_kind.tolist() == [kind]
    assert schedule.record_compartment.tolist() == [compartment]
    assert schedule.record_amount.tolist() == [amount]
    assert schedule.record_rate.tolist() == [rate]
    assert schedule.record_steady_state.tolist() == [0]


def test_steady_states(problem):
    data = data_of(
        dose(0.0, 10.0, SS=1, II=12, ADDL=1),
        dose(30.0, 5.0, SS=2, II=24, RATE=1.0),
        dose(40.0, 0.0, SS=1, RATE=3.0),
        dose(50.0, 0.0, SS=1, II=8, EVID=4),
        sample(60.0),
    )
    schedule = make_schedule(problem, data)
    names = ("time", "kind", "amount", "rate", "interval", "steady_state")
    found = zip(*(getattr(schedule, f"record_{name}").tolist() for name in names), strict=True)
    assert list(found) == [
        (0, Kind.BOLUS, 10, 0, 12, 1),
        (12, Kind.BOLUS, 10, 0, 0, 0),
        (30, Kind.INFUSION, 5, 1, 24, 2),
        (40, Kind.INFUSION, 0, 3, 0, 1),
        (50, Kind.RESET, 0, 0, 0, 0),
        (50, Kind.BOLUS, 0, 0, 8, 1),
    ]


def refused(*records, **more):
    with pytest.raises(DataError) as caught:
        make_schedule(oral(rate={"depot": "R1"}), data_of(*records), **more)
    return [
        (each.code, each.subject, each.row, each.column)
        for each in caught.value.findings
        if each.message and each.remedy
    ]


def test_what_is_left_to_the_model_must_be_in_the_model():
    records = [
        dose(0.0, RATE=-1),
        dose(1.0, RATE=-2, II=1, ADDL=3),
        dose(2.0, RATE=-1, CMT=2),
        sample(9.0),
        dose(3.0, CMT="central", ID="b"),
        sample(9.0, ID="b"),
    ]
    unmodelled = [
        ("E_DURATION_UNMODELLED", "1", 2, "RATE"),
        ("E_RATE_UNMODELLED", "1", 3, "RATE"),
    ]
    assert refused(*records) == unmodelled
    spread = ("E_DURATION_UNMODELLED", "b", 5, "RATE")
    assert refused(*records, zero_order=["central"]) == [*unmodelled, spread]


def test_compartments_and_outputs_that_are_not_there():
    assert refused(dose(0.0, CMT=3), dose(1.0, CMT="gut"), sample(2.0)) == [
        ("E_COMPARTMENT_UNKNOWN", "1", 1, "CMT"),
        ("E_COMPARTMENT_UNKNOWN", "1", 2, "CMT"),
    ]
    assert refused(sample(1.0), sample(2.0, DVID="cnc")) == [
        ("E_OUTPUT_UNKNOWN", None, None, "DVID")
    ]


def test_outputs_are_matched_by_name_and_a_lone_one_with_a_lone_one(problem):
    data = data_of(sample(1.0, DVID="amount"), sample(2.0))
    assert make_schedule(problem, data).observation_output.tolist() == [1, 0]
    lone = problem_from_text(rhs={"y": "-k*y"}, outputs={"signal": "y"})
    assert make_schedule(lone, data_of(sample(1.0))).observation_output.tolist() == [0]


EVENT = st.tuples(
    st.integers(1, 3),  # subject
    st.integers(0, 6),  # time
    st.sampled_from(["sample", "dose", "other", "reset"]),
    st.integers(50, 52),  # weight
    st.integers(0, 3),  # additional doses
)


@settings(deadline=None, max_examples=100)
@given(events=st.lists(EVENT, min_size=1, max_size=14), carried=st.sampled_from(["locf", "nocb"]))
def test_walking_through_a_schedule_meets_the_row_of_every_record(events, carried):
    """Follow the changes of row in order: observations name the row then in force."""
    data = random_data(events, carried)
    rows = parameter_rows(data, ["WT"])
    schedule = make_schedule(oral(), data, rows)
    for i in range(data.n_subjects):
        records = range(*schedule.record_offsets[i : i + 2])
        seen = range(*schedule.observation_offsets[i : i + 2])
        events = [(schedule.record_time[r], schedule.record_order[r], 0, r) for r in records]
        assert events == sorted(events)
        events += [
            (schedule.observation_time[j], schedule.observation_order[j], 1, j) for j in seen
        ]
        row, passed = schedule.start_row[i], []
        for _, _, is_seen, k in sorted(events):
            if is_seen:
                pairs = schedule.pair_row[slice(*schedule.pair_offsets[k : k + 2])]
                assert pairs.tolist() == [*passed, row]
                assert rows.observation[k] == row
            elif schedule.record_kind[k] == Kind.ROW:
                assert schedule.record_row[k] == row + 1
                passed.append(row)
                row = schedule.record_row[k]
            else:
                asked = rows.of_record[schedule.record_order[k] // 2]
                assert schedule.record_row[k] == asked <= row
        assert row + 1 == (rows.subject <= i).sum()


def random_data(events, carried):
    records = [sample(9.0, ID=who) for who in (1, 2, 3)]
    for number, (who, time, word, weight, additional) in enumerate(events):
        place = {"ID": who, "WT": weight}
        repeated = {"II": 1.5 if additional else 0, "ADDL": additional}
        records.append(
            {
                "sample": sample(float(time), number + 2.0, **place),
                "dose": dose(float(time), number + 1.0, **place, **repeated),
                "other": PLAIN | {"TIME": float(time), "EVID": 2} | place,
                "reset": reset(float(time), **place),
            }[word]
        )
    ordered = sorted(records, key=lambda each: (each["ID"], each["TIME"]))
    unlike = pd.DataFrame(ordered).drop_duplicates()
    return read_data(unlike, covariate_interpolation=carried)


@pytest.mark.skipif(not PUBLISHED.exists(), reason="development data are not here")
@pytest.mark.parametrize(("carried", "agrees"), [("nocb", True), ("locf", False)])
def test_concentrations_of_nonmem_under_a_changing_weight_follow_from_the_schedule(carried, agrees):
    """CL 1.1 (WT/70)^0.75, V 20, KA 1.5, CP = 1000 A2/V: all that NONMEM's file says."""
    frame = pd.read_csv(PUBLISHED / "nonmem_time_varying.csv")
    clearance = 1.1 * (frame.WT / 70) ** 0.75
    np.testing.assert_allclose(clearance, frame.CL_NONMEM, rtol=5e-5)
    table = frame.rename(columns={"CP_NONMEM": "DV"})
    table["DV"] = table["DV"].where(table["EVID"] == 0)
    options = {"covariates": ["WT"], "outputs": {1: "conc"}}
    data = read_data(table, covariate_interpolation=carried, **options)
    rows = parameter_rows(data, ["WT"])
    schedule = make_schedule(oral(), data, rows)
    found = walk_linear(schedule, clearance[rows.record].to_numpy())
    close = np.isclose(found, data.observations.value, rtol=5e-4, atol=0)
    assert close.all() == agrees


def walk_linear(schedule, clearance):
    """Predict 1000 central / 20 for one subject with boluses alone, by matrix exponentials."""
    events = [
        (time, order, False, k)
        for k, (time, order) in enumerate(
            zip(schedule.record_time, schedule.record_order, strict=True)
        )
    ]
    events += [
        (time, order, True, k)
        for k, (time, order) in enumerate(
            zip(schedule.observation_time, schedule.observation_order, strict=True)
        )
    ]
    state, now, row = np.zeros(2), schedule.start_time[0], schedule.start_row[0]
    found = np.empty(len(schedule.observation_time))
    for time, _, is_seen, k in sorted(events):
        flow = np.array([[-1.5, 0.0], [1.5, -clearance[row] / 20]])
        state, now = expm(flow * (time - now)) @ state, time
        if is_seen:
            found[k] = 1000 * state[1] / 20
        elif schedule.record_kind[k] == Kind.ROW:
            row = schedule.record_row[k]
        else:
            state[schedule.record_compartment[k]] += schedule.record_amount[k]
    return found


@pytest.mark.skipif(not PUBLISHED.exists(), reason="development data are not here")
@pytest.mark.parametrize("method", ["closed_form", "tsit5"])
def test_concentrations_of_nonmem_for_every_kind_of_dose(method):
    """All subjects with standard semantics; CL 1.1, V 20, KA 1.5, lag and F on compartment 2."""
    table = pd.read_csv(PUBLISHED / "nonmem_dosing.csv").query("USE == 1").drop_duplicates()
    own = {"tlag": "LAGT", "F": "BIOAV", "R2": "RAT2", "D2": "DUR2"}
    data = read_data(
        table.assign(DV=table.CP.where(table.EVID == 0)),
        covariates=[*own.values(), "CP"],
        outputs={1: "conc"},
    )
    structure = OdeStructure(
        problem=oral(
            lag={"central": "tlag"},
            bioavailability={"central": "F"},
            rate={"central": "R2"},
            duration={"central": "D2"},
        ),
        solver=Solver(method=method),
    )
    rows = parameter_rows(data, list(own.values()))
    values = {"ka": 1.5, "CL": 1.1, "V": 20.0}
    values |= {name: data.covariates[each].values[rows.record] for name, each in own.items()}
    parameters = {name: pt.constant(np.full(len(rows), value)) for name, value in values.items()}
    inputs = {name: pt.constant(array) for name, array in structure.inputs(data, rows).items()}
    found = 1000 * structure.predict(parameters, inputs).eval(mode="FAST_COMPILE")
    assert data.n_subjects == 40
    assert not rows.constant
    np.testing.assert_allclose(found, data.observations.value, rtol=5e-4, atol=1e-3)
