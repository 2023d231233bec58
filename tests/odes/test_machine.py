"""The small compiler against Python itself: the same source, run by both."""

import ast
import ctypes
import inspect
import itertools
import math
import os
import subprocess
import sys
import textwrap
from fractions import Fraction
from functools import partial

import numpy as np
import pytest

from bayesnlme.odes import linking, machine
from bayesnlme.odes.addresses import integers, reals, shift
from bayesnlme.odes.compiler import compile_to_ir
from bayesnlme.odes.linking import link
from bayesnlme.odes.machine import Integers, Reals, ir, operation, routine
from tests.odes.conftest import cache_in

pytestmark = pytest.mark.usefixtures("own_cache")
NUMBER = itertools.count()
C_TYPES = {float: ctypes.c_double, int: ctypes.c_int64, bool: ctypes.c_bool, None: None}
C_TYPES |= {Reals: ctypes.c_void_p, Integers: ctypes.c_void_p}
SCALE, OFFSET = 2.5, 3
TABLE = (0.5, -1.25, 8.0)
PRIMES = (2, 3, 5, 7)
NESTED = ((1.0, 2.0), (3.0, 4.0))


def compiled(entry):
    """Return a routine as a function that Python can call."""
    symbol = f"machine_test_{os.getpid()}_{next(NUMBER)}"
    engine = link(symbol, partial(compile_to_ir, entry, name=symbol))
    said = inspect.get_annotations(entry.function)
    result = C_TYPES[said.pop("return")]
    call = ctypes.CFUNCTYPE(result, *(C_TYPES[each] for each in said.values()))(
        engine.get_function_address(symbol)
    )

    def called(*arguments):
        assert engine
        given = [a.ctypes.data if isinstance(a, np.ndarray) else a for a in arguments]
        return call(*given)

    return called


# -- expressions and statements, each against Python -------------------------------------------


@routine
def real_arithmetic(a: float, b: float) -> float:
    return (a + b) * 2 - a / b + -a * (b - 3) + a**2 + SCALE * b - OFFSET


@routine
def integer_arithmetic(a: int, b: int) -> int:
    return (a + b) * 2 - -a + a // 3 + b % 5 + (a >> 1) + (b & 6) - OFFSET


@routine
def mixed(a: int, b: float) -> float:
    return a / 2 + b * a - 7 / 2 + 2**3 + 9 // 2 + 9 % 4


@routine
def augmented(a: float, b: int) -> float:
    a += 1
    a *= b
    a -= 0.5
    a /= 3
    b += 2
    b *= b
    return a + b


@routine
def mathematics(a: float, b: float) -> float:
    first = math.sqrt(abs(a)) + math.exp(-abs(b)) + math.log(1 + abs(a))
    second = math.cos(a) + math.acos(b / (1 + abs(b))) + math.floor(a) + math.ceil(b)
    return first + second + math.pi


@routine
def extremes(a: float, b: float) -> float:
    return max(a, b, 1) - min(a, b, -1.5) + max(a, 0.0) * min(2, b)


@routine
def integer_extremes(a: int, b: int) -> int:
    return 100 * max(a, b, 0) + min(a, b) + abs(a - b)


@routine
def rounding(a: float, b: float) -> int:
    return int(a) + 1000 * int(b - 0.5)


@routine
def comparisons(a: float, b: float) -> int:
    count = 0
    if a < b:
        count += 1
    if a <= b:
        count += 2
    if a > b:
        count += 4
    if a >= b:
        count += 8
    if a == b:
        count += 16
    if a != b:
        count += 32
    return count


@routine
def chained(a: float, b: float) -> int:
    return (1 if -1 < a < b <= 2 else 0) + (2 if a <= b == a else 0) + (4 if 0 <= b != a else 0)


@routine
def truths(a: float, b: float) -> bool:
    return (a < b and not a > 1) or (b < 0 and a < 0) or False


@routine
def truth_of_numbers(a: float, b: float) -> int:
    whole = int(a)
    return (1 if a else 0) + (2 if whole else 0) + (4 if not b else 0) + (8 if a and b else 0)


@routine
def truth_as_number(a: float, b: float) -> int:
    count = 0
    count += a < b
    count += a == b
    return count + int(a < 1) + (b > 0) * 4


@routine
def chosen(a: float, b: float) -> float:
    return a if a > b else (max(1, b))


