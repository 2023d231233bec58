r"""The control of the step, in all lanes at once.

The next step is this one times a factor made of the error and of the one before it, with the
constants of DOPRI5 [Hairer1993]_:

.. math:: 0.9 \, \mathrm{err}^{-0.17} \, \mathrm{err}_{\mathrm{before}}^{0.04}

A logarithm and a power right to 1e-5 are enough for that; errors are remembered as logarithms.

References
----------
.. [Hairer1993] E. Hairer, S. P. Norsett, G. Wanner, Solving Ordinary Differential Equations I,
   2nd ed., Springer (1993), section II.4 and its code DOPRI5.
.. [Hairer1996] E. Hairer, G. Wanner, Solving Ordinary Differential Equations II, 2nd ed.,
   Springer (1996), section IV.2: the test for stiffness.
"""

import math
import struct
from collections.abc import Sequence
from typing import Any

from bayesnlme.odes import places as at
from bayesnlme.odes.machine import INTEGER, REAL, Operation, Reals, ir, operation
from bayesnlme.odes.places import W
from bayesnlme.odes.vector import (
    broadcast,
    components,
    constant,
    fma,
    load,
    magnitude,
    number,
    save,
    slot,
)

DAMPING = 0.04
"""Weight of the last error."""

FORGOTTEN = DAMPING * math.log2(1e-4)
"""The memory of no error at all, and the least there is."""

LOG2 = (
    1.4427004400134948,
    -0.7211957523938682,
    0.47992557347080755,
    -0.3669257709575621,
    0.3168981871562629,
    -0.20228926372875827,
)
"""log2(1 + f)/f in powers of f, for 1 + f between sqrt(1/2) and sqrt(2): the logarithm to 5e-6."""

EXP2 = (0.6931367338836215, 0.24022530097412242, 0.055838282946219855, 0.009656710288544356)
"""(2**f - 1)/f in powers of f, for abs(f) <= 1/2: the power to 7e-6."""

_SAFETY = math.log2(0.9)
_EFFORT = 0.2 - 0.75 * DAMPING
_SHRINK, _GROW = 0.2, 10.0
_NEAR = 1.01
"""A step that leaves less than a hundredth of itself to the end of the stretch goes to the end."""

_INTEGERS = ir.VectorType(INTEGER, W)
_BIAS = 1023 << 52
_EXPONENT = ((1 << 12) - 1) << 52
_BIG = 2.0**52
_ROUND = 1.5 * 2.0**52


def _controlled(builder: Any, args: Any) -> Any:
    lanes, users, most_signs, most_steps = args

    def get(field: int) -> Any:
        return load(builder, lanes, number((field - at.T) * W))

    def put(field: int, value: Any) -> None:
        save(builder, lanes, number((field - at.T) * W), value)

    def over(relation: str, a: Any, b: Any) -> Any:
        return builder.fcmp_ordered(relation, a, b)

    zero, one = constant(0.0), constant(1.0)
    t, h, end, error = get(at.T), get(at.STEP), get(at.END), get(at.ERROR)
    stiff, taken, sight, strain = get(at.STIFF), get(at.STEPS), get(at.SIGHT), get(at.STRAIN)
    old = {field: get(field) for field in (at.T, at.H, at.MEMORY, at.GROWTH)}
    effort = builder.fmul(constant(0.5), _log2(builder, error))
    wanted = builder.fadd(old[at.MEMORY], constant(_SAFETY))
    factor = _exp2(builder, fma(builder, constant(-_EFFORT), effort, wanted))
    stretch = _larger(builder, factor, constant(_SHRINK))
    stretch = builder.select(over("<", stretch, old[at.GROWTH]), stretch, old[at.GROWTH])
    memory = _larger(builder, builder.fmul(constant(DAMPING), effort), constant(FORGOTTEN))
    put(at.FACTOR, factor)
    put(at.STRETCH, stretch)
    put(at.MEMORY_NEXT, memory)

    mine = _members(builder, users)
    sign = builder.select(over(">", strain, one), one, constant(-1.0))
    signs = _larger(builder, builder.fadd(stiff, sign), zero)
    steps = builder.fadd(taken, one)
    now, next_ = builder.fadd(t, h), builder.fmul(h, stretch)
    calm = builder.and_(mine, over("<=", error, one))
    calm = builder.and_(calm, over("<", now, sight))
    calm = builder.and_(calm, over("<", signs, broadcast(builder, most_signs)))
    calm = builder.and_(calm, over("<=", steps, broadcast(builder, most_steps)))
    reach = builder.fadd(now, builder.fmul(constant(_NEAR), next_))
    next_ = builder.select(over(">=", reach, end), builder.fsub(end, now), next_)
    put(at.STIFF, builder.select(mine, signs, stiff))
    put(at.STEPS, builder.select(mine, steps, taken))
    for field, value in {
        at.T: now,
        at.H: next_,
        at.MEMORY: memory,
        at.GROWTH: constant(_GROW),
    }.items():
        put(field, builder.select(calm, value, old[field]))
    noisy = builder.and_(mine, builder.not_(calm))
    return builder.zext(builder.bitcast(noisy, ir.IntType(W)), INTEGER)


