"""Problems and stretches for the tests, and closed forms to hold them to."""

import numpy as np
import scipy.linalg
import sympy

from bayesnlme.odes.backends import Stretch
from bayesnlme.odes.problem import problem_from_text

RTOL, ATOL = 1e-9, 1e-11


def problem(*, parameters=None, **rhs):
    """Return a problem whose outputs do not matter."""
    return problem_from_text(
        rhs=rhs, outputs={"seen": next(iter(rhs))}, states=tuple(rhs), parameters=parameters
    )


ORAL = problem(parameters=["ka", "k", "b"], depot="-ka*depot", central="ka*depot - k*central + b*k")
LOGISTIC = problem(y="r*y*(1 - y/K)")
AGEING = problem(y="-k*t*y + a*t")
TURNOVER = problem(
    parameters=["k", "V", "kin", "kout", "IC50", "gamma"],
    central="-k*central",
    response="kin*(1 - (central/V)**gamma/(IC50**gamma + (central/V)**gamma))*(1 + 0.1*exp(-t))"
    " - kout*response",
)
ROBERTSON = problem(
    parameters=["k1", "k2", "k3"],
    a="-k1*a + k3*b*c",
    b="k1*a - k3*b*c - k2*b**2",
    c="k2*b**2",
)
EXPLOSION = problem(y="k*y**2")


def stretch(equations, parameters, state, times, **given):
    """Fill in a stretch: no rates, and one column for every parameter."""
    n, m = len(equations.states), len(parameters)
    columns = np.array(given.pop("columns", range(m)), dtype=np.int64)
    q = len(columns)
    size = np.append(np.abs(parameters), 1.0)  # the last stands for column -1
    values = {
        "start": 0.0,
        "times": times,
        "state": state,
        "sensitivity": np.zeros((n, q)),
        "parameters": parameters,
        "rates": np.zeros(n),
        "forcing": np.zeros((n, q)),
        "tolerance": np.full(n, ATOL),
        "scales": size[columns],
    } | given
    start = float(values.pop("start"))
    arrays = {name: np.array(value, dtype=np.float64) for name, value in values.items()}
    return Stretch(start=start, columns=columns, **arrays)


def solve_linear(equations, given):
    """Solve a linear stretch by one matrix exponential for every time.

    States, sensitivities and 1 together follow a constant linear system.
    """
    n, q = given.sensitivity.shape
    place = dict(zip(equations.parameter_symbols, given.parameters, strict=True))
    zero = dict.fromkeys(equations.state_symbols, 0.0)
    numbers = [np.array(sympy.Matrix(each).subs(place).subs(zero), float) for each in (
        equations.dfdy, equations.dfdp, [[each] for each in equations.rhs]
    )]  # fmt: skip
    flow, direct, constant = numbers
    by_state = [
        np.array(sympy.Matrix(equations.dfdp).diff(each).subs(place), float)
        for each in equations.state_symbols
    ]
    size = n * (1 + q) + 1
    whole = np.zeros((size, size))
    whole[:n, :n], whole[:n, -1] = flow, constant[:, 0] + given.rates
    for j, column in enumerate(given.columns):
        rows = slice(n * (1 + j), n * (2 + j))
        whole[rows, rows] = flow
        whole[rows, -1] = given.forcing[:, j]
        if column >= 0:
            whole[rows, -1] += direct[:, column]
            whole[rows, :n] = np.array([each[:, column] for each in by_state]).T
    start = np.concatenate([given.state, given.sensitivity.T.ravel(), [1.0]])
    path = [scipy.linalg.expm(whole * (time - given.start)) @ start for time in given.times]
    both = np.array([each[:-1].reshape(1 + q, n) for each in path])
    return both[:, 0], both[:, 1:].swapaxes(1, 2)


def solve_closed(formula, equations, given):
    """Evaluate y(t; parameters, y0) and its derivatives by the parameters.

    `formula` is text of the parameters, t, t0 and y0.
    """
    value = sympy.sympify(
        formula, locals={each: sympy.Symbol(each) for each in equations.parameters}
    )
    names = [sympy.Symbol(each) for each in (*equations.parameters, "y0", "t0")]
    point = dict(zip(names, [*given.parameters, given.state[0], given.start], strict=True))
    rows = [value, *(value.diff(name) for name in names[: len(equations.parameters)])]
    found = sympy.lambdify(sympy.Symbol("t"), [each.subs(point) for each in rows], "numpy")
    path = np.array([found(time) for time in given.times], dtype=np.float64)
    return path[:, :1], path[:, None, 1:]


def worst(found, expected, given, *, rtol=RTOL):
    """Return the largest error in units of the tolerance of a step.

    Relative to the largest value on the path: an error made there is carried on.
    """
    errors = []
    bounds = given.tolerance, given.sensitivity_tolerance
    for one, other, bound in zip(found, expected, bounds, strict=True):
        assert one.shape == other.shape
        scale = bound + rtol * np.abs(other).max(axis=0, initial=0.0)
        errors.append(np.max(np.abs(one - other) / scale, initial=0.0))
    return max(errors)
