"""Linear problems by their closed form and by the series, against SciPy's matrix exponential."""

import mpmath
import numpy as np
import pytest
import sympy
from scipy.linalg import expm

from bayesnlme.errors import ModelError
from bayesnlme.odes.op import compiled_kernel
from bayesnlme.odes.problem import problem_from_text
from bayesnlme.odes.solver import Solver

SYSTEMS = {
    "decay": {"a": "-k*a"},
    "turnover": {"a": "kin - kout*a"},
    "oral": {"a": "-ka*a", "b": "ka*a - k*b"},
    "two compartments": {"a": "-(k10 + k12)*a + k21*b", "b": "k12*a - k21*b"},
    "parent and metabolite": {"a": "-(kf + ke)*a", "b": "kf*a - km*b + kin"},
    "three compartments": {
        "a": "-(k10 + k12 + k13)*a + k21*b + k31*c",
        "b": "k12*a - k21*b",
        "c": "k13*a - k31*c",
    },
    "oral, two compartments": {
        "a": "-ka*a",
        "b": "ka*a - (k10 + k12)*b + k21*c",
        "c": "k12*b - k21*c",
    },
    "chain": {"a": "-k1*a", "b": "k1*a - k2*b", "c": "k2*b - k3*c", "d": "k3*c - k4*d"},
    "oral, three compartments": {
        "a": "-ka*a",
        "b": "ka*a - (k10 + k12 + k13)*b + k21*c + k31*d",
        "c": "k12*b - k21*c",
        "d": "k13*b - k31*d",
    },
}
LOSS = 2e-12
"""Twenty units of the last place, times the fastest rate and the longest time: the loss stated."""
CYCLE = {"a": "-k1*a + k3*c", "b": "k1*a - k2*b", "c": "k2*b - (k3 + k4)*c"}
TIMES = (0.0, 0.1, 1.0, 2.5, 2.5, 4.0, 9.0, 24.0)
DOSES = [("dose", 0.0, 10.0), ("dose", 1.0, 6.0, 3.0, 0), ("dose", 2.5, 4.0)]


def problem_of(rhs):
    return problem_from_text(rhs=rhs, outputs={f"of_{name}": name for name in rhs})


def kernel_of(problem, method, *, sensitivities=True):
    return compiled_kernel(problem, Solver(method=method), sensitivities=sensitivities)


class Reference:
    """States and sensitivities by matrix exponentials of block matrices, event by event."""

    def __init__(self, problem):
        self.n, self.m = len(problem.states), len(problem.parameters)
        states, parameters = problem.state_symbols, problem.parameter_symbols
        zero = dict.fromkeys(states, 0)
        constant = [[each.xreplace(zero)] for each in problem.rhs]
        whole = sympy.Matrix(problem.dfdy).row_join(sympy.Matrix(constant))
        whole = whole.col_join(sympy.zeros(1, self.n + 1))
        self._matrices = sympy.lambdify(
            [parameters], [whole, *(whole.diff(each) for each in parameters)]
        )

    def blocks(self, values, rate):
        """Return for every parameter [[M, dM], [0, M]], M the matrix of the states and of 1."""
        matrix, *slopes = (np.array(each, float) for each in self._matrices(values))
        matrix[0, -1] += rate
        return [np.block([[matrix, s], [np.zeros_like(matrix), matrix]]) for s in slopes]

    def solve(self, values, times):
        """Return the states, shape (times, n), and their slopes, shape (times, n, m)."""
        size = self.n + 1
        y = [np.zeros(2 * size) for _ in range(self.m)]
        for each in y:
            each[-1] = 1.0
        now, rate, states, slopes = 0.0, 0.0, [], []
        events = [(0.0, 10.0, 0.0), (1.0, 0.0, 3.0), (2.5, 4.0, 0.0), (3.0, 0.0, -3.0)]
        marks = sorted([*((t, 1, None) for t in times), *((e[0], 0, e) for e in events)], key=key)
        for time, _, event in marks:
            y = [
                expm(block * (time - now)) @ each
                for block, each in zip(self.blocks(values, rate), y, strict=True)
            ]
            now = time
            if event is None:
                states.append(y[0][size : size + self.n])
                slopes.append(np.stack([each[: self.n] for each in y], axis=1))
                continue
            rate += event[2]
            for each in y:
                each[size] += event[1]
        return np.array(states), np.array(slopes)


def key(mark):
    return mark[:2]


