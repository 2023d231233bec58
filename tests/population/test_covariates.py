import math

import pytest

import bayesnlme as bn
from bayesnlme.errors import ModelError
from bayesnlme.population.covariates import effect_from_dict, level_label
from bayesnlme.population.priors import Fixed, Prior

EFFECTS = (bn.covariates.power, bn.covariates.exponential, bn.covariates.linear)


def test_a_number_is_known_a_prior_is_a_prior_and_nothing_is_estimated():
    known = bn.covariates.power("WT", reference=70, exponent=0.75)
    assert known.prior(1.0) == Fixed(0.75)
    stated = bn.covariates.power("WT", reference=70, exponent=Prior("Normal", mu=0.75, sigma=0.1))
    assert stated.prior(1.0) == Prior("Normal", mu=0.75, sigma=0.1)
    assert bn.covariates.power("WT", reference=70).prior(1.0) == Prior("Normal", mu=0, sigma=1)
    assert bn.covariates.power("WT", reference=70, exponent=0).prior(1.0) == Fixed(0.0)


@pytest.mark.parametrize("reference", [40, -40])
def test_at_twice_the_reference_the_default_effect_is_one_scale(reference):
    exponential = bn.covariates.exponential("AGE", reference=reference).prior(7.0)
    assert exponential.keywords == pytest.approx({"mu": 0.0, "sigma": 1 / 40})
    linear = bn.covariates.linear("AGE", reference=reference).prior(7.0)
    assert linear.keywords == pytest.approx({"mu": 0.0, "sigma": 7 / 40})


@pytest.mark.parametrize("effect", EFFECTS[1:])
def test_without_a_scale_the_coefficient_must_be_stated(effect):
    with pytest.raises(bn.ModelError, match="nothing says how large"):
        effect("AGE", reference=0).prior(1.0)
    assert effect("AGE", reference=0, coefficient=0.1).prior(1.0) == Fixed(0.1)


def test_a_default_effect_rescales_with_the_parameter():
    """The same model in other units has the same prior of the effect."""
    for typical in (250.0, bn.fixed(250.0), bn.typical(250.0, rse=0.5)):
        scale = bn.Normal(typical, iiv=25.0).scale
        number = typical if isinstance(typical, float) else typical.value
        thousandth = (
            number / 1000
            if isinstance(typical, float)
            else bn.fixed(0.25)
            if isinstance(typical, Fixed)
            else bn.typical(0.25, rse=0.5)
        )
        assert bn.Normal(thousandth, iiv=0.025).scale == pytest.approx(scale / 1000)
    assert bn.Normal(Prior("Uniform", lower=200, upper=300)).scale is None
    with pytest.raises(bn.ModelError, match="nothing says how large"):
        bn.covariates.categorical("SEX", reference="F").prior(None)


def test_the_default_scale_of_a_level_is_the_parameters_own():
    sex = bn.covariates.categorical("SEX", reference="F")
    assert sex.prior(bn.LogNormal(3.0).scale) == Prior("Normal", mu=0, sigma=1)
    assert sex.prior(bn.LogitNormal(0.3).scale) == Prior("Normal", mu=0, sigma=1.5)
    assert sex.prior(bn.Normal(250.0, iiv=25.0).scale) == Prior("Normal", mu=0, sigma=312.5)


@pytest.mark.parametrize("effect", EFFECTS)
def test_round_trip(effect):
    for extra in ({}, {"exponent" if effect is EFFECTS[0] else "coefficient": 0.5}):
        made = effect("WT", reference=70, **extra)
        assert effect_from_dict(made.to_dict(), "CL") == made


@pytest.mark.parametrize("reference", ["F", 1, 1.0, 2.5])
def test_categorical_round_trip(reference):
    made = bn.covariates.categorical("SEX", reference=reference, coefficient=0.2)
    assert effect_from_dict(made.to_dict(), "CL") == made


def test_a_power_takes_exponent_or_coefficient_in_a_file():
    given = {"effect": "power", "covariate": "WT", "reference": 70}
    made = bn.covariates.power("WT", reference=70, exponent=0.75)
    assert effect_from_dict(given | {"exponent": 0.75}, "CL") == made
    assert effect_from_dict(given | {"coefficient": 0.75}, "CL") == made


def test_whole_and_decimal_references_are_one():
    whole, decimal = (bn.covariates.linear("AGE", reference=r) for r in (40, 40.0))
    assert whole == decimal
    assert repr(whole.to_dict()) == repr(decimal.to_dict())


@pytest.mark.parametrize(
    ("value", "label"),
    [
        (1, "1"),
        (1.0, "1"),
        (0.1, "0.1"),
        ("1.0", "1.0"),
        (1000001.0, "1000001"),
        (123456789012.0, "123456789012"),
        (-2.0, "-2"),
    ],
)
def test_levels_that_are_numbers_keep_all_their_digits(value, label):
    assert level_label(value) == label


@pytest.mark.parametrize(
    ("make", "fragment"),
    [
        (lambda: bn.covariates.power("WT", reference=0), "reference 0 must be positive"),
        (lambda: bn.covariates.power("WT", reference=-70), "reference -70 must be positive"),
        (lambda: bn.covariates.power("WT", reference="70"), "reference: '70' is not a finite"),
        (lambda: bn.covariates.linear("WT", reference=math.nan), "reference: nan is not a finite"),
        (lambda: bn.covariates.linear("WT", reference=True), "reference: True is not a finite"),
        (lambda: bn.covariates.exponential("WT", reference=None), "reference: None is not"),
        (lambda: bn.covariates.power("", reference=70), "named by its column"),
        (lambda: bn.covariates.power(3, reference=70), "named by its column, not 3"),
        (lambda: bn.covariates.categorical("SEX", reference=None), "one of its levels, not None"),
        (lambda: bn.covariates.categorical("SEX", reference=""), "one of its levels"),
        (lambda: bn.covariates.categorical(None, reference="F"), "named by its column, not None"),
        (
            lambda: bn.covariates.power("WT", reference=70, exponent="allometric"),
            "neither a number nor a prior",
        ),
        (
            lambda: bn.covariates.power("WT", reference=70, exponent=bn.typical(0.75, rse=0.1)),
            "give a number (known)",
        ),
        (
            lambda: bn.covariates.linear("WT", reference=70, coefficient=math.inf),
            "not a finite number",
        ),
    ],
)
def test_an_impossible_effect_is_refused(make, fragment):
    with pytest.raises(ModelError) as refused:
        make()
    assert fragment in str(refused.value)


def test_an_unknown_entry_is_refused():
    given = {"effect": "linear", "covariate": "WT", "reference": 70, "exponent": 0.75}
    with pytest.raises(ModelError, match=r"\['exponent'\] not understood in a linear effect"):
        effect_from_dict(given, "CL")
