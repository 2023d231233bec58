"""Log densities and tails against SciPy, leading terms and numerical integration."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from scipy import integrate, special, stats

from bayesnlme.observation.gamma import log_gamma_ratio
from bayesnlme.observation.noise import (
    NormalNoise,
    StudentNoise,
    log1mexp,
    log_cdf,
    log_difference,
    nearer_tail,
)

FAST = "FAST_COMPILE"
Z = np.array([-1e4, -300.0, -40.0, -8.0, -2.0, -0.3, 0.0, 0.3, 2.0, 8.0, 40.0])
DF = (1.0, 1.7, 4.0, 30.0, 1e3, 1e4)


def log_survival(noise, z):
    return log_cdf(noise, -z)


def log_between(noise, lower, upper):
    a, b = nearer_tail(lower, upper)
    return log_difference(log_cdf(noise, b), log_cdf(noise, a))


def student(df):
    return StudentNoise(pt.constant(np.float64(df)))


def test_normal_log_cdf_is_exact_in_the_far_tail():
    found = log_cdf(NormalNoise(), pt.constant(Z)).eval(mode=FAST)
    np.testing.assert_allclose(found, special.log_ndtr(Z), rtol=2e-14)
    np.testing.assert_allclose(
        log_survival(NormalNoise(), pt.constant(Z)).eval(mode=FAST),
        special.log_ndtr(-Z),
        rtol=2e-14,
    )


@pytest.mark.parametrize("df", DF)
def test_student_log_cdf_equals_scipy_where_it_does_not_underflow(df):
    z = Z[np.isfinite(stats.t.logcdf(Z, df))]
    found = log_cdf(student(df), pt.constant(z)).eval(mode=FAST)
    np.testing.assert_allclose(found, stats.t.logcdf(z, df), rtol=3e-12, atol=1e-15)


def test_student_log_cdf_goes_on_where_a_probability_underflows():
    """The leading term of the tail: C |z|^-df df^((df - 1)/2), for |z| far beyond sqrt(df)."""
    df, z = 1e3, np.array([-1e8, -1e12])
    constant = special.gammaln((df + 1) / 2) - special.gammaln(df / 2) - np.log(np.pi) / 2
    expected = constant + df / 2 * np.log(df) - df * np.log(-z) - np.log(df)
    found = log_cdf(student(df), pt.constant(z)).eval(mode=FAST)
    np.testing.assert_allclose(found, expected, rtol=1e-11)
    assert np.isinf(stats.t.logcdf(z, df)).all()


@pytest.mark.parametrize("df", DF)
def test_student_density_equals_scipy_and_tends_to_the_normal(df):
    z = np.array([-30.0, -1.0, 0.0, 0.5, 4.0])
    found = student(df).log_pdf(pt.constant(z)).eval(mode=FAST)
    # SciPy subtracts log-gamma functions, which reach 4e4 at 10 000 degrees of freedom
    np.testing.assert_allclose(found, stats.t.logpdf(z, df), rtol=1e-11)
    near = student(1e14).log_pdf(pt.constant(z)).eval(mode=FAST)
    np.testing.assert_allclose(near, stats.norm.logpdf(z), rtol=1e-11)


@pytest.mark.parametrize("noise", [NormalNoise(), student(3.0)])
def test_probability_between_is_the_integral_of_the_density(noise):
    x = pt.dscalar()
    density = pytensor.function([x], pt.exp(noise.log_pdf(x)), mode=FAST)
    lower, upper = np.array([-3.0, -0.5, 0.4, 2.0]), np.array([-1.0, 0.7, 3.0, 2.5])
    found = np.exp(
        log_between(noise, pt.constant(np.array(lower)), pt.constant(np.array(upper))).eval(
            mode=FAST
        )
    )
    for low, high, probability in zip(lower, upper, found, strict=True):
        assert probability == pytest.approx(integrate.quad(density, low, high)[0], rel=1e-11)


def test_a_far_interval_keeps_its_digits():
    """Between z and z + d far out, the density falls as exp(-z x): a one-sided exponential."""
    lower, width = 1e4, 1e-3
    found = log_between(
        NormalNoise(), pt.constant(np.array(lower)), pt.constant(np.array(lower + width))
    )
    near, far = special.log_ndtr(-lower), special.log_ndtr(-lower - width)
    expected = near + np.log1p(-np.exp(far - near))
    assert found.eval(mode=FAST) == pytest.approx(expected, rel=1e-12)
    mirrored = log_between(
        NormalNoise(), pt.constant(np.array(-lower - width)), pt.constant(np.array(-lower))
    )
    assert mirrored.eval(mode=FAST) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("make", [lambda df: NormalNoise(), StudentNoise])
@pytest.mark.parametrize("what", [log_cdf, log_survival])
def test_slopes_of_log_probabilities(make, what):
    z, df = pt.dscalar(), pt.dscalar()
    value = what(make(df), z)
    inputs = [z, df]
    grads = pt.grad(value, inputs, disconnected_inputs="ignore")
    function = pytensor.function(inputs, [value, *grads], mode=FAST, on_unused_input="ignore")
    for at in (-50.0, -3.0, -0.2, 0.2, 3.0):
        _, slope, of_df = function(at, 4.5)
        h = 1e-5 * max(1, abs(at))
        expected = (function(at + h, 4.5)[0] - function(at - h, 4.5)[0]) / (2 * h)
        assert slope == pytest.approx(expected, rel=1e-6)
        expected = (function(at, 4.5 + 1e-5)[0] - function(at, 4.5 - 1e-5)[0]) / 2e-5
        assert of_df == pytest.approx(expected, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("noise", [NormalNoise(), StudentNoise(3.5)])
def test_quantiles_undo_probabilities(noise):
    log_probability = np.array([-200.0, -20.0, -1.0, -0.3, -1e-3])
    if isinstance(noise, StudentNoise):
        log_probability = log_probability[1:]
    z = noise.quantile_above(log_probability)
    np.testing.assert_allclose(noise.log_above(z), log_probability, rtol=1e-9)


def test_ratio_of_gamma_functions():
    y = np.array([0.5, 1.0, 7.0, 150.0])
    for n in (0.01, 3.0, 19.9, 20.1, 300.0):
        found = log_gamma_ratio(pt.constant(np.float64(n)), pt.constant(y)).eval(mode=FAST)
        expected = special.gammaln(n + y) - special.gammaln(n) - y * np.log(n)
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-12)
    found = log_gamma_ratio(pt.constant(np.float64(1e9)), pt.constant(y)).eval(mode=FAST)
    np.testing.assert_allclose(found, y * (y - 1) / 2e9, rtol=1e-5, atol=1e-15)


def test_log_of_one_minus_exp():
    x = np.array([-800.0, -5.0, -0.7, -0.6, -1e-3, -1e-17])
    found = log1mexp(pt.constant(x)).eval(mode=FAST)
    np.testing.assert_allclose(found, np.log(-np.expm1(x)), rtol=1e-13, atol=1e-300)
