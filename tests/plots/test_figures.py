from dataclasses import replace

import numpy as np
import pytest

from bayesnlme.diagnostics.chains import population_draws, rank_counts
from bayesnlme.diagnostics.individual import individual_predictions, observed_vs_predicted
from bayesnlme.diagnostics.predictive import predictive_check
from bayesnlme.errors import FitError
from bayesnlme.plots import individual, predictive, words
from bayesnlme.plots.chains import rank, trace
from bayesnlme.results.status import Status


@pytest.fixture(scope="module")
def curves(fit):
    return individual_predictions(fit, points=9, draws=20)


@pytest.fixture(scope="module")
def check(fit):
    return predictive_check(fit, seed=1, draws=20)


def texts(figure):
    found = [each.get_text() for each in figure.texts]
    return [*found, *(legend.get_text() for box in figure.legends for legend in box.get_texts())]


def test_individual_fits_draw_every_subject_with_units_and_interval(curves):
    figure = individual.individual_fits(curves)
    shown = [axes for axes in figure.axes if axes.axison]
    assert [axes.get_title(loc="left") for axes in shown] == [f"Subject {i}" for i in (1, 2, 3)]
    assert figure._supxlabel.get_text() == "Time (h)"
    assert figure._supylabel.get_text() == "conc (mg/L)"
    assert any("90 %" in each for each in texts(figure))
    points = next(line for line in shown[1].lines if line.get_label() == "observed")
    mine = curves["observation_subject"].values == "2"
    np.testing.assert_array_equal(points.get_ydata(), curves["value"].values[mine])


def test_observed_vs_predicted_draws_both_predictions(fit):
    table = observed_vs_predicted(fit, draws=20)
    left, right = individual.observed_vs_predicted(table).axes
    np.testing.assert_array_equal(left.lines[-1].get_xdata(), table["individual"])
    np.testing.assert_array_equal(right.lines[-1].get_xdata(), table["typical"])
    assert left.get_ylabel() == "Observed conc (mg/L)"


def test_predictive_check_draws_the_table(check):
    axes = predictive.predictive_check(check).axes[0]
    lines = {line.get_label(): line for line in axes.lines}
    middle = lines["observed 50 %"]
    np.testing.assert_array_equal(middle.get_ydata(), check["observed"].sel(quantile=0.5))
    assert len(axes.collections) == 3
    assert axes.get_xlabel() == "Time (h)"


def test_chains_have_a_panel_for_each_parameter(fit):
    names = list(population_draws(fit))
    for figure in (rank(rank_counts(fit)), trace(population_draws(fit))):
        assert [axes.get_title(loc="left") for axes in figure.axes if axes.axison] == names


def test_a_fit_that_is_not_final_is_marked_on_every_figure(fit):
    bad = replace(fit, status=Status.NOT_CONVERGED)
    figures = (
        individual.individual_fits(individual_predictions(bad, points=3, draws=4)),
        individual.observed_vs_predicted(observed_vs_predicted(bad, draws=4)),
        predictive.predictive_check(predictive_check(bad, seed=1, draws=4)),
        rank(rank_counts(bad)),
        trace(population_draws(bad)),
    )
    for figure in figures:
        assert "NOT CONVERGED" in texts(figure)


def test_a_final_fit_is_not_marked(check):
    assert "NOT CONVERGED" not in texts(predictive.predictive_check(check))


def test_an_output_must_be_named_where_there_are_several(check):
    several = check.assign_attrs(units={"conc": "mg/L", "effect": ""}, outputs=("conc", "effect"))
    with pytest.raises(FitError, match="several outputs: name one of conc, effect"):
        predictive.predictive_check(several)
    with pytest.raises(FitError, match=r"no output 'cnc'\. Did you mean 'conc'"):
        predictive.predictive_check(check, output="cnc")


def test_words_say_what_is_to_be_seen(curves, check, fit):
    assert "each of 3 subjects: 12 observations" in words.individual_fits(curves, "conc")
    inside, total = words.quantiles_inside(check, "conc")
    assert f"{inside} of {total} observed quantiles" in words.predictive_check(check, "conc")
    assert "2 chains of 100 draws" in words.trace(population_draws(fit))
    assert "12 observations of conc" in words.observed_vs_predicted(
        observed_vs_predicted(fit, draws=4), "conc"
    )


def test_quantiles_inside_counts(check):
    simulated = check["simulated"].copy()
    simulated.loc[{"band": "lower"}], simulated.loc[{"band": "upper"}] = -np.inf, np.inf
    assert words.quantiles_inside(check.assign(simulated=simulated), "conc") == (12, 12)
    simulated.loc[{"band": "upper"}] = -np.inf
    assert words.quantiles_inside(check.assign(simulated=simulated), "conc") == (0, 12)
