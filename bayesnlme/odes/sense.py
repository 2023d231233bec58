r"""Sensitivities across events, in one lane.

Two ways to carry them. As long as a subject keeps its row of parameters, the packed columns are
dy/dp themselves. Otherwise (TRANSITION) the columns start anew after each event: P by the
parameters of the row in force, :math:`\Psi` by the state after the event, Z by the rates of
infusions; and the sensitivities by every row q of the subject, kept aside, are brought up to date
at the next event by

.. math:: S_q \leftarrow \Psi S_q + Z R'_q + [q \text{ in force}] \, P

with :math:`R'_q` the derivatives of the rates that run. So a subject with many rows costs
no more columns to integrate than one with two.
"""

from bayesnlme.odes import places as at
from bayesnlme.odes.addresses import integers, shift
from bayesnlme.odes.machine import Integers, Reals, routine
from bayesnlme.odes.places import W

PAIR_OFFSETS, PAIR_ROW = at.ARRAY["pair_offsets"], at.ARRAY["pair_row"]
START_ROW = at.ARRAY["start_row"]


@routine
def block(w: Reals, s: Integers, field: int, lane: int, row: int) -> Reals:
    """Return the address of a row's n x m numbers, of the sensitivities or of the rates."""
    size = s[at.N_STATES] * s[at.N_PARAMETERS]
    return shift(w, s[field] + (lane * s[at.N_ROWS] + row) * size)


@routine
def nudge(w: Reals, s: Integers, lane: int, row: int, i: int, k: int, by: float) -> None:  # noqa: PLR0913, PLR0917
    """Add to the derivative of a state by a parameter of a row."""
    if s[at.TRANSITION]:
        block(w, s, at.SENSE, lane, row)[i * s[at.N_PARAMETERS] + k] += by
    else:
        q = s[s[at.INDEX] + i * s[at.N_COLUMNS] + k]
        if q >= 0:
            w[s[at.STATE] + (s[at.N_STATES] + q) * W + lane] += by


@routine
def push(w: Reals, s: Integers, lane: int, row: int, i: int, k: int, by: float) -> None:  # noqa: PLR0913, PLR0917
    """Add to the derivative of the infusion rate into a state by a parameter of a row."""
    if s[at.TRANSITION]:
        block(w, s, at.SENSE_RATE, lane, row)[i * s[at.N_PARAMETERS] + k] += by
    else:
        q = s[s[at.INDEX] + i * s[at.N_COLUMNS] + k]
        if q >= 0:
            w[s[at.RATES] + (s[at.N_STATES] + q) * W + lane] += by


@routine
def column(w: Reals, s: Integers, lane: int, i: int, k: int) -> float:
    """Return a number of the packed columns at the state."""
    q = s[s[at.INDEX] + i * s[at.N_COLUMNS] + k]
    return w[s[at.STATE] + (s[at.N_STATES] + q) * W + lane] if q >= 0 else 0.0


@routine
def start_anew(w: Reals, s: Integers, lane: int) -> None:
    """Let P and Z be zero and the transition matrix one."""
    n, m = s[at.N_STATES], s[at.N_PARAMETERS]
    for q in range(n, s[at.N]):
        w[s[at.STATE] + q * W + lane] = 0.0
    for j in range(n):
        q = s[s[at.INDEX] + j * s[at.N_COLUMNS] + m + j]
        w[s[at.STATE] + (n + q) * W + lane] = 1.0


@routine
def bring_forward(w: Reals, s: Integers, lane: int) -> None:
    """Bring the sensitivities by all rows up to date, and start the columns anew."""
    if not s[at.TRANSITION]:
        return
    current = s[s[at.ROW] + lane]
    for row in range(current + 1):
        carried(
            w,
            s,
            lane,
            block(w, s, at.SENSE, lane, row),
            block(w, s, at.SENSE_RATE, lane, row),
            row == current,
        )
    start_anew(w, s, lane)


