"""Priors from a published table: every row finds its place, in the model's units, or is refused."""

import math

import pandas as pd
import pytest

import bayesnlme as bn
from bayesnlme.errors import DataError, ModelError
from bayesnlme.model.examples import theophylline_model
from bayesnlme.model.toml import parse_model, write_model
from bayesnlme.population.priors import Fixed, Prior
from bayesnlme.reports.content import prior_table

ROWS = [
    {"parameter": "CL", "kind": "typical", "value": 45, "se": 5, "unit": "mL/min"},
    {"parameter": "CL", "kind": "iiv", "value": 25, "rse_percent": 20, "unit": "%"},
    {"parameter": "V", "kind": "iiv", "value": 0.04, "rse_percent": 30, "as": "variance"},
    {"parameter": "ka", "kind": "iiv", "value": 0.5, "rse_percent": "fixed", "as": "sd"},
    {"parameter": "CL_WT", "kind": "covariate", "value": 0.8, "se": 0.1},
    {
        "parameter": "conc_additive", "kind": "residual", "value": 100, "rse_percent": 20,
        "unit": "ug/L", "as": "sd",
    },
    {
        "parameter": "conc_proportional", "kind": "residual", "value": 12, "rse_percent": 10,
        "unit": "%", "source": "another paper",
    },
]  # fmt: skip
UNITS = {"conc": "mg/L"}


def rows_of(model):
    return {row.name: row for row in model.priors}


def row(**cells):
    sound = {"parameter": "CL", "kind": "typical", "value": 2.5, "se": 0.5}
    return sound | cells


def test_each_row_becomes_what_one_would_write():
    made = theophylline_model().with_priors(ROWS, source="Smith 2001", units=UNITS)
    expected = theophylline_model()
    parameters = dict(expected.parameters)
    parameters["ka"] = bn.LogNormal(1.5, iiv=bn.fixed(0.5), unit="1/h")
    parameters["CL"] = bn.LogNormal(
        bn.typical(2.7, rse=1 / 9),
        iiv=bn.cv(25, rse=0.2),
        unit="L/h",
        covariates=[
            bn.covariates.power("WT", reference=70, exponent=bn.Prior("Normal", mu=0.8, sigma=0.1))
        ],
    )
    parameters["V"] = bn.LogNormal(32.0, iiv=bn.variance(0.04, rse=0.3), unit="L")
    error = bn.combined(additive=bn.sd(0.1, rse=0.2), proportional=bn.cv(12, rse=0.1))
    expected = expected.replace(parameters=parameters, observations={"conc": error})
    assert [each.text for each in made.priors] == [each.text for each in expected.priors]
    assert rows_of(made)["CL_pop"].source == "Smith 2001"
    assert rows_of(made)["conc_proportional"].source == "another paper"


def test_what_the_table_does_not_give_keeps_its_prior_and_is_listed():
    before, after = theophylline_model(), theophylline_model().with_priors(ROWS, units=UNITS)
    assert rows_of(after)["ka_pop"] == rows_of(before)["ka_pop"]
    assert rows_of(after)["ka_pop"].default
    assert not rows_of(after)["CL_pop"].default
    assert [row.name for row in after.priors] == [row.name for row in before.priors]
    assert "CL_pop ~ LogNormal(mu=0.993252, sigma=0.11077)  (from a published table)" in repr(after)
    chosen = {each["text"].split()[0]: each for each in prior_table(after)}
    assert chosen["CL_pop"]["source"] == "a published table"
    assert chosen["ka_pop"]["origin"] == "default"


def test_standard_errors_are_inflated():
    plain = theophylline_model().with_priors([row()], source="S")
    wider = theophylline_model().with_priors([row()], source="S", inflate=3)
    rse = [
        math.sqrt(math.expm1(rows_of(each)["CL_pop"].prior.keywords["sigma"] ** 2))
        for each in (plain, wider)
    ]
    assert rse == pytest.approx([0.2, 0.6])
    assert rows_of(wider)["CL_pop"].source == "S, standard error times 3"


def test_sources_survive_a_file_and_count_as_content():
    made = theophylline_model().with_priors(ROWS, source="Smith 2001", units=UNITS)
    read = parse_model(write_model(made))
    assert read == made
    assert [each.source for each in read.priors] == [each.source for each in made.priors]
    assert made != theophylline_model().with_priors(ROWS, source="Jones 2002", units=UNITS)


@pytest.mark.parametrize("form", ["csv", "pandas", "polars", "columns"])
def test_a_table_may_come_in_every_form(form, tmp_path):
    frame = pd.DataFrame(ROWS)
    path = tmp_path / "smith.csv"
    frame.to_csv(path, index=False)
    table = {
        "csv": path,
        "pandas": frame,
        "polars": pytest.importorskip("polars").from_pandas(frame.astype(object).map(str).replace(
            "nan", None)),
        "columns": {name: list(column) for name, column in frame.items()},
    }[form]  # fmt: skip
    made = theophylline_model().with_priors(table, source="S", units=UNITS)
    assert made == theophylline_model().with_priors(ROWS, source="S", units=UNITS)


