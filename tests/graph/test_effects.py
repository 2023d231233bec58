"""Known SDs, skewed and heavy-tailed random effects, from the model to the density and a fit."""

import numpy as np
import pymc as pm
import pytest
import xarray as xr
from scipy import special, stats

import bayesnlme as bn
from bayesnlme.graph.effects import new_effects
from bayesnlme.inference.density import compile_density
from bayesnlme.marginal.conditional import Conditional
from bayesnlme.model.content import model_from_dict
from bayesnlme.model.toml import parse_model, write_model
from tests.conftest import draw_points, frame
from tests.marginal.points import theta_of

ROWS = [(i, t, 0, 0, 1, 5.0 + i + t) for i in (1, 2, 3) for t in (0.0, 1.0, 2.0)]
HALF = np.sqrt(np.pi / 2)


@pytest.fixture(scope="module")
def data():
    return bn.read_data(frame(ROWS))


def line_model(a, b, c, **changes):
    return bn.Model(
        name="line",
        parameters={"a": a, "b": b, "c": c},
        structure=bn.curve(lambda t, p: p.a + p.b * t + p.c * t * t),
        observations={"value": bn.additive(bn.fixed(1.0))},
        **changes,
    )


def shapes_model():
    return line_model(
        bn.LogNormal(bn.fixed(5.0), iiv=0.3, shape=bn.effects.boxcox(0.4)),
        bn.Normal(bn.fixed(1.0), iiv=0.5, shape=bn.effects.student_t(df=5)),
        bn.LogNormal(bn.fixed(0.2), iiv=bn.fixed(0.6), shape=bn.effects.student_t(df=bn.fixed(3))),
    )


def value_at(graph, point):
    density = compile_density(graph)
    x = np.concatenate([np.ravel(point[each.name]) for each in density.free])
    return density.function(x)


def test_shapes_equal_the_density_written_by_hand(data):
    graph = bn.build(shapes_model(), data).pymc
    observed = data.observations.value.reshape(3, 3)
    time = np.arange(3.0)
    for point in draw_points(graph, 3, seed=4):
        found, gradient = value_at(graph, point)
        sds = {name: np.exp(point[f"omega_{name}_log__"]) for name in "ab"}
        df, shape = np.exp(point["b_df_log__"]), point["a_boxcox"]
        z = {name: point[f"eta_sampled_{name}"] for name in "abc"}
        a = 5.0 * np.exp(np.expm1(shape * sds["a"] * z["a"]) / shape)
        b, c = 1.0 + sds["b"] * z["b"], 0.2 * np.exp(0.6 * z["c"])
        f = a[:, None] + b[:, None] * time + c[:, None] * time**2
        expected = stats.norm.logpdf(observed, f, 1.0).sum()
        expected += stats.norm.logpdf(z["a"]).sum()
        expected += stats.t.logpdf(z["b"], df).sum() + stats.t.logpdf(z["c"], 3).sum()
        for name, mean in (("a", 0.3), ("b", 0.5)):
            expected += stats.halfnorm.logpdf(sds[name], scale=mean * HALF) + np.log(sds[name])
        expected += stats.norm.logpdf(shape, 0.4, 0.5)
        expected += stats.norm.logpdf(np.log(df), np.log(5), np.sqrt(np.log1p(0.25)))
        assert found == pytest.approx(expected, rel=1e-10)
        assert np.isfinite(gradient).all()


def test_heavy_tails_may_be_centred(data):
    plain, centred = (
        bn.build(shapes_model(), data, centring=weights).pymc for weights in (None, np.ones((3, 3)))
    )
    point = draw_points(plain, 1, seed=6)[0]
    sds = [np.exp(point[f"omega_{name}_log__"]) for name in "ab"] + [0.6]
    typical = [np.log(5.0), 1.0, np.log(0.2)]
    moved = dict(point)
    for name, sd, location in zip("abc", sds, typical, strict=True):
        moved[f"eta_sampled_{name}"] = location + sd * point[f"eta_sampled_{name}"]
    found, expected = value_at(centred, moved)[0], value_at(plain, point)[0]
    assert found + 3 * np.log(sds).sum() == pytest.approx(expected, rel=1e-10)


