import pickle

import numpy as np
import pandas as pd
import pytest

from bayesnlme.data import read_data
from bayesnlme.data.archive import dump_data, parse_data
from bayesnlme.errors import DataError

TABLE = {
    "ID": [1, 1, 1, 2, 2, 3],
    "TIME": [0, 1, 2, 0, 1, 0],
    "DV": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
    "WT": [None, 60.0, None, 90.0, 100.0, None],
    "SEX": ["F", None, "F", "M", "M", None],
}


@pytest.fixture
def data():
    return read_data(pd.DataFrame(TABLE))


def values(data, name):
    return data.covariates[name].values.tolist()


def test_the_median_is_that_of_the_subjects(data):
    """Subject 1 weighs 60, subject 2 has a median of 95."""
    filled = data.fill(WT="median")
    assert values(filled, "WT") == [77.5, 60.0, 77.5, 90.0, 100.0, 77.5]
    assert filled.covariates["WT"].missing_rows == ()
    assert np.isnan(data.covariates["WT"].values[0])
    assert filled.hash != data.hash
    (note,) = [each for each in filled.findings if each.code == "N_COVARIATE_FILLED"]
    assert note.message == (
        "3 missing values of WT were filled by 'median': rows 1, 3, 6 (subjects 1, 3)."
    )


def test_a_value_is_carried_within_a_subject(data):
    part = data.subset(subjects=[1, 2]).fill(WT="locf", SEX="locf")
    assert values(part, "WT") == [60.0, 60.0, 60.0, 90.0, 100.0]
    assert values(part, "SEX") == ["F", "F", "F", "M", "M"]
    assert part.covariates["SEX"].constant
    with pytest.raises(DataError, match="no value at all") as refused:
        data.fill(WT="locf")
    assert refused.value.findings[0].row == 6


def test_a_value_may_be_named(data):
    filled = data.fill(WT=70, SEX="unknown")
    assert values(filled, "WT") == [70.0, 60.0, 70.0, 90.0, 100.0, 70.0]
    assert values(filled, "SEX") == ["F", "unknown", "F", "M", "M", "unknown"]


def test_what_is_known_stays_as_it_is(data):
    full = data.fill(WT=70)
    assert full.fill(WT="median").hash == full.hash
    assert data.fill().hash == data.hash


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        ({"HT": 1}, "E_FILL_NOT_THERE"),
        ({"WT": "mean"}, "E_FILL_RULE"),
        ({"WT": None}, "E_FILL_RULE"),
        ({"WT": True}, "E_FILL_RULE"),
        ({"WT": np.nan}, "E_FILL_RULE"),
        ({"SEX": "median"}, "E_FILL_RULE"),
        ({"SEX": 3}, "E_FILL_RULE"),
    ],
)
def test_what_is_no_rule_is_refused(data, rules, code):
    with pytest.raises(DataError) as refused:
        data.fill(**rules)
    assert refused.value.findings[0].code == code


def test_a_table_is_filled_as_it_is_read(data):
    read = read_data(pd.DataFrame(TABLE), fill={"WT": "median", "SEX": "F"})
    assert read.hash == data.fill(WT="median", SEX="F").hash
    assert [(each.covariate, each.rule, each.rows) for each in read.filled] == [
        ("WT", "median", (1, 3, 6)),
        ("SEX", "F", (2, 6)),
    ]
    assert read_data(pd.DataFrame(TABLE), fill=None).filled == ()


def test_what_was_filled_is_listed_with_the_data(data):
    shown = repr(data.fill(WT="median", SEX="F"))
    assert "3 rows filled by 'median' (subjects 1, 3)" in shown
    assert "2 rows filled by 'F' (subjects 1, 3)" in shown
    assert "filled" not in repr(data)
    part = data.fill(WT=70).subset(subjects=[1])
    assert "2 rows filled by 70.0 (subject 1)" in repr(part)
    assert "filled" not in repr(data.fill(WT=70).subset(subjects=[2]))


def test_what_was_filled_is_kept_on_disk(data):
    filled = data.fill(WT="median")
    read = parse_data(dump_data(filled))
    assert read.filled == filled.filled
    assert pickle.loads(pickle.dumps(filled)).filled == filled.filled  # noqa: S301


@pytest.mark.parametrize(
    ("fill", "code"),
    [("median", "E_OPTION"), ({1: "median"}, "E_OPTION"), ({"HT": 1}, "E_FILL_NOT_THERE")],
)
def test_an_option_that_is_no_mapping_is_refused(fill, code):
    with pytest.raises(DataError) as refused:
        read_data(pd.DataFrame(TABLE), fill=fill)
    assert refused.value.findings[0].code == code
    assert "pandas frame" in str(refused.value) or code == "E_OPTION"
