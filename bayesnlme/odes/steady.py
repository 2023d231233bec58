r"""Steady states, found in one lane between two events of its agenda.

The state just before a dose that has been repeated for ever is a fixed point of one dosing
interval, :math:`y = \Phi(y)`. Newton's method needs :math:`\Phi_y`, the transition matrix over
the interval, which the packed columns carry; it converges at once for linear equations. By the
implicit function theorem the sensitivity of the fixed point is
:math:`(I - \Phi_y)^{-1} \Phi_p`. A lag is taken into account by stopping at the phase of the
interval that holds at the record.

An infusion longer than the interval overlaps itself: at the start of the interval
``floor(D/II)`` earlier ones run besides the new one.
"""

import math

from bayesnlme.odes import places as at
from bayesnlme.odes.addresses import integers, reals, shift
from bayesnlme.odes.agenda import cancel, chain, entries
from bayesnlme.odes.doses import (
    COMPARTMENT,
    GIVEN,
    INTERVAL,
    LAG,
    LENGTH,
    RATE,
    SPEED,
    STEADY_STATE,
    TIME,
    weigh,
    weighed,
)
from bayesnlme.odes.events import (
    GO,
    IMPOSSIBLE_DOSE,
    RESTLESS,
    forget,
    proceed,
    row_of,
    run,
    slope,
)
from bayesnlme.odes.machine import Integers, Reals, routine
from bayesnlme.odes.places import W
from bayesnlme.odes.sense import block, carried, column, start_anew
from bayesnlme.odes.vector import call

_MOST_TURNS = 60
_CLOSE = 0.1
"""A fixed point is found when one more interval changes it by less than this many tolerances."""

_STILL = 1e-6
"""Likewise for a constant infusion, where one more step of Newton's method costs little."""

_LAST_BITS = 1e-14
"""Relative change of a state that rounding may cause."""


@routine
def seek(w: Reals, s: Integers, lane: int) -> int:
    """Begin to look for the steady state that the last event asks for."""
    n = s[at.N_STATES]
    _, _, _, records, _ = entries(w, s, lane)
    record = records[s[s[at.EVENT] + lane] - 1]
    s[s[at.SOUGHT] + lane] = record
    if not weigh(w, s, lane, record):
        return IMPOSSIBLE_DOSE
    kept, guess = shift(w, s[at.KEPT] + lane * 2 * n), shift(w, s[at.GUESS] + lane * 2 * n)
    scratch = shift(w, s[at.SCRATCH])
    call(s[at.F_INITIAL], w, w, shift(w, s[at.CONSTANTS]), w, w, scratch)
    for i in range(n):
        kept[i] = w[s[at.STATE] + i * W + lane]
        kept[n + i] = w[s[at.RATES] + i * W + lane]
        guess[i] = scratch[i * W + lane]
        guess[n + i] = guess[i]
    if integers(s[STEADY_STATE])[record] == 1:
        cancel(w, s, lane, record)
        forget(w, s, lane)
    s[s[at.TURNS] + lane] = 0
    if reals(s[INTERVAL])[record] > 0.0:
        s[s[at.MODE] + lane] = at.SEEK
        return _cycle(w, s, lane, reals(s[INTERVAL])[record])
    return _constant(w, s, lane, record)


@routine
def turn(w: Reals, s: Integers, lane: int) -> int:
    """Go on at the end of a stretch of a cycle."""
    record = s[s[at.SOUGHT] + lane]
    interval = reals(s[INTERVAL])[record]
    _fold(w, s, lane)
    if s[s[at.PHASE] + lane] == 0:
        return _second_half(w, s, lane, record)
    if s[s[at.MODE] + lane] == at.SEEK:
        if s[at.TIMED]:
            _move(w, s, lane, 1.0)
        code = _newton(w, s, lane)
        if code == _AGAIN:
            return _cycle(w, s, lane, interval)
        if code == RESTLESS:
            return RESTLESS
        phase = _phase(w, s, lane, record)
        if phase < interval or s[at.TIMED]:
            s[s[at.MODE] + lane] = at.SETTLE
            return _cycle(w, s, lane, phase)
    if not s[at.TIMED]:
        _move(w, s, lane, -1.0)
    return _settle(w, s, lane, record)


@routine
def _phase(w: Reals, s: Integers, lane: int, record: int) -> float:
    """Return how long before the record the last dose that has entered did so."""
    interval, lag = reals(s[INTERVAL])[record], weighed(w, s, lane, LAG, 0)
    return (math.floor(lag / interval) + 1) * interval - lag


