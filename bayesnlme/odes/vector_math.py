"""Exponentials, logarithms and powers of all lanes at once, without branches.

Each function reduces its argument to a short interval around 0, where a polynomial does the
rest. The polynomials interpolate at the Chebyshev nodes of that interval: solved for with 60
digits, then rounded to the nearest numbers. The largest errors at 100 000 points, in units
in the last place: exp 1.1, log 0.8, tanh 2.2, powers 1.2. Special values are those of C.

Sine, cosine and tangent call the C library for every lane.

References
----------
.. [Dekker1971] T. J. Dekker, A floating-point technique for extending the available precision,
   Numerische Mathematik 18 (1971), 224-242.
"""

import math
from collections.abc import Callable, Sequence

from bayesnlme.odes.block import Block, Registers

EXP = (
    0.5000000000000001,
    0.16666666666666669,
    0.041666666666624164,
    0.008333333333330065,
    0.0013888888917196719,
    0.00019841269863040545,
    2.4801521322368692e-05,
    2.7557268480310024e-06,
    2.7620075879983367e-07,
    2.5100375832561234e-08,
)
"""(exp(r) - 1 - r) / r**2 for abs(r) <= log(2)/2, in powers of r."""

LOG = (
    0.666666666666667,
    0.39999999999899505,
    0.28571428625975487,
    0.2222221113479508,
    0.18182889125261723,
    0.15331721600556042,
    0.14616449685043406,
)
"""(2 atanh(s) - 2 s) / s**3 for abs(s) <= (sqrt(2) - 1)/(sqrt(2) + 1), in powers of s**2."""

LOG_TAIL = (
    0.4,
    0.28571428571429364,
    0.22222222221656232,
    0.18181818335314404,
    0.15384594970895457,
    0.13334804238225345,
    0.11706248540922386,
    0.11723051028097753,
)
"""(2 atanh(s) - 2 s - 2/3 s**3) / s**5 on the same interval, in powers of s**2."""

LN2 = (0.6931471805598903, 5.497923018708371e-14)
"""log(2) as a number of 42 bits, whose product with a binary exponent is exact, and the rest."""

TWO_THIRDS = (2 / 3, 3.700743415417188e-17)
"""2/3 as the sum of two numbers."""

_ROUND = 1.5 * 2.0**52
_ONE_BITS = 1023 << 52
_FRACTION_BITS = (1 << 52) - 1
_BIG_BITS = (1023 + 52) << 52
_TINY = 2.0**-1022


def definition(name: str, registers: Registers) -> tuple[str, Block]:
    """Return a function as LLVM text, and the block of its instructions."""
    block = Block(registers)
    write, arguments = FUNCTIONS[name]
    values = write(block, *arguments)
    kind, result = registers.real, values
    if not isinstance(values, str):
        kind, result = registers.pair, block.pair(*values)
    header = ", ".join(f"{registers.real} {each}" for each in arguments)
    text = [
        f"define internal {kind} {registers.function(name)}({header}) nounwind {{",
        *block.lines,
        f"  ret {kind} {result}",
        "}",
    ]
    return "\n".join(text), block


def exp(block: Block, x: str) -> str:
    """exp(x) = 2**k exp(r) with x = k log(2) + r."""
    k, q = _reduced_exp(block, x)
    return _scaled(block, block.add(block.constant(1.0), q), k)


def log(block: Block, x: str) -> str:
    """log(2**k (1 + f)) = k log(2) + 2 atanh(s) with s = f / (2 + f).

    As 2 s = f - s f and s f = f**2/2 - s f**2/2, the leading term is f itself, exactly.
    """
    constant, add, sub, mul = block.constant, block.add, block.sub, block.mul
    k, f = _exponent_and_fraction(block, x)
    s = block.div(f, add(constant(2.0), f))
    z = mul(s, s)
    rest = mul(z, polynomial(block, z, LOG))
    half_square = mul(mul(constant(0.5), f), f)
    low = block.fma(s, add(half_square, rest), mul(k, constant(LN2[1])))
    near = sub(f, sub(half_square, low))
    value = _log_special(block, x, block.fma(k, constant(LN2[0]), near))
    return block.select(block.compare("olt", x, constant(0.0)), constant(math.nan), value)


