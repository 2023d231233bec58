"""Drive a compiled C log density as nutpie does, without Python in the loop."""

import ctypes
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from problem import Floats, Integers
from timing import LogDensity

SIGNATURE = ctypes.CFUNCTYPE(
    ctypes.c_int64,
    ctypes.c_uint64,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_void_p,
)


def native_density(function: Any, points: Floats, order: Integers) -> LogDensity:
    """Wrap a C function `(n_dim, x, gradient, log_density, unused) -> status`.

    `points`, `(n_points, n_dim)`, are canonical; the function's own coordinate `i` is the
    canonical coordinate `order[i]`. `function` is held here, for the
    loop uses its address.

    Raises
    ------
    RuntimeError
        Where the function reports a failure at a point.
    """
    own = np.ascontiguousarray(points[:, order])
    loop = _loop(SIGNATURE(function.address))

    def run(table: Floats, count: int) -> tuple[float, Floats]:
        value, gradient = np.empty(1), np.empty(len(order))
        if loop(count, table, gradient, value):
            raise RuntimeError(f"{function} failed in {count} evaluations; look at the model")
        return float(value[0]), gradient

    def evaluate(point: Floats) -> tuple[float, Floats]:
        value, own_gradient = run(np.ascontiguousarray(point[order])[None, :], 1)
        gradient = np.empty_like(own_gradient)
        gradient[order] = own_gradient
        return value, gradient

    return LogDensity(evaluate=evaluate, sweep=lambda count: run(own, count))


def _loop(function: Any) -> Callable[..., int]:
    """Compile the loop; it gives the sum of the statuses, 0 where all evaluations succeeded."""

    @numba.njit
    def loop(count: int, points: Floats, gradient: Floats, value: Floats) -> int:
        failed = 0
        for index in range(count):
            row = points[index % len(points)]
            failed += function(row.size, row.ctypes, gradient.ctypes, value.ctypes, value.ctypes)
        return failed

    return loop
