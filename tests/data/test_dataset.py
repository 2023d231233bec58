import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bayesnlme.data import read_data
from bayesnlme.data.archive import dump_data, parse_data
from bayesnlme.data.datasets import theophylline
from bayesnlme.errors import DataError

SHARED = Path(__file__).parents[3] / "shared/data"
UNREADABLE = {
    "dnase": "E_DUPLICATE",  # four pairs of equal replicates
    "hiv_uti": "E_CENS_UNKNOWN",  # CENS 2 on seven rows
    "mavoglurant": "E_TIME_BACK",  # time begins anew on the second occasion
    "phenylbiguanide": "E_ID_BLOCKS",  # each rabbit has two separate runs
    "hare_lynx": "E_COLUMN_MISSING",
    "influenza_1978": "E_COLUMN_MISSING",
}
NAMED = {
    "dnase": {"time": "CONC"},
    "emax_pd1": {"time": "DOSE"},
    "epilepsy": {"time": "PERIOD"},
    "hiv_uti": {"dv": "RNA"},
    "phenylbiguanide": {"time": "DOSE"},
    "pump": {"time": "EXPOSURE"},
    "wheat_yield": {"time": "DOSE"},
    "lung_tte": {"dv": "STATUS"},
    "orthodont": {"id": "Subject", "time": "age", "dv": "distance"},
}


@pytest.fixture(scope="module")
def data():
    return theophylline()


@pytest.fixture
def two_outputs():
    frame = pd.DataFrame(
        {
            "ID": ["a", "a", "a", "b", "b", "c", "c"],
            "TIME": [0.0, 1.0, 2.0, 0.0, 1.0, 0.0, 1.0],
            "DV": [None, 1.5, 90.0, None, 2.5, 95.0, 85.0],
            "EVID": [1, 0, 0, 1, 0, 0, 0],
            "AMT": [10.0, 0, 0, 12.0, 0, 0, 0],
            "CMT": ["depot", None, None, "depot", None, None, None],
            "DVID": [None, 1, 2, None, 1, 2, 2],
            "OCC": [1, 1, 2, 1, 1, 3, 3],
            "SEX": ["F", "F", "F", None, "M", "F", "F"],
        }
    )
    return read_data(frame, outputs={2: "conc2", 1: "pca"}, units={"pca": "%", "DV": "mg/L"})


def test_theophylline(data):
    assert (data.n_subjects, data.n_observations, data.n_doses) == (12, 132, 12)
    assert data.units["DV"] == "mg/L"
    np.testing.assert_allclose(data.doses.amount, data.covariates["DOSE"].by_subject *
                               data.covariates["WT"].by_subject, rtol=1e-3)  # fmt: skip
    assert data.findings == ()


def test_repr_says_what_is_there(data, two_outputs):
    text = repr(data)
    for part in ("theophylline.csv", "12, with 11", "0 to 11.4 mg/L", "267.84 to 320.65 mg",
                 "12 bolus into 1", "54.6 to 86.4 kg", "constant", "0 to 24.65 h"):  # fmt: skip
        assert part in text
    text = repr(two_outputs)
    for part in ("pca", "1.5 to 2.5 %", "conc2", "1, 2, 3", "F, M, 1 rows missing", "1 note"):
        assert part in text


def test_html_is_escaped():
    frame = pd.DataFrame({"ID": [1], "TIME": [0], "DV": [1.0], "<b>": ["&"]})
    html = read_data(frame)._repr_html_()
    assert "&lt;b&gt;" in html
    assert "<b>" not in html