def appraisal(weights: Sequence[float], stable: float) -> Operation:
    """Return ``(lanes, before, after, late, slopes, tolerance, rtol, n_states, n)``.

    It sets, in the numbers of lanes, ERROR to the mean over n components of the squared error
    ``STEP * sum_s weights[s] * slopes[s]`` over ``tolerance + rtol * max(|before|, |after|)``,
    and STRAIN to the square of the step times the rate of the fastest mode over what is stable.
    That rate is how far the last two slopes are apart over how far the states are that they
    belong to, the last two stages ([Hairer1996]_).
    """

    def body(builder: Any, args: Any) -> None:
        lanes, before, after, late, slopes, tolerance, rtol, n_states, n = args
        stride = builder.mul(n, number(W))
        blocks = [builder.gep(slopes, [builder.mul(stride, number(s))]) for s in range(7)]
        h = load(builder, lanes, number((at.STEP - at.T) * W))
        relative = broadcast(builder, rtol)
        total, rate, gap = (slot(builder, constant(0.0)) for _ in range(3))

        def scaled(place: Any) -> Any:
            """Add to the error; return the inverse of the scale."""
            old = magnitude(builder, load(builder, before, place))
            new = magnitude(builder, load(builder, after, place))
            limit = load(builder, tolerance, place)
            scale = fma(builder, relative, _larger(builder, old, new), limit)
            inverse = builder.fdiv(constant(1.0), scale)
            error: Any = constant(0.0)
            for block, weight in zip(blocks, weights, strict=True):
                error = fma(builder, constant(weight), load(builder, block, place), error)
            add(total, builder.fmul(builder.fmul(h, error), inverse))
            return inverse

        def add(sum_: Any, value: Any) -> None:
            builder.store(fma(builder, value, value, builder.load(sum_)), sum_)

        with components(builder, n_states) as place:
            inverse = scaled(place)
            for sum_, one, other in ((rate, blocks[-1], blocks[-2]), (gap, after, late)):
                move = builder.fsub(load(builder, one, place), load(builder, other, place))
                add(sum_, builder.fmul(move, inverse))
        first = builder.mul(n_states, number(W))
        with components(builder, builder.sub(n, n_states)) as place:
            scaled(builder.add(place, first))
        size = broadcast(builder, builder.sitofp(n, REAL))
        save(
            builder,
            lanes,
            number((at.ERROR - at.T) * W),
            builder.fdiv(builder.load(total), size),
        )
        share = builder.fmul(h, constant(1.0 / stable))
        above = builder.fmul(builder.fmul(share, share), builder.load(rate))
        below = builder.load(gap)
        moved = builder.fcmp_ordered(">", below, constant(0.0))
        strain = builder.select(moved, builder.fdiv(above, below), constant(0.0))
        save(builder, lanes, number((at.STRAIN - at.T) * W), strain)

    return operation(*[Reals] * 6, float, int, int)(body)