def test_densities_of_subjects_know_heavy_tails(data):
    conditional = Conditional(bn.build(shapes_model(), data))
    values = {"omega_a": 0.3, "omega_b": 0.5, "b_df": 4.0, "a_boxcox": 0.3}
    theta = theta_of(conditional, values)
    z = np.random.default_rng(1).normal(0, 1, (3, 3))
    f = conditional.individual(theta, z)["prediction"].values
    seen = conditional.population.data.observations
    own = np.bincount(seen.subject, weights=stats.norm.logpdf(seen.value, f, 1.0))
    expected = own + stats.norm.logpdf(z[:, 0]) + stats.t.logpdf(z[:, 1], 4)
    expected += stats.t.logpdf(z[:, 2], 3)
    np.testing.assert_allclose(conditional.density(theta, z)[0], expected, rtol=1e-10)


def test_new_subjects_have_the_tails_of_the_model():
    draws = xr.Dataset(
        {
            "eta_standard": (("chain", "draw", "subject", "effect"), np.zeros((1, 20000, 2, 3))),
            "b_df": (("chain", "draw"), np.full((1, 20000), 4.0)),
        }
    )
    found = new_effects(shapes_model(), draws, np.random.default_rng(1))["eta_standard"].values
    laws = (stats.norm(), stats.t(4), stats.t(3))
    for number, law in enumerate(laws):
        assert stats.kstest(found[..., number].ravel(), law.cdf).pvalue > 0.01


def test_shapes_survive_a_file_and_are_listed():
    model = shapes_model()
    again = parse_model(write_model(model))
    assert again == model
    assert model_from_dict(model.to_dict()).hash == model.hash
    assert "eta_b ~ StudentT(b_df, 0, omega[b])" in repr(model)
    assert "eta_c ~ StudentT(3, 0, omega[c])" in repr(model)
    rows = {row.name: row for row in model.priors}
    assert rows["a_boxcox"].default
    assert rows["omega[b]"].meaning == "scale of the random effect on b"
    assert rows["omega[a]"].meaning == "SD of the random effect on a"
    assert rows["c_df"].text == "c_df = 3 (fixed)"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("{boxcox = 0.4}", "{boxcocks = 0.4}", "parameters.a.shape.boxcocks: unknown entry"),
        ("{boxcox = 0.4}", '{boxcox = "x"}', "parameters.a.shape.boxcox: 'x' is not a number"),
        ("{boxcox = 0.4}", "{boxcox = 0.4, student_t = 5}", "parameters.a.shape: write one of"),
        ("{boxcox = 0.4}", "{student_t = -5}", "parameters.a.shape: student_t: df=-5 must be"),
        ("{boxcox = 0.4}", "0.4", "parameters.a.shape: 0.4 stands where a table should"),
    ],
)
def test_a_shape_that_is_none_is_refused_by_its_path(old, new, said):
    text = write_model(shapes_model())
    assert old in text
    with pytest.raises(bn.ModelError) as refused:
        parse_model(text.replace(old, new))
    assert said in str(refused.value)


def test_a_heavy_tailed_effect_is_in_no_block():
    with pytest.raises(bn.ModelError, match="Student's t distribution, which no block can hold"):
        shapes_model().replace(correlated=[("a", "b")])


