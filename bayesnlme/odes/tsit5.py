"""The explicit pair of order 5(4) of [Tsitouras2011]_, one step at a time.

References
----------
.. [Tsitouras2011] Ch. Tsitouras, Runge-Kutta pairs of order 5(4) satisfying only the first
   column simplifying assumption, Comput. Math. Appl. 62 (2011) 770-775.
.. [Hairer1993] E. Hairer, S. P. Norsett, G. Wanner, Solving Ordinary Differential Equations I,
   2nd ed., Springer (1993), section II.4.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from bayesnlme._types import Floats
from bayesnlme.odes.compiling import njit
from bayesnlme.odes.memory import shift
from bayesnlme.odes.vector import combination, copying, padded, scaled_squares, store

C: Floats = np.array([0.0, 0.161, 0.327, 0.9, 0.9800255409045097, 1.0, 1.0])
"""Nodes of the seven stages."""

A: Floats = np.array(
    [
        [0, 0, 0, 0, 0, 0, 0],
        [0.161, 0, 0, 0, 0, 0, 0],
        [-0.008480655492356989, 0.335480655492357, 0, 0, 0, 0, 0],
        [2.8971530571054935, -6.359448489975075, 4.3622954328695815, 0, 0, 0, 0],
        [5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525, 0, 0, 0],
        [
            5.86145544294642,
            -12.92096931784711,
            8.159367898576159,
            -0.071584973281401,
            -0.028269050394068383,
            0,
            0,
        ],
        [
            0.09646076681806523,
            0.01,
            0.4798896504144996,
            1.379008574103742,
            -3.290069515436081,
            2.324710524099774,
            0,
        ],
    ]
)
"""Weights of the stages; the last row is the solution of order 5 (first same as last)."""

E: Floats = np.array(
    [
        -0.00178001105222577714,
        -0.0008164344596567469,
        0.007880878010261995,
        -0.1447110071732629,
        0.5823571654525552,
        -0.45808210592918697,
        0.015151515151515152,
    ]
)
"""Weights of the error estimate: solution of order 5 less solution of order 4."""


def dense_weights(theta: float) -> tuple[float, float, float, float, float, float, float]:
    """Return the weights of the stages at a fraction of the step: order 4, no extra stage."""
    square = theta * theta
    return (
        -1.0530884977290216
        * theta
        * (theta - 1.3299890189751412)
        * (square - 1.4364028541716351 * theta + 0.7139816917074209),
        0.1017 * square * (square - 2.1966568338249754 * theta + 1.2949852507374631),
        2.490627285651252793
        * square
        * (square - 2.38535645472061657 * theta + 1.57803468208092486),
        -16.54810288924490272
        * (theta - 1.21712927295533244)
        * (theta - 0.61620406037800089)
        * square,
        47.37952196281928122
        * (theta - 1.203071208372362603)
        * (theta - 0.658047292653547382)
        * square,
        -34.87065786149660974 * (theta - 1.2) * (theta - 0.666666666666666667) * square,
        2.5 * (theta - 1.0) * (theta - 0.6) * square,
    )


class Layout(NamedTuple):
    """Where things stand in the workspace of a solve, counted in numbers from its start.

    Attributes
    ----------
    state, tolerance, dense : int
        State with its packed sensitivities; absolute tolerance of each; interpolated state.
    constants, rates : int
        Parameters with the constants made of them; infusion rate into every state.
    readouts : int
        Outputs, each with its derivatives.
    clock, steps : int
        Time reached; number of steps so far.
    method : int
        Start of the part that belongs to the method, which begins with the state just tried.
    """

    state: int
    tolerance: int
    dense: int
    constants: int
    rates: int
    readouts: int
    clock: int
    steps: int
    method: int


class Method(NamedTuple):
    """A one-step method as functions of the workspace.

    Attributes
    ----------
    start : callable
        ``(w, t, span)``: begin a smooth stretch at the state -> length of the first step to try.
    attempt : callable
        ``(w, t, h)`` -> mean square of the error of one step, in units of the tolerance.
    accept : callable
        ``(w)``: the step just tried becomes the state.
    interpolate : callable
        ``(w, theta, h)``: write the state at a fraction of the step just tried.
    size : int
        Numbers it needs in the workspace.
    order : int
        Order of the error estimate plus one.
    """

    start: Any
    attempt: Any
    accept: Any
    interpolate: Any
    size: int
    order: int


def tsit5(rhs: Any, layout: Layout, size: int, rtol: float) -> Method:
    """Build the method for one right-hand side of `size` components."""
    trial, block = layout.method, padded(size)
    take, take_slope = (
        copying(layout.state, trial, block),
        copying(trial + block, trial + 7 * block, block),
    )

    @njit
    def accept(w: Any) -> None:
        take(w)
        take_slope(w)

    return Method(
        start=_start(rhs, layout, size, rtol),
        attempt=_attempt(rhs, layout, size, rtol),
        accept=accept,
        interpolate=_interpolate(layout, block),
        size=8 * block,
        order=5,
    )


def _attempt(rhs: Any, layout: Layout, size: int, rtol: float) -> Any:
    """One step and its error: mean square over states and sensitivities."""
    block, u, x, scratch = padded(size), layout.state, layout.method, layout.dense
    constants, rates = layout.constants, layout.rates
    slopes = [x + stage * block for stage in range(1, 8)]
    k2, k3, k4, k5, k6, k7 = slopes[1:]
    to2, to3, to4, to5, to6, to7 = (
        combination(x, u, slopes[:stage], block) for stage in range(1, 7)
    )
    to_error = combination(scratch, None, slopes, block)
    squares = scaled_squares(scratch, u, x, layout.tolerance, block)
    (_, c2, c3, c4, c5, _, _) = C.tolist()
    _, (a21, *_), (a31, a32, *_), (a41, a42, a43, *_), row5, row6, row7 = A.tolist()
    a51, a52, a53, a54, *_ = row5
    a61, a62, a63, a64, a65, *_ = row6
    a71, a72, a73, a74, a75, a76, _ = row7
    e1, e2, e3, e4, e5, e6, e7 = E.tolist()

    @njit
    def attempt(w: Any, t: float, h: float) -> float:
        y, c, r = shift(w, x), shift(w, constants), shift(w, rates)
        to2(w, (h * a21,))
        store(shift(w, k2), rhs(t + c2 * h, y, c, r))
        to3(w, (h * a31, h * a32))
        store(shift(w, k3), rhs(t + c3 * h, y, c, r))
        to4(w, (h * a41, h * a42, h * a43))
        store(shift(w, k4), rhs(t + c4 * h, y, c, r))
        to5(w, (h * a51, h * a52, h * a53, h * a54))
        store(shift(w, k5), rhs(t + c5 * h, y, c, r))
        to6(w, (h * a61, h * a62, h * a63, h * a64, h * a65))
        store(shift(w, k6), rhs(t + h, y, c, r))
        to7(w, (h * a71, h * a72, h * a73, h * a74, h * a75, h * a76))
        store(shift(w, k7), rhs(t + h, y, c, r))
        to_error(w, (h * e1, h * e2, h * e3, h * e4, h * e5, h * e6, h * e7))
        return squares(w, rtol) / size

    return attempt


def _interpolate(layout: Layout, block: int) -> Any:
    slopes = [layout.method + stage * block for stage in range(1, 8)]
    to_dense = combination(layout.dense, layout.state, slopes, block)
    weights = njit(dense_weights)

    @njit
    def interpolate(w: Any, theta: float, h: float) -> None:
        b1, b2, b3, b4, b5, b6, b7 = weights(theta)
        to_dense(w, (h * b1, h * b2, h * b3, h * b4, h * b5, h * b6, h * b7))

    return interpolate


def _start(rhs: Any, layout: Layout, size: int, rtol: float) -> Any:
    """Find the derivative at the start, and a first step by its size and change [Hairer1993]_."""
    block, u, x, scratch = padded(size), layout.state, layout.method, layout.dense
    k1, k2 = x + block, x + 2 * block
    euler = combination(x, u, [k1], block)
    change = combination(scratch, k2, [k1], block)
    of_state, of_slope, of_change = (
        scaled_squares(each, u, u, layout.tolerance, block) for each in (u, k1, scratch)
    )

    @njit
    def start(w: Any, t: float, span: float) -> float:
        c, r = shift(w, layout.constants), shift(w, layout.rates)
        store(shift(w, k1), rhs(t, shift(w, u), c, r))
        d0, d1 = of_state(w, rtol), of_slope(w, rtol)
        h = 0.01 * math.sqrt(d0 / d1) if d0 > 1e-10 and d1 > 1e-10 else 1e-6 * span
        h = min(span, h)
        euler(w, (h,))
        store(shift(w, k2), rhs(t + h, shift(w, x), c, r))
        change(w, (-1.0,))
        d2 = of_change(w, rtol) / (h * h)
        steepest = math.sqrt(max(d1, d2) / size)
        if steepest <= 1e-15:
            return span
        return min(span, 100.0 * h, (0.01 / steepest) ** 0.2)

    return start
