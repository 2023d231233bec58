"""Weights of points, their tails, and draws by them."""

import numpy as np
from scipy import stats

from bayesnlme.inference import weighing
from bayesnlme.inference.weighing import _adapted, _log_student, _Proposal, resampled, smoothed


def test_the_proposal_is_student_t():
    rng = np.random.default_rng(1)
    root = np.array([[1.0, 0.0], [0.5, 2.0]])
    proposal = _Proposal(mean=np.array([1.0, -1.0]), root=root)
    points = rng.normal(0, 3, (5, 2))
    exact = stats.multivariate_t(proposal.mean, root @ root.T, df=weighing.DF)
    np.testing.assert_allclose(proposal.log_density(points), exact.logpdf(points), rtol=1e-12)
    drawn = proposal.draw(40_000, rng)
    covariance = root @ root.T * weighing.DF / (weighing.DF - 2)
    np.testing.assert_allclose(np.cov(drawn.T), covariance, rtol=0.1, atol=0.1)


def test_effects_that_are_lacking_do_not_count():
    steps = np.array([[0.3, -1.2, 0.0], [2.0, 0.0, 0.0]])
    present = np.array([[True, True, False], [True, False, False]])
    found = _log_student(steps, present)
    assert found[1] == stats.t(weighing.DF).logpdf(2.0)
    np.testing.assert_allclose(
        found[0], stats.multivariate_t(np.zeros(2), df=weighing.DF).logpdf(steps[0, :2])
    )


def test_tails_have_the_index_they_have():
    """Weights of a Pareto distribution with shape 1/k."""
    rng = np.random.default_rng(2)
    for k in (0.3, 0.9):
        found = [smoothed(k * rng.exponential(size=4000))[1] for _ in range(20)]
        assert abs(np.mean(found) - k) < 0.06


def test_weights_without_a_tail():
    shares, k = smoothed(np.zeros(1000))
    assert k == -np.inf
    np.testing.assert_allclose(shares, 1e-3)
    assert smoothed(np.full(20, -3.0))[1] == np.inf
    none = np.where(np.arange(1000) < 10, 0.0, -np.inf)
    assert smoothed(none)[1] == np.inf


def test_draws_come_as_often_as_their_shares_say():
    shares = np.array([0.5, 0.0, 0.123, 0.377])
    found = resampled(shares, 1000, np.random.default_rng(3))
    assert np.abs(np.bincount(found, minlength=4) - 1000 * shares).max() < 1
    assert (np.diff(found) < 0).any()


def test_a_proposal_moves_to_the_target():
    rng = np.random.default_rng(4)
    before = _Proposal(mean=np.zeros(2), root=np.eye(2))
    target = stats.multivariate_normal([1.0, 0.5], [[1.0, 0.6], [0.6, 0.8]])
    points = before.draw(4000, rng)
    after = _adapted(before, points, target.logpdf(points) - before.log_density(points))
    np.testing.assert_allclose(after.mean, target.mean, atol=0.1)
    np.testing.assert_allclose(after.root @ after.root.T, target.cov, atol=0.1)
    lost = _adapted(before, points, np.full(4000, -np.inf))
    assert lost is before
