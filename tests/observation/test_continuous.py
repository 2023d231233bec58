import math

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from scipy import integrate, stats

import bayesnlme as bn
from bayesnlme.errors import ModelError
from bayesnlme.observation.continuous import residual_from_dict

FAST = "FAST_COMPILE"
A, B = 0.3, 0.15
RESIDUALS = {
    "additive": (bn.additive(A), {"additive": A}),
    "proportional": (bn.proportional(B), {"proportional": B}),
    "combined": (
        bn.combined(additive=A, proportional=B),
        {"additive": A, "proportional": B},
    ),
    "log_normal": (bn.log_normal(B), {"log_sd": B}),
}


def scipy_density(kind, f):
    return {
        "additive": stats.norm(f, A),
        "proportional": stats.norm(f, B * abs(f)),
        "combined": stats.norm(f, np.hypot(A, B * f)),
        "log_normal": stats.lognorm(s=B, scale=f),
    }[kind]


def distribution(residual, magnitudes, f):
    name, arguments = residual.density(
        pt.as_tensor(f), {name: pt.constant(value) for name, value in magnitudes.items()}
    )
    return getattr(pm, name).dist(**arguments)


def compiled(kind):
    """Return the log density as a function of y and f."""
    residual, magnitudes = RESIDUALS[kind]
    y, f = pt.dvector(), pt.dvector()
    density = pm.logp(distribution(residual, magnitudes, f), y)
    return pytensor.function([y, f], density, mode=FAST)


@pytest.mark.parametrize("kind", RESIDUALS)
def test_density_equals_scipy_and_integrates_to_one(kind):
    density, rng = compiled(kind), np.random.default_rng(3)
    f = np.exp(rng.normal(0, 2, 200))
    y = f * np.exp(rng.normal(0, 0.3, 200))
    assert density(y, f) == pytest.approx(scipy_density(kind, f).logpdf(y), rel=1e-11, abs=1e-11)
    for prediction in (0.4, 7.0):
        middle = scipy_density(kind, prediction)
        y = np.linspace(*middle.ppf([1e-14, 1 - 1e-14]), 2001)
        total = integrate.simpson(np.exp(density(y, np.full(2001, prediction))), x=y)
        assert total == pytest.approx(1.0, abs=1e-10)


@pytest.mark.parametrize("kind", RESIDUALS)
def test_moments_of_draws(kind):
    residual, magnitudes = RESIDUALS[kind]
    f = np.full(40_000, 2.5)
    draws = pm.draw(distribution(residual, magnitudes, f), random_seed=4, mode=FAST)
    expected = scipy_density(kind, 2.5)
    assert stats.kstest(draws, expected.cdf).pvalue > 1e-3
    assert draws.mean() == pytest.approx(expected.mean(), abs=5 * expected.std() / 200)
    assert draws.std() == pytest.approx(expected.std(), rel=0.03)


@pytest.mark.parametrize("kind", ["additive", "proportional", "combined"])
def test_a_negative_prediction_still_has_a_density(kind):
    y, f = np.array([-2.0, 1.0]), np.array([-1.9, -3.0])
    assert compiled(kind)(y, f) == pytest.approx(scipy_density(kind, f).logpdf(y), rel=1e-12)


def model_with(residual, f, y):
    with pm.Model() as graph:
        magnitudes = {name: pm.HalfNormal(name, 1.0) for name in residual.magnitudes}
        name, arguments = residual.density(pt.as_tensor(np.array(f)), magnitudes)
        getattr(pm, name)("y", **arguments, observed=np.array(y))
    return graph


@pytest.mark.parametrize("residual", [bn.proportional(0.1), bn.log_normal(0.1)])
def test_a_prediction_of_zero_has_no_density_and_is_no_nan(residual):
    graph = model_with(residual, [0.0], [1.0])
    value = graph.compile_logp(mode=FAST)(graph.initial_point())
    assert value == -np.inf


def test_a_combined_error_at_a_prediction_of_zero_is_additive():
    density = compiled("combined")(np.array([0.2]), np.array([0.0]))
    assert density == pytest.approx(stats.norm(0, A).logpdf(0.2))


def test_the_limits_of_a_combined_error_are_its_parts():
    y, f = np.array([1.1]), np.array([1.0])
    for given, other in (((1e-12, B), "proportional"), ((A, 1e-12), "additive")):
        magnitudes = dict(zip(("additive", "proportional"), given, strict=True))
        both = distribution(RESIDUALS["combined"][0], magnitudes, f)
        assert pm.logp(both, y).eval(mode=FAST) == pytest.approx(scipy_density(other, f).logpdf(y))


