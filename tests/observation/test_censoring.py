"""What censored values say (M1 to M4, intervals), against SciPy and numerical integration."""

import numpy as np
import pytest
from scipy import integrate, special, stats

import bayesnlme as bn
from tests.observation.densities import bounds, log_density, slopes

A, B, DF = 0.8, 0.2, 5.0
F = np.array([0.3, 1.0, 2.5, 6.0])
LIMIT = 1.2
MAKE = {
    "combined": (
        lambda blq: bn.combined(additive=A, proportional=B, blq=blq),
        {"additive": A, "proportional": B},
        lambda f: stats.norm(f, np.hypot(A, B * f)),
    ),
    "student_t": (
        lambda blq: bn.student_t(bn.additive(A), df=DF, blq=blq),
        {"additive": A, "df": DF},
        lambda f: stats.t(DF, f, A),
    ),
    "log_normal": (
        lambda blq: bn.log_normal(B, blq=blq),
        {"log_sd": B},
        lambda f: stats.lognorm(s=B, scale=f),
    ),
}


def below(limit=LIMIT, size=F.size, lower=-np.inf):
    return bounds(size, lower=[lower] * size, upper=[limit] * size, limit=[limit] * size)


@pytest.mark.parametrize("kind", MAKE)
def test_m3_is_the_probability_below_the_limit(kind):
    make, magnitudes, expected = MAKE[kind]
    found = log_density(make("M3"), np.full(F.size, LIMIT), F, magnitudes, below())
    assert found == pytest.approx(expected(F).logcdf(LIMIT), rel=1e-10)
    for f, each in zip(F, np.exp(found), strict=True):
        lowest = 0.0 if kind == "log_normal" else -np.inf
        probability, _ = integrate.quad(expected(f).pdf, lowest, LIMIT, epsabs=1e-14)
        assert each == pytest.approx(probability, rel=1e-7, abs=1e-13)


@pytest.mark.parametrize("kind", MAKE)
def test_above_an_upper_limit(kind):
    make, magnitudes, expected = MAKE[kind]
    known = bounds(F.size, lower=[LIMIT] * F.size, upper=[np.inf] * F.size)
    found = log_density(make("M3"), np.full(F.size, LIMIT), F, magnitudes, known)
    assert found == pytest.approx(expected(F).logsf(LIMIT), rel=1e-10)


@pytest.mark.parametrize("kind", MAKE)
def test_between_two_limits(kind):
    make, magnitudes, expected = MAKE[kind]
    found = log_density(make("M3"), np.full(F.size, LIMIT), F, magnitudes, below(lower=0.4))
    inside = expected(F).cdf(LIMIT) - expected(F).cdf(0.4)
    np.testing.assert_allclose(np.exp(found), inside, rtol=1e-7, atol=1e-15)


def test_an_interval_from_zero_of_a_positive_quantity_is_below_its_limit():
    make, magnitudes, expected = MAKE["log_normal"]
    found = log_density(make("M3"), np.full(F.size, LIMIT), F, magnitudes, below(lower=0.0))
    assert found == pytest.approx(expected(F).logcdf(LIMIT), rel=1e-10)


def test_the_far_tail_is_exact():
    """The prediction lies 1000 SDs above the limit."""
    f, sd = 1001.0, 1.0
    found = log_density(bn.additive(sd), [1.0], [f], {"additive": sd}, below(1.0, 1))
    assert found == pytest.approx(special.log_ndtr(-1000.0), rel=1e-14)
    slope, expected = slopes(bn.additive(sd), [1.0], [f], {"additive": sd}, below(1.0, 1))
    assert slope == pytest.approx(expected, rel=1e-6)
    assert slope[0] == pytest.approx(-1000.001, rel=1e-8)


def test_m2_is_the_normal_distribution_truncated_at_the_limit():
    make, magnitudes, expected = MAKE["combined"]
    y, known = np.array([1.3, 1.5, 2.0, 8.0]), bounds(F.size, limit=[LIMIT] * F.size)
    sd = expected(F).std()
    truncated = stats.truncnorm((LIMIT - F) / sd, np.inf, F, sd)
    assert log_density(make("M2"), y, F, magnitudes, known) == pytest.approx(
        truncated.logpdf(y), rel=1e-12
    )
    many = bounds(20_000, limit=[LIMIT] * 20_000)
    draws = make("M2").draw(np.ones(20_000), magnitudes, many, np.random.default_rng(1))
    assert draws.min() > LIMIT
    sd = expected(1.0).std()
    assert stats.kstest(draws, stats.truncnorm((LIMIT - 1) / sd, np.inf, 1.0, sd).cdf).pvalue > 1e-3


