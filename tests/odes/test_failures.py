"""Why a solve fails, for one subject among others that do not."""

import re

import numpy as np
import pytest

from bayesnlme.odes.failures import failures
from bayesnlme.odes.problem import problem_from_text
from bayesnlme.odes.solver import Solver

SEE = [("see", 1.0), ("see", 5.0)]
DOSE = ("dose", 0.0, 100.0)


def equations(**said):
    return problem_from_text(
        rhs={"y": "-Vmax*y/(Km + y) + a*y*y"}, outputs={"seen": "y"},
        parameters=["Vmax", "Km", "a", "lag"], **said,
    )  # fmt: skip


GOOD = [20.0, 5.0, 0.0, 0.5]


@pytest.mark.parametrize(
    ("values", "rows", "solver", "words"),
    [
        (GOOD, [DOSE, *SEE], {"max_steps": 3}, r"3 steps were not enough, and t=.* to t=5:"),
        ([20.0, 5.0, 1.0, 0.5], [DOSE, *SEE], {}, r"no step is small enough at t=0\.51"),
        ([20.0, 5.0, 0.0, -1.0], [DOSE, *SEE], {}, "lag, bioavailability, duration or rate"),
        ([1.0, 5.0, 0.0, 0.0], [("steady", 0.0, 100.0, 0.0, 0, 12.0), *SEE], {}, "no steady state"),
        ([1.0, 5.0, 0.0, 0.0], [("steady", 0.0, 0.0, 50.0, 0, 0.0), *SEE], {}, "no steady state"),
        ([20.0, 5.0, 1.0, 0.5], [DOSE, *SEE], {"backend": "scipy"}, "scipy gave up between t=0.5"),
    ],
)
def test_reasons(schedule, values, rows, solver, words):
    easy = [("dose", 0.0, 1e-9), ("see", 0.01)]
    parameters = np.array([GOOD, values, GOOD])
    arrays = schedule(easy, rows, easy)
    found = failures(
        equations(lag={"y": "lag"}), Solver(method="tsit5", **solver), parameters, arrays
    )
    assert list(found) == [1]
    assert re.search(words, found[1]), found[1]


def test_a_closed_form_that_overflows(schedule):
    problem = problem_from_text(rhs={"y": "k*y"}, outputs={"seen": "y"})
    arrays = schedule([("dose", 0.0, 1.0), ("see", 9.0)], [("dose", 0.0, 1.0), ("see", 9.0)])
    found = failures(problem, Solver(), np.array([[-1.0], [1e3]]), arrays)
    assert found == {1: "a state is no finite number between t=0 and t=9"}


def test_nothing_to_say(schedule):
    arrays = schedule([DOSE, *SEE])
    assert failures(equations(lag={"y": "lag"}), Solver(), np.array([GOOD]), arrays) == {}
