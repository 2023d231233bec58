import dataclasses
import tomllib

import numpy as np
import pandas as pd
import pytensor
import pytensor.tensor as pt
import pytest
import tomlkit
from pytensor.compile.mode import Mode

from bayesnlme.data import read_data
from bayesnlme.data.datasets import theophylline
from bayesnlme.errors import DataError, ModelError
from bayesnlme.odes.schedule import Kind, Schedule
from bayesnlme.odes.solver import Solver
from bayesnlme.structural.base import Structure
from bayesnlme.structural.custom import ode, ode_from_dict
from bayesnlme.structural.pk import one_compartment

COLUMNS = ["ID", "TIME", "EVID", "AMT", "RATE", "CMT", "DV", "MDV"]


def oral(**changes):
    return ode(
        lambda t, y, p: {
            "depot": -p.ka * y.depot,
            "central": p.ka * y.depot - p.CL / p.V * y.central,
        },
        **{
            "states": ("depot", "central"),
            "outputs": {"conc": lambda t, y, p: y.central / p.V},
            "solver": Solver(rtol=1e-8, atol=1e-10),
        }
        | changes,
    )


@pytest.fixture(scope="module")
def structure():
    return oral()


def table(rows, **options):
    frame = pd.DataFrame(rows, columns=COLUMNS[: len(rows[0])])
    return read_data(frame, **options)


def predict(structure, data, parameters):
    """Predictions and the gradient of their sum of squares by the log parameters."""
    logs = {name: pt.vector(name) for name in structure.parameters}
    inputs = {
        name: pytensor.shared(array, name=name) for name, array in structure.inputs(data).items()
    }
    individual = {name: pt.exp(each) for name, each in logs.items()}
    prediction = structure.predict(individual, inputs)
    loss = (prediction**2).sum()
    outputs = [prediction, *pytensor.grad(loss, list(logs.values()))]
    function = pytensor.function(list(logs.values()), outputs, mode=Mode("py", "fast_run"))
    return function(*(np.log(parameters[name]) for name in structure.parameters))


def individuals(n_subjects):
    rng = np.random.default_rng(4)
    typical = {"ka": 1.4, "CL": 2.8, "V": 32.0}
    return {name: value * np.exp(rng.normal(0, 0.3, n_subjects)) for name, value in typical.items()}


def regimens():
    """Boluses, infusions, additional doses, a reset, doses between and at observations."""
    sees = [(t, 0, 0.0, 0.0, 0, 1.0, 0) for t in (0.5, 2.0, 6.0, 12.0, 26.0, 40.0)]
    doses = [
        [(0.0, 1, 320.0, 0.0, 1, np.nan, 1)],
        [(0.0, 1, 60.0, 20.0, 2, np.nan, 1), (2.0, 1, 100.0, 0.0, 1, np.nan, 1)],
        [(0.0, 1, 60.0, 0.0, 2, np.nan, 1), (12.0, 4, 80.0, 8.0, 2, np.nan, 1)],
    ]
    rows = []
    for number, given in enumerate(doses):
        both = sorted(given + sees, key=lambda row: (row[0], row[1] == 0))
        rows += [(number + 1, *row) for row in both]
    return table(rows)


def assert_same_curves(structure, data):
    parameters = individuals(data.n_subjects)
    closed = predict(one_compartment(absorption="first_order"), data, parameters)
    solved = predict(structure, data, parameters)
    np.testing.assert_allclose(solved[0], closed[0], rtol=1e-7, atol=1e-8)
    order = [structure.parameters.index(name) for name in ("ka", "CL", "V")]
    for k, gradient in zip(order, closed[1:], strict=True):
        np.testing.assert_allclose(solved[1 + k], gradient, rtol=1e-6, atol=1e-5)


def test_theophylline_is_the_closed_form(structure):
    assert_same_curves(structure, theophylline())


def test_regimens_are_the_closed_form(structure):
    assert_same_curves(structure, regimens())


def test_it_is_a_structure(structure):
    assert isinstance(structure, Structure)
    assert structure.parameters == ("ka", "CL", "V")
    assert structure.compartments == ("depot", "central")
    assert structure.outputs == ("conc",)
    assert structure.balances == ()


def test_inputs_are_a_schedule():
    inputs = oral().inputs(regimens())
    assert tuple(inputs) == Schedule._fields
    assert inputs["record_offsets"].tolist() == [0, 1, 3, 6]
    assert inputs["record_kind"].tolist() == [
        Kind.BOLUS,
        Kind.INFUSION,
        Kind.BOLUS,
        Kind.BOLUS,
        Kind.RESET,
        Kind.INFUSION,
    ]
    assert inputs["record_compartment"].tolist() == [0, 1, 0, 1, 1, 1]
    assert inputs["record_amount"].tolist() == [320, 60, 100, 60, 0, 80]
    np.testing.assert_array_equal(inputs["pair_row"], np.repeat([0, 1, 2], 6))
    np.testing.assert_array_equal(inputs["start_time"], 0)


