"""The tableau of Rodas5P, in a Rosenbrock method written anew from its definition."""

import math

import numpy as np
import pytest

from bayesnlme.odes import places as at
from bayesnlme.odes import rodas5p
from bayesnlme.odes.rodas5p import DRIFT, GAMMA, NODES, A, C, H

STAGES = 8
FULL_A = np.zeros((STAGES, STAGES))
FULL_A[:, :7] = A
FULL_C = np.zeros((STAGES, STAGES))
FULL_C[:, :7] = C


def classical():
    """Return the tableau in its usual form: alpha, gamma, weights, weights of the embedded one.

    The method is written in u = Gamma k, so that no product with the Jacobian is needed:
    C = diag(1/gamma) - Gamma^-1 and A = alpha Gamma^-1.
    """
    inverse = np.eye(STAGES) / GAMMA - FULL_C
    gamma = np.linalg.inv(inverse)
    alpha = FULL_A @ gamma
    weights = np.append(A[7], 1.0) @ gamma
    embedded = np.append(A[7], 0.0) @ gamma
    return alpha, gamma, weights, embedded


ALPHA, GAMMAS, B, LOWER = classical()


def test_nodes_and_weights_of_the_drift_are_row_sums():
    np.testing.assert_allclose(ALPHA.sum(axis=1), NODES, atol=1e-12)
    np.testing.assert_allclose(GAMMAS.sum(axis=1), DRIFT, atol=1e-12)
    np.testing.assert_allclose(np.diag(GAMMAS), GAMMA, rtol=1e-14)


def conditions(order):
    """Return sides of the order conditions of Rosenbrock methods [Hairer1996, table IV.7.1].

    A product of several branches at a node goes with alpha, a single one with beta.
    """
    beta = ALPHA + GAMMAS
    one = np.ones(STAGES)
    a, b = ALPHA @ one, beta @ one
    found = {
        1: [(one, 1)],
        2: [(b, 2)],
        3: [(a**2, 3), (beta @ b, 6)],
        4: [(a**3, 4), (a * (ALPHA @ b), 8), (beta @ a**2, 12), (beta @ (beta @ b), 24)],
        5: [
            (a**4, 5),
            (a**2 * (ALPHA @ b), 10),
            (a * (ALPHA @ a**2), 15),
            (a * (ALPHA @ (beta @ b)), 30),
            ((ALPHA @ b) ** 2, 20),
            (beta @ a**3, 20),
            (beta @ (a * (ALPHA @ b)), 40),
            (beta @ (beta @ a**2), 60),
            (beta @ (beta @ (beta @ b)), 120),
        ],
    }
    return [each for q in range(1, order + 1) for each in found[q]]


@pytest.mark.parametrize(("weights", "order"), [(B, 5), (LOWER, 4)])
def test_order_conditions(weights, order):
    for phi, density in conditions(order):
        assert weights @ phi == pytest.approx(1 / density, abs=2e-12)


def test_error_estimate_sees_the_fifth_order():
    assert max(abs(LOWER @ phi - 1 / density) for phi, density in conditions(5)) > 1e-4


def stability(weights, z):
    """Return R(z) = 1 + z b (1 - z (alpha + gamma))^-1 1."""
    return 1 + z * weights @ np.linalg.solve(np.eye(STAGES) - z * (ALPHA + GAMMAS), np.ones(STAGES))


def test_solution_and_embedded_one_are_l_stable():
    """Zero at infinity; on the imaginary axis, hence (no pole to the left) everywhere, below 1."""
    beta = ALPHA + GAMMAS
    for weights in (B, LOWER):
        assert 1 - weights @ np.linalg.solve(beta, np.ones(STAGES)) == pytest.approx(0, abs=1e-10)
    sizes = [abs(stability(B, 1j * y)) for y in np.geomspace(1e-3, 1e6, 2000)]
    assert max(sizes) <= 1 + 1e-12
    assert stability(B, -0.01) == pytest.approx(math.exp(-0.01), abs=1e-13)


def test_solution_is_stiffly_accurate():
    """The last stage is evaluated at the embedded solution, at the end of the step."""
    np.testing.assert_allclose(ALPHA[7], LOWER, atol=1e-12)
    np.testing.assert_allclose(ALPHA[7] + GAMMAS[7], B, atol=1e-12)


def dense_weights(theta):
    """Return weights of start, end and stages, as `rodas5p.weigh_dense` writes them."""
    return np.array([theta * (1 - theta) * np.polyval(H[::-1, i], theta) for i in range(STAGES)])


def step(problem, t, y, h):
    """Return the state after a step, the error estimate, and the stages u."""
    f, jacobian, drift = problem
    size = len(y)
    matrix = np.eye(size) / (GAMMA * h) - jacobian(t, y)
    u = np.zeros((STAGES, size))
    for i in range(STAGES):
        right = f(t + NODES[i] * h, y + FULL_A[i] @ u) + FULL_C[i] @ u / h
        u[i] = np.linalg.solve(matrix, right + h * DRIFT[i] * drift(t, y))
    return y + FULL_A[7] @ u + u[7], u[7], u


