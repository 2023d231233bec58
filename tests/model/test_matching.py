"""Tables that cannot be used with a model: each refused with a code, a place and a remedy."""

from functools import partial

import numpy as np
import pandas as pd
import pytest

import bayesnlme as bn
from bayesnlme.errors import DataError, ModelError, Severity
from bayesnlme.model.matching import level_codes, match, table_findings

check = partial(bn.check, identifiability=False)

COLUMNS = ["ID", "TIME", "EVID", "AMT", "CMT", "DVID", "DV", "WT", "SEX", "RATE"]
SOUND = [
    ["A", 0.0, 1, 100.0, 1, None, None, 70.0, "F", 0.0],
    ["A", 1.0, 0, None, None, 1, 4.0, 70.0, "F", None],
    ["A", 2.0, 0, None, None, 1, 3.0, 70.0, "F", None],
    ["B", 0.0, 1, 100.0, 1, None, None, 60.0, "M", 0.0],
    ["B", 1.0, 0, None, None, 1, 5.0, 60.0, "M", None],
    ["B", 2.0, 0, None, None, 1, 2.0, 60.0, "M", None],
]


def data_of(changes=None, **options):
    """Read the sound table with some cells changed: ``{(row, column): value}``, rows from 1."""
    frame = pd.DataFrame(SOUND, columns=COLUMNS)
    for (row, column), value in (changes or {}).items():
        frame[column] = frame[column].astype(object)
        frame.loc[row - 1, column] = value
    return bn.read_data(frame, **options)


def model_of(*effects, residual=None, outputs=("conc",), parameter=None):
    structure = bn.ode(
        lambda t, y, p: {"central": -p.CL / p.V * y.central},
        states=("central",),
        outputs={name: lambda t, y, p: y.central / p.V for name in outputs},
    )
    if outputs == ("conc",):
        structure = bn.pk.one_compartment()
    return bn.Model(
        name="test",
        parameters={
            "CL": parameter or bn.LogNormal(3.0, iiv=0.3, covariates=effects),
            "V": bn.LogNormal(30.0, iiv=0.2),
        },
        structure=structure,
        observations={name: residual or bn.additive(0.5) for name in outputs},
    )


WEIGHT = bn.covariates.power("WT", reference=70)
SEX = bn.covariates.categorical("SEX", reference="F")


def refused_by(call):
    with pytest.raises(DataError) as refused:
        call()
    return refused.value.findings


def assert_refused(model, data, code, *, row=None, column=None, subject=None):
    """Expect the finding from check, from build, and from fit before anything is sampled."""
    found = [each for each in check(model, data) if each.severity is Severity.ERROR]
    assert code in {each.code for each in found}
    finding = next(each for each in found if each.code == code)
    assert finding.message
    assert finding.remedy
    assert (finding.row, finding.column, finding.subject) == (row, column, subject)
    for call in (lambda: bn.build(model, data), lambda: bn.fit(model, data, seed=1)):
        assert refused_by(call) == tuple(found)
    return finding


def test_a_sound_table_has_nothing_against_it():
    assert list(table_findings(model_of(WEIGHT, SEX), data_of())) == []


@pytest.mark.parametrize(
    ("changes", "options", "row", "near"),
    [
        ({(3, "DVID"): 2}, {}, 3, "Known: 'conc'"),
        ({(5, "DVID"): 7}, {}, 5, "Known: 'conc'"),
        ({(3, "DVID"): 2}, {"outputs": {1: "conc", 2: "cnc"}}, 3, "Did you mean 'conc'?"),
        ({(6, "DVID"): "pca"}, {"outputs": {1: "conc"}}, 6, "Known: 'conc'"),
        ({(2, "DVID"): 0}, {}, 2, "Known: 'conc'"),
    ],
)
def test_an_observed_output_that_the_model_lacks(changes, options, row, near):
    data = data_of(changes, **options)
    subject = "A" if row < 4 else "B"
    finding = assert_refused(
        model_of(), data, "E_OUTPUT_UNKNOWN", row=row, column="DVID", subject=subject
    )
    assert near in finding.remedy
    assert ".subset(outputs=" in finding.remedy


@pytest.mark.parametrize(
    ("column", "rows", "missing"),
    [
        ("WT", (4, 5, 6), None),
        ("WT", (5,), None),
        ("WT", (1,), np.nan),
        ("SEX", (4, 5, 6), None),
        ("SEX", (3,), "."),
    ],
)
def test_a_covariate_missing_for_one_subject(column, rows, missing):
    data = data_of({(row, column): missing for row in rows})
    subject = "A" if rows[0] < 4 else "B"
    assert_refused(
        model_of(WEIGHT, SEX),
        data,
        "E_COVARIATE_MISSING",
        row=rows[0],
        column=column,
        subject=subject,
    )
    named = [each.row for each in table_findings(model_of(WEIGHT, SEX), data)]
    assert named == list(rows)