def test_initial_values_hold_at_the_first_record():
    rows = [(1, -2.0, 2, 0.0, 0.0, 0, np.nan, 1), (1, 1.0, 0, 0.0, 0.0, 0, 1.0, 0)]
    assert oral().inputs(table(rows))["start_time"].tolist() == [-2.0]


def test_outputs_are_matched_by_name():
    two = oral(
        outputs={"amount": lambda t, y, p: y.central, "conc": lambda t, y, p: y.central / p.V}
    )
    frame = pd.DataFrame(
        [(1, 0.0, 1, 9.0, 1, np.nan, np.nan), (1, 1.0, 0, 0, 0, 1, 5.0), (1, 1.0, 0, 0, 0, 2, 6.0)],
        columns=["ID", "TIME", "EVID", "AMT", "CMT", "DVID", "DV"],
    )
    data = read_data(frame, outputs={1: "conc", 2: "amount"})
    assert two.inputs(data)["observation_output"].tolist() == [1, 0]
    with pytest.raises(DataError, match=r"E_OUTPUT_UNKNOWN.*Did you mean 'amount'"):
        two.inputs(read_data(frame, outputs={1: "conc", 2: "amonut"}))


@pytest.mark.parametrize(
    ("dose", "code"),
    [
        ({"RATE": -1.0}, "E_RATE_UNMODELLED"),
        ({"RATE": -2.0}, "E_DURATION_UNMODELLED"),
        ({"CMT": 3}, "E_COMPARTMENT_UNKNOWN"),
    ],
)
def test_events_that_the_equations_lack_are_refused(dose, code):
    plain = {"ID": 1, "EVID": 0, "AMT": 0.0, "RATE": 0.0, "CMT": 1, "II": 0.0, "SS": 0, "DV": 1.0}
    rows = [
        plain | {"TIME": 0.0},
        plain | {"TIME": 1.0, "EVID": 1, "AMT": 9.0, "DV": np.nan} | dose,
        plain | {"TIME": 2.0},
    ]
    with pytest.raises(DataError) as caught:
        oral().inputs(read_data(pd.DataFrame(rows)))
    assert [(finding.code, finding.row) for finding in caught.value.findings] == [(code, 2)]


def test_through_toml_and_back(structure):
    text = tomlkit.dumps(structure.to_dict())
    again = ode_from_dict(tomllib.loads(text))
    assert again == structure
    assert again.key == structure.key
    assert again != dataclasses.replace(structure, solver=Solver())


def test_equations_for_people():
    structure = oral(initial={"depot": lambda p: p.D0 * 2})
    lines = [each.text for each in structure.equations()]
    assert lines == [
        "d depot/dt = -ka*depot",
        "d central/dt = -CL*central/V + ka*depot",
        "depot(t0) = 2*D0",
        "conc = central/V",
    ]
    assert structure.equations()[-1].right == r"\frac{\mathrm{central}}{V}"
    assert structure.equations()[0].left == r"\frac{d\,\mathrm{depot}}{dt}"


@pytest.mark.parametrize(
    ("content", "advice"),
    [
        ({"rhs": {"y": "-k*y"}}, "'outputs' must be a table"),
        ({"outputs": {"s": "y"}}, "'rhs' must be a table"),
        ({"rhs": {"y": "-k*y"}, "outputs": {"s": "y"}, "output": 1}, "Did you mean 'outputs'"),
        ({"rhs": {"y": "-k*y"}, "outputs": {"s": "y"}, "solver": {"rtl": 1}}, "'rtol'"),
        ({"rhs": {"y": "-k*y"}, "outputs": {"s": "y"}, "solver": 3}, "solver"),
        ({"rhs": {"y": "-k*y"}, "outputs": {"s": "y"}, "initial": "1"}, "initial"),
        ({"rhs": {"y": "-k*y"}, "outputs": {"s": "y"}, "states": "y"}, "states"),
        ({"rhs": {"y": "-k*y"}, "outputs": {"s": "y"}, "parameters": [3]}, "list of names"),
        ({"rhs": {"y": "-k*y +"}, "outputs": {"s": "y"}}, "d y/dt.*position"),
    ],
)
def test_wrong_text_is_refused(content, advice):
    with pytest.raises(ModelError, match=advice):
        ode_from_dict(content)


@pytest.mark.parametrize(
    ("make", "advice"),
    [
        (lambda: oral(solver="tsit5"), "must be a Solver"),
        (lambda: ode({"y": "-k*y"}, states=("y",), outputs={}), "must be a function"),
    ],
)
def test_wrong_arguments_are_refused(make, advice):
    with pytest.raises(ModelError, match=advice):
        make()