def test_a_model_file_names_a_table_beside_it(tmp_path):
    pd.DataFrame(ROWS).to_csv(tmp_path / "smith.csv", index=False)
    text = write_model(theophylline_model()) + (
        '\n[published]\ntable = "smith.csv"\ninflate = 2\nunits = {conc = "mg/L"}\n'
    )
    (tmp_path / "model.toml").write_text(text, encoding="utf-8")
    read = bn.read_model(tmp_path / "model.toml")
    assert read == theophylline_model().with_priors(
        ROWS, source="smith.csv", inflate=2, units=UNITS
    ).replace(observations=read.observations)
    assert rows_of(read)["CL_pop"].source == "smith.csv, standard error times 2"
    with pytest.raises(
        ModelError, match=r"published\.table: only a model that is read from a file"
    ):
        parse_model(text)
    (tmp_path / "model.toml").write_text(text + "of = 1\n", encoding="utf-8")
    with pytest.raises(ModelError, match="unknown entry 'of'"):
        bn.read_model(tmp_path / "model.toml")
    (tmp_path / "model.toml").write_text(text.replace("smith", "jones"), encoding="utf-8")
    with pytest.raises(DataError, match=r"jones\.csv"):
        bn.read_model(tmp_path / "model.toml")


def rich_model():
    return bn.Model(
        name="rich",
        parameters={
            "E0": bn.Normal(
                10.0,
                iiv=2.0,
                iov=1.0,
                unit="mmHg",
                shape=bn.effects.student_t(df=5),
                covariates=[
                    bn.covariates.maturation("PMA", half=47.7, hill=3.4),
                    bn.covariates.function("AGE", lambda x, b: 1 - b.loss * x, loss=0.1),
                ],
            ),
            "F": bn.LogitNormal(0.5, iiv=0.3, shape=bn.effects.boxcox(0.1)),
        },
        structure=bn.curve(lambda t, p: p.E0 + p.F * t, output="resp"),
        observations={"resp": bn.student_t(bn.power_error(coefficient=0.3, exponent=0.8), df=5)},
    )


def test_every_kind_of_row_has_a_place():
    rows = [
        row(parameter="E0", unit="kPa", value=2.0, se=0.4),
        row(parameter="E0", kind="iiv", unit="kPa^2", value=0.04, **{"as": "variance"}, se=0.01),
        row(parameter="E0", kind="iov", unit="mmHg", value=1.5, se=0.3, **{"as": "sd"}),
        row(parameter="E0", kind="shape", value=6, se=3),
        row(parameter="E0_PMA_half", kind="covariate", value=50, se=5),
        row(parameter="E0_AGE_loss", kind="covariate", value=0, se=0.1),
        row(parameter="F", value=60, se=6, unit="%"),
        row(parameter="F", kind="shape", value=0.3, se=0.2),
        row(parameter="resp_coefficient", kind="residual", value=0.2, se=0.02, **{"as": "sd"}),
        row(parameter="resp_exponent", kind="residual", value=0.9, se=0.1),
        row(parameter="resp_df", kind="residual", value=4, se="fixed"),
    ]
    found = rows_of(rich_model().with_priors(rows, source="S"))
    assert found["E0_pop"].prior.keywords == pytest.approx({"mu": 15.0012, "sigma": 3.00025}, 1e-4)
    variance = bn.variance(0.04 * 7.500617**2, rse=0.25)
    omega = bn.Normal(1.0, iiv=variance).iiv_prior().keywords
    assert found["omega[E0]"].prior.keywords == pytest.approx(omega, 1e-6)
    assert math.exp(found["omega_iov[E0]"].prior.keywords["mu"]) == pytest.approx(1.5)
    assert math.exp(found["E0_df"].prior.keywords["mu"]) == pytest.approx(6)
    assert math.exp(found["E0_PMA_half"].prior.keywords["mu"]) == pytest.approx(50)
    assert found["E0_AGE_loss"].prior == Prior("Normal", mu=0, sigma=0.1, source="S")
    assert found["F_pop"].prior == bn.LogitNormal(bn.typical(0.6, rse=0.1)).typical_prior()
    assert found["F_boxcox"].prior == Prior("Normal", mu=0.3, sigma=0.2, source="S")
    assert math.exp(found["resp_coefficient"].prior.keywords["mu"]) == pytest.approx(0.2)
    assert found["resp_exponent"].prior == Prior("Normal", mu=0.9, sigma=0.1, source="S")
    assert found["resp_df"].prior == Fixed(4.0, "S")
    assert {each.source for each in found.values()} == {"S", ""}