@routine
def _move(w: Reals, s: Integers, lane: int, sign: float) -> None:
    """Add the derivative of the states by time, times that of the lag, to the sensitivities.

    The lag moves all doses of a cycle. If the equations do not know the time, that moves the
    solution, and one such term at the end says so. Otherwise the times where a cycle begins and
    ends move: a term at each of its ends, and one where an infusion stops.
    """
    sense = _cycle_sense(w, s, lane)
    slope(w, s, shift(w, s[at.STATE]), shift(w, s[at.SCRATCH]))
    for i in range(s[at.N_STATES]):
        speed = sign * w[s[at.SCRATCH] + i * W + lane]
        for k in range(s[at.N_PARAMETERS]):
            sense[i * s[at.N_PARAMETERS] + k] += speed * weighed(w, s, lane, LAG, 1 + k)


_AGAIN = -1


@routine
def _cycle(w: Reals, s: Integers, lane: int, length: float) -> int:
    """Start a dosing interval, or its first part of some length, at the guess."""
    n, m, record = s[at.N_STATES], s[at.N_PARAMETERS], s[s[at.SOUGHT] + lane]
    i, guess = integers(s[COMPARTMENT])[record], shift(w, s[at.GUESS] + lane * 2 * n)
    sense, carry = _cycle_sense(w, s, lane), shift(w, s[at.CARRY] + lane * 2 * n * n)
    for j in range(n):
        w[s[at.STATE] + j * W + lane] = guess[j]
        w[s[at.RATES] + j * W + lane] = 0.0
        for k in range(n):
            carry[j * n + k] = 1.0 if j == k else 0.0
        for k in range(m):
            if s[s[at.MODE] + lane] == at.SEEK:
                sense[j * m + k] = 0.0
    rest, overlapping = _overlap(w, s, lane, record)
    end = _end(w, s, lane, record)
    now = end - length
    w[s[at.T] + lane] = now
    w[s[at.END] + lane] = end
    if weighed(w, s, lane, LENGTH, 0) > 0.0:
        _run_in_cycle(w, s, lane, i, overlapping + 1.0)
    else:
        w[s[at.STATE] + i * W + lane] += weighed(w, s, lane, GIVEN, 0)
        _run_in_cycle(w, s, lane, i, 0.0)
        for k in range(m):
            sense[i * m + k] += weighed(w, s, lane, GIVEN, 1 + k)
    if s[at.TIMED]:
        _move(w, s, lane, -1.0)
    s[s[at.PHASE] + lane] = 1
    if weighed(w, s, lane, LENGTH, 0) > 0.0 and rest < length:
        s[s[at.PHASE] + lane] = 0
        if not now + rest > now:
            start_anew(w, s, lane)
            return _second_half(w, s, lane, record)
        w[s[at.END] + lane] = now + rest
    start_anew(w, s, lane)
    s[s[at.LAST] + lane] = s[s[at.OBSERVATION] + lane]
    s[s[at.RESTART] + lane] = 1
    return GO


@routine
def _end(w: Reals, s: Integers, lane: int, record: int) -> float:
    """Return when a cycle ends: as the last dose enters, or at the record."""
    seeking = s[s[at.MODE] + lane] == at.SEEK
    return reals(s[TIME])[record] - (_phase(w, s, lane, record) if seeking else 0.0)


@routine
def _second_half(w: Reals, s: Integers, lane: int, record: int) -> int:
    """End, within the interval, the infusion that began longest ago."""
    n, m, i = s[at.N_STATES], s[at.N_PARAMETERS], integers(s[COMPARTMENT])[record]
    sense = _cycle_sense(w, s, lane)
    for k in range(m):
        late = weighed(w, s, lane, LENGTH, 1 + k)
        if s[at.TIMED]:
            late += weighed(w, s, lane, LAG, 1 + k)
        sense[i * m + k] += weighed(w, s, lane, SPEED, 0) * late
    _, overlapping = _overlap(w, s, lane, record)
    _run_in_cycle(w, s, lane, i, overlapping)
    s[s[at.PHASE] + lane] = 1
    w[s[at.END] + lane] = _end(w, s, lane, record)
    s[s[at.LAST] + lane] = s[s[at.OBSERVATION] + lane]
    s[s[at.RESTART] + lane] = 1
    return GO if n > 0 else RESTLESS


@routine
def _overlap(w: Reals, s: Integers, lane: int, record: int) -> tuple[float, float]:
    """Return when within the interval an infusion ends, and how many earlier ones run then."""
    interval, length = reals(s[INTERVAL])[record], weighed(w, s, lane, LENGTH, 0)
    earlier = math.floor(length / interval)
    return length - earlier * interval, earlier