@routine
def branches(a: float, b: float) -> float:
    if a < 0:
        result = -1.0
    elif a < 1:
        if b < 0:
            return 100.0
        result = 0.0
    else:
        result = 1.0
        if b > 2:
            result = 2.0
    return result + b


@routine
def only_returns(a: float, b: float) -> float:
    if a < b:
        return a
    else:  # noqa: RET505  what is tested
        return b


@routine
def loops(a: int, b: int) -> int:
    total = 0
    for i in range(a):
        for j in range(i, b):
            if j == 3:
                continue
            if i + j > 9:
                break
            total += 10 * i + j
    while total > 50:
        total -= 7
        if total % 11 == 0:
            break
    return total


@routine
def loop_with_continue(a: int, b: int) -> int:
    turns, total = 0, 0
    while turns < a:
        turns += 1
        if turns % 3 == 0:
            continue
        total += turns * b
    return total


@routine
def counter_is_its_own(a: int, b: int) -> int:
    total = 0
    for i in range(a):
        total += i
        i += b  # noqa: PLW2901  the counter of the loop is another variable
    return total


@routine
def swapped(a: float, b: float) -> float:
    a, b = b, a
    (c, d), e = (a + 1, b + 2), 3
    f = g = c - d
    return 10 * a + b + c * d + e * f + g


@routine
def tables(a: int, b: int) -> float:
    return TABLE[a % 3] + PRIMES[b % 4] + TABLE[1] + NESTED[1][a % 2] + NESTED[0][1]


@routine
def two(a: float, b: int) -> tuple[float, int]:
    return b, 3 * b + 1


@routine
def pair_of(a: float, b: int) -> tuple[float, int, bool]:
    c, d = two(a, b)
    return a + c, d, a > c


@routine
def uses_tuples(a: float, b: int) -> float:
    x, n, larger = pair_of(a, b)
    _, again = two(x, n)
    _ = again
    if larger:
        x += 1000
    return x * 2 + n + again


@routine
def recursive(a: int, b: int) -> int:
    if b == 0:
        return a
    return recursive(b, a % b)


@routine
def documented(a: float, b: float) -> float:
    """Subtract."""
    pass  # noqa: PIE790
    return a - b


REAL_PAIRS = [(0.0, 0.0), (1.5, 2.25), (2.25, 1.5), (-3.75, 0.5), (0.5, -3.75), (1e3, -1e-3)]
REAL_PAIRS += [(-0.5, 1.75), (1.0, 1.0)]
INTEGER_PAIRS = [(0, 1), (7, 3), (3, 7), (12, 5), (6, 12)]
CASES = [
    (real_arithmetic, REAL_PAIRS[1:]),
    (integer_arithmetic, INTEGER_PAIRS),
    (mixed, [(3, 2.5), (0, -1.0), (-7, 0.25)]),
    (augmented, [(1.5, 2), (-2.25, -3)]),
    (mathematics, REAL_PAIRS),
    (extremes, REAL_PAIRS),
    (integer_extremes, [*INTEGER_PAIRS, (-4, -9), (-9, 4)]),
    (rounding, REAL_PAIRS),
    (comparisons, REAL_PAIRS),
    (comparisons, [(math.nan, 1.0), (math.nan, math.nan), (math.inf, math.inf), (0.0, -0.0)]),
    (chained, [*REAL_PAIRS, (0.5, 1.0), (2.0, 2.0), (math.nan, math.nan)]),
    (truths, [*REAL_PAIRS, (math.nan, 1.0)]),
    (truth_of_numbers, REAL_PAIRS),
    (truth_as_number, REAL_PAIRS),
    (chosen, REAL_PAIRS),
    (branches, [*itertools.product((-1.0, 0.5, 3.0), (-1.0, 1.0, 3.0))]),
    (only_returns, REAL_PAIRS),
    (loops, [*INTEGER_PAIRS, (-2, 5), (5, 5), (11, 13)]),
    (loop_with_continue, INTEGER_PAIRS),
    (counter_is_its_own, INTEGER_PAIRS),
    (swapped, REAL_PAIRS),
    (tables, INTEGER_PAIRS),
    (uses_tuples, [(1.5, 2), (-2.25, -3), (100.0, 0)]),
    (recursive, [(48, 36), (17, 5), (9, 0)]),
    (documented, REAL_PAIRS),
]


@pytest.fixture
def by_python(monkeypatch):
    """Let Python call routines as plain functions."""
    monkeypatch.setattr(machine.Routine, "__call__", lambda self, *given: self.function(*given))


