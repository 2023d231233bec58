import math

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from scipy.special import expit, logit

import bayesnlme as bn
from bayesnlme.errors import ModelError
from bayesnlme.population.parameters import parameter_from_dict

FAST = "FAST_COMPILE"
AGE = np.array([40.0, 20.0, 61.5, 33.0])
WEIGHT = np.array([70.0, 41.0, 120.0, 70.0])
ARM = np.array([0, 1, 2, 1])
ETA = np.array([0.0, -1.3, 0.4, 2.2])

COVARIATES = {
    "power": (bn.covariates.power("WT", reference=70), WEIGHT, np.float64(0.75)),
    "exponential": (bn.covariates.exponential("AGE", reference=40), AGE, np.float64(-0.02)),
    "linear": (bn.covariates.linear("AGE", reference=40), AGE, np.float64(0.01)),
    "categorical": (
        bn.covariates.categorical("ARM", reference="placebo"),
        ARM,
        np.array([0.3, -0.7]),
    ),
}
KINDS = {
    "LogNormal": (bn.LogNormal(3.0, iiv=0.3), 2.7),
    "Normal": (bn.Normal(-3.0, iiv=0.3), -2.7),
    "LogitNormal": (bn.LogitNormal(2.5, iiv=0.3, lower=2.0, upper=5.0), 3.1),
}


def by_hand(kind, effect, typical, x, b, eta):
    """Compute the formulas of the documentation in NumPy."""
    factor, shift = {
        "power": lambda: ((x / 70) ** b, b * np.log(x / 70)),
        "exponential": lambda: (np.exp(b * (x - 40)), b * (x - 40)),
        "linear": lambda: (1 + b * (x - 40), b * (x - 40)),
        "categorical": lambda: (np.exp(np.append(0, b)[x]), np.append(0, b)[x]),
    }[effect]()
    if kind == "LogNormal":
        return typical * factor * np.exp(eta)
    if kind == "LogitNormal":
        return 2 + 3 * expit(logit((typical - 2) / 3) + shift + eta)
    if effect in ("linear", "categorical"):
        return typical + shift + eta
    return typical * factor + eta


def compiled(parameter, effects):
    """Compile values and gradients in the typical value, the coefficients and eta."""
    typical, eta = pt.dscalar("typical"), pt.dvector("eta")
    bs = [pt.dvector() if np.ndim(b) else pt.dscalar() for _, _, b in effects]
    moved = [(effect, pt.constant(x), b) for (effect, x, _), b in zip(effects, bs, strict=True)]
    value = parameter.individual(typical, moved, eta)
    weighted = (value * np.arange(1, 5)).sum()
    inputs = [typical, *bs, eta]
    return pytensor.function(inputs, [value, weighted, *pt.grad(weighted, inputs)], mode=FAST)


def differences(f, inputs):
    """Central differences of the weighted sum in every entry of every input."""
    for number, given in enumerate(inputs):
        found = np.empty(np.shape(given))
        for at in np.ndindex(np.shape(given)):
            step = 1e-5 * max(1.0, abs(np.asarray(given)[at]))
            sums = []
            for sign in (1, -1):
                moved = [np.array(each, dtype=float) for each in inputs]
                moved[number][at] += sign * step
                sums.append(f(*moved)[1])
            found[at] = (sums[0] - sums[1]) / (2 * step)
        yield found


@pytest.mark.parametrize("effect", COVARIATES)
@pytest.mark.parametrize("kind", KINDS)
def test_formula_and_gradient(kind, effect):
    (parameter, typical), (_, x, b) = KINDS[kind], COVARIATES[effect]
    f = compiled(parameter, [COVARIATES[effect]])
    value, _, *gradients = f(typical, b, ETA)
    assert value == pytest.approx(by_hand(kind, effect, typical, x, b, ETA), rel=1e-13)
    for found, expected in zip(gradients, differences(f, [typical, b, ETA]), strict=True):
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("effect", COVARIATES)
@pytest.mark.parametrize("kind", KINDS)
def test_without_random_effect_and_identity_at_the_reference(kind, effect):
    (parameter, typical), (each, x, b) = KINDS[kind], COVARIATES[effect]
    moved = [(each, pt.constant(x), pt.constant(b))]
    value = parameter.individual(pt.constant(typical), moved, None).eval(mode=FAST)
    assert value == pytest.approx(by_hand(kind, effect, typical, x, b, 0.0), rel=1e-13)
    assert value[0] == pytest.approx(typical, rel=1e-15)


