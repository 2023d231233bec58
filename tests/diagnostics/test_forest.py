"""The forest table against formulas at every draw, and its figure."""

import numpy as np
import pytest

import bayesnlme as bn
from tests.conftest import frame

COLUMNS = "ID TIME EVID AMT CMT DV WT SEX PMA"
ROWS = [
    (i, t, 0, 0, 1, 5.0 + i + t + 0.1 * (i * t) % 1, 50 + 10 * i, "FM"[i % 2], 30 + 5 * i)
    for i in range(1, 9)
    for t in (0.0, 1.0)
]


@pytest.fixture(scope="module")
def fit():
    of = bn.covariates
    known = {"half": 40, "hill": bn.Prior("LogNormal", mu=1, sigma=0.2)}
    model = bn.Model(
        name="forest",
        parameters={
            "a": bn.LogNormal(
                5.0, covariates=[of.power("WT", reference=70), of.categorical("SEX", reference="F")]
            ),
            "b": bn.Normal(
                2.0, covariates=[of.linear("WT", reference=70), of.maturation("PMA", **known)]
            ),
            "c": bn.LogitNormal(
                bn.fixed(0.4), covariates=[of.exponential("WT", reference=70, coefficient=0.01)]
            ),
        },
        structure=bn.curve(lambda t, p: p.a + p.b * t + p.c * t * t),
        observations={"value": bn.additive(1.0)},
    )
    data = bn.read_data(frame(ROWS, COLUMNS))
    return bn.fit(model, data, method=bn.NUTS(draws=60, tune=150, chains=2), seed=1, progress=False)


@pytest.fixture(scope="module")
def table(fit):
    return bn.covariate_forest(fit, {"WT": [50, 70, 100], "SEX": ["F", "M"], "PMA": [40.0]})


def ratios(fit, row):
    posterior = {name: each.values.ravel() for name, each in fit.posterior.items()}
    value = row["value"]
    match (row["parameter"], row["covariate"]):
        case ("a", "WT"):
            return (float(value) / 70) ** posterior["a_WT"]
        case ("a", "SEX"):
            return np.exp(posterior["a_SEX"]) if value == "M" else np.ones(120)
        case ("b", "WT"):
            return 1 + posterior["b_WT"] * (float(value) - 70) / posterior["b_pop"]
        case ("b", "PMA"):
            return np.full(120, 0.5)
        case _:
            odds = 0.4 / 0.6 * np.exp(0.01 * (float(value) - 70))
            return np.full(120, odds / (1 + odds) / 0.4)


def test_ratios_are_those_of_the_formulas(fit, table):
    assert len(table) == 3 * 3 + 2 + 1
    for _, row in table.iterrows():
        ratio = ratios(fit, row)
        expected = [*np.quantile(ratio, [0.5, 0.05, 0.95]), np.mean((ratio > 0.8) & (ratio < 1.25))]
        found = row[["median", "lower", "upper", "probability"]].to_numpy(dtype=float)
        np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_at_the_reference_nothing_changes(table):
    there = table[(table["value"] == "70") | (table["value"] == "F")]
    assert len(there) == 4
    np.testing.assert_allclose(there[["median", "lower", "upper", "probability"]], 1.0, rtol=1e-12)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "values must be a mapping"),
        ({"HT": [1]}, "No parameter depends on 'HT'"),
        ({"WT": 70}, "give a list of values"),
        ({"WT": []}, "give a list of values"),
        ({"SEX": "F"}, "give a list of values"),
        ({"SEX": ["X"]}, "SEX has no level 'X'"),
        ({"WT": ["heavy"]}, "'heavy' is no number"),
        ({"WT": [0]}, "power effect on a needs values above 0"),
    ],
)
def test_what_cannot_be_tabulated_is_refused(fit, values, said):
    with pytest.raises(bn.FitError) as refused:
        bn.covariate_forest(fit, values)
    assert said in str(refused.value)


def test_the_range_is_one_of_positive_ratios(fit):
    with pytest.raises(bn.FitError, match="must be a range of positive ratios"):
        bn.covariate_forest(fit, {"WT": [70]}, inside=(1.25, 0.8))
    with pytest.raises(bn.FitError, match="must lie between 0 and 1"):
        bn.covariate_forest(fit, {"WT": [70]}, interval=90)


def test_the_figure_draws_the_table(table):
    drawing = bn.plots.covariate_forest(table)
    drawing.draw_without_rendering()
    titles = [panel.get_title(loc="left") for panel in drawing.axes]
    assert titles == ["a", "b", "c"]
    words = [tick.get_text() for tick in drawing.axes[0].get_yticklabels()]
    assert words == ["WT = 50", "WT = 70", "WT = 100", "SEX = F", "SEX = M"]
