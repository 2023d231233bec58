"""Values next to a model: impossible ones, censored ones, and what M1 and M2 leave out."""

import numpy as np
import pandas as pd
import pytest

import bayesnlme as bn
from bayesnlme.errors import Severity
from bayesnlme.model.matching import match, table_findings

ROWS = {"ID": [1, 1, 1, 2, 2], "TIME": [0, 1, 2, 0, 1], "DV": [5.0, 2.0, 1.0, 4.0, 1.0],
        "CENS": [0, 0, 1, 0, 1]}  # fmt: skip


def data_of(**changes):
    return bn.read_data(pd.DataFrame({**ROWS, **changes}))


def model_of(outcome):
    return bn.Model(
        name="values",
        parameters={"a": bn.LogNormal(5.0, iiv=0.3), "k": bn.LogNormal(0.5)},
        structure=bn.curve(lambda t, p: p.a * bn.math.exp(-p.k * t), output="z"),
        observations={"z": outcome},
    )


def codes(outcome, data):
    return [each.code for each in table_findings(model_of(outcome), data)]


def test_censored_values_are_kept_by_default():
    assert codes(bn.additive(1), data_of()) == []
    assert match(model_of(bn.additive(1)), data_of()).n_observations == 5


@pytest.mark.parametrize("blq", ["M1", "M2"])
def test_dropped_values_are_counted_in_a_warning(blq):
    model = model_of(bn.additive(1, blq=blq))
    (finding,) = table_findings(model, data_of(LLOQ=1.0))
    assert (finding.code, finding.severity) == ("W_BLQ_DROPPED", Severity.WARNING)
    assert "2 of 5 observations" in finding.message
    assert blq in finding.message
    matched = match(model, data_of(LLOQ=1.0))
    assert matched.n_observations == 3
    assert finding in matched.findings
    again = match(model, matched)
    assert again.hash == matched.hash
    assert again.findings == matched.findings


def test_a_subject_left_without_values_is_taken_out():
    data = data_of(CENS=[0, 0, 0, 1, 1], LLOQ=1.0, DV=[5, 2, 1, 1, 1])
    matched = match(model_of(bn.additive(1, blq="M1")), data)
    assert matched.subjects == ("1",)
    assert "N_SUBJECT_LEFT_OUT" in [each.code for each in matched.findings]


def test_values_above_a_limit_are_never_dropped():
    data = data_of(CENS=[0, 0, 1, -1, -1], LLOQ=1.0)
    assert match(model_of(bn.additive(1, blq="M1")), data).n_observations == 4


def test_nothing_is_left_where_all_are_dropped():
    assert codes(bn.additive(1, blq="M1"), data_of(CENS=1)) == ["E_BLQ_ALL_DROPPED"]


def test_m2_takes_the_only_limit_for_that_of_every_value():
    matched = match(model_of(bn.additive(0.5, blq="M2")), data_of())
    assert matched.observations.limit.tolist() == [1.0, 1.0, 1.0]


def test_m2_needs_a_limit():
    found = codes(bn.additive(1, blq="M2"), data_of(DV=[5, 2, 1, 4, 1.5]))
    assert found == ["W_BLQ_DROPPED", *["E_LIMIT_MISSING"] * 3]
    assert codes(bn.additive(1, blq="M2"), data_of(CENS=0)) == ["E_LIMIT_MISSING"] * 5


def test_m2_and_a_value_below_its_limit():
    found = codes(bn.additive(1, blq="M2"), data_of(CENS=0, LLOQ=1.5))
    assert found == ["E_DV_BELOW_LIMIT"] * 2


@pytest.mark.parametrize("outcome", [bn.additive(1, blq="M4"), bn.log_normal(1)])
def test_positive_quantities_have_no_other_values_or_limits(outcome):
    assert codes(outcome, data_of(DV=[5, 0, 1, 4, 1])) == ["E_DV_NOT_POSITIVE"]
    assert codes(outcome, data_of(DV=[5, 1, 1, 4, -1])) == ["E_LIMIT_NOT_POSITIVE"]


@pytest.mark.parametrize(
    ("outcome", "good", "bad", "said"),
    [
        (bn.poisson(), [0, 1, 7, 100, 3], 1.5, "whole number"),
        (bn.negative_binomial(dispersion=1), [0, 1, 7, 100, 3], -1, "whole number"),
        (bn.binary(), [0, 1, 1, 0, 1], 2, "0 or 1"),
        (bn.ordered(thresholds=[-1, 1]), [0, 1, 2, 0, 1], 3, "0, ..., 2"),
        (bn.ordered(thresholds=[-1, 1], first=1), [1, 2, 3, 3, 1], 0, "1, ..., 3"),
    ],
)
def test_discrete_values(outcome, good, bad, said):
    assert codes(outcome, data_of(DV=good, CENS=0)) == []
    (finding,) = table_findings(model_of(outcome), data_of(DV=[*good[:3], bad, good[4]], CENS=0))
    assert (finding.code, finding.row, finding.subject) == ("E_DV_IMPOSSIBLE", 4, "2")
    assert said in finding.message
    assert finding.remedy
    assert codes(outcome, data_of(DV=good)) == ["E_CENSORING_UNSUPPORTED"] * 2


def test_every_output_is_judged_by_its_own_outcome():
    model = bn.Model(
        name="two",
        parameters={"a": bn.LogNormal(5.0, iiv=0.3), "k": bn.LogNormal(0.5)},
        structure=bn.ode(
            lambda t, y, p: {"x": -p.k * y.x},
            states=("x",),
            initial={"x": lambda p: p.a},
            outputs={"conc": lambda t, y, p: y.x, "n": lambda t, y, p: y.x},
        ),
        observations={"conc": bn.additive(1, blq="M1"), "n": bn.poisson()},
    )
    data = data_of(DVID=[1, 2, 1, 2, 1], DV=[5.5, 2, 1, 4, 1])
    matched = match(model, data)
    assert matched.n_observations == 3
    assert np.array(matched.outputs)[matched.observations.output].tolist() == ["conc", "n", "n"]


def test_an_interval_does_not_become_a_value_below_the_limit():
    data = data_of(CENS=[-1, 0, 1, 0, 1], DV=[0.5, 2, 1, 4, 1],
                   LIMIT=[1.0, np.nan, np.nan, np.nan, np.nan])  # fmt: skip
    matched = match(model_of(bn.additive(1, blq="M1")), data)
    assert matched.observations.upper.tolist()[0] == 1.0
    assert matched.n_observations == 3