@pytest.mark.parametrize("kind", KINDS)
def test_without_anything_all_subjects_are_typical(kind):
    parameter, typical = KINDS[kind]
    given = pt.constant(typical)
    assert parameter.individual(given, [], None) is given


@pytest.mark.parametrize("kind", KINDS)
def test_effects_act_together(kind):
    parameter, typical = KINDS[kind]
    weight, age = COVARIATES["power"], COVARIATES["linear"]
    value = compiled(parameter, [weight, age])(typical, weight[2], age[2], ETA)[0]
    factor, shift = (WEIGHT / 70) ** 0.75, 0.01 * (AGE - 40)
    expected = {
        "LogNormal": typical * factor * (1 + shift) * np.exp(ETA),
        "Normal": typical * factor + shift + ETA,
        "LogitNormal": 2 + 3 * expit(logit((typical - 2) / 3) + np.log(factor) + shift + ETA),
    }
    assert value == pytest.approx(expected[kind], rel=1e-13)


def test_a_random_effect_moves_each_kind_on_its_own_scale():
    plus, minus = np.array([1.7]), np.array([-1.7])
    for parameter, typical, middle in (
        (bn.LogNormal(1.0, iiv=1.0), 2.0, lambda a, b: math.sqrt(a * b)),
        (bn.Normal(1.0, iiv=1.0), 2.0, lambda a, b: (a + b) / 2),
        (bn.LogitNormal(0.5, iiv=1.0), 0.3, lambda a, b: expit((logit(a) + logit(b)) / 2)),
    ):
        up, down = (
            parameter.individual(pt.constant(typical), [], pt.constant(eta)).eval(mode=FAST)[0]
            for eta in (plus, minus)
        )
        assert up > typical > down
        assert middle(up, down) == pytest.approx(typical)


def test_logit_normal_stays_within_its_bounds():
    eta = np.array([-700.0, -40.0, -1.0, 0.0, 1.0, 40.0, 700.0])
    parameter = bn.LogitNormal(0.3, iiv=1.0, lower=-2.0, upper=5.0)
    value = parameter.individual(pt.constant(0.3), [], pt.constant(eta)).eval(mode=FAST)
    assert np.all((value >= -2) & (value <= 5))
    assert np.all(np.diff(value) >= 0)
    assert value[[2, 4]] == pytest.approx(-2 + 7 * expit(logit(2.3 / 7) + np.array([-1, 1])))


def test_a_linear_effect_that_makes_a_positive_parameter_negative_is_nan():
    effect = bn.covariates.linear("AGE", reference=40)
    moved = [(effect, pt.constant(AGE), pt.constant(0.06))]
    value = bn.LogNormal(1.0).individual(pt.constant(1.0), moved, None).eval(mode=FAST)
    assert np.isnan(value[1])
    assert np.all(np.isfinite(value[[0, 2, 3]]))


@pytest.mark.parametrize(
    "parameter",
    [
        bn.LogNormal(2.8),
        bn.LogNormal(2.8, iiv=0.3, unit="L/h"),
        bn.LogNormal(bn.typical(2.8, rse=0.3), iiv=bn.fixed(0.3)),
        bn.LogNormal(bn.Prior("Gamma", alpha=2, beta=1), iiv=bn.Prior("Exponential", lam=2)),
        bn.Normal(-3, iiv=2, covariates=[each for each, _, _ in COVARIATES.values()][1::2]),
        bn.LogitNormal(0.5, lower=0, upper=0.9, iiv=1),
        bn.LogNormal(
            1,
            covariates=[
                bn.covariates.power("WT", reference=70, exponent=0.75),
                bn.covariates.linear("AGE", reference=40, coefficient=bn.Prior("Normal", sigma=1)),
                bn.covariates.categorical("ARM", reference=1, coefficient=0.3),
            ],
        ),
    ],
)
def test_round_trip(parameter):
    entries = parameter.to_dict()
    assert parameter_from_dict("CL", entries) == parameter
    assert parameter_from_dict("CL", entries).to_dict() == entries


