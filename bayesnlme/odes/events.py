"""One lane on its way through the agenda of its subject.

`begin` takes up a subject, `arrive` does what is due at the time reached; both leave the lane
at the start of a smooth stretch, or with its subject finished. An observation at the time of an
event sees its effect if the event stands before it in the table.
"""

import math

from bayesnlme.odes import places as at
from bayesnlme.odes.addresses import integers, reals, shift
from bayesnlme.odes.agenda import RECORDS, cancel, chain, entries, plan
from bayesnlme.odes.doses import (
    AMOUNT,
    COMPARTMENT,
    GIVEN,
    LAG,
    LENGTH,
    RATE,
    ROW,
    SPEED,
    weigh,
    weighed,
)
from bayesnlme.odes.machine import Integers, Reals, routine
from bayesnlme.odes.places import W
from bayesnlme.odes.sense import (
    PAIR_OFFSETS,
    START_ROW,
    bring_forward,
    derivatives,
    nudge,
    push,
    start_anew,
)
from bayesnlme.odes.vector import call

START_TIME, OBSERVATIONS = at.ARRAY["start_time"], at.ARRAY["observation_offsets"]
SEEN, OUTPUT, PLACE = (at.ARRAY[f"observation_{name}"] for name in ("time", "output", "order"))

DONE, GO = range(2)
"""Subject finished; a stretch lies ahead."""

IMPOSSIBLE_DOSE, RESTLESS, TOO_MANY_STEPS, TOO_SMALL_STEP, NOT_FINITE, GIVEN_UP = range(4, 10)
"""Why a solve failed: lag, bioavailability, duration or rate of a dose; no steady state; the limit
on steps; a step that shrank to nothing; a state that is not finite; an integrator outside."""


@routine
def begin(w: Reals, s: Integers, lane: int) -> int:
    """Bring the lane's subject to its first stretch."""
    subject = s[s[at.SUBJECT] + lane]
    s[s[at.OBSERVATION] + lane] = integers(s[OBSERVATIONS])[subject]
    w[s[at.STEPS] + lane] = 0.0
    w[s[at.STIFF] + lane] = 0.0
    s[s[at.MODE] + lane] = at.WALK
    s[s[at.FLOW] + lane] = s[at.METHOD]
    s[s[at.ROW] + lane] = 0
    w[s[at.T] + lane] = reals(s[START_TIME])[subject]
    load(w, s, lane, integers(s[START_ROW])[subject])
    size = s[at.N_ROWS] * s[at.N_STATES] * s[at.N_PARAMETERS]
    for i in range(size):
        w[s[at.SENSE] + lane * size + i] = 0.0
    cancel(w, s, lane, -1)
    initialize(w, s, lane)
    tolerate(w, s, lane)
    if not plan(w, s, lane):
        return IMPOSSIBLE_DOSE
    return proceed(w, s, lane)


@routine
def load(w: Reals, s: Integers, lane: int, row: int) -> None:
    """Bring a row of parameters, and the constants made of it, into force."""
    m = s[at.N_PARAMETERS]
    values, c = shift(reals(s[at.PARAMETERS]), m * row), shift(w, s[at.CONSTANTS])
    for k in range(m):
        c[k * W + lane] = values[k]
    call(s[at.F_CONSTANTS], w, w, c, w, w, shift(c, m * W))


@routine
def initialize(w: Reals, s: Integers, lane: int) -> None:
    """Set the state and its sensitivities to their initial values."""
    n, scratch = s[at.N_STATES], shift(w, s[at.SCRATCH])
    call(s[at.F_INITIAL], w, w, shift(w, s[at.CONSTANTS]), w, w, scratch)
    for i in range(n):
        w[s[at.STATE] + i * W + lane] = scratch[i * W + lane]
    if s[at.TRANSITION]:
        start_anew(w, s, lane)
    else:
        for q in range(n, s[at.N]):
            w[s[at.STATE] + q * W + lane] = 0.0
    for q in range(s[at.N_PLAIN]):
        i, k = s[s[at.PAIRS] + 2 * q], s[s[at.PAIRS] + 2 * q + 1]
        nudge(w, s, lane, s[s[at.ROW] + lane], i, k, scratch[(n + q) * W + lane])


