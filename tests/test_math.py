import numpy as np
import pytest
import sympy

from bayesnlme import math
from bayesnlme.errors import ModelError

UNARY = ["exp", "log", "log10", "sqrt", "sin", "cos", "tan", "tanh", "abs"]
x = sympy.Symbol("x", real=True)


@pytest.mark.parametrize("name", UNARY)
def test_symbols_numbers_and_arrays_agree(name):
    function = getattr(math, name)
    traced = float(sympy.N(function(x).subs({x: 0.37})))
    assert traced == pytest.approx(function(0.37), rel=1e-14)
    np.testing.assert_allclose(function(np.array([0.37, 1.2]))[0], traced, rtol=1e-14)


def test_numbers_stay_numbers():
    assert not isinstance(math.exp(2.0), sympy.Basic)
    assert math.maximum(1.0, 2.0) == 2.0
    assert math.power(2.0, 3) == 8.0
    assert math.where(False, 3.0, 4.0) == 4.0
    np.testing.assert_array_equal(math.where(np.array([True, False]), 1, 2), [1, 2])


@pytest.mark.parametrize(("value", "low", "high"), [(1, 1, 2), (3, 2, 3)])
def test_smaller_and_larger_of_symbols(value, low, high):
    assert math.minimum(x, 2).subs({x: value}) == low
    assert math.maximum(x, 2).subs({x: value}) == high


@pytest.mark.parametrize("condition", [True, x == 1, sympy.And(x > 0, x < 1), sympy.Eq(x, 1)])
def test_conditions_that_cannot_be_traced(condition):
    with pytest.raises(ModelError, match="one comparison"):
        math.where(condition, x, 2)
