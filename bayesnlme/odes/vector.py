"""Vector operations over lanes of subjects, for the loop over subjects.

A block of the workspace is laid out ``[component][lane]``, so one vector holds the same number of
`WIDTH` subjects. A compiler may not reorder or fuse floating-point operations when the same bits
are wanted from every build, and then seldom uses the vector unit by itself; these primitives
write vector operations and fused multiply-adds explicitly. Lanes never mix.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from bayesnlme.odes.emit import WIDTH
from bayesnlme.odes.machine import INTEGER, REAL, Operation, Reals, ir, operation

VECTOR = ir.VectorType(REAL, WIDTH)


def combination(weights: Sequence[float]) -> Operation:
    """Return ``(target, start, factor, sources, stride, n)``: a weighted sum of blocks.

    ``target = start + factor * sum_s weights[s] * sources[s]`` for n components, with one factor
    for each lane; block s begins ``s * stride`` numbers behind ``sources``.
    """

    def body(builder: Any, args: Any) -> None:
        target, start, factor, sources, stride, n = args
        used = [(s, weight) for s, weight in enumerate(weights) if weight != 0.0]
        blocks = [builder.gep(sources, [builder.mul(stride, number(s))]) for s, _ in used]
        scale = load(builder, factor, number(0))
        with components(builder, n) as place:
            total: Any = constant(0.0)
            for block, (_, weight) in zip(blocks, used, strict=True):
                total = fma(builder, constant(weight), load(builder, block, place), total)
            save(builder, target, place, fma(builder, scale, total, load(builder, start, place)))

    return operation(Reals, Reals, Reals, Reals, int, int)(body)


add = combination([1.0])
"""``target = start + factor * source``."""


def blend(count: int) -> Operation:
    """Return ``(target, start, weights, sources, stride, n)``: a sum with weights by lane.

    As `combination`, but block s has the weights ``weights[s * WIDTH]`` and on, one for each lane.
    """

    def body(builder: Any, args: Any) -> None:
        target, start, weights, sources, stride, n = args
        factors = [load(builder, weights, number(s * WIDTH)) for s in range(count)]
        blocks = [builder.gep(sources, [builder.mul(stride, number(s))]) for s in range(count)]
        with components(builder, n) as place:
            total: Any = load(builder, start, place)
            for factor, block in zip(factors, blocks, strict=True):
                total = fma(builder, factor, load(builder, block, place), total)
            save(builder, target, place, total)

    return operation(Reals, Reals, Reals, Reals, int, int)(body)


def _blended(builder: Any, args: Any) -> None:
    target, weights, sources, stride, n, count = args
    total = slot(builder, constant(0.0))
    with components(builder, n) as place:
        builder.store(constant(0.0), total)
        with _repeated(builder, count) as turn:
            factor = load(builder, weights, builder.mul(turn, number(WIDTH)))
            block = builder.gep(sources, [builder.mul(stride, turn)])
            value = load(builder, block, place)
            builder.store(fma(builder, factor, value, builder.load(total)), total)
        save(builder, target, place, builder.load(total))


def _scaled_squares(builder: Any, args: Any) -> None:
    error, less, before, after, tolerance, relative, n, out = args
    total = slot(builder, constant(0.0))
    rtol = broadcast(builder, relative)
    with components(builder, n) as place:
        old = magnitude(builder, load(builder, before, place))
        new = magnitude(builder, load(builder, after, place))
        larger = builder.select(builder.fcmp_ordered(">", old, new), old, new)
        scale = fma(builder, rtol, larger, load(builder, tolerance, place))
        gap = builder.fsub(load(builder, error, place), load(builder, less, place))
        ratio = builder.fdiv(gap, scale)
        builder.store(fma(builder, ratio, ratio, builder.load(total)), total)
    save(builder, out, number(0), builder.load(total))


def _chosen(builder: Any, args: Any) -> None:
    target, source, mask, n = args
    chosen = builder.fcmp_unordered("!=", load(builder, mask, number(0)), constant(0.0))
    with components(builder, n) as place:
        new, old = load(builder, source, place), load(builder, target, place)
        save(builder, target, place, builder.select(chosen, new, old))


def _copied(builder: Any, args: Any) -> None:
    target, source, n = args
    with components(builder, n) as place:
        save(builder, target, place, load(builder, source, place))


def _row_sums(builder: Any, args: Any) -> None:
    matrix, n, out = args
    save(builder, out, number(0), constant(0.0))
    with _repeated(builder, n) as row:
        total = slot(builder, constant(0.0))
        builder.store(constant(0.0), total)
        start = builder.gep(matrix, [builder.mul(builder.mul(row, n), number(WIDTH))])
        with components(builder, n) as place:
            size = magnitude(builder, load(builder, start, place))
            builder.store(builder.fadd(builder.load(total), size), total)
        old, new = load(builder, out, number(0)), builder.load(total)
        larger = builder.fcmp_ordered(">", old, new)
        save(builder, out, number(0), builder.select(larger, old, new))


def _called(builder: Any, args: Any) -> None:
    address, *pointers = args
    kind = ir.FunctionType(ir.VoidType(), [ir.PointerType(REAL)] * len(pointers))
    builder.call(builder.inttoptr(address, kind.as_pointer()), pointers)


@contextmanager
def _repeated(builder: Any, count: Any) -> Iterator[Any]:
    """Loop, giving the number of the turn."""
    before = builder.block
    check = builder.append_basic_block("check")
    body, after = builder.append_basic_block("body"), builder.append_basic_block("after")
    builder.branch(check)
    builder.position_at_end(check)
    index = builder.phi(INTEGER)
    index.add_incoming(number(0), before)
    builder.cbranch(builder.icmp_signed("<", index, count), body, after)
    builder.position_at_end(body)
    yield index
    index.add_incoming(builder.add(index, number(1)), builder.block)
    builder.branch(check)
    builder.position_at_end(after)


@contextmanager
def components(builder: Any, n: Any) -> Iterator[Any]:
    """Loop over components, giving the place of each one's vector in its block."""
    with _repeated(builder, n) as index:
        yield builder.mul(index, number(WIDTH))