def power(block: Block, x: str, y: str, log_high: str, log_low: str) -> str:
    """abs(x)**y = exp(y log(abs(x))), with the logarithm from `split_log`."""
    constant, compare, select = block.constant, block.compare, block.select
    zero, one = constant(0.0), constant(1.0)
    size = block.intrinsic("fabs", x)
    high, error = _two_product(block, y, log_high)
    inside = compare("olt", block.intrinsic("fabs", high), constant(750.0))
    low = select(inside, block.fma(y, log_low, error), zero)
    k, q = _reduced_exp(block, high, low)
    value = _scaled(block, block.add(one, q), k)
    value = select(compare("oeq", size, one), one, value)

    half = block.mul(constant(0.5), y)
    whole = compare("oeq", block.intrinsic("rint", y), y)
    odd = block.logic("and", whole, compare("une", block.intrinsic("rint", half), half))
    value = block.intrinsic("copysign", value, select(odd, x, one))
    root = block.logic("and", compare("olt", x, zero), compare("olt", size, constant(math.inf)))
    value = select(root, select(whole, value, constant(math.nan)), value)
    return select(compare("oeq", y, zero), one, value)


def split_log(block: Block, x: str) -> tuple[str, str]:
    """log(abs(x)) as the sum of two numbers, right to 2**-64.

    log(1 + f) = s (2 + s**2 (2/3 + s**2 T)); all but T is carried as a sum of two numbers.
    """
    constant, add, mul, fma = block.constant, block.add, block.mul, block.fma
    size = block.intrinsic("fabs", x)
    k, f = _exponent_and_fraction(block, size)
    t, t_low = _sum(block, constant(2.0), f)
    inverse = block.div(constant(1.0), t)
    s = mul(f, inverse)
    st, st_low = _two_product(block, s, t)
    missing = block.sub(block.sub(block.sub(f, st), st_low), mul(s, t_low))
    s_low = mul(missing, inverse)
    z, z_low = _two_product(block, s, s)
    z_low = fma(mul(constant(2.0), s), s_low, z_low)
    tail = mul(z, polynomial(block, z, LOG_TAIL))
    g, g_low = _sum(block, constant(TWO_THIRDS[0]), tail)
    g_low = add(g_low, constant(TWO_THIRDS[1]))
    h, h_low = _two_product(block, z, g)
    h_low = fma(z, g_low, fma(z_low, g, h_low))
    v, v_low = _sum(block, constant(2.0), h)
    v_low = add(v_low, h_low)
    near, near_low = _two_product(block, s, v)
    near_low = fma(s, v_low, fma(s_low, v, near_low))
    high, low = _sum(block, mul(k, constant(LN2[0])), near)
    low = add(low, fma(k, constant(LN2[1]), near_low))
    total, rest = _sum(block, high, low)
    return _log_special(block, size, total), rest


def tanh(block: Block, x: str) -> str:
    """tanh(x) = e / (e + 2) with e = exp(2 x) - 1 for x > 0, and odd."""
    constant, select = block.constant, block.select
    size = block.intrinsic("fabs", x)
    size = select(block.compare("ogt", size, constant(22.0)), constant(22.0), size)
    k, q = _reduced_exp(block, block.add(size, size))
    power = _power_of_two(block, k)
    e = block.add(block.sub(power, constant(1.0)), block.mul(power, q))
    return block.intrinsic("copysign", block.div(e, block.add(e, constant(2.0))), x)


def _reduced_exp(block: Block, high: str, low: str | None = None) -> tuple[str, str]:
    """Return k and exp(r) - 1 with high + low = k log(2) + r; k is not limited for NaN."""
    constant, select, fma = block.constant, block.select, block.fma
    for relation, limit in (("ogt", 710.0), ("olt", -746.0)):
        bound = constant(limit)
        high = select(block.compare(relation, high, bound), bound, high)
    k = _nearest(block, block.mul(high, constant(1.0 / math.log(2.0))))
    r = fma(k, constant(-LN2[0]), high)
    r = fma(k, constant(-LN2[1]), r)
    if low is not None:
        r = block.add(r, low)
    return k, fma(block.mul(r, r), polynomial(block, r, EXP), r)


def _scaled(block: Block, value: str, k: str) -> str:
    """Return 2**k times a value, in two steps as 2**k alone may be no normal number."""
    half = _nearest(block, block.mul(k, block.constant(0.5)))
    value = block.mul(value, _power_of_two(block, half))
    return block.mul(value, _power_of_two(block, block.sub(k, half)))