@pytest.mark.parametrize("kind", RESIDUALS)
def test_gradient_equals_central_differences(kind):
    residual, magnitudes = RESIDUALS[kind]
    f, given = pt.dscalar(), [pt.dscalar(name) for name in magnitudes]
    name, arguments = residual.density(f, dict(zip(magnitudes, given, strict=True)))
    density = pm.logp(getattr(pm, name).dist(**arguments), 2.2)
    inputs = [f, *given]
    function = pytensor.function(inputs, [density, *pt.grad(density, inputs)], mode=FAST)
    point = np.array([2.0, *magnitudes.values()])
    _, *gradient = function(*point)
    for k, found in enumerate(gradient):
        step = np.zeros_like(point)
        step[k] = 1e-6
        expected = (function(*(point + step))[0] - function(*(point - step))[0]) / 2e-6
        assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("kind", RESIDUALS)
def test_priors_are_half_normal_around_the_numbers(kind):
    residual, magnitudes = RESIDUALS[kind]
    for name, prior in residual.priors().items():
        assert stats.halfnorm(scale=prior.keywords["sigma"]).mean() == pytest.approx(
            magnitudes[name]
        )


@pytest.mark.parametrize(
    "residual",
    [
        *(each for each, _ in RESIDUALS.values()),
        bn.additive(bn.fixed(0.2)),
        bn.combined(additive=bn.Prior("Gamma", alpha=2, beta=9), proportional=1),
    ],
)
def test_round_trip(residual):
    entries = residual.to_dict()
    assert residual_from_dict("conc", entries) == residual
    assert residual_from_dict("conc", entries).to_dict() == entries


def test_exact_magnitudes_stay_exact():
    assert bn.additive(bn.fixed(0.2)).priors() == {"additive": bn.fixed(0.2)}
    prior = bn.Prior("Exponential", lam=3)
    assert bn.proportional(prior).priors() == {"proportional": prior}


@pytest.mark.parametrize(
    ("make", "fragment"),
    [
        (lambda: bn.additive(0), "additive error, additive: a standard deviation must be positive"),
        (lambda: bn.proportional(-0.1), "proportional error, proportional"),
        (lambda: bn.log_normal(math.nan), "log_normal error, log_sd: nan"),
        (lambda: bn.additive("0.3"), "neither a number nor a prior"),
        (lambda: bn.additive(None), "neither a number nor a prior"),
        (lambda: bn.combined(additive=0.3, proportional=0), "combined error, proportional"),
        (lambda: bn.combined(additive=bn.fixed(0), proportional=1), "combined error, additive"),
        (lambda: bn.additive(bn.typical(1.0, rse=0.1)), "is for typical values"),
        (lambda: bn.additive(bn.Prior("Normal", mu=1)), "allows negative values"),
    ],
)
def test_an_impossible_error_is_refused(make, fragment):
    with pytest.raises(ModelError) as refused:
        make()
    assert fragment in str(refused.value)


@pytest.mark.parametrize(
    ("entries", "fragment"),
    [
        ({}, "error = None"),
        ({"error": "additiv", "additive": 1}, "Did you mean 'additive'?"),
        ({"error": ["additive"], "additive": 1}, "Known: 'additive'"),
        ({"error": "additive"}, "error 'additive' takes additive, not nothing"),
        ({"error": "combined", "additive": 1}, "takes additive, proportional, not additive"),
        ({"error": "additive", "additive": 1, "log_sd": 1}, "takes additive, not additive, log_sd"),
        ({"error": "additive", "additive": {"sd": 1}}, "is no prior"),
    ],
)
def test_an_unreadable_error_is_refused(entries, fragment):
    with pytest.raises(ModelError) as refused:
        residual_from_dict("conc", entries)
    assert fragment in str(refused.value)
    assert "observations.conc" in str(refused.value)


def test_equations_name_the_variables():
    for kind, (residual, magnitudes) in RESIDUALS.items():
        assert residual.kind == kind
        for name in magnitudes:
            assert f"conc_{name}" in residual.text("conc")
            assert name.replace("_", r"\_") in residual.latex("conc")


def test_only_a_log_normal_error_needs_positive_values():
    assert [kind for kind, (each, _) in RESIDUALS.items() if each.positive] == ["log_normal"]


def test_errors_cannot_be_changed():
    with pytest.raises((AttributeError, TypeError)):
        RESIDUALS["additive"][0].additive = 1.0
