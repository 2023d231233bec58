"""Shares of categories, observed and simulated."""

import numpy as np
import pytest

import bayesnlme as bn
from bayesnlme.diagnostics.categories import category_check
from bayesnlme.diagnostics.checks import predictive_checks
from bayesnlme.errors import FitError
from bayesnlme.plots import predictive_check as draw
from bayesnlme.plots import words
from bayesnlme.reports import page


@pytest.fixture(scope="module")
def binary(fit, handmade):
    return handmade.observed_as(fit, bn.binary(), DV=[1, 1, 0, 1] * 3)


@pytest.fixture(scope="module")
def ordered(fit, handmade):
    thresholds = [bn.fixed(1.0), bn.fixed(2.0)]
    return handmade.observed_as(
        fit, bn.ordered(thresholds=thresholds, first=1), DV=[3, 3, 2, 1] * 3
    )


def test_observed_shares_are_those_of_the_table(binary, ordered):
    table = category_check(binary, seed=1, draws=40)
    ones = table.isel(share=np.flatnonzero(table["category"] == 1))
    np.testing.assert_array_equal(ones["observed"], [1, 1, 0, 1])
    np.testing.assert_array_equal(ones["count"], 3)
    table = category_check(ordered, seed=1, draws=40)
    assert np.unique(table["category"]).tolist() == [1, 2, 3]
    by_bin = table["observed"].values.reshape(3, -1)
    np.testing.assert_allclose(by_bin.sum(axis=0), 1)


def test_simulated_shares_are_those_of_the_model(ordered):
    """The prediction at the first time is near 4.6 whatever the effects: category 3 prevails."""
    table = category_check(ordered, seed=1, draws=200)
    first = table.isel(share=np.flatnonzero(table["time"] == table["time"].min()))
    middle = first["simulated"].sel(band="median").values
    assert middle[-1] == 1
    assert (table["simulated"].sel(band="lower") <= table["simulated"].sel(band="upper")).all()


def test_bins_and_intervals_are_as_asked(binary):
    table = category_check(binary, seed=1, draws=20, bins=2, interval=0.5)
    assert table.sizes["share"] == 4
    assert table.attrs["interval"] == 0.5
    with pytest.raises(FitError, match="between 0 and 1"):
        category_check(binary, seed=1, interval=2)


def test_a_model_without_categories_is_refused(fit):
    with pytest.raises(FitError, match="No output of the model is a category"):
        category_check(fit, seed=1)


def test_each_output_gets_the_check_that_fits_it(fit, binary):
    assert "quantile" in predictive_checks(fit, seed=1, draws=20)["conc"].dims
    assert "category" in predictive_checks(binary, seed=1, draws=20)["conc"]


def test_the_figure_has_a_panel_for_each_category(binary, ordered):
    table = category_check(binary, seed=1, draws=20)
    figure = draw(table)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["conc = 1"]
    line = next(each for each in figure.axes[0].lines if each.get_label() == "observed")
    np.testing.assert_array_equal(line.get_ydata(), [1, 1, 0, 1])
    figure = draw(category_check(ordered, seed=1, draws=20))
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["conc = 1", "conc = 2", "conc = 3"]
    inside, total = words.shares_inside(table, "conc")
    assert f"{inside} of {total} observed shares" in words.category_check(table, "conc")
    assert total == 8


def test_the_report_draws_the_shares(binary):
    text = page.render(binary, "binary")
    assert "share of the observations in each category" in text