@routine
def tolerate(w: Reals, s: Integers, lane: int) -> None:
    """Scale the absolute tolerances by the initial state and the doses that reach a state.

    A derivative by a parameter has the tolerance of its state divided by the size of the
    parameter, one by a state that divided by the scale of that state.
    """
    n, m, subject = s[at.N_STATES], s[at.N_PARAMETERS], s[s[at.SUBJECT] + lane]
    scale = shift(w, s[at.SCALE] + lane * n)
    atol, reached = w[at.ATOL], shift(s, s[at.SCALED_BY])
    for i in range(n):
        scale[i] = abs(w[s[at.STATE] + i * W + lane])
    for record in range(integers(s[RECORDS])[subject], integers(s[RECORDS])[subject + 1]):
        source, size = integers(s[COMPARTMENT])[record], reals(s[AMOUNT])[record]
        size = size if size > 0.0 else max(reals(s[RATE])[record], 0.0)
        for i in range(n):
            if reached[source * n + i]:
                scale[i] = max(scale[i], size)
    for i in range(n):
        scale[i] = scale[i] if 0.0 < scale[i] < math.inf else 1.0
        w[s[at.TOLERANCE] + i * W + lane] = atol * scale[i]
    for q in range(s[at.N] - n):
        i, k = s[s[at.PAIRS] + 2 * q], s[s[at.PAIRS] + 2 * q + 1]
        source = k - m if k < m + n else s[s[at.RATED] + k - m - n]
        size = abs(w[s[at.CONSTANTS] + k * W + lane]) if k < m else scale[source]
        size = size if size > 0.0 else 1.0
        w[s[at.TOLERANCE] + (n + q) * W + lane] = atol * scale[i] / size


@routine
def proceed(w: Reals, s: Integers, lane: int) -> int:
    """Do everything due now, up to the next smooth stretch."""
    observations = integers(s[OBSERVATIONS])
    stop = observations[s[s[at.SUBJECT] + lane] + 1]
    while s[s[at.OBSERVATION] + lane] < stop:
        end, last = _horizon(w, s, lane, stop)
        now = w[s[at.T] + lane]
        if end > now:
            while s[s[at.OBSERVATION] + lane] < last and (
                reals(s[SEEN])[s[s[at.OBSERVATION] + lane]] <= now
            ):
                look(w, s, lane)
            s[s[at.LAST] + lane] = last
            w[s[at.END] + lane] = end
            s[s[at.RESTART] + lane] = 1
            return GO
        while s[s[at.OBSERVATION] + lane] < last:
            look(w, s, lane)
        if s[s[at.EVENT] + lane] < s[s[at.EVENTS] + lane]:
            code = _happen(w, s, lane)
            if code != DONE:
                return code
    return DONE


@routine
def _horizon(w: Reals, s: Integers, lane: int, stop: int) -> tuple[float, int]:
    """Return the end of the stretch ahead, and where its observations end."""
    times, _, orders, _, _ = entries(w, s, lane)
    event, last = s[s[at.EVENT] + lane], s[s[at.OBSERVATION] + lane]
    if event == s[s[at.EVENTS] + lane]:
        return reals(s[SEEN])[stop - 1], stop
    end, order = times[event], orders[event]
    while last < stop and (
        reals(s[SEEN])[last] < end
        or (reals(s[SEEN])[last] == end and integers(s[PLACE])[last] < order)
    ):
        last += 1
    return end, last


@routine
def look(w: Reals, s: Integers, lane: int) -> None:
    """Read the next observation from the state."""
    call(
        s[at.F_READOUTS],
        shift(w, s[at.T]),
        shift(w, s[at.STATE]),
        shift(w, s[at.CONSTANTS]),
        w,
        w,
        shift(w, s[at.READ]),
    )
    note(w, s, lane, s[at.STATE])


@routine
def note(w: Reals, s: Integers, lane: int, place: int) -> None:
    """Write down the next observation, whose outputs have been evaluated."""
    n, m, j = s[at.N_STATES], s[at.N_PARAMETERS], s[s[at.OBSERVATION] + lane]
    width = 1 + s[at.SENSITIVE] * (n + m)
    outputs = shift(w, s[at.READ] + integers(s[OUTPUT])[j] * width * W)
    reals(s[at.PREDICTION])[j] = outputs[lane]
    if s[at.SENSITIVE]:
        derivatives(w, s, lane, place, shift(outputs, W), j, reals(s[at.SENSITIVITY]))
    s[s[at.OBSERVATION] + lane] = j + 1


@routine
def _happen(w: Reals, s: Integers, lane: int) -> int:
    """Let the next event take place; DONE unless a steady state has to be sought first."""
    _, whats, _, records, repeats = entries(w, s, lane)
    event = s[s[at.EVENT] + lane]
    what, record, repeat = whats[event], records[event], repeats[event]
    s[s[at.EVENT] + lane] = event + 1
    if what == at.CANCELLED:
        return DONE
    bring_forward(w, s, lane)
    if what == at.SWITCH:
        subject = s[s[at.SUBJECT] + lane]
        s[s[at.ROW] + lane] = integers(s[ROW])[record] - integers(s[START_ROW])[subject]
        load(w, s, lane, integers(s[ROW])[record])
    elif what == at.RESET:
        cancel(w, s, lane, record)
        forget(w, s, lane)
        initialize(w, s, lane)
    elif what == at.STEADY:
        return STEADY
    elif not weigh(w, s, lane, record):
        return IMPOSSIBLE_DOSE
    else:
        delay = weighed(w, s, lane, LAG, 0)
        if what == at.START:
            _start(w, s, lane, record)
        else:
            delay += weighed(w, s, lane, LENGTH, 0)
            _finish(w, s, lane, record)
        if repeat > 0:
            chain(w, s, lane, record, what, delay, repeat - 1)
    return DONE


