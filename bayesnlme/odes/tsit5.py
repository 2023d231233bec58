"""The explicit pair of order 5(4) of [Tsitouras2011]_, in all lanes at once.

References
----------
.. [Tsitouras2011] Ch. Tsitouras, Runge-Kutta pairs of order 5(4) satisfying only the first
   column simplifying assumption, Comput. Math. Appl. 62 (2011) 770-775.
.. [Hairer1996] E. Hairer, G. Wanner, Solving Ordinary Differential Equations II, 2nd ed.,
   Springer (1996), section IV.2: the test for stiffness.
"""

import numpy as np

from bayesnlme._types import Floats
from bayesnlme.odes import places as at
from bayesnlme.odes.addresses import shift
from bayesnlme.odes.control import appraisal
from bayesnlme.odes.machine import Integers, Reals, routine
from bayesnlme.odes.places import W
from bayesnlme.odes.vector import blend, call, combination

C: Floats = np.array([0.0, 0.161, 0.327, 0.9, 0.9800255409045097, 1.0, 1.0])
"""Nodes of the seven stages."""

C2, C3, C4, C5 = C[1:5].tolist()

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


@routine
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


STABLE = 2.3
"""A step times the rate of the fastest mode beyond this is held up by that mode alone.

On the real axis the pair is stable up to 3.507, and there steps settle at loose tolerances. A mode
that merely follows a slow solution has an error of its own, though, of second order in the step,
which at tight tolerances stops the growth of the steps before stability does: on Robertson's
problem up to a time of 1 they settle at 3.5 with a relative tolerance of 1e-6, at 3.3 with 1e-8 and
at 1.9 with 1e-10. So the limit is two thirds of the interval. Compared with 3.25, Robertson takes
786 steps instead of 6023 at 1e-8 and 3334 instead of 15,242 at 1e-10, and target-mediated
disposition after one dose 4546 instead of 29,478. Below 2, accurate steps are taken for held up:
Friberg's model costs twice as much at a tolerance of 0.03 with 1.7.
"""

_to2, _to3, _to4, _to5, _to6, _to7 = (
    combination(A[stage, :stage].tolist()) for stage in range(1, 7)
)
_appraise = appraisal(E.tolist(), STABLE)
_to_dense = blend(7)


@routine
def attempt(w: Reals, s: Integers) -> None:
    """Try one step in all lanes: the new state to TRIAL, its mean squared error to ERROR.

    The derivative at the state stands in the first of SLOPES. STRAIN becomes the
    square of the step times the rate of the fastest mode, as the last two stages show it, over
    what is stable [Hairer1996]_.
    """
    n, x, late = s[at.N], s[at.TRIAL], s[at.LATE]
    u, h = shift(w, s[at.STATE]), shift(w, s[at.STEP])
    k, stride = shift(w, s[at.SLOPES]), n * W
    _to2(shift(w, x), u, h, k, stride, n)
    _slope(w, s, x, 1, C2)
    _to3(shift(w, x), u, h, k, stride, n)
    _slope(w, s, x, 2, C3)
    _to4(shift(w, x), u, h, k, stride, n)
    _slope(w, s, x, 3, C4)
    _to5(shift(w, x), u, h, k, stride, n)
    _slope(w, s, x, 4, C5)
    _to6(shift(w, late), u, h, k, stride, n)
    _slope(w, s, late, 5, 1.0)
    _to7(shift(w, x), u, h, k, stride, n)
    _slope(w, s, x, 6, 1.0)
    _appraise(
        shift(w, s[at.T]),
        u,
        shift(w, x),
        shift(w, late),
        k,
        shift(w, s[at.TOLERANCE]),
        w[at.RTOL],
        s[at.N_STATES],
        n,
    )


@routine
def _slope(w: Reals, s: Integers, place: int, stage: int, node: float) -> None:
    """Evaluate the derivative at a stage."""
    time, t, h = shift(w, s[at.AT]), shift(w, s[at.T]), shift(w, s[at.STEP])
    if s[at.TIMED]:
        for lane in range(W):
            time[lane] = t[lane] + node * h[lane]
    c, r = shift(w, s[at.CONSTANTS]), shift(w, s[at.RATES])
    call(s[at.F_RHS], time, shift(w, place), c, r, w, shift(w, s[at.SLOPES] + stage * s[at.N] * W))


@routine
def weigh_dense(w: Reals, s: Integers, lane: int, theta: float) -> None:
    """Prepare `interpolate` at a fraction of the step, for one lane."""
    out, h = shift(w, s[at.WEIGHTS] + lane), w[s[at.STEP] + lane]
    b1, b2, b3, b4, b5, b6, b7 = dense_weights(theta)
    out[0], out[W], out[2 * W], out[3 * W] = h * b1, h * b2, h * b3, h * b4
    out[4 * W], out[5 * W], out[6 * W] = h * b5, h * b6, h * b7


@routine
def interpolate(w: Reals, s: Integers) -> None:
    """Write the state at the prepared fractions of the step just tried to DENSE."""
    n = s[at.N]
    weights, slopes = shift(w, s[at.WEIGHTS]), shift(w, s[at.SLOPES])
    _to_dense(shift(w, s[at.DENSE]), shift(w, s[at.STATE]), weights, slopes, n * W, n)
