"""From the plain tables of `tests/reference` to the problems and schedules of the engine."""

import ctypes
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from bayesnlme.odes import loop
from bayesnlme.odes.code import generate
from bayesnlme.odes.problem import problem_from_text
from bayesnlme.odes.schedule import Kind, Schedule

BANK = Path(__file__).parents[1] / "reference" / "bank.json"
EQUATIONS = ("rhs", "outputs", "initial", "lag", "bioavailability", "duration", "rate")
REAL = frozenset(
    {
        "start_time",
        "record_time",
        "record_amount",
        "record_rate",
        "record_interval",
        "observation_time",
    }
)


@cache
def bank():
    """Read the bank: its models by name, and the cases of every model."""
    content = json.loads(BANK.read_text())
    cases = {name: [] for name in content["models"]}
    for case in content["cases"]:
        cases[case["model"]].append(case)
    return content["models"], cases


@dataclass(frozen=True, kw_only=True, eq=False)
class Solved:
    """Predictions, shape (observations,); sensitivities, (pairs, parameters); steps taken."""

    prediction: np.ndarray
    sensitivity: np.ndarray
    steps: int


def solve(problem, solver, parameters, schedule):
    """Call the engine for a whole population.

    It is called by its address: numba's wrapper of a kernel, which other tests go through, takes a
    second to compile for every model and every tolerance.
    """
    enter, table, described, tolerances, n_header = _prepared(problem, solver)
    prediction = np.empty(len(schedule.observation_time))
    sensitivity = np.empty((len(schedule.pair_row), len(problem.parameters)))
    header, given = np.zeros(n_header, np.int64), np.zeros(loop.N_ARGUMENTS, np.int64)
    parameters = np.ascontiguousarray(parameters, np.float64)
    addresses = {
        loop.PROBLEM: described,
        loop.TOLERANCES: tolerances,
        loop.PARAMETERS: parameters,
        loop.PREDICTION: prediction,
        loop.SENSITIVITY: sensitivity,
        loop.HEADER: header,
    }
    for field, array in addresses.items():
        given[field] = array.ctypes.data
    given[loop.TABLE] = table
    given[loop.N_PROBLEM], given[loop.N_HEADER] = len(described), len(header)
    given[loop.N_ROWS], given[loop.N_VALUES] = parameters.shape
    given[loop.LAST] = len(schedule.start_time)
    given[loop.SCHEDULE :] = [each.ctypes.data for each in schedule] + [len(e) for e in schedule]
    assert enter(given.ctypes.data) == 0, "the arrays do not fit each other"
    integers, reals = np.zeros(given[loop.N_INTEGERS], np.int64), np.zeros(given[loop.N_REALS])
    given[loop.INTEGERS], given[loop.WORK] = integers.ctypes.data, reals.ctypes.data
    enter(given.ctypes.data)
    return Solved(prediction=prediction, sensitivity=sensitivity, steps=int(given[loop.TAKEN]))


@cache
def _prepared(problem, solver):
    code = generate(problem, sensitivities=True)
    enter = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)(loop.entry()[1])
    return enter, code.compile().table, *loop.describe(code, solver), loop.header_size(code)


def problem_of(model):
    """Read the equations of a model; the parameters keep their order."""
    equations = {name: model[name] for name in EQUATIONS if name in model}
    return problem_from_text(parameters=model["parameters"], **equations)


def schedule_of(problem, subjects):
    """Flatten tables, one for each subject, given as pairs (table, number of rows)."""
    columns = {name: [] for name in Schedule._fields}
    for name in ("record_offsets", "observation_offsets", "pair_offsets"):
        columns[name].append(0)
    first_row = 0
    for table, n_rows in subjects:
        _flatten(columns, problem, table, first_row)
        first_row += n_rows
    return Schedule(
        **{
            name: np.array(values, np.float64 if name in REAL else np.int64)
            for name, values in columns.items()
        }
    )


def _flatten(columns, problem, table, first_row):
    columns["start_time"].append(min(row["time"] for row in table))
    columns["start_row"].append(first_row)
    current = 0
    for place, row in enumerate(table):
        order = 2 * place
        if row["kind"] == "observe":
            columns["observation_time"].append(row["time"])
            columns["observation_output"].append(problem.outputs.index(row["output"]))
            columns["observation_order"].append(order)
            columns["pair_row"].extend(range(first_row, first_row + current + 1))
            columns["pair_offsets"].append(len(columns["pair_row"]))
            continue
        current = row["row"] if row["kind"] == "row" else current
        state = row.get("compartment")
        record = {
            "time": row["time"],
            "kind": Kind[row["kind"].upper()],
            "compartment": 0 if state is None else problem.states.index(state),
            "amount": row.get("amount", 0.0),
            "rate": row.get("rate", 0.0),
            "interval": row.get("interval", 0.0),
            "steady_state": row.get("steady_state", 0),
            "row": first_row + row.get("row", current),
            "order": order,
        }
        for name, value in record.items():
            columns[f"record_{name}"].append(value)
    columns["record_offsets"].append(len(columns["record_time"]))
    columns["observation_offsets"].append(len(columns["observation_time"]))
