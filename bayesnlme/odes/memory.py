"""Primitives on bare memory, for code compiled by numba.

The inner loops work on addresses in place of arrays: a call passes one address instead of
the seven fields of an array, no index is checked for being negative, and compiling takes a
fraction of the time. Memory must outlive its address; `keep` says until when.
"""

from typing import Any

from bayesnlme.odes.compiling import cgutils, intrinsic, overload, types


def contiguous(arrays: Any) -> Any:
    """Return an array, or a tuple of arrays, with a copy of what is not contiguous."""
    raise NotImplementedError(f"{arrays!r}: for compiled code only.")


@overload(contiguous)
def _contiguous(arrays: Any) -> Any:
    def same(arrays: Any) -> Any:
        return arrays

    def copied(arrays: Any) -> Any:
        return arrays.copy()

    def one_by_one(arrays: Any) -> Any:
        return (contiguous(arrays[0]), *contiguous(arrays[1:]))

    several = isinstance(arrays, types.BaseTuple)
    if all(each.layout == "C" for each in (arrays if several else (arrays,))):
        return same
    return one_by_one if several else copied


@intrinsic
def address(typingctx: Any, array: Any) -> Any:  # noqa: ARG001
    """Return the address of the first number of a contiguous array."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.make_array(signature.args[0])(context, builder, args[0]).data

    return types.CPointer(array.dtype)(array), generate


@intrinsic
def addresses(typingctx: Any, arrays: Any) -> Any:  # noqa: ARG001
    """Return the same named tuple with the addresses of its arrays."""
    kinds = [types.CPointer(each.dtype) for each in arrays]
    result = types.NamedTuple(kinds, arrays.instance_class)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        values = cgutils.unpack_tuple(builder, args[0], len(kinds))
        starts = [
            context.make_array(kind)(context, builder, value).data
            for kind, value in zip(signature.args[0], values, strict=True)
        ]
        return context.make_tuple(builder, result, starts)

    return result(arrays), generate


@intrinsic
def lengths(typingctx: Any, arrays: Any) -> Any:  # noqa: ARG001
    """Return the lengths of a tuple of vectors."""
    result = types.UniTuple(types.intp, len(arrays))

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        values = cgutils.unpack_tuple(builder, args[0], len(arrays))
        counts = [
            context.make_array(kind)(context, builder, value).nitems
            for kind, value in zip(signature.args[0], values, strict=True)
        ]
        return context.make_tuple(builder, result, counts)

    return result(arrays), generate


@intrinsic
def keep(typingctx: Any, arrays: Any) -> Any:  # noqa: ARG001
    """Do nothing with arrays, whose memory therefore lives until here."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ARG001
        return context.get_dummy_value()

    return types.void(arrays), generate


@intrinsic
def shift(typingctx: Any, start: Any, offset: Any) -> Any:  # noqa: ARG001
    """Return the address `offset` numbers further on."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        step = context.cast(builder, args[1], signature.args[1], types.intp)
        return builder.gep(args[0], [step])

    return start(start, offset), generate
