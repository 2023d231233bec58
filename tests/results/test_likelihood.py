"""Criteria, standard errors and shrinkage of a fit that maximised a likelihood."""

import numpy as np
import pytest

import bayesnlme as bn


def test_criteria(foce_fit):
    found = foce_fit.likelihood
    p, subjects, observations = 9, 12, 132
    assert found.n_parameters == p
    assert foce_fit.ofv == -2 * found.log_likelihood == found.ofv
    assert found.ofv_without_constant == pytest.approx(foce_fit.ofv - 132 * np.log(2 * np.pi))
    assert foce_fit.aic == foce_fit.ofv + 2 * p
    assert foce_fit.bic == pytest.approx(foce_fit.ofv + p * np.log(subjects))
    assert found.aicc == pytest.approx(foce_fit.aic + 2 * p * (p + 1) / (subjects - p - 1))
    mixed = 7 * np.log(subjects) + 2 * np.log(observations)
    assert found.bicc == pytest.approx(foce_fit.ofv + mixed)


def test_covariances_by_hand(foce_fit):
    """On the log scale of CL the delta method multiplies by CL itself."""
    group = foce_fit.tree["likelihood"].to_dataset()
    hessian, scores = group["hessian"].values, group["score"].values
    inverse = np.linalg.inv(hessian)
    crossed = scores.T @ scores
    k = group["parameter"].values.tolist().index("CL_pop_log__")
    CL = foce_fit.estimates["CL_pop"]
    expected = {
        "hessian": inverse,
        "scores": np.linalg.inv(crossed),
        "sandwich": inverse @ crossed @ inverse,
    }
    for kind, matrix in expected.items():
        error = foce_fit.likelihood.standard_errors(kind)["CL_pop"]
        assert error == pytest.approx(CL * np.sqrt(matrix[k, k]), rel=1e-8)


def test_the_scores_add_up_to_nothing_at_the_top(foce_fit):
    group = foce_fit.tree["likelihood"].to_dataset()
    total = group["score"].values.sum(axis=0)
    assert total @ np.linalg.solve(group["hessian"].values, total) < 1e-5


def test_correlations_and_condition_number(foce_fit):
    correlation = foce_fit.likelihood.correlation()
    np.testing.assert_allclose(np.diag(correlation), 1.0)
    values = np.linalg.eigvalsh(correlation)
    assert foce_fit.likelihood.condition_number() == pytest.approx(values[-1] / values[0])


def test_intervals(foce_fit):
    table = foce_fit.summary(interval=0.9)
    row = table.loc["CL_pop"]
    reach = 1.6448536269514722 * row["se"] / row["estimate"]
    assert row["lower"] == pytest.approx(row["estimate"] * np.exp(-reach))
    assert row["upper"] == pytest.approx(row["estimate"] * np.exp(reach))
    row = table.loc["omega_corr[CL, V]"]
    assert -1 < row["lower"] < row["estimate"] < row["upper"] < 1
    row = table.loc["omega[ka]"]
    assert row["cv_percent"] == pytest.approx(100 * np.sqrt(np.exp(row["estimate"] ** 2) - 1))
    assert table.attrs["interval"] == "Wald 90%, by hessian"


def test_shrinkage_by_hand(foce_fit):
    eta = foce_fit.tree["individual"]["eta"].sel(effect="V").values
    omega = foce_fit.estimates["omega[V]"]
    row = foce_fit.likelihood.shrinkage.loc["eta_V"]
    assert row["sd"] == pytest.approx(100 * (1 - eta.std(ddof=1) / omega))
    assert row["variance"] == pytest.approx(100 * (1 - eta.var(ddof=1) / omega**2))
    assert row["conditional"] > 0
    iwres = foce_fit.tree["residuals"]["IWRES"].values
    shrinkage = foce_fit.likelihood.shrinkage.loc["conc", "sd"]
    assert shrinkage == pytest.approx(100 * (1 - iwres.std(ddof=1)))


def test_residuals(foce_fit):
    found = foce_fit.tree["residuals"].to_dataset()
    estimates, y = foce_fit.estimates, foce_fit.data.observations.value
    for name, prediction in (("RES", "PRED"), ("IRES", "IPRED")):
        np.testing.assert_allclose(found[name], y - found[prediction])
    sd = np.hypot(estimates["conc_additive"], estimates["conc_proportional"] * found["IPRED"])
    np.testing.assert_allclose(found["IWRES"], found["IRES"] / sd)
    assert abs(float(found["CWRES"].mean())) < 3 / np.sqrt(132)
    assert 0.8 < float(found["CWRES"].std()) < 1.2


