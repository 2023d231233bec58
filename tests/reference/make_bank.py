"""Write `bank.json`: predictions and derivatives of every case, each found by two routes.

Run from the root of the repository: ``python -m tests.reference.make_bank``. Words after the
command choose the cases whose names contain one of them; the others stay as they are.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.reference.cases import Case, all_cases
from tests.reference.equations import Array, Model
from tests.reference.flows import Collocation, Flow, Scipy, exponential
from tests.reference.models import MODELS
from tests.reference.simulate import Prediction, simulate

BANK = Path(__file__).parent / "bank.json"


def second_route(model: Model) -> tuple[str, Flow]:
    """Choose the independent flow that checks a model."""
    if model.linear:
        return "matrix exponential", exponential
    method = "Radau" if model.stiff else "DOP853"
    return f"scipy {method}", Scipy(method)


def difference(case: Case, one: Prediction, other: Prediction) -> tuple[float, float]:
    """Largest difference of values and of derivatives, by output, relative to the largest there."""
    outputs = np.array([row["output"] for row in case.table if row["kind"] == "observe"])
    largest = [0.0, 0.0]
    for name in sorted(set(outputs)):
        here = outputs == name
        for place, (a, b) in enumerate(((one.value, other.value), (one.gradient, other.gradient))):
            scale = np.max(np.abs(a[here]), axis=0)
            gap = np.max(np.abs(a[here] - b[here]), axis=0)
            largest[place] = max(largest[place], np.max(gap / np.where(scale > 0, scale, 1)))
    return largest[0], largest[1]


def rows_in_force(case: Case) -> list[int]:
    """Count, for every observation, the rows of parameters in force up to then."""
    counts, current = [], 1
    for row in case.table:
        if row["kind"] == "row":
            current = row["row"] + 1
        elif row["kind"] == "observe":
            counts.append(current)
    return counts


def entry(case: Case) -> dict[str, Any]:
    """Work one case out."""
    model = MODELS[case.model]
    best = simulate(
        model, case.table, case.parameters, flow=Collocation(stages=10, tolerance=1e-15)
    )
    coarse = simulate(
        model, case.table, case.parameters, flow=Collocation(stages=7, tolerance=1e-13)
    )
    name, flow = second_route(model)
    other = simulate(model, case.table, case.parameters, flow=flow)
    pairs = [
        best.gradient[j, row] for j, count in enumerate(rows_in_force(case)) for row in range(count)
    ]
    return {
        "name": case.name,
        "model": case.model,
        "accuracy": _rounded_up(difference(case, best, coarse)),
        "second_route": {"name": name, "difference": _rounded_up(difference(case, best, other))},
        "parameters": [[row[each] for each in model.parameters] for row in case.parameters],
        "table": case.table,
        "prediction": _digits(best.value),
        "gradient": [_digits(each) for each in pairs],
    }


def _rounded_up(numbers: tuple[float, float]) -> dict[str, float]:
    rounded = [float(f"{max(each, 1e-16):.0e}") for each in numbers]
    return dict(zip(("prediction", "gradient"), rounded, strict=True))


def _digits(values: Array) -> list[float]:
    return [float(f"{each:.15g}") for each in values]


def text(bank: dict[str, Any]) -> str:
    """Write the bank with one line for each model and each part of a case."""
    models = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in bank["models"].items())
    cases = ",\n".join(
        "{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in each.items()) + "\n}"
        for each in bank["cases"]
    )
    return f'{{\n"models": {{\n{models}\n}},\n"cases": [\n{cases}\n]\n}}\n'


def main(words: Sequence[str]) -> None:
    """Work out the cases whose names contain one of the words, or all; keep the others."""
    cases = all_cases()
    entries = {each["name"]: each for each in json.loads(BANK.read_text())["cases"]}
    for case in cases:
        if words and not any(word in case.name for word in words):
            continue
        found = entries[case.name] = entry(case)
        parts = {key: found[key] for key in ("name", "accuracy", "second_route")}
        sys.stdout.write(f"{json.dumps(parts)}\n")
        sys.stdout.flush()
        kept = [entries[each.name] for each in cases if each.name in entries]
        BANK.write_text(text({"models": models(), "cases": kept}))


def models() -> dict[str, Any]:
    """Give every model as plain text."""
    return {
        name: {"parameters": list(model.parameters), "linear": model.linear, "stiff": model.stiff}
        | model.text()
        for name, model in MODELS.items()
    }


if __name__ == "__main__":
    main(sys.argv[1:])
