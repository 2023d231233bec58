"""SAEM at bounds, and with effects that have long tails."""

import numpy as np
import pandas as pd
import pytest

import bayesnlme as bn
from bayesnlme.inference.averages import controls_of
from bayesnlme.inference.saem_bounds import less_controls

TYPICAL, VARIANCE = 0.01, 0.05


def without_variability():
    """Return lines whose slopes are the same for all to the last digit, intercepts that are not."""
    rng = np.random.default_rng(2)
    time = np.arange(5.0)
    rows = []
    for subject, a in enumerate(rng.normal(50.0, 5.0, size=25)):
        noise = 2.0 * rng.normal(size=5)
        noise -= (time - 2.0) * (noise @ (time - 2.0)) / 10.0
        rows += [(subject, *each) for each in zip(time, a + 3.0 * time + noise, strict=True)]
    return pd.DataFrame(rows, columns=["ID", "TIME", "DV"])


def test_what_only_approaches_a_bound_is_put_there():
    """As the other methods do it, and with the estimates that they find there."""
    model = bn.Model(
        name="lines",
        parameters={"a": bn.Normal(40.0, iiv=8.0), "b": bn.Normal(2.0, iiv=1.0)},
        structure=bn.curve(lambda t, p: p.a + p.b * t, output="seen"),
        observations={"seen": bn.additive(3.0)},
    )
    data = bn.read_data(without_variability())
    exact = bn.fit(model, data, method=bn.Laplace(), seed=1, progress=False)
    fit = bn.fit(model, data, method=bn.SAEM(), seed=1, progress=False)
    assert exact.likelihood.at_bound == fit.likelihood.at_bound == ("omega[b]",)
    assert fit.status is bn.Status.AT_BOUND, fit.verdict
    assert fit.converged
    assert "At a bound: omega[b]" in fit.verdict
    free = ["a_pop", "b_pop", "omega[a]", "seen_additive"]
    np.testing.assert_allclose(fit.estimates[free], exact.estimates[free], rtol=0.01)
    assert fit.ofv == pytest.approx(exact.ofv, abs=0.05 + 4 * fit.likelihood.ofv_error)
    errors = fit.likelihood.standard_errors()
    assert np.isnan(errors["omega[b]"])
    np.testing.assert_allclose(errors[free], exact.likelihood.standard_errors()[free], rtol=0.1)
    assert np.isfinite(fit.likelihood.monte_carlo_errors[free]).all()


def test_a_ratio_of_likelihoods_is_that_of_the_draws_with_controls():
    """Normal effects and a quadratic: the controls take the noise out of its mean."""
    rng = np.random.default_rng(7)
    z = rng.normal(size=(400, 3, 1))
    controls = controls_of(z, -z)
    values = 1.0 + 0.3 * z[..., 0] + 0.1 * (z[..., 0] ** 2 - 1.0)
    freed = less_controls(values, controls)
    np.testing.assert_allclose(freed.mean(axis=0), 1.0, atol=2e-3)
    assert freed.std() < 0.5 * values.std()
    np.testing.assert_array_equal(less_controls(values[:5], controls[:5]), values[:5])


def long_tails():
    """Return rates of which a few are far from the others."""
    rng = np.random.default_rng(12)
    rows = [
        (subject, time, 10.0 * np.exp(-rate * time) + 0.2 * rng.normal())
        for subject, rate in enumerate(0.3 * np.exp(0.25 * rng.standard_t(3, size=40)))
        for time in range(6)
    ]
    tails = bn.effects.student_t(df=bn.fixed(3.0))
    model = bn.Model(
        name="tails",
        parameters={"k": bn.LogNormal(0.5, iiv=0.5, shape=tails), "top": bn.LogNormal(8.0)},
        structure=bn.curve(lambda t, p: p.top * bn.math.exp(-p.k * t), output="level"),
        observations={"level": bn.additive(0.5)},
    )
    return model, pd.DataFrame(rows, columns=["ID", "TIME", "DV"])


def test_effects_with_long_tails():
    """The information is that of the draws: the expected one of normal effects would not do."""
    model, table = long_tails()
    fit = bn.fit(model, bn.read_data(table), method=bn.SAEM(), seed=2, progress=False)
    exact = bn.fit(
        model, bn.read_data(table), method=bn.Quadrature(points=25), seed=2, progress=False
    )
    assert fit.status is bn.Status.CONVERGED, fit.verdict
    for name in ("k_pop", "top_pop"):
        assert fit.estimates[name] == pytest.approx(exact.estimates[name], rel=TYPICAL)
    for name in ("omega[k]", "level_additive"):
        assert fit.estimates[name] ** 2 == pytest.approx(exact.estimates[name] ** 2, rel=VARIANCE)
    assert fit.ofv == pytest.approx(exact.ofv, abs=0.05 + 4 * fit.likelihood.ofv_error)
    errors = fit.likelihood.standard_errors() / exact.likelihood.standard_errors()
    np.testing.assert_allclose(errors, 1.0, atol=0.15)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_small_variance_is_not_lost_to_chance(seed):
    """The likelihood at the bound is lower by little: within the error of one look."""
    rng, rows = np.random.default_rng(5), []
    for subject in range(30):
        level = 5.0 + 0.15 * rng.normal()
        rows += [(subject, float(t), level + rng.normal()) for t in range(5)]
    model = bn.Model(
        name="levels",
        parameters={"a": bn.Normal(5.0, iiv=0.5)},
        structure=bn.curve(lambda t, p: p.a + 0 * t, output="level"),
        observations={"level": bn.additive(1.0)},
    )
    data = bn.read_data(pd.DataFrame(rows, columns=["ID", "TIME", "DV"]))
    exact = bn.fit(model, data, method=bn.Laplace(), seed=1, progress=False)
    fit = bn.fit(model, data, method=bn.SAEM(), seed=seed, progress=False)
    assert not fit.likelihood.at_bound
    assert fit.estimates["omega[a]"] == pytest.approx(exact.estimates["omega[a]"], rel=0.05)