@pytest.mark.parametrize(("function", "pairs"), CASES, ids=lambda each: getattr(each, "name", ""))
def test_results_are_those_of_python(function, pairs, by_python):
    run = compiled(function)
    for pair in pairs:
        expected = function(*pair)
        assert run(*pair) == pytest.approx(expected, rel=1e-15, abs=1e-15), pair


def test_arithmetic_of_the_machine_follows_numpy_where_python_raises():
    @routine
    def quotient(a: float, b: float) -> float:
        return a / b

    @routine
    def power(a: float, b: float) -> float:
        return a**b

    divide, raised = compiled(quotient), compiled(power)
    assert divide(1.0, 0.0) == math.inf
    assert divide(-1.0, 0.0) == -math.inf
    assert math.isnan(divide(0.0, 0.0))
    assert raised(0.0, -1.0) == math.inf
    assert math.isnan(raised(-1.0, 0.5))


def test_extremes_and_truth_of_not_a_number():
    """As in Python: a comparison with not-a-number is false, and not-a-number is true."""

    @routine
    def largest(a: float, b: float) -> float:
        return max(a, b)

    @routine
    def true(a: float) -> bool:
        return not not a  # noqa: SIM208  there is no bool in the subset

    run, truth = compiled(largest), compiled(true)
    for pair in ((math.nan, 1.0), (1.0, math.nan)):
        assert run(*pair) == pytest.approx(max(*pair), nan_ok=True)
    assert truth(math.nan)


