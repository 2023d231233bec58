"""Cases of the bank for the tests of backends, and solves of whole populations."""

from functools import cache

import numpy as np

from bayesnlme.odes.backends.drive import solve_by_stretches
from bayesnlme.odes.op import compiled_kernel
from tests.odes.bank_schedule import bank, problem_of, schedule_of

MODELS, CASES = bank()
FEW = (
    "lags reorder doses",
    "modelled duration into the depot",
    "modelled rate",
    "two steady states",
    "second steady state of long infusions on running and pending doses",
    "constant infusion at steady state",
    "reset while an infusion runs and a dose pends",
    "parameters change twice",
    "a late dose with the parameters of an earlier row",
)
"""Cases that have every event between them."""


def few(model):
    """Return the cases of a model that are among `FEW`."""
    return [case for case in CASES[model] if case["name"].removeprefix(f"{model}: ") in FEW]


@cache
def problem(model):
    return problem_of(MODELS[model])


def inputs(model, cases):
    """Return parameters and schedule of one subject for each case."""
    parameters = np.concatenate([np.array(case["parameters"]) for case in cases])
    tables = [(case["table"], len(case["parameters"])) for case in cases]
    return parameters, schedule_of(problem(model), tables)


def solve(equations, solver, parameters, schedule, *, sensitivities=True):
    """Solve with any backend; return predictions and, where wanted, their derivatives."""
    if solver.backend == "numba":
        kernel = compiled_kernel(equations, solver, sensitivities=sensitivities)
        found = kernel(parameters, *schedule)
        return found if sensitivities else (found,)
    return solve_by_stretches(equations, solver, parameters, schedule, sensitivities=sensitivities)[
        : 1 + sensitivities
    ]


def errors(found, schedule, cases):
    """Return the largest error of predictions and of derivatives for every case.

    Relative to the largest value of the same output in the case; for derivatives, to the largest
    by the same parameter.
    """
    worst, stop = {}, 0
    for case in cases:
        start, stop = stop, stop + len(case["prediction"])
        offsets = schedule.pair_offsets[start : stop + 1]
        output = schedule.observation_output[start:stop]
        worst[case["name"]] = tuple(
            _error(each, np.array(exact), where)
            for each, exact, where in zip(
                (found[0][start:stop], *(part[offsets[0] : offsets[-1]] for part in found[1:])),
                (case["prediction"], case["gradient"]),
                (output, np.repeat(output, np.diff(offsets))),
                strict=False,
            )
        )
    return worst


def _error(found, exact, output):
    largest = 0.0
    for each in np.unique(output):
        here = output == each
        scale = np.abs(exact[here]).max(axis=0)
        gap = np.abs(found[here] - exact[here]).max(axis=0)
        largest = max(largest, np.max(gap / np.where(scale > 0, scale, 1.0)))
    return largest if np.isfinite(found).all() else np.inf


def above(worst, *limits):
    """List the cases whose errors exceed the limits."""
    return {
        name: each
        for name, each in worst.items()
        if any(one > limit for one, limit in zip(each, limits, strict=False))
    }