def test_the_distribution_is_log_normal_unless_stated():
    assert parameter_from_dict("CL", {"typical": 2, "iiv": 0.3}) == bn.LogNormal(2.0, iiv=0.3)


@pytest.mark.parametrize(
    ("entries", "fragment"),
    [
        ({}, "'typical' is missing"),
        ({"typical": 1, "iivv": 0.3}, "Did you mean 'iiv'?"),
        ({"typical": 1, "lower": 0}, "unknown 'lower'"),
        ({"typical": 1, "distribution": "lognormal"}, "Did you mean 'LogNormal'?"),
        ({"typical": 1, "distribution": 3}, "no distribution 3"),
        ({"typical": 1, "distribution": ["Normal"]}, "no distribution ['Normal']"),
        ({"typical": {"mean": 1}}, "CL typical"),
        ({"typical": 1, "covariates": [{"effect": "power"}]}, "missing from"),
        (
            {"typical": 1, "covariates": [{"effect": "pow", "covariate": "W", "reference": 1}]},
            "no effect 'pow'",
        ),
        (
            {"typical": 1, "covariates": [{"effect": "linear", "covariate": "W", "ref": 1}]},
            "['reference'] missing",
        ),
    ],
)
def test_an_unreadable_parameter_is_refused(entries, fragment):
    with pytest.raises(ModelError) as refused:
        parameter_from_dict("CL", entries)
    assert fragment in str(refused.value)


WEIGHT_EFFECT = bn.covariates.power("WT", reference=70)


@pytest.mark.parametrize(
    ("make", "fragment"),
    [
        (lambda: bn.LogNormal(1.0, covariates=["WT"]), "must be a list of effects"),
        (lambda: bn.LogNormal(1.0, covariates="WT"), "must be a list of effects"),
        (lambda: bn.LogNormal(1.0, covariates=WEIGHT_EFFECT), "must be a list of effects"),
        (lambda: bn.LogNormal(1.0, covariates=3), "must be a list of effects"),
        (lambda: bn.LogNormal(1.0, covariates={"WT": WEIGHT_EFFECT}), "must be a list of effects"),
        (lambda: bn.Normal(1.0, covariates=[WEIGHT_EFFECT] * 2), "'WT' acts twice"),
        (lambda: bn.LogNormal(1.0, unit=3), "unit=3 must be text"),
        (lambda: bn.LogNormal(1.0, unit=" "), "must be text"),
        (lambda: bn.LogitNormal(0.5, lower=1, upper=1), "lower 1 must be below 1"),
        (lambda: bn.LogitNormal(0.5, lower=2, upper=1), "must be below"),
        (lambda: bn.LogitNormal(0.5, upper=math.inf), "upper: inf is not a finite number"),
        (lambda: bn.LogitNormal(0.5, lower=math.nan), "lower: nan is not a finite number"),
        (lambda: bn.LogitNormal(0.5, lower="0"), "lower: '0' is not a finite number"),
        (lambda: bn.LogitNormal(0.0), "must lie between 0 and 1"),
        (lambda: bn.LogitNormal(1.0), "must lie between 0 and 1"),
        (lambda: bn.LogitNormal(bn.fixed(3.0)), "must lie between 0 and 1"),
        (lambda: bn.LogitNormal(bn.Prior("Normal", mu=0)), "may leave them"),
        (lambda: bn.LogitNormal(bn.Prior("Uniform", upper=2)), "may leave them"),
        (lambda: bn.LogitNormal(bn.Prior("Beta", alpha=1, beta=1), upper=0.5), "may leave them"),
    ],
)
def test_an_impossible_parameter_is_refused(make, fragment):
    with pytest.raises(ModelError) as refused:
        make()
    assert fragment in str(refused.value)