@pytest.mark.parametrize(
    "rates",
    [{1: -1}, {1: -2}, {4: -2}, {1: -1, 4: -2}, {4: "-1"}],
)
@pytest.mark.parametrize("structure", ["closed", "ode"])
def test_a_rate_that_needs_a_parameter(rates, structure):
    model = model_of(outputs=("conc",) if structure == "closed" else ("conc", "other"))
    changes = {(row, "RATE"): rate for row, rate in rates.items()}
    data = data_of(changes | ({(3, "DVID"): 2, (6, "DVID"): 2} if structure == "ode" else {}))
    codes = {-1: "E_RATE_UNMODELLED", -2: "E_DURATION_UNMODELLED"}
    expected = [(codes[int(rate)], row) for row, rate in rates.items()]
    code, row = expected[0]
    subject = "A" if row < 4 else "B"
    assert_refused(model, data, code, row=row, column="RATE", subject=subject)
    found = refused_by(lambda: bn.build(model, data))
    assert [(each.code, each.row) for each in found] == expected


@pytest.mark.parametrize(
    ("changes", "rows"),
    [
        ({(2, "DV"): 0}, (2,)),
        ({(5, "DV"): -0.1}, (5,)),
        ({(3, "DV"): -0.0}, (3,)),
        ({(2, "DV"): 0, (6, "DV"): -3.0}, (2, 6)),
        ({(6, "DV"): "0"}, (6,)),
    ],
)
def test_zero_or_negative_values_under_a_log_error(changes, rows):
    model, data = model_of(residual=bn.log_normal(0.2)), data_of(changes)
    subject = "A" if rows[0] < 4 else "B"
    assert_refused(model, data, "E_DV_NOT_POSITIVE", row=rows[0], column="DV", subject=subject)
    assert [each.row for each in table_findings(model, data)] == list(rows)
    assert list(table_findings(model_of(), data)) == []


@pytest.mark.parametrize("near", ["wt", "WEIGHT", "WTT", "AGE", "W T"])
def test_a_covariate_that_the_table_lacks(near):
    model = model_of(bn.covariates.power(near, reference=70))
    finding = assert_refused(model, data_of(), "E_COVARIATE_ABSENT", column=near)
    assert "'WT'" in finding.remedy
    assert "CL" in finding.message


def test_a_covariate_may_change_within_a_subject():
    data = data_of({(6, "WT"): 61.0, (3, "SEX"): "M"})
    assert list(table_findings(model_of(WEIGHT, SEX), data)) == []


@pytest.mark.parametrize("value", [0.0, -60.0])
@pytest.mark.parametrize("rows", [(4, 5, 6), (5, 6), (6,)])
def test_a_power_of_a_value_that_is_not_positive(value, rows):
    data = data_of({(row, "WT"): value for row in rows})
    assert_refused(
        model_of(WEIGHT), data, "E_COVARIATE_NOT_POSITIVE", row=rows[0], column="WT", subject="B"
    )
    assert len(list(table_findings(model_of(WEIGHT), data))) == 1
    linear = model_of(bn.covariates.linear("WT", reference=70))
    assert list(table_findings(linear, data)) == []


def test_text_under_an_effect_of_numbers():
    model = model_of(bn.covariates.exponential("SEX", reference=1))
    finding = assert_refused(model, data_of(), "E_COVARIATE_TEXT", column="SEX")
    assert "categorical" in finding.remedy


def test_a_reference_level_that_never_occurs():
    model = model_of(bn.covariates.categorical("SEX", reference="f"))
    finding = assert_refused(model, data_of(), "E_COVARIATE_REFERENCE", column="SEX")
    assert "Did you mean 'F'?" in finding.remedy


def test_one_level_says_nothing_unless_its_effect_is_known():
    data = data_of({(row, "SEX"): "F" for row in (4, 5, 6)})
    assert_refused(model_of(SEX), data, "E_COVARIATE_ONE_LEVEL", column="SEX")
    known = bn.covariates.categorical("SEX", reference="F", coefficient=0.2)
    assert list(table_findings(model_of(known), data)) == []


def test_numbers_are_levels_with_all_their_digits():
    sites = {(row, "WT"): 1000001 if row < 4 else 1000002 for row in range(1, 7)}
    site = bn.covariates.categorical("WT", reference=1000001)
    levels, codes = level_codes(site, data_of(sites))
    assert levels == ("1000001", "1000002")
    assert codes.tolist() == [0, 0, 0, 1, 1, 1]


