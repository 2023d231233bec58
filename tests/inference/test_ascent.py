"""Steps of SAEM, and the moments that they are made from, on matrices."""

import numpy as np
import pytest
from scipy import optimize

from bayesnlme.inference.ascent import (
    LONGEST,
    MOST_MISSING,
    corrected_information,
    em_step,
    newton_step,
)
from bayesnlme.inference.averages import Averages, controls_of

FREE = np.full(4, -np.inf)


@pytest.fixture
def rng():
    return np.random.default_rng(2)


@pytest.fixture
def information(rng):
    """Positive, of very different scales."""
    scale = np.array([1e-3, 1.0, 30.0, 1e4])
    root = np.tril(rng.normal(size=(4, 4))) + 2 * np.eye(4)
    return scale[:, None] * (root @ root.T) * scale


def test_a_free_step_is_newtons(information, rng):
    gradient = np.sqrt(np.diag(information)) * rng.normal(size=4)
    exact = np.linalg.solve(information, gradient)
    np.testing.assert_allclose(em_step(gradient, information, FREE), exact, rtol=1e-8)
    np.testing.assert_allclose(
        newton_step(1e-3 * gradient, information, 0.5), 5e-4 * exact, rtol=1e-8
    )


def test_a_step_above_a_floor_is_the_best_above_it():
    information = np.array([[2.0, 0.8], [0.8, 1.0]])
    gradient, floor = np.array([-3.0, 1.0]), np.array([-0.2, -np.inf])
    found = em_step(gradient, information, floor)
    best = optimize.minimize(
        lambda x: 0.5 * x @ information @ x - gradient @ x, [0, 0], bounds=[(-0.2, None), (-9, 9)]
    )
    np.testing.assert_allclose(found, best.x, atol=1e-4)


def test_an_indefinite_curvature_still_gives_a_way_up(rng):
    information = np.diag([1.0, -2.0, 3.0, -0.5])
    gradient = rng.normal(size=4)
    assert em_step(gradient, information, FREE) @ gradient > 0


def test_no_step_is_longer_than_a_share_of_a_standard_error(information):
    step = newton_step(1e6 * np.sqrt(np.diag(information)), information, 1.0)
    assert step @ information @ step == pytest.approx(LONGEST**2)


def test_what_is_missing_is_taken_off_but_never_all(information):
    np.testing.assert_allclose(
        corrected_information(information, 0.3 * information), 0.7 * information, rtol=1e-8
    )
    np.testing.assert_allclose(
        corrected_information(information, 1.5 * information),
        (1 - MOST_MISSING) * information,
        rtol=1e-8,
    )


def test_controls_take_all_noise_from_scores_of_normal_effects(rng):
    """Quadratic scores of normal effects: their means to the last digits but for the ridge."""
    precision = np.array([[3.0, 1.0], [1.0, 2.0]])
    root = np.linalg.cholesky(np.linalg.inv(precision))
    z = np.array([0.5, -1.0]) + rng.normal(size=(4000, 1, 2)) @ root.T
    by_z = -(z - [0.5, -1.0]) @ precision
    scores = np.stack([z[..., 0], z[..., 1] ** 2 - 1, z[..., 0] * z[..., 1]], axis=-1)
    variance = np.linalg.inv(precision)
    exact = [0.5, variance[1, 1], variance[0, 1] - 0.5]
    averages = Averages()
    controls = controls_of(z, by_z)
    assert np.abs(controls.mean(axis=(0, 1))).max() < 0.15
    averages.add(scores, controls)
    averages.regress()
    left = averages.controlled(scores, controls)
    assert (left.var(axis=0) < 0.02 * scores.var(axis=0)).all()
    np.testing.assert_allclose(left.mean(axis=0)[0], exact, atol=0.005)
    np.testing.assert_allclose(averages.missing, np.cov(scores[:, 0].T), rtol=1e-2)


def test_many_effects_have_fewer_controls(rng):
    z, by_z = rng.normal(size=(2, 3, 5, 7))
    assert controls_of(z, by_z).shape == (3, 5, 14)
    assert controls_of(z[..., :3], by_z[..., :3]).shape == (3, 5, 12)


def test_old_draws_are_forgotten(rng):
    averages, scores = Averages(), rng.normal(size=(50, 2, 1))
    controls = np.zeros((50, 2, 1))
    for _ in range(5):
        averages.add(100 * scores, controls, 0.5)
    for _ in range(40):
        averages.add(scores, controls, 0.5)
    assert averages.missing[0, 0] == pytest.approx(scores.var(axis=0).sum(), rel=1e-6)
