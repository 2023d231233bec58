from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesnlme.data import read_data
from bayesnlme.data.events import (
    compartment_index,
    dose_observation_pairs,
    expand_doses,
    offsets,
)
from bayesnlme.errors import DataError

NONMEM = Path(__file__).parents[3] / "shared/data/published/nonmem_dosing.csv"
COLUMNS = ["ID", "TIME", "EVID", "AMT", "CMT", "RATE", "II", "ADDL", "SS", "DV"]


def dose(subject, time, amount=1.0, *, evid=1, cmt=1, interval=0, additional=0, steady=0):
    return [subject, time, evid, amount, cmt, 0.0, interval, additional, steady, None]


def sample(subject, time, value=1.0):
    return [subject, time, 0, None, None, None, None, None, None, value]


def data_of(*records):
    return read_data(pd.DataFrame(list(records), columns=COLUMNS))


def pairs_of(data):
    """List the times of the doses that came before each observation."""
    doses = expand_doses(data)
    observation, given_dose = dose_observation_pairs(doses, data.observations)
    return [doses.time[given_dose[observation == i]].tolist() for i in range(data.n_observations)]


def test_additional_doses_are_written_out():
    data = data_of(dose(1, 0, interval=12, additional=3), sample(1, 40))
    doses = expand_doses(data)
    assert doses.time.tolist() == [0, 12, 24, 36]
    assert doses.additional.tolist() == [0, 0, 0, 0]
    assert doses.row.tolist() == [1, 1, 1, 1]


def test_additional_doses_fall_in_with_other_doses_in_time():
    data = data_of(dose(1, 0, interval=10, additional=2), dose(1, 15, 5.0), sample(1, 40))
    doses = expand_doses(data)
    assert doses.time.tolist() == [0, 10, 15, 20]
    assert doses.amount.tolist() == [1, 1, 5, 1]


def test_additional_doses_meet_decimal_times():
    data = data_of(dose(1, 0, interval=0.1, additional=3), sample(1, 0.3))
    assert pairs_of(data) == [[0, 0.1, 0.2, 0.3]]


def test_a_reset_calls_off_doses_still_due():
    data = data_of(dose(1, 0, interval=12, additional=9), dose(1, 30, 0.0, evid=3), sample(1, 100))
    assert expand_doses(data).time.tolist() == [0, 12, 24, 30]


def test_steady_state_calls_off_doses_still_due_where_it_replaces_the_state():
    def times(steady):
        again = dose(1, 30, interval=8, additional=1, steady=steady)
        data = data_of(dose(1, 0, interval=10, additional=4), again, sample(1, 99))
        return expand_doses(data).time.tolist()

    assert times(1) == [0, 10, 20, 30, 38]
    assert times(2) == [0, 10, 20, 30, 30, 38, 40]


def test_additional_doses_after_steady_state_are_plain():
    data = data_of(dose(1, 0, interval=12, additional=2, steady=1), sample(1, 40))
    doses = expand_doses(data)
    assert doses.time.tolist() == [0, 12, 24]
    assert doses.steady_state.tolist() == [1, 0, 0]
    assert doses.interval.tolist() == [12, 0, 0]


def test_steady_state_and_reset_belong_to_the_first_dose():
    data = data_of(dose(1, 0, evid=4, interval=12, additional=1), sample(1, 20))
    assert expand_doses(data).reset.tolist() == [True, False]


def test_a_dose_counts_from_its_place_in_the_table():
    data = data_of(sample(1, 0), dose(1, 0), sample(1, 0, 2.0), dose(1, 1), sample(1, 2))
    assert pairs_of(data) == [[], [0], [0, 1]]


def test_an_additional_dose_comes_before_a_record_at_its_time():
    data = data_of(dose(1, 0, interval=24, additional=1), sample(1, 24))
    assert pairs_of(data) == [[0, 24]]


def test_pairs_stay_within_a_subject():
    data = data_of(dose(1, 0), sample(1, 1), sample(2, 5), dose(3, 2), sample(3, 3))
    assert pairs_of(data) == [[0], [], [2]]


@pytest.mark.parametrize(
    ("wipe", "alive"),
    [
        (dose(1, 5, 0.0, evid=3), [6]),
        (dose(1, 5, evid=4), [5, 6]),
        (dose(1, 5, interval=12, steady=1), [5, 6]),
        (dose(1, 5, interval=12, steady=2), [0, 5, 6]),
    ],
)
def test_what_a_reset_or_steady_state_wipes_out(wipe, alive):
    data = data_of(dose(1, 0), sample(1, 4), wipe, dose(1, 6), sample(1, 7))
    assert pairs_of(data) == [[0], alive]


def test_no_doses_give_no_pairs():
    data = data_of(sample(1, 0), sample(2, 0))
    observation, given_dose = dose_observation_pairs(expand_doses(data), data.observations)
    assert observation.size == given_dose.size == 0
    assert compartment_index(data.doses, ["central"]).size == 0


EVENT = st.tuples(
    st.integers(0, 2), st.integers(0, 6), st.booleans(), st.integers(0, 3), st.sampled_from([1, 4])
)


