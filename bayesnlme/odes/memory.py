"""Primitives on bare memory, for code compiled by numba.

The inner loops work on addresses in place of arrays: a call passes one address instead of
the seven fields of an array, no index is checked for being negative, and compiling takes a
fraction of the time. Memory must outlive its address; `keep` says until when.
"""

from typing import Any

from bayesnlme.odes.compiling import cgutils, intrinsic, ir, overload, types


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
def note(typingctx: Any, target: Any, arrays: Any) -> Any:  # noqa: ARG001
    """Write the addresses of a tuple of vectors, then their lengths, to an address of integers."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        count = len(arrays)
        values = cgutils.unpack_tuple(builder, args[1], count)
        for i, (kind, value) in enumerate(zip(signature.args[1], values, strict=True)):
            array = context.make_array(kind)(context, builder, value)
            word = context.get_value_type(types.int64)
            start = builder.ptrtoint(array.data, word)
            builder.store(start, builder.gep(args[0], [ir.Constant(word, i)]))
            builder.store(array.nitems, builder.gep(args[0], [ir.Constant(word, count + i)]))
        return context.get_dummy_value()

    return types.void(target, arrays), generate


@intrinsic
def keep(typingctx: Any, arrays: Any) -> Any:  # noqa: ARG001
    """Do nothing with arrays, whose memory therefore lives until here."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ARG001
        return context.get_dummy_value()

    return types.void(arrays), generate


@intrinsic
def number(typingctx: Any, start: Any) -> Any:  # noqa: ARG001
    """Return an address as a number."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ARG001
        return builder.ptrtoint(args[0], context.get_value_type(types.int64))

    return types.int64(start), generate
