"""Where covariates change, and which row of parameters a dose or an observation belongs to."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesnlme.data import read_data
from bayesnlme.data.events import expand_doses
from bayesnlme.data.rows import dose_rows, parameter_rows, records_at

COLUMNS = ["ID", "TIME", "EVID", "AMT", "CMT", "II", "ADDL", "DV", "WT"]


def dose(subject, time, weight, *, interval=0, additional=0, evid=1, amount=10.0):
    return [subject, time, evid, amount, 1, interval, additional, None, weight]


def sample(subject, time, weight, value=1.0):
    return [subject, time, 0, None, None, None, None, value, weight]


def other(subject, time, weight):
    return [subject, time, 2, None, None, None, None, None, weight]


def data_of(*records, carried="locf", **more):
    frame = pd.DataFrame(list(records), columns=COLUMNS).assign(**more)
    return read_data(frame, covariate_interpolation=carried)


def rows_of(*records, carried="locf"):
    return parameter_rows(data_of(*records, carried=carried), ["WT"])


def test_subjects_whose_covariates_stay_have_one_row():
    rows = rows_of(dose(1, 0, 50), sample(1, 1, 50), sample(2, 0, 70), sample(2, 1, 70))
    assert rows.constant
    assert rows.subject.tolist() == [0, 1]
    assert rows.record.tolist() == [0, 2]
    assert rows.of_record.tolist() == [0, 0, 1, 1]
    assert rows.observation.tolist() == [0, 1, 1]
    assert repr(rows) == "Rows(2 of 2 subjects)"


@pytest.mark.parametrize(("carried", "starts"), [("locf", [0, 4, 1]), ("nocb", [0, 2, 1])])
def test_a_row_begins_at_its_first_record_or_after_the_record_before(carried, starts):
    rows = rows_of(
        dose(1, 0, 50),
        sample(1, 2, 50),
        sample(1, 4, 60),
        sample(1, 6, 60),
        sample(2, 1, 60),
        carried=carried,
    )
    assert not rows.constant
    assert rows.subject.tolist() == [0, 0, 1]
    assert rows.record.tolist() == [0, 2, 4]
    assert rows.of_record.tolist() == [0, 0, 1, 1, 2]
    assert rows.observation.tolist() == [0, 1, 1, 2]
    assert rows.start.tolist() == starts


def test_a_value_that_comes_back_makes_another_row():
    rows = rows_of(sample(1, 0, 50), sample(1, 1, 60), sample(1, 2, 50))
    assert rows.of_record.tolist() == [0, 1, 2]


def test_records_at_one_time_may_differ():
    rows = rows_of(dose(1, 0, 50), sample(1, 1, 50), dose(1, 1, 60), sample(1, 1, 70, 2.0))
    assert rows.of_record.tolist() == [0, 0, 1, 2]
    assert rows.start.tolist() == [0, 1, 1]
    assert rows.observation.tolist() == [0, 2]


@pytest.mark.parametrize(("carried", "starts"), [("locf", [0, 3]), ("nocb", [0, 1])])
def test_records_for_covariates_only_count(carried, starts):
    rows = rows_of(dose(1, 0, 50), other(1, 1, 50), other(1, 3, 60), sample(1, 9, 60),
                   carried=carried)  # fmt: skip
    assert rows.of_record.tolist() == [0, 0, 1, 1]
    assert rows.start.tolist() == starts


def test_several_covariates_change_each_on_its_own():
    records = [sample(1, t, weight) for t, weight in enumerate([50, 50, 60, 60, 60])]
    data = data_of(*records, SEX=list("ffffm"), SITE=["a"] * 5)
    assert parameter_rows(data, ["WT", "SEX"]).of_record.tolist() == [0, 0, 1, 1, 2]
    assert parameter_rows(data, ["SEX"]).of_record.tolist() == [0, 0, 0, 0, 1]
    assert parameter_rows(data, ["SITE"]).constant
    assert parameter_rows(data, []).constant


def test_occasions_begin_rows_where_asked_for():
    records = [sample(1, t, 50) for t in range(4)]
    data = data_of(*records, OCC=[1, 1, 2, 1])
    assert parameter_rows(data, ["WT"]).constant
    assert parameter_rows(data, ["WT"], occasions=True).of_record.tolist() == [0, 0, 1, 2]


def test_two_holes_in_a_row_are_no_change():
    data = data_of(*(sample(1, t, w) for t, w in enumerate([None, None, 50, 60, None])),
                   SEX=[None, None, "f", "m", "m"])  # fmt: skip
    assert parameter_rows(data, ["WT"]).of_record.tolist() == [0, 0, 1, 2, 3]
    assert parameter_rows(data, ["SEX"]).of_record.tolist() == [0, 0, 1, 2, 2]


def test_a_covariate_that_is_not_there():
    with pytest.raises(KeyError, match="AGE"):
        parameter_rows(data_of(sample(1, 0, 50)), ["AGE"])


def test_rows_cannot_be_changed():
    rows = rows_of(sample(1, 0, 50), sample(1, 1, 60))
    with pytest.raises(ValueError, match="read-only"):
        rows.subject[0] = 3


def rows_of_doses(*records, carried):
    data = data_of(*records, carried=carried)
    doses, rows = expand_doses(data), parameter_rows(data, ["WT"])
    found = dose_rows(rows, doses)
    weight = data.covariates["WT"].values[rows.record[found]]
    return list(zip(doses.time.tolist(), weight.tolist(), strict=True))


REGIMEN = [dose(1, 0, 50, interval=2, additional=5), sample(1, 3, 60), sample(1, 6, 70)]


@pytest.mark.parametrize("carried", ["locf", "nocb"])
def test_additional_doses_have_the_row_of_the_record_that_asks_for_them(carried):
    found = rows_of_doses(*REGIMEN, carried=carried)
    assert found == [(time, 50) for time in (0, 2, 4, 6, 8, 10)]


@pytest.mark.parametrize("carried", ["locf", "nocb"])
def test_a_dose_as_written_has_the_row_of_its_record(carried):
    records = [sample(1, 0, 40), dose(1, 1, 50), dose(1, 1, 60), sample(1, 1, 70), dose(1, 3, 80)]
    assert rows_of_doses(*records, carried=carried) == [(1, 50), (1, 60), (3, 80)]


@pytest.mark.parametrize(
    ("carried", "expected"),
    [("locf", [50, 50, 50, 65, 65, 70, 70]), ("nocb", [50, 50, 60, 65, 70, 70, 70])],
)
def test_what_holds_at_any_time(carried, expected):
    data = data_of(
        sample(1, 0, 50),
        sample(1, 2, 60),
        sample(1, 2, 65, 2.0),
        sample(1, 4, 70),
        sample(2, 0, 90),
        carried=carried,
    )
    times = np.array([-1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
    found = records_at(data, np.zeros(7, dtype=np.int64), times)
    assert data.covariates["WT"].values[found].tolist() == expected
    assert records_at(data, np.array([1, 0]), np.array([9.0, 9.0])).tolist() == [4, 3]


# The same by plain loops, on random tables ---------------------------------------------------

RECORD = st.tuples(
    st.integers(0, 2), st.integers(0, 6), st.integers(0, 2), st.integers(0, 3), st.integers(0, 3)
)


def random_data(events, carried):
    """Order records of subjects 0 to 2; a word is 0 for a sample, 1 a dose, 2 covariates only."""
    records = [sample(who, 8.0, 1) for who in range(3)]
    for number, (who, time, word, weight, additional) in enumerate(events):
        makers = (
            lambda s, t, w, n=number: sample(s, t, w, n + 2.0),
            lambda s, t, w, k=additional, n=number: dose(
                s, t, w, interval=1.5 if k else 0, additional=k, amount=n + 1.0
            ),
            other,
        )
        records.append(makers[word](who, float(time), weight))
    ordered = sorted(records, key=lambda record: (record[0], record[1]))
    unlike = pd.DataFrame(ordered, columns=COLUMNS).drop_duplicates()
    return read_data(unlike, covariate_interpolation=carried)


EVENTS = st.lists(RECORD, min_size=1, max_size=14)
CARRIED = st.sampled_from(["locf", "nocb"])


@settings(deadline=None, max_examples=80)
@given(events=EVENTS, carried=CARRIED)
def test_rows_are_the_runs_of_equal_weight(events, carried):
    data = random_data(events, carried)
    rows, records = parameter_rows(data, ["WT"]), data.records
    weight = data.covariates["WT"].values
    runs = []
    for i in range(len(records)):
        key = (int(records.subject[i]), float(weight[i]))
        if not runs or runs[-1][0] != key:
            runs.append((key, []))
        runs[-1][1].append(i)
    assert [int(i) for i in rows.record] == [members[0] for _, members in runs]
    assert rows.subject.tolist() == [key[0] for key, _ in runs]
    for number, (_, members) in enumerate(runs):
        assert (rows.of_record[members] == number).all()
    assert rows.of_record.size == sum(len(members) for _, members in runs)
    np.testing.assert_array_equal(rows.observation, rows.of_record[data.observations.order])
    assert rows.constant == (len(runs) == data.n_subjects)
    together = np.flatnonzero(np.diff(rows.subject) == 0)
    assert (np.diff(rows.start)[together] >= 0).all()


@settings(deadline=None, max_examples=80)
@given(
    weights=st.lists(st.integers(0, 2), min_size=2, max_size=8),
    gaps=st.lists(st.integers(1, 3), min_size=8, max_size=8),
    asked=st.lists(st.floats(-5, 30), min_size=1, max_size=6),
)
def test_backward_is_forward_in_reversed_time(weights, gaps, asked):
    times = np.cumsum(gaps[: len(weights)]).astype(float)
    forward = data_of(*(sample(1, t, w) for t, w in zip(times, weights, strict=True)))
    turned = zip(-times[::-1], weights[::-1], strict=True)
    backward = data_of(*(sample(1, t, w) for t, w in turned), carried="nocb")
    one, two = (parameter_rows(each, ["WT"]) for each in (forward, backward))
    np.testing.assert_array_equal(np.diff(one.of_record), np.diff(two.of_record)[::-1])
    np.testing.assert_array_equal(one.start[1:], -two.start[1:][::-1])
    subject = np.zeros(len(asked), dtype=np.int64)
    held, mirrored = (
        each.covariates["WT"].values[records_at(each, subject, sign * np.array(asked))]
        for each, sign in ((forward, 1.0), (backward, -1.0))
    )
    np.testing.assert_array_equal(held, mirrored)
