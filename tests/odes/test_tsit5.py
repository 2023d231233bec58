import math

import numpy as np
import pytest

from bayesnlme.odes import tsit5
from bayesnlme.odes.tsit5 import A, C, E

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
