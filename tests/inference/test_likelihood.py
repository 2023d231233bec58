"""Fits that maximise a likelihood: against exact maxima, published ones, and each other."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import optimize

import bayesnlme as bn
from tests.conftest import theophylline_model
from tests.inference.lines import exact_log_likelihood, jaws, sleep

METHODS = {
    "FO": bn.FO(),
    "FOCE": bn.FOCE(interaction=False),
    "FOCEI": bn.FOCE(),
    "Laplace": bn.Laplace(),
    "Quadrature": bn.Quadrature(points=3),
}
LME4 = {
    "a_pop": 251.405,
    "b_pop": 10.467,
    "omega[a]": 23.780,
    "omega[b]": 5.717,
    "omega_corr[a, b]": 0.08,
    "seen_additive": 25.592,
}
"""Maximum likelihood of the sleep study, as printed by lme4's ``lmer(..., REML = FALSE)``."""


def fitted(model, data, method=None, seed=1):
    return bn.fit(model, data, method=method or bn.FOCE(), seed=seed, progress=False)


@pytest.fixture(scope="module")
def sleep_fits():
    return {name: fitted(*sleep(), method) for name, method in METHODS.items()}


@pytest.fixture(scope="module")
def foce(foce_fit):
    return foce_fit


@pytest.mark.parametrize("name", METHODS)
def test_all_methods_find_the_exact_maximum_of_a_linear_model(sleep_fits, name):
    fit = sleep_fits[name]
    assert fit.status is bn.Status.CONVERGED
    exact = exact_log_likelihood(fit, fit.estimates)
    assert fit.likelihood.log_likelihood == pytest.approx(exact, rel=1e-10)
    for estimate, value in LME4.items():
        digits = 5e-3 if estimate == "omega_corr[a, b]" else 5.1e-4
        assert fit.estimates[estimate] == pytest.approx(value, abs=digits)
    assert fit.ofv == pytest.approx(1751.939, abs=5e-4)


def test_no_direction_leads_higher(sleep_fits):
    fit = sleep_fits["FO"]
    top = exact_log_likelihood(fit, fit.estimates)
    for name in fit.estimates.index:
        for factor in (0.999, 1.001):
            moved = fit.estimates.copy()
            moved[name] *= factor
            assert exact_log_likelihood(fit, moved) < top


def test_jaws_with_a_covariate_against_a_general_optimiser():
    fit = fitted(*jaws(), METHODS["Laplace"])

    def objective(x):
        return -exact_log_likelihood(fit, pd.Series(x, index=fit.estimates.index))

    found = optimize.minimize(
        objective, fit.estimates.to_numpy() * 1.02, method="Nelder-Mead",
        options={"xatol": 1e-7, "fatol": 1e-9, "maxiter": 6000, "maxfev": 6000},
    )  # fmt: skip
    assert fit.likelihood.log_likelihood >= -found.fun - 1e-8
    assert fit.likelihood.log_likelihood == pytest.approx(
        exact_log_likelihood(fit, fit.estimates), rel=1e-9
    )


def test_standard_errors_of_the_hessian_equal_differences(sleep_fits):
    """The information of the natural scales, by second differences of the exact likelihood."""
    fit = sleep_fits["Laplace"]
    estimates, errors = fit.estimates, fit.likelihood.standard_errors()
    names, count = list(estimates.index), len(estimates)
    information = np.empty((count, count))
    for i in range(count):
        for j in range(count):
            total = 0.0
            for si, sj in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
                moved = estimates.copy()
                moved[names[i]] += si * 1e-3 * errors.iloc[i]
                moved[names[j]] += sj * 1e-3 * errors.iloc[j]
                total += si * sj * exact_log_likelihood(fit, moved)
            information[i, j] = -total / (4e-6 * errors.iloc[i] * errors.iloc[j])
    expected = np.sqrt(np.diag(np.linalg.inv(information)))
    np.testing.assert_allclose(errors, expected, rtol=2e-3)


def test_the_start_does_not_matter(foce, data):
    """Each typical value off by three, in either direction."""
    for factor in (3.0, 1 / 3):
        parameters = {
            name: replace(each, typical=each.typical * factor)
            for name, each in theophylline_model().parameters.items()
        }
        moved = fitted(theophylline_model().replace(parameters=parameters), data)
        assert moved.ofv == pytest.approx(foce.ofv, abs=1e-5)
        np.testing.assert_allclose(moved.estimates, foce.estimates, rtol=1e-3)


