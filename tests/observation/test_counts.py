import numpy as np
import pytest
from scipy import stats

import bayesnlme as bn
from bayesnlme.errors import ModelError
from bayesnlme.observation.kinds import outcome_from_dict
from tests.observation.densities import bounds, log_density, slopes

D = 0.4
COUNTS = {
    "poisson": (bn.poisson(), {}, stats.poisson),
    "negative_binomial": (
        bn.negative_binomial(dispersion=D),
        {"dispersion": D},
        lambda f: stats.nbinom(1 / D, 1 / (1 + D * f)),
    ),
}


@pytest.mark.parametrize("kind", COUNTS)
def test_probabilities_equal_scipy_and_add_up_to_one(kind):
    outcome, magnitudes, expected = COUNTS[kind]
    rng = np.random.default_rng(1)
    f = np.exp(rng.normal(1, 1.5, 100))
    y = rng.poisson(f).astype(float)
    found = log_density(outcome, y, f, magnitudes)
    assert found == pytest.approx(expected(f).logpmf(y), rel=1e-10, abs=1e-12)
    for rate in (0.02, 3.0, 40.0):
        every = np.exp(log_density(outcome, np.arange(2000.0), rate, magnitudes))
        assert every.sum() == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("kind", COUNTS)
def test_draws_and_quantiles(kind):
    outcome, magnitudes, expected = COUNTS[kind]
    f = np.full((2, 10_000), 6.0)
    draws = outcome.draw(f, magnitudes, bounds(10_000), np.random.default_rng(2))
    assert draws.shape == f.shape
    assert draws.mean() == pytest.approx(6.0, abs=5 * expected(6.0).std() / np.sqrt(f.size))
    assert draws.var() == pytest.approx(expected(6.0).var(), rel=0.05)
    level = np.array([0.05, 0.5, 0.95])
    found = outcome.quantile(level, np.full(3, 6.0), magnitudes, bounds(3))
    assert found.tolist() == expected(6.0).ppf(level).tolist()


@pytest.mark.parametrize("kind", COUNTS)
def test_gradients(kind):
    outcome, magnitudes, _ = COUNTS[kind]
    found, expected = slopes(outcome, [0.0, 3.0, 50.0], [0.7, 4.0, 20.0], magnitudes)
    assert found == pytest.approx(expected, rel=1e-6)


def test_without_dispersion_a_negative_binomial_is_poisson():
    y, f = np.array([0.0, 2.0, 90.0]), np.array([0.5, 3.0, 70.0])
    for dispersion in (1e-12, 1e-300):
        found = log_density(COUNTS["negative_binomial"][0], y, f, {"dispersion": dispersion})
        assert found == pytest.approx(stats.poisson(f).logpmf(y), rel=1e-9)


@pytest.mark.parametrize("kind", COUNTS)
def test_a_mean_of_zero_allows_no_event(kind):
    outcome, magnitudes, _ = COUNTS[kind]
    assert log_density(outcome, [0.0, 1.0, 0.0], [0.0, 0.0, -1.0], magnitudes).tolist() == [
        0.0,
        -np.inf,
        -np.inf,
    ]


@pytest.mark.parametrize("kind", COUNTS)
def test_round_trip_and_words(kind):
    outcome, magnitudes, _ = COUNTS[kind]
    assert outcome_from_dict("n", outcome.to_dict()) == outcome
    assert set(outcome.priors()) == set(magnitudes)
    assert outcome.refusal(3.0) is None
    for value in (-1.0, 2.5):
        assert "whole number" in outcome.refusal(value)[0]
    for name in magnitudes:
        assert f"n_{name}" in outcome.text("n")
        assert outcome.meaning(name) == name
    assert outcome.latex("n")


def test_an_impossible_dispersion_is_refused():
    for bad in (0, -1.0, bn.fixed(0), "0.3"):
        with pytest.raises(ModelError, match="negative_binomial, dispersion"):
            bn.negative_binomial(dispersion=bad)
    with pytest.raises(ModelError, match="takes dispersion, not nothing"):
        outcome_from_dict("n", {"distribution": "negative_binomial"})
    with pytest.raises(ModelError, match="Did you mean 'poisson'"):
        outcome_from_dict("n", {"distribution": "poison"})


def test_how_far_a_mean_moved_is_counted_in_sds():
    outcome, magnitudes, expected = COUNTS["negative_binomial"]
    found = outcome.moved(np.array([4.0]), np.array([5.0]), magnitudes)
    assert found == pytest.approx(1 / expected(4.0).std())
