import numpy as np
from scipy import stats

from bayesnlme.diagnostics.chains import population_draws, rank_counts


def test_draws_are_called_as_in_the_summary(fit):
    draws = population_draws(fit)
    assert list(draws) == list(fit.summary().index)
    np.testing.assert_array_equal(draws["omega[CL]"], fit.posterior["omega"][..., 0])


def test_ranks_of_each_chain(fit):
    table = rank_counts(fit, bins=10)
    draws = population_draws(fit)["CL_pop"].values
    ranks = stats.rankdata(draws).reshape(draws.shape)
    expected = [np.histogram(each, bins=np.arange(0.5, 201, 20))[0] for each in ranks]
    np.testing.assert_array_equal(table["count"].sel(parameter="CL_pop"), expected)
    np.testing.assert_array_equal(table["count"].sum("bin"), 100)


def test_the_band_holds_mixed_chains_and_not_others(handmade):
    mixed, apart = rank_counts(handmade.fit(draws=500)), rank_counts(handmade.fit(shift=1.0))
    inside = (mixed["count"] >= mixed["lower"]) & (mixed["count"] <= mixed["upper"])
    assert float(inside.mean()) > 0.97
    at = apart.sel(parameter="CL_pop")
    assert float(at["count"].max()) == 2 * float(at["expected"])