def scalar():
    """Y' = y^2 cos t / (1 + t): neither linear nor autonomous."""

    def f(t, y):
        return y**2 * np.cos(t) / (1 + t)

    def jacobian(t, y):
        return np.array([[2 * y[0] * math.cos(t) / (1 + t)]])

    def drift(t, y):
        return y**2 * (-np.sin(t) / (1 + t) - np.cos(t) / (1 + t) ** 2)

    return f, jacobian, drift


def kaps(rate):
    """Return Kaps' problem: nonlinear, as stiff as one likes, solved by exp(-2t), exp(-t)."""

    def f(t, y):
        return np.array([-(rate + 2) * y[0] + rate * y[1] ** 2, y[0] - y[1] - y[1] ** 2])

    def jacobian(t, y):
        return np.array([[-(rate + 2), 2 * rate * y[1]], [1.0, -1 - 2 * y[1]]])

    return f, jacobian, lambda t, y: np.zeros(2)


def prothero_robinson():
    """Y' = -1e5 (y - sin t) + cos t: stiff, and driven by time."""
    rate = 1e5

    def f(t, y):
        return -rate * (y - math.sin(t)) + math.cos(t)

    return (
        f,
        lambda t, y: np.array([[-rate]]),
        lambda t, y: np.array([rate * math.cos(t) - math.sin(t)]),
    )


def errors(problem, start, exact, counts, *, end=1.0, theta=1.0):
    found = []
    for count in counts:
        h, y = end / count, np.array(start, float)
        for number in range(count):
            t, before = number * h, y
            y, _, u = step(problem, t, before, h)
        value = (1 - theta) * before + theta * y + dense_weights(theta) @ u
        found.append(abs(value - exact(t + theta * h)).max())
    return np.array(found)


def measured_order(counts, found):
    return np.polyfit(np.log(1 / np.array(counts)), np.log(found), 1)[0]


def reference(t):
    """Solve the scalar problem by its quadrature 1/y = 1/y0 - integral of cos s/(1 + s)."""
    nodes, weights = np.polynomial.legendre.leggauss(60)
    s = 0.5 * t * (nodes + 1)
    return np.array([1 / (1 / 0.8 - 0.5 * t * weights @ (np.cos(s) / (1 + s)))])


@pytest.mark.parametrize("theta", [1.0, 0.5])
def test_order_five_on_a_nonlinear_problem_driven_by_time(theta):
    counts = [8, 16, 32, 64]
    order = measured_order(counts, errors(scalar(), [0.8], reference, counts, theta=theta))
    assert order == pytest.approx(5, abs=0.4)


@pytest.mark.parametrize("rate", [1.0, 1e9])
def test_order_five_on_a_stiff_problem(rate):
    """At either end; between them, where h times rate is of order 100, every method does worse."""

    def exact(t):
        return np.array([math.exp(-2 * t), math.exp(-t)])

    counts = [8, 16, 32]
    found = errors(kaps(rate), [1.0, 1.0], exact, counts)
    assert measured_order(counts, found) > 4.6


def test_no_loss_of_order_below_four_where_time_drives_a_stiff_problem():
    """The reason to prefer it to other Rosenbrock methods, which fall to order one or two here."""
    counts = [16, 32, 64, 128]
    found = errors(prothero_robinson(), [0.0], lambda t: np.array([math.sin(t)]), counts)
    assert found.max() < 1e-9
    assert found[-1] < found[0]


def test_dense_output_is_continuous_and_of_order_four():
    """It meets the states at both ends, and a combination of smooth functions between them."""
    np.testing.assert_array_equal(dense_weights(0.0), 0)
    np.testing.assert_array_equal(dense_weights(1.0), 0)
    for theta in (0.1, 0.35, 0.5, 0.8):
        weights = theta * B + dense_weights(theta) @ GAMMAS
        sizes = [1, 2, 3, 3, 4, 4, 4, 4]
        for (phi, density), size in zip(conditions(4), sizes, strict=True):
            assert weights @ phi == pytest.approx(theta**size / density, abs=2e-11)


def test_weights_of_the_dense_output_are_those_of_the_engine():
    weigh = rodas5p.weigh_dense.function
    places = {at.WEIGHTS: 0, at.STEP: 0}
    for theta in (0.0, 0.3, 1.0):
        out = np.zeros(10 * at.W)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(rodas5p, "shift", lambda block, place: block[place:])
            weigh(out, places, 0, theta)
        written = out[:: at.W]
        np.testing.assert_allclose(written[:8], dense_weights(theta), rtol=1e-13, atol=1e-15)
        np.testing.assert_allclose(written[8:], [1 - theta, theta], atol=1e-15)