def test_levels_begin_with_the_reference():
    levels, codes = level_codes(bn.covariates.categorical("SEX", reference="M"), data_of())
    assert levels == ("M", "F")
    assert codes.tolist() == [1, 1, 1, 0, 0, 0]


def test_levels_may_come_up_in_the_middle_of_a_subject():
    levels, codes = level_codes(SEX, data_of({(2, "SEX"): "X", (5, "SEX"): "F"}))
    assert levels == ("F", "M", "X")
    assert codes.tolist() == [0, 2, 0, 1, 0, 1]
    reference = bn.covariates.categorical("SEX", reference="X")
    assert list(table_findings(model_of(reference), data_of({(2, "SEX"): "X"}))) == []


def test_censored_values_are_refused_where_an_outcome_cannot_express_them():
    frame = pd.DataFrame(SOUND, columns=COLUMNS).assign(CENS=[0, 0, 1, 0, 0, 0], LLOQ=3.0)
    frame.loc[frame.EVID == 0, "DV"] = frame.DV[frame.EVID == 0].round()
    assert_refused(
        model_of(residual=bn.poisson()),
        bn.read_data(frame),
        "E_CENSORING_UNSUPPORTED",
        row=3,
        column="CENS",
        subject="A",
    )


def test_an_output_that_is_never_observed():
    finding = assert_refused(
        model_of(outputs=("conc", "pca")), data_of(), "E_OUTPUT_UNOBSERVED", column="DVID"
    )
    assert "'pca'" in finding.message


def test_two_labels_for_one_output():
    data = data_of({(3, "DVID"): "conc"}, outputs={1: "1"})
    assert_refused(model_of(), data, "E_OUTPUT_TWICE", column="DVID")


@pytest.mark.parametrize(
    ("labels", "options"),
    [
        ((1, 2), {}),
        ((1, 2), {"outputs": {1: "conc", 2: "pca"}}),
        (("conc", "pca"), {}),
        ((10, 20), {"outputs": {10: "conc", 20: "pca"}}),
    ],
)
def test_outputs_are_called_as_the_model_calls_them(labels, options):
    changes = {(row, "DVID"): labels[row in (3, 6)] for row in (2, 3, 5, 6)}
    matched = match(model_of(outputs=("conc", "pca")), data_of(changes, **options))
    assert matched.outputs == ("conc", "pca")
    assert matched.observations.output.tolist() == [0, 1, 0, 1]


def test_outputs_may_come_in_any_order():
    changes = {(row, "DVID"): "pca" if row in (2, 5) else "conc" for row in (2, 3, 5, 6)}
    matched = match(model_of(outputs=("pca", "conc")), data_of(changes))
    called = [matched.outputs[i] for i in matched.observations.output]
    assert called == ["pca", "conc", "pca", "conc"]


def test_a_lone_output_may_have_any_label():
    for label in (1, 3, "plasma"):
        data = data_of({(row, "DVID"): label for row in (2, 3, 5, 6)})
        assert match(model_of(), data).outputs == ("conc",)


def test_units_follow_their_output():
    data = data_of({}, units={"1": "mg/L"}, outputs={1: "1"})
    assert match(model_of(), data).units == {"conc": "mg/L"}


def test_an_output_without_scored_values_is_said():
    frame = pd.DataFrame(SOUND, columns=COLUMNS).assign(MDV=[1, 0, 1, 1, 0, 1])
    frame["DVID"] = [None, 1, 2, None, 1, 2]
    try:
        data = bn.read_data(frame)
    except DataError as refused:
        assert refused.findings  # noqa: PT017  either is a plain answer
    else:
        check(model_of(), data)


def test_every_reason_is_given_at_once():
    data = data_of({(2, "DV"): -1.0, (3, "DVID"): 9, (4, "WT"): None})
    model = model_of(WEIGHT, residual=bn.log_normal(0.2), outputs=("conc", "pca"))
    codes = {each.code for each in refused_by(lambda: bn.build(model, data))}
    assert codes >= {
        "E_OUTPUT_UNKNOWN",
        "E_OUTPUT_UNOBSERVED",
        "E_DV_NOT_POSITIVE",
        "E_COVARIATE_MISSING",
    }


@pytest.mark.parametrize("call", [bn.build, bn.check])
def test_what_is_no_model_or_no_data_is_refused(call):
    with pytest.raises(ModelError, match="must be a Dataset, not str"):
        call(model_of(), "theophylline.csv")
    with pytest.raises(ModelError, match="must be a Dataset, not DataFrame"):
        call(model_of(), pd.DataFrame())
    with pytest.raises(ModelError, match=r"must be a bn\.Model, not Dataset"):
        call(data_of(), model_of())