def _nearest(block: Block, x: str) -> str:
    """Return the nearest whole number, for abs(x) < 2**51."""
    shift = block.constant(_ROUND)
    return block.sub(block.add(x, shift), shift)


def _power_of_two(block: Block, k: str) -> str:
    """Return 2**k for a whole number of -1022 to 1023, which the last bits of k + 2**52 hold."""
    bits = block.bits(block.add(k, block.constant(_ROUND)))
    return block.number(block.integer("add", block.integer("shl", bits, 52), _ONE_BITS))


def _exponent_and_fraction(block: Block, x: str) -> tuple[str, str]:
    """Return k and f with x = 2**k (1 + f) and 1 + f between sqrt(1/2) and sqrt(2), for x > 0."""
    constant, select = block.constant, block.select
    small = block.compare("olt", x, constant(_TINY))
    bits = block.bits(select(small, block.mul(x, constant(2.0**54)), x))
    biased = block.integer("or", block.integer("lshr", bits, 52), _BIG_BITS)
    offset = select(small, constant(2.0**52 + 1077.0), constant(2.0**52 + 1023.0))
    k = block.sub(block.number(biased), offset)
    fraction = block.integer("or", block.integer("and", bits, _FRACTION_BITS), _ONE_BITS)
    m = block.number(fraction)
    large = block.compare("ogt", m, constant(math.sqrt(2.0)))
    m = select(large, block.mul(m, constant(0.5)), m)
    k = select(large, block.add(k, constant(1.0)), k)
    return k, block.sub(m, constant(1.0))


def _log_special(block: Block, x: str, value: str) -> str:
    """Return the logarithm of 0, infinity and NaN, and else the value."""
    value = block.select(block.compare("olt", x, block.constant(math.inf)), value, x)
    zero = block.compare("oeq", x, block.constant(0.0))
    return block.select(zero, block.constant(-math.inf), value)


def _sum(block: Block, larger: str, smaller: str) -> tuple[str, str]:
    """Return a + b rounded and what rounding left, for abs(a) >= abs(b) or a = 0 [Dekker1971]_."""
    total = block.add(larger, smaller)
    return total, block.sub(smaller, block.sub(total, larger))


def _two_product(block: Block, a: str, b: str) -> tuple[str, str]:
    """Return a b rounded and what rounding left [Dekker1971]_."""
    product = block.mul(a, b)
    if block.registers.fma:
        return product, block.fma(a, b, block.neg(product))
    (a1, a2), (b1, b2) = _halves(block, a), _halves(block, b)
    error = block.sub(block.mul(a1, b1), product)
    for left, right in ((a1, b2), (a2, b1), (a2, b2)):
        error = block.add(error, block.mul(left, right))
    return product, error


def _halves(block: Block, a: str) -> tuple[str, str]:
    """Return two numbers of 26 bits with the sum a."""
    spread = block.mul(a, block.constant(2.0**27 + 1.0))
    high = block.sub(spread, block.sub(spread, a))
    return high, block.sub(a, high)


def polynomial(block: Block, x: str, coefficients: Sequence[float]) -> str:
    """Return a polynomial by Estrin's scheme: neighbours are paired, so few steps wait."""
    terms = [block.constant(each) for each in coefficients]
    while len(terms) > 1:
        pairs = [
            block.fma(x, odd, even) for even, odd in zip(terms[::2], terms[1::2], strict=False)
        ]
        terms = pairs + terms[len(terms) - len(terms) % 2 :]
        x = block.mul(x, x)
    return terms[0]


def _per_lane(name: str) -> Callable[[Block, str], str]:
    return lambda block, x: block.per_lane(name, x)


FUNCTIONS: dict[str, tuple[Callable[..., str | tuple[str, str]], tuple[str, ...]]] = {
    "exp": (exp, ("%x",)),
    "log": (log, ("%x",)),
    "split_log": (split_log, ("%x",)),
    "power": (power, ("%x", "%y", "%high", "%low")),
    "tanh": (tanh, ("%x",)),
    "sin": (_per_lane("sin"), ("%x",)),
    "cos": (_per_lane("cos"), ("%x",)),
    "tan": (_per_lane("tan"), ("%x",)),
}
"""Writers of the functions, and the arguments of each."""
