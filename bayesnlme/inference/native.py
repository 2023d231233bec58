"""The compiled log density and gradient as a function of one flat vector."""

from typing import Any

import numpy as np

from bayesnlme._types import Floats


class LogDensity:
    """Call nutpie's machine code from Python.

    Parameters
    ----------
    compiled : nutpie.compile_pymc.CompiledPyMCModel
        A compiled model.
    """

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled
        self._function = compiled.compiled_logp_func.ctypes

    def __call__(self, x: Floats) -> tuple[float, Floats]:
        """Return the log density and its gradient; minus infinity where it cannot be evaluated."""
        point = np.ascontiguousarray(x, dtype=np.float64)
        gradient, value = np.zeros_like(point), np.zeros(1)
        code = self._function(
            point.size,
            *(each.ctypes.data_as(kind) for each, kind in self._typed(point, gradient, value)),
            self._compiled.user_data.ctypes.data,
        )
        return (float(value[0]) if code == 0 else -np.inf), gradient

    def _typed(self, *arrays: Floats) -> list[tuple[Floats, Any]]:
        return list(zip(arrays, self._function.argtypes[1:4], strict=True))