def _log2(builder: Any, x: Any) -> Any:
    """Return log2(x) for normal x > 0, and something below -1000 for less."""
    bits = builder.bitcast(x, _INTEGERS)
    (half,) = struct.unpack("<q", struct.pack("<d", math.sqrt(0.5)))
    shifted = builder.add(bits, _whole(_BIAS - half))
    biased = builder.or_(builder.lshr(shifted, _whole(52)), _whole((1023 + 52) << 52))
    exponent = builder.fsub(builder.bitcast(biased, x.type), constant(_BIG + 1023.0))
    scale = builder.and_(shifted, _whole(_EXPONENT))
    fraction = builder.add(builder.sub(bits, scale), _whole(_BIAS))
    f = builder.fsub(builder.bitcast(fraction, x.type), constant(1.0))
    return fma(builder, f, _polynomial(builder, f, LOG2), exponent)


def _exp2(builder: Any, x: Any) -> Any:
    """Return 2**x for abs(x) < 1000."""
    moved = builder.fadd(x, constant(_ROUND))
    f = builder.fsub(x, builder.fsub(moved, constant(_ROUND)))
    power = builder.shl(builder.bitcast(moved, _INTEGERS), _whole(52))
    scale = builder.bitcast(builder.add(power, _whole(_BIAS)), x.type)
    value = fma(builder, f, _polynomial(builder, f, EXP2), constant(1.0))
    return builder.fmul(value, scale)


def _polynomial(builder: Any, x: Any, coefficients: Sequence[float]) -> Any:
    """Return a polynomial by Estrin's scheme: neighbours are paired, so few steps wait."""
    terms: list[Any] = [constant(each) for each in coefficients]
    while len(terms) > 1:
        pairs = [
            fma(builder, x, odd, even) for even, odd in zip(terms[::2], terms[1::2], strict=False)
        ]
        terms = pairs + terms[len(terms) - len(terms) % 2 :]
        x = builder.fmul(x, x)
    return terms[0]


def _members(builder: Any, lanes: Any) -> Any:
    """Return lanes given as bits as a vector of conditions."""
    bits = builder.trunc(lanes, ir.IntType(W))
    return builder.bitcast(bits, ir.VectorType(ir.IntType(1), W))


def _larger(builder: Any, a: Any, b: Any) -> Any:
    return builder.select(builder.fcmp_ordered(">", a, b), a, b)


def _whole(value: int) -> Any:
    return ir.Constant(_INTEGERS, [value] * W)


control = operation(Reals, int, float, float)(_controlled)
"""``(lanes, users, signs, steps)``: go on where there is nothing else to do.

Of the users, lanes given as bits whose STEP has been tried, those take the next one where the error
is at most 1, the step ends before what is in SIGHT, fewer than so many signs speak for the other
method, and no more than so many steps have been taken. The others are returned as bits; FACTOR,
STRETCH and MEMORY_NEXT say how they are to go on.
"""


def _taking(builder: Any, args: Any) -> None:
    target, source, lanes = args
    chosen = _members(builder, lanes)
    value = load(builder, source, number(0))
    save(builder, target, number(0), builder.select(chosen, value, constant(0.0)))


only = operation(Reals, Reals, int)(_taking)
"""``(target, source, lanes)``: one number in the lanes given as bits, 0 in the others."""


def _counted(builder: Any, args: Any) -> Any:
    return builder.call(builder.module.declare_intrinsic("llvm.ctpop", [INTEGER]), [args[0]])


count = operation(int)(_counted)
"""``(lanes)``: how many lanes are given as bits."""


def _lowest(builder: Any, args: Any) -> Any:
    kind = ir.FunctionType(INTEGER, [INTEGER, ir.IntType(1)])
    lowest = builder.module.declare_intrinsic("llvm.cttz", [INTEGER], kind)
    return builder.call(lowest, [args[0], ir.Constant(ir.IntType(1), 1)])


first = operation(int)(_lowest)
"""``(lanes)``: the first of the lanes given as bits, of which there must be one."""
