import ctypes
import itertools
import math
import os
import subprocess
import sys
import threading
from dataclasses import replace

import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bayesnlme.errors import ModelError
from bayesnlme.math import where
from bayesnlme.odes import emit, vector_math
from bayesnlme.odes.derivative import derivative
from bayesnlme.odes.emit import compile_functions

FUNCTION = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 6)
EPSILON = 2.0**-52
NUMBER = itertools.count()
A, B, C, T = (sympy.Symbol(name, real=True) for name in ("y[0]", "y[1]", "c[2]", "t"))
X = sympy.Symbol("x")


def compiled(*results, shared=()):
    code = (list(shared), [sympy.sympify(each) for each in results])
    return compile_functions({"f": code}, symbol=f"test{next(NUMBER)}")


def run(function, *, results=1, name="f", **inputs):
    """Call a function once; an input is an array of shape (n_components, lanes)."""
    blocks = [np.ascontiguousarray(inputs.get(each, np.full((1, 1), np.nan))) for each in "tycrv"]
    out = np.full((results, emit.WIDTH), -77.0)
    call = FUNCTION(function.addresses[name])
    call(*(block.ctypes.data for block in blocks), out.ctypes.data)
    return out


def over_all(result, *columns):
    """Evaluate a formula of y[0] and y[1] over columns of any length."""
    function = compiled(result)
    length, width = len(columns[0]), emit.WIDTH
    padded = np.ones((len(columns), -(-length // width) * width))
    padded[:, :length] = columns
    parts = np.split(padded, padded.shape[1] // width, axis=1)
    return np.hstack([run(function, y=part)[0] for part in parts])[:length]


@pytest.fixture(autouse=True, scope="module")
def _digits():
    with mpmath.workdps(60):
        yield


@pytest.fixture(params=["8 lanes", "4 lanes", "without fused multiply-add"])
def unit(request, monkeypatch):
    """Every vector unit that a machine may have, as far as this machine can play it."""
    registers = emit._registers()
    if request.param == "4 lanes":
        monkeypatch.setattr(emit, "WIDTH", 4)
    if request.param.startswith("without"):
        monkeypatch.setattr(emit, "_registers", lambda: replace(registers, fma=False))


# -- every kind of node ------------------------------------------------------------------------

POSITIVE = [
    A + B,
    A - B - 2,
    -A - B,
    3 * A * B - B / 3 - A,
    -A * B - 2 * C * A,
    A * B * C / (A + 2 * B),
    -2.5 / A,
    1 / (A * B**2) + B / A,
    sympy.Mul(A, 1 / B, 1 / C) + 1 / B - 1 / (1 + B),
    A**7 + B**-3,
    sympy.Pow(A, sympy.Float(2.0)) + A**2.5,
    sympy.sqrt(A) + 1 / sympy.sqrt(B),
    A ** sympy.Rational(3, 2) * B ** sympy.Rational(-5, 2),
    A**0.7 + B**-0.3 * A,
    A**B + A**C * sympy.log(A) - sympy.log(B),
    2**A,
    sympy.exp(-A * T) + sympy.E + sympy.pi,
    sympy.sqrt(2) * A + sympy.log(3) + 2 ** sympy.Rational(1, 3),
    sympy.sin(A) + sympy.cos(B) * sympy.tan(C),
    sympy.tanh(A - B) + sympy.Abs(A - B) * sympy.sign(B - A),
    where(A < B, A, where(B <= C, B * C, -C)),
    where(A > B, sympy.log(A), where(A >= C, A, C)),
    where(A < B, A, where(B < C, A, C)),  # becomes a disjunction
    sympy.Piecewise((A, (A < B) & (A < C)), (B, sympy.Ne(B, C)), (C, True)),
]


@pytest.mark.parametrize("expression", POSITIVE, ids=str)
def test_each_kind_of_node_agrees_with_numpy(expression, unit):
    rng = np.random.default_rng(3)
    y, c, t = (rng.uniform(0.2, 3.0, (n, emit.WIDTH)) for n in (2, 3, 1))
    found = run(compiled(expression), y=y, c=c, t=t)[0]
    expected = sympy.lambdify([A, B, C, T], expression, "numpy")(y[0], y[1], c[2], t[0])
    assert found == pytest.approx(expected, rel=1e-14, abs=1e-14)


def test_blocks_of_all_arguments_are_read_and_results_are_stored_in_order():
    names = ["t", "y[1]", "c[0]", "r[2]", "v[3]"]
    results = [*map(sympy.Symbol, names), sympy.Integer(0), sympy.Rational(1, 3)]
    blocks = {
        name: 100.0 * number + np.arange(4.0 * emit.WIDTH).reshape(4, -1)
        for number, name in enumerate("tycrv")
    }
    found = run(compiled(*results), results=len(results), **blocks)
    rows = [0, 1, 0, 2, 3]
    expected = [blocks[name[0]][row] for name, row in zip(names, rows, strict=True)]
    assert np.array_equal(found[:5], expected)
    assert (found[5] == 0.0).all()
    assert (found[6] == 1 / 3).all()


def test_shared_parts_conditions_among_them_are_computed_once(unit):
    over = sympy.Symbol("over")
    shared = [(X, sympy.exp(A)), (over, B < X)]
    results = [
        sympy.Piecewise((X, over), (B, True)),
        sympy.Piecewise((B, over), (X, True)),
    ]
    function = compiled(*results, shared=shared)
    y = np.random.default_rng(0).uniform(0.5, 3.0, (2, emit.WIDTH))
    largest, smallest = run(function, results=2, y=y)
    assert largest == pytest.approx(np.maximum(np.exp(y[0]), y[1]), rel=1e-15)
    assert smallest == pytest.approx(np.minimum(np.exp(y[0]), y[1]), rel=1e-15)
    assert function.ir.count("fcmp olt") == 1 + 1  # one of them in exp
    assert function.ir.count("@exp_") == 1 + 1  # the call and the function


def test_a_divisor_takes_one_division_however_often_it_occurs(unit):
    saturable = [A * B / (C + A) - A * B / (C + A) ** 2 + 1 / (C + A), 2 / (C + A) ** 3]
    square = sympy.Symbol("square")
    shared = [(X, C + A), (square, X**2)]
    results = [A * B / X - A * B / square + 1 / X, 2 / (X * square)]
    function = compiled(*results, shared=shared)
    assert function.ir.count("fdiv") == 1
    y, c = (np.random.default_rng(4).uniform(0.1, 2.0, (n, emit.WIDTH)) for n in (2, 3))
    expected = sympy.lambdify([A, B, C], saturable, "numpy")(*y, c[2])
    assert run(function, results=2, y=y, c=c) == pytest.approx(np.array(expected), rel=1e-14)
    assert compiled(A * B / (C * (A + B))).ir.count("fdiv") == 1


def test_a_state_that_has_all_but_vanished_still_divides_what_has_vanished_with_it():
    tiny = np.full((3, emit.WIDTH), 1e-309)
    assert (run(compiled(B / A, C / A), results=2, y=tiny, c=tiny) == 1.0).all()
    shared = [(X, A * T)]
    found = run(compiled(B / X, C / X, shared=shared), results=2, y=tiny, c=tiny, t=tiny * 0 + 1)
    assert (found == 1.0).all()


def test_sums_of_products_are_fused_where_the_machine_can():
    text = compiled(A * B - C * T - 3 * A).ir
    fused = emit._registers().fma
    assert text.count("call") == (2 if fused else 0)
    assert text.count("fmul") == (1 if fused else 3)


def test_derivatives_of_powers_are_right_at_zero(unit):
    g = sympy.Symbol("c[0]", real=True)
    slope, log = derivative(A**g, A), derivative(A**g, g)
    y = np.linspace(0.0, 2.0, emit.WIDTH)[None]
    for order in (0.5, 1.0, 2.5):
        found = run(compiled(slope, log), results=2, y=y, c=np.full_like(y, order))
        inner = y[0, 1:]
        assert found[0, 1:] == pytest.approx(order * inner ** (order - 1.0), rel=1e-14)
        assert found[1, 1:] == pytest.approx(inner**order * np.log(inner), rel=1e-14)
        assert found[:, 0] == pytest.approx([1.0 if order == 1.0 else 0.0, 0.0])


# -- formulas made up by Hypothesis ------------------------------------------------------------


def _combined(inner):
    two = st.tuples(inner, inner)
    return st.one_of(
        two.map(lambda p: p[0] + p[1]),
        two.map(lambda p: p[0] - p[1]),
        two.map(lambda p: p[0] * p[1]),
        two.map(lambda p: p[0] / (1 + p[1] ** 2)),
        st.tuples(inner, st.sampled_from([-3, -1, 2, 3])).map(lambda p: p[0] ** p[1]),
        inner.map(lambda e: sympy.sqrt(1 + e**2)),
        inner.map(lambda e: sympy.Abs(e) ** 1.3),
        inner.map(sympy.exp),
        inner.map(sympy.tanh),
        inner.map(sympy.sin),
        inner.map(lambda e: sympy.log(2 + e**2)),
        st.tuples(inner, inner, inner).map(lambda p: where(p[1] < p[2], p[0], p[1])),
    )


LEAVES = st.sampled_from([A, B, C, T, sympy.Integer(2), sympy.Rational(-1, 3), sympy.Float(0.7)])
FORMULAS = st.lists(st.recursive(LEAVES, _combined, max_leaves=6), min_size=1, max_size=3)
LANE = st.tuples(*[st.floats(-3.0, 3.0, allow_subnormal=False).map(lambda x: round(x, 3))] * 4)


class _IllConditionedError(ArithmeticError):
    """A value that rounding alone can turn into any other."""


def _interval(node, values):
    """Return a value to 60 digits and a bound of what rounding in each operation does to it."""
    if node in values:
        return mpmath.mpf(values[node]), mpmath.mpf(0)
    if node.is_number:
        value = mpmath.mpf(node.evalf(60))
        return value, abs(value) * EPSILON
    if isinstance(node, sympy.Piecewise):
        return _chosen(node, values)
    parts = [_interval(each, values) for each in node.args]
    function = sympy.lambdify(
        symbols := sympy.symbols(f"z:{len(parts)}"), node.func(*symbols, evaluate=False), "mpmath"
    )
    value = function(*(v for v, _ in parts))
    corners = itertools.product(*((v - e, v, v + e) for v, e in parts))
    spread = max(abs(function(*corner) - value) for corner in corners)
    size = sum(abs(v) for v, _ in parts) if node.is_Add else abs(value)
    if not mpmath.isfinite(value) or size > 1e100 or spread > 1e-6 * (1 + abs(value)):
        raise _IllConditionedError
    return value, 1.5 * spread + 8 * len(parts) * EPSILON * (size + 1e-290)


def _chosen(node, values):
    for branch, condition in node.args:
        if condition == sympy.true:
            return _interval(branch, values)
        (left, e), (right, f) = (_interval(each, values) for each in condition.args)
        if abs(left - right) <= e + f and (e + f > 0 or left != right):
            raise _IllConditionedError
        if condition.func(left, right):
            return _interval(branch, values)
    raise AssertionError


@settings(max_examples=40, deadline=None)
@given(formulas=FORMULAS, lanes=st.lists(LANE, min_size=8, max_size=8))
def test_formulas_agree_with_exact_arithmetic_within_their_rounding(formulas, lanes):
    formulas = [sympy.sympify(each) for each in formulas]
    assume(not any(f.has(sympy.zoo, sympy.nan, sympy.oo, sympy.I) for f in formulas))
    table = np.ascontiguousarray(np.array(lanes).T)
    shared, results = sympy.cse(formulas)
    inputs = {"y": table[:2], "c": table[[2, 2, 2]], "t": table[3:]}
    try:
        function = compiled(*results, shared=shared)
    except ModelError as error:  # numbers such as exp(exp(8))
        assume("is not a finite real number" not in str(error))
        raise
    found = run(function, results=len(results), **inputs)
    for row, formula in zip(found, formulas, strict=True):
        for value, lane in zip(row, lanes, strict=True):
            try:
                exact, bound = _interval(formula, dict(zip((A, B, C, T), lane, strict=True)))
            except (_IllConditionedError, ZeroDivisionError, OverflowError):
                continue
            assert abs(value - exact) <= bound


# -- functions of vectors ----------------------------------------------------------------------


def _ulps(found, exact):
    """Return errors in units of the last place of the exact values."""
    units = [
        abs(mpmath.mpf(float(f)) - e) / mpmath.ldexp(1, max(mpmath.frexp(e)[1] - 53, -1074))
        for f, e in zip(found, exact, strict=True)
        if e != 0
    ]
    return float(max(units))


def _points(name, count):
    rng = np.random.default_rng(5)
    half = count // 2
    if name == "exp":
        return (np.append(rng.uniform(-708.0, 709.7, half), rng.uniform(-1.0, 1.0, half)),)
    if name == "log":
        wide = np.exp(rng.uniform(-744.0, 709.0, half))
        return (np.append(wide, rng.uniform(0.4, 2.5, half)),)
    if name == "tanh":
        tiny = rng.normal(size=half) * 10.0 ** rng.uniform(-300.0, 0.0, half)
        return (np.append(rng.uniform(-20.0, 20.0, half), tiny),)
    x = np.append(np.exp(rng.uniform(-700.0, 700.0, half)), rng.uniform(0.3, 3.0, half))
    return x, rng.uniform(-700.0, 700.0, 2 * half) / np.log(x)


@pytest.mark.parametrize("count", [3000, pytest.param(100_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("name", "formula", "bound"),
    [
        ("exp", sympy.exp(A), 1.2),
        ("log", sympy.log(A), 1.0),
        ("tanh", sympy.tanh(A), 2.5),
        ("power", A**B, 1.5),
    ],
)
def test_functions_are_accurate_to_the_last_places(name, formula, bound, count, unit):
    columns = _points(name, count)
    function = getattr(mpmath, name)
    exact = [function(*map(mpmath.mpf, point)) for point in zip(*columns, strict=True)]
    assert _ulps(over_all(formula, *columns), exact) <= bound


WHOLE = [0.0, 1.0, 2.0, 3.0, 2.0**52 + 1, 2.0**53, 2.0**53 + 2, math.inf]
BROKEN = [0.5, 1.5, 22.5, 0.9999999999, 709.78, 709.79, 745.0, 746.0]
EXTREME = [5e-324, 1e-310, 2.2250738585072014e-308, 1e-300, 1e308]
SPECIAL = np.array([s * x for s in (1.0, -1.0) for x in WHOLE + BROKEN + EXTREME] + [math.nan])


def _assert_same(found, expected, rel):
    assert np.array_equal(np.isnan(found), np.isnan(expected))
    there = ~np.isnan(expected)
    assert np.array_equal(np.signbit(found[there]), np.signbit(expected[there]))
    normal = there & np.isfinite(expected) & (np.abs(expected) > 1e-307)
    assert found[normal] == pytest.approx(expected[normal], rel=rel, abs=0.0)
    tiny = there & (np.abs(expected) <= 1e-307)
    assert found[tiny] == pytest.approx(expected[tiny], rel=0.0, abs=1e-322)
    infinite = np.isinf(expected)
    assert np.array_equal(found[infinite], expected[infinite])


@pytest.mark.filterwarnings("ignore:.*encountered")
@pytest.mark.parametrize("name", ["exp", "log", "tanh"])
def test_special_values_of_functions_are_those_of_numpy(name, unit):
    found = over_all(getattr(sympy, name)(A), SPECIAL)
    _assert_same(found, getattr(np, name)(SPECIAL), 1e-15)


def test_special_values_of_powers_are_those_of_the_c_library(unit):
    def power(x, y):
        try:
            return math.pow(x, y)
        except OverflowError:
            return math.copysign(math.inf, x if y % 2 == 1 else 1.0)
        except ValueError:  # a pole, or a root of a negative number
            return math.copysign(math.inf, x if y % 2 == 1 else 1.0) if x == 0 else math.nan

    x, y = (each.ravel() for each in np.meshgrid(SPECIAL, SPECIAL))
    _assert_same(over_all(A**B, x, y), np.array(list(map(power, x, y))), 2e-15)


def test_a_logarithm_beside_a_power_is_the_logarithm(unit):
    x = np.append(SPECIAL, _points("log", 200)[0])
    with np.errstate(all="ignore"):
        expected = np.log(x)
    beside = sympy.Piecewise((sympy.log(A), B > 0), (A**B, True))
    assert over_all(beside, x, np.ones_like(x)) == pytest.approx(
        expected, rel=3e-16, abs=0.0, nan_ok=True
    )


def test_coefficients_interpolate_at_chebyshev_nodes():
    half = mpmath.log(2) / 2
    edge = ((mpmath.sqrt(2) - 1) / (mpmath.sqrt(2) + 1)) ** 2

    def interpolated(function, low, high, count):
        nodes = [
            (low + high) / 2 + (high - low) / 2 * mpmath.cos(mpmath.pi * (i + 0.5) / count)
            for i in range(count)
        ]
        powers = mpmath.matrix([[x**j for j in range(count)] for x in nodes])
        solved = mpmath.lu_solve(powers, mpmath.matrix([function(x) for x in nodes]))
        return tuple(map(float, solved))

    def log(z):
        s = mpmath.sqrt(z)
        return (2 * mpmath.atanh(s) / s - 2) / z

    def tail(z):
        return (log(z) - mpmath.mpf(2) / 3) / z

    def exp(r):
        return (mpmath.exp(r) - 1 - r) / r**2

    assert interpolated(exp, -half, half, len(vector_math.EXP)) == vector_math.EXP
    assert interpolated(log, 0, edge, len(vector_math.LOG)) == vector_math.LOG
    assert interpolated(tail, 0, edge, len(vector_math.LOG_TAIL)) == vector_math.LOG_TAIL
    high, low = map(mpmath.mpf, vector_math.LN2)
    assert high * 2**42 == mpmath.floor(high * 2**42)
    assert abs(high + low - mpmath.log(2)) < mpmath.mpf(2) ** -97
    assert abs(sum(map(mpmath.mpf, vector_math.TWO_THIRDS)) - mpmath.mpf(2) / 3) < 2.0**-107


def test_a_lane_that_fails_leaves_the_others_alone(unit):
    formula = sympy.exp(A) + A**B + sympy.tanh(B) / sympy.log(A) + sympy.sin(A)
    y = np.random.default_rng(1).uniform(1.5, 2.5, (2, emit.WIDTH))
    function = compiled(formula)
    healthy = run(function, y=y)[0]
    for bad, lane in itertools.product([math.nan, math.inf, -1.0, 0.0, 1e300], range(emit.WIDTH)):
        spoilt = y.copy()
        spoilt[0, lane] = bad
        others = np.arange(emit.WIDTH) != lane
        assert np.array_equal(run(function, y=spoilt)[0][others], healthy[others])


# -- compiling ---------------------------------------------------------------------------------


def test_a_table_of_the_process_holds_the_addresses_in_order():
    symbol = f"test{next(NUMBER)}"
    codes = {"second": ([], [A]), "first": ([], [B])}
    found = compile_functions(codes, symbol=symbol)
    table = (ctypes.c_int64 * 2).from_address(found.table)
    assert list(table) == [found.addresses["second"], found.addresses["first"]]
    address = emit._llvm.address_of_symbol(f"{symbol}_table")
    assert ctypes.CFUNCTYPE(ctypes.c_int64)(address)() == found.table
    assert compile_functions(codes, symbol=symbol) is found
    with pytest.raises(AssertionError, match=f"{symbol} stands for other formulas"):
        compile_functions({"first": ([], [A])}, symbol=symbol)


def test_the_same_formulas_give_the_same_text_and_the_same_bits():
    formula = A**B + sympy.exp(-A * B) / (A + B)
    y = np.random.default_rng(8).uniform(0.1, 5.0, (2, emit.WIDTH))
    one, other = compiled(formula), compiled(formula)
    assert np.array_equal(run(one, y=y), run(other, y=y))
    assert len(one.ir.splitlines()) == len(other.ir.splitlines())


def test_threads_may_compile_at_once():
    symbols = [f"test{next(NUMBER)}" for _ in range(3)]
    found = {symbol: [] for symbol in symbols}

    def work(symbol):
        found[symbol].append(compile_functions({"f": ([], [A * B])}, symbol=symbol))

    threads = [threading.Thread(target=work, args=(each,)) for each in symbols * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(len(each) == 4 and len(set(map(id, each))) == 1 for each in found.values())
    assert len({each[0].table for each in found.values()}) == 3


CACHED = """
import numba

_table = numba.types.ExternalFunction("sharedformulas_table", numba.types.int64())

@numba.njit(cache=True)
def table():
    return _table()
"""

PROCESS = """
import sympy
from bayesnlme.odes.emit import compile_functions

codes = {"f": ([], [sympy.Symbol("y[0]") * 2])}
compiled = compile_functions(codes, symbol="sharedformulas")
import cached

assert cached.table() == compiled.table
print(sum(cached.table.stats.cache_hits.values()), sum(cached.table.stats.cache_misses.values()))
"""


def test_code_of_numba_from_its_cache_finds_the_table_of_this_process(tmp_path):
    (tmp_path / "cached.py").write_text(CACHED)
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    hits = [
        subprocess.run(
            [sys.executable, "-c", PROCESS],
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()
        for _ in range(2)
    ]
    assert hits == [["0", "1"], ["1", "0"]]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (sympy.gamma(A), "gamma has no machine code"),
        (sympy.Max(A, B), "Max has no machine code"),
        (sympy.I * A, "ImaginaryUnit has no machine code"),
        (sympy.Symbol("z") + A, "z has no value"),
        (sympy.oo, "oo is not a finite real number"),
        (A + sympy.Integer(10) ** 400, "not a finite real number"),
        (sympy.Piecewise((A, sympy.Not(sympy.Symbol("q"))), (B, True)), "Not is no condition"),
    ],
    ids=str,
)
def test_what_has_no_machine_code_is_named(expression, message):
    with pytest.raises(ModelError, match=message):
        compiled(expression)
