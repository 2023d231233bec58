"""All lanes on their way: the loop that takes every subject through its events.

Each lane has a subject and a stretch of its own; in every turn each flow in use moves all of its
lanes by a step. A lane that has reached the end of its stretch does what is due there, and takes
the next subject when its own is finished, so lanes never wait for each other.
"""

import math

from bayesnlme.odes import exponential, rodas5p, tsit5
from bayesnlme.odes import places as at
from bayesnlme.odes.addresses import reals, shift
from bayesnlme.odes.control import FORGOTTEN, control, count, first, only
from bayesnlme.odes.events import (
    DONE,
    GIVEN_UP,
    GO,
    NOT_FINITE,
    SEEN,
    STEADY,
    TOO_MANY_STEPS,
    TOO_SMALL_STEP,
    begin,
    fail,
    note,
    proceed,
)
from bayesnlme.odes.machine import Integers, Reals, routine
from bayesnlme.odes.places import W
from bayesnlme.odes.steady import seek, turn
from bayesnlme.odes.vector import add, call, choose, copy, scaled_squares

START, ARRIVED, PASSED, GAVE_UP = range(1, 5)
"""What an integrator outside asks for."""

_BITS = tuple(2**lane for lane in range(W))
_SIGNS = 15
"""Signs of stiffness, less those against it, that change the method [Hairer1996]_."""

_STIFF_LINEAR = 1e5
"""Fastest rate times length beyond which a linear stretch is integrated rather than summed."""

_SHORT = 1.0
"""Likewise from three states on, where rounding in the direction of the fastest mode grows with
every further one; the series has no such loss."""

_LONG_SERIES = 3000.0


@routine
def walk(w: Reals, s: Integers) -> None:
    """Solve for the subjects NEXT to STOP."""
    for lane in range(W):
        s[s[at.SUBJECT] + lane] = -1
    s[at.NEWS] = 1
    while _ready(w, s):
        if s[at.LINEAR]:
            if _taking(w, s, at.CLOSED_FORM):
                _sum(w, s)
            if _taking(w, s, at.EXPM):
                _series(w, s)
        if _taking(w, s, at.TSIT5):
            tsit5.attempt(w, s)
            s[at.CALLS] += 6
            _judge(w, s, at.TSIT5)
        if _taking(w, s, at.RODAS5P):
            rodas5p.attempt(w, s)
            s[at.CALLS] += 8
            _judge(w, s, at.RODAS5P)


@routine
def _ready(w: Reals, s: Integers) -> bool:
    """Prepare the lanes that have news; say whether any has a stretch ahead."""
    if not s[at.NEWS]:
        return True
    s[at.NEWS] = s[at.LINEAR]
    if not _employ(w, s, W):
        return False
    _restart(w, s)
    s[at.BUSY] = 0
    for flow in range(at.RODAS5P + 1):
        s[at.USERS + flow] = 0
    for lane in range(W):
        if s[s[at.SUBJECT] + lane] >= 0:
            s[at.USERS + s[s[at.FLOW] + lane]] += _BITS[lane]
            s[at.BUSY] += _BITS[lane]
    return True


@routine
def drive(w: Reals, s: Integers, command: int) -> bool:
    """Let another integrator move the first lane; say whether a stretch lies ahead.

    START begins; ARRIVED says that STATE holds the end of the stretch, PASSED that DENSE holds the
    state at the next observation, GAVE_UP that there is none.
    """
    if command == START:
        for lane in range(W):
            s[s[at.SUBJECT] + lane] = -1
    elif command == PASSED:
        w[s[at.AT]] = reals(s[SEEN])[s[s[at.OBSERVATION]]]
        _read_out(w, s)
        note(w, s, 0, s[at.DENSE])
    elif command == ARRIVED:
        arrive(w, s, 0)
    else:
        lose(w, s, 0, GIVEN_UP)
    return _employ(w, s, 1)


