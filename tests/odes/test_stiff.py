"""Stiff problems: right within their tolerance, in few steps, each at the price of a few others.

Measured with 16 subjects in 8 lanes (CPU time per step of one subject, Rodas5P over Tsit5 on the
same problem): Robertson 6.9, full target-mediated disposition 5.1 to 6.4, Friberg 6.0.
"""

import time

import numpy as np
import pytest

from bayesnlme.odes.solver import Solver
from tests.odes.bank_schedule import bank, problem_of, schedule_of, solve

MODELS, CASES = bank()
STIFF = {
    "robertson": "robertson: twelve decades",
    "target-mediated disposition": "tmdd: one dose, three outputs",
    "its infusions": "tmdd: weekly infusions",
    "its steady state": "tmdd: steady state of weekly doses",
    "friberg": "friberg: 28 daily doses",
}


def case_of(name):
    return next(each for cases in CASES.values() for each in cases if each["name"] == STIFF[name])


def population(name, count, *, until=np.inf):
    """Return the problem, parameters that vary by a tenth, and the schedule up to a time."""
    case = case_of(name)
    problem = problem_of(MODELS[case["model"]])
    table = [row for row in case["table"] if row["time"] <= until]
    spread = np.random.default_rng(0).normal(0, 0.1, (count, len(problem.parameters)))
    spread[0] = 0
    parameters = np.array(case["parameters"]) * np.exp(spread)
    return problem, parameters, schedule_of(problem, [(table, 1)] * count)


@pytest.mark.parametrize("name", STIFF)
@pytest.mark.parametrize("method", ["auto", "rodas5p"])
@pytest.mark.parametrize("rtol", [1e-4, 1e-6, 1e-8])
def test_errors_are_below_the_tolerance(name, method, rtol):
    """In units of rtol times the largest value of the output."""
    atol = 1e-6 * rtol if name == "robertson" else 1e-2 * rtol
    problem, parameters, schedule = population(name, 1)
    solver = Solver(method=method, rtol=rtol, atol=max(atol, 1e-14))
    found, exact = solve(problem, solver, parameters, schedule), case_of(name)
    errors = np.abs(found.prediction - exact["prediction"])
    for output in np.unique(schedule.observation_output):
        here = schedule.observation_output == output
        assert errors[here].max() <= 10 * rtol * np.max(np.abs(exact["prediction"])[here]), output


def steps(name, method, **options):
    """Return the steps of one subject, and whether it was solved."""
    found = solve(*solved_by(name, method, 1, **options))
    return found.steps, bool(np.isfinite(found.prediction).all())


def solved_by(name, method, count, **options):
    problem, parameters, schedule = population(name, count, **options)
    return problem, Solver(method=method, atol=1e-10), parameters, schedule


@pytest.mark.parametrize("name", ["target-mediated disposition", "its infusions"])
def test_auto_takes_a_fraction_of_the_explicit_steps(name):
    """1 in 100 and 1 in 20 when measured."""
    explicit, _ = steps(name, "tsit5")
    implicit, _ = steps(name, "rodas5p")
    chosen, solved = steps(name, "auto")
    assert solved
    assert chosen < explicit / 10
    assert chosen < 2 * implicit + 100


def test_auto_solves_what_explicit_steps_cannot():
    """Twelve decades of Robertson, for which Tsit5 would need some 1e11 steps."""
    assert not steps("robertson", "tsit5")[1]
    chosen, solved = steps("robertson", "auto")
    assert solved
    assert chosen < 600


def test_auto_stays_with_cheap_steps_where_nothing_is_stiff():
    assert steps("friberg", "auto") == steps("friberg", "tsit5")


UNTIL = {"robertson": 0.4}
"""Beyond, the explicit method does not come to an end."""


@pytest.mark.parametrize("name", ["robertson", "target-mediated disposition", "friberg"])
def test_an_implicit_step_costs_a_few_explicit_ones(name):
    """At most three times the factor measured, so that a busy machine does not matter."""
    explicit, implicit = (
        seconds_per_step(name, method, until=UNTIL.get(name, np.inf))
        for method in ("tsit5", "rodas5p")
    )
    assert implicit < 20 * explicit


def seconds_per_step(name, method, **options):
    """Return the CPU time of one step of one subject: the best of several solves."""
    inputs, best = solved_by(name, method, 16, **options), np.inf
    for _ in range(5):
        begin = time.process_time()
        found = solve(*inputs)
        best = min(best, time.process_time() - begin)
    return best / found.steps
