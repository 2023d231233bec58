"""The deterministic bound: its slopes, its draws, and the normal distribution it finds."""

import numpy as np
import pytest
from scipy import optimize, stats

import bayesnlme as bn
from bayesnlme.graph.places import Places
from bayesnlme.inference.elbo import FixedElbo, approximate, fixed_draws

PLACES = Places(theta=np.array([0, 3]), effects=np.array([[1, 2], [4, -1]]), kinds=np.arange(2))


def skewed(u):
    """Return a density that is no product and not normal: Gumbel's and a normal's, tilted."""
    value = u[0] - np.exp(u[0]) - 0.5 * (u[1:] ** 2).sum() - 0.1 * u[1] ** 2 * u[0] ** 2
    slope = np.concatenate([[1 - np.exp(u[0]) - 0.2 * u[1] ** 2 * u[0]], -u[1:]])
    slope[1] -= 0.2 * u[1] * u[0] ** 2
    return value, slope


def test_the_slope_equals_differences():
    bound = FixedElbo(skewed, fixed_draws(PLACES, 8, np.random.default_rng(1)))
    eta = np.random.default_rng(2).normal(0, 0.3, 10)
    found = optimize.approx_fprime(eta, lambda each: bound(each)[0], 1e-7)
    np.testing.assert_allclose(bound(eta)[1], found, rtol=1e-5, atol=1e-6)


def test_the_bound_of_a_normal_density_is_exact():
    """The mean of a quadratic needs the first two moments alone, which the draws have."""
    precision = np.array([2.0, 0.5, 1.0, 3.0, 1.5])
    center = np.arange(5.0)

    def normal(u):
        return -0.5 * float(precision @ (u - center) ** 2), -precision * (u - center)

    bound = FixedElbo(normal, fixed_draws(PLACES, 6, np.random.default_rng(3)))
    mean, sd = np.ones(5), np.full(5, 0.7)
    exact = -0.5 * precision @ ((mean - center) ** 2 + sd**2) + np.log(sd).sum()
    assert bound(np.concatenate([mean, np.log(sd)]))[0] == pytest.approx(exact, rel=1e-12)
    found = approximate(normal, PLACES, accuracy=0.05, rng=np.random.default_rng(4))
    np.testing.assert_allclose(found.mean, center, atol=1e-4)
    np.testing.assert_allclose(found.sd, 1 / np.sqrt(precision), rtol=1e-4)
    assert found.error < 1e-4
    assert found.draws == 32


def test_draws_are_mirrored_and_of_covariance_one_for_each_subject():
    drawn = fixed_draws(PLACES, 8, np.random.default_rng(5))
    np.testing.assert_array_equal(drawn[:8], -drawn[8:])
    for of_subject in ([0, 3, 1, 2], [0, 3, 4]):
        part = drawn[:, of_subject]
        np.testing.assert_allclose(part.T @ part / 16, np.eye(len(of_subject)), atol=1e-12)


def test_the_largest_bound_is_that_of_quadrature():
    """Of one skewed coordinate, against the bound integrated on a grid."""
    places = Places(theta=np.array([0]), effects=np.zeros((1, 0), dtype=int), kinds=np.arange(0))
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / weights.sum()

    def minus_exact(eta):
        u = eta[0] + np.exp(eta[1]) * nodes
        return -(weights @ (u - np.exp(u)) + eta[1])

    exact = optimize.minimize(minus_exact, [0.0, 0.0], tol=1e-10).x
    found = approximate(
        lambda u: (float(u[0] - np.exp(u[0])), 1 - np.exp(u)),
        places,
        accuracy=0.01,
        rng=np.random.default_rng(6),
    )
    assert found.error <= 0.01
    assert abs(found.mean[0] - exact[0]) < 4 * 0.01 * np.exp(exact[1])
    assert abs(np.log(found.sd[0]) - exact[1]) < 4 * 0.01


def test_more_draws_are_taken_where_fewer_do_not_serve():
    rough, fine = (
        approximate(skewed, PLACES, accuracy=each, rng=np.random.default_rng(7))
        for each in (1.0, 0.003)
    )
    assert rough.draws < fine.draws
    np.testing.assert_allclose(rough.mean, fine.mean, atol=0.05)


def test_it_narrows_where_the_density_ends():
    """A density that ends at one, as where equations cannot be solved."""

    def ended(u):
        ends = bool((u > 1.0).any())
        return (-np.inf if ends else -0.5 * float(u @ u)), -u

    found = approximate(ended, PLACES, accuracy=0.5, rng=np.random.default_rng(8))
    reach = stats.norm.ppf(1 - 1 / (4 * found.draws))
    assert (found.mean + found.sd * reach < 3).all()
    assert np.isfinite(found.mean).all()


def test_what_has_no_density_anywhere_is_refused():
    with pytest.raises(bn.FitError, match="no normal distribution approximates it"):
        approximate(lambda u: (-np.inf, u), PLACES, accuracy=0.05, rng=np.random.default_rng(9))