@routine
def _employ(w: Reals, s: Integers, lanes: int) -> bool:
    """Give every idle one of the first lanes a subject; say whether any has one."""
    busy = False
    for lane in range(lanes):
        while s[s[at.SUBJECT] + lane] < 0 and s[at.NEXT] < s[at.STOP]:
            s[s[at.SUBJECT] + lane] = s[s[at.QUEUE] + s[at.NEXT] - s[at.START_AT]]
            s[at.NEXT] += 1
            _follow(w, s, lane, begin(w, s, lane))
        if s[s[at.SUBJECT] + lane] < 0:
            w[s[at.STEP] + lane] = 0.0
        else:
            busy = True
    return busy


@routine
def _follow(w: Reals, s: Integers, lane: int, code: int) -> None:
    """Do what the events of a lane ask for; leave it before a stretch, or idle."""
    while code == STEADY:
        code = seek(w, s, lane)
    if code == GO:
        return
    if code != DONE:
        fail(w, s, lane, code)
    s[s[at.SUBJECT] + lane] = -1
    s[s[at.RESTART] + lane] = 0


@routine
def arrive(w: Reals, s: Integers, lane: int) -> None:
    """Do what is due at the end of a stretch."""
    w[s[at.T] + lane] = w[s[at.END] + lane]
    s[at.NEWS] = 1
    walking = s[s[at.MODE] + lane] == at.WALK
    _follow(w, s, lane, proceed(w, s, lane) if walking else turn(w, s, lane))


@routine
def lose(w: Reals, s: Integers, lane: int, why: int) -> None:
    """Give a lane's subject up."""
    fail(w, s, lane, why)
    s[s[at.SUBJECT] + lane] = -1
    s[at.NEWS] = 1


@routine
def _taking(w: Reals, s: Integers, flow: int) -> bool:
    """Set STEP in the lanes of a flow; say whether there are any."""
    if not s[at.USERS + flow]:
        return False
    only(shift(w, s[at.STEP]), shift(w, s[at.H]), s[at.USERS + flow])
    return True


@routine
def _restart(w: Reals, s: Integers) -> None:
    """Prepare the stretches that begin, all in one go."""
    any_, integrated, summed = False, False, False
    for lane in range(W):
        if s[s[at.RESTART] + lane]:
            any_ = True
            if s[at.LINEAR] and s[at.METHOD] < at.TSIT5:
                s[s[at.FLOW] + lane] = s[at.METHOD]
            summed = summed or s[s[at.FLOW] + lane] < at.TSIT5
            integrated = integrated or s[s[at.FLOW] + lane] >= at.TSIT5
    if not any_:
        return
    if summed:
        integrated = _choose_linear(w, s) or integrated
    if integrated:
        _first_steps(w, s)
    for lane in range(W):
        s[s[at.RESTART] + lane] = 0


@routine
def _choose_linear(w: Reals, s: Integers) -> bool:
    """Prepare linear stretches; say whether any of them is to be integrated step by step."""
    integrated, limit = False, _STIFF_LINEAR if s[at.N_STATES] <= 2 else _SHORT
    exponential.measure(w, s)
    if s[at.METHOD] == at.CLOSED_FORM:
        exponential.prepare(w, s)
    for lane in range(W):
        if s[s[at.RESTART] + lane] and (s[at.SWITCHES] or s[at.METHOD] == at.CLOSED_FORM):
            span = w[s[at.END] + lane] - w[s[at.T] + lane]
            fit = exponential.fastest(w, s, lane) * span < limit
            if s[at.METHOD] == at.EXPM or not fit:
                short = w[s[at.BOUND] + lane] * span < _LONG_SERIES
                if short:
                    s[s[at.FLOW] + lane] = at.EXPM
                elif s[at.SWITCHES]:
                    s[s[at.FLOW] + lane] = at.RODAS5P
                    integrated = True
    return integrated


