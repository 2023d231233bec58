"""The product of cotangents with sensitivities, added up by row of the parameters."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytensor.tensor as pt
from pytensor.gradient import disconnected_type, grad_not_implemented
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.link.numba.dispatch.basic import numba_njit, register_funcify_and_cache_key

from bayesnlme._types import Tensor
from bayesnlme.odes.compiling import OPTIONS
from bayesnlme.odes.digest import sources_digest


class RowGradient(Op):
    """Gradient by the parameters.

    Inputs are the cotangents of the observations, shape ``(n_observations,)``, the sensitivities,
    shape ``(n_pairs, n_parameters)``, the offsets of the pairs, their rows, and the parameters,
    shape ``(n_rows, n_parameters)``, whose shape the output has.
    """

    __props__ = ("source",)

    def __init__(self) -> None:
        self.source = sources_digest([Path(__file__)])

    def make_node(self, *inputs: Tensor) -> Apply[Any]:
        """Bring the inputs to their types."""
        return Apply(self, [pt.as_tensor(each) for each in inputs], [inputs[4].type()])

    def perform(
        self, node: Apply[Any], inputs: Sequence[Any], output_storage: Sequence[list[Any]]
    ) -> None:
        """Run the kernel from Python."""
        del node
        output_storage[0][0] = _from_python(*inputs)

    def infer_shape(
        self, node: Apply[Any], shapes: Sequence[tuple[Any, ...]]
    ) -> list[tuple[Any, ...]]:
        """Give the shape of the output without computing it."""
        del node
        return [shapes[4]]

    def connection_pattern(self, node: Apply[Any]) -> list[list[bool]]:
        """Connect the output with what is multiplied."""
        del node
        return [[True], [True], [False], [False], [False]]

    def pullback(
        self, inputs: Sequence[Tensor], outputs: Sequence[Tensor], cotangents: Sequence[Tensor]
    ) -> list[Tensor]:
        """Go back to the cotangents alone, of which the product is linear: a push-forward.

        The sensitivities have no derivatives: asking for them is an error.
        """
        del outputs
        _, sensitivities, offsets, rows, _ = inputs
        (direction,) = cotangents
        changes = (sensitivities * direction[rows]).sum(axis=1)
        pairs = pt.arange(rows.shape[0])
        observation = pt.searchsorted(offsets, pairs, side="right") - 1
        total = pt.zeros_like(inputs[0])[observation].inc(changes)
        refused = grad_not_implemented(
            self, 1, sensitivities, "the solution has first derivatives alone"
        )
        others = [disconnected_type() for _ in inputs[2:]]
        return [total, refused, *others]


def _add_up(cotangents: Any, sensitivities: Any, offsets: Any, rows: Any, parameters: Any) -> Any:
    gradient = np.zeros(parameters.shape)
    for j in range(len(cotangents)):
        for pair in range(offsets[j], offsets[j + 1]):
            for k in range(parameters.shape[1]):
                gradient[rows[pair], k] += cotangents[j] * sensitivities[pair, k]
    return gradient


_from_python = numba.njit(**OPTIONS)(_add_up)


@register_funcify_and_cache_key(RowGradient)
def _funcify(op: RowGradient, node: Apply[Any], **_: Any) -> tuple[Any, str]:
    """Hand the loop to PyTensor's compiler, under a key that covers its source."""
    del node
    return numba_njit(**OPTIONS)(_add_up), f"row gradient {op.source}"
