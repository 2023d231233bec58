"""Sums over stages, four numbers at a time, for code compiled by numba.

A compiler may not reorder or fuse floating-point operations when the same bits are wanted
from every build, and then seldom uses the vector unit. These primitives write vector
operations and fused multiply-adds explicitly, so they are fast and give one answer.
Every block of the workspace is padded to whole vectors with zeros.
"""

from collections.abc import Sequence
from typing import Any

from bayesnlme.odes.compiling import cgutils, intrinsic, ir, types

WIDTH = 4

_LANE = ir.DoubleType()
_VECTOR = ir.VectorType(_LANE, WIDTH)
_REAL = types.CPointer(types.float64)


def padded(size: int) -> int:
    """Return the size of a block that holds `size` numbers in whole vectors."""
    return -(-size // WIDTH) * WIDTH


def combination(target: int, origin: int | None, sources: Sequence[int], size: int) -> Any:
    """Return ``(w, weights)``: ``w[target] = w[origin] + sum_s weights[s] w[sources[s]]``.

    Without an origin the sum starts at zero.

    The newest source should come last: only its product waits for it.
    """

    @intrinsic
    def combine(typingctx: Any, w: Any, weights: Any) -> Any:  # noqa: ARG001
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ARG001
            start, tuple_ = args
            zero = ir.Constant(_VECTOR, [0.0] * WIDTH)
            factors = [
                _broadcast(builder, each)
                for each in cgutils.unpack_tuple(builder, tuple_, len(sources))
            ]
            for block in range(0, size, WIDTH):
                total = zero if origin is None else _load(builder, start, origin + block)
                for factor, source in zip(factors, sources, strict=True):
                    total = _fma(builder, factor, _load(builder, start, source + block), total)
                _save(builder, start, target + block, total)
            return context.get_dummy_value()

        return types.void(_REAL, weights), generate

    return combine


def copying(target: int, origin: int, size: int) -> Any:
    """Return ``(w)``: ``w[target] = w[origin]``."""

    @intrinsic
    def copy(typingctx: Any, w: Any) -> Any:  # noqa: ARG001
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ARG001
            for block in range(0, size, WIDTH):
                value = _load(builder, args[0], origin + block)
                _save(builder, args[0], target + block, value)
            return context.get_dummy_value()

        return types.void(_REAL), generate

    return copy


def scaled_squares(error: int, before: int, after: int, tolerance: int, size: int) -> Any:
    """Return ``(w, rtol)``: the sum of squares of the error in units of the tolerance.

    The tolerance of each component is ``w[tolerance] + rtol * max(|w[before]|, |w[after]|)``.
    """

    @intrinsic
    def squares(typingctx: Any, w: Any, rtol: Any) -> Any:  # noqa: ARG001
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ARG001
            start, relative = args[0], _broadcast(builder, args[1])
            total = ir.Constant(_VECTOR, [0.0] * WIDTH)
            for block in range(0, size, WIDTH):
                old = _magnitude(builder, _load(builder, start, before + block))
                new = _magnitude(builder, _load(builder, start, after + block))
                larger = builder.select(builder.fcmp_ordered(">", old, new), old, new)
                scale = _fma(builder, relative, larger, _load(builder, start, tolerance + block))
                ratio = builder.fdiv(_load(builder, start, error + block), scale)
                total = _fma(builder, ratio, ratio, total)
            lanes = [
                builder.extract_element(total, ir.Constant(ir.IntType(32), lane))
                for lane in range(WIDTH)
            ]
            return builder.fadd(builder.fadd(lanes[0], lanes[2]), builder.fadd(lanes[1], lanes[3]))

        return types.float64(_REAL, types.float64), generate

    return squares


@intrinsic
def store(typingctx: Any, start: Any, values: Any) -> Any:  # noqa: ARG001
    """Write a tuple of numbers to an address, filled up with zeros to whole vectors."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds = signature.args[1]
        numbers = [
            context.cast(builder, value, kind, types.float64)
            for kind, value in zip(
                kinds, cgutils.unpack_tuple(builder, args[1], len(kinds)), strict=True
            )
        ]
        for block in range(0, len(numbers), WIDTH):
            vector: Any = ir.Constant(_VECTOR, [0.0] * WIDTH)
            for lane, number in enumerate(numbers[block : block + WIDTH]):
                position = ir.Constant(ir.IntType(32), lane)
                vector = builder.insert_element(vector, number, position)
            _save(builder, args[0], block, vector)
        return context.get_dummy_value()

    return types.void(start, values), generate


def _broadcast(builder: Any, number: Any) -> Any:
    vector: Any = ir.Constant(_VECTOR, ir.Undefined)
    for lane in range(WIDTH):
        vector = builder.insert_element(vector, number, ir.Constant(ir.IntType(32), lane))
    return vector


def _place(builder: Any, start: Any, offset: int) -> Any:
    first = builder.gep(start, [ir.Constant(ir.IntType(64), offset)])
    return builder.bitcast(first, _VECTOR.as_pointer())


def _load(builder: Any, start: Any, offset: int) -> Any:
    return builder.load(_place(builder, start, offset), align=8)


def _save(builder: Any, start: Any, offset: int, vector: Any) -> None:
    builder.store(vector, _place(builder, start, offset), align=8)


def _fma(builder: Any, a: Any, b: Any, c: Any) -> Any:
    return builder.call(_declared(builder, f"llvm.fma.v{WIDTH}f64", 3), [a, b, c])


def _magnitude(builder: Any, a: Any) -> Any:
    return builder.call(_declared(builder, f"llvm.fabs.v{WIDTH}f64", 1), [a])


def _declared(builder: Any, name: str, count: int) -> Any:
    kind = ir.FunctionType(_VECTOR, [_VECTOR] * count)
    return cgutils.get_or_insert_function(builder.module, kind, name)