def slot(builder: Any, value: Any) -> Any:
    """Return a variable of the function, set to a value here."""
    with builder.goto_entry_block():
        place = builder.alloca(value.type)
    builder.store(value, place)
    return place


def number(value: int) -> Any:
    """Return an integer as a constant of the machine."""
    return ir.Constant(ir.IntType(64), value)


def constant(value: float) -> Any:
    """Return a number in every lane."""
    return ir.Constant(VECTOR, [value] * WIDTH)


def _vector_at(builder: Any, start: Any, place: Any) -> Any:
    return builder.bitcast(builder.gep(start, [place]), VECTOR.as_pointer())


def load(builder: Any, start: Any, place: Any) -> Any:
    """Read the vector so many numbers behind an address."""
    value = builder.load(_vector_at(builder, start, place))
    value.align = 8
    return value


def save(builder: Any, start: Any, place: Any, value: Any) -> None:
    """Write a vector so many numbers behind an address."""
    builder.store(value, _vector_at(builder, start, place)).align = 8


def fma(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """Return a b + c, rounded once."""
    return builder.call(_intrinsic(builder, "llvm.fma", 3), [a, b, c])


def magnitude(builder: Any, value: Any) -> Any:
    """Return the absolute value."""
    return builder.call(_intrinsic(builder, "llvm.fabs", 1), [value])


def _intrinsic(builder: Any, name: str, count: int) -> Any:
    kind = ir.FunctionType(VECTOR, [VECTOR] * count)
    full, known = f"{name}.v{WIDTH}f64", builder.module.globals
    return known[full] if full in known else ir.Function(builder.module, kind, name=full)


def broadcast(builder: Any, value: Any) -> Any:
    """Return a number of the machine in every lane."""
    vector: Any = ir.Constant(VECTOR, ir.Undefined)
    for lane in range(WIDTH):
        vector = builder.insert_element(vector, value, ir.Constant(ir.IntType(32), lane))
    return vector


def _taken(builder: Any, args: Any) -> None:
    target, factor, source = args
    minus = builder.fneg(load(builder, factor, number(0)))
    value, old = load(builder, source, number(0)), load(builder, target, number(0))
    save(builder, target, number(0), fma(builder, minus, value, old))


def _divided(builder: Any, args: Any) -> None:
    target, value, divisor = args
    above, below = load(builder, value, number(0)), load(builder, divisor, number(0))
    save(builder, target, number(0), builder.fdiv(above, below))


take = operation(Reals, Reals, Reals)(_taken)
"""``(target, factor, source)``: ``target -= factor * source``, one number for each lane."""

divide = operation(Reals, Reals, Reals)(_divided)
"""``(target, above, below)``: ``target = above / below``, one number for each lane."""

blend_all = operation(Reals, Reals, Reals, int, int, int)(_blended)
"""``(target, weights, sources, stride, n, count)``: a sum over blocks with weights by lane."""

scaled_squares = operation(Reals, Reals, Reals, Reals, Reals, float, int, Reals)(_scaled_squares)
"""``(error, less, before, after, tolerance, rtol, n, out)``: sum of squared, scaled differences.

The sum over n components of ``((error - less)/scale)**2`` with
``scale = tolerance + rtol * max(|before|, |after|)``, one result for each lane.
"""

choose = operation(Reals, Reals, Reals, int)(_chosen)
"""``(target, source, mask, n)``: copy n components in the lanes whose mask is not 0."""

copy = operation(Reals, Reals, int)(_copied)
"""``(target, source, n)``: copy n components."""

largest_row_sum = operation(Reals, int, Reals)(_row_sums)
"""``(matrix, n, out)``: the norm of an n x n matrix, for each lane."""

call = operation(int, *[Reals] * 6)(_called)
"""``(address, t, y, c, r, v, out)``: call a generated function."""