STEADY = 3
"""A steady state has to be sought before the agenda goes on."""


@routine
def forget(w: Reals, s: Integers, lane: int) -> None:
    """Let the state depend on no row of parameters."""
    size = s[at.N_ROWS] * s[at.N_STATES] * s[at.N_PARAMETERS]
    for i in range(size):
        w[s[at.SENSE] + lane * size + i] = 0.0


@routine
def row_of(s: Integers, lane: int, record: int) -> int:
    """Return the row of a record, counted from its subject's first."""
    return integers(s[ROW])[record] - integers(s[START_ROW])[s[s[at.SUBJECT] + lane]]


@routine
def _start(w: Reals, s: Integers, lane: int, record: int) -> None:
    """Let a dose enter, at once or by an infusion that begins.

    The sensitivities jump by the derivative of the amount, and by the difference of the
    derivatives before and after times the derivative of the lag.
    """
    m, i = s[at.N_PARAMETERS], integers(s[COMPARTMENT])[record]
    row, now = row_of(s, lane, record), w[s[at.T] + lane]
    if now + weighed(w, s, lane, LENGTH, 0) > now:
        run(w, s, lane, record, 1)
        for k in range(m):
            jump = weighed(w, s, lane, SPEED, 0) * weighed(w, s, lane, LAG, 1 + k)
            nudge(w, s, lane, row, i, k, -jump)
        return
    lagged = False
    for k in range(m):
        lagged = lagged or weighed(w, s, lane, LAG, 1 + k) != 0.0
    if lagged:
        _jump(w, s, lane, row, 1.0)
    w[s[at.STATE] + i * W + lane] += weighed(w, s, lane, GIVEN, 0)
    for k in range(m):
        nudge(w, s, lane, row, i, k, weighed(w, s, lane, GIVEN, 1 + k))
    if lagged:
        _jump(w, s, lane, row, -1.0)


@routine
def _finish(w: Reals, s: Integers, lane: int, record: int) -> None:
    """End an infusion, at a time that may depend on parameters."""
    i, row = integers(s[COMPARTMENT])[record], row_of(s, lane, record)
    run(w, s, lane, record, -1)
    for k in range(s[at.N_PARAMETERS]):
        late = weighed(w, s, lane, LAG, 1 + k) + weighed(w, s, lane, LENGTH, 1 + k)
        nudge(w, s, lane, row, i, k, weighed(w, s, lane, SPEED, 0) * late)


@routine
def run(w: Reals, s: Integers, lane: int, record: int, times: int) -> None:
    """Add the infusion of a dose to what runs into its state, or take it away."""
    m, i, row = s[at.N_PARAMETERS], integers(s[COMPARTMENT])[record], row_of(s, lane, record)
    running = s[at.RUNNING] + i * W + lane
    s[running] += times
    w[s[at.RATES] + i * W + lane] += times * weighed(w, s, lane, SPEED, 0)
    for k in range(m):
        push(w, s, lane, row, i, k, times * weighed(w, s, lane, SPEED, 1 + k))
    if s[running] == 0:
        w[s[at.RATES] + i * W + lane] = 0.0


@routine
def _jump(w: Reals, s: Integers, lane: int, row: int, sign: float) -> None:
    """Add the derivative of the states by time, times the derivative of the lag."""
    slope(w, s, shift(w, s[at.STATE]), shift(w, s[at.SCRATCH]))
    for i in range(s[at.N_STATES]):
        speed = sign * w[s[at.SCRATCH] + i * W + lane]
        for k in range(s[at.N_PARAMETERS]):
            nudge(w, s, lane, row, i, k, speed * weighed(w, s, lane, LAG, 1 + k))


@routine
def slope(w: Reals, s: Integers, y: Reals, out: Reals) -> None:
    """Evaluate the derivative of states and columns at y, in all lanes."""
    call(
        s[at.F_RHS],
        shift(w, s[at.T]),
        y,
        shift(w, s[at.CONSTANTS]),
        shift(w, s[at.RATES]),
        w,
        out,
    )


@routine
def fail(w: Reals, s: Integers, lane: int, why: int) -> None:
    """Let every observation of the lane's subject be not-a-number, and say why."""
    subject, m = s[s[at.SUBJECT] + lane], s[at.N_PARAMETERS]
    if s[at.FAILURES] != 0:
        said = shift(reals(s[at.FAILURES]), 3 * subject)
        said[0] = why
        said[1] = w[s[at.T] + lane]
        said[2] = w[s[at.END] + lane]
    first, stop = integers(s[OBSERVATIONS])[subject], integers(s[OBSERVATIONS])[subject + 1]
    for j in range(first, stop):
        reals(s[at.PREDICTION])[j] = math.nan
    if s[at.SENSITIVE]:
        pairs = integers(s[PAIR_OFFSETS])
        for place in range(pairs[first] * m, pairs[stop] * m):
            reals(s[at.SENSITIVITY])[place] = math.nan
