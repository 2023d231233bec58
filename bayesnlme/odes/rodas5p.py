"""The Rosenbrock method Rodas5P of order 5(4) of [Steinebach2023]_, for stiff equations, in lanes.

It is applied to states and sensitivities as one system, whose Jacobian is block triangular: every
column of the sensitivities has the Jacobian of the states on its diagonal. So one factorisation
serves all columns, and with the second derivatives of the right-hand side (`curve`) the Jacobian is
exact, which the order of the method needs.

References
----------
.. [Steinebach2023] G. Steinebach, Construction of Rosenbrock-Wanner method Rodas5P and numerical
   benchmarks within the Julia Differential Equations package, BIT Numer. Math. 63 (2023) 27.
"""

import numpy as np

from bayesnlme._types import Floats
from bayesnlme.odes import places as at
from bayesnlme.odes.addresses import shift
from bayesnlme.odes.machine import Integers, Reals, routine
from bayesnlme.odes.places import W
from bayesnlme.odes.vector import (
    add,
    blend,
    call,
    combination,
    divide,
    largest_row_sum,
    scaled_squares,
    take,
)

GAMMA = 0.21193756319429014

A: Floats = np.array(
    [
        [0, 0, 0, 0, 0, 0, 0],
        [3.0, 0, 0, 0, 0, 0, 0],
        [2.849394379747939, 0.45842242204463923, 0, 0, 0, 0, 0],
        [-6.954028509809101, 2.489845061869568, -10.358996098473584, 0, 0, 0, 0],
        [
            2.8029986275628964,
            0.5072464736228206,
            -0.3988312541770524,
            -0.04721187230404641,
            0,
            0,
            0,
        ],
        [
            -7.502846399306121,
            2.561846144803919,
            -11.627539656261098,
            -0.18268767659942256,
            0.030198172008377946,
            0,
            0,
        ],
        [
            -7.502846399306121,
            2.561846144803919,
            -11.627539656261098,
            -0.18268767659942256,
            0.030198172008377946,
            1,
            0,
        ],
        [
            -7.502846399306121,
            2.561846144803919,
            -11.627539656261098,
            -0.18268767659942256,
            0.030198172008377946,
            1,
            1,
        ],
    ]
)
"""Weights of the stages in the state that each is evaluated at; then in the solution."""

C: Floats = np.array(
    [
        [0, 0, 0, 0, 0, 0, 0],
        [-14.155112264123755, 0, 0, 0, 0, 0, 0],
        [-17.97296035885952, -2.859693295451294, 0, 0, 0, 0, 0],
        [147.12150275711716, -1.41221402718213, 71.68940251302358, 0, 0, 0, 0],
        [
            165.43517024871676,
            -0.4592823456491126,
            42.90938336958603,
            -5.961986721573306,
            0,
            0,
            0,
        ],
        [
            24.854864614690072,
            -3.0009227002832186,
            47.4931110020768,
            5.5814197821558125,
            -0.6610691825249471,
            0,
            0,
        ],
        [
            30.91273214028599,
            -3.1208243349937974,
            77.79954646070892,
            34.28646028294783,
            -19.097331116725623,
            -28.087943162872662,
            0,
        ],
        [
            37.80277123390563,
            -3.2571969029072276,
            112.26918849496327,
            66.9347231244047,
            -40.06618937091002,
            -54.66780262877968,
            -9.48861652309627,
        ],
    ]
)
"""Weights of the earlier stages, over the step, on the right of each stage's equations."""

NODES: Floats = np.array(
    [
        0,
        0.6358126895828704,
        0.4095798393397535,
        0.9769306725060716,
        0.4288403609558664,
        1,
        1,
        1,
    ]
)

DRIFT: Floats = np.array(
    [
        0.21193756319429014,
        -0.42387512638858027,
        -0.3384627126235924,
        1.8046452872882734,
        2.325825639765069,
        0,
        0,
        0,
    ]
)
"""Weights of the partial derivative by time, times the step."""

H: Floats = np.array(
    [
        [
            25.948786856663858,
            -2.5579724845846235,
            10.433815404888879,
            -2.3679251022685204,
            0.524948541321073,
            1.1241088310450404,
            0.4272876194431874,
            -0.17202221070155493,
        ],
        [
            -9.91568850695171,
            -0.9689944594115154,
            3.0438037242978453,
            -24.495224566215796,
            20.176138334709044,
            15.98066361424651,
            -6.789040303419874,
            -6.710236069923372,
        ],
        [
            11.419903575922262,
            2.8879645146136994,
            72.92137995996029,
            80.12511834622643,
            -52.072871366152654,
            -59.78993625266729,
            -0.15582684282751913,
            4.883087185713722,
        ],
    ]
)
"""Weights of the stages in the cubic correction of the dense output."""