def test_a_fit_says_what_it_found(foce):
    assert foce.status is bn.Status.CONVERGED
    assert "Converged: FOCEI" in foce.verdict
    assert "condition number" in repr(foce)
    assert foce.estimates.index.tolist() == [
        "ka_pop", "CL_pop", "V_pop", "omega[ka]", "omega[CL]", "omega[V]", "omega_corr[CL, V]",
        "conc_additive", "conc_proportional",
    ]  # fmt: skip
    trace = foce.likelihood.trace
    assert trace["ofv"].iloc[-1] == pytest.approx(foce.ofv, abs=1e-6)
    assert (trace["ofv"].diff().dropna() <= 1e-9).all()


def test_equal_runs_give_equal_bits(foce, model, data):
    again = fitted(model, data)
    assert again.estimates.equals(foce.estimates)


def test_priors_pull_the_estimates(foce, model, data):
    penalised = fitted(model, data, bn.FOCE(priors=True))
    assert penalised.converged
    assert penalised.ofv > foce.ofv
    moved = np.abs(penalised.estimates / foce.estimates - 1)
    assert 1e-4 < moved["ka_pop"] < 0.2


def test_a_variance_of_zero_is_a_bound(data):
    """Residuals around one curve, the same for all: no variability is there to find."""
    table = data.to_frame()
    observed = table["EVID"] == 0
    rng = np.random.default_rng(1)
    t = table.loc[observed, "TIME"].to_numpy()
    f = 320 * 1.5 / (32 * (1.5 - 0.0875)) * (np.exp(-0.0875 * t) - np.exp(-1.5 * t))
    table.loc[observed, "DV"] = f + rng.normal(0, 0.5, t.size)
    table.loc[~observed, "AMT"] = 320.0
    model = bn.Model(
        name="no variability",
        parameters={
            "ka": bn.LogNormal(1.5),
            "CL": bn.LogNormal(2.8),
            "V": bn.LogNormal(32.0, iiv=0.3),
        },
        structure=bn.pk.one_compartment(absorption="first_order"),
        observations={"conc": bn.additive(0.5)},
    )
    fit = fitted(model, bn.read_data(table))
    assert fit.status is bn.Status.AT_BOUND
    assert fit.converged
    assert fit.likelihood.at_bound == ("omega[V]",)
    assert fit.estimates["omega[V]"] < 1e-2
    errors = fit.likelihood.standard_errors()
    assert np.isnan(errors["omega[V]"])
    assert np.isfinite(errors.drop("omega[V]")).all()
    assert "At a bound: omega[V]" in fit.verdict


def test_a_search_cut_short_has_not_converged(model, data):
    fit = fitted(model, data, bn.FOCE(most_iterations=2))
    assert fit.status is bn.Status.NOT_CONVERGED
    assert "NOT CONVERGED. FOCEI ended after 2 steps" in fit.verdict


def test_several_starts_keep_the_highest(model, data):
    """From one start FO ends at a lower top of this model, from three at the highest."""
    fit = fitted(model, data, bn.FO(starts=3))
    assert fit.ofv == pytest.approx(311.9965, abs=1e-3)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: bn.FOCE(starts=0), "starts=0"),
        (lambda: bn.FOCE(interaction="yes"), "interaction='yes'"),
        (lambda: bn.Laplace(tolerance=2), "tolerance=2"),
        (lambda: bn.Quadrature(points=1.5), "points=1.5"),
        (lambda: bn.FO(priors=1), "priors=1"),
    ],
)
def test_bad_options_are_named(make, words):
    with pytest.raises(bn.ModelError, match=words):
        make()


def test_nothing_to_estimate_is_said(data):
    model = bn.Model(
        name="known",
        parameters={
            k: bn.LogNormal(bn.fixed(v)) for k, v in (("ka", 1.5), ("CL", 2.8), ("V", 32.0))
        },
        structure=bn.pk.one_compartment(absorption="first_order"),
        observations={"conc": bn.additive(bn.fixed(1.0))},
    )
    with pytest.raises(bn.FitError, match="nothing to estimate"):
        fitted(model, data)


def test_linearisation_of_counts_is_refused(data):
    model = theophylline_model().replace(
        observations={"conc": bn.student_t(bn.additive(0.5), df=5)}
    )
    with pytest.raises(bn.ModelError, match=r"use bn\.Laplace"):
        fitted(model, data)


def test_quadrature_without_random_effects_is_the_likelihood(data):
    parameters = {k: bn.LogNormal(v) for k, v in (("ka", 1.5), ("CL", 2.8), ("V", 32.0))}
    model = theophylline_model().replace(parameters=parameters, correlated=())
    found = [fitted(model, data, method) for method in (bn.Laplace(), bn.Quadrature(points=3))]
    assert found[0].ofv == pytest.approx(found[1].ofv, abs=1e-6)
