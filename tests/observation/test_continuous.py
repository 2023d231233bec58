import math

import numpy as np
import pytest
from scipy import integrate, stats

import bayesnlme as bn
from bayesnlme.errors import ModelError
from bayesnlme.observation.kinds import outcome_from_dict
from tests.observation.densities import bounds, log_density, slopes

A, B, C, DF = 0.3, 0.15, 0.6, 4.5
COMBINED = {"additive": A, "proportional": B}
RESIDUALS = {
    "additive": (bn.additive(A), {"additive": A}),
    "proportional": (bn.proportional(B), {"proportional": B}),
    "combined": (bn.combined(additive=A, proportional=B), COMBINED),
    "combined sd": (bn.combined(additive=A, proportional=B, convention="sd"), COMBINED),
    "power": (bn.power_error(coefficient=B, exponent=C), {"coefficient": B, "exponent": C}),
    "log_normal": (bn.log_normal(B), {"log_sd": B}),
    "student_t": (bn.student_t(bn.proportional(B), df=DF), {"proportional": B, "df": DF}),
    "log student_t": (bn.student_t(bn.log_normal(B), df=DF), {"log_sd": B, "df": DF}),
}
PLAIN = [kind for kind in RESIDUALS if kind != "log student_t"]


def scipy_density(kind, f):
    return {
        "additive": stats.norm(f, A),
        "proportional": stats.norm(f, B * abs(f)),
        "combined": stats.norm(f, np.hypot(A, B * f)),
        "combined sd": stats.norm(f, A + B * abs(f)),
        "power": stats.norm(f, B * abs(f) ** C),
        "log_normal": stats.lognorm(s=B, scale=f),
        "student_t": stats.t(DF, f, B * abs(f)),
    }[kind]


@pytest.mark.parametrize("kind", PLAIN)
def test_density_equals_scipy_and_integrates_to_one(kind):
    outcome, magnitudes = RESIDUALS[kind]
    rng = np.random.default_rng(3)
    f = np.exp(rng.normal(0, 2, 200))
    y = f * np.exp(rng.normal(0, 0.3, 200))
    expected = scipy_density(kind, f).logpdf(y)
    assert log_density(outcome, y, f, magnitudes) == pytest.approx(expected, rel=1e-11, abs=1e-11)
    for prediction in (0.4, 7.0):
        ends = scipy_density(kind, prediction).ppf([1e-14, 1 - 1e-14])
        y = np.linspace(*ends, 2001)
        if kind == "student_t":  # its tails reach far: even steps of the angle
            angle = np.linspace(-np.pi / 2, np.pi / 2, 4003)[1:-1]
            y = prediction + np.tan(angle)
        density = np.exp(log_density(outcome, y, prediction, magnitudes))
        total = (
            integrate.simpson(density / np.cos(angle) ** 2, x=angle)
            if kind == "student_t"
            else integrate.simpson(density, x=y)
        )
        assert total == pytest.approx(1.0, abs=1e-10)


def test_the_log_student_density_is_that_of_the_log():
    outcome, magnitudes = RESIDUALS["log student_t"]
    y, f = np.array([0.3, 1.1, 9.0]), np.array([0.5, 1.0, 2.0])
    expected = stats.t(DF, np.log(f), B).logpdf(np.log(y)) - np.log(y)
    assert log_density(outcome, y, f, magnitudes) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("kind", PLAIN)
def test_draws_and_quantiles_are_of_the_density(kind):
    outcome, magnitudes = RESIDUALS[kind]
    f = np.full(20_000, 2.5)
    draws = outcome.draw(f, magnitudes, bounds(f.size), np.random.default_rng(4))
    expected = scipy_density(kind, 2.5)
    assert stats.kstest(draws, expected.cdf).pvalue > 1e-3
    level = np.array([0.01, 0.4, 0.5, 0.97])
    found = outcome.quantile(level, np.full(4, 2.5), magnitudes, bounds(4))
    assert found == pytest.approx(expected.ppf(level), rel=1e-12)


