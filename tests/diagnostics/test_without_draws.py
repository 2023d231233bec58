"""Diagnostics and figures of fits that have estimates and modes instead of draws."""

import numpy as np
import pytest
from scipy import stats

import bayesnlme as bn
from bayesnlme import diagnostics, plots
from bayesnlme.diagnostics.estimates import parameter_draws

KINDS = ["foce_fit", "mode_fit", "weighed_fit"]


@pytest.fixture(params=KINDS)
def estimated(request):
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize(
    "ask",
    [
        bn.loo,
        diagnostics.population_draws,
        diagnostics.rank_counts,
        bn.audit_solver,
        lambda fit: bn.posterior_predictive(fit, seed=1),
        lambda fit: bn.covariate_forest(fit, {"WT": [50, 70]}),
    ],
)
def test_what_needs_draws_says_so(estimated, ask):
    with pytest.raises(bn.FitError, match="gives estimates and no draws of a posterior"):
        ask(estimated)


def test_curves_pass_through_the_predictions_at_the_modes(estimated):
    table = diagnostics.individual_predictions(estimated, subjects=["3"], points=5)
    seen = estimated.data.observations
    residuals = estimated.tree["residuals"].to_dataset()
    for i in np.flatnonzero(seen.subject == 2):
        at = np.flatnonzero(table["time"].values == seen.time[i])
        assert at.size >= 1
        row = table.isel(point=at[-1])
        assert row["mode"] == pytest.approx(float(residuals["IPRED"][i]), rel=1e-9)
        assert row["typical"] == pytest.approx(float(residuals["PRED"][i]), rel=1e-9)
    assert not {"median", "lower", "upper"} & set(table)


def test_the_band_of_a_new_observation_is_the_residual_error(estimated):
    table = diagnostics.individual_predictions(estimated, subjects=["1"], points=5, interval=0.8)
    f, given = table["mode"].values, estimated.estimates
    sd = np.hypot(given["conc_additive"], given["conc_proportional"] * f)
    reach = stats.norm.ppf(0.9) * sd
    np.testing.assert_allclose(table["new_upper"], f + reach, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(table["new_lower"], f - reach, rtol=1e-9, atol=1e-9)


def test_observed_next_to_the_predictions_at_the_modes(estimated):
    table = diagnostics.observed_vs_predicted(estimated)
    np.testing.assert_array_equal(table["individual"], estimated.predictions)
    np.testing.assert_array_equal(table["typical"], estimated.tree["residuals"]["PRED"])
    assert "lower" not in table


def test_residuals_stand_beside_the_observations(estimated, fit):
    table = diagnostics.residuals(estimated)
    seen = estimated.data.observations
    np.testing.assert_array_equal(table["value"], seen.value)
    np.testing.assert_allclose(table["value"] - table["IPRED"], table["IRES"])
    np.testing.assert_array_equal(table["CWRES"], estimated.tree["residuals"]["CWRES"])
    with pytest.raises(bn.FitError, match="NUTS gives draws and no modes"):
        diagnostics.residuals(fit)


def test_studies_are_simulated_at_the_estimates(foce_fit):
    """The median at each time is that of subjects drawn in NumPy from the estimates."""
    table = diagnostics.predictive_check(foce_fit, seed=3, draws=400, bins=1)
    rng, given, seen = np.random.default_rng(4), foce_fit.estimates, foce_fit.data.observations
    sd = np.array([given[f"omega[{each}]"] for each in ("ka", "CL", "V")])
    factor = np.linalg.cholesky(foce_fit.tree["estimates"]["omega_corr"].values)
    eta = sd * (rng.standard_normal((400, 12, 3)) @ factor.T)
    doses = foce_fit.data.to_frame().query("EVID == 1")
    ka = given["ka_pop"] * np.exp(eta[..., 0])
    CL = given["CL_pop"] * (doses["WT"].to_numpy() / 70) ** 0.75 * np.exp(eta[..., 1])
    V = given["V_pop"] * np.exp(eta[..., 2])
    ka, CL, V, dose = (each[..., seen.subject] for each in (ka, CL, V, doses["AMT"].to_numpy()))
    t = seen.time
    f = dose * ka / (V * ka - CL) * (np.exp(-CL / V * t) - np.exp(-ka * t))
    error = np.hypot(given["conc_additive"], given["conc_proportional"] * f)
    y = f + error * rng.standard_normal(f.shape)
    expected = np.quantile(y, [0.05, 0.5, 0.95], axis=1)
    drawn = table["simulated"].isel(bin=0)
    # medians of 400 quantiles each, from two streams: each has an SE of about 0.02
    np.testing.assert_allclose(drawn.sel(band="median"), np.median(expected, axis=1), atol=0.12)
    assert table.attrs["replicates"] == 400


def test_estimates_as_draws_are_all_the_same(foce_fit):
    draws = parameter_draws(foce_fit, 3)
    assert dict(draws.sizes) | {"chain": 1, "draw": 3} == dict(draws.sizes)
    np.testing.assert_array_equal(draws["CL_pop"], np.full((1, 3), foce_fit.estimates["CL_pop"]))
    assert not draws["eta_standard"].any()
    with pytest.raises(bn.FitError, match="draws=0"):
        parameter_draws(foce_fit, 0)


def test_every_step_of_a_search_is_told(foce_fit, mode_fit):
    table = diagnostics.search_trace(foce_fit)
    assert table["ofv"].iloc[-1] == pytest.approx(foce_fit.ofv)
    assert table.attrs["averaged_from"] is None
    with pytest.raises(bn.FitError, match="joint posterior mode maximises no likelihood"):
        diagnostics.search_trace(mode_fit)


def test_figures_of_estimates(foce_fit):
    panel = plots.individual_fits(diagnostics.individual_predictions(foce_fit, points=5)).axes[0]
    lines = {line.get_label() for line in panel.lines}
    assert {"individual prediction", "typical prediction", "observed"} <= lines
    left, _ = plots.observed_vs_predicted(diagnostics.observed_vs_predicted(foce_fit)).axes
    assert not left.collections
    table = diagnostics.residuals(foce_fit)
    drawn = [each.lines[-1] for each in plots.residuals(table).axes]
    np.testing.assert_array_equal(drawn[0].get_ydata(), table["CWRES"])
    np.testing.assert_array_equal(drawn[2].get_xdata(), table["IPRED"])
    np.testing.assert_array_equal(drawn[3].get_ydata(), np.sort(table["CWRES"]))
    with pytest.raises(bn.FitError, match="no weighted residuals"):
        plots.residuals(table.drop(columns="CWRES"))
    steps = diagnostics.search_trace(foce_fit)
    titles = [each.get_title(loc="left") for each in plots.search_trace(steps).axes if each.axison]
    assert titles == ["OFV", *foce_fit.estimates.index]
    averaged = steps.copy()
    averaged.attrs["averaged_from"] = 4
    assert len(plots.search_trace(averaged).axes[0].lines) == 2