@routine
def _first_steps(w: Reals, s: Integers) -> None:
    """Find the derivative, and a first step by its size and change [Hairer1993]_."""
    n, u, x = s[at.N], shift(w, s[at.STATE]), shift(w, s[at.TRIAL])
    slope, later = shift(w, s[at.SCRATCH]), shift(w, s[at.LATE])
    zero, tolerance, rtol = shift(w, s[at.ZERO]), shift(w, s[at.TOLERANCE]), w[at.RTOL]
    mask, h, time = shift(w, s[at.MASK]), shift(w, s[at.FACTOR]), shift(w, s[at.AT])
    d0, d1, d2 = shift(w, s[at.ERROR]), shift(w, s[at.STRAIN]), shift(w, s[at.INVERSE])
    c, r = shift(w, s[at.CONSTANTS]), shift(w, s[at.RATES])
    call(s[at.F_RHS], shift(w, s[at.T]), u, c, r, w, slope)
    scaled_squares(u, zero, u, u, tolerance, rtol, n, d0)
    scaled_squares(slope, zero, u, u, tolerance, rtol, n, d1)
    for lane in range(W):
        span = w[s[at.END] + lane] - w[s[at.T] + lane]
        started = s[s[at.RESTART] + lane] and s[s[at.FLOW] + lane] >= at.TSIT5
        mask[lane] = 1.0 if started else 0.0
        if not started:
            h[lane], time[lane] = 0.0, w[s[at.T] + lane]
            continue
        known = d0[lane] > 1e-10 and d1[lane] > 1e-10
        h[lane] = min(span, 0.01 * math.sqrt(d0[lane] / d1[lane]) if known else 1e-6 * span)
        time[lane] = w[s[at.T] + lane] + h[lane]
    choose(shift(w, s[at.SLOPES]), slope, mask, n)
    add(x, u, h, slope, 0, n)
    call(s[at.F_RHS], time, x, c, r, w, later)
    s[at.CALLS] += 2
    scaled_squares(later, slope, u, u, tolerance, rtol, n, d2)
    for lane in range(W):
        if mask[lane] == 0.0:
            continue
        span = w[s[at.END] + lane] - w[s[at.T] + lane]
        steepest = math.sqrt(max(d1[lane], d2[lane] / (h[lane] * h[lane])) / n)
        step = span
        if steepest > 1e-15:
            step = min(span, 100.0 * h[lane], (0.01 / steepest) ** 0.2)
        w[s[at.H] + lane] = step
        w[s[at.MEMORY] + lane] = FORGOTTEN
        _look_ahead(w, s, lane)
        w[s[at.GROWTH] + lane] = 10.0


@routine
def _aim(w: Reals, s: Integers, lane: int) -> float:
    """Return where a linear stretch stops next: at an observation or at its end."""
    j = s[s[at.OBSERVATION] + lane]
    return reals(s[SEEN])[j] if j < s[s[at.LAST] + lane] else w[s[at.END] + lane]


@routine
def _sum(w: Reals, s: Integers) -> None:
    """Take every lane of the closed form to its next observation, or to the end of its stretch."""
    for lane in range(W):
        if _mine(s, lane, at.CLOSED_FORM):
            w[s[at.AT] + lane] = _aim(w, s, lane)
            w[s[at.STEP] + lane] = w[s[at.AT] + lane] - w[s[at.T] + lane]
    exponential.evaluate(w, s)
    _read_out(w, s)
    dense = shift(w, s[at.DENSE])
    for lane in range(W):
        if _mine(s, lane, at.CLOSED_FORM):
            _note_all(w, s, lane)
            if not _finite(s, dense, lane):
                lose(w, s, lane, NOT_FINITE)
    for lane in range(W):
        if _mine(s, lane, at.CLOSED_FORM) and _at_end(w, s, lane):
            for i in range(s[at.N]):
                w[s[at.STATE] + i * W + lane] = dense[i * W + lane]
            arrive(w, s, lane)


@routine
def _note_all(w: Reals, s: Integers, lane: int) -> None:
    """Note every observation of this stretch at the time AT, read from DENSE."""
    while s[s[at.OBSERVATION] + lane] < s[s[at.LAST] + lane] and (
        reals(s[SEEN])[s[s[at.OBSERVATION] + lane]] <= w[s[at.AT] + lane]
    ):
        note(w, s, lane, s[at.DENSE])


@routine
def _at_end(w: Reals, s: Integers, lane: int) -> bool:
    """Say whether the time AT is the end of the stretch."""
    return not w[s[at.AT] + lane] < w[s[at.END] + lane]


@routine
def _mine(s: Integers, lane: int, flow: int) -> bool:
    return s[s[at.SUBJECT] + lane] >= 0 and s[s[at.FLOW] + lane] == flow