def test_nothing_can_be_changed(data):
    with pytest.raises(FrozenInstanceError):
        data.source = "x"
    with pytest.raises(ValueError, match="read-only"):
        data.observations.value[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        data.covariates["WT"].by_subject[0] = 1
    with pytest.raises(TypeError):
        data.units["DV"] = "x"


def test_arrays_do_not_follow_the_frame_they_came_from():
    frame = pd.DataFrame({"ID": [1], "TIME": [0.0], "DV": [1.0]})
    data = read_data(frame)
    frame.loc[0, "DV"] = 9.0
    assert data.observations.value.tolist() == [1.0]


def test_an_error_goes_through_to_another_process():
    with pytest.raises(DataError) as caught:
        read_data(pd.DataFrame({"ID": [1], "TIME": [0.0]}))
    copy = pickle.loads(pickle.dumps(caught.value))  # noqa: S301
    assert str(copy) == str(caught.value)
    assert copy.findings == caught.value.findings


def test_pickled_and_shared_between_threads(data):
    copy = pickle.loads(pickle.dumps(data))  # noqa: S301
    assert copy.hash == data.hash
    assert not copy.observations.value.flags.writeable
    with ThreadPoolExecutor(2) as pool:
        assert len(set(pool.map(lambda _: theophylline().hash, range(4)))) == 1


def test_round_trip(data, two_outputs):
    for each in (data, two_outputs, two_outputs.subset(["a"])):
        assert read_data(each.to_frame()).hash == each.hash


def test_hash_does_not_depend_on_names_and_order_of_columns(data, tmp_path):
    frame = data.to_frame()
    shuffled = frame[frame.columns[::-1]].rename(columns=str.lower)
    shuffled = shuffled.rename(columns={"wt": "WT", "dose": "DOSE"})
    shuffled.to_csv(tmp_path / "other.csv", index=False)
    assert read_data(tmp_path / "other.csv").hash == data.hash
    bare = frame[["ID", "TIME", "EVID", "AMT", "CMT", "DV", "WT", "DOSE"]]
    assert read_data(bare).hash == data.hash


@pytest.mark.parametrize(
    ("row", "column", "value"),
    [(5, "DV", 3.0), (0, "AMT", 1.0), (0, "CMT", "2"), (3, "TIME", 0.6), (1, "WT", 70.0)],
)
def test_hash_depends_on_the_content(data, row, column, value):
    frame = data.to_frame()
    frame.loc[row, column] = value
    assert read_data(frame).hash != data.hash


def test_hash_is_stable(data):
    assert data.hash == HASH


HASH = "ba12a7feb3f55b26175faf10b0d909aad050f9d458eb72d5590033a15fdc6773"


def test_subset_of_subjects(data):
    part = data.subset([12, "3"])
    assert part.subjects == ("3", "12")
    assert part.n_observations == 22
    assert part.observations.subject.tolist() == [0] * 11 + [1] * 11
    np.testing.assert_array_equal(part.covariates["WT"].by_subject, [70.5, 60.5])
    assert part.observations.row[0] == 26
    assert data.subset("12").subjects == ("12",)


def test_subset_of_outputs_leaves_out_the_unobserved_with_a_note(two_outputs):
    part = two_outputs.subset(outputs=["pca"])
    assert part.outputs == ("pca",)
    assert part.subjects == ("a", "b")
    assert part.n_doses == 2
    assert [(found.code, found.subject) for found in part.findings][-1] == (
        "N_SUBJECT_LEFT_OUT", "c",
    )  # fmt: skip
    assert dict(two_outputs.subset(outputs=["conc2"]).units) == {"DV": "mg/L"}


def test_subset_of_observations_keeps_the_doses(data):
    part = data.subset(where=lambda row: row["TIME"] > 0)
    assert part.n_observations == 120
    assert part.n_doses == 12


@pytest.fixture
def growing():
    """Return data of two subjects, of which the first gains weight."""
    frame = pd.DataFrame(
        {
            "ID": [1, 1, 1, 1, 2, 2],
            "TIME": [0.0, 1.0, 2.0, 3.0, 0.0, 1.0],
            "EVID": [1, 0, 0, 0, 1, 0],
            "AMT": [10.0, 0, 0, 0, 10.0, 0],
            "CMT": ["1", "2", "2", "2", "1", "2"],
            "DV": [None, 3.0, 2.0, 1.0, None, 4.0],
            "LLOQ": 0.5,
            "CENS": 0,
            "WT": [50, 60, 70, 80, 90, 90],
        }
    )
    return read_data(frame, covariate_interpolation="nocb")


def test_how_covariates_are_carried_is_part_of_the_data(growing, data):
    frame = growing.to_frame()
    assert read_data(frame, covariate_interpolation="nocb").hash == growing.hash
    assert read_data(frame).covariate_interpolation == data.covariate_interpolation == "locf"
    assert read_data(frame).hash != growing.hash
    assert growing.subset([1]).covariate_interpolation == "nocb"
    assert pickle.loads(pickle.dumps(growing)).hash == growing.hash  # noqa: S301
    assert "varying (nocb), 50 to 90" in repr(growing)
    assert "varying (locf), 50 to 90" in repr(read_data(frame))


@pytest.mark.parametrize("given", ["linear", "LOCF", None, 1])
def test_other_ways_to_carry_covariates_are_refused(growing, given):
    with pytest.raises(DataError, match=r"E_OPTION: covariate_interpolation= .*nocb"):
        read_data(growing.to_frame(), covariate_interpolation=given)


def test_an_observation_left_out_says_when_its_covariates_change(growing):
    part = growing.subset(where=lambda row: row["TIME"] == 3 or row["ID"] == "2")
    assert part.records.evid.tolist() == [1, 2, 2, 0, 1, 0]
    assert part.covariates["WT"].values.tolist() == [50, 60, 70, 80, 90, 90]
    assert part.observations.row.tolist() == [4, 6]
    assert np.isnan(part.records.value[1])
    assert part.records.compartment[1:3] == ("", "")
    assert read_data(part.to_frame(), covariate_interpolation="nocb").hash == part.hash
    alone = growing.subset(subjects=[2])
    assert alone.records.evid.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("choice", "code"),
    [
        ({"subjects": ["13"]}, "E_SUBJECT_NOT_THERE"),
        ({"outputs": ["conc"]}, "E_OUTPUT_NOT_THERE"),
        ({"subjects": []}, "E_NOTHING_LEFT"),
        ({"where": 3}, r"E_OPTION: where= is 3, not a function"),
        ({"subjects": 1.5}, r"E_OPTION: subjects= is 1.5"),
        ({"outputs": 1.5}, r"E_OPTION: outputs= is 1.5"),
        ({"where": lambda row: row["DV"] > 100}, "E_NOTHING_LEFT"),
    ],
)
def test_an_impossible_subset_is_refused(data, choice, code):
    with pytest.raises(DataError, match=code):
        data.subset(**choice)


