"""The engine against the bank of `tests/reference`, every case of a model in one solve."""

from functools import cache

import numpy as np
import pytest

from bayesnlme.odes.op import compiled_kernel
from bayesnlme.odes.solver import Solver
from tests.odes.bank_schedule import bank, problem_of, schedule_of, solve

MODELS, CASES = bank()
LOOSE = {"rtol": 1e-6, "atol": 1e-8}
TIGHT = {"rtol": 1e-10, "atol": 1e-12}
NO_CLOSED_FORM = {"recirculation", "transit"}
SMALL = {"robertson": 1e-4}
"""Smaller absolute tolerances: its second state stays below 4e-5, but starts at zero and gets no
dose, so that the engine takes its scale for 1."""


def solver_of(name, method, tolerances):
    atol = max(tolerances["atol"] * SMALL.get(name, 1.0), 1e-14)
    return Solver(method=method, rtol=tolerances["rtol"], atol=atol)


def methods(name):
    model = MODELS[name]
    if model["stiff"]:
        return ("auto", "rodas5p")
    exact = ("expm",) if name in NO_CLOSED_FORM else ("closed_form", "expm")
    return ("auto", *(exact if model["linear"] else ()), "tsit5", "rodas5p")


SOLVES = [(name, method) for name in MODELS for method in methods(name)]
EXACT = [(name, method) for name, method in SOLVES if method in {"closed_form", "expm"}]


@cache
def inputs(name):
    """Give the problem, the parameters of all cases and their schedule."""
    problem, cases = problem_of(MODELS[name]), CASES[name]
    parameters = np.concatenate([np.array(case["parameters"]) for case in cases])
    tables = [(case["table"], len(case["parameters"])) for case in cases]
    return problem, parameters, schedule_of(problem, tables)


@cache
def errors(name, solver):
    """Solve all cases of a model; give each case's errors of predictions and of derivatives.

    They are relative to the largest value of the same output in the case; for derivatives, to
    the largest by the same parameter.
    """
    problem, parameters, schedule = inputs(name)
    solved = solve(problem, solver, parameters, schedule)
    prediction, sensitivity = solved.prediction, solved.sensitivity
    found, stop = {}, 0
    for case in CASES[name]:
        start, stop = stop, stop + len(case["prediction"])
        of_pair = np.repeat(
            np.arange(start, stop), np.diff(schedule.pair_offsets[start : stop + 1])
        )
        pairs = slice(schedule.pair_offsets[start], schedule.pair_offsets[stop])
        output = schedule.observation_output
        found[case["name"]] = (
            relative(prediction[start:stop], case["prediction"], output[start:stop]),
            relative(sensitivity[pairs], case["gradient"], output[of_pair]),
        )
    return found


def relative(found, exact, output):
    """Largest error over the largest size of its output; where all is zero, the error itself."""
    found, exact = np.array(found), np.array(exact)
    largest = 0.0
    for each in np.unique(output):
        here = output == each
        scale = np.max(np.abs(exact[here]), axis=0)
        gap = np.max(np.abs(found[here] - exact[here]), axis=0)
        largest = max(largest, np.max(gap / np.where(scale > 0, scale, 1.0)))
    return largest if np.all(np.isfinite(found)) else np.inf


def above(found, *, prediction=np.inf, gradient=np.inf):
    """List the cases whose errors exceed the limits."""
    return {
        name: each for name, each in found.items() if each[0] > prediction or each[1] > gradient
    }


@pytest.mark.parametrize(("name", "method"), SOLVES)
def test_errors_stay_near_the_tolerance(name, method):
    assert not above(errors(name, solver_of(name, method, LOOSE)), prediction=1e-5)


@pytest.mark.parametrize(("name", "method"), SOLVES)
def test_predictions_and_derivatives_at_tight_tolerance(name, method):
    found = errors(name, solver_of(name, method, TIGHT))
    assert not above(found, prediction=1e-8, gradient=1e-6)


@pytest.mark.parametrize(("name", "method"), EXACT)
def test_linear_systems_are_exact_whatever_the_tolerance(name, method):
    found = errors(name, solver_of(name, method, LOOSE))
    assert not above(found, prediction=1e-9, gradient=1e-8)


@pytest.mark.parametrize("name", ["oral", "michaelis_menten", "turnover", "tmdd"])
def test_predictions_alone(name):
    problem, parameters, schedule = inputs(name)
    kernel = compiled_kernel(problem, Solver(**LOOSE), sensitivities=False)
    prediction, stop = kernel(parameters, *schedule), 0
    for case in CASES[name]:
        start, stop = stop, stop + len(case["prediction"])
        output = schedule.observation_output[start:stop]
        error = relative(prediction[start:stop], case["prediction"], output)
        assert error <= 1e-5, case["name"]
