"""The compiled log density and gradient as a function of one flat vector."""

import ctypes

import numpy as np

from bayesnlme._types import Floats
from bayesnlme.assembly.compiling import Compiled

SIGNATURE = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_uint64, *[ctypes.c_void_p] * 4)
"""The signature of `Density.evaluate`."""


class LogDensity:
    """Call a compiled log density from Python.

    Parameters
    ----------
    evaluate : Compiled
        `Density.evaluate`.
    """

    def __init__(self, evaluate: Compiled) -> None:
        self._evaluate = evaluate
        self._function = SIGNATURE(evaluate.address)

    def __call__(self, x: Floats) -> tuple[float, Floats]:
        """Return the log density and its gradient; minus infinity where it cannot be evaluated."""
        point = np.ascontiguousarray(x, dtype=np.float64)
        gradient, value = np.zeros_like(point), np.zeros(1)
        addresses = (each.ctypes.data for each in (point, gradient, value))
        code = self._function(point.size, *addresses, None)
        return (float(value[0]) if code == 0 else -np.inf), gradient