@pytest.mark.parametrize("kind", ["additive", "proportional", "combined", "combined sd", "power"])
def test_a_negative_prediction_still_has_a_density(kind):
    y, f = np.array([-2.0, 1.0]), np.array([-1.9, -3.0])
    expected = scipy_density(kind, f).logpdf(y)
    assert log_density(*_with(kind, y, f)) == pytest.approx(expected, rel=1e-12)


def _with(kind, y, f):
    outcome, magnitudes = RESIDUALS[kind]
    return outcome, y, f, magnitudes


@pytest.mark.parametrize("kind", ["proportional", "power", "log_normal", "student_t"])
def test_a_prediction_of_zero_has_no_density_and_is_no_nan(kind):
    assert log_density(*_with(kind, [1.0], [0.0])) == -np.inf
    _, f = np.array([1.0, 2.0]), np.array([0.0, 2.0])
    assert np.isfinite(log_density(*_with(kind, [1.0, 2.0], f))).tolist() == [False, True]


def test_a_combined_error_at_a_prediction_of_zero_is_additive():
    for kind in ("combined", "combined sd"):
        density = log_density(*_with(kind, [0.2], [0.0]))
        assert density == pytest.approx(stats.norm(0, A).logpdf(0.2))


def test_the_limits_of_a_combined_error_are_its_parts():
    y, f = np.array([1.1]), np.array([1.0])
    for convention in ("variance", "sd"):
        outcome = bn.combined(additive=A, proportional=B, convention=convention)
        for given, other in (((1e-12, B), "proportional"), ((A, 1e-12), "additive")):
            magnitudes = dict(zip(("additive", "proportional"), given, strict=True))
            found = log_density(outcome, y, f, magnitudes)
            assert found == pytest.approx(scipy_density(other, f).logpdf(y))


def test_a_power_error_holds_the_additive_and_the_proportional_one():
    outcome, _ = RESIDUALS["power"]
    for exponent, other, b in ((0.0, "additive", A), (1.0, "proportional", B)):
        found = log_density(outcome, 3.1, 2.9, {"coefficient": b, "exponent": exponent})
        assert found == pytest.approx(scipy_density(other, 2.9).logpdf(3.1), rel=1e-12)


@pytest.mark.parametrize("kind", RESIDUALS)
def test_gradient_equals_central_differences(kind):
    found, expected = slopes(*_with(kind, [2.2, 0.7], [2.0, 1.5]))
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("kind", ["additive", "proportional", "combined", "log_normal"])
def test_priors_are_half_normal_around_the_numbers(kind):
    residual, magnitudes = RESIDUALS[kind]
    for name, prior in residual.priors().items():
        assert stats.halfnorm(scale=prior.keywords["sigma"]).mean() == pytest.approx(
            magnitudes[name]
        )


def test_the_default_prior_of_degrees_of_freedom_lies_above_one_with_the_stated_mean():
    prior = bn.student_t(bn.additive(1.0), df=4).priors()["df"]
    assert prior.support == (1.0, math.inf)
    given = prior.keywords
    mean = stats.truncnorm(0, np.inf, given["mu"], given["sigma"]).mean()
    assert mean == pytest.approx(4.0)
    assert bn.power_error(coefficient=1, exponent=0.5).priors()["exponent"] == bn.Prior(
        "Normal", mu=0.5, sigma=0.5
    )


@pytest.mark.parametrize(
    "residual",
    [
        *(each for each, _ in RESIDUALS.values()),
        bn.additive(bn.fixed(0.2)),
        bn.additive(0.2, blq="M4"),
        bn.combined(additive=bn.Prior("Gamma", alpha=2, beta=9), proportional=1, blq="M1"),
        bn.student_t(bn.combined(additive=1, proportional=1), df=bn.fixed(4), blq="M2"),
    ],
)
def test_round_trip(residual):
    entries = residual.to_dict()
    assert outcome_from_dict("conc", entries) == residual
    assert outcome_from_dict("conc", entries).to_dict() == entries


def test_defaults_are_not_written():
    assert bn.additive(0.5).to_dict() == {"error": "additive", "additive": 0.5}
    assert "convention" not in bn.combined(additive=1, proportional=1).to_dict()


