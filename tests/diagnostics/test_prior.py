"""What priors imply: exact draws, statistics by hand, and warnings where they conflict."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesnlme as bn
from bayesnlme.diagnostics.prior_conflict import Statistic
from bayesnlme.errors import FitError
from bayesnlme.model.examples import theophylline_model
from bayesnlme.plots import words
from tests import features
from tests.inference.test_prior_only import effect_uniforms, uniforms


def line(*, typical, residual, values, **options):
    """Return a model of a constant, with observations of twelve subjects at four times."""
    rows = [
        {"ID": subject, "TIME": time, "DV": values[(4 * subject + time) % len(values)], **options}
        for subject in range(12)
        for time in range(4)
    ]
    model = bn.Model(
        name="constant",
        parameters={"a": typical},
        structure=bn.curve(lambda t, p: p.a + 0 * t, output="level"),
        observations={"level": residual},
    )
    return model, bn.read_data(pd.DataFrame(rows))


NORMAL = {"typical": bn.Normal(bn.Prior("Normal", mu=10, sigma=2), iiv=bn.fixed(1.0))}
LEVELS = [9.0, 10.0, 11.0, 12.0]


@pytest.fixture(scope="module")
def constant():
    model, data = line(**NORMAL, residual=bn.additive(bn.fixed(0.5)), values=LEVELS)
    return bn.prior_predictive(model, data, seed=3, draws=4000)


def codes(prior):
    return [each.code for each in prior.findings]


def test_draws_come_in_arviz_groups_with_the_dims_of_the_graph(constant):
    assert set(constant.tree.children) == {"prior", "prior_predictive", "observed_data"}
    prior = constant.tree["prior"]
    assert prior["a_pop"].dims == ("chain", "draw")
    assert prior["eta"].dims == ("chain", "draw", "subject", "effect")
    drawn = constant.tree["prior_predictive"]["level"]
    assert drawn.dims == ("chain", "draw", "observation")
    assert drawn.shape == (1, 4000, 48)
    np.testing.assert_array_equal(constant.tree["observed_data"]["level"][:4], LEVELS)
    assert (constant.draws, constant.failed) == (4000, 0)


def test_draws_are_exact(constant):
    """Marginally an observation is Normal(10, sqrt(2² + 1² + 0.5²))."""
    typical = constant.tree["prior"]["a_pop"].values.ravel()
    assert stats.kstest(typical, stats.norm(10, 2).cdf).pvalue > 1e-3
    first = constant.tree["prior_predictive"]["level"].values[0, :, 0]
    assert stats.kstest(first, stats.norm(10, np.sqrt(5.25)).cdf).pvalue > 1e-3
    one, other = constant.tree["prior_predictive"]["level"].values[0][:, [0, 4]].T
    assert np.corrcoef(one, other)[0, 1] == pytest.approx(4 / 5.25, abs=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("name", features.MODELS)
def test_draws_follow_every_stated_prior(name):
    """The same transforms that hold the sampler to the priors, of independent draws."""
    model = features.MODELS[name]()
    prior = bn.prior_predictive(model, features.table(), seed=2, draws=1000)
    drawn = prior.tree["prior"].to_dataset()
    compared = [*uniforms(bn.build(model, features.table()), drawn), *effect_uniforms(model, drawn)]
    assert len(compared) > 15
    for text, uniform in compared:
        alone = uniform.isel({dim: 0 for dim in uniform.dims if dim not in ("chain", "draw")})
        assert stats.kstest(alone.values.ravel(), stats.uniform.cdf).pvalue > 1e-4, text


def test_the_seed_settles_every_draw(constant):
    again = bn.prior_predictive(constant.model, constant.data, seed=3, draws=20)
    other = bn.prior_predictive(constant.model, constant.data, seed=4, draws=20)
    twice = bn.prior_predictive(constant.model, constant.data, seed=3, draws=20)
    assert (
        again.tree["prior_predictive"]
        .to_dataset()
        .identical(twice.tree["prior_predictive"].to_dataset())
    )
    assert not again.tree["prior"].to_dataset().equals(other.tree["prior"].to_dataset())


def test_statistics_are_those_of_the_drawn_studies(constant):
    table = constant.statistics.set_index("statistic")
    drawn = constant.tree["prior_predictive"]["level"].values[0]
    medians = np.median(drawn, axis=1)
    row = table.loc["median"]
    assert row["observed"] == 10.5
    assert row[["lower", "median", "upper"]].tolist() == pytest.approx(
        np.quantile(medians, [0.025, 0.5, 0.975])
    )
    above = 2 * (1 + (medians >= 10.5).sum()) / 4001
    assert row["p_value"] == pytest.approx(min(above, 2 - above + 2 / 4001), abs=1e-9)
    assert {"5 % quantile", "95 % quantile", "median, time 0 to 0"} <= set(table.index)


def test_p_values_are_uniform_where_the_prior_is_right():
    rng = np.random.default_rng(1)
    values = [
        Statistic(name="", observed=draws[0], simulated=draws[1:]).p_value
        for draws in rng.standard_normal((2000, 400))
    ]
    assert stats.kstest(values, stats.uniform.cdf).pvalue > 1e-3
    assert np.mean(np.array(values) < 0.05) == pytest.approx(0.05, abs=0.015)


def test_a_prior_that_agrees_says_nothing(constant):
    assert codes(constant) == []
    assert "0 failed" in repr(constant)


def test_a_prior_that_lies_elsewhere_is_said_in_words():
    model, data = line(
        typical=bn.Normal(bn.Prior("Normal", mu=50, sigma=2)),
        residual=bn.additive(bn.fixed(0.5)),
        values=LEVELS,
    )
    prior = bn.prior_predictive(model, data, seed=1, draws=200)
    assert codes(prior) == ["W_PRIOR_CONFLICT", "W_PRIOR_ELSEWHERE"]
    conflict, elsewhere = prior.findings
    assert "the median is 10.5, where 95 % of such studies have 4" in conflict.message
    assert "Only 0.0% of the observations of level" in elsewhere.message
    assert "between 9 and 12" in elsewhere.message
    assert prior.statistics["conflict"].all()


def test_a_prior_that_is_absurdly_wide_is_said():
    model, data = line(
        typical=bn.LogNormal(bn.Prior("LogNormal", mu=2.3, sigma=5)),
        residual=bn.proportional(bn.fixed(0.1)),
        values=LEVELS,
    )
    prior = bn.prior_predictive(model, data, seed=1, draws=200)
    wide = next(each for each in prior.findings if each.code == "W_PRIOR_WIDE")
    assert "more than 3 decades" in wide.message
    narrower = model.replace(
        parameters={"a": bn.LogNormal(bn.Prior("LogNormal", mu=2.3, sigma=1.5))}
    )
    assert "W_PRIOR_WIDE" not in codes(bn.prior_predictive(narrower, data, seed=1, draws=200))


def test_failed_draws_are_counted_and_kept():
    """A linear covariate effect makes the parameter negative, hence not a number, at times."""
    effect = bn.covariates.linear("X", reference=1.0, coefficient=bn.Prior("Normal", mu=0, sigma=1))
    model, data = line(
        typical=bn.LogNormal(bn.typical(10.0, rse=0.1), covariates=[effect]),
        residual=bn.additive(bn.fixed(0.5)),
        values=LEVELS,
        X=2.0,
    )
    prior = bn.prior_predictive(model, data, seed=1, draws=400)
    slope = prior.tree["prior"]["a_X"].values.ravel()
    assert prior.failed == (slope <= -1).sum() > 20
    np.testing.assert_array_equal(prior.complete, slope > -1)
    assert prior.tree["prior_predictive"].sizes["draw"] == 400
    assert f"{prior.failed} of 400 draws" in prior.findings[0].message
    curves = bn.diagnostics.implied_curves(prior)
    assert (curves.attrs["draws"], curves.attrs["failed"]) == (400, prior.failed)
    assert np.isfinite(curves["simulated"]).all()


def test_a_prior_that_always_fails_is_said():
    effect = bn.covariates.linear("X", reference=1.0, coefficient=-2.0)
    model, data = line(
        typical=bn.LogNormal(10.0, covariates=[effect]),
        residual=bn.additive(bn.fixed(0.5)),
        values=LEVELS,
        X=2.0,
    )
    prior = bn.prior_predictive(model, data, seed=1, draws=5)
    assert codes(prior) == ["W_PRIOR_FAILED"]
    assert prior.statistics.empty
    assert "5 failed" in repr(prior)
    with pytest.raises(FitError, match="every draw failed"):
        bn.diagnostics.implied_curves(prior)


def test_few_draws_are_said():
    model, data = line(**NORMAL, residual=bn.additive(0.5), values=LEVELS)
    assert codes(bn.prior_predictive(model, data, seed=1, draws=20)) == ["N_PRIOR_FEW_DRAWS"]


@pytest.fixture(scope="module")
def several():
    """Draw counts and ordered categories of the same subjects."""
    rng = np.random.default_rng(1)
    rows = [
        {"ID": subject, "TIME": time, "DVID": number, "DV": int(rng.integers(0, 3))}
        for subject in range(10)
        for time in range(4)
        for number in (1, 2)
    ]
    structure = bn.ode(
        lambda t, y, p: {"x": 0 * y.x},
        states=("x",),
        outputs={"score": lambda t, y, p: p.a * t / 3, "count": lambda t, y, p: p.c},
    )
    model = bn.Model(
        name="several",
        parameters={"a": bn.LogNormal(1.0, iiv=0.5), "c": bn.LogNormal(1.0, iiv=0.5)},
        structure=structure,
        observations={
            "score": bn.ordered(thresholds=[-1.0, 1.0]),
            "count": bn.negative_binomial(dispersion=0.2),
        },
    )
    return bn.prior_predictive(model, bn.read_data(pd.DataFrame(rows)), seed=1, draws=150)


def test_categories_are_compared_by_their_shares(several):
    table = several.statistics.query("output == 'score'").set_index("statistic")
    assert list(table.index) == ["share of 0", "share of 1", "share of 2"]
    observed = several.tree["observed_data"]["score"].values
    assert table.loc["share of 1", "observed"] == pytest.approx((observed == 1).mean())
    assert codes(several) == []


def test_curves_tabulate_bands_and_shares(several):
    curves = bn.diagnostics.implied_curves(several)
    assert curves.attrs["scales"] == {"score": "category", "count": "count"}
    scores = curves.isel(bin=np.flatnonzero(curves["output"] == "score"))
    assert scores.sizes["bin"] == 3 * 4
    shares = scores["observed"].sel(end="middle").groupby(scores["time"]).sum()
    np.testing.assert_allclose(shares, 1.0)
    counts = curves.isel(bin=np.flatnonzero(curves["output"] == "count"))
    drawn = several.tree["prior_predictive"]["count"].values[0]
    time = several.data.observations.time[several.data.observations.output == 1]
    for number, value in enumerate(counts["time"].values):
        expected = np.quantile(drawn[:, time == value], [0.025, 0.25, 0.5, 0.75, 0.975])
        np.testing.assert_allclose(counts["simulated"].values[number], expected)


def test_censored_values_stand_at_their_limit():
    model, data = line(**NORMAL, residual=bn.additive(bn.fixed(0.5)), values=LEVELS)
    frame = pd.DataFrame(
        {
            "ID": np.repeat(range(12), 4),
            "TIME": np.tile(range(4), 12),
            "DV": np.resize(LEVELS, 48),
            "CENS": np.resize([1, 0, 0, 0], 48),
            "LLOQ": 9.5,
        }
    )
    prior = bn.prior_predictive(model, bn.read_data(frame), seed=1, draws=200)
    table = prior.statistics.set_index("statistic")
    assert table.loc["share below the limit", "observed"] == 0.25
    drawn = prior.tree["prior_predictive"]["level"].values[0]
    below = (drawn < 9.5).mean(axis=1)
    assert table.loc["share below the limit", "median"] == pytest.approx(np.median(below))
    curves = bn.diagnostics.implied_curves(prior)
    assert curves["simulated"].min() >= 9.5
    assert data.n_observations == 48


@pytest.mark.parametrize(
    ("options", "fragment"),
    [
        ({"draws": 0, "seed": 1}, "draws=0 must be"),
        ({"draws": 2.5, "seed": 1}, "draws=2.5 must be"),
        ({"seed": -1}, "seed=-1 must be"),
        ({"seed": True}, "seed=True must be"),
    ],
)
def test_what_is_no_number_of_draws_is_refused(constant, options, fragment):
    with pytest.raises(FitError) as refused:
        bn.prior_predictive(constant.model, constant.data, **options)
    assert fragment in str(refused.value)


def test_figures_draw_the_table(constant, several):
    table = bn.diagnostics.implied_curves(constant)
    axes = bn.plots.implied_curves(table).axes[0]
    lines = {each.get_label(): each for each in axes.lines}
    median = table.sortby("time")["simulated"].sel(quantile=0.5)
    np.testing.assert_array_equal(lines["prior, median"].get_ydata(), median)
    assert lines["range of the data"].get_ydata()[0] == 9.0
    assert len(axes.collections) == 2
    table = bn.diagnostics.implied_curves(several)
    panels = bn.plots.implied_curves(table, output="score").axes
    assert [each.get_title(loc="left") for each in panels] == [f"score = {i}" for i in range(3)]
    with pytest.raises(FitError, match="several outputs"):
        bn.plots.implied_curves(table)
    assert "Shares of 3 categories of score" in words.implied_curves(table, "score")
    assert "150 draws from the prior" in words.implied_curves(table, "count")


def test_a_band_far_from_the_data_squeezes_the_axis(constant):
    table = bn.diagnostics.implied_curves(constant)
    far = table.assign(simulated=table["simulated"] * [-1, 1, 1, 1, 100])
    assert bn.plots.implied_curves(far).axes[0].get_yscale() == "symlog"
    wide = table.assign(simulated=abs(table["simulated"]) * [0.001, 1, 1, 1, 1])
    assert bn.plots.implied_curves(wide).axes[0].get_yscale() == "log"
    assert bn.plots.implied_curves(table).axes[0].get_yscale() == "linear"


def test_the_default_priors_of_theophylline_agree_with_it():
    prior = bn.prior_predictive(theophylline_model(), bn.datasets.theophylline(), seed=1, draws=200)
    assert codes(prior) == []


def test_a_wrong_unit_of_the_volume_is_found():
    model = theophylline_model()
    parameters = dict(model.parameters)
    parameters["V"] = replace(parameters["V"], typical=bn.typical(0.45, rse=0.2))
    wrong = model.replace(parameters=parameters)
    prior = bn.prior_predictive(wrong, bn.datasets.theophylline(), seed=1, draws=200)
    assert "W_PRIOR_CONFLICT" in codes(prior)