_STAGES = 8
_to_stage = [combination(A[i, :i].tolist()) for i in range(1, 8)]
_to_right = [combination(C[i, :i].tolist()) for i in range(1, 8)]
_x1, _x2, _x3, _x4, _x5, _x6, _x7 = _to_stage
_r1, _r2, _r3, _r4, _r5, _r6, _r7 = _to_right
_to_solution = combination([*A[7].tolist(), 1.0])
_to_dense, _to_line = blend(8), blend(1)
_NODES, _DRIFT = tuple(NODES.tolist()), tuple(DRIFT.tolist())
_H = tuple(tuple(row) for row in H.tolist())


@routine
def attempt(w: Reals, s: Integers) -> None:  # noqa: PLR0915  eight stages
    """Try one step in all lanes: the new state to TRIAL, its mean squared error to ERROR.

    STRAIN becomes the inverse of the step times the largest sum of a row of the Jacobian, which
    bounds the rate of every mode.
    """
    n, stride = s[at.N], s[at.N] * W
    u, x, k = shift(w, s[at.STATE]), shift(w, s[at.TRIAL]), shift(w, s[at.STAGES])
    one, inverse = shift(w, s[at.ONE]), shift(w, s[at.INVERSE])
    for lane in range(W):
        h = w[s[at.STEP] + lane]
        inverse[lane] = 1.0 / h if h > 0.0 else 1.0
    c = shift(w, s[at.CONSTANTS])
    call(s[at.F_JACOBIAN], shift(w, s[at.T]), u, c, w, w, shift(w, s[at.MATRIX]))
    largest_row_sum(shift(w, s[at.MATRIX]), s[at.N_STATES], shift(w, s[at.STRAIN]))
    if s[at.TIMED]:
        call(s[at.F_DRIFT], shift(w, s[at.T]), u, c, w, w, shift(w, s[at.LATE]))
    _factorise(w, s)
    _right(w, s, u, 0)
    _solve(w, s, 0)
    _x1(x, u, one, k, stride, n)
    _right(w, s, x, 1)
    f = shift(k, stride)
    _r1(f, f, inverse, k, stride, n)
    _solve(w, s, 1)
    _x2(x, u, one, k, stride, n)
    _right(w, s, x, 2)
    f = shift(k, 2 * stride)
    _r2(f, f, inverse, k, stride, n)
    _solve(w, s, 2)
    _x3(x, u, one, k, stride, n)
    _right(w, s, x, 3)
    f = shift(k, 3 * stride)
    _r3(f, f, inverse, k, stride, n)
    _solve(w, s, 3)
    _x4(x, u, one, k, stride, n)
    _right(w, s, x, 4)
    f = shift(k, 4 * stride)
    _r4(f, f, inverse, k, stride, n)
    _solve(w, s, 4)
    _x5(x, u, one, k, stride, n)
    _right(w, s, x, 5)
    f = shift(k, 5 * stride)
    _r5(f, f, inverse, k, stride, n)
    _solve(w, s, 5)
    _x6(x, u, one, k, stride, n)
    _right(w, s, x, 6)
    f = shift(k, 6 * stride)
    _r6(f, f, inverse, k, stride, n)
    _solve(w, s, 6)
    _x7(x, u, one, k, stride, n)
    _right(w, s, x, 7)
    f = shift(k, 7 * stride)
    _r7(f, f, inverse, k, stride, n)
    _solve(w, s, 7)
    _to_solution(x, u, one, k, stride, n)
    error, zero = shift(w, s[at.ERROR]), shift(w, s[at.ZERO])
    strain = shift(w, s[at.STRAIN])
    scaled_squares(f, zero, u, x, shift(w, s[at.TOLERANCE]), w[at.RTOL], n, error)
    for lane in range(W):
        error[lane] /= n
        strain[lane] = inverse[lane] / strain[lane]


@routine
def _right(w: Reals, s: Integers, y: Reals, stage: int) -> None:
    """Evaluate the derivative at a stage, to where the stage will stand."""
    time, out = shift(w, s[at.AT]), shift(w, s[at.STAGES] + stage * s[at.N] * W)
    for lane in range(W):
        time[lane] = w[s[at.T] + lane] + _NODES[stage] * w[s[at.STEP] + lane]
    c, r = shift(w, s[at.CONSTANTS]), shift(w, s[at.RATES])
    call(s[at.F_RHS], time, y, c, r, w, out)
    if s[at.TIMED] and _DRIFT[stage] != 0.0:
        for lane in range(W):
            time[lane] = _DRIFT[stage] * w[s[at.STEP] + lane]
        add(out, out, time, shift(w, s[at.LATE]), 0, s[at.N])


