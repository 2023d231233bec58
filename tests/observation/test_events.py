"""Times to events: densities that integrate to one, scipy's, and the far tails."""

import numpy as np
import pytensor.tensor as pt
import pytest
from scipy import integrate, stats

import bayesnlme as bn
from bayesnlme.errors import ModelError
from bayesnlme.observation.kinds import outcome_from_dict
from tests.observation.densities import FAST, bounds

RATE, SHAPE, SCALE = 0.3, 1.7, 4.0
CURVES = {
    "constant": (lambda t: RATE + 0 * t, lambda t: RATE * t, stats.expon(scale=1 / RATE)),
    "weibull": (
        lambda t: SHAPE / SCALE * (t / SCALE) ** (SHAPE - 1),
        lambda t: (t / SCALE) ** SHAPE,
        stats.weibull_min(SHAPE, scale=SCALE),
    ),
    "gompertz": (
        lambda t: RATE * np.exp(0.2 * t),
        lambda t: RATE / 0.2 * np.expm1(0.2 * t),
        stats.gompertz(RATE / 0.2, scale=1 / 0.2),
    ),
}


def log_density(y, f, hazard=1.0):
    y, f, hazard = np.broadcast_arrays(*map(np.float64, (y, f, hazard)))
    found = bn.time_to_event().log_density(
        pt.constant(y), pt.constant(f), {"hazard": pt.constant(hazard)}, bounds(y.size)
    )
    return found.eval(mode=FAST)


@pytest.mark.parametrize("kind", CURVES)
def test_log_densities_equal_scipys(kind):
    hazard, cumulative, expected = CURVES[kind]
    t = np.random.default_rng(1).uniform(0.01, 12, 200)
    exact, censored, before = (log_density(dv, cumulative(t), hazard(t)) for dv in (1, 0, 2))
    np.testing.assert_allclose(exact, expected.logpdf(t), rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(censored, expected.logsf(t), rtol=1e-11)
    np.testing.assert_allclose(before, expected.logcdf(t), rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("kind", CURVES)
def test_exact_times_integrate_to_what_is_not_censored(kind):
    hazard, cumulative, _ = CURVES[kind]
    end = 9.0
    happened, _ = integrate.quad(
        lambda t: np.exp(log_density(1, cumulative(t), hazard(t))), 0, end, epsabs=1e-12
    )
    assert happened + np.exp(log_density(0, cumulative(end))) == pytest.approx(1, abs=1e-10)


@pytest.mark.parametrize("kind", CURVES)
def test_a_partition_into_intervals_adds_up_to_one(kind):
    _, cumulative, _ = CURVES[kind]
    visits = np.array([0.0, 0.5, 1.0, 2.5, 7.0, 30.0])
    grown = np.diff(cumulative(visits))
    alive = np.concatenate([[0.0], np.cumsum(log_density(0, grown))])
    inside = np.exp(alive[:-1] + log_density(2, grown))
    assert inside.sum() + np.exp(alive[-1]) == pytest.approx(1, abs=1e-14)


def test_repeated_events_multiply():
    """Two events at a constant rate, and nothing until the end."""
    times = np.array([1.2, 3.4, 5.0])
    grown = RATE * np.diff(times, prepend=0.0)
    total = log_density([1, 1, 0], grown, RATE).sum()
    assert total == pytest.approx(2 * np.log(RATE) - RATE * 5.0, rel=1e-14)


def test_short_and_long_intervals_lose_no_digits():
    short = log_density(2, 1e-18)
    assert short == pytest.approx(np.log(1e-18), rel=1e-15)
    assert log_density(2, 800.0) == pytest.approx(0.0, abs=1e-300)
    assert log_density(0, 800.0) == -800.0


def test_gradients_are_finite_on_every_row():
    y = pt.constant(np.array([0.0, 1.0, 2.0, 0.0]))
    f, hazard = pt.vector("f"), pt.vector("hazard")
    total = bn.time_to_event().log_density(y, f, {"hazard": hazard}, bounds(4)).sum()
    slopes = pt.grad(total, [f, hazard])
    values = {f: np.array([0.0, 2.0, 1e-3, 40.0]), hazard: np.array([1.0, 0.5, 1.0, 1.0])}
    by_f, by_hazard = (each.eval(values, mode=FAST) for each in slopes)
    np.testing.assert_allclose(by_f, [-1, -1, 1 / np.expm1(1e-3), -1], rtol=1e-12)
    np.testing.assert_allclose(by_hazard, [0, 2, 0, 0])


@pytest.mark.parametrize(
    ("y", "f", "hazard"),
    [(1, 1.0, 0.0), (1, 1.0, -1.0), (2, 0.0, 1.0), (0, -0.1, 1.0), (1, -0.1, 1.0)],
)
def test_what_cannot_be_has_no_density(y, f, hazard):
    assert log_density(y, f, hazard) == -np.inf


def test_the_rounding_of_a_solver_is_no_negative_hazard():
    assert log_density(0, -1e-9) == pytest.approx(0, abs=1e-8)


def test_draws_have_the_probability_of_the_event():
    outcome, rng = bn.time_to_event(), np.random.default_rng(3)
    f = np.repeat([0.0, 0.2, 1.5, np.nan], 20_000)
    drawn = outcome.draw(f, {}, bounds(f.size), rng).reshape(4, -1)
    assert (drawn[0] == 0).all()
    assert np.isnan(drawn[3]).all()
    for row, expected in ((1, -np.expm1(-0.2)), (2, -np.expm1(-1.5))):
        assert (drawn[row] == 2).mean() == pytest.approx(expected, abs=0.015)
    moved = outcome.moved(np.array([0.0, 1.0]), np.array([0.0, 1.1]), {})
    assert moved[0] == 0
    p = -np.expm1(-1.0)
    assert moved[1] == pytest.approx((-np.expm1(-1.1) - p) / np.sqrt(p * (1 - p)))


def test_words_and_files():
    once, again = bn.time_to_event(), bn.time_to_event(repeated=True)
    assert once.text("death") == "death ~ TimeToEvent(hazard f)"
    assert again.text("seizure") == "seizure ~ RepeatedEvents(hazard f)"
    assert "RepeatedEvents" in again.latex("seizure")
    for each in (once, again):
        assert outcome_from_dict("z", each.to_dict()) == each
    assert outcome_from_dict("z", {"distribution": "time_to_event"}) == once
    assert once.refusal(2.0) is None
    assert "0, 1 or 2" in once.refusal(3.0)[0]
    with pytest.raises(KeyError):
        once.meaning("additive")
    with pytest.raises(ModelError, match="True or False"):
        bn.time_to_event(repeated="yes")
