import numpy as np
import pytest
import xarray as xr
from scipy import stats

from bayesnlme.diagnostics import predictive
from bayesnlme.diagnostics.predictive import posterior_predictive, predictive_check, thinned
from bayesnlme.errors import FitError


@pytest.fixture(scope="module")
def known(handmade):
    # every draw is the same, so the predictive moments are known exactly
    return handmade.fit(spread=0.0, chains=4, draws=500)


def test_same_subjects_get_new_residuals(known, handmade):
    found = posterior_predictive(known, seed=1)["conc"]
    f = known.predictions.isel(chain=0, draw=0)
    mean, sd = found.mean(("chain", "draw")), found.std(("chain", "draw"), ddof=1)
    error = handmade.SD / np.sqrt(2000)
    assert np.abs(mean - f).max() < 4 * error
    assert np.abs(sd - handmade.SD).max() < 4 * error / np.sqrt(2)


def test_new_subjects_come_from_the_population(known, handmade):
    found = posterior_predictive(known, seed=2, new_subjects=True)["conc"]
    seen = known.data.observations
    weight = known.data.covariates["WT"].by_subject[seen.subject]
    typical = handmade.CL * (weight / 70) ** 0.75
    log_clearance = (
        np.log(typical) + handmade.OMEGA * stats.norm.ppf((np.arange(4000) + 0.5) / 4000)[:, None]
    )
    f = handmade.concentration(seen.time, np.exp(log_clearance), handmade.V)
    mean, sd = f.mean(0), np.sqrt(f.var(0) + handmade.SD**2)
    np.testing.assert_array_less(
        np.abs(found.mean(("chain", "draw")) - mean), 4 * sd / np.sqrt(2000)
    )
    np.testing.assert_allclose(found.std(("chain", "draw")), sd, rtol=0.08)


def test_the_seed_decides(fit):
    first, again, other = (
        posterior_predictive(fit, seed=seed, new_subjects=True, draws=20)["conc"].values
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_thinning_is_even_in_every_chain(fit):
    few = thinned(fit.posterior, 10)
    assert few.sizes["chain"] == 2
    assert few["draw"].values.tolist() == [0, 25, 50, 74, 99]
    assert thinned(fit.posterior, 10**6).sizes["draw"] == 100
    with pytest.raises(FitError, match="at least 1"):
        thinned(fit.posterior, 0)


def test_check_tabulates_observed_and_simulated_quantiles(fit):
    table = predictive_check(fit, seed=7, draws=60, bins=4, interval=0.8)
    simulated = posterior_predictive(fit, seed=7, new_subjects=True, draws=60)["conc"]
    simulated = simulated.stack(replicate=("chain", "draw")).values
    seen = fit.data.observations
    assert table["time"].values.tolist() == sorted(set(seen.time.tolist()))
    for number, time in enumerate(table["time"].values):
        at = seen.time == time
        entry = table.isel(bin=number)
        levels = [0.05, 0.5, 0.95]
        np.testing.assert_allclose(entry["observed"], np.quantile(seen.value[at], levels))
        each = np.quantile(simulated[at], levels, axis=0)
        bands = np.quantile(each, [0.1, 0.5, 0.9], axis=1).T
        np.testing.assert_allclose(entry["simulated"], bands)
    assert table.attrs["units"] == {"conc": "mg/L"}
    assert table.attrs["replicates"] == 60
    assert table["count"].values.tolist() == [3, 3, 3, 3]


def test_failed_replicates_are_left_out_and_counted(fit):
    values = np.zeros((2, 3, 12))
    values[1, 2, 5] = np.nan
    simulated = xr.Dataset({"conc": (("chain", "draw", "observation"), values)})
    kept, failed = predictive.replicates(fit.data, simulated, ["conc"])
    assert kept.shape == (5, 12)
    assert failed == 1
    with pytest.raises(FitError, match="No replicate"):
        predictive.replicates(fit.data, simulated * np.nan, ["conc"])


@pytest.mark.parametrize("bins", [1, 2, 3, 7, 50])
def test_bins_share_equal_times_and_are_about_equal(bins):
    times = np.random.default_rng(0).choice(np.arange(20.0), size=200)
    places = predictive.time_bins(times, bins)
    assert places.min() == 0
    for time in np.unique(times):
        assert np.unique(places[times == time]).size == 1
    assert np.all(np.diff(places[np.argsort(times)]) >= 0)
    assert np.unique(places).size <= bins
