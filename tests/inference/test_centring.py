"""Weights of centring against normal data, where they are known, and fits that use them."""

import numpy as np
import pytest

import bayesnlme as bn
from bayesnlme.inference.centring import laplace_weights
from tests.conftest import frame

COUNTS = (1, 3, 10, 40)


def levels_model(iiv=None, **changes):
    iiv = bn.fixed(0.5) if iiv is None else iiv
    return bn.Model(
        name="levels",
        parameters={"a": bn.Normal(bn.Prior("Normal", mu=4.0, sigma=3.0), iiv=iiv, **changes)},
        structure=bn.curve(lambda t, p: p.a, output="level"),
        observations={"level": bn.additive(bn.fixed(1.2))},
    )


def levels_data(counts=COUNTS, occasions=1, seed=2):
    rng = np.random.default_rng(seed)
    rows = []
    for subject, count in enumerate(counts, start=1):
        level = 5.0 + 0.5 * rng.normal()
        for turn in range(count):
            occasion = 1 + turn * occasions // count
            rows.append((subject, float(turn), 0, 0, 1, level + 1.2 * rng.normal(), occasion))
    return bn.read_data(frame(rows, "ID TIME EVID AMT CMT DV OCC"))


def test_weights_of_normal_data_are_those_of_the_formula():
    """V = 1 / (1 / omega^2 + n / sigma^2)."""
    found = laplace_weights(bn.build(levels_model(), levels_data()))
    V = 1 / (1 / 0.25 + np.array(COUNTS) / 1.2**2)
    np.testing.assert_allclose(found[:, 0], 1 - V / 0.25, rtol=1e-6)


def test_occasion_effects_leave_less_to_say_of_the_subject():
    """Two occasions of n/2 observations: a mean of n values known to sigma^2/n + pi^2/2."""
    counts = (4, 10, 40)
    model = levels_model(iov=bn.fixed(0.8))
    found = laplace_weights(bn.build(model, levels_data(counts, occasions=2)))
    V = 1 / (1 / 0.25 + 1 / (1.2**2 / np.array(counts) + 0.8**2 / 2))
    np.testing.assert_allclose(found[:, 0], 1 - V / 0.25, rtol=1e-6)


def test_an_estimated_sd_is_taken_lower():
    counts = (10,) * 30
    data = levels_data(counts)
    known, estimated = (
        laplace_weights(bn.build(levels_model(iiv), data)) for iiv in (bn.fixed(0.5), 0.5)
    )
    assert (estimated < known).all()
    assert (estimated > known - 0.3).all()


@pytest.mark.parametrize("parametrization", ["centered", "auto"])
def test_the_posterior_of_normal_data_is_exact_in_every_form(parametrization):
    data = levels_data((3, 5, 8, 20))
    method = bn.NUTS(draws=1000, tune=400, chains=4, parametrization=parametrization)
    fit = bn.fit(levels_model(), data, method=method, seed=5, progress=False)
    seen = data.observations
    design = np.zeros((seen.value.size, 5))
    design[:, 0] = 1.0
    design[np.arange(seen.value.size), 1 + seen.subject] = 1.0
    precision = np.diag([1 / 9, *[1 / 0.25] * 4]) + design.T @ design / 1.44
    cov = np.linalg.inv(precision)
    mean = cov @ (np.r_[4.0 / 9, np.zeros(4)] + design.T @ seen.value / 1.44)
    draws = np.c_[fit.posterior["a_pop"].values.ravel(), fit.posterior["eta"].values.reshape(-1, 4)]
    scale = np.sqrt(np.diag(cov))
    assert (np.abs(draws.mean(axis=0) - mean) < 0.08 * scale).all()
    np.testing.assert_allclose(np.cov(draws.T), cov, atol=0.12 * np.outer(scale, scale).max())
    assert fit.converged, fit.verdict
    assert fit.method["parametrization"] == parametrization
    weights = fit.tree["constant_data"]["eta_centring"]
    assert weights.dims == ("subject", "effect")
    standard = fit.posterior["eta"] / 0.5
    np.testing.assert_allclose(fit.posterior["eta_standard"], standard, rtol=1e-9, atol=1e-12)
    typical = bn.diagnostics.observed_vs_predicted(fit, draws=50)["typical"]
    np.testing.assert_allclose(typical, fit.posterior["a_pop"].median(), atol=0.2)
    new = bn.posterior_predictive(fit, seed=1, new_subjects=True)["level"]
    assert float(new.std()) == pytest.approx(np.sqrt(cov[0, 0] + 0.25 + 1.44), rel=0.05)


def test_a_model_without_random_effects_has_nothing_to_centre():
    model = levels_model().replace(parameters={"a": bn.Normal(4.0)})
    method = bn.NUTS(draws=20, tune=50, chains=2, parametrization="auto")
    fit = bn.fit(model, levels_data(), method=method, seed=1, progress=False)
    assert "eta_centring" not in fit.tree["constant_data"]


def test_the_form_is_one_of_three():
    with pytest.raises(
        bn.ModelError, match=r"no parametrization 'centred'\. Did you mean 'centered'"
    ):
        bn.NUTS(parametrization="centred")