@routine
def _finite(s: Integers, y: Reals, lane: int) -> bool:
    total = 0.0
    for i in range(s[at.N_STATES]):
        total += 0.0 * y[i * W + lane]
    return total == 0.0


@routine
def _series(w: Reals, s: Integers) -> None:
    """Take every lane of the series a step on."""
    mask, reach = shift(w, s[at.MASK]), exponential.SERIES_REACH
    for lane in range(W):
        mask[lane] = 1.0 if _mine(s, lane, at.EXPM) else 0.0
        if mask[lane] != 0.0:
            ahead = _aim(w, s, lane) - w[s[at.T] + lane]
            parts = max(1.0, math.ceil(ahead * w[s[at.BOUND] + lane] / reach))
            w[s[at.STEP] + lane] = ahead / parts
            w[s[at.AT] + lane] = w[s[at.T] + lane] + ahead / parts
            if parts == 1.0:
                w[s[at.AT] + lane] = _aim(w, s, lane)
    exponential.advance(w, s)
    trial, dense, state = shift(w, s[at.TRIAL]), shift(w, s[at.DENSE]), shift(w, s[at.STATE])
    choose(state, trial, mask, s[at.N])
    choose(dense, trial, mask, s[at.N])
    _read_out(w, s)
    for lane in range(W):
        if mask[lane] != 0.0:
            w[s[at.T] + lane] = w[s[at.AT] + lane]
            w[s[at.STEPS] + lane] += 1.0
            _note_all(w, s, lane)
            if w[s[at.STEPS] + lane] > s[at.MAX_STEPS]:
                lose(w, s, lane, TOO_MANY_STEPS)
            elif not _finite(s, state, lane):
                lose(w, s, lane, NOT_FINITE)
    for lane in range(W):
        if _mine(s, lane, at.EXPM) and _at_end(w, s, lane):
            arrive(w, s, lane)


@routine
def _read_out(w: Reals, s: Integers) -> None:
    """Evaluate the outputs at DENSE and the times AT, in all lanes."""
    c = shift(w, s[at.CONSTANTS])
    call(
        s[at.F_READOUTS],
        shift(w, s[at.AT]),
        shift(w, s[at.DENSE]),
        c,
        w,
        w,
        shift(w, s[at.READ]),
    )


@routine
def _judge(w: Reals, s: Integers, flow: int) -> None:
    """Accept or refuse the steps just tried, read the observations passed, choose new steps."""
    mine, most = s[at.USERS + flow], _SIGNS if s[at.SWITCHES] else math.inf
    noisy = control(shift(w, s[at.T]), mine, most, s[at.MAX_STEPS])
    s[at.TAKEN] += count(mine)
    accepted, left = mine, noisy
    while left:
        lane = first(left)
        left -= _BITS[lane]
        if not w[s[at.ERROR] + lane] <= 1.0:
            accepted -= _BITS[lane]
            noisy -= _BITS[lane]
            _refuse(w, s, lane)
    if noisy:
        _pass_observations(w, s, flow, noisy)
    _take_over(w, s, flow, accepted)
    while noisy:
        lane = first(noisy)
        noisy -= _BITS[lane]
        _accept(w, s, lane, flow)


@routine
def _take_over(w: Reals, s: Integers, flow: int, accepted: int) -> None:
    """Let the state just tried be the state in the lanes given as bits."""
    slope, later = shift(w, s[at.SLOPES]), shift(w, s[at.SLOPES] + 6 * s[at.N] * W)
    if accepted == s[at.BUSY]:
        held = s[at.STATE]
        s[at.STATE] = s[at.TRIAL]
        s[at.TRIAL] = held
        if flow == at.TSIT5:
            copy(slope, later, s[at.N])
    else:
        mask = shift(w, s[at.MASK])
        only(mask, shift(w, s[at.ONE]), accepted)
        choose(shift(w, s[at.STATE]), shift(w, s[at.TRIAL]), mask, s[at.N])
        if flow == at.TSIT5:
            choose(slope, later, mask, s[at.N])


