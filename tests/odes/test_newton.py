"""Divided differences of the exponential against mpmath, through the generated functions."""

import ctypes
import math

import mpmath
import numpy as np
import pytest

from bayesnlme.odes.emit import WIDTH, compile_functions
from bayesnlme.odes.newton import NODES_AT_MOST, REACH, square_lines, table_lines

FUNCTION = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 6)
EPSILON = 2.0**-52
COUNTS = (1, 3, 5, NODES_AT_MOST)


@pytest.fixture(scope="module", params=COUNTS)
def generated(request):
    count = request.param
    lines = {"differences": table_lines(count), "square": square_lines(count)}
    return count, compile_functions(lines, symbol=f"newton_test_{count}")


def call(function, y):
    out = np.full((int(function.count), WIDTH), np.nan)
    nothing = np.zeros((1, WIDTH))
    others = [nothing.ctypes.data] * 3
    function.call(nothing.ctypes.data, y.ctypes.data, *others, out.ctypes.data)
    return out


class Function:
    def __init__(self, compiled, name, count):
        self.compiled = compiled
        self.call = FUNCTION(compiled.addresses[name])
        self.count = count * (count + 1) // 2


def divided_differences(generated, nodes):
    """Return the table of every lane's nodes, shape (lanes, count, count)."""
    count, compiled = generated
    low = nodes.min(axis=0)
    squarings = max(0, math.ceil(math.log2(max(float(np.ptp(nodes, axis=0).max()), REACH) / REACH)))
    scale = 0.5**squarings
    last = np.full((1, WIDTH), scale)
    y = np.ascontiguousarray(np.vstack([(nodes - low) * scale, low[None] * scale, last]))
    table = call(Function(compiled, "differences", count), y)
    for _ in range(squarings):
        table = call(Function(compiled, "square", count), table)
    full = np.zeros((WIDTH, count, count))
    rows, columns = np.triu_indices(count)
    full[:, rows, columns] = table.T
    return full


def exact(nodes):
    """Return the exponential of the bidiagonal matrix of the nodes, which holds them all."""
    count = len(nodes)
    # each entry by its recursion on separated nodes, or the exponential where they coincide
    with mpmath.workdps(200):
        matrix = mpmath.diag([mpmath.mpf(float(x)) for x in nodes])
        for q in range(count - 1):
            matrix[q, q + 1] = mpmath.mpf(1)
        low = min(matrix[q, q] for q in range(count))
        shifted = matrix - low * mpmath.eye(count)
        found = mpmath.expm(shifted, method="taylor") * mpmath.exp(low)
        return [[found[i, j] for j in range(count)] for i in range(count)]


def worst(found, nodes):
    """Return the largest relative error of any entry above the diagonal, per lane."""
    errors = []
    for lane in range(WIDTH):
        expected = exact(nodes[:, lane])
        count = len(expected)
        errors.append(
            max(
                float(abs(found[lane, i, j] / expected[i][j] - 1))
                for i in range(count)
                for j in range(i, count)
            )
        )
    return np.array(errors)


def test_no_nodes_make_no_lines():
    assert table_lines(0) == ([], [])
    assert square_lines(0) == ([], [])


def test_nodes_close_together(generated):
    """Differences that a quotient would lose to cancellation: nothing is lost."""
    count, _ = generated
    rng = np.random.default_rng(count)
    gaps = np.array([0.0, 1e-300, 1e-16, 1e-12, 1e-8, 1e-4, 1e-2, 0.3])[:WIDTH]
    nodes = -rng.uniform(0.0, 3.0, WIDTH) + gaps * rng.uniform(-1, 1, (count, WIDTH))
    assert worst(divided_differences(generated, nodes), nodes).max() < 30 * EPSILON


def test_nodes_that_come_in_equal_groups(generated):
    count, _ = generated
    rng = np.random.default_rng(count)
    nodes = np.repeat(-rng.uniform(0.0, 4.0, (count, WIDTH)), 2, axis=0)[:count]
    nodes[-1] = 0.0
    assert worst(divided_differences(generated, nodes), nodes).max() < 100 * EPSILON


@pytest.mark.parametrize("spread", [1.0, 10.0, 100.0, 600.0])
def test_nodes_far_apart(generated, spread):
    """Each squaring doubles the relative error: at most some bits of their distance are lost."""
    count, _ = generated
    rng = np.random.default_rng(count)
    nodes = -spread * rng.uniform(0.0, 1.0, (count, WIDTH)) ** 3
    nodes[-1] = 0.0
    errors = worst(divided_differences(generated, nodes), nodes)
    assert errors.max() < 30 * EPSILON * max(spread, 1.0)


def test_positive_nodes(generated):
    count, _ = generated
    nodes = np.random.default_rng(count).uniform(-20.0, 30.0, (count, WIDTH))
    errors = worst(divided_differences(generated, nodes), nodes)
    assert errors.max() < 30 * EPSILON * 50


def test_the_order_of_the_nodes_does_not_matter(generated):
    """The difference over all of them is symmetric."""
    count, _ = generated
    rng = np.random.default_rng(count)
    nodes = np.repeat(-8.0 * rng.uniform(0.0, 1.0, (count, 1)), WIDTH, axis=1)
    for lane in range(WIDTH):
        nodes[:, lane] = rng.permutation(nodes[:, lane])
    last = divided_differences(generated, nodes)[:, 0, -1]
    assert last == pytest.approx(last[0], rel=200 * EPSILON)