def table(schedule, n, subjects):
    rows = [*DOSES, *(("see", t, j) for t in TIMES for j in range(n))]
    rows.sort(key=lambda row: (row[1], row[0] == "see"))
    return schedule(*[rows] * subjects)


def compare(kernel, problem, values, schedule, tolerance):
    """Compare with the reference, relative to the largest of each state and of each slope."""
    n, m = len(problem.states), len(problem.parameters)
    reference = Reference(problem)
    prediction, sensitivity = kernel(values, *table(schedule, n, len(values)))
    found = prediction.reshape(len(values), len(TIMES), n)
    slopes = sensitivity.reshape(len(values), len(TIMES), n, m) * values[:, None, None]
    for subject, row in enumerate(values):
        states, expected = reference.solve(row, TIMES)
        expected *= row
        scale = abs(states).max(axis=0)
        np.testing.assert_allclose(
            found[subject] / scale, states / scale, rtol=0, atol=tolerance, err_msg=str(row)
        )
        np.testing.assert_allclose(
            slopes[subject] / scale[:, None],
            expected / scale[:, None],
            rtol=0,
            atol=tolerance,
            err_msg=str(row),
        )


def draws(problem, count, seed=0):
    """Rates over three decades; every second row has equal ones, or all but equal ones."""
    rng = np.random.default_rng(seed)
    values = np.exp(rng.uniform(np.log(0.01), np.log(10.0), (count, len(problem.parameters))))
    for row, gap in zip(
        range(0, count, 2), [0.0, 1e-14, 1e-10, 1e-7, 1e-4, 0.0] * count, strict=False
    ):
        values[row] = values[row, 0] * (1 + gap * np.arange(values.shape[1]))
    return values


@pytest.mark.parametrize("name", SYSTEMS)
def test_closed_form(name, schedule):
    problem = problem_of(SYSTEMS[name])
    assert problem.spectrum is not None
    compare(kernel_of(problem, "closed_form"), problem, draws(problem, 12), schedule, LOSS)


@pytest.mark.parametrize("name", ["turnover", "three compartments", "chain"])
def test_series(name, schedule):
    problem = problem_of(SYSTEMS[name])
    compare(kernel_of(problem, "expm"), problem, draws(problem, 12), schedule, LOSS)


def test_eigenvalues_without_a_closed_form_take_the_series(schedule):
    """A cycle, whose eigenvalues may be complex; the choice is the solver's."""
    problem = problem_of(CYCLE)
    assert problem.linear
    assert problem.spectrum is None
    compare(kernel_of(problem, "auto"), problem, draws(problem, 12), schedule, LOSS)
    with pytest.raises(ModelError, match="needs a formula for the eigenvalues"):
        kernel_of(problem, "closed_form")


@pytest.mark.parametrize("fastest", [1.0, 30.0, 1e3])
@pytest.mark.parametrize("gap", [0.0, 1e-13, 1e-6, 1e-2, 0.5, 0.999])
def test_accuracy_against_fifty_digits(fastest, gap, schedule):
    """A dose through a depot, its rates as close or as far apart as they may be."""
    problem = problem_of(SYSTEMS["oral"])
    ka, k = fastest, fastest * (1 - gap)
    times = np.array([1e-6, 0.1, 1.0, 10.0])
    rows = [("dose", 0.0, 1.0), *(("see", t, 1) for t in times)]
    assert problem.parameters == ("ka", "k")
    kernel = kernel_of(problem, "closed_form")
    prediction, sensitivity = kernel(np.array([[ka, k]]), *schedule(rows))
    allowed = 20 * 2.0**-52 * (1 + fastest * times)
    with mpmath.workdps(50):
        for t, value, slopes, bound in zip(times, prediction, sensitivity, allowed, strict=True):
            first, second = mpmath.mpf(ka), mpmath.mpf(k)
            exact = _amount(first, second, t)
            by_ka = mpmath.diff(lambda x, t=t, k=second: _amount(x, k, t), first)
            by_k = mpmath.diff(lambda x, t=t, ka=first: _amount(ka, x, t), second)
            assert abs(value - exact) < bound
            assert abs(slopes[0] * ka - by_ka * first) < bound
            assert abs(slopes[1] * k - by_k * second) < bound


def _amount(ka, k, t):
    """Integrate from 0 to t what has come at s and is still there: no quotient that cancels."""
    t = mpmath.mpf(float(t))
    x = (ka - k) * t
    share = mpmath.expm1(-x) / -x if x else mpmath.mpf(1)
    return ka * t * mpmath.exp(-k * t) * share
