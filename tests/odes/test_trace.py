import math as stdlib_math

import numpy as np
import pytest
import sympy

from bayesnlme import math
from bayesnlme.errors import ModelError
from bayesnlme.odes.trace import trace

OUTPUTS = {"signal": lambda t, y, p: y.a}


def make(rhs, *, states=("a",), initial=None, outputs=OUTPUTS):
    return trace(rhs, states=states, initial=initial, outputs=outputs)


def test_names_in_order_of_first_use():
    problem = make(
        lambda t, y, p: {"b": -p.k2 * y.b, "a": p.k1 * (y.b - y.a) + 0 * p.unused},
        states=("a", "b"),
        initial={"b": lambda p: p.b0, "a": 2},
        outputs={"signal": lambda t, y, p: y.a * p.scale + t},
    )
    assert problem.parameters == ("k2", "k1", "b0", "scale")
    assert problem.states == ("a", "b")
    assert problem.to_dict()["initial"] == {"a": "2", "b": "b0"}


def decide(t, y, p):
    return {"a": -p.k * y.a if y.a > 0 else 0}


@pytest.mark.parametrize(
    ("rhs", "advice"),
    [
        (decide, "bayesnlme.math.where"),
        (lambda t, y, p: {"a": max(-p.k * y.a, 0)}, "maximum"),
        (lambda t, y, p: {"a": -stdlib_math.exp(p.k) * y.a}, "bayesnlme.math.exp"),
        (lambda t, y, p: {"a": -np.exp(p.k) * y.a}, "bayesnlme.math.exp"),
        (lambda t, y, p: {"a": math.where(p.k == 1, y.a, 2)}, "Python if"),
        (lambda t, y, p: {"a": math.where((y.a > 0) & (p.k > 0), 1, 2)}, "Nest where"),
        (lambda t, y, p: -p.k * y.a, "must return a dict"),
        (lambda t, y, p: {}, "no derivative of 'a'"),
        (lambda t, y, p: {"a": -p.k * y.a, "aa": 1}, "Did you mean 'a'"),
        (lambda t, y, p: {"a": -p.k * y.aa}, "Did you mean 'a'"),
        (lambda t, y, p: {"a": "-k*a"}, "expected an expression"),
        (lambda t, y, p: {"a": y.a > p.k}, "expected an expression"),
        (lambda t, y, p: {"a": sympy.gamma(p.k)}, "functions of bayesnlme.math"),
        (lambda t, y, p: {"a": sympy.Symbol("k") * y.a * p.q}, "neither a state nor a parameter"),
        (lambda t, y, p: {"a": p.k * float("nan")}, "not a finite"),
        (lambda t, y, p: {"a": p.a * y.a}, "used twice"),
        (lambda t, y, p: {"a": p.exp * y.a}, "reserved"),
        (lambda t, y, p: {"a": y.a}, "no parameter"),
        (lambda y, p: {"a": y.a}, "could not be traced"),
    ],
)
def test_refused(rhs, advice):
    with pytest.raises(ModelError, match=advice):
        make(rhs)


def good(t, y, p):
    return {"a": -p.k * y.a}


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        ({"states": "a"}, r"\('a',\)"),
        ({"states": ()}, "at least one state"),
        ({"states": ("a", "a")}, "used twice"),
        ({"states": ("a b",)}, "no name"),
        ({"states": ("t",)}, "reserved"),
        ({"outputs": {}}, "at least one output"),
        ({"outputs": {"signal": 3}}, "must be a function"),
        ({"initial": {"A": 1}}, "Did you mean 'a'"),
        ({"initial": {"a": "1"}}, "expected an expression"),
        ({"initial": {"a": lambda p, q: 1}}, "could not be traced"),
    ],
)
def test_other_arguments_refused(changes, advice):
    with pytest.raises(ModelError, match=advice):
        make(good, **changes)


def test_errors_of_the_function_itself_come_through():
    with pytest.raises(KeyError):
        make(lambda t, y, p: {"a": {}["gone"]})
