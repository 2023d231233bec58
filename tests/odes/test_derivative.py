import pytest
import sympy

from bayesnlme import math
from bayesnlme.odes.derivative import derivative
from bayesnlme.odes.text import symbol

x, g, k = symbol("x"), symbol("g"), symbol("k")

EXPRESSIONS = [
    x**g / (k**g + x**g),
    math.sqrt(x) * k,
    x**0.75 - x**2.5 + x**-1.5,
    (x / k) ** g,
    math.where(x > k, x**2, math.exp(-x * g)),
    math.minimum(x * k, g) + math.maximum(x, 2 * k),
    math.abs(x - 3 * k) * math.tanh(g),
    g**x,
]


@pytest.mark.parametrize("expression", EXPRESSIONS)
@pytest.mark.parametrize("variable", [x, g, k])
def test_against_differences(expression, variable):
    point = {x: 1.7, g: 2.3, k: 0.9}
    step = sympy.Float("1e-12", 40)
    shifted = [
        sympy.N(expression.subs(point | {variable: point[variable] + side * step}), 40)
        for side in (1, -1)
    ]
    slope = float((shifted[0] - shifted[1]) / (2 * step))
    value = float(sympy.N(derivative(expression, variable).subs(point)))
    assert value == pytest.approx(slope, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ("expression", "variable", "exponent", "expected"),
    [
        (x**g, x, 2.0, 0.0),
        (x**g, x, 1.0, 1.0),
        (x**g, x, 0.5, 0.0),
        (x**g, g, 2.0, 0.0),
        (math.sqrt(x), x, 1.0, 0.0),
        (x**g / (1 + x**g), x, 1.5, 0.0),
        (math.maximum(x - 1, 0) ** g, g, 1.5, 0.0),
        (math.maximum(x - 1, 0) ** g, x, 1.5, 0.0),
    ],
)
def test_powers_of_zero(expression, variable, exponent, expected):
    slope = derivative(expression, variable)
    function = sympy.lambdify((x, g), slope.subs({x: sympy.Float(0)}), modules="sympy")
    assert float(function(0.0, exponent)) == expected