def test_m4_is_the_normal_distribution_of_positive_values():
    make, magnitudes, expected = MAKE["combined"]
    known = bounds(4, lower=[np.nan, -np.inf, np.nan, -np.inf],
                   upper=[np.nan, LIMIT, np.nan, LIMIT], limit=[LIMIT] * 4)  # fmt: skip
    y = np.array([1.4, LIMIT, 2.0, LIMIT])
    sd = expected(F).std()
    truncated = stats.truncnorm((0 - F) / sd, np.inf, F, sd)
    found = log_density(make("M4"), y, F, magnitudes, known)
    assert found[[0, 2]] == pytest.approx(truncated.logpdf(y)[[0, 2]], rel=1e-12)
    assert found[[1, 3]] == pytest.approx(truncated.logcdf(LIMIT)[[1, 3]], rel=1e-9)
    draws = make("M4").draw(np.full(5000, 0.1), magnitudes, bounds(5000), np.random.default_rng(2))
    assert draws.min() > 0


@pytest.mark.parametrize("kind", MAKE)
@pytest.mark.parametrize("blq", ["M2", "M3", "M4"])
def test_what_an_observation_may_say_has_probability_one(kind, blq):
    """The density above the limit and the probability below it add up to one."""
    if kind == "log_normal" and blq == "M4":
        pytest.skip("refused: a log-normal error is positive as it is")
    make, magnitudes, _ = MAKE[kind]
    u, weight = np.polynomial.legendre.leggauss(400)  # y from the limit to infinity
    u, weight = (1 + u) / 2, weight / 2
    y, many = LIMIT + u / (1 - u), bounds(u.size, limit=[LIMIT] * u.size)
    density = np.exp(log_density(make(blq), y, 1.5, magnitudes, many))
    total = (weight * density / (1 - u) ** 2).sum()
    if blq != "M2":
        total += np.exp(log_density(make(blq), [LIMIT], [1.5], magnitudes, below(size=1)))[0]
    assert total == pytest.approx(1.0, abs=1e-7)


@pytest.mark.parametrize("kind", MAKE)
@pytest.mark.parametrize("blq", ["M2", "M3", "M4"])
def test_gradients_of_mixed_observations(kind, blq):
    if kind == "log_normal" and blq == "M4":
        pytest.skip("refused: a log-normal error is positive as it is")
    make, magnitudes, _ = MAKE[kind]
    lower = np.array([np.nan, -np.inf, 2.0, 0.5, np.nan])
    upper = np.array([np.nan, LIMIT, np.inf, LIMIT, np.nan])
    if blq == "M2":
        lower[[1, 3]], upper[[1, 3]] = np.nan, np.nan
    known = bounds(5, lower, upper, [LIMIT] * 5)
    y, f = np.array([2.0, 1.3, 2.0, 1.3, 1.4]), np.array([1.5, 1.7, 2.5, 0.8, 1.0])
    found, expected = slopes(make(blq), y, f, magnitudes, known)
    assert found == pytest.approx(expected, rel=2e-6, abs=1e-8)


def test_the_order_of_the_observations_is_kept():
    make, magnitudes, expected = MAKE["combined"]
    rng = np.random.default_rng(5)
    f, y = rng.uniform(0.5, 4, 30), rng.uniform(0, 4, 30)
    censored = rng.random(30) < 0.4
    known = bounds(30, np.where(censored, -np.inf, np.nan), np.where(censored, y, np.nan))
    found = log_density(make("M3"), y, f, magnitudes, known)
    wanted = np.where(censored, expected(f).logcdf(y), expected(f).logpdf(y))
    assert found == pytest.approx(wanted, rel=1e-11)


@pytest.mark.parametrize(
    ("outcome", "magnitudes"),
    [
        (bn.proportional(B), {"proportional": B}),
        (bn.proportional(B, blq="M4"), {"proportional": B}),
        (bn.log_normal(B), {"log_sd": B}),
        (bn.student_t(bn.proportional(B), df=DF), {"proportional": B, "df": DF}),
    ],
)
def test_before_the_first_dose_a_value_below_the_limit_is_certain(outcome, magnitudes):
    """A prediction of 0 has no spread; the limit of small predictions is the same."""
    f, known = np.array([0.0, 1e-9, 0.0]), below(size=3)
    found = log_density(outcome, np.full(3, LIMIT), f, magnitudes, known)
    np.testing.assert_allclose(found, 0.0, atol=1e-12)
    gradient, _ = slopes(outcome, np.full(3, LIMIT), f, magnitudes, known)
    assert np.isfinite(gradient).all()
    above = bounds(1, lower=[LIMIT])
    assert log_density(outcome, [LIMIT], [0.0], magnitudes, above) == -np.inf
    assert log_density(outcome, [LIMIT], [np.nan], magnitudes, below(size=1)) == -np.inf
    drawn = outcome.draw(np.zeros(3), magnitudes, bounds(3), np.random.default_rng(1))
    assert drawn.tolist() == [0.0, 0.0, 0.0]
