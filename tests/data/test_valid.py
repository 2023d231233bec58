"""Odd but valid tables, each read as what it says."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from bayesnlme.data import read_data
from bayesnlme.data.datasets import theophylline
from bayesnlme.data.units import unit_factor
from bayesnlme.errors import Severity

BASE = """ID,TIME,EVID,AMT,CMT,DV,MDV,WT
1,0,1,100,1,.,1,70
1,1,0,0,2,5.1,0,70
1,2,0,0,2,3.9,0,70
2,0,1,100,1,.,1,80
2,1,0,0,2,6.2,0,80
2,2,0,0,2,4.4,0,80
"""


@pytest.fixture
def read(tmp_path):
    def read(text, name="table.csv", **options):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_data(path, **options)

    return read


@pytest.fixture
def base(read):
    return read(BASE)


def codes(data):
    return {finding.code for finding in data.findings}


def test_a_plain_table(base):
    assert (base.n_subjects, base.n_observations, base.n_doses) == (2, 4, 2)
    assert base.subjects == ("1", "2")
    assert base.outputs == ("1",)
    assert base.findings == ()
    assert base.doses.compartment == ("1", "1")
    np.testing.assert_array_equal(base.observations.subject, [0, 0, 1, 1])
    np.testing.assert_array_equal(base.observations.value, [5.1, 3.9, 6.2, 4.4])
    np.testing.assert_array_equal(base.observations.row, [2, 3, 5, 6])
    np.testing.assert_array_equal(base.observations.order, [1, 2, 4, 5])
    np.testing.assert_array_equal(base.covariates["WT"].by_subject, [70, 80])


def test_a_placebo_arm_of_dose_zero(read):
    data = read(BASE.replace("2,0,1,100", "2,0,1,0"))
    np.testing.assert_array_equal(data.doses.amount, [100, 0])


def test_a_placebo_infusion_of_amount_and_rate_zero(read):
    text = "ID,TIME,EVID,AMT,CMT,RATE,DV\n1,0,1,0,1,0,.\n1,1,0,0,2,0,3\n"
    assert read(text).doses.rate.tolist() == [0]


def test_a_constant_infusion_at_steady_state_has_a_rate_without_amount(read):
    text = "ID,TIME,EVID,AMT,CMT,RATE,SS,II,DV\n1,0,1,0,1,5,1,0,.\n1,1,0,0,2,0,0,0,3\n"
    assert read(text).doses.rate.tolist() == [5]


@pytest.mark.parametrize("marks", [[-99], -99, [-99.0], ["-99"], ("-99", ".")])
def test_a_missing_mark_may_be_a_number(marks):
    frame = pd.DataFrame({"ID": [1, 1, 1], "TIME": [0, 1, 2], "DV": [2.5, -99.0, 3.0]})
    for table in (frame, frame.astype({"DV": object}).replace({-99.0: -99})):
        assert read_data(table, missing=marks).n_observations == 2


def test_a_missing_mark_that_is_a_number_is_found_in_a_file(read):
    assert read("ID,TIME,DV\n1,0,2\n1,1,-99\n", missing=[-99]).n_observations == 1


@pytest.mark.parametrize(("name", "label"), [(2, "2"), (2.0, "2"), ("2.0", "2"), (" c ", "c")])
def test_the_name_of_an_output_is_read_like_a_label(name, label):
    frame = pd.DataFrame({"ID": [1, 1], "TIME": [0, 1], "DV": [2.5, 3.0]})
    data = read_data(frame, outputs={1: name})
    assert data.outputs == (label,)
    assert read_data(data.to_frame()).hash == data.hash


def test_a_unit_may_be_given_by_the_number_of_an_output(read):
    data = read("ID,TIME,DV,DVID\n1,0,2,1\n1,1,3,2\n", units={2: "mg/L"})
    assert dict(data.units) == {"2": "mg/L"}


@pytest.mark.parametrize("unit", ["IU", "U", "kIU", "mU", "copies", "cells", "cell", "copy"])
def test_units_of_biology(read, unit):
    units = {"TIME": "h", "AMT": unit, "DV": f"{unit}/mL"}
    assert dict(read(BASE, units=units).units) == units
    assert unit_factor([(unit, 1), ("mL", -1), (f"{unit}/L", -1)]) == pytest.approx(1000.0)


def test_units_of_biology_are_not_mixed_up():
    assert unit_factor([("mU/L", 1), ("IU/L", -1)]) == pytest.approx(1e-3)
    for one, other in [("IU", "mg"), ("copies", "cells"), ("U", "umol/min"), ("cells", "IU")]:
        assert unit_factor([(one, 1), (other, -1)]) is None


def test_a_placebo_arm_at_steady_state(read):
    text = "ID,TIME,EVID,AMT,CMT,SS,II,DV\n1,0,1,0,1,1,12,.\n1,1,0,0,2,0,0,3\n"
    assert read(text).doses.steady_state.tolist() == [1]


def test_a_dose_after_the_last_sample(read):
    data = read(BASE + "2,9,1,50,1,.,1,80\n")
    assert data.doses.time.tolist() == [0, 0, 9]


def test_a_subject_without_doses(read):
    data = read(BASE.replace("2,0,1,100,1,.,1,80\n", ""))
    assert data.n_subjects == 2
    assert data.doses.subject.tolist() == [0]


def test_a_single_observation(read):
    assert read("ID,TIME,DV\n1,0,2.5\n").n_observations == 1


def test_a_table_without_dosing(read):
    data = read("ID,TIME,DV\n1,0,2\n1,1,3\n2,0,4\n")
    assert data.n_doses == 0
    assert codes(data) == {"N_MDV_INFERRED"}


@pytest.mark.parametrize(
    "names", [("mouse A", "mouse B"), ("001", "01"), ("12345678901234567890", "2"), ("é", "ß")]
)
def test_identifiers_are_labels(read, names):
    rows = "".join(f"{name},{time},1.5\n" for name in names for time in (0, 1))
    assert read("ID,TIME,DV\n" + rows).subjects == names


def test_subjects_in_any_order(read):
    data = read("ID,TIME,DV\n9,0,1\n3,0,2\n7,0,3\n")
    assert data.subjects == ("9", "3", "7")


def test_further_columns_are_covariates_unless_said_otherwise(read):
    assert list(read(BASE.replace("WT", "COMMENT")).covariates) == ["COMMENT"]
    assert list(read(BASE, covariates=[]).covariates) == []


def test_names_in_lower_case(read, base):
    header, rest = BASE.split("\n", 1)
    assert read(f"{header.lower()}\n{rest}".replace("wt", "WT")).hash == base.hash


def test_named_columns(read, base):
    text = BASE.replace("ID,TIME", "SUBJ,T").replace("DV,MDV", "CONC,MDV")
    assert read(text, id="SUBJ", time="T", dv="CONC").hash == base.hash


def test_quoted_cells(read, base):
    text = BASE.replace("1,1,0,0,2,5.1", '"1","1",0,0,"2","5.1"')
    assert read(text).hash == base.hash


@pytest.mark.parametrize(
    "text",
    [
        BASE.replace("\n", "\r\n"),
        BASE + "\n\n",
        BASE.rstrip("\n"),
        BASE.replace(",", "\t"),
        BASE.replace(",", ";"),
        BASE.replace(",", "   "),
        BASE.replace(",", " , "),
        BASE.replace("5.1", "5.10").replace("3.9", "+39e-1"),
        BASE.replace(",.,", ",NA,"),
        BASE.replace(",.,", ",,"),
    ],
)
def test_other_ways_to_write_the_same(read, base, text):
    assert read(text).hash == base.hash


@pytest.mark.parametrize(
    ("encoding", "content"),
    [
        ("utf-8-sig", BASE.encode("utf-8-sig")),
        ("utf-16", BASE.encode("utf-16")),
        ("latin-1", BASE.encode("latin-1")),
    ],
)
def test_a_named_encoding(read, base, encoding, content):
    assert read(content, encoding=encoding).hash == base.hash


def test_other_marks_for_missing(read, base):
    text = BASE.replace(",.,", ",-99,")
    assert read(text, missing=("-99",)).hash == base.hash
    assert read(text, missing="-99", covariates="WT").hash == base.hash


def test_negative_times_and_values(read):
    data = read("ID,TIME,DV\n1,-24,-0.3\n1,0,1\n")
    assert data.observations.time.tolist() == [-24, 0]
    assert data.observations.value.tolist() == [-0.3, 1]


def test_replicates_at_one_time(read):
    assert read("ID,TIME,DV\n1,1,2.1\n1,1,2.2\n").n_observations == 2


def test_equal_replicates_told_apart_by_a_column(read):
    assert read("ID,TIME,DV,REPLICATE\n1,1,2.1,1\n1,1,2.1,2\n").n_observations == 2


def test_an_observation_at_the_time_of_a_dose_before_or_after_it(read):
    header = "ID,TIME,EVID,AMT,CMT,DV,MDV\n"
    dose, sample = "1,0,1,9,1,.,1\n", "1,0,0,0,1,2,0\n"
    assert read(header + dose + sample).doses.order.tolist() == [0]
    assert read(header + sample + dose).doses.order.tolist() == [1]


def test_missing_covariates_are_kept_as_holes(read):
    data = read("ID,TIME,DV,WT,SEX\n1,0,1,.,F\n1,1,2,70,\n2,0,1,,M\n")
    weight, sex = data.covariates["WT"], data.covariates["SEX"]
    assert weight.missing_rows == (1, 3)
    np.testing.assert_array_equal(weight.by_subject, [70, np.nan])
    assert sex.missing_rows == (2,)
    assert sex.by_subject.tolist() == ["F", "M"]
    assert sex.levels == ("F", "M")
    assert not sex.numeric


def test_a_covariate_that_varies(read):
    data = read("ID,TIME,DV,WT\n1,0,1,70\n1,1,2,71\n")
    assert not data.covariates["WT"].constant
    assert data.covariates["WT"].by_subject is None


def test_a_covariate_with_text_among_numbers_is_text_with_a_warning(read):
    data = read("ID,TIME,DV,WT\n1,0,1,70\n2,0,2,light\n")
    (warning,) = [each for each in data.findings if each.severity is Severity.WARNING]
    assert (warning.code, warning.row, warning.column) == ("W_COVARIATE_MIXED", 2, "WT")
    assert data.covariates["WT"].levels == ("70", "light")


def test_records_for_covariates_only(read):
    data = read(BASE.replace("1,2,0,0,2,3.9,0,70", "1,1.5,2,0,.,.,1,72\n1,2,0,0,2,3.9,0,72"))
    assert data.records.evid.tolist() == [1, 0, 2, 0, 1, 0, 0]
    assert data.n_observations == 4


def test_observations_without_a_value_are_noted(read):
    data = read(BASE.replace("3.9,0", ".,1"))
    assert data.n_observations == 3
    (note,) = data.findings
    assert (note.code, note.row) == ("N_NOT_SCORED", 3)


def test_zeros_that_stand_for_no_value_are_warned_of(read):
    data = read(BASE.replace("3.9,0", "0,1"))
    assert data.n_observations == 3
    assert codes(data) == {"W_ZERO_NOT_SCORED"}


def test_zeros_on_dose_records_stand_for_no_value(read, base):
    assert read(BASE.replace(",.,1", ",0,1")).hash == base.hash


def test_a_rate_of_zeros_is_a_bolus(read, base):
    lines = BASE.splitlines()
    text = "\n".join([lines[0] + ",RATE", *(line + ",0" for line in lines[1:])])
    assert read(text).hash == base.hash


def test_infusions_and_modelled_rates(read):
    header = "ID,TIME,EVID,AMT,CMT,RATE,DV,MDV\n"
    data = read(header + "1,0,1,9,1,3,.,1\n1,1,1,9,1,-1,.,1\n1,2,1,9,1,-2,.,1\n1,3,0,.,.,.,2,0\n")
    assert data.doses.rate.tolist() == [3, -1, -2]


def test_steady_state_and_additional_doses(read):
    header = "ID,TIME,EVID,AMT,CMT,SS,II,ADDL,RATE,DV,MDV\n"
    rows = [
        "1,0,1,9,1,1,12,0,0,.,1",
        "1,12,1,9,1,0,12,3,0,.,1",
        "1,60,4,0,1,1,0,0,2,.,1",
        "1,70,3,.,.,.,.,.,.,.,1",
        "1,71,0,.,.,.,.,.,.,2,0",
    ]
    data = read(header + "\n".join(rows))
    assert data.doses.steady_state.tolist() == [1, 0, 1, 0]
    assert data.doses.additional.tolist() == [0, 3, 0, 0]
    assert data.doses.reset.tolist() == [False, False, True, True]
    assert data.n_doses == 3


def test_one_compartment_for_all_doses(read):
    text = "\n".join(",".join(line.split(",")[:4] + line.split(",")[5:]) for line in BASE.split())
    assert read(text, cmt=1).doses.compartment == ("1", "1")


def test_compartments_by_name(read):
    data = read(BASE.replace(",100,1,", ",100,depot,"))
    assert data.doses.compartment == ("depot", "depot")


def test_outputs_by_number_by_name_and_renamed(read):
    text = "ID,TIME,DV,DVID\n1,0,1,2\n1,0,2,1\n1,1,3,10\n"
    assert read(text).outputs == ("1", "2", "10")
    data = read(text, outputs={1: "conc", "2": "pca", 10.0: "inr"})
    assert data.outputs == ("conc", "pca", "inr")
    assert data.observations.output.tolist() == [1, 0, 2]
    assert read(text.replace(",2\n", ",pca\n")).outputs == ("1", "10", "pca")


def test_compartments_can_name_the_outputs(read):
    data = read(BASE.replace("3.9,0", "3.9,0").replace("1,2,0,0,2", "1,2,0,0,3"), dvid="CMT")
    assert data.outputs == ("2", "3")


def test_occasions_in_order(read):
    data = read("ID,TIME,DV,OCC\n1,0,1,2\n1,1,2,2\n2,0,3,1\n")
    assert data.occasions == ("1", "2")
    assert data.observations.occasion.tolist() == [1, 1, 0]


def test_censored_values(read):
    data = read("ID,TIME,DV,CENS,LLOQ\n1,0,5,0,1\n1,1,.,1,1\n1,2,0.4,1,1\n")
    assert data.observations.censored.tolist() == [False, True, True]
    assert data.observations.value.tolist() == [5, 1, 1]
    assert data.observations.limit.tolist() == [1, 1, 1]


def test_censored_values_whose_limit_stands_in_dv(read):
    data = read("ID,TIME,DV,CENS\n1,0,5,0\n1,1,-0.5,1\n")
    np.testing.assert_array_equal(data.observations.limit, [np.nan, -0.5])


def test_what_is_known_of_a_censored_value(read):
    data = read(
        "ID,TIME,DV,CENS,LLOQ,LIMIT\n1,0,5,0,1,0\n1,1,.,1,1,.\n1,2,1,1,1,0.2\n"
        "1,3,9,-1,1,.\n1,4,9,-1,1,20\n"
    )
    seen = data.observations
    np.testing.assert_array_equal(seen.lower, [np.nan, -np.inf, 0.2, 9, 9])
    np.testing.assert_array_equal(seen.upper, [np.nan, 1, 1, np.inf, 20])
    assert seen.below.tolist() == [False, True, True, False, False]
    assert seen.censored.tolist() == [False, True, True, True, True]
    assert seen.value.tolist() == [5, 1, 1, 9, 9]
    assert "2 below the limit, 2 above a limit" in repr(data)


def test_limits_without_a_mark_of_censoring_say_nothing(read):
    data = read("ID,TIME,DV,LIMIT\n1,0,5,1\n1,1,2,1\n")
    assert "W_INTERVAL_NO_CENS" in codes(data)
    assert not data.observations.censored.any()


def test_values_below_the_limit_that_are_not_marked_are_warned_of(read):
    data = read("ID,TIME,DV,CENS,LLOQ\n1,0,0.5,0,1\n1,1,2,0,1\n")
    assert codes(data) == {"N_MDV_INFERRED", "W_BELOW_LIMIT"}


def test_an_interval_that_repeats_nothing_is_warned_of(read):
    text = "ID,TIME,EVID,AMT,CMT,II,DV,MDV\n1,0,1,9,1,24,.,1\n1,1,0,.,.,.,2,0\n"
    assert codes(read(text)) == {"W_INTERVAL_UNUSED"}


def test_columns_that_look_like_more_are_warned_of(read):
    data = read("ID,TIME,DV,BLQ\n1,0,1,0\n")
    assert codes(data) == {"N_MDV_INFERRED", "W_COLUMN_SUSPECT"}


def test_a_dose_column_may_be_a_covariate_or_the_time(read):
    assert list(theophylline().covariates) == ["WT", "DOSE"]
    text = "ID,DOSE,DV\n1,0,1\n1,10,2\n"
    assert read(text, time="DOSE").observations.time.tolist() == [0, 10]


def test_units_are_kept_under_canonical_names(read):
    data = read(BASE, units={"time": "h", "AMT": "mg", "DV": "mg/L", "wt": "kg"})
    assert dict(data.units) == {"TIME": "h", "AMT": "mg", "DV": "mg/L", "WT": "kg"}
    named = read(BASE.replace("TIME", "T"), time="T", units={"T": "day"})
    assert dict(named.units) == {"TIME": "day"}


def test_times_need_no_unit_of_time_without_doses(read):
    text = "ID,TIME,DV\n1,0,1\n"
    assert read(text, units={"TIME": "mg", "DV": "ms"}).units["TIME"] == "mg"


def test_frames_of_several_kinds(base):
    columns = {
        "ID": [1, 1, 1, 2, 2, 2],
        "TIME": [0, 1, 2, 0, 1, 2],
        "EVID": [1, 0, 0, 1, 0, 0],
        "AMT": [100, 0, 0, 100, 0, 0],
        "CMT": [1, 2, 2, 1, 2, 2],
        "DV": [None, 5.1, 3.9, None, 6.2, 4.4],
        "MDV": [True, False, False, True, False, False],
        "WT": [70, 70, 70, 80, 80, 80],
    }
    frames = [pd.DataFrame(columns), pl.DataFrame(columns), pd.DataFrame(columns).astype("str")]
    frames[2] = frames[2].replace({"True": "1", "False": "0", "nan": "."})
    assert [read_data(frame).hash for frame in frames] == [base.hash] * 3
    assert read_data(frames[1]).source == "polars frame"


def test_nullable_and_categorical_columns(base):
    frame = base.to_frame().astype({"DV": "Float64", "EVID": "Int64", "ID": "category"})
    assert read_data(frame).hash == base.hash
    assert read_data(frame.astype("object").where(frame.notna(), pd.NA)).hash == base.hash


def test_a_frame_whose_index_and_integer_names_do_not_matter():
    frame = pd.DataFrame({"ID": [1], "TIME": [0], "DV": [1.0], 7: [3]}, index=[5])
    assert list(read_data(frame).covariates) == ["7"]
