"""Maturation and functions of the user: formulas, refusals, and the way through a model."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit, logit

import bayesnlme as bn
from bayesnlme.inference.density import compile_density
from bayesnlme.model.display import as_latex
from bayesnlme.model.toml import parse_model, write_model
from bayesnlme.population.parameters import parameter_from_dict
from tests.conftest import frame

AGES = (30.0, 47.7, 200.0)
ROWS = [
    (i, t, 0, 0, 1, 5.0 + i + t, age) for i, age in enumerate(AGES, start=1) for t in (0.0, 1.0)
]
MATURATION = bn.covariates.maturation(
    "PMA", half=bn.Prior("LogNormal", mu=np.log(47.7), sigma=0.3), hill=3.4
)
LOSS = bn.covariates.function(
    "PMA",
    lambda x, b: 1 - b.loss * bn.math.exp(-x / b.time),
    loss=bn.Prior("Beta", alpha=2, beta=2),
    time=50,
)


def model_of(effect):
    return bn.Model(
        name="growing",
        parameters={
            "a": bn.LogNormal(bn.fixed(5.0), iiv=bn.fixed(0.3), covariates=[effect]),
            "b": bn.Normal(bn.fixed(2.0), covariates=[effect]),
            "c": bn.LogitNormal(bn.fixed(0.4), covariates=[effect]),
        },
        structure=bn.curve(lambda t, p: p.a + p.b * t + p.c * t * t),
        observations={"value": bn.additive(bn.fixed(1.0))},
    )


@pytest.fixture(scope="module")
def data():
    return bn.read_data(frame(ROWS, "ID TIME EVID AMT CMT DV PMA"))


def log_density(graph, point):
    density = compile_density(graph)
    x = np.concatenate([np.ravel(point[each.name]) for each in density.free])
    return density.function(x)


def by_hand(data, factors, z):
    """Add up the densities of the observations and of the effects."""
    f_a, f_b, f_c = factors
    a, b = 5.0 * f_a * np.exp(0.3 * z), 2.0 * f_b
    c = expit(logit(0.4) + np.log(f_c))
    time = np.array([0.0, 1.0])
    f = a[:, None] + b[:, None] * time + c[:, None] * time**2
    seen = data.observations.value.reshape(3, 2)
    return stats.norm.logpdf(seen, f, 1.0).sum() + stats.norm.logpdf(z).sum()


def test_maturation_equals_the_density_written_by_hand(data):
    graph = bn.build(model_of(MATURATION), data).pymc
    rng, age = np.random.default_rng(1), np.array(AGES)
    for _ in range(3):
        halves, z = np.log(47.7) + rng.normal(0, 0.3, 3), rng.normal(size=3)
        point = {f"{name}_PMA_half_log__": half for name, half in zip("abc", halves, strict=True)}
        factors = [age**3.4 / (age**3.4 + np.exp(half) ** 3.4) for half in halves]
        expected = by_hand(data, factors, z) + stats.norm.logpdf(halves, np.log(47.7), 0.3).sum()
        found, gradient = log_density(graph, point | {"eta_standard": z})
        assert found == pytest.approx(expected, rel=1e-11)
        assert np.isfinite(gradient).all()


def test_a_function_equals_the_density_written_by_hand(data):
    graph = bn.build(model_of(LOSS), data).pymc
    rng, age = np.random.default_rng(2), np.array(AGES)
    places, z = rng.normal(size=3), rng.normal(size=3)
    point = {f"{name}_PMA_loss_logodds__": each for name, each in zip("abc", places, strict=True)}
    losses = expit(places)
    expected = by_hand(data, [1 - loss * np.exp(-age / 50) for loss in losses], z)
    expected += (stats.beta.logpdf(losses, 2, 2) + np.log(losses * (1 - losses))).sum()
    found, gradient = log_density(graph, point | {"eta_standard": z})
    assert found == pytest.approx(expected, rel=1e-11)
    assert np.isfinite(gradient).all()


def test_maturation_is_exact_far_from_its_middle():
    import pytensor  # noqa: PLC0415
    import pytensor.tensor as pt  # noqa: PLC0415

    x = pt.dvector()
    value = MATURATION.log_factor(x, {"half": pt.constant(47.7), "hill": pt.constant(3.4)})
    found = pytensor.function([x], value, mode="FAST_COMPILE")(np.array([1e-200, 47.7, 1e200]))
    np.testing.assert_allclose(found[0], 3.4 * np.log(1e-200 / 47.7), rtol=1e-13)
    assert found[1] == pytest.approx(-np.log(2))
    assert found[2] == 0.0


def test_a_maturing_parameter_may_change_in_time():
    rows = [(1, 0.0, 0, 0, 1, 5.0, 30.0), (1, 5.0, 0, 0, 1, 6.0, 47.7), (2, 0.0, 0, 0, 1, 7.0, 60)]
    data = bn.read_data(frame(rows, "ID TIME EVID AMT CMT DV PMA"))
    effect = bn.covariates.maturation("PMA", half=47.7, hill=2)
    graph = bn.build(model_of(effect), data).pymc
    age = np.array([30.0, 47.7, 60.0])
    np.testing.assert_allclose(graph["b"].eval(), 2 * age**2 / (age**2 + 47.7**2), rtol=1e-12)


@pytest.mark.parametrize("effect", [MATURATION, LOSS], ids=["maturation", "function"])
def test_they_survive_a_file_and_are_listed(effect):
    model = model_of(effect)
    again = parse_model(write_model(model))
    assert again == model
    assert parameter_from_dict("a", model.parameters["a"].to_dict()) == model.parameters["a"]
    rows = {row.name: row for row in model.priors}
    (estimated,) = [
        name for name, each in effect.coefficients.items() if isinstance(each, bn.Prior)
    ]
    assert rows[f"a_PMA_{estimated}"].prior == effect.coefficients[estimated]
    assert rows[f"a_PMA_{estimated}"].meaning.startswith(f"{estimated} in the {effect.kind} effect")
    assert "PMA" in as_latex(model)


def test_equations_hold_names_and_known_values():
    assert "a = a_pop * PMA^3.4 / (PMA^3.4 + a_PMA_half^3.4) * exp(eta_a)" in repr(
        model_of(MATURATION)
    )
    assert "b = b_pop * (-b_PMA_loss*exp(-PMA/50) + 1)" in repr(model_of(LOSS))
    assert r"\frac{\mathrm{PMA}_i^{3.4}}" in as_latex(model_of(MATURATION))
    assert r"\beta_{\mathrm{b\_PMA\_loss}} e^{" in as_latex(model_of(LOSS))


def test_text_is_the_same_function():
    written = bn.covariates.function(
        "PMA", "1 - loss * exp(-x / time)", loss=bn.Prior("Beta", alpha=2, beta=2), time=50
    )
    assert written == LOSS


def branching(x, b):
    return 1.0 if x > 40 else b.low


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: bn.covariates.maturation("PMA", half=0, hill=3), "half=0 must be positive"),
        (lambda: bn.covariates.maturation("PMA", half=40, hill="x"), "hill: 'x' is neither"),
        (lambda: bn.covariates.maturation("", half=40, hill=3), "named by its column"),
        (
            lambda: bn.covariates.maturation("A", half=bn.Prior("Normal", mu=1, sigma=1), hill=3),
            "half is positive, but",
        ),
        (lambda: bn.covariates.maturation("A", half=bn.typical(4, rse=1), hill=3), "half: give a"),
        (lambda: bn.covariates.function("A", lambda x, b: x * b.k), "coefficient k is not stated"),
        (lambda: bn.covariates.function("A", lambda x, b: x, k=1), "coefficient k is in no place"),
        (lambda: bn.covariates.function("A", lambda x, b: b.k, k=1), "covariate has no part"),
        (lambda: bn.covariates.function("A", branching, low=1), "math.where, minimum"),
        (lambda: bn.covariates.function("A", 3), "expected a function of (x, b), not 3"),
        (lambda: bn.covariates.function("A", "x +", k=1), "function('A')"),
    ],
)
def test_what_makes_no_effect_is_refused(make, said):
    with pytest.raises(bn.ModelError) as refused:
        make()
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("hill = 3.4", "hil = 3.4", "covariates[1].hil: unknown entry 'hil'. Did you mean 'hill'"),
        ("hill = 3.4", 'hill = "x"', "covariates[1].hill: 'x' is not a number"),
        (", hill = 3.4", "", "covariates[1].hill: this entry is missing"),
        ("hill = 3.4", "hill = -3.4", "covariates[1]: maturation('PMA'): hill=-3.4 must be"),
    ],
)
def test_a_wrong_maturation_in_a_file_is_refused_by_its_path(old, new, said):
    text = write_model(model_of(MATURATION))
    assert old in text
    with pytest.raises(bn.ModelError) as refused:
        parse_model(text.replace(old, new, 1))
    assert said in str(refused.value)


def test_a_wrong_function_in_a_file_is_refused_by_its_path():
    text = write_model(model_of(LOSS))
    for old, new, said in (
        (
            "time = 50.0",
            "tim = 50.0",
            "function('PMA'): the coefficient tim is in no place",
        ),
        ("time = 50.0", 'time = "x"', "covariates[1].coefficients.time: 'x' is not a number"),
    ):
        assert old in text
        with pytest.raises(bn.ModelError) as refused:
            parse_model(text.replace(old, new, 1))
        assert said in str(refused.value)


def test_maturation_needs_positive_values():
    rows = [(1, 0.0, 0, 0, 1, 5.0, -1.0)]
    data = bn.read_data(frame(rows, "ID TIME EVID AMT CMT DV PMA"))
    codes = {each.code for each in bn.check(model_of(MATURATION), data)}
    assert "E_COVARIATE_NOT_POSITIVE" in codes