@routine
def _refuse(w: Reals, s: Integers, lane: int) -> None:
    error, h = w[s[at.ERROR] + lane], w[s[at.H] + lane]
    shrink = max(0.2, min(1.0, w[s[at.FACTOR] + lane])) if error < math.inf else 0.1
    w[s[at.H] + lane] = h * shrink
    w[s[at.GROWTH] + lane] = 1.0
    now = w[s[at.T] + lane]
    if w[s[at.STEPS] + lane] > s[at.MAX_STEPS]:
        lose(w, s, lane, TOO_MANY_STEPS)
    elif not now + h * shrink > now:
        lose(w, s, lane, TOO_SMALL_STEP)


@routine
def _accept(w: Reals, s: Integers, lane: int, flow: int) -> None:
    """Go on behind a step that ends a stretch, passed an observation or shows the method unfit."""
    if s[at.SWITCHES] and w[s[at.STIFF] + lane] >= _SIGNS:
        w[s[at.STIFF] + lane] = 0.0
        s[s[at.FLOW] + lane] = at.RODAS5P if flow == at.TSIT5 else at.TSIT5
        s[s[at.RESTART] + lane] = 1 if flow == at.RODAS5P else 0
        s[at.NEWS] = 1
    if _final(w, s, lane):
        arrive(w, s, lane)
        return
    _go_on(w, s, lane)
    _look_ahead(w, s, lane)


@routine
def _go_on(w: Reals, s: Integers, lane: int) -> None:
    """Choose the next step; one that comes close to the end of the stretch is fitted to it."""
    now, end = w[s[at.T] + lane] + w[s[at.H] + lane], w[s[at.END] + lane]
    h = w[s[at.H] + lane] * w[s[at.STRETCH] + lane]
    w[s[at.T] + lane] = now
    w[s[at.H] + lane] = end - now if now + 1.01 * h >= end else h
    w[s[at.MEMORY] + lane] = w[s[at.MEMORY_NEXT] + lane]
    w[s[at.GROWTH] + lane] = 10.0
    if w[s[at.STEPS] + lane] > s[at.MAX_STEPS]:
        lose(w, s, lane, TOO_MANY_STEPS)


@routine
def _look_ahead(w: Reals, s: Integers, lane: int) -> None:
    """Set SIGHT to the next observation of the stretch, or to its end."""
    w[s[at.SIGHT] + lane] = _aim(w, s, lane)


@routine
def _final(w: Reals, s: Integers, lane: int) -> bool:
    """Say whether the step just tried ends the stretch."""
    h, now, end = w[s[at.H] + lane], w[s[at.T] + lane], w[s[at.END] + lane]
    return h >= end - now or now + h >= end - 1e-14 * abs(end)


@routine
def _pass_observations(w: Reals, s: Integers, flow: int, lanes: int) -> None:
    """Read, from the dense output, every observation that the accepted steps have passed."""
    while lanes:
        left, noted = lanes, 0
        while left:
            lane = first(left)
            left -= _BITS[lane]
            if s[s[at.OBSERVATION] + lane] < s[s[at.LAST] + lane]:
                noted += _BITS[lane] if _weigh_next(w, s, lane, flow) else 0
        if not noted:
            return
        if flow == at.TSIT5:
            tsit5.interpolate(w, s)
        else:
            rodas5p.interpolate(w, s)
        _read_out(w, s)
        lanes = noted
        while noted:
            lane = first(noted)
            noted -= _BITS[lane]
            _note_all(w, s, lane)


@routine
def _weigh_next(w: Reals, s: Integers, lane: int, flow: int) -> bool:
    """Prepare to read a lane's next observation, if the step has passed it; say whether it has."""
    h, seen = w[s[at.STEP] + lane], reals(s[SEEN])[s[s[at.OBSERVATION] + lane]]
    theta = (seen - w[s[at.T] + lane]) / h
    if not (theta <= 1.0 or _final(w, s, lane)):
        return False
    w[s[at.AT] + lane] = seen
    if flow == at.TSIT5:
        tsit5.weigh_dense(w, s, lane, min(theta, 1.0))
    else:
        rodas5p.weigh_dense(w, s, lane, min(theta, 1.0))
    return True