@routine
def _factorise(w: Reals, s: Integers) -> None:
    """Factorise 1/(gamma h) - J in each lane, exchanging rows where a pivot is small."""
    n, a, j = s[at.N_STATES], shift(w, s[at.FACTORS]), shift(w, s[at.MATRIX])
    for i in range(n * n * W):
        a[i] = -j[i]
    for i in range(n):
        for lane in range(W):
            a[i * (n + 1) * W + lane] += w[s[at.INVERSE] + lane] / GAMMA
    for i in range(n):
        _exchange(s, a, n, i)
        for row in range(i + 1, n):
            factor = shift(a, (row * n + i) * W)
            divide(factor, factor, shift(a, i * (n + 1) * W))
            for col in range(i + 1, n):
                take(shift(a, (row * n + col) * W), factor, shift(a, (i * n + col) * W))


@routine
def _exchange(s: Integers, a: Reals, n: int, i: int) -> None:
    """Bring a row with a much larger pivot up, lane by lane, and remember it."""
    for lane in range(W):
        best, largest = i, 4.0 * abs(a[i * (n + 1) * W + lane])
        for row in range(i + 1, n):
            size = abs(a[(row * n + i) * W + lane])
            if size > largest:
                best, largest = row, size
        s[s[at.PIVOTS] + i * W + lane] = best
        if best != i:
            for col in range(n):
                held = a[(best * n + col) * W + lane]
                a[(best * n + col) * W + lane] = a[(i * n + col) * W + lane]
                a[(i * n + col) * W + lane] = held


@routine
def _solve(w: Reals, s: Integers, stage: int) -> None:
    """Solve for a stage: for the states, then for every column of the sensitivities."""
    n, m = s[at.N_STATES], s[at.N] - s[at.N_STATES]
    k = shift(w, s[at.STAGES] + stage * s[at.N] * W)
    _substitute(w, s, k)
    if m == 0:
        return
    scratch, one = shift(w, s[at.SCRATCH]), shift(w, s[at.ONE])
    call(
        s[at.F_CURVE],
        shift(w, s[at.T]),
        shift(w, s[at.STATE]),
        shift(w, s[at.CONSTANTS]),
        w,
        k,
        scratch,
    )
    packed, solved = shift(k, n * W), shift(w, s[at.DENSE])
    add(packed, packed, one, scratch, 0, m)
    for column in range(s[at.N_COLUMNS]):
        there = False
        for i in range(n):
            q = s[s[at.INDEX] + i * s[at.N_COLUMNS] + column]
            there = there or q >= 0
            for lane in range(W):
                solved[i * W + lane] = packed[q * W + lane] if q >= 0 else 0.0
        if there:
            _substitute(w, s, solved)
            for i in range(n):
                q = s[s[at.INDEX] + i * s[at.N_COLUMNS] + column]
                if q >= 0:
                    for lane in range(W):
                        packed[q * W + lane] = solved[i * W + lane]


@routine
def _substitute(w: Reals, s: Integers, x: Reals) -> None:
    """Replace n lane-wide numbers by the solution of the factorised equations."""
    n, a = s[at.N_STATES], shift(w, s[at.FACTORS])
    for i in range(n):
        for lane in range(W):
            best = s[s[at.PIVOTS] + i * W + lane]
            if best != i:
                held = x[best * W + lane]
                x[best * W + lane] = x[i * W + lane]
                x[i * W + lane] = held
    for i in range(n):
        for j in range(i):
            take(shift(x, i * W), shift(a, (i * n + j) * W), shift(x, j * W))
    for back in range(n):
        i = n - 1 - back
        for j in range(i + 1, n):
            take(shift(x, i * W), shift(a, (i * n + j) * W), shift(x, j * W))
        divide(shift(x, i * W), shift(x, i * W), shift(a, i * (n + 1) * W))


@routine
def weigh_dense(w: Reals, s: Integers, lane: int, theta: float) -> None:
    """Prepare `interpolate` at a fraction of the step, for one lane."""
    out = shift(w, s[at.WEIGHTS] + lane)
    for stage in range(_STAGES):
        weight = _H[0][stage] + theta * (_H[1][stage] + theta * _H[2][stage])
        out[stage * W] = theta * (1.0 - theta) * weight
    out[_STAGES * W], out[(_STAGES + 1) * W] = 1.0 - theta, theta


@routine
def interpolate(w: Reals, s: Integers) -> None:
    """Write the state at the prepared fractions of the step just tried to DENSE."""
    n, stride, dense = s[at.N], s[at.N] * W, shift(w, s[at.DENSE])
    weights = shift(w, s[at.WEIGHTS])
    for i in range(stride):
        dense[i] = 0.0
    _to_line(dense, dense, shift(weights, _STAGES * W), shift(w, s[at.STATE]), 0, n)
    _to_line(dense, dense, shift(weights, (_STAGES + 1) * W), shift(w, s[at.TRIAL]), 0, n)
    _to_dense(dense, dense, weights, shift(w, s[at.STAGES]), stride, n)