def test_division_of_negative_integers_is_that_of_the_machine():
    """Towards zero: what the solver divides is never negative."""

    @routine
    def parts(a: int, b: int) -> int:
        return 100 * (a // b) + a % b

    assert compiled(parts)(-7, 2) == 100 * -3 - 1


# -- short circuit -----------------------------------------------------------------------------


@routine
def touch(log: Integers, answer: int) -> bool:
    log[0] = 10 * log[0] + answer + 1
    return answer != 0


@routine
def conjunction(log: Integers, a: int, b: int, c: int) -> bool:
    return touch(log, a) and touch(log, b) and touch(log, c)


@routine
def disjunction(log: Integers, a: int, b: int, c: int) -> bool:
    return touch(log, a) or touch(log, b) or touch(log, c)


@routine
def nested_logic(log: Integers, a: int, b: int, c: int) -> bool:
    return not (touch(log, a) and (touch(log, b) or touch(log, c))) or touch(log, 1)


@routine
def lazy_choice(log: Integers, a: int, b: int, c: int) -> bool:
    return touch(log, b) if touch(log, a) else touch(log, c)


@pytest.mark.parametrize("function", [conjunction, disjunction, nested_logic, lazy_choice])
def test_what_does_not_matter_is_not_evaluated(function, by_python):
    run = compiled(function)
    for answers in itertools.product((0, 1), repeat=3):
        log, expected = np.zeros(1, np.int64), [0]
        assert run(log, *answers) == function(expected, *answers)
        assert log[0] == expected[0]


def test_an_unsafe_read_is_guarded():
    @routine
    def guarded(x: Reals, i: int, n: int) -> float:
        return x[i] if i < n and x[i] > 0 else -1.0

    assert compiled(guarded)(np.array([3.0]), 10**15, 1) == -1.0


# -- addresses ---------------------------------------------------------------------------------


@routine
def memory(x: Reals, k: Integers, n: int) -> float:
    total = 0.0
    for i in range(n):
        x[i] = x[i] * 2 + k[i]
        k[i] += 1
        x[n] += x[i]
        x[0], x[i] = x[i], x[0]
        total += x[i]
    return total


def test_memory_is_read_and_written():
    x, k = np.array([1.5, -2.0, 3.25, 0.0]), np.array([4, 5, 6])
    copy = [x.tolist(), k.tolist()]
    assert compiled(memory)(x, k, 3) == memory.function(*copy, 3)
    np.testing.assert_array_equal(x, copy[0])
    np.testing.assert_array_equal(k, copy[1])


def test_addresses_are_moved_made_of_numbers():
    @routine
    def scattered(x: Reals, k: Integers, places: Integers) -> float:
        behind = shift(x, 2)
        behind[0] = 7
        shift(shift(k, 1), 1)[0] = 9
        other, count = reals(places[0]), integers(places[1])
        other[1] = 11
        count[1] = 13
        x = other  # an address is a value like others
        return x[1]

    x, k, y, n = np.ones(4), np.ones(4, np.int64), np.ones(5), np.ones(4, np.int64)
    places = np.array([y.ctypes.data, n.ctypes.data])
    assert compiled(scattered)(x, k, places) == 11
    np.testing.assert_array_equal(x, [1, 1, 7, 1])
    np.testing.assert_array_equal(k, [1, 1, 9, 1])
    np.testing.assert_array_equal(y, [1, 11, 1, 1, 1])
    np.testing.assert_array_equal(n, [1, 13, 1, 1])


def test_nothing_is_returned_where_nothing_is_said():
    @routine
    def early(x: Reals, n: int) -> None:
        if n < 0:
            return
        x[0] = n

    @routine
    def entry(x: Reals, n: int) -> int:
        early(x, n)
        return n

    run, x = compiled(entry), np.full(1, 5.0)
    assert run(x, -1) == -1
    assert x[0] == 5.0
    run(x, 2)
    assert x[0] == 2.0


def test_operations_are_written_where_they_are_called():
    @operation(float, float, float)
    def fused(builder, arguments):
        kind = ir.FunctionType(ir.DoubleType(), [ir.DoubleType()] * 3)
        fma = ir.Function(builder.module, kind, name="llvm.fma.f64")
        return builder.call(fma, arguments)

    @routine
    def entry(a: float, n: int) -> float:
        return fused(a, n, -9)

    assert compiled(entry)(0.1, 90) == float(Fraction(0.1) * 90 - 9) != 0.1 * 90 - 9


def test_a_loop_allocates_nothing():
    """Variables of a loop and of logic live at the function's entry: a long loop needs no stack."""

    @routine
    def long(n: int) -> int:
        count = 0
        for i in range(n):
            inner = i & 1
            for j in range(2):
                both = inner == 1 and j == 1
                count += 1 if both or i < 0 else 0
        return count

    assert compiled(long)(20_000_000) == 10_000_000


# -- what is not in the subset -----------------------------------------------------------------


@routine
def keyword(a: float) -> float:
    return max(a, key=abs)


@routine
def unknown_name(a: float) -> float:
    return a + missing  # noqa: F821


@routine
def unknown_function(a: float) -> float:
    return math.sinh(a)


@routine
def text_value(a: float) -> float:
    b = "text"
    return a if b else 0.0


@routine
def list_value(a: float) -> float:
    return [a, a][0]


@routine
def comprehension(a: float) -> float:
    return sum(a for _ in range(3))


@routine
def stepped(a: float) -> float:
    for _ in range(0, 10, 2):
        a += 1
    return a


@routine
def over_a_tuple(a: float) -> float:
    for each in TABLE:
        a += each
    return a


@routine
def with_else(a: float) -> float:
    while a < 3:
        a += 1
    else:  # noqa: PLW0120  what is tested
        a += 10
    return a


@routine
def narrowed(a: float) -> int:
    return a


@routine
def narrowed_variable(a: float) -> float:
    count = 1
    count = a * count
    return 2.0 * count


@routine
def too_few(a: float) -> float:
    return only_returns(a)


@routine
def bad_unpacking(a: float) -> float:
    b, c = two(a, 1), 3, 4
    return b + c


@routine
def raising(a: float) -> float:
    raise ValueError(a)


@routine
def bitwise_of_reals(a: float) -> float:
    return a & 3


@routine
def identity(a: float) -> bool:
    return a is None


@routine
def floor_division_of_reals(a: float) -> float:
    return a // 2.0


BEYOND = [
    keyword,
    unknown_name,
    unknown_function,
    text_value,
    list_value,
    comprehension,
    stepped,
    over_a_tuple,
    with_else,
    narrowed,
    narrowed_variable,
    too_few,
    bad_unpacking,
    raising,
    bitwise_of_reals,
    identity,
    floor_division_of_reals,
]


@pytest.mark.parametrize("function", BEYOND, ids=lambda each: each.function.__name__)
def test_what_is_not_in_the_subset_is_refused_with_its_place(function):
    with pytest.raises(AssertionError) as error:
        compile_to_ir(function, name="refused")
    assert function.name in str(error.value)


def test_the_place_of_an_error_is_the_innermost():
    @routine
    def inner(a: float) -> float:
        return math.sinh(a)

    @routine
    def outer(a: float) -> float:
        return inner(a)

    with pytest.raises(AssertionError, match=r"inner: return math.sinh\(a\)"):
        compile_to_ir(outer, name="refused")


def test_every_kind_of_node_that_the_solver_uses_is_tested_here():
    """Whoever uses more of Python in the solver tests it here first."""

    def kinds(functions):
        trees = [ast.parse(textwrap.dedent(inspect.getsource(each.function))) for each in functions]
        nodes = [node for tree in trees for node in ast.walk(tree.body[0])]
        return {type(node) for node in nodes} - {ast.Store, ast.Load}

    modules = [each for name, each in sys.modules.items() if name.startswith("bayesnlme.odes.")]
    used = [r for m in modules for r in vars(m).values() if isinstance(r, machine.Routine)]
    here = [each for each in globals().values() if isinstance(each, machine.Routine)]
    assert len(used) > 50
    tested = [each for each in here if each not in BEYOND]
    missing = kinds(used) - kinds(tested)
    assert not missing


def test_calls_stand_for_compiled_code_alone():
    for each in (only_returns, shift):
        with pytest.raises(NotImplementedError, match="compiled code only"):
            each(1.0, 2.0)
    for each in (Reals(), Integers()):
        with pytest.raises(NotImplementedError, match="compiled code only"):
            each[0]
        with pytest.raises(NotImplementedError, match="compiled code only"):
            each[0] = 1


# -- the cache ---------------------------------------------------------------------------------

PROGRAM = """
import ctypes, sys
from functools import partial
from bayesnlme.odes import linking, machine
from bayesnlme.odes.compiler import compile_to_ir
from bayesnlme.odes.machine import routine

@routine
def doubled(a: float) -> float:
    return 2 * a

written, thorough = [], linking._thorough
linking._thorough = lambda *given: written.append(1) or thorough(*given)
engine = linking.link("doubled", partial(compile_to_ir, doubled, name="doubled"))
call = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)(engine.get_function_address("doubled"))
print(call(21.0), len(written))
"""


def run_program(path, cache):
    (path / "program.py").write_text(PROGRAM)
    environment = os.environ | {"PYTENSOR_FLAGS": f"base_compiledir={cache}"}
    done = subprocess.run(
        [sys.executable, path / "program.py"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def test_a_second_process_loads_the_code(tmp_path):
    cache = tmp_path / "cache"
    assert run_program(tmp_path, cache) == ["42.0", "1"]
    (kept,) = (cache / "bayesnlme").iterdir()
    before = kept.read_bytes(), kept.stat().st_mtime_ns
    assert run_program(tmp_path, cache) == ["42.0", "0"]
    assert (kept.read_bytes(), kept.stat().st_mtime_ns) == before


@routine
def tripled(a: float) -> float:
    return 3 * a


@pytest.fixture
def writes(monkeypatch):
    """Count how often code is compiled."""
    found, thorough = [], linking._thorough

    def counted(*given):
        found.append(1)
        return thorough(*given)

    monkeypatch.setattr(linking, "_thorough", counted)
    return found


def linked(cache, monkeypatch, symbol):
    cache_in(cache, monkeypatch)
    engine = link(symbol, partial(compile_to_ir, tripled, name=symbol))
    kind = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)
    return kind(engine.get_function_address(symbol))(2.0)


def test_a_cache_that_cannot_be_written_is_none(tmp_path, monkeypatch, writes):
    """Its place is a file, so nobody, whatever his rights, can make a directory of it."""
    (tmp_path / "cache").write_text("no directory")
    for number in range(2):
        assert linked(tmp_path / "cache", monkeypatch, f"machine_test_none_{number}") == 6.0
    assert len(writes) == 2
    assert (tmp_path / "cache").read_text() == "no directory"


def test_code_of_another_machine_is_not_used(tmp_path, monkeypatch, writes):
    assert linked(tmp_path, monkeypatch, "machine_test_host") == 6.0
    monkeypatch.setattr(linking, "_host", lambda: "another")
    assert linked(tmp_path, monkeypatch, "machine_test_host") == 6.0
    assert len(writes) == 2
    assert len(list((tmp_path / "bayesnlme").iterdir())) == 2


@pytest.mark.parametrize("left", [0.0, 0.5])
def test_a_damaged_object_file_is_written_again(left, tmp_path):
    """As a lost power line leaves it; in a process of its own, which may crash."""
    cache = tmp_path / "cache"
    run_program(tmp_path, cache)
    (kept,) = (cache / "bayesnlme").iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(whole[: int(left * len(whole))])
    assert run_program(tmp_path, cache) == ["42.0", "1"]
    assert kept.read_bytes() == whole