def test_priors_within_the_bounds_are_taken_exactly():
    for prior in (
        bn.Prior("Beta", alpha=2, beta=2),
        bn.Prior("Uniform", lower=0.2, upper=0.7),
        bn.Prior("TruncatedNormal", mu=0.5, sigma=1, lower=0, upper=1),
    ):
        assert bn.LogitNormal(prior).typical_prior() == prior


def test_parameters_cannot_be_changed():
    parameter = bn.LogNormal(1.0, covariates=[WEIGHT_EFFECT])
    with pytest.raises((AttributeError, TypeError)):
        parameter.typical = 2.0
    assert isinstance(parameter.covariates, tuple)


def test_equations_say_the_bounds():
    half = bn.LogitNormal(0.3, iiv=0.3, upper=0.5)
    assert half.text("F", {}) == "logistic(logit(F_pop) + eta_F) between 0 and 0.5"
    assert r"\mathrm{logit}_{(0,\,0.5)}" in half.latex("F", {})
    assert bn.LogitNormal(0.3).text("F", {}) == "logistic(logit(F_pop))"


@pytest.mark.parametrize(
    ("effect", "text"),
    [
        (bn.covariates.linear("AGE", reference=40), "E0_pop + b (AGE - 40) + eta_E0"),
        (bn.covariates.linear("AGE", reference=-5), "E0_pop + b (AGE + 5) + eta_E0"),
        (bn.covariates.linear("AGE", reference=0), "E0_pop + b (AGE) + eta_E0"),
        (bn.covariates.categorical("SEX", reference="F"), "E0_pop + b[SEX] + eta_E0"),
        (bn.covariates.power("WT", reference=70), "E0_pop * (WT/70)^b + eta_E0"),
        (bn.covariates.exponential("AGE", reference=40), "E0_pop * exp(b (AGE - 40)) + eta_E0"),
    ],
)
def test_equations_of_a_normal_parameter(effect, text):
    parameter = bn.Normal(1.0, iiv=1.0, covariates=[effect])
    assert parameter.text("E0", {effect.covariate: "b"}) == text


def test_a_typical_value_between_bounds_keeps_its_relative_error():
    """By the delta method: SD of the logit is rse |x| / ((b - a) p (1 - p))."""
    prior = bn.LogitNormal(bn.typical(11.0, rse=0.1), lower=10.0, upper=20.0).typical_prior()
    assert prior.keywords["sigma"] == pytest.approx(0.1 * 11 / (10 * 0.1 * 0.9))
    unit = bn.LogitNormal(bn.typical(0.4, rse=0.1)).typical_prior()
    assert unit.keywords["sigma"] == pytest.approx(0.1 / 0.6)


def test_the_occasion_effect_is_added_to_the_random_effect():
    assert bn.Normal(1.0, iiv=1.0, iov=0.5).text("E0", {}) == "E0_pop + eta_E0 + kappa_E0"
    assert bn.LogitNormal(0.3, iov=0.5).text("F", {}) == "logistic(logit(F_pop) + kappa_F)"
    parameter = bn.LogNormal(2.8, iov=bn.fixed(0.2))
    assert parameter.iov_prior() == bn.fixed(0.2)
    assert parameter_from_dict("CL", parameter.to_dict()) == parameter


@pytest.mark.parametrize("wrong", [0, -0.2, "much", True, math.nan, bn.typical(0.2, rse=0.1)])
def test_the_sd_between_occasions_is_a_positive_number_or_a_prior_on_such(wrong):
    with pytest.raises(ModelError, match=r"iov|bn\.typical"):
        bn.LogNormal(2.8, iov=wrong)