def test_exact_magnitudes_stay_exact():
    assert bn.additive(bn.fixed(0.2)).priors() == {"additive": bn.fixed(0.2)}
    prior = bn.Prior("Exponential", lam=3)
    assert bn.proportional(prior).priors() == {"proportional": prior}
    assert bn.student_t(bn.additive(1), df=bn.fixed(4)).priors()["df"] == bn.fixed(4)


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
        (lambda: bn.additive(1, blq="M5"), "Known: 'M1', 'M2', 'M3', 'M4'"),
        (lambda: bn.additive(1, blq=3), "blq=3"),
        (lambda: bn.log_normal(1, blq="M4"), "Use M3"),
        (lambda: bn.combined(additive=1, proportional=1, convention="sds"), "Did you mean 'sd'?"),
        (lambda: bn.power_error(coefficient=0, exponent=1), "power error, coefficient"),
        (lambda: bn.power_error(coefficient=1, exponent=bn.typical(1, rse=1)), "typical values"),
        (lambda: bn.student_t(bn.additive(1), df=1), "lies above 1"),
        (lambda: bn.student_t(bn.additive(1), df=bn.fixed(0)), "are positive, not 0"),
        (lambda: bn.student_t(bn.additive(1), df=bn.Prior("Normal", mu=4)), "negative values"),
        (lambda: bn.student_t(bn.student_t(bn.additive(1), df=4), df=4), "no other residual"),
        (lambda: bn.student_t(0.5, df=4), "0.5 is no other residual error"),
        (lambda: bn.student_t(bn.additive(1, blq="M1"), df=4), "say blq= to student_t"),
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
        ({"error": "additive"}, "error 'additive' takes additive, blq, not nothing"),
        ({"error": "combined", "additive": 1}, "convention, not additive"),
        ({"error": "additive", "additive": 1, "log_sd": 1}, "blq, not additive, log_sd"),
        ({"error": "additive", "additive": {"mean": 1}}, "is no prior"),
        ({"error": "additive", "additive": {"sd": 1}}, "bn.sd needs rse="),
        ({"error": "student_t", "of": {"error": "student"}, "df": 4}, "error = 'student'"),
    ],
)
def test_an_unreadable_error_is_refused(entries, fragment):
    with pytest.raises(ModelError) as refused:
        outcome_from_dict("conc", entries)
    assert fragment in str(refused.value)
    assert "observations.conc" in str(refused.value)


def test_equations_name_the_variables():
    for residual, magnitudes in RESIDUALS.values():
        for name in magnitudes:
            assert f"conc_{name}" in residual.text("conc")
            assert name.replace("_", r"\_") in residual.latex("conc")


def test_equations_say_what_is_conditioned_on():
    assert bn.additive(1, blq="M4").text("conc").endswith(", given conc > 0")
    assert "LLOQ" in bn.additive(1, blq="M2").latex("conc")
    assert bn.additive(1, blq="M3").text("conc") == bn.additive(1).text("conc")


def test_only_a_log_normal_error_needs_positive_values():
    positive = [kind for kind, (each, _) in RESIDUALS.items() if each.positive]
    assert positive == ["log_normal", "log student_t"]
    assert bn.log_normal(1).refusal(0.0)
    assert bn.additive(1, blq="M4").refusal(0.0)
    assert bn.additive(1).refusal(0.0) is None


def test_how_far_a_prediction_moved_is_counted_in_sds():
    outcome, magnitudes = RESIDUALS["combined"]
    f, other = np.array([2.0, 3.0]), np.array([2.2, 3.0])
    assert outcome.moved(f, other, magnitudes) == pytest.approx([0.2 / np.hypot(A, B * 2), 0.0])
    log = RESIDUALS["log_normal"]
    assert log[0].moved(f, other, log[1])[0] == pytest.approx(np.log(1.1) / B)


def test_errors_cannot_be_changed():
    with pytest.raises((AttributeError, TypeError)):
        RESIDUALS["additive"][0].additive = 1.0
