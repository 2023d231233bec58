"""Shares of categories, observed and simulated."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

import bayesnlme as bn
from bayesnlme import plots
from bayesnlme.diagnostics.categories import category_check
from bayesnlme.diagnostics.category_curves import category_probabilities
from bayesnlme.diagnostics.checks import predictive_checks
from bayesnlme.diagnostics.individual import individual_predictions
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


def logistic(x):
    return 1 / (1 + np.exp(-x))


def test_probabilities_of_each_subject_by_hand(ordered):
    table = category_probabilities(ordered, subjects=["2"], points=3, draws=200)
    seen = ordered.data.observations
    for i in np.flatnonzero(seen.subject == 1):
        f = ordered.predictions.values[..., i]
        edges = [np.zeros_like(f), logistic(1 - f), logistic(2 - f), np.ones_like(f)]
        for category, (low, high) in enumerate(pairwise(edges), start=1):
            at = (table["time"] == seen.time[i]) & (table["category"] == category)
            row = table.isel(point=np.flatnonzero(at)[0])
            expected = np.quantile(high - low, [0.05, 0.5, 0.95])
            found = [float(row[each]) for each in ("lower", "median", "upper")]
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
            if category == seen.value[i]:
                place = np.flatnonzero(table["observation_time"] == seen.time[i])[0]
                assert table["probability"].values[place] == pytest.approx(expected[1])
    total = table["median"].values.reshape(3, -1).sum(axis=0)
    np.testing.assert_allclose(total, 1, atol=0.05)


def test_probabilities_at_the_modes():
    rng = np.random.default_rng(1)
    rows = [
        {"ID": i, "TIME": t, "DV": float(rng.random() < logistic(t - 2 + rng.normal()))}
        for i in range(12)
        for t in range(5)
    ]
    model = bn.Model(
        name="yes",
        parameters={"a": bn.Normal(-2.0, iiv=1.0), "b": bn.Normal(1.0)},
        structure=bn.curve(lambda t, p: p.a + p.b * t),
        observations={"value": bn.binary()},
    )
    data = bn.read_data(pd.DataFrame(rows))
    fit = bn.fit(model, data, method=bn.Laplace(), seed=1, progress=False)
    table = category_probabilities(fit, points=4)
    ones = table.isel(point=np.flatnonzero(table["category"] == 1))
    a, b = fit.individual("a"), fit.estimates["b_pop"]
    mine = a.sel(subject=ones["subject"].values).values
    np.testing.assert_allclose(ones["mode"], logistic(mine + b * ones["time"]), rtol=1e-9)
    typical = logistic(fit.estimates["a_pop"] + b * ones["time"])
    np.testing.assert_allclose(ones["typical"], typical, rtol=1e-9)
    p = logistic(fit.predictions.values)
    expected = np.where(fit.data.observations.value == 1, p, 1 - p)
    np.testing.assert_allclose(table["probability"], expected, rtol=1e-9)
    shown = page.render(fit, "yes")
    assert "at the mode of the subject&#39;s random effects, dashed without them" in shown
    assert "No weighted residuals: value is not continuous" in shown
    with pytest.raises(FitError, match="category_probabilities has curves"):
        individual_predictions(fit)


def test_the_figure_draws_what_was_observed_on_its_line(binary, ordered, fit):
    table = category_probabilities(ordered, points=3, draws=20)
    figure = plots.category_probabilities(table)
    panel = figure.axes[0]
    labels = [line.get_label() for line in panel.lines]
    assert [each for each in labels if each.startswith("P(")] == [
        "P(conc = 1)", "P(conc = 2)", "P(conc = 3)",
    ]  # fmt: skip
    threes = next(each for each in panel.lines if each.get_marker() == "o" and len(
        each.get_xdata()) == 2)  # fmt: skip
    mine = (table["observation_subject"] == "1") & (table["value"] == 3)
    np.testing.assert_array_equal(threes.get_ydata(), table["probability"].values[mine])
    assert "3 categories of conc" in words.category_probabilities(table, "conc")
    two = plots.category_probabilities(category_probabilities(binary, points=3, draws=20)).axes[0]
    points = next(each for each in two.lines if each.get_label() == "observed")
    np.testing.assert_array_equal(points.get_ydata(), [1, 1, 0, 1])
    with pytest.raises(FitError, match="No output of the model is a category"):
        category_probabilities(fit)
