"""The likelihood with the random effects integrated out, against what is exact."""

import numpy as np
import pytest
from scipy import stats

import bayesnlme as bn
from bayesnlme.marginal.conditional import Conditional
from bayesnlme.marginal.importance import sample_effects
from bayesnlme.marginal.laplace import LaplaceApproximation
from bayesnlme.marginal.linearised import FirstOrder, FirstOrderConditional
from bayesnlme.marginal.modes import find_modes
from bayesnlme.marginal.quadrature import AdaptiveQuadrature

ALL = {
    "FO": lambda interacting, plain: FirstOrder(plain),
    "FOCE": lambda interacting, plain: FirstOrderConditional(plain),
    "FOCEI": lambda interacting, plain: FirstOrderConditional(interacting),
    "Laplace": lambda interacting, plain: LaplaceApproximation(interacting),
    "quadrature": lambda interacting, plain: AdaptiveQuadrature(interacting, 3),
}


@pytest.fixture(scope="module")
def line_densities(line):
    return Conditional(line), Conditional(line, interaction=False)


@pytest.fixture(scope="module", params=ALL)
def approximation(request, conditional, without_interaction):
    return ALL[request.param](conditional, without_interaction)


def exact_line(conditional, theta):
    """Log density of each subject of the line: a multivariate normal."""
    values = conditional.natural(theta).isel(chain=0, draw=0)
    sd, corr = values["omega"].values, values["omega_corr"].values
    omega = np.outer(sd, sd) * corr
    seen = conditional.population.data.observations
    found = []
    for subject in range(conditional.n_subjects):
        at = seen.subject == subject
        X = np.stack([np.ones(at.sum()), seen.time[at]], axis=1)
        mean = X @ [float(values["a_pop"]), float(values["b_pop"])]
        covariance = X @ omega @ X.T + float(values["height_additive"]) ** 2 * np.eye(at.sum())
        found.append(stats.multivariate_normal(mean, covariance).logpdf(seen.value[at]))
    return np.array(found)


@pytest.mark.parametrize("name", ALL)
def test_all_are_exact_for_a_linear_normal_model(line_densities, name):
    conditional = line_densities[0]
    approximation = ALL[name](*line_densities)
    rng = np.random.default_rng(2)
    for _ in range(3):
        theta = conditional.start + rng.normal(0, 0.4, conditional.n_parameters)
        np.testing.assert_allclose(
            approximation.values(theta), exact_line(conditional, theta), rtol=1e-9
        )


@pytest.mark.parametrize("name", ALL)
def test_slopes_of_a_linear_normal_model(line_densities, name):
    conditional = line_densities[0]
    theta = conditional.start + 0.2
    found = ALL[name](*line_densities).at(theta).slope
    for k, step in enumerate(1e-5 * np.eye(theta.size)):
        above, below = (exact_line(conditional, theta + s * step) for s in (1, -1))
        np.testing.assert_allclose(found[:, k], (above - below) / 2e-5, rtol=1e-6, atol=1e-6)


def test_slopes_equal_differences_of_the_values(approximation):
    theta = approximation.conditional.start
    found = approximation.at(theta)
    for k, step in enumerate(1e-4 * np.eye(theta.size)):
        above, below = (approximation.values(theta + s * step, found.modes.z) for s in (1, -1))
        np.testing.assert_allclose(found.slope[:, k], (above - below) / 2e-4, rtol=1e-5, atol=1e-5)


def test_one_point_is_laplace(conditional):
    """Slopes up to that of h at the mode, which is zero only as nearly as the mode is found."""
    theta = conditional.start
    one, laplace = (
        AdaptiveQuadrature(conditional, 1).at(theta),
        LaplaceApproximation(conditional).at(theta),
    )
    np.testing.assert_allclose(one.value, laplace.value, rtol=1e-12)
    np.testing.assert_allclose(one.slope, laplace.slope, rtol=1e-6, atol=1e-5)


def test_quadrature_tends_to_the_integral(conditional):
    """More points come closer to importance sampling with many draws, and to each other."""
    theta = conditional.start
    values = [AdaptiveQuadrature(conditional, n).values(theta) for n in (3, 7, 11, 15)]
    apart = [np.abs(each - values[-1]).max() for each in values[:-1]]
    assert apart[0] > apart[1] > apart[2]
    assert apart[2] < 1e-3
    sampled = sample_effects(conditional, theta, draws=4000, df=5, rng=np.random.default_rng(1))
    error = sampled.standard_error
    assert (np.abs(sampled.log_likelihood - values[-1]) < 4 * error + 1e-3).all()
    assert (error < 0.05).all()
    assert (sampled.pareto_k < 0.7).all()


def test_importance_sampling_of_the_line(line_densities):
    conditional = line_densities[0]
    theta = conditional.start
    rng = np.random.default_rng(4)
    found = sample_effects(conditional, theta, draws=2000, df=4, rng=rng)
    z = (found.log_likelihood - exact_line(conditional, theta)) / found.standard_error
    assert (np.abs(z) < 4).all()
    np.testing.assert_allclose(found.shares.sum(axis=0), 1.0)


def test_modes_are_found_from_afar(conditional):
    theta = conditional.start
    near = find_modes(conditional, theta)
    far = find_modes(conditional, theta, np.full((12, 3), 3.0))
    assert near.found.all()
    assert far.found.all()
    np.testing.assert_allclose(near.z, far.z, atol=1e-6)
    np.testing.assert_allclose(conditional.density(theta, near.z)[1], 0.0, atol=1e-4)


def test_the_spread_is_the_inverse_root_of_the_hessian(line_densities):
    """For the line -H = I + L' X'X L / sigma^2 with eta = L z."""
    conditional = line_densities[0]
    theta = conditional.start
    values = conditional.natural(theta).isel(chain=0, draw=0)
    sd = values["omega"].values
    factor = sd[:, None] * np.linalg.cholesky(values["omega_corr"].values)
    seen = conditional.population.data.observations
    modes = find_modes(conditional, theta)
    for subject in range(8):
        at = seen.subject == subject
        X = np.stack([np.ones(at.sum()), seen.time[at]], axis=1) @ factor
        hessian = np.eye(2) + X.T @ X / float(values["height_additive"]) ** 2
        U = modes.spread[subject]
        np.testing.assert_allclose(U @ U.T, np.linalg.inv(hessian), rtol=1e-8)
        assert modes.log_det[subject] == pytest.approx(np.linalg.slogdet(hessian)[1], rel=1e-9)


def test_too_many_nodes_are_refused(conditional):
    with pytest.raises(bn.ModelError, match="nodes a subject"):
        AdaptiveQuadrature(conditional, 60)


def test_fo_refuses_interaction(conditional):
    with pytest.raises(bn.ModelError, match="no interaction"):
        FirstOrder(conditional)
