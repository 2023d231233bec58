"""Censored observations and categories in the tables, the figures and the report."""

import numpy as np
import pytest

import bayesnlme as bn
from bayesnlme.diagnostics.censoring import censoring_limits, marks
from bayesnlme.diagnostics.individual import individual_predictions, observed_vs_predicted
from bayesnlme.diagnostics.predictive import posterior_predictive, predictive_check
from bayesnlme.errors import FitError
from bayesnlme.plots import individual, predictive, words
from bayesnlme.reports import figures, page

LIMIT, UPPER = 1.5, 3.5
CENS = [-1, 0, 0, 1] * 3
MARKS = ["above", "", "", "below"] * 3


@pytest.fixture(scope="module")
def censored(fit, handmade):
    value = fit.data.observations.value
    bounded = np.where(np.array(CENS) == 1, LIMIT, np.where(np.array(CENS) == -1, UPPER, value))
    return handmade.observed_as(fit, bn.additive(0.3), DV=bounded, CENS=CENS, LLOQ=LIMIT)


@pytest.fixture(scope="module")
def check(censored):
    return predictive_check(censored, seed=3, draws=60, bins=4)


def test_marks_and_limits(censored):
    assert marks(censored.data).tolist() == MARKS
    lower, upper = censoring_limits(censored.data, 0)
    assert (lower == LIMIT).all()
    assert (upper == UPPER).all()


def test_without_limits_of_their_own_values_are_compared_at_the_highest(fit, handmade):
    cens = [0, 0, 1, 1] * 3
    value = [4.0, 3.0, 2.0, 1.0] * 3
    data = handmade.observed_as(fit, bn.additive(0.3), DV=value, CENS=cens).data
    assert censoring_limits(data, 0)[0].tolist() == [2.0, 2.0, 2.0, 1.0] * 3
    assert np.isneginf(censoring_limits(fit.data, 0)[0]).all()
    assert np.isposinf(censoring_limits(fit.data, 0)[1]).all()


def test_values_beyond_a_limit_are_compared_at_it(censored, check):
    simulated = posterior_predictive(censored, seed=3, new_subjects=True, draws=60)["conc"]
    simulated = simulated.stack(replicate=("chain", "draw")).values
    seen = censored.data.observations
    for number, time in enumerate(check["time"].values):
        entry, at = check.isel(bin=number), seen.time == time
        each = np.quantile(np.clip(simulated[at], LIMIT, UPPER), [0.05, 0.5, 0.95], axis=0)
        bands = np.quantile(each, [0.05, 0.5, 0.95], axis=1).T
        np.testing.assert_allclose(entry["simulated"], bands)
        assert float(entry["below_observed"]) == (seen.below[at]).mean()
        shares = (simulated[at] < LIMIT).mean(axis=0)
        np.testing.assert_allclose(entry["below_simulated"], np.quantile(shares, [0.05, 0.5, 0.95]))
        assert float(entry["above_observed"]) == (seen.censored & ~seen.below)[at].mean()
    assert check["mark"].values.tolist() == MARKS


def test_nothing_is_said_of_limits_that_no_value_passed(fit):
    table = predictive_check(fit, seed=3, draws=20, bins=2)
    assert np.isnan(table["below_observed"]).all()
    assert len(predictive.predictive_check(table).axes) == 1


def test_values_that_m1_drops_are_dropped_from_the_simulated_studies(fit, handmade):
    made = handmade.observed_as(fit, bn.additive(0.3, blq="M1"), CENS=0.0, LLOQ=1.2)
    table = predictive_check(made, seed=3, draws=60, bins=4)
    assert table["simulated"].min() >= 1.2


def test_figures_draw_censored_values_apart(censored, check):
    figure = predictive.predictive_check(check)
    axes, below, above = figure.axes
    lines = {line.get_label(): line for line in axes.lines}
    assert lines["below a limit"].get_marker() == "v"
    assert (lines["below a limit"].get_ydata() == LIMIT).all()
    assert (lines["above a limit"].get_ydata() == UPPER).all()
    assert len(lines["observed"].get_ydata()) == 6
    np.testing.assert_array_equal(below.lines[0].get_ydata(), check["below_observed"])
    assert "above" in above.get_ylabel()
    assert "share of values below the limit lies in its band" in words.predictive_check(
        check, "conc"
    )
    table = individual_predictions(censored, points=3, draws=4)
    drawn = individual.individual_fits(table)
    shown = [text.get_text() for box in drawn.legends for text in box.get_texts()]
    assert {"below a limit", "above a limit"} <= set(shown)
    assert "6 censored observations are triangles" in words.individual_fits(table, "conc")
    rows = observed_vs_predicted(censored, draws=4)
    assert rows["mark"].tolist() == MARKS
    left, _ = individual.observed_vs_predicted(rows).axes
    assert {line.get_marker() for line in left.lines} >= {"o", "v", "^"}
    assert "6 censored" in words.observed_vs_predicted(rows, "conc")


def test_the_report_says_how_limits_are_compared(censored):
    text = page.render(censored, "censored")
    assert "the lower panel compares the shares beyond it" in text
    assert "3 below the limit, 3 above a limit" in text


@pytest.fixture(scope="module")
def category(fit, handmade):
    return handmade.observed_as(fit, bn.binary(), DV=[1, 1, 0, 1] * 3)


def test_categories_have_no_quantiles(category):
    with pytest.raises(FitError, match="category"):
        predictive_check(category, seed=1)


def test_the_report_leaves_predictions_of_categories_out_with_a_sentence(category):
    text = page.render(category, "binary")
    assert text.count("conc is not drawn against its prediction, which is no category") == 1
    assert figures.agreement_pictures(category) == []


def test_counts_are_drawn_like_concentrations(fit, handmade):
    counts = handmade.observed_as(fit, bn.poisson(), DV=[4, 3, 2, 1] * 3)
    drawn = posterior_predictive(counts, seed=1, draws=10)["conc"].values
    assert (drawn == np.round(drawn)).all()
    table = predictive_check(counts, seed=1, draws=20, bins=2)
    assert table["simulated"].dtype == float
    assert len(predictive.predictive_check(table).axes) == 1


def test_figures_of_subjects_without_doses_are_laid_out(fit):
    table = individual_predictions(fit, points=3, draws=4)
    undosed = table.isel(dose=[])
    drawn = individual.individual_fits(undosed)
    drawn.draw_without_rendering()  # warns where the axes collapse
    assert drawn.axes[0].get_position().height > 0.3
