import numpy as np
import pytest
import sympy
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from bayesnlme.odes.text import TIME, symbol


def numeric(problem, expressions, parameters):
    """Return a function of (t, y) from expressions at values of the parameters."""
    values = {symbol(name): parameters[name] for name in problem.parameters}
    here = [sympy.sympify(each).subs(values) for each in expressions]
    return sympy.lambdify([symbol(TIME), problem.state_symbols], here, "numpy")


def _solve(structure, parameters, times, *, dose=None, rtol=1e-11):
    """Predict all outputs at times > 0 after doses into states at time 0, by SciPy.

    Returns an array of shape (n_outputs, n_times).
    """
    problem = structure.problem
    flow = numeric(problem, problem.rhs, parameters)
    start = np.array(numeric(problem, problem.initial, parameters)(0, problem.states), float)
    for state, amount in (dose or {}).items():
        start[problem.states.index(state)] += amount
    found = solve_ivp(
        flow, (0, times[-1]), start, t_eval=times, method="Radau",
        rtol=rtol, atol=1e-13 * max(1.0, np.abs(start).max()),
    )  # fmt: skip
    readout = numeric(problem, problem.readouts, parameters)
    return np.array([readout(t, y) for t, y in zip(found.t, found.y.T, strict=True)], float).T


def _exponential(structure, parameters, times, dose):
    """Predict all outputs of a linear model after doses at time 0, by the matrix exponential."""
    problem = structure.problem
    matrix = np.array(
        numeric(problem, [e for row in problem.dfdy for e in row], parameters)(0, problem.states)
    )
    matrix = matrix.astype(float).reshape(len(problem.states), -1)
    start = np.array([dose.get(name, 0.0) for name in problem.states])
    readout = numeric(problem, problem.readouts, parameters)
    return np.array([readout(t, expm(matrix * t) @ start) for t in times], float).T


@pytest.fixture(scope="session")
def solve():
    return _solve


@pytest.fixture(scope="session")
def exponential():
    return _exponential