@pytest.mark.skipif(not SHARED.exists(), reason="development data are not here")
@pytest.mark.parametrize("path", sorted(SHARED.glob("*.csv")), ids=lambda path: path.stem)
def test_real_tables_are_read_or_refused_for_a_reason(path):
    if path.stem in UNREADABLE:
        with pytest.raises(DataError, match=UNREADABLE[path.stem]):
            read_data(path, **NAMED.get(path.stem, {}))
        return
    data = read_data(path, **NAMED.get(path.stem, {}))
    assert read_data(data.to_frame()).hash == data.hash
    assert repr(data)


@pytest.mark.skipif(not SHARED.exists(), reason="development data are not here")
def test_theophylline_agrees_with_the_published_values(data):
    other = read_data(SHARED / "theophylline.csv")
    assert other.hash == data.hash


def test_censored_values_survive_the_round_trips():
    table = pd.DataFrame({"ID": 1, "TIME": range(6), "DV": [5, 0.2, 1, 9, 9, 0.3],
                          "CENS": [0, 1, 1, -1, -1, 1], "LLOQ": 1.0,
                          "LIMIT": [np.nan, np.nan, 0.2, np.nan, 20, 0.3]})  # fmt: skip
    data = read_data(table)
    back = read_data(data.to_frame())
    assert back.hash == data.hash
    np.testing.assert_array_equal(back.observations.lower, data.observations.lower)
    np.testing.assert_array_equal(back.observations.upper, data.observations.upper)
    assert parse_data(dump_data(data)).hash == data.hash
    plain = read_data(table.drop(columns="LIMIT"))
    assert len({data.hash, plain.hash, read_data(table.assign(CENS=0)).hash}) == 3


def test_bounds_count_in_the_hash_only_where_they_say_something_new():
    table = pd.DataFrame({"ID": 1, "TIME": [0, 1], "DV": [5.0, 1.0], "CENS": [0, 1]})
    same = table.assign(LIMIT=[0.5, np.nan])
    assert read_data(table).hash == read_data(same).hash
