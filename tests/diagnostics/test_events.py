"""Simulated times to events and the checks made of them, on a fit whose draws are known."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats

import bayesnlme as bn
from bayesnlme.diagnostics.checks import predictive_checks
from bayesnlme.diagnostics.events import follow_up
from bayesnlme.diagnostics.individual import individual_predictions, observed_vs_predicted
from bayesnlme.diagnostics.survival import (
    Spells,
    at_risk,
    event_check,
    mean_number,
    share_between,
    share_without,
)
from bayesnlme.errors import FitError
from bayesnlme.graph.build import build
from bayesnlme.graph.densities import log_likelihood
from bayesnlme.plots import predictive_check as draw
from bayesnlme.plots import words
from bayesnlme.reports import page
from bayesnlme.results.fit import Fit
from bayesnlme.results.status import Status

TE, SHAPE, END = 6.0, 1.5, 9.0
WEIBULL = stats.weibull_min(SHAPE, scale=TE)
SUBJECTS = 40


def model(*, repeated=False):
    return bn.Model(
        name="known",
        parameters={"Te": bn.LogNormal(TE), "shape": bn.LogNormal(SHAPE)},
        structure=bn.hazard.weibull(output="death"),
        observations={"death": bn.time_to_event(repeated=repeated)},
    )


def single(seed=1, code=1):
    """Rows of subjects that are followed to END at the most."""
    time = WEIBULL.rvs(SUBJECTS, random_state=seed)
    rows = [(i, 0.0, 0) for i in range(SUBJECTS)]
    rows += [(i, min(t, END), code * (t < END)) for i, t in enumerate(time)]
    return pd.DataFrame(rows, columns=["ID", "TIME", "DV"]).sort_values(["ID", "TIME"])


def repeating(seed=1):
    rng, rows = np.random.default_rng(seed), []
    for i in range(SUBJECTS):
        reached = np.cumsum(rng.exponential(size=30))
        times = TE * reached ** (1 / SHAPE)
        rows += [(i, 0.0, 0), *((i, t, 1) for t in times[times < END]), (i, END, 0)]
    return pd.DataFrame(rows, columns=["ID", "TIME", "DV"])


def known_fit(frame, *, repeated=False, draws=150):
    """Make a fit whose draws are the truth, but for a hundredth of a percent."""
    spread = np.exp(1e-4 * np.random.default_rng(1).normal(size=(2, draws)))
    population = build(model(repeated=repeated), bn.read_data(frame, units={"TIME": "month"}))
    graph, shape = population.pymc, (2, draws)
    wanted = graph.replace_rvs_by_values(graph.deterministics)
    point = {"Te_pop_log__": np.log(TE), "shape_pop_log__": np.log(SHAPE)}
    values = graph.compile_fn(wanted, inputs=graph.value_vars, mode="FAST_COMPILE")(point)
    posterior = xr.Dataset(
        {
            each.name: (("chain", "draw", *graph.named_vars_to_dims[each.name]),
                        np.broadcast_to(value, (*shape, *np.shape(value))))
            for each, value in zip(graph.deterministics, values, strict=True)
        }
        | {
            "Te_pop": (("chain", "draw"), TE * spread),
            "shape_pop": (("chain", "draw"), SHAPE * spread),
        },
        coords={"chain": np.arange(2), "draw": np.arange(draws),
                "subject": list(population.data.subjects),
                "observation": np.arange(population.data.n_observations)},
    )  # fmt: skip
    stats_of = xr.Dataset(
        {
            "diverging": (("chain", "draw"), np.zeros(shape, dtype=bool)),
            "failed": (("chain", "draw"), np.zeros(shape, dtype=bool)),
            "maxdepth_reached": (("chain", "draw"), np.zeros(shape, dtype=bool)),
            "energy": (("chain", "draw"), np.random.default_rng(2).normal(size=shape)),
        }
    )
    tree = {
        "posterior": posterior,
        "sample_stats": stats_of,
        "log_likelihood": log_likelihood(population, posterior),
    }
    return Fit(
        model=population.model,
        data=population.data,
        method={"name": "NUTS", "draws": draws, "tune": 10, "chains": 2},
        seed=3,
        status=Status.CONVERGED,
        tree=xr.DataTree.from_dict(tree),
        provenance={},
    )


@pytest.fixture(scope="module")
def once():
    return known_fit(single())


@pytest.fixture(scope="module")
def again():
    return known_fit(repeating(), repeated=True)


def test_event_times_have_the_distribution_of_the_model(once):
    drawn = bn.posterior_predictive(once, seed=1)["death"]
    assert drawn.dims == ("chain", "draw", "subject")
    censored = once.data.observations.value[1::2] == 0
    times = drawn.values[:, :, ~censored].ravel()
    end = once.data.observations.time[1::2].max()
    inside = times[np.isfinite(times)]
    assert np.isfinite(times).mean() == pytest.approx(WEIBULL.cdf(end), abs=0.01)
    expected = lambda t: WEIBULL.cdf(t) / WEIBULL.cdf(end)  # noqa: E731
    assert stats.kstest(inside[::10], expected).pvalue > 0.01
    assert drawn.values[:, :, censored].min() > 0
    finite = drawn.values[:, :, censored]
    assert finite[np.isfinite(finite)].max() <= END


def test_repeated_events_come_as_often_as_the_hazard_says(again):
    drawn = bn.posterior_predictive(again, seed=2)["death"]
    assert drawn.dims == ("chain", "draw", "subject", "event_number")
    number = np.isfinite(drawn.values).sum(axis=-1)
    mean = (END / TE) ** SHAPE
    assert number.mean() == pytest.approx(mean, rel=0.02)
    assert number.var() == pytest.approx(mean, rel=0.05)
    ascending = np.diff(np.where(np.isfinite(drawn), drawn, 1e9), axis=-1)
    assert (ascending >= 0).all()


def test_the_same_seed_draws_the_same_times(once):
    first, second = (bn.posterior_predictive(once, seed=5, draws=20)["death"] for _ in range(2))
    xr.testing.assert_identical(first, second)


def test_follow_up_ends_with_the_last_row_or_with_the_study(once):
    seen = follow_up(once.model, once.data, "death")
    last = once.data.observations.time[1::2]
    np.testing.assert_array_equal(seen.last, last)
    np.testing.assert_array_equal(seen.end, np.where(seen.ended, last.max(), last))
    assert seen.ended.sum() == (once.data.observations.value == 1).sum()


def test_the_share_without_an_event_is_scipys():
    rng = np.random.default_rng(4)
    time, censored = rng.weibull(1.3, 80).round(2) + 0.01, rng.random(80) < 0.3
    grid = np.linspace(0, 4, 60)
    spells = Spells(start=np.zeros(80), end=time, event=time[~censored])
    known = stats.CensoredData(uncensored=time[~censored], right=time[censored])
    expected = stats.ecdf(known).sf.evaluate(grid)
    np.testing.assert_allclose(share_without(spells, grid), expected, atol=1e-14)


def test_subjects_count_from_the_start_of_their_risk():
    spells = Spells(
        start=np.array([0, 0, 2.0]), end=np.array([1.0, 3.0, 4.0]), event=np.array([1.0, 3.0, 4.0])
    )
    np.testing.assert_array_equal(at_risk(spells, np.array([1.0, 2.0, 2.5, 4.0])), [2, 1, 2, 1])
    found = share_without(spells, np.array([0.5, 1.0, 3.0, 4.0]))
    np.testing.assert_allclose(found, [1.0, 0.5, 0.25, 0.0])


def test_the_mean_number_is_counted_among_those_at_risk():
    spells = Spells(start=np.zeros(2), end=np.array([2.0, 5.0]), event=np.array([1.0, 1.5, 3.0]))
    np.testing.assert_allclose(mean_number(spells, np.array([0.0, 1.0, 2.0, 4.0])), [0, 0.5, 1, 2])


def test_intervals_that_pin_the_time_down_give_the_same_share():
    rng = np.random.default_rng(4)
    time, censored = rng.weibull(1.3, 60).round(2) + 0.01, rng.random(60) < 0.3
    lower = np.where(censored, time, np.nextafter(time, 0))
    upper = np.where(censored, np.inf, time)
    grid = np.linspace(0, 3, 40)
    spells = Spells(start=np.zeros(60), end=time, event=time[~censored])
    np.testing.assert_allclose(
        share_between(lower, upper, grid), share_without(spells, grid), atol=1e-6
    )


def test_overlapping_intervals_by_hand():
    """Two in (0, 1], one in (0, 2], one in (1, 2]: the likelihood p^2 (1 - p) is highest at 2/3."""
    lower, upper = np.array([0.0, 0, 0, 1]), np.array([1.0, 1, 2, 2])
    found = share_between(lower, upper, np.array([0.9, 1.0, 2.0]))
    np.testing.assert_allclose(found, [1 - 0.9 * 2 / 3, 1 / 3, 0], atol=1e-6)


def test_the_check_of_the_true_model_holds_the_observed_curve(once, again):
    for fit in (again, once):
        table = event_check(fit, seed=3, draws=150)
        inside = words.curve_inside(table)
        assert inside > 0.7
        assert table.attrs["failed"] == 0
        lower, middle, upper = (table["simulated"].sel(band=each) for each in table["band"])
        assert ((lower <= middle) & (middle <= upper)).all()
        assert table["at_risk"][0] == SUBJECTS
    expected = WEIBULL.sf(table["time"])
    np.testing.assert_allclose(table["simulated"].sel(band="median"), expected, atol=0.04)


def test_events_between_visits_are_compared_by_their_intervals():
    visits = np.array([0.0, 2.0, 4.0, 6.0, END])
    rows = []
    for i, t in enumerate(WEIBULL.rvs(SUBJECTS, random_state=8)):
        k = np.searchsorted(visits, t)
        rows += [(i, v, 0) for v in visits[:k]] + ([(i, visits[k], 2)] if k < visits.size else [])
    fit = known_fit(pd.DataFrame(rows, columns=["ID", "TIME", "DV"]))
    table = event_check(fit, seed=1, draws=100)
    at_visits = np.interp(visits[1:-1] + 0.05, table["time"], table["observed"])
    np.testing.assert_allclose(at_visits, WEIBULL.sf(visits[1:-1]), atol=0.25)


def test_what_cannot_be_estimated_is_refused_in_words():
    frame = repeating().assign(DV=lambda each: 2 * each["DV"])
    fit = known_fit(frame, repeated=True)
    with pytest.raises(FitError, match="how often it did between two times is not known"):
        event_check(fit, seed=1)
    assert predictive_checks(fit, seed=1) == {}


def test_wrong_outputs_are_refused(once, fit):
    with pytest.raises(FitError, match="no time to an event"):
        event_check(once, seed=1, output="conc")
    with pytest.raises(FitError, match="No output"):
        event_check(fit, seed=1)
    with pytest.raises(FitError, match="no quantiles"):
        bn.diagnostics.predictive_check(once, seed=1)


def test_loo_leaves_the_start_of_risk_out(once):
    likelihood = once.tree["log_likelihood"].to_dataset()
    noise = np.random.default_rng(1).normal(0, 0.1, likelihood["death"].shape)
    groups = {name: each.to_dataset() for name, each in once.tree.children.items()}
    tree = xr.DataTree.from_dict(groups | {"log_likelihood": likelihood + noise})
    found = bn.loo(replace(once, tree=tree))
    assert found.pareto_k.sizes["observation"] == SUBJECTS


def test_individual_tables_leave_events_out(once):
    assert observed_vs_predicted(once, draws=10).empty
    with pytest.raises(bn.FitError, match="Every output is a category or a time to an event"):
        individual_predictions(once, points=5, draws=10)


def texts(figure):
    return SimpleNamespace(
        legend=[each.get_text() for box in figure.legends for each in box.get_texts()],
        written=[each.get_text() for axes in figure.axes for each in axes.texts],
    )


def test_the_figure_shows_curves_and_the_number_at_risk(once, again):
    table = event_check(once, seed=3, draws=50)
    figure = draw(table)
    axes = figure.axes[0]
    assert axes.get_ylabel() == "Share of subjects without death"
    assert axes.get_xlabel() == "Time (month)"
    found = texts(figure)
    assert found.legend == ["simulated, 90 % interval", "simulated, median", "observed",
                            "follow-up ended"]  # fmt: skip
    assert found.written[0] == str(SUBJECTS)
    line = next(each for each in axes.lines if each.get_label() == "observed")
    np.testing.assert_array_equal(line.get_ydata(), table["observed"])
    number = draw(event_check(again, seed=3, draws=20)).axes[0]
    assert number.get_ylabel() == "Mean number of death"
    assert "50 simulated studies" in words.event_check(table)


def test_the_report_has_the_check_and_says_what_is_left_out(once):
    text = page.render(once, "events")
    assert "No figures of death: a time to an event is not predicted" in text
    assert "the share of subjects without the event (Kaplan-Meier)" in text
    assert "TimeToEvent" in text