@pytest.mark.parametrize(
    ("cells", "column", "fragment"),
    [
        ({"parameter": "Cl"}, "parameter", "Did you mean 'CL'?"),
        ({"parameter": "CL_WEIGHT", "kind": "covariate"}, "parameter", "Did you mean 'CL_WT'?"),
        ({"parameter": "conc_prop", "kind": "residual"}, "parameter", "conc_proportional"),
        ({"kind": "theta"}, "kind", "The kind 'theta' is unknown"),
        ({"kind": "iov", "as": "sd"}, "kind", "no occasion effect in the model"),
        ({"kind": "shape"}, "kind", "is normal in the model"),
        ({"kind": "iiv", "unit": ""}, "as", "may be a standard deviation, a variance or a CV"),
        ({"kind": "iiv", "as": "omega"}, "as", "'omega' is no form"),
        ({"as": "sd"}, "as", "as = sd means nothing here"),
        ({"unit": "kg"}, "unit", "parameter CL has 'L/h'"),
        ({"unit": "parrots"}, "unit", "parrots"),
        ({"kind": "iiv", "as": "cv_percent", "unit": "L/h"}, "unit", "A CV in percent has no unit"),
        ({"kind": "iiv", "as": "sd", "unit": "L/h"}, "unit", "parameter CL has no unit"),
        ({"value": "2,5"}, "value", "The value '2,5' is no number"),
        ({"value": -1, "unit": "L/h"}, "value", "a log-normal parameter is positive, not -1"),
        ({"se": -1}, "se", "is no positive number"),
        ({"se": ""}, "rse_percent", "No standard error is given"),
        ({"rse_percent": 3}, "rse_percent", "Both rse_percent and se are given"),
        ({"se": "", "rse_percent": 3, "value": 0}, "rse_percent", "percentage of 0"),
        ({"parameter": ""}, "parameter", "No parameter is named"),
        (
            {"parameter": "conc_additive", "kind": "residual", "as": "sd", "unit": "mg/L"},
            "unit",
            "does not know the unit of conc",
        ),
    ],
)
def test_a_row_without_a_place_is_refused_by_its_number(cells, column, fragment):
    with pytest.raises(DataError) as refused:
        theophylline_model().with_priors([row(parameter="V", unit="L"), row(**cells)])
    (finding,) = refused.value.findings
    assert (finding.row, finding.column) == (2, column)
    assert fragment in str(finding)


def test_all_problems_are_said_at_once():
    rows = [row(), row(), row(parameter="X"), row(parameter="ka", value=-1)]
    with pytest.raises(DataError) as refused:
        theophylline_model().with_priors(rows)
    found = [(each.row, each.message) for each in refused.value.findings]
    assert [number for number, _ in found] == [2, 3, 4]
    assert found[0][1] == "Row 1 gives the same."


def test_a_blank_unit_is_not_taken_for_the_models():
    rows = [row(unit="L/h"), row(parameter="V", unit="")]
    with pytest.raises(DataError, match=r"row 2, column unit.*parameter V has 'L'"):
        theophylline_model().with_priors(rows)


@pytest.mark.parametrize(
    ("table", "fragment"),
    [
        ({"parameter": ["CL"], "kinds": ["x"]}, "Did you mean 'kind'?"),
        ([{"parameter": "CL", "kind": "typical", "value": 1}], "no standard errors"),
        ({"parameter": ["CL"], "kind": ["typical", "iiv"]}, "makes no table"),
        (3, "cannot be read from"),
        ("nowhere.csv", "nowhere.csv"),
    ],
)
def test_what_is_no_table_is_refused(table, fragment):
    with pytest.raises(DataError) as refused:
        theophylline_model().with_priors(table)
    assert fragment in str(refused.value)


@pytest.mark.parametrize(
    ("options", "fragment"),
    [
        ({"inflate": 0}, "inflate=0 must be positive"),
        ({"inflate": "2"}, "inflate: '2' is not a finite number"),
        ({"source": 3}, "source=3 must be text"),
        ({"source": "a\nb"}, "must be text on one line"),
        ({"units": {"con": "mg/L"}}, "units of con"),
        ({"units": {"conc": "parrots"}}, "parrots"),
    ],
)
def test_options_of_the_wrong_kind_are_refused(options, fragment):
    with pytest.raises(ModelError) as refused:
        theophylline_model().with_priors([row()], **options)
    assert fragment in str(refused.value)


def test_thresholds_do_not_come_one_by_one():
    model = bn.Model(
        name="score",
        parameters={"a": bn.Normal(1.0, iiv=0.5)},
        structure=bn.curve(lambda t, p: p.a * t, output="score"),
        observations={"score": bn.ordered(thresholds=[-1.0, 1.0])},
    )
    with pytest.raises(DataError, match="Thresholds hold together"):
        model.with_priors([row(parameter="score_threshold_1", kind="residual")])
