import numpy as np
import pytest
from scipy import special

import bayesnlme as bn
from bayesnlme.errors import ModelError
from bayesnlme.observation.kinds import outcome_from_dict
from tests.observation.densities import bounds, log_density, slopes

ORDERED = bn.ordered(thresholds=[-1.0, 0.5, 2.0], first=1)
CUTS = {"threshold_1": -1.0, "increment_2": 1.5, "increment_3": 1.5}


@pytest.mark.parametrize("f", [-800.0, -3.0, 0.0, 0.4, 40.0])
def test_binary_by_its_logit(f):
    found = log_density(bn.binary(), [0.0, 1.0], f, {})
    assert found == pytest.approx([special.log_expit(-f), special.log_expit(f)], rel=1e-14)


def test_binary_by_its_probability():
    outcome = bn.binary(link="identity")
    assert np.exp(log_density(outcome, [0.0, 1.0], 0.3, {})) == pytest.approx([0.7, 0.3])
    assert log_density(outcome, [0.0, 1.0], 0.0, {}).tolist() == [0.0, -np.inf]
    assert np.isneginf(log_density(outcome, [0.0, 1.0], 1.2, {})).all()


@pytest.mark.parametrize("f", [-60.0, -0.7, 0.0, 1.3, 60.0])
def test_ordered_probabilities_are_differences_of_the_logistic_and_add_up_to_one(f):
    found = np.exp(log_density(ORDERED, [1.0, 2.0, 3.0, 4.0], f, CUTS))
    below = np.array([0.0, *special.expit(np.array([-1.0, 0.5, 2.0]) - f), 1.0])
    np.testing.assert_allclose(found, np.diff(below), rtol=1e-10, atol=2e-16)
    assert found.sum() == pytest.approx(1.0, abs=1e-13)


def test_probabilities_are_those_of_the_density():
    f = np.array([-3.0, 0.2, 4.0])
    for outcome, categories, magnitudes in (
        (bn.binary(), [0.0, 1.0], {}),
        (ORDERED, [1.0, 2.0, 3.0, 4.0], CUTS),
    ):
        found = outcome.probabilities(f, magnitudes)
        expected = [np.exp(log_density(outcome, categories, each, magnitudes)) for each in f]
        np.testing.assert_allclose(found.T, expected, rtol=1e-12)


def test_a_far_category_keeps_its_log_probability():
    """σ(a) - σ(b) for large f is exp(a) - exp(b)."""
    found = log_density(ORDERED, [2.0], 900.0, CUTS)
    assert found == pytest.approx(0.5 - 900 + np.log1p(-np.exp(-1.5)), rel=1e-14)


def test_two_categories_are_binary():
    outcome = bn.ordered(thresholds=[0.7])
    found = log_density(outcome, [0.0, 1.0], 1.1, {"threshold_1": 0.7})
    assert found == pytest.approx(log_density(bn.binary(), [0.0, 1.0], 0.4, {}), rel=1e-14)


@pytest.mark.parametrize(
    ("outcome", "y", "magnitudes"),
    [
        (bn.binary(), [0.0, 1.0, 1.0], {}),
        (bn.binary(link="identity"), [0.0, 1.0, 1.0], {}),
        (ORDERED, [1.0, 3.0, 4.0], CUTS),
    ],
)
def test_gradients(outcome, y, magnitudes):
    found, expected = slopes(outcome, y, [0.2, 0.5, 0.9], magnitudes)
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("outcome", "magnitudes"),
    [(bn.binary(), {}), (bn.binary(link="identity"), {}), (ORDERED, CUTS)],
)
def test_draws_occur_as_often_as_they_should(outcome, magnitudes):
    f = np.full((2, 20_000), 0.6)
    draws = outcome.draw(f, magnitudes, bounds(20_000), np.random.default_rng(3))
    values = np.array(outcome.categories, dtype=float)
    expected = np.exp(log_density(outcome, values, 0.6, magnitudes))
    found = np.array([(draws == each).mean() for each in values])
    assert found == pytest.approx(expected, abs=5 * np.sqrt(0.25 / f.size))
    assert set(np.unique(draws)) <= set(values)
    assert np.isnan(
        outcome.draw(np.array([np.nan]), magnitudes, bounds(1), np.random.default_rng(1))
    )


@pytest.mark.parametrize(
    "outcome",
    [
        bn.binary(),
        bn.binary(link="identity"),
        ORDERED,
        bn.ordered(thresholds=[bn.fixed(-1), bn.fixed(1)]),
        bn.ordered(thresholds=[bn.Prior("Normal", mu=0), bn.Prior("Exponential", lam=1)]),
    ],
)
def test_round_trip_and_words(outcome):
    assert outcome_from_dict("score", outcome.to_dict()) == outcome
    assert outcome.text("score")
    assert outcome.latex("score")
    for name in outcome.priors():
        assert outcome.meaning(name)
    assert outcome.refusal(float(outcome.categories[-1])) is None
    assert outcome.refusal(float(outcome.categories[-1] + 1))
    assert outcome.refusal(0.5)


def test_numbers_are_expectations_of_thresholds():
    assert ORDERED.priors() == {
        "threshold_1": bn.Prior("Normal", mu=-1.0, sigma=2.5),
        "increment_2": bn.Prior("LogNormal", mu=float(f"{np.log(1.5):.12g}"), sigma=1.0),
        "increment_3": bn.Prior("LogNormal", mu=float(f"{np.log(1.5):.12g}"), sigma=1.0),
    }
    fixed = bn.ordered(thresholds=[bn.fixed(-1), bn.fixed(1)]).priors()
    assert fixed == {"threshold_1": bn.fixed(-1), "increment_2": bn.fixed(2)}


@pytest.mark.parametrize(
    ("make", "fragment"),
    [
        (lambda: bn.binary(link="probit"), "Known: 'logit', 'identity'"),
        (lambda: bn.ordered(thresholds=[]), "give a list"),
        (lambda: bn.ordered(thresholds=1.0), "give a list"),
        (lambda: bn.ordered(thresholds="12"), "give a list"),
        (lambda: bn.ordered(thresholds=[1.0, 1.0]), "must ascend"),
        (lambda: bn.ordered(thresholds=[2.0, 1.0]), "must ascend"),
        (lambda: bn.ordered(thresholds=[1.0, bn.fixed(2)]), "alone"),
        (lambda: bn.ordered(thresholds=[1.0, bn.typical(2, rse=0.1)]), "alone"),
        (lambda: bn.ordered(thresholds=[bn.Prior("Normal"), bn.Prior("Normal")]), "ascend"),
        (lambda: bn.ordered(thresholds=[1.0, "2"]), "threshold 2"),
        (lambda: bn.ordered(thresholds=[1.0], first=2), "from 0 or from 1"),
    ],
)
def test_impossible_categories_are_refused(make, fragment):
    with pytest.raises(ModelError) as refused:
        make()
    assert fragment in str(refused.value)