@routine
def carried(w: Reals, s: Integers, lane: int, sense: Reals, rate: Reals, own: int) -> None:
    """Replace n x m sensitivities by what the columns have made of them."""
    n, m, rated = s[at.N_STATES], s[at.N_PARAMETERS], shift(s, s[at.RATED])
    result = shift(w, s[at.SOLVE] + lane * _width(s))
    if not s[at.SENSITIVE]:
        return
    for k in range(m):
        for i in range(n):
            total = column(w, s, lane, i, k) if own else 0.0
            for j in range(n):
                total += column(w, s, lane, i, m + j) * sense[j * m + k]
            for z in range(s[at.N_RATES]):
                total += column(w, s, lane, i, m + n + z) * rate[rated[z] * m + k]
            result[i] = total
        for i in range(n):
            sense[i * m + k] = result[i]


@routine
def derivatives(  # noqa: PLR0913, PLR0917  places, no objects
    w: Reals, s: Integers, lane: int, place: int, slopes: Reals, observation: int, out: Reals
) -> None:
    """Write the derivatives of an observation by the parameters of every row it depends on.

    Parameters
    ----------
    place : int
        Where the states and packed columns stand that it is read from.
    slopes : address
        Derivatives of the output by the states, then by the parameters, lane-wide.
    observation : int
        Which one.
    out : address
        The results of all pairs, ``(n_pairs, n_parameters)``.
    """
    y = shift(w, place + s[at.N_STATES] * W + lane)
    first = integers(s[PAIR_OFFSETS])[observation]
    if not s[at.TRANSITION]:
        for k in range(s[at.N_PARAMETERS]):
            out[first * s[at.N_PARAMETERS] + k] = _by_own(s, lane, y, slopes, k)
        return
    by_state = shift(w, s[at.SOLVE] + lane * _width(s))
    for j in range(s[at.N_STATES] + s[at.N_RATES]):
        by_state[j] = _along(s, lane, y, slopes, s[at.N_PARAMETERS] + j)
    start = integers(s[START_ROW])[s[s[at.SUBJECT] + lane]]
    for pair in range(first, integers(s[PAIR_OFFSETS])[observation + 1]):
        row = integers(s[PAIR_ROW])[pair] - start
        for k in range(s[at.N_PARAMETERS]):
            own = _by_own(s, lane, y, slopes, k) if row == s[s[at.ROW] + lane] else 0.0
            past = _by_past(w, s, lane, row, k)
            out[pair * s[at.N_PARAMETERS] + k] = own + past


@routine
def _width(s: Integers) -> int:
    """Return the size of a lane's memory for a small linear system."""
    return s[at.N_STATES] * (2 * s[at.N_STATES] + s[at.N_PARAMETERS] + 1)


@routine
def _along(s: Integers, lane: int, y: Reals, slopes: Reals, column_: int) -> float:
    """Return the derivative of an output along a packed column."""
    total = 0.0
    for i in range(s[at.N_STATES]):
        q = s[s[at.INDEX] + i * s[at.N_COLUMNS] + column_]
        if q >= 0:
            total += slopes[i * W + lane] * y[q * W]
    return total


@routine
def _by_own(s: Integers, lane: int, y: Reals, slopes: Reals, k: int) -> float:
    """Return the derivative by a parameter in force, since the columns were started."""
    return slopes[(s[at.N_STATES] + k) * W + lane] + _along(s, lane, y, slopes, k)


@routine
def _by_past(w: Reals, s: Integers, lane: int, row: int, k: int) -> float:
    """Return the derivative by a parameter of a row through what was before the last event."""
    n, m, rated = s[at.N_STATES], s[at.N_PARAMETERS], shift(s, s[at.RATED])
    sense, rate = block(w, s, at.SENSE, lane, row), block(w, s, at.SENSE_RATE, lane, row)
    by_state, total = shift(w, s[at.SOLVE] + lane * _width(s)), 0.0
    for j in range(n):
        total += by_state[j] * sense[j * m + k]
    for z in range(s[at.N_RATES]):
        total += by_state[n + z] * rate[rated[z] * m + k]
    return total
