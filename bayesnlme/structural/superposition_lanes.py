"""The sums of :mod:`bayesnlme.structural.superposition` for all pairs of a dose and an observation.

The pairs of one kind of dose are one loop over lanes; formulas and limits are those of the scalar
kernel, both sides of each limit are computed and one is selected.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from bayesnlme.assembly.errors import NoMachineCode
from bayesnlme.assembly.grouping import grouped_sum
from bayesnlme.assembly.operations import Find
from bayesnlme.assembly.program import Places, Program
from bayesnlme.odes.block import Block
from bayesnlme.odes.vector_math import polynomial
from bayesnlme.structural.superposition_terms import CENTRAL, PHI_SERIES, SMALL

_SLOPE_SERIES = tuple(n * PHI_SERIES[n] for n in range(1, len(PHI_SERIES)))


def write_superpose(program: Program, node: Any, find: Find) -> Sequence[Places]:
    """Write concentrations and sensitivities."""
    ka, CL, V = (find(each) for each in node.inputs[:3])
    row, offsets, elapsed, amount, duration, compartment = (each.data for each in node.inputs[3:])
    pair = np.repeat(np.arange(row.size), np.diff(offsets))
    kinds = 2 * (compartment == CENTRAL) + (duration > 0)
    if not set(kinds.tolist()) <= _KINDS.keys():
        raise NoMachineCode(node.op)
    per_volume, k = program.elementwise(
        lambda block, values: _per_row(block, *values), [CL, V], V.shape, 2
    )
    terms = np.empty((3, pair.size), dtype=np.int64)
    for kind in np.unique(kinds):
        chosen = np.flatnonzero(kinds == kind)
        rows = row[pair[chosen]]
        operands = [
            k[rows],
            ka[rows],
            *(program.constants(each[chosen]) for each in (elapsed, amount, duration)),
        ]
        write = _KINDS[int(kind)]
        found = program.elementwise(partial(_unpacked, write), operands, chosen.shape, 3)
        terms[:, chosen] = np.stack(found)
    sums = grouped_sum(program, terms, pair, row.size)
    found = program.elementwise(
        lambda block, values: _per_observation(block, *values),
        [*sums, k[row], per_volume[row]],
        row.shape,
        4,
    )
    return [found[0], np.stack(found[1:], axis=1)]


def write_add_up(program: Program, node: Any, find: Find) -> Sequence[Places]:
    """Write the product of cotangents and sensitivities, added up by row."""
    cotangents, sensitivities, like = (find(node.inputs[k]) for k in (0, 1, 3))
    products = [
        program.elementwise(
            lambda block, values: [block.mul(*values)], [cotangents, column], column.shape
        )[0]
        for column in sensitivities.T
    ]
    return list(grouped_sum(program, np.stack(products), node.inputs[2].data, like.size))


def _unpacked(write: Callable[..., list[str]], block: Block, values: Sequence[str]) -> list[str]:
    return write(block, *values)


def _per_row(block: Block, CL: str, V: str) -> list[str]:
    per_volume = block.div(block.constant(1.0), V)
    return [per_volume, block.mul(CL, per_volume)]


def _per_observation(
    block: Block, total: str, by_k: str, by_ka: str, k: str, per_volume: str
) -> list[str]:
    square = block.mul(per_volume, per_volume)
    by_V = block.neg(block.mul(block.fma(k, by_k, total), square))
    return [
        block.mul(total, per_volume),
        block.mul(by_ka, per_volume),
        block.mul(by_k, square),
        by_V,
    ]


def _bolus_into_depot(block: Block, k: str, ka: str, t: str, amount: str, _: str) -> list[str]:
    value, by_k, by_ka = _bateman(block, k, ka, t)
    scale = block.mul(amount, ka)
    return [
        block.mul(scale, value),
        block.mul(scale, by_k),
        block.fma(scale, by_ka, block.mul(amount, value)),
    ]


def _bolus_into_central(block: Block, k: str, _: str, t: str, amount: str, __: str) -> list[str]:
    decay = block.mul(amount, block.call("exp", block.neg(block.mul(k, t))))
    return [decay, block.neg(block.mul(t, decay)), block.constant(0.0)]


def _bateman(block: Block, k: str, ka: str, t: str) -> tuple[str, str, str]:
    """B(t) and its derivatives by k and ka; symmetric, so written in the smaller rate."""
    above = block.compare("oge", ka, k)
    slow = block.select(above, k, ka)
    gap = block.intrinsic("fabs", block.sub(ka, k))
    decay = block.mul(t, block.call("exp", block.neg(block.mul(slow, t))))
    height, slope = _phi(block, block.mul(gap, t))
    value = block.mul(decay, height)
    by_fast = block.mul(block.mul(t, decay), slope)
    by_slow = block.sub(block.neg(block.mul(t, value)), by_fast)
    return value, block.select(above, by_slow, by_fast), block.select(above, by_fast, by_slow)


def _phi(block: Block, x: str) -> tuple[str, str]:
    """(1 - exp(-x))/x and its derivative; by the series where x is small."""
    near, near_slope = polynomial(block, x, PHI_SERIES), polynomial(block, x, _SLOPE_SERIES)
    decay = block.call("exp", block.neg(x))
    inverse = block.div(block.constant(1.0), x)
    far = block.mul(block.sub(block.constant(1.0), decay), inverse)
    far_slope = block.mul(block.sub(decay, far), inverse)
    small = block.compare("olt", block.intrinsic("fabs", x), block.constant(SMALL))
    return block.select(small, near, far), block.select(small, near_slope, far_slope)


_KINDS: dict[int, Callable[..., list[str]]] = {0: _bolus_into_depot, 2: _bolus_into_central}
