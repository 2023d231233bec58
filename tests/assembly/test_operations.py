"""Machine code of graphs against PyTensor's own evaluation in Python."""

import ctypes
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.compile.mode import optdb
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.rewriting.db import RewriteDatabaseQuery
from pytensor.graph.rewriting.utils import rewrite_graph

from bayesnlme.assembly import compiling
from bayesnlme.assembly.compiling import compile_graph

SIZE = 60
FUNCTION = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)
FUSED = optdb.query(
    RewriteDatabaseQuery(include=["fast_run"], exclude=["inplace", "BlasOpt", "cxx_only"])
)
CODES = np.array([3, 0, 3, 1, 3, 2, 0])
RAGGED = np.repeat([0, 2, 3, 7], [1, 20, 3, 4])


def native(x, outputs, *, checked=None, fused=True):
    graph = FunctionGraph([x], list(outputs), clone=True)
    if fused:
        FUSED.rewrite(graph)
    return compile_graph(
        graph, arguments=("x", "y"), outputs=["y"] * len(outputs), checked=checked or {}
    )


def run(compiled, point):
    result = np.full(sum(int(np.prod(shape)) for shape in compiled.shapes), np.nan)
    code = FUNCTION(compiled.address)(point.ctypes.data, result.ctypes.data)
    ends = np.cumsum([int(np.prod(shape)) for shape in compiled.shapes])
    parts = np.split(result, ends[:-1])
    return code, [each.reshape(s) for each, s in zip(parts, compiled.shapes, strict=True)]


def table(x):
    return x[:36].reshape((12, 3))


GRAPHS = {
    "nothing": lambda x: [x],
    "one number": lambda x: [pt.exp(x[3])],
    "a column": lambda x: [2.0 * table(x)[:, 1]],
    "columns and a row": lambda x: [table(x) * x[40:43], table(x).T + x[:12]],
    "steps backwards": lambda x: [x[::-1] - x[::1], 3.0 * x[50:10:-7]],
    "constants between": lambda x: [pt.concatenate([x[:3], np.arange(4.0), x[5:6]]) * 2.0],
    "constants": lambda x: [x[:20] * np.linspace(0, 1, 20), x[:9] + np.full(9, 2.0)],
    "joined and split": lambda x: pt.split(
        pt.concatenate([table(x), table(x)[:, :2]], axis=1), [1, 3, 1], axis=1
    ),
    "stacked": lambda x: [pt.stack([x[0], pt.exp(x[7]), 0.5])],
    "looked up": lambda x: [x[CODES] * 2.0, table(x)[CODES, 1], table(x)[CODES].sum(axis=0)],
    "sums": lambda x: [x.sum(), x[:3].sum(), x[:8].sum(), table(x).sum(axis=0)],
    "sums of rows": lambda x: [table(x).sum(axis=1), x.reshape((3, 4, 5)).sum(axis=(0, 2))],
    "sums of nothing": lambda x: [x[:0].sum(), x[:0].reshape((3, 0)).sum(axis=1)],
    "sums of one number": lambda x: [pt.broadcast_to(x[4], (30, 11)).sum(axis=0)],
    "products": lambda x: [x[:5].prod(), (x[:18].reshape((2, 9))).prod(axis=0)],
    "all": lambda x: [pt.switch(pt.all(x > -9), x[:4], 0.0), pt.switch(pt.all(x > 0), 1.0, 0.0)],
    "set": lambda x: [pt.set_subtensor(table(x)[:, 1], x[40:52]), pt.set_subtensor(x[3:5], 0.0)],
    "increased": lambda x: [
        pt.inc_subtensor(table(x)[2:5, 1], x[40:43]),
        pt.inc_subtensor(pt.zeros((12, 3))[:, 0], x[40:52]),
    ],
    "increased by groups": lambda x: [
        pt.inc_subtensor(pt.zeros((9,))[RAGGED], x[:28]),
        pt.inc_subtensor(x[30:39][RAGGED], x[:28]),
        pt.inc_subtensor(pt.zeros((8, 3))[CODES], table(x)[:7]),
    ],
    "dot": lambda x: [table(x) @ x[40:43], x[:12] @ table(x), table(x).T @ table(x)],
    "gradient": lambda x: [pt.grad((pt.exp(table(x)) * np.arange(3.0)).sum() * x[50], x)],
}


@pytest.fixture(scope="module")
def points():
    return np.random.default_rng(3).normal(size=(3, SIZE))


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("name", GRAPHS)
def test_graphs(name, fused, points):
    assert_same(GRAPHS[name], points, fused=fused)


def test_operations_that_only_numba_has(points):
    def build(x):
        return [
            pt.linalg.cholesky(table(x).T @ table(x) + np.eye(3)),
            pt.digamma(pt.exp(x[:5])),
            pt.max(table(x), axis=0),
            x[pt.cast(pt.abs(x[0]) > 9, "int64")] * 2.0,
        ]

    assert_same(build, points)


def assert_same(build, points, *, fused=True):
    x = pt.tensor("x", dtype="float64", shape=(SIZE,))
    outputs = [pt.as_tensor(each) for each in build(x)]
    outputs = [rewrite_graph(each, include=["canonicalize"]) for each in outputs]
    compiled = native(x, outputs, fused=fused)
    expected = pytensor.function([x], outputs, mode="FAST_COMPILE")
    for point in points:
        code, found = run(compiled, point)
        assert code == 0
        for value, right in zip(found, expected(point), strict=True):
            np.testing.assert_allclose(value, right, rtol=2e-14, atol=1e-14)
            assert value.shape == right.shape


def test_the_first_output_that_is_not_finite_gives_the_code(points):
    x = pt.tensor("x", dtype="float64", shape=(SIZE,))
    compiled = native(x, [1 / x[59], pt.log(x[:21])], checked={0: 4, 1: 3})
    good = np.abs(points[0])
    assert run(compiled, good)[0] == 0
    for place, value, code in [(20, -1.0, 3), (0, np.inf, 3), (21, np.nan, 0), (59, 0.0, 4)]:
        bad = good.copy()
        bad[place] = value
        assert run(compiled, bad)[0] == code
    assert run(compiled, np.zeros(SIZE))[0] == 4


def test_a_failing_function_of_numba_gives_nothing_that_is_a_number():
    x = pt.tensor("x", dtype="float64", shape=(SIZE,))
    compiled = native(x, [x[pt.cast(x[0], "int64")] * 1.0])
    assert run(compiled, np.full(SIZE, 5.0))[1][0] == 5.0
    assert np.isnan(run(compiled, np.full(SIZE, 1e6))[1][0])


def test_threads_and_a_workspace_on_the_heap(points, monkeypatch):
    x = pt.tensor("x", dtype="float64", shape=(SIZE,))
    outputs = [pt.exp(table(x) * x[40:43]).sum(axis=0), x * 2.0]
    stack = native(x, outputs)
    monkeypatch.setattr(compiling, "STACK", 0)
    heap = native(x, outputs)
    assert "malloc" in heap.text
    assert "malloc" not in stack.text
    expected = [np.concatenate(run(stack, point)[1]) for point in points]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda k: run(heap, points[k % 3])[1], range(600)))
    for k, each in enumerate(found):
        np.testing.assert_array_equal(np.concatenate(each), expected[k % 3])


def test_moving_numbers_writes_no_loop():
    x = pt.tensor("x", dtype="float64", shape=(SIZE,))
    moved = pt.concatenate([table(x)[:, ::-1].T.ravel(), x[36:]])[::-1][::-1]
    assert native(x, [moved[36:]]).text.count("phi") == 0
