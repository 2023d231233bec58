"""Functions of time alone: their translation, their derivatives, what they refuse."""

import numpy as np
import pandas as pd
import pytensor
import pytensor.tensor as pt
import pytest
import sympy

import bayesnlme as bn
from bayesnlme import math
from bayesnlme.data.rows import parameter_rows
from bayesnlme.errors import DataError, ModelError
from bayesnlme.odes.text import symbol
from bayesnlme.structural.base import Structure
from bayesnlme.structural.curve import curve_from_dict

TIMES = np.array([0.0, 0.3, 1.0, 2.5, 7.0, 1.0, 4.0])
ROWS = np.array([0, 0, 0, 0, 0, 1, 1])

CURVES = {
    "bateman": lambda t, p: p.a * (math.exp(-p.k * t) - math.exp(-2 * p.k * t)),
    "waves": lambda t, p: p.a * math.sin(p.k * t) + math.cos(t) * math.tan(p.k / 9) + math.pi,
    "saturating": lambda t, p: p.a * math.tanh(p.k * t) / math.sqrt(1 + t) + math.log10(p.a + t),
    "power": lambda t, p: p.a * t**p.k + t**2 / p.a - math.power(p.k, 3),
    "switch": lambda t, p: math.where(t > p.a, math.log(t - p.a + 1) * p.k, -p.k * t),
    "ends": lambda t, p: math.minimum(p.a * t, p.k) + math.maximum(t, p.k) - abs(t - p.a),
}
VALUES = {"a": np.array([1.3, 2.1]), "k": np.array([0.7, 1.9])}


def compiled(structure, *, order=1):
    """Compile predictions, then derivatives of their weighted sum up to an order."""
    parameters = {name: pt.dvector(name) for name in structure.parameters}
    inputs = {"time": pt.dvector("time"), "row": pt.lvector("row")}
    prediction = structure.predict(parameters, inputs)
    outputs, level = [prediction], (prediction * (1 + pt.arange(7))).sum()
    for _ in range(order):
        gradients = pytensor.grad(level, [*parameters.values()], disconnected_inputs="ignore")
        outputs += gradients
        level = sum(each.sum() for each in gradients)
    function = pytensor.function(
        [*parameters.values(), *inputs.values()], outputs, mode="FAST_COMPILE"
    )
    return function(*(VALUES[name] for name in structure.parameters), TIMES, ROWS)


def exact(structure, derivative=()):
    """Return what SymPy makes of the same function, observation by observation."""
    expression = structure.expression
    for name in derivative:
        expression = sympy.diff(expression, symbol(name))
    found = []
    for t, row in zip(TIMES, ROWS, strict=True):
        here = {symbol(name): VALUES[name][row] for name in structure.parameters}
        found.append(float(expression.subs({symbol("t"): t, **here})))
    return np.array(found)


@pytest.mark.parametrize("name", CURVES)
def test_values_and_derivatives_are_those_of_the_function(name):
    structure = bn.curve(CURVES[name])
    value, *gradients = compiled(structure)
    np.testing.assert_allclose(value, exact(structure), rtol=1e-13, atol=1e-13)
    weights = 1 + np.arange(7)
    for each, gradient in zip(structure.parameters, gradients, strict=True):
        if name == "power" and each == "k":
            slopes = np.where(TIMES > 0, VALUES["a"][ROWS] * TIMES ** VALUES["k"][ROWS] * np.log(
                np.maximum(TIMES, 1e-300)), 0) - 3 * VALUES["k"][ROWS] ** 2  # fmt: skip
        else:
            slopes = exact(structure, [each])
        expected = [np.sum((weights * slopes)[row == ROWS]) for row in (0, 1)]
        np.testing.assert_allclose(gradient, expected, rtol=1e-12, atol=1e-12)


def test_second_derivatives():
    structure = bn.curve(CURVES["bateman"])
    *_, by_a, by_k = compiled(structure, order=2)
    weights = 1 + np.arange(7)
    for found, name in ((by_a, "a"), (by_k, "k")):
        slopes = sum(exact(structure, [other, name]) for other in ("a", "k"))
        expected = [np.sum((weights * slopes)[row == ROWS]) for row in (0, 1)]
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_side_that_is_not_chosen_does_no_harm():
    """The logarithm and the exponential are not finite where they are not chosen."""
    structure = bn.curve(
        lambda t, p: (
            math.where(t > p.a, math.log(t - p.a), p.k)
            + math.where(t > p.a, math.exp(-2999 * p.k * (t - p.a)), 1)
        )
    )
    value, *gradients = compiled(structure)
    assert np.isfinite(value[VALUES["a"][ROWS] >= TIMES]).all()
    assert all(np.isfinite(each).all() for each in gradients)


