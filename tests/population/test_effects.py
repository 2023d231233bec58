"""Box-Cox and Student-t random effects: formulas, priors, what is refused."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest

import bayesnlme as bn
from bayesnlme.population.parameters import parameter_from_dict

ETA = np.array([-3.0, -1e-3, -1e-9, 0.0, 1e-12, 2e-4, 0.7, 4.0])


@pytest.fixture(scope="module")
def transformed():
    eta, shape = pt.dvector("eta"), pt.dscalar("shape")
    value = bn.effects.boxcox(0.0).transformed(eta, shape)
    slopes = pt.grad(value.sum(), [eta, shape])
    return pytensor.function([eta, shape], [value, *slopes], mode="FAST_COMPILE")


@pytest.mark.parametrize("shape", [-1.5, -1e-3, 1e-3, 0.2, 2.0])
def test_boxcox_is_the_formula_of_the_paper(transformed, shape):
    value, by_eta, _ = transformed(ETA, shape)
    np.testing.assert_allclose(value, np.expm1(shape * ETA) / shape, rtol=1e-14)
    np.testing.assert_allclose(by_eta, np.exp(shape * ETA), rtol=1e-10)


def test_boxcox_of_shape_zero_is_the_effect_itself(transformed):
    value, by_eta, by_shape = transformed(ETA, 0.0)
    np.testing.assert_array_equal(value, ETA)
    np.testing.assert_array_equal(by_eta, np.ones_like(ETA))
    assert by_shape == pytest.approx((ETA**2 / 2).sum(), rel=1e-14)


@pytest.mark.parametrize("shape", [1e-3, 0.2])
def test_the_slope_in_the_shape_equals_differences(transformed, shape):
    step = 1e-5
    above, below = (transformed(ETA, shape + each)[0] for each in (step, -step))
    found = transformed(ETA, shape)[2]
    assert found == pytest.approx(((above - below) / (2 * step)).sum(), rel=1e-6)


def test_a_number_is_an_expectation_and_an_object_exact():
    assert bn.effects.boxcox(-0.3).prior() == bn.Prior("Normal", mu=-0.3, sigma=0.5)
    assert bn.effects.boxcox(bn.fixed(0.2)).prior() == bn.fixed(0.2)
    assert bn.effects.student_t(df=5).prior().keywords["mu"] == pytest.approx(np.log(5))
    gamma = bn.Prior("Gamma", alpha=2, beta=0.1)
    assert bn.effects.student_t(df=gamma).prior() == gamma
    assert bn.effects.student_t(df=bn.fixed(4)).prior() == bn.fixed(4)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: bn.effects.boxcox("much"), "boxcox: 'much' is neither a number nor a prior"),
        (lambda: bn.effects.boxcox(bn.typical(1, rse=1)), "is for typical values"),
        (lambda: bn.effects.student_t(df=0), "df=0 must be positive"),
        (lambda: bn.effects.student_t(df=bn.fixed(-1)), "must be positive"),
        (lambda: bn.effects.student_t(df=bn.Prior("Normal", mu=5, sigma=1)), "is positive, but"),
        (lambda: bn.LogNormal(1.0, iiv=0.3, shape=0.2), "shape=0.2 is no distribution"),
        (lambda: bn.LogNormal(1.0, shape=bn.effects.boxcox(1)), "a shape without a random effect"),
        (lambda: bn.Normal(1.0, iiv=1, shape=bn.effects.boxcox(1)), "an effect without a unit"),
    ],
)
def test_what_is_no_shape_is_refused(make, said):
    with pytest.raises(bn.ModelError) as refused:
        make()
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "shape",
    [
        bn.effects.boxcox(0.2),
        bn.effects.boxcox(bn.fixed(0.2)),
        bn.effects.student_t(df=bn.typical(5, rse=0.3)),
    ],
)
def test_a_shape_survives_plain_values(shape):
    parameter = bn.LogNormal(1.0, iiv=0.3, shape=shape)
    assert parameter_from_dict("CL", parameter.to_dict()) == parameter


def test_equations_hold_the_shape():
    skewed = bn.LogNormal(1.0, iiv=0.3, iov=0.1, shape=bn.effects.boxcox(0.2))
    expected = "CL_pop * exp((exp(CL_boxcox eta_CL) - 1) / CL_boxcox + kappa_CL)"
    assert skewed.text("CL", {}) == expected
    assert r"\frac{e^{\lambda_{CL} \eta_{CL,i}} - 1}{\lambda_{CL}}" in skewed.latex("CL", {})
    known = bn.LogitNormal(0.5, iiv=0.3, shape=bn.effects.boxcox(bn.fixed(0.2)))
    assert known.text("F", {}) == "logistic(logit(F_pop) + (exp(0.2 eta_F) - 1) / 0.2)"