@routine
def _run_in_cycle(w: Reals, s: Integers, lane: int, i: int, times: float) -> None:
    """Let so many infusions of the dose run, and no other."""
    n, m = s[at.N_STATES], s[at.N_PARAMETERS]
    rates = shift(w, s[at.CYCLE_RATE] + lane * n * m)
    w[s[at.RATES] + i * W + lane] = times * weighed(w, s, lane, SPEED, 0)
    for j in range(n):
        for k in range(m):
            rates[j * m + k] = times * weighed(w, s, lane, SPEED, 1 + k) if j == i else 0.0


@routine
def _cycle_sense(w: Reals, s: Integers, lane: int) -> Reals:
    return shift(w, s[at.CYCLE] + lane * 2 * s[at.N_STATES] * s[at.N_PARAMETERS])


@routine
def _fold(w: Reals, s: Integers, lane: int) -> None:
    """Bring sensitivities and transition matrix of the cycle up to date."""
    n, m = s[at.N_STATES], s[at.N_PARAMETERS]
    carry = shift(w, s[at.CARRY] + lane * 2 * n * n)
    rates = shift(w, s[at.CYCLE_RATE] + lane * n * m)
    carried(w, s, lane, _cycle_sense(w, s, lane), rates, 1)
    for i in range(n):
        for j in range(n):
            total = 0.0
            for k in range(n):
                total += column(w, s, lane, i, m + k) * carry[k * n + j]
            carry[n * n + i * n + j] = total
    for i in range(n * n):
        carry[i] = carry[n * n + i]
    start_anew(w, s, lane)


@routine
def _newton(w: Reals, s: Integers, lane: int) -> int:
    """Improve the guess; say GO when it is the fixed point, with its sensitivity in the cycle's."""
    n, m = s[at.N_STATES], s[at.N_PARAMETERS]
    guess, sense = shift(w, s[at.GUESS] + lane * 2 * n), _cycle_sense(w, s, lane)
    carry = shift(w, s[at.CARRY] + lane * 2 * n * n)
    system, width = shift(w, s[at.SOLVE] + lane * n * (2 * n + m + 1)), n + 1 + m
    farthest = 0.0
    for i in range(n):
        after = w[s[at.STATE] + i * W + lane]
        for j in range(n):
            system[i * width + j] = (1.0 if i == j else 0.0) - carry[i * n + j]
        system[i * width + n] = after - guess[i]
        for k in range(m):
            system[i * width + n + 1 + k] = sense[i * m + k]
        allowed = w[s[at.TOLERANCE] + i * W + lane] + w[at.RTOL] * abs(after)
        farthest = max(farthest, abs(after - guess[i]) / allowed)
    if not farthest < math.inf or not solve(system, n, width):
        return RESTLESS
    plausible = True
    for i in range(n):
        better, after = guess[i] + system[i * width + n], w[s[at.STATE] + i * W + lane]
        plausible = plausible and not (better < 0.0 and guess[i] >= 0.0 and after >= 0.0)
    for i in range(n):
        better = guess[i] + system[i * width + n]
        guess[i] = better if plausible else w[s[at.STATE] + i * W + lane]
    s[s[at.TURNS] + lane] += 1
    if farthest > _CLOSE or not plausible:
        return _AGAIN if s[s[at.TURNS] + lane] < _MOST_TURNS else RESTLESS
    for i in range(n):
        w[s[at.STATE] + i * W + lane] = guess[i]
        for k in range(m):
            sense[i * m + k] = system[i * width + n + 1 + k]
    return GO


@routine
def _constant(w: Reals, s: Integers, lane: int, record: int) -> int:
    """Find the state that an infusion without end holds: its derivatives are zero."""
    n, m = s[at.N_STATES], s[at.N_PARAMETERS]
    i = integers(s[COMPARTMENT])[record]
    guess, sense = shift(w, s[at.GUESS] + lane * 2 * n), _cycle_sense(w, s, lane)
    system, width = shift(w, s[at.SOLVE] + lane * n * (2 * n + m + 1)), n + 1 + m
    for j in range(n):
        w[s[at.RATES] + j * W + lane] = 0.0
    w[s[at.RATES] + i * W + lane] = reals(s[RATE])[record]
    farthest = math.inf
    for _ in range(_MOST_TURNS):
        if not _linearize(w, s, lane):
            return RESTLESS
        if farthest < 1.0:
            break
        farthest = 0.0
        for j in range(n):
            step, allowed = system[j * width + n], w[s[at.TOLERANCE] + j * W + lane]
            allowed = _STILL * (allowed + w[at.RTOL] * abs(guess[j])) + _LAST_BITS * abs(guess[j])
            farthest = max(farthest, abs(step) / allowed)
            plausible = guess[j] + step >= 0.0 or guess[j] < 0.0
            guess[j] = guess[j] + step if plausible else 0.5 * guess[j]
        if not farthest < math.inf:
            return RESTLESS
    if not farthest < 1.0:
        return RESTLESS
    for j in range(n):
        for k in range(m):
            sense[j * m + k] = system[j * width + n + 1 + k]
    return _settle(w, s, lane, record)