@settings(deadline=None, max_examples=60)
@given(events=st.lists(EVENT, min_size=1, max_size=14))
def test_pairs_agree_with_a_plain_loop(events):
    records = [sample(who, 7.0, 1.0) for who in range(3)]
    for number, (who, time, is_dose, additional, evid) in enumerate(events):
        amount = number + 1.0
        event = dose(who, time, amount, evid=evid, interval=2, additional=additional)
        records.append(event if is_dose else sample(who, time, amount))
    data = data_of(*sorted(records, key=lambda record: (record[0], record[1])))
    assert pairs_of(data) == _plain_loop(data)


def _plain_loop(data):
    records = data.records
    seen = []
    for i in np.flatnonzero(records.scored):
        alive = []
        for j in range(i):
            if records.subject[j] != records.subject[i] or records.evid[j] == 0:
                continue
            if records.evid[j] == 4:
                alive = []
            resets = [
                records.time[k]
                for k in range(j + 1, len(records))
                if records.subject[k] == records.subject[j] and records.evid[k] == 4
            ]
            times = records.time[j] + records.interval[j] * np.arange(records.additional[j] + 1)
            due = [t for t in times[1:] if not resets or t < resets[0]]
            alive += [t for t in [times[0], *due] if t <= records.time[i]]
        seen.append(sorted(alive))
    return seen


def test_compartments_by_number_and_by_name():
    data = data_of(dose(1, 0, cmt="2"), dose(1, 1, cmt="depot"), sample(1, 2))
    assert compartment_index(data.doses, ["depot", "central"]).tolist() == [1, 0]


def test_an_unknown_compartment_is_told_with_its_row():
    data = data_of(dose(1, 0, cmt="depo"), dose(1, 1, cmt="3"), sample(1, 2))
    with pytest.raises(DataError, match="Did you mean 'depot'") as caught:
        compartment_index(data.doses, ["depot", "central"])
    assert [found.row for found in caught.value.findings] == [1, 2]


def test_an_unknown_compartment_is_told_with_subject_and_source():
    data = data_of(dose(7, 0, cmt="2"), sample(7, 2))
    with pytest.raises(DataError, match="Only compartment 1 exists") as caught:
        compartment_index(expand_doses(data), ["central"], data)
    assert caught.value.findings[0].subject == "7"
    assert caught.value.source == data.source
    with pytest.raises(DataError, match="a number, 1 to 2, or a name"):
        compartment_index(data_of(dose(7, 0, cmt="3"), sample(7, 2)).doses, ["depot", "central"])


def test_offsets_cover_subjects_without_entries():
    assert offsets(np.array([1, 1, 3]), 5).tolist() == [0, 0, 2, 2, 3, 3]
    assert offsets(np.array([], dtype=np.int64), 2).tolist() == [0, 0, 0]


@pytest.mark.skipif(not NONMEM.exists(), reason="development data are not here")
def test_concentrations_of_nonmem_follow_from_the_pairs():
    """One compartment, first-order absorption: CL 1.1, V 20, KA 1.5; lag and F on compartment 2.

    Subject 16 has bolus doses that fall due, by their lag, at the very times of observations:
    NONMEM gives them before.
    """
    table = pd.read_csv(NONMEM)
    plain = table.groupby("ID").filter(
        lambda one: (one.USE == 1).all() and (one.SS == 0).all() and (one.RATE >= 0).all()
    )
    assert 16 in set(plain.ID)
    assert plain.ID.nunique() >= 12
    covariates = ["LAGT", "BIOAV", "CP"]
    frame = plain.assign(DV=plain.CP.where(plain.EVID == 0))[[*COLUMNS, *covariates]]
    data = read_data(frame.drop_duplicates(), covariates=covariates)
    doses = expand_doses(data)
    observation, given_dose = dose_observation_pairs(doses, data.observations)
    lag, share = (data.covariates[name].values[doses.order] for name in ("LAGT", "BIOAV"))
    into = compartment_index(doses, ["depot", "central"])
    lag, share = np.where(into == 1, lag, 0.0), np.where(into == 1, share, 1.0)
    elapsed = data.observations.time[observation] - (doses.time + lag)[given_dose]
    amount = _amount_left(
        elapsed, (doses.amount * share)[given_dose], doses.rate[given_dose], into[given_dose]
    )
    predicted = 1000 / 20 * np.bincount(observation, amount, minlength=data.n_observations)
    np.testing.assert_allclose(predicted, data.observations.value, rtol=1e-4, atol=1e-3)


def _amount_left(elapsed, amount, rate, into):
    """Amount in the central compartment after one bolus or infusion into depot or central."""
    k, ka = 1.1 / 20, 1.5
    t = np.maximum(elapsed, 0.0)
    on = np.divide(amount, rate, out=np.zeros_like(amount), where=rate > 0)
    infused = np.minimum(t, on)

    def decay(constant):
        """Integral of exp(-constant (t - s)) over the time the dose goes in, per unit of dose."""
        flow = (np.exp(-constant * (t - infused)) - np.exp(-constant * t)) / constant
        return np.where(rate > 0, rate * flow, amount * np.exp(-constant * t))

    oral = ka / (ka - k) * (decay(k) - decay(ka))
    return np.where(elapsed < 0, 0.0, np.where(into == 0, oral, decay(k)))
