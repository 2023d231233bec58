"""One random effect for two parameters: graph, densities, files, equations, summary."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesnlme as bn
from bayesnlme.errors import DataError, ModelError
from bayesnlme.inference.density import compile_density
from bayesnlme.marginal.conditional import Conditional
from bayesnlme.model.layers import subject_layer
from bayesnlme.model.toml import parse_model, write_model
from bayesnlme.population.priors import Prior
from bayesnlme.results import summary
from tests.marginal.points import standard_log_density, theta_of

TIMES = (1.0, 2.0, 4.0)
OPTIONS = {
    "one": {"iiv": bn.shared("A")},
    "known": {"iiv": bn.shared("A", scale=bn.fixed(-0.5))},
    "estimated": {"iiv": bn.shared("A", scale=0.7)},
    "transformed": {"iiv": bn.shared("A", scale=0.7), "shape": bn.effects.boxcox(0.3)},
    "occasions": {"iiv": bn.shared("A", scale=0.7), "iov": bn.shared("A", scale=bn.fixed(2.0))},
}


def model_of(*, first=None, **second):
    return bn.Model(
        name="shared",
        parameters={
            "A": bn.LogNormal(5.0, **(first or {"iiv": 0.3})),
            "B": bn.LogNormal(0.4, **second),
        },
        structure=bn.curve(lambda t, p: p.A * bn.math.exp(-p.B * t), output="level"),
        observations={"level": bn.additive(0.2)},
    )


@pytest.fixture(scope="module")
def data():
    rows = [
        {"ID": i, "TIME": t, "OCC": 1 + (t > 1.5), "DV": 5 * np.exp(-0.4 * t) + 0.1 * np.cos(i + t)}
        for i in range(4)
        for t in TIMES
    ]
    return bn.read_data(pd.DataFrame(rows))


def option(name):
    first = {"iiv": 0.3, "iov": 0.2} if name == "occasions" else {"iiv": 0.3}
    return model_of(first=first, **OPTIONS[name])


def effect_of_second(name, point, eta):
    """Return the effect on B, worked out by hand, and the variables it adds."""
    if name == "one":
        return eta
    if name == "known":
        return -0.5 * eta
    moved = point["B_eta_scale"] * eta
    if name == "transformed":
        shape = point["B_boxcox"]
        return np.expm1(shape * moved) / shape
    return moved


@pytest.mark.parametrize("name", OPTIONS)
def test_the_log_density_equals_the_one_written_by_hand(name, data):
    population = bn.build(option(name), data)
    graph = population.pymc
    rng = np.random.default_rng(4)
    logp = graph.compile_logp(jacobian=False)
    for _ in range(3):
        point = {
            key: value + 0.3 * rng.standard_normal(np.shape(value))
            for key, value in graph.initial_point().items()
        }
        natural = {key.split("_log__")[0]: value for key, value in point.items()}
        for key in [key for key in point if key.endswith("_log__")]:
            natural[key.removesuffix("_log__")] = np.exp(point[key])
        assert logp(point) == pytest.approx(by_hand(name, natural, data), rel=1e-10)


def by_hand(name, point, data):
    seen = data.observations
    eta = point["omega"][0] * point["eta_standard"][:, 0]
    first, second = eta, effect_of_second(name, point, eta)
    total = stats.norm.logpdf(point["eta_standard"]).sum()
    if name == "occasions":
        kappa = point["omega_iov"][0] * point["kappa_standard"][:, 0]
        place = 2 * seen.subject + (seen.time > 1.5)
        first, second = eta[seen.subject] + kappa[place], second[seen.subject] + 2.0 * kappa[place]
        total += stats.norm.logpdf(point["kappa_standard"]).sum()
        total += stats.halfnorm(scale=0.2 * np.sqrt(np.pi / 2)).logpdf(point["omega_iov"]).sum()
    else:
        first, second = first[seen.subject], second[seen.subject]
    total += stats.lognorm(s=1, scale=5.0).logpdf(point["A_pop"])
    total += stats.lognorm(s=1, scale=0.4).logpdf(point["B_pop"])
    total += stats.halfnorm(scale=0.3 * np.sqrt(np.pi / 2)).logpdf(point["omega"]).sum()
    total += stats.halfnorm(scale=0.2 * np.sqrt(np.pi / 2)).logpdf(point["level_additive"])
    if "B_eta_scale" in point:
        total += stats.norm(0.7, 0.5).logpdf(point["B_eta_scale"])
    if "B_boxcox" in point:
        total += stats.norm(0.3, 0.5).logpdf(point["B_boxcox"])
    a, b = point["A_pop"] * np.exp(first), point["B_pop"] * np.exp(second)
    predicted = a * np.exp(-b * seen.time)
    return total + stats.norm(predicted, point["level_additive"]).logpdf(seen.value).sum()


def test_a_fit_evaluates_the_same_density(data):
    population = bn.build(option("estimated"), data)
    density = compile_density(population.pymc)
    assert "B_eta_scale" in {each.name for each in density.free}


def test_subject_densities_depend_on_the_shared_effect(data):
    population = bn.build(option("estimated"), data)
    conditional = Conditional(population)
    values = {
        "A_pop": 5.0, "B_pop": 0.4, "omega": np.array([0.3]), "level_additive": 0.2,
        "B_eta_scale": 0.7,
    }  # fmt: skip
    theta = theta_of(conditional, values)
    z = np.arange(4.0)[:, None] / 3
    found, by_z = conditional.density(theta, z)
    seen, eta = data.observations, 0.3 * z
    a, b = 5.0 * np.exp(eta[:, 0]), 0.4 * np.exp(0.7 * eta[:, 0])
    predicted = a[seen.subject] * np.exp(-b[seen.subject] * seen.time)
    each = np.bincount(seen.subject, stats.norm(predicted, 0.2).logpdf(seen.value))
    np.testing.assert_allclose(found, each + standard_log_density(z))
    step = 1e-6
    up, down = (conditional.density(theta, z + s * step)[0] for s in (1, -1))
    np.testing.assert_allclose(by_z[:, 0], (up - down) / (2 * step), rtol=1e-5)


@pytest.mark.parametrize("name", OPTIONS)
def test_a_model_survives_a_file(name):
    model = option(name)
    read = parse_model(write_model(model))
    assert read == model
    assert read.parameters["B"].iiv == OPTIONS[name]["iiv"]


def test_equations_and_priors_say_what_is_shared():
    text = repr(option("occasions"))
    assert "B = B_pop * exp(B_eta_scale eta_A + 2 kappa_A)" in text
    assert "eta_A ~ Normal(0, omega[A])" in text
    assert "eta_B" not in text
    assert "B_eta_scale ~ Normal(mu=0.7, sigma=0.5) *" in text
    assert "B_kappa_scale = 2 (fixed)" in text
    assert "B = B_pop * exp(eta_A)" in repr(option("one"))
    latex = option("occasions")._repr_latex_()
    assert r"s_{B}\,\eta_{A,i} + 2\,\kappa_{A,ik}" in latex
    assert option("one").effects == ("A",)
    assert option("one").hash != option("estimated").hash


def test_the_summary_has_a_row_for_the_scale(data):
    model = option("estimated")
    drawn = bn.prior_predictive(model, data, seed=1, draws=100).tree["prior"].to_dataset()
    rows = [name for name, _, _ in summary.population_rows(model, drawn, {})]
    assert rows == ["A_pop", "B_pop", "omega[A]", "B_eta_scale", "level_additive"]
    effect = np.log(drawn["B"] / drawn["B_pop"])
    np.testing.assert_allclose(effect, drawn["B_eta_scale"] * drawn["eta"].sel(effect="A"))


def test_a_number_is_an_expectation_and_an_object_exact():
    assert bn.shared("A", scale=0.8).prior() == Prior("Normal", mu=0.8, sigma=0.5)
    assert bn.shared("A", scale=bn.typical(0.8, rse=0.5)).prior() == (
        Prior("Normal", mu=0.8, sigma=0.4)
    )
    prior = bn.Prior("Gamma", alpha=2, beta=2)
    assert bn.shared("A", scale=prior).prior() == prior


def test_parameters_of_two_kinds_share_by_a_scale():
    parameters = {"A": bn.LogNormal(5.0, iiv=0.3), "B": bn.Normal(0.4, iiv=bn.shared("A"))}
    with pytest.raises(ModelError, match=r"B is Normal and A is LogNormal.*State scale="):
        model_of().replace(parameters=parameters)
    parameters["B"] = bn.Normal(0.4, iiv=bn.shared("A", scale=0.1))
    assert model_of().replace(parameters=parameters).effects == ("A",)


@pytest.mark.parametrize(
    ("make", "fragment"),
    [
        (lambda: model_of(iiv=bn.shared("C")), "no such parameter. Known: 'A', 'B'"),
        (lambda: model_of(iiv=bn.shared("B")), "B has no effect of its own, it shares that of B"),
        (
            lambda: model_of(first={"iiv": bn.shared("B")}, iiv=bn.shared("A")),
            "B has no effect of its own, it shares that of A",
        ),
        (lambda: model_of(first={"unit": "mg"}, iiv=bn.shared("A")), "A has no such effect"),
        (lambda: model_of(iov=bn.shared("A")), "A has no such effect. Give it iov=0.3"),
        (
            lambda: model_of(iiv=bn.shared("A"), shape=bn.effects.student_t(df=5)),
            "Give it to A, whose effect is shared",
        ),
        (
            lambda: model_of(iiv=bn.shared("A")).replace(correlated=[("A", "B")]),
            "B shares the random effect of A, so that they move together already. Name A alone",
        ),
        (lambda: bn.shared(3), "3 names no parameter"),
        (lambda: bn.shared("A", scale="1"), "bn.shared: scale: '1' is neither a number"),
        (lambda: bn.LogNormal(bn.shared("A")), "neither a number nor a prior"),
    ],
)
def test_what_cannot_be_shared_is_refused(make, fragment):
    with pytest.raises(ModelError) as refused:
        make()
    assert fragment in str(refused.value)


@pytest.mark.parametrize(
    ("line", "fragment"),
    [
        ('{shared = "C"}', "no such parameter"),
        ("{shared = 1}", "parameters.B.iiv.shared: 1 is not text"),
        ('{shared = "A", by = 2}', "parameters.B.iiv.by: unknown entry 'by'"),
        ('{shared = "A", scale = "2"}', "parameters.B.iiv.scale: '2' is not a number"),
    ],
)
def test_a_file_is_refused_by_its_path(line, fragment):
    text = write_model(option("one")).replace('{shared = "A"}', line)
    with pytest.raises(ModelError) as refused:
        parse_model(text)
    assert fragment in str(refused.value)


def test_a_published_scale_has_a_place():
    rows = [{"parameter": "B", "kind": "scale", "value": 1.2, "se": 0.1}]
    found = option("estimated").with_priors(rows, source="S")
    assert found.parameters["B"].iiv.prior() == Prior("Normal", mu=1.2, sigma=0.1, source="S")
    with pytest.raises(DataError, match="B shares the effect of A"):
        option("one").with_priors([rows[0] | {"kind": "iiv", "as": "sd"}])
    with pytest.raises(DataError, match="A shares no random effect"):
        option("one").with_priors([rows[0] | {"parameter": "A"}])
    assert subject_layer(option("one").parameters).shared == {"B": bn.shared("A")}


@pytest.mark.slow
def test_an_estimated_scale_is_recovered(tmp_path):
    rng = np.random.default_rng(8)
    eta = 0.4 * rng.standard_normal(40)
    times = np.array([0.5, 1.0, 2.0, 3.0, 4.0])
    rows = [
        {
            "ID": i,
            "TIME": t,
            "DV": 5 * np.exp(eta[i]) * np.exp(-0.4 * np.exp(-0.8 * eta[i]) * t)
            + 0.5 * rng.standard_normal(),
        }
        for i in range(40)
        for t in times
    ]
    model = model_of(iiv=bn.shared("A", scale=0.5))
    fit = bn.fit(
        model,
        bn.read_data(pd.DataFrame(rows)),
        method=bn.NUTS(draws=1500, tune=1000, chains=4, parametrization="auto"),
        seed=1,
    )
    row = fit.summary(interval=0.99).loc["B_eta_scale"]
    assert fit.converged
    assert row["lower"] < -0.8 < row["upper"]
    assert row["upper"] - row["lower"] < 1.5
    page = bn.report(fit, tmp_path / "shared.html").read_text(encoding="utf-8")
    assert "Scales of shared random effects" in page
