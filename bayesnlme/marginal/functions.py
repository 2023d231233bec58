"""Compiled functions of the population parameters and the random effects."""

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from pytensor.gradient import pushforward

from bayesnlme._types import Floats, Tensor
from bayesnlme.assembly.compiling import compile_graph


def pushed(output: Tensor, directions: Sequence[tuple[Tensor, Tensor]]) -> list[Tensor]:
    """Return how the output changes along each direction."""
    found: Any = [
        pushforward(output, variable, direction, disconnected_outputs="ignore")
        for variable, direction in directions
    ]
    return list(found)


class Function:
    """A compiled function of theta and z, whose results come in groups of equal shape.

    Parameters
    ----------
    graph : FunctionGraph
        From theta and z, one after the other, and from data, to the results.
    sizes : sequence of int
        How many results each group has.
    data : array
        What it reads whenever it is called.
    """

    def __init__(self, graph: Any, sizes: Sequence[int], data: Floats) -> None:
        self._data = data
        targets = [f"group{k}" for k, size in enumerate(sizes) for _ in range(size)]
        arguments = ["x", "data", *(f"group{k}" for k in range(len(sizes)))]
        self._code = compile_graph(graph, arguments=arguments, outputs=targets, checked={})
        firsts = np.cumsum([0, *sizes]).tolist()
        shapes = [*self._code.shapes, ()]
        self._shapes = [(size, *shapes[first]) for first, size in zip(firsts, sizes, strict=False)]
        kind = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_void_p] * len(arguments))
        self._call: Callable[..., int] = kind(self._code.address)

    def __call__(self, theta: Floats, z: Floats) -> list[Floats]:
        """Return an array for each group, its first axis the results."""
        x = np.concatenate([theta, z.ravel()])
        results = [np.empty(shape) for shape in self._shapes]
        arrays = (x, self._data, *results)
        self._call(*(each.ctypes.data for each in arrays))
        return results
