"""From the plain tables of `tests/reference` to the problems and schedules of the engine."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from bayesnlme.odes import loop
from bayesnlme.odes.backends.drive import Solve
from bayesnlme.odes.problem import problem_from_text
from bayesnlme.odes.schedule import REAL_FIELDS, Kind, Schedule

BANK = Path(__file__).parents[1] / "reference" / "bank.json"
EQUATIONS = ("rhs", "outputs", "initial", "lag", "bioavailability", "duration", "rate")


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
    walk = Solve(problem, solver, parameters, schedule, sensitivities=True)
    walk.run()
    steps = int(walk.given[loop.TAKEN])
    return Solved(prediction=walk.prediction, sensitivity=walk.sensitivity, steps=steps)


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
    return as_arrays(columns)


def as_arrays(columns):
    """Make a schedule of lists by the names of its arrays."""
    return Schedule(
        **{
            name: np.array(values, np.float64 if name in REAL_FIELDS else np.int64)
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