def test_conditional_residuals_of_a_subject_by_hand(foce_fit):
    """Differences of the prediction in eta, and a Cholesky factor."""
    seen = foce_fit.data.observations
    at = seen.subject == 3
    estimates, individual = foce_fit.estimates, foce_fit.tree["individual"]
    eta = individual["eta"].values[3]
    table = foce_fit.data.to_frame().query("EVID == 1")
    weight = table["WT"].iloc[3] / 70
    typical = np.array([estimates["ka_pop"], estimates["CL_pop"], estimates["V_pop"]])
    typical[1] *= weight**0.75
    dose = table["AMT"].iloc[3]

    def f(effects):
        ka, CL, V = typical * np.exp(effects)
        t = seen.time[at]
        return dose * ka / (V * ka - CL) * (np.exp(-CL / V * t) - np.exp(-ka * t))

    steps = 1e-6 * np.eye(3)
    G = np.stack([(f(eta + e) - f(eta - e)) / 2e-6 for e in steps], axis=1)
    sd, corr = estimates.iloc[3:6].to_numpy(), np.eye(3)
    corr[1, 2] = corr[2, 1] = estimates["omega_corr[CL, V]"]
    variance = estimates["conc_additive"] ** 2 + (estimates["conc_proportional"] * f(eta)) ** 2
    covariance = G @ (np.outer(sd, sd) * corr) @ G.T + np.diag(variance)
    expected = np.linalg.solve(np.linalg.cholesky(covariance), seen.value[at] - f(eta) + G @ eta)
    np.testing.assert_allclose(foce_fit.tree["residuals"]["CWRES"].values[at], expected, rtol=1e-6)


def test_what_is_absent_is_said(foce_fit, fit):
    with pytest.raises(bn.FitError, match="no draws of a posterior"):
        foce_fit.posterior  # noqa: B018  asked for, not used
    with pytest.raises(bn.FitError, match="samples a posterior"):
        fit.ofv  # noqa: B018  asked for, not used
    with pytest.raises(bn.FitError, match=r"no covariance 'sandwhich'\. Did you mean 'sandwich'"):
        foce_fit.summary(covariance="sandwhich")


def test_saved_and_loaded(foce_fit, tmp_path):
    loaded = bn.load(foce_fit.save(tmp_path / "fit.nc"))
    assert loaded.status is foce_fit.status
    assert loaded.summary().equals(foce_fit.summary())
    assert loaded.verdict == foce_fit.verdict
    np.testing.assert_array_equal(
        loaded.predictions.values, foce_fit.tree["individual"]["prediction"].values
    )
    np.testing.assert_array_equal(
        loaded.individual("CL").values, foce_fit.tree["individual"]["CL"].values
    )


def test_scores_need_more_subjects_than_parameters(model, data):
    few = data.subset(subjects=list(data.subjects[:6]))
    fit = bn.fit(model, few, method=bn.FOCE(), seed=1, progress=False)
    with pytest.raises(bn.FitError, match="needs more subjects than parameters"):
        fit.summary(covariance="sandwich")


def test_a_kind_of_covariance_is_refused_where_it_means_nothing(foce_fit, weighed_fit, fit):
    for each in (foce_fit, weighed_fit, fit):
        with pytest.raises(bn.FitError, match="no covariance 'robust'"):
            each.summary(covariance="robust")
    with pytest.raises(bn.FitError, match="importance sampling maximises no likelihood"):
        weighed_fit.summary(covariance="sandwich")
    with pytest.raises(bn.FitError, match="covariance='scores' is of estimates"):
        fit.summary(covariance="scores")
    with pytest.raises(bn.FitError, match=r"no parameter 'Cl'\. Did you mean 'CL'"):
        foce_fit.individual("Cl")


def test_criteria_by_name(foce_fit):
    found = foce_fit.likelihood.criteria()
    assert found["OFV"] == foce_fit.ofv
    assert found["OFV without n log 2 pi"] == foce_fit.likelihood.ofv_without_constant
    assert (found["AIC"], found["BIC"]) == (foce_fit.aic, foce_fit.bic)
    assert (found["AICc"], found["BICc"]) == (foce_fit.likelihood.aicc, foce_fit.likelihood.bicc)


@pytest.mark.parametrize("kind", ["mode_fit", "weighed_fit"])
def test_estimates_that_are_no_maximum_have_no_errors(kind, request):
    fit = request.getfixturevalue(kind)
    for ask in (fit.likelihood.covariance, lambda: fit.likelihood.trace):
        with pytest.raises(bn.FitError, match="maximises no likelihood: there are no"):
            ask()


def test_a_joint_mode_has_no_criteria(mode_fit):
    assert list(mode_fit.likelihood.criteria().index) == ["OFV", "OFV without n log 2 pi"]
    for name in ("aic", "aicc", "bic", "bicc"):
        with pytest.raises(bn.FitError, match="maximises another density"):
            getattr(mode_fit.likelihood, name)