@routine
def _linearize(w: Reals, s: Integers, lane: int) -> bool:
    """Solve for the step to where the derivatives vanish, and for its sensitivities."""
    n, m = s[at.N_STATES], s[at.N_PARAMETERS]
    guess = shift(w, s[at.GUESS] + lane * 2 * n)
    system, width = shift(w, s[at.SOLVE] + lane * n * (2 * n + m + 1)), n + 1 + m
    for j in range(n):
        w[s[at.STATE] + j * W + lane] = guess[j]
    start_anew(w, s, lane)
    slope(w, s, shift(w, s[at.STATE]), shift(w, s[at.SCRATCH]))
    for j in range(n):
        for k in range(n):
            system[j * width + k] = _slope_column(w, s, lane, j, m + k)
        system[j * width + n] = -w[s[at.SCRATCH] + j * W + lane]
        for k in range(m):
            system[j * width + n + 1 + k] = -_slope_column(w, s, lane, j, k)
    return solve(system, n, width)


@routine
def _slope_column(w: Reals, s: Integers, lane: int, i: int, k: int) -> float:
    """Return the derivative by time of a packed column, as `slope` left it."""
    q = s[s[at.INDEX] + i * s[at.N_COLUMNS] + k]
    return w[s[at.SCRATCH] + (s[at.N_STATES] + q) * W + lane] if q >= 0 else 0.0


@routine
def _settle(w: Reals, s: Integers, lane: int, record: int) -> int:
    """Take over the steady state, put what follows on the agenda, and walk on."""
    n, m, row = s[at.N_STATES], s[at.N_PARAMETERS], row_of(s, lane, record)
    kept, guess = shift(w, s[at.KEPT] + lane * 2 * n), shift(w, s[at.GUESS] + lane * 2 * n)
    sense, block_ = _cycle_sense(w, s, lane), block(w, s, at.SENSE, lane, row)
    added = integers(s[STEADY_STATE])[record] == 2
    scratch = shift(w, s[at.SCRATCH])
    call(s[at.F_INITIAL], w, w, shift(w, s[at.CONSTANTS]), w, w, scratch)
    for i in range(n):
        w[s[at.RATES] + i * W + lane] = kept[n + i] if added else 0.0
        if added:
            w[s[at.STATE] + i * W + lane] += kept[i] - guess[n + i]
    for place in range(n * m):
        block_[place] += sense[place]
    if added:
        for q in range(s[at.N_PLAIN]):
            i, k = s[s[at.PAIRS] + 2 * q], s[s[at.PAIRS] + 2 * q + 1]
            block_[i * m + k] -= scratch[(n + q) * W + lane]
    w[s[at.T] + lane] = reals(s[TIME])[record]
    s[s[at.MODE] + lane] = at.WALK
    start_anew(w, s, lane)
    if reals(s[INTERVAL])[record] > 0.0:
        _follow(w, s, lane, record)
    return proceed(w, s, lane)


@routine
def _follow(w: Reals, s: Integers, lane: int, record: int) -> None:
    """Put the doses that have not entered yet, and the ends of infusions, on the agenda."""
    interval = reals(s[INTERVAL])[record]
    lag, length = weighed(w, s, lane, LAG, 0), weighed(w, s, lane, LENGTH, 0)
    pending = int(math.floor(lag / interval)) + 1  # noqa: RUF046  real in compiled code
    chain(w, s, lane, record, at.START, lag, pending - 1)
    if length > 0.0:
        oldest = int(math.ceil((lag + length) / interval)) - 1  # noqa: RUF046  likewise
        run(w, s, lane, record, oldest + 1 - pending)
        chain(w, s, lane, record, at.FINISH, lag + length, oldest)


@routine
def solve(system: Reals, n: int, width: int) -> bool:
    """Solve n linear equations in place by elimination with row exchange; False if singular.

    The rows hold the matrix, then the right-hand sides, which become the solutions.
    """
    for j in range(n):
        best = j
        for i in range(j + 1, n):
            if abs(system[i * width + j]) > abs(system[best * width + j]):
                best = i
        pivot = system[best * width + j]
        if not abs(pivot) > 0.0 or not abs(pivot) < math.inf:
            return False
        for k in range(width):
            held = system[best * width + k]
            system[best * width + k] = system[j * width + k]
            system[j * width + k] = held / pivot
        for i in range(n):
            factor = system[i * width + j]
            if i != j and factor != 0.0:
                for k in range(width):
                    system[i * width + k] -= factor * system[j * width + k]
    return True
