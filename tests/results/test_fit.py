"""What a fit says of itself."""

from dataclasses import replace

import arviz as az
import numpy as np
import pytest
import xarray as xr
from scipy import stats

import bayesnlme as bn
from bayesnlme.results.convergence import LOST, Convergence

GOOD = {
    "chains": 4, "draws": 1000, "rhat_max": 1.002, "rhat_worst": "ka_pop", "ess_bulk_min": 900.0,
    "ess_tail_min": 800.0, "ess_worst": "ka_pop", "divergences": 0, "failures": 0, "depth_hits": 0,
    "bfmi_min": 0.9,
}  # fmt: skip


def test_tree_has_every_group(fit):
    assert set(fit.tree.children) == {
        "posterior", "sample_stats", "log_likelihood", "posterior_predictive", "observed_data",
        "constant_data",
    }  # fmt: skip
    for group in ("log_likelihood", "posterior_predictive"):
        assert fit.tree[group]["conc"].dims == ("chain", "draw", "observation")
    assert fit.tree["observed_data"]["conc"].shape == (132,)


def test_log_likelihood_equals_scipy(fit):
    posterior = fit.posterior
    f = posterior["prediction"].values
    a = posterior["conc_additive"].values[..., None]
    b = posterior["conc_proportional"].values[..., None]
    observed = fit.tree["observed_data"]["conc"].values
    expected = stats.norm.logpdf(observed, f, np.sqrt(a**2 + (b * f) ** 2))
    np.testing.assert_allclose(fit.tree["log_likelihood"]["conc"].values, expected, rtol=1e-10)


def test_predictive_draws_have_the_stated_spread(fit):
    posterior = fit.posterior
    f = posterior["prediction"].values
    variance = (
        posterior["conc_additive"].values[..., None] ** 2
        + (posterior["conc_proportional"].values[..., None] * f) ** 2
    )
    drawn = fit.tree["posterior_predictive"]["conc"].values
    standard = (drawn - f) / np.sqrt(variance)
    n = standard.size
    assert abs(standard.mean()) < 5 / np.sqrt(n)
    assert abs(standard.var() - 1) < 5 * np.sqrt(2 / n)


def test_summary_equals_arviz(fit):
    table = fit.summary()
    expected = az.summary(
        fit.tree, var_names=["ka_pop", "conc_additive"], kind="all", round_to="none"
    )
    for name in ("ka_pop", "conc_additive"):
        assert table.loc[name, "mean"] == pytest.approx(expected.loc[name, "mean"])
        assert table.loc[name, "ess_bulk"] == pytest.approx(expected.loc[name, "ess_bulk"])
        assert table.loc[name, "rhat"] == pytest.approx(expected.loc[name, "r_hat"])


def test_summary_lists_the_population_parameters(fit):
    assert list(fit.summary().index) == [
        "ka_pop", "CL_pop", "V_pop", "omega[ka]", "omega[CL]", "omega[V]", "omega_corr[CL, V]",
        "conc_additive", "conc_proportional",
    ]  # fmt: skip
    omega = fit.posterior["omega"].sel(effect="ka").values
    cv = 100 * np.sqrt(np.expm1(omega**2))
    assert fit.summary().loc["omega[ka]", "cv_percent"] == pytest.approx(np.median(cv))
    assert fit.summary().loc["CL_pop", "unit"] == "L/h"
    assert fit.summary(interval=0.5).attrs["interval"] == "equal-tailed 50%"


def test_estimates_and_provenance(fit, model, data):
    assert fit.estimates["V_pop"] == pytest.approx(float(fit.posterior["V_pop"].mean()))
    assert fit.provenance["model_hash"] == model.hash
    assert fit.provenance["table_hash"] == data.hash
    assert fit.provenance["data_hash"] == fit.data.hash
    assert set(fit.provenance["versions"]) >= {"bayesnlme", "pymc", "numba"}
    assert fit.provenance["flags"] == {"numba__fastmath": False}
    assert fit.seed == 20
    assert fit.data.n_observations == data.n_observations
    with pytest.raises(TypeError):
        fit.provenance["seed"] = 3


def test_repr_gives_verdict_and_numbers(fit):
    text = repr(fit)
    assert "12 subjects, 132 observations" in text
    assert "ka_pop" in text
    assert fit.verdict in text


@pytest.mark.parametrize("change", [{}, {"rhat_max": 1.02}])
def test_lost_chains_are_told_and_do_not_fail_a_fit(change):
    told = Convergence(**(GOOD | change), lost=1)
    without = Convergence(**(GOOD | change))
    assert told.passed == without.passed
    assert told.verdict == (
        f"{without.verdict} In the warm-up 1 chain was in a mode with less than a millionth of the "
        "mass found, and went on from the others."
    )


def test_lost_chains_are_stored(fit, tmp_path):
    told = fit.tree["sample_stats"].to_dataset().assign_attrs({LOST: 2})
    tree = xr.DataTree.from_dict(
        {name: each.to_dataset() for name, each in fit.tree.children.items()}
        | {"sample_stats": told}
    )
    stored = bn.load(replace(fit, tree=tree).save(tmp_path / "fit.nc"))
    assert stored.convergence.lost == 2
    assert "2 chains were in a mode" in stored.verdict


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rhat_max": 1.02}, "R-hat of ka_pop is 1.020"),
        ({"rhat_max": float("nan")}, "R-hat"),
        ({"divergences": 3}, "3 divergent transitions"),
        ({"failures": 1}, "1 transition met a point"),
        ({"ess_bulk_min": 100.0}, "effective sample size of ka_pop"),
        ({"ess_tail_min": float("nan")}, "effective sample size"),
        ({"bfmi_min": 0.1}, "E-BFMI is 0.10"),
        ({"chains": 1}, "One chain cannot"),
    ],
)
def test_each_problem_is_named(change, words):
    verdict = Convergence(**(GOOD | change))
    assert not verdict.passed
    assert words in verdict.verdict
    assert verdict.verdict.startswith("NOT CONVERGED")


def test_a_sound_fit_says_so_in_numbers():
    verdict = Convergence(**GOOD)
    assert verdict.passed
    assert "R-hat at most 1.002" in verdict.verdict


def test_bfmi_compares_the_energy_with_its_changes(fit):
    energy = fit.tree["sample_stats"]["energy"].values
    change = np.square(np.diff(energy, axis=1)).mean(axis=1)
    assert fit.convergence.bfmi_min == pytest.approx((change / energy.var(axis=1)).min(), rel=0.02)


def test_individual_parameters(fit):
    assert fit.individual("ka").dims == ("chain", "draw", "subject")
    with pytest.raises(bn.FitError, match="no parameter 'kb'"):
        fit.individual("kb")


def test_a_bad_fit_is_not_final(model, data):
    bad = bn.fit(model, data, method=bn.NUTS(draws=5, tune=5, chains=2), seed=1, progress=False)
    assert bad.status is bn.Status.NOT_CONVERGED
    assert not bad.converged
    assert repr(bad).splitlines()[1].startswith("NOT CONVERGED")


@pytest.mark.parametrize("interval", [0, 1, 2, True, "a"])
def test_impossible_intervals_are_refused(fit, interval):
    with pytest.raises(bn.FitError, match="must be a number between 0 and 1"):
        fit.summary(interval=interval)
