"""The compiled log density and gradient as a function of one flat vector."""

import ctypes
from typing import Any

import numpy as np
from scipy import optimize

from bayesnlme._types import Booleans, Floats
from bayesnlme.assembly.compiling import Compiled

SIGNATURE = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_uint64, *[ctypes.c_void_p] * 4)
"""The signature of `Density.evaluate`."""

NO_DATA = np.zeros(1)
"""What a function is given that reads no data: an address."""


class LogDensity:
    """Call a compiled log density from Python.

    Parameters
    ----------
    evaluate : Compiled
        `Density.evaluate`.
    data : array
        `Density.data`.

    Raises
    ------
    ValueError
        If the function reads more data than there are.
    """

    def __init__(self, evaluate: Compiled, data: Floats = NO_DATA) -> None:
        wanted = evaluate.reads["data"]
        if data.size < wanted:
            raise ValueError(f"The log density reads {wanted} numbers of data, not {data.size}.")
        self._evaluate, self._data = evaluate, data
        self._function = SIGNATURE(evaluate.address)

    def __call__(self, x: Floats) -> tuple[float, Floats]:
        """Return the log density and its gradient; minus infinity where it cannot be evaluated."""
        point = np.ascontiguousarray(x, dtype=np.float64)
        gradient, value = np.zeros_like(point), np.zeros(1)
        addresses = (each.ctypes.data for each in (point, gradient, value, self._data))
        code = self._function(point.size, *addresses)
        return (float(value[0]) if code == 0 else -np.inf), gradient


def climb(
    function: LogDensity, start: Floats, moving: Booleans, **options: Any
) -> tuple[Floats, Any]:
    """Maximise a log density over some entries of its vector, by L-BFGS.

    Parameters
    ----------
    function : LogDensity
        The log density.
    start : array, shape (size,)
        Where to start.
    moving : array of bool, shape (size,)
        Entries that move; the others stay.
    **options
        SciPy's of ``L-BFGS-B``.

    Returns
    -------
    tuple
        The vector where it ended, and SciPy's result for the entries that moved, of minus the log
        density.
    """

    def placed(inner: Floats) -> Floats:
        x = start.copy()
        x[moving] = inner
        return x

    def descent(inner: Floats) -> tuple[float, Floats]:
        value, gradient = function(placed(inner))
        if not (np.isfinite(value) and np.isfinite(gradient).all()):
            return 1e300, np.zeros_like(inner)
        return -value, -gradient[moving]

    found = optimize.minimize(descent, start[moving], jac=True, method="L-BFGS-B", options=options)
    return placed(found.x), found
