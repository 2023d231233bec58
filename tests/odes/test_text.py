import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from bayesnlme import math
from bayesnlme.errors import ModelError
from bayesnlme.odes.text import check_expression, parse, symbol, text

x, k = symbol("x"), symbol("k")


@pytest.mark.parametrize(
    "expression",
    [
        0.1 + 0.2 + x,
        x / 3,
        -k * x**2 + k**-1,
        x ** sympy.Rational(2, 3),
        math.sqrt(x) * math.pi,
        math.where(x < k, 1e-300 * x, -(x**k)),
        math.where(x > 1, math.where(k >= 0, x, 2), math.tanh(x)),
        math.minimum(x, k) - math.maximum(x, 2.5),
        math.minimum(math.maximum(x, k), 2.5),
        math.where(math.minimum(x, k) < math.maximum(x, 1), x, math.minimum(x, k)),
        math.abs(x) * math.log10(k) + math.exp(1 + 0 * x),
        math.power(x, k) * math.sin(x) / math.cos(k) + math.tan(x),
        1e22 * x + 123456789012345678901234567890 * k,
    ],
)
def test_round_trip(expression):
    once = parse(text(sympy.sympify(expression)), label="test")
    assert parse(text(once), label="test") == once
    values = {x: 1.3, k: 0.7}
    expected = complex(sympy.N(sympy.sympify(expression).subs(values)))
    assert complex(sympy.N(once.subs(values))) == pytest.approx(expected, rel=1e-14)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_keep_every_bit(number):
    assert float(parse(text(sympy.Float(number)), label="n")) == number


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("__import__('os').system('true')", "not allowed"),
        ("x.__class__", "not allowed"),
        ("[x for x in (1,)]", "not allowed"),
        ("lambda: 1", "not allowed"),
        ("x if x else k", "not allowed"),
        ("x == k", "not allowed"),
        ("x < k", "not allowed"),
        ("where(x, 1, 2)", "one comparison"),
        ("where(0 < x < 1, 1, 2)", "one comparison"),
        ("where(x == 1, 1, 2)", "one comparison"),
        ("where(x < 1, 1)", "needs 3 arguments"),
        ("ex(x)", "Did you mean 'exp'"),
        ("exp(x=1)", "not allowed"),
        ("x ^ 2", r"uses \^\. Write a power with \*\*"),
        ("-k*x^2", r"uses \^\. Write a power with \*\*"),
        ("x // 2", "not allowed"),
        ("True", "not allowed"),
        ("1j*x", "not allowed"),
        ("'x'", "not allowed"),
        ("1e999", "too large"),
        ("9**9**9**9", "too large a power"),
        ("1/0", "not a finite"),
        ("(-1)**0.5", "not a finite"),
        ("log(0)", "not a finite"),
        ("x +", "position"),
        ("", "position"),
        ("\0", "cannot read"),
        ("+".join(["x"] * 5000), "nested too deeply"),
    ],
)
def test_everything_else_is_refused(source, problem):
    with pytest.raises(ModelError, match="here|" + problem):
        parse(source, label="here")


def test_position_and_unknown_name():
    with pytest.raises(ModelError, match=r"d a/dt: 'clx' at position 4 .* Did you mean 'CLx'"):
        parse("2*(clx)", label="d a/dt", names=("CLx", "V"))


@pytest.mark.parametrize("value", [None, "x", True, x < 1, [x], {}, sympy.nan, sympy.gamma(x)])
def test_only_finite_known_expressions(value):
    with pytest.raises(ModelError, match="here"):
        check_expression(value, label="here")