def test_the_compiled_graph_is_the_same_in_numba():
    structure = bn.curve(CURVES["switch"])
    parameters = [pt.dvector(name) for name in structure.parameters]
    inputs = {"time": pt.dvector("time"), "row": pt.lvector("row")}
    prediction = structure.predict(dict(zip(structure.parameters, parameters, strict=True)), inputs)
    gradients = pytensor.grad(prediction.sum(), parameters)
    variables = [*parameters, *inputs.values()]
    given = [*(VALUES[name] for name in structure.parameters), TIMES, ROWS]
    plain = pytensor.function(variables, [prediction, *gradients], mode="FAST_COMPILE")(*given)
    fast = pytensor.function(variables, [prediction, *gradients], mode="NUMBA")(*given)
    for one, other in zip(plain, fast, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-13)


def data_of(*rows, columns=("ID", "TIME", "DV"), **options):
    return bn.read_data(pd.DataFrame(list(rows), columns=columns), **options)


def test_it_is_a_structure_without_compartments():
    structure = bn.growth.logistic_curve(output="circumference")
    assert isinstance(structure, Structure)
    assert structure.compartments == ()
    assert structure.outputs == ("circumference",)
    assert structure.equations()[0].text == "circumference = Asym/(exp((-t + xmid)/scal) + 1)"
    assert structure.equations()[0].left == r"\mathrm{circumference}"


def test_inputs_are_times_and_rows():
    data = data_of((1, 0.5, 3.0), (1, 2.0, 4.0), ("b", 1.0, 2.0))
    inputs = bn.growth.logistic_curve().inputs(data)
    assert inputs["time"].tolist() == [0.5, 2.0, 1.0]
    assert inputs["row"].tolist() == [0, 0, 1]


def test_rows_of_parameters_are_those_of_the_observations():
    columns = ("ID", "TIME", "DV", "WT")
    data = data_of((1, 0.5, 3.0, 70), (1, 2.0, 4.0, 71), (2, 1.0, 2.0, 80), columns=columns)
    rows = parameter_rows(data, ["WT"])
    assert bn.growth.logistic_curve().inputs(data, rows)["row"].tolist() == [0, 1, 2]


def test_doses_are_refused_row_by_row():
    columns = ("ID", "TIME", "EVID", "AMT", "CMT", "DV")
    data = data_of(
        (1, 0, 1, 9.0, 1, None), (1, 1, 0, 0, 0, 3.0), (1, 2, 1, 9.0, 1, None), columns=columns
    )
    with pytest.raises(DataError) as refused:
        bn.growth.logistic_curve().inputs(data)
    assert [
        (each.code, each.row, each.column, each.subject) for each in refused.value.findings
    ] == [
        ("E_DOSE_UNUSED", 1, "AMT", "1"),
        ("E_DOSE_UNUSED", 3, "AMT", "1"),
    ]
    assert all(each.remedy for each in refused.value.findings)


def test_other_outputs_are_refused():
    columns = ("ID", "TIME", "DVID", "DV")
    data = data_of((1, 0, "value", 9.0), (1, 1, "z", 3.0), columns=columns)
    with pytest.raises(DataError, match=r"E_OUTPUT_UNKNOWN.*'z'.*subset"):
        bn.curve(CURVES["bateman"]).inputs(data)
    assert bn.curve(CURVES["bateman"]).inputs(data_of((1, 0.5, 3.0)))["row"].tolist() == [0]


@pytest.mark.parametrize("name", CURVES)
def test_through_text_and_back(name):
    structure = bn.curve(CURVES[name], output="height")
    content = structure.to_dict()
    assert content["kind"] == "curve"
    assert curve_from_dict({k: v for k, v in content.items() if k != "kind"}) == structure


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: bn.curve(3), "expected a function of (t, p), not 3"),
        (lambda: bn.curve(lambda t: t), "curve could not be traced"),
        (lambda: bn.curve(lambda t, p: t * 2), "no parameter, so there is nothing to estimate"),
        (lambda: bn.curve(lambda t, p: np.exp(p.a)), "Use the one of bayesnlme.math"),
        (lambda: bn.curve(lambda t, p: p.a if t > 1 else 0), "Use bayesnlme.math.where"),
        (lambda: bn.curve(lambda t, p: sympy.Symbol("b") * p.a), "'b' is no parameter of this"),
        (lambda: bn.curve(lambda t, p: p.t), "'t' is reserved"),
        (lambda: bn.curve(lambda t, p: p.a, output="a b"), "'a b' is no name"),
        (lambda: bn.curve(lambda t, p: "p.a"), "expected an expression or a number"),
        (lambda: curve_from_dict({"equation": "a*x", "parameters": ["a"]}), "'x' at position 3"),
        (lambda: curve_from_dict({"equation": "a*"}), "equation: cannot read 'a*'"),
        (lambda: curve_from_dict({"equation": "a*t", "parameters": ["a", "a"]}), "used twice"),
    ],
)
def test_what_is_no_curve_is_refused(make, message):
    with pytest.raises(ModelError) as refused:
        make()
    assert message in str(refused.value)