def test_known_and_estimated_sds_mix_in_blocks_and_alone(data):
    model = line_model(
        bn.Normal(bn.fixed(5.0), iiv=bn.fixed(0.3)),
        bn.Normal(bn.fixed(1.0), iiv=0.5, iov=bn.fixed(0.2)),
        bn.Normal(bn.fixed(0.2), iiv=bn.Prior("Exponential", scale=0.4), iov=0.3),
        correlated=[("c", "a")],
    )
    occasions = bn.read_data(
        frame([(*r, 1 + int(r[1])) for r in ROWS], "ID TIME EVID AMT CMT DV OCC")
    )
    graph = bn.build(model, occasions).pymc
    for point in draw_points(graph, 2, seed=3):
        found, _ = value_at(graph, point)
        b, c = (np.exp(point[f"omega_{name}_log__"]) for name in "bc")
        iov = np.exp(point["omega_iov_c_log__"])
        place = special.expit(point["corr_c_a_partial_logodds__"])[0]
        z, k = point["eta_standard"], point["kappa_standard"]
        r = 2 * place - 1
        eta_a = 0.3 * (r * z[:, 2] + np.sqrt(1 - r**2) * z[:, 0])
        levels = (5.0 + eta_a, 1.0 + b * z[:, 1], 0.2 + c * z[:, 2])
        time, kappa = np.arange(3.0), k.reshape(3, 3, 2)
        slope = levels[1][:, None] + 0.2 * kappa[..., 0]
        f = levels[0][:, None] + slope * time
        f = f + (levels[2][:, None] + iov * kappa[..., 1]) * time**2
        observed = occasions.observations.value.reshape(3, 3)
        expected = stats.norm.logpdf(observed, f, 1.0).sum()
        expected += stats.norm.logpdf(z).sum() + stats.norm.logpdf(k).sum()
        expected += stats.halfnorm.logpdf(b, scale=0.5 * HALF) + np.log(b)
        expected += stats.expon.logpdf(c, scale=0.4) + np.log(c)
        expected += stats.halfnorm.logpdf(iov, scale=0.3 * HALF) + np.log(iov)
        expected += stats.beta.logpdf(place, 2, 2) + np.log(place * (1 - place))
        assert found == pytest.approx(expected, rel=1e-10)


def test_the_prior_alone_returns_every_prior(data):
    """Draws of the PyMC model before it saw data, against the laws that the model lists."""
    graph = bn.build(shapes_model(), data).pymc
    wanted = [graph[name] for name in ("a_boxcox", "b_df", "omega", "eta_sampled_b")]
    shape, df, omega, eta = pm.draw(wanted, draws=4000, random_seed=1, mode="FAST_COMPILE")
    assert stats.kstest(shape, stats.norm(0.4, 0.5).cdf).pvalue > 0.01
    law = stats.norm(np.log(5), np.sqrt(np.log1p(0.25)))
    assert stats.kstest(np.log(df), law.cdf).pvalue > 0.01
    for number, mean in enumerate((0.3, 0.5)):
        assert stats.kstest(omega[:, number], stats.halfnorm(0, mean * HALF).cdf).pvalue > 0.01
    assert (omega[:, 2] == 0.6).all()
    uniform = stats.t.cdf(eta[:, 0], df)
    assert stats.kstest(uniform, "uniform").pvalue > 0.01


def skewed_data(shape):
    rng = np.random.default_rng(6)
    eta = 0.5 * rng.normal(size=150)
    level = 5.0 * np.exp(np.expm1(shape * eta) / shape)
    return [
        (subject, float(t), 0, 0, 1, value * np.exp(0.3 * rng.normal()))
        for subject, value in enumerate(level, start=1)
        for t in range(2)
    ]


def test_skewness_is_recovered_and_reported():
    model = bn.Model(
        name="skewed",
        parameters={"a": bn.LogNormal(5.0, iiv=0.5, shape=bn.effects.boxcox(0.0))},
        structure=bn.curve(lambda t, p: p.a),
        observations={"value": bn.log_normal(0.3)},
    )
    data = bn.read_data(frame(skewed_data(1.0)))
    method = bn.NUTS(draws=400, tune=400, chains=4)
    fit = bn.fit(model, data, method=method, seed=2, progress=False)
    row = fit.summary().loc["a_boxcox"]
    assert 0.2 < row["lower"] < 1.0 < row["upper"]
    assert row["rhat"] < 1.05
    assert np.isnan(fit.summary().loc["omega[a]", "cv_percent"])
