import math

import numpy as np
import pytest
from scipy.optimize import brentq

from bayesnlme.odes import tsit5
from bayesnlme.odes.solver import Solver
from bayesnlme.odes.tsit5 import STABLE, A, C, E
from tests.odes.bank_schedule import bank, problem_of, schedule_of, solve

dense_weights = tsit5.dense_weights.function
B = A[-1]
LOWER = B - E


def trees(order):
    """Sides of the order conditions for all rooted trees up to the order: weights, 1/density."""
    c, ac, ac2, ac3 = C, A @ C, A @ C**2, A @ C**3
    conditions = {
        1: [(np.ones(7), 1)],
        2: [(c, 2)],
        3: [(c**2, 3), (ac, 6)],
        4: [(c**3, 4), (c * ac, 8), (ac2, 12), (A @ ac, 24)],
        5: [
            (c**4, 5),
            (c**2 * ac, 10),
            (c * ac2, 15),
            (c * (A @ ac), 30),
            (ac**2, 20),
            (ac3, 20),
            (A @ (c * ac), 40),
            (A @ ac2, 60),
            (A @ A @ ac, 120),
        ],
    }
    return [condition for q in range(1, order + 1) for condition in conditions[q]]


def test_nodes_are_row_sums():
    np.testing.assert_allclose(A.sum(axis=1), C, atol=1e-14)


@pytest.mark.parametrize(("weights", "order"), [(B, 5), (LOWER, 4)])
def test_order_conditions(weights, order):
    for phi, density in trees(order):
        assert weights @ phi == pytest.approx(1 / density, abs=1e-14)


def test_error_estimate_sees_the_fifth_order():
    assert max(abs(LOWER @ phi - 1 / density) for phi, density in trees(5)) > 1e-4


@pytest.mark.parametrize("theta", [0.0, 0.1, 0.35, 0.5, 0.77, 1.0])
def test_dense_output_has_order_four(theta):
    weights = np.array(dense_weights(theta))
    sizes = [1, 2, 3, 3, 4, 4, 4, 4]
    for (phi, density), size in zip(trees(4), sizes, strict=True):
        assert weights @ phi == pytest.approx(theta**size / density, abs=2e-14)


def test_dense_output_ends_at_the_step():
    np.testing.assert_allclose(dense_weights(1.0), B, atol=2e-14)


def _end(count, theta=1.0):
    """Solve y' = y cos t from t = 0 in steps to 3; return the last step's inside, and its time."""
    y, h = 1.0, 3.0 / count
    for number in range(count):
        k = np.zeros(7)
        for stage in range(7):
            k[stage] = (y + h * A[stage] @ k) * math.cos((number + C[stage]) * h)
        if number == count - 1:
            break
        y += h * B @ k
    return y + h * np.array(dense_weights(theta)) @ k, 3.0 - h * (1 - theta)


@pytest.mark.parametrize("theta", [1.0, 0.5])
def test_convergence_of_order_five(theta):
    counts = np.array([20, 40, 80, 160])
    errors = []
    for count in counts.tolist():
        value, time = _end(count, theta)
        errors.append(abs(value - math.exp(math.sin(time))))
    order, _ = np.polyfit(np.log(1 / counts), np.log(errors), 1)
    assert order == pytest.approx(5, abs=0.3)


# -- when a step is held up by the fastest mode ------------------------------------------------


def growth(z):
    """Return what a step makes of y' = rate y with step times rate z."""
    return 1 + z * B @ np.linalg.solve(np.eye(7) - z * A, np.ones(7))


def test_the_stable_interval_of_the_real_axis():
    end = brentq(lambda z: abs(growth(-z)) - 1, 2.0, 5.0)
    assert end == pytest.approx(3.507, abs=1e-3)
    assert all(abs(growth(-z)) < 1 for z in np.linspace(0.01, end - 0.01, 1000))
    assert abs(growth(-STABLE)) < 0.2
    assert pytest.approx(2 / 3, abs=0.02) == STABLE / end


def _follow(h, rate):
    """Return the estimated error of a step of y' = -rate (y - t**2) + 2 t from y = t = 0."""
    k = np.zeros(7)
    for stage in range(7):
        t = C[stage] * h
        k[stage] = -rate * (h * A[stage] @ k - t**2) + 2 * t
    return abs(h * E @ k)


def test_the_error_of_a_fast_mode_is_of_second_order():
    """At a given step times rate; the slow solution itself, a parabola, has no error at all."""
    steps = np.logspace(-4, -1, 7)
    assert max(_follow(h, 0.0) for h in steps) < 1e-17
    for z in (1.0, STABLE, 3.25):
        errors = np.array([_follow(h, z / h) for h in steps])
        np.testing.assert_allclose(errors / steps**2, errors[0] / steps[0] ** 2, rtol=1e-6)
        assert errors[0] / steps[0] ** 2 > 1e-4


@pytest.mark.parametrize(
    ("name", "rtol", "most"),
    [
        ("robertson: twelve decades", 1e-8, 1000),
        ("robertson: twelve decades", 1e-10, 4000),
        ("tmdd: one dose, three outputs", 1e-10, 6000),
    ],
)
def test_auto_leaves_in_time_at_tight_tolerances(name, rtol, most):
    """In 786, 3334 and 4546 steps when measured."""
    model = name.split(":")[0]
    models, cases = bank()
    case = next(each for each in cases[model] if each["name"] == name)
    problem = problem_of(models[model])
    smallest = 1e-6 if model == "robertson" else 1e-2
    solver = Solver(rtol=rtol, atol=max(smallest * rtol, 1e-14))
    parameters, schedule = np.array(case["parameters"]), schedule_of(problem, [(case["table"], 1)])
    found = solve(problem, solver, parameters, schedule)
    assert np.isfinite(found.prediction).all()
    assert found.steps < most
