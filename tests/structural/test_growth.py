"""Growth against closed forms and the equations of the papers."""

import math

import numpy as np
import pytest

import bayesnlme as bn

PK = bn.pk.one_compartment()
TIMES = np.array([0.5, 2.0, 6.0, 15.0])
VALUES = {
    "CL": 2.0, "V": 10.0, "kg": 0.3, "size0": 2.0, "size_max": 90.0, "kd": 0.11, "lambda0": 0.2,
    "lambda1": 0.9, "w0": 0.1, "k1": 0.4, "k2": 0.05,
}  # fmt: skip


def test_exponential_growth_is_an_exponential(exponential, solve):
    structure = bn.growth.exponential()
    assert structure.parameters == ("kg", "size0")
    assert structure.problem.linear
    seen = solve(structure, VALUES, TIMES)[0]
    np.testing.assert_allclose(seen, 2 * np.exp(0.3 * TIMES), rtol=1e-8)


def test_a_drug_kills_in_proportion(solve):
    """The logarithm of the size falls by kd times the area under the concentration."""
    structure = bn.growth.exponential(PK)
    area = 10.0 / 0.2 * (1 - np.exp(-0.2 * TIMES))
    expected = 2 * np.exp(0.3 * TIMES - 0.11 * area)
    seen = solve(structure, VALUES, TIMES, dose={"central": 100.0})
    np.testing.assert_allclose(seen[1], expected, rtol=1e-8)
    np.testing.assert_allclose(seen[0], 10 * np.exp(-0.2 * TIMES), rtol=1e-8)


def test_logistic_growth(solve):
    expected = 90 / (1 + (90 / 2 - 1) * np.exp(-0.3 * TIMES))
    np.testing.assert_allclose(solve(bn.growth.logistic(), VALUES, TIMES)[0], expected, rtol=1e-8)


def test_gompertz_growth(solve):
    expected = 90 * np.exp(np.log(2 / 90) * np.exp(-0.3 * TIMES))
    np.testing.assert_allclose(solve(bn.growth.gompertz(), VALUES, TIMES)[0], expected, rtol=1e-8)


@pytest.mark.parametrize("model", [bn.growth.logistic, bn.growth.gompertz])
def test_killed_or_not_growth_is_the_same_without_drug(model, solve):
    driven = solve(model(PK), VALUES, TIMES, dose={"central": 0.0})[1]
    np.testing.assert_allclose(driven, solve(model(), VALUES, TIMES)[0], rtol=1e-8)


def test_simeoni_grows_first_exponentially_then_linearly(solve):
    """Simeoni et al. (2004): at rate lambda0, then by lambda1 per time."""
    seen = solve(bn.growth.simeoni(), VALUES, np.array([2.0, 60.0, 70.0]))[0]
    assert seen[0] == pytest.approx(0.1 * math.exp(0.2 * 2), rel=1e-8)
    assert seen[2] - seen[1] == pytest.approx(0.9 * 10, rel=1e-8)


def test_simeoni_is_its_equations():
    problem = bn.growth.simeoni(PK).problem
    states = (40.0, 3.0, 0.5, 0.3, 0.2)
    here = {each: VALUES[each.name] for each in problem.parameter_symbols}
    here |= dict(zip(problem.state_symbols, states, strict=True))
    seen = [float(each.subs(here)) for each in problem.rhs]
    c, w = 4.0, 4.0
    growth = 0.2 * 3.0 / (1 + (0.2 / 0.9 * w) ** 20) ** (1 / 20)
    expected = [-0.2 * 40, growth - 0.05 * c * 3.0, 0.05 * c * 3.0 - 0.4 * 0.5,
                0.4 * (0.5 - 0.3), 0.4 * (0.3 - 0.2)]  # fmt: skip
    np.testing.assert_allclose(seen, expected, rtol=1e-12)
    assert float(problem.readouts[1].subs(here)) == pytest.approx(w)
    assert bn.growth.simeoni().compartments == ("growing",)


def test_curves_are_their_formulas():
    values = {
        "Asym": 190.0,
        "xmid": 700.0,
        "scal": 340.0,
        "A": 3.0,
        "B": 9.0,
        "y0": -2.0,
        "k": 0.01,
    }
    t = 820.0
    rise = 1 / (1 + math.exp((700 - t) / 340))
    expected = {
        "logistic_curve": 190 * rise,
        "four_parameter_logistic_curve": 3 + 6 * rise,
        "gompertz_curve": 190 * math.exp(-math.exp((700 - t) / 340)),
        "asymptotic_curve": 190 - 192 * math.exp(-0.01 * t),
    }
    for name, value in expected.items():
        structure = getattr(bn.growth, name)(output="height")
        here = {each: values.get(each.name, t) for each in structure.expression.free_symbols}
        assert float(structure.expression.subs(here)) == pytest.approx(value, rel=1e-14)
        assert structure.outputs == ("height",)
        assert set(structure.parameters) <= set().union(*structure.balances)


def test_the_halfway_points_are_as_described():
    curve = bn.growth.logistic_curve().expression
    here = {each.name: each for each in curve.free_symbols}
    values = {here["Asym"]: 10.0, here["xmid"]: 5.0, here["scal"]: 2.0}
    assert float(curve.subs({**values, here["t"]: 5.0})) == 5.0
    assert float(curve.subs({**values, here["t"]: 5 + 2 * math.log(3)})) == pytest.approx(7.5)
