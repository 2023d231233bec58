import math as stdlib_math

import numpy as np
import pytest
import sympy

from bayesnlme import math
from bayesnlme.errors import ModelError
from bayesnlme.odes.trace import trace, trace_curve

OUTPUTS = {"signal": lambda t, y, p: y.a}


def make(rhs, *, states=("a",), initial=None, outputs=OUTPUTS, **more):
    return trace(rhs, states=states, initial=initial, outputs=outputs, **more)


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


def test_what_is_said_of_doses_is_a_name_a_number_or_a_function():
    problem = make(
        good,
        dosing={
            "lag": {"a": "tlag"},
            "bioavailability": {"a": lambda p: p.F * p.G},
            "duration": {"a": 2.5},
            "rate": None,
        },
    )
    assert problem.parameters == ("k", "tlag", "F", "G")
    content = problem.to_dict()
    assert content["lag"] == {"a": "tlag"}
    assert content["bioavailability"] == {"a": "F*G"}
    assert content["duration"] == {"a": "2.5"}
    assert "rate" not in content


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("tlag", r'lag must be a dict from states, such as lag=\{"a": "name"\}'),
        ({"b": "tlag"}, "lag names 'b'. Known: 'a'"),
        ({"a": "2*tlag"}, "lag of 'a': '2\\*tlag' is no name of a parameter"),
        ({"a": lambda p: sympy.Symbol("a", real=True)}, "may not depend on 'a'"),
        ({"a": lambda t, y, p: p.x}, "lag a could not be traced"),
        ({"a": [1]}, "lag a: expected an expression"),
        ({"a": "exp"}, "reserved"),
    ],
)
def test_other_things_said_of_doses_are_refused(said, advice):
    with pytest.raises(ModelError, match=advice):
        make(good, dosing={"lag": said})


@pytest.fixture(scope="module")
def base():
    return make(
        lambda t, y, p: {"b": -p.k * y.b},
        states=("b",),
        initial={"b": lambda p: p.b0},
        outputs={"conc": lambda t, y, p: y.b / p.V},
        dosing={"lag": {"b": "tlag"}},
    )


def test_equations_are_added_to_others(base):
    problem = make(
        lambda t, y, p: {"a": p.kin * y.conc - p.kout * y.a + p.k * y.b},
        onto=base,
        dosing={"lag": {"a": "late"}, "bioavailability": {"b": "F"}},
    )
    assert problem.states == ("b", "a")
    assert problem.outputs == ("conc", "signal")
    assert problem.parameters == ("k", "b0", "V", "tlag", "kin", "kout", "late", "F")
    content = problem.to_dict()
    assert content["rhs"] == {"b": "-b*k", "a": "-a*kout + b*k + b*kin/V"}
    assert content["initial"] == {"b": "b0"}
    assert content["lag"] == {"b": "tlag", "a": "late"}
    assert content["bioavailability"] == {"b": "F"}


def test_outputs_alone_may_be_added(base):
    more = {"double": lambda t, y, p: 2 * y.conc}
    problem = make(lambda t, y, p: {}, states=(), outputs=more, onto=base)
    assert problem.to_dict()["outputs"] == {"conc": "b/V", "double": "2*b/V"}


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        ({"states": ("b",), "rhs": lambda t, y, p: {"b": y.b}}, "'b' is used twice"),
        ({"outputs": {"conc": lambda t, y, p: y.a}}, "'conc' is used twice"),
        ({"initial": {"b": 1}}, "initial names 'b'. Known: 'a'"),
        ({"initial": 1.0}, "initial is 1.0: write a mapping from the names of states"),
        ({"rhs": lambda t, y, p: {"a": 1, "b": 1}}, "rhs names 'b'"),
        ({"rhs": lambda t, y, p: {"a": y.con}}, "y.con is no state. Did you mean 'conc'"),
        ({"dosing": {"lag": {"b": "other"}}}, "The lag of 'b' is given already"),
    ],
)
def test_what_is_there_is_not_changed(base, changes, advice):
    with pytest.raises(ModelError, match=advice):
        make(**({"rhs": good, "onto": base} | changes))


def test_a_curve_is_traced_once():
    expression, names = trace_curve(lambda t, p: p.b * math.exp(-p.a * t))
    assert names == ("b", "a")
    assert str(expression) == "b*exp(-a*t)"
    with pytest.raises(ModelError, match="curve could not be traced"):
        trace_curve(lambda t: t)


def test_errors_of_the_function_itself_come_through():
    with pytest.raises(KeyError):
        make(lambda t, y, p: {"a": {}["gone"]})
