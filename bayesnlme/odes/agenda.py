"""The agenda of one lane: the events of its subject in the order they happen.

A dose begins when its lag has passed, and an infusion ends, so each record has two entries at most.
A dose at steady state has one, which puts in its place what follows from it: the doses that its
lag still holds back and the ends of the infusions that run, each a chain of equal intervals.
"""

from bayesnlme.odes import places as at
from bayesnlme.odes.addresses import integers, reals, shift
from bayesnlme.odes.doses import (
    INTERVAL,
    KIND,
    LAG,
    LENGTH,
    ORDER,
    STEADY_STATE,
    TIME,
    weigh,
    weighed,
)
from bayesnlme.odes.machine import Integers, Reals, routine
from bayesnlme.odes.places import W
from bayesnlme.odes.schedule import Kind

RECORDS = at.ARRAY["record_offsets"]
_RESET, _ROW = int(Kind.RESET), int(Kind.ROW)
_BEFORE_ALL = -(2**62)
"""The end of an infusion comes before everything else at its time."""


@routine
def plan(w: Reals, s: Integers, lane: int) -> bool:
    """Write the agenda of a lane's subject; say whether all of its doses make sense."""
    subject = s[s[at.SUBJECT] + lane]
    s[s[at.EVENTS] + lane] = 0
    s[s[at.EVENT] + lane] = 0
    offsets = integers(s[RECORDS])
    for record in range(offsets[subject], offsets[subject + 1]):
        kind, time = integers(s[KIND])[record], reals(s[TIME])[record]
        if kind == _RESET:
            insert(w, s, lane, record, at.RESET, time, 0)
        elif kind == _ROW:
            insert(w, s, lane, record, at.SWITCH, time, 0)
        elif integers(s[STEADY_STATE])[record] != 0:
            insert(w, s, lane, record, at.STEADY, time, 0)
        else:
            if not weigh(w, s, lane, record):
                return False
            begin = time + weighed(w, s, lane, LAG, 0)
            end = begin + weighed(w, s, lane, LENGTH, 0)
            insert(w, s, lane, record, at.START, begin, 0)
            if end > begin:
                insert(w, s, lane, record, at.FINISH, end, 0)
    return True


@routine
def insert(  # noqa: PLR0913, PLR0917  places, no objects
    w: Reals, s: Integers, lane: int, record: int, what: int, time: float, repeat: int
) -> None:
    """Put an event behind those of the same time and order."""
    order = _BEFORE_ALL if what == at.FINISH else integers(s[ORDER])[record]
    times, whats, orders, records, repeats = entries(w, s, lane)
    if s[s[at.EVENTS] + lane] == s[at.N_EVENTS]:
        _forget_past(w, s, lane)
    place = s[s[at.EVENTS] + lane]
    while place > s[s[at.EVENT] + lane] and (
        times[place - 1] > time or (times[place - 1] == time and orders[place - 1] > order)
    ):
        times[place], whats[place] = times[place - 1], whats[place - 1]
        orders[place], records[place] = orders[place - 1], records[place - 1]
        repeats[place] = repeats[place - 1]
        place -= 1
    times[place], whats[place], orders[place] = time, what, order
    records[place], repeats[place] = record, repeat
    s[s[at.EVENTS] + lane] += 1


@routine
def _forget_past(w: Reals, s: Integers, lane: int) -> None:
    """Make room: let the agenda begin with what is still to come."""
    times, whats, orders, records, repeats = entries(w, s, lane)
    gone = s[s[at.EVENT] + lane]
    for place in range(gone, s[s[at.EVENTS] + lane]):
        times[place - gone], whats[place - gone] = times[place], whats[place]
        orders[place - gone], records[place - gone] = orders[place], records[place]
        repeats[place - gone] = repeats[place]
    s[s[at.EVENT] + lane] = 0
    s[s[at.EVENTS] + lane] -= gone


@routine
def entries(
    w: Reals, s: Integers, lane: int
) -> tuple[Reals, Integers, Integers, Integers, Integers]:
    """Return the addresses of the times, kinds, orders, records and repeats of a lane's events."""
    first = lane * s[at.N_EVENTS]
    return (
        shift(w, s[at.TIME] + first),
        shift(s, s[at.WHAT] + first),
        shift(s, s[at.ORDER] + first),
        shift(s, s[at.RECORD] + first),
        shift(s, s[at.REPEAT] + first),
    )


@routine
def cancel(w: Reals, s: Integers, lane: int, record: int) -> None:
    """Call off what earlier records have left to come, and the infusions that run."""
    _, whats, _, records, _ = entries(w, s, lane)
    for event in range(s[s[at.EVENT] + lane], s[s[at.EVENTS] + lane]):
        if records[event] < record:
            whats[event] = at.CANCELLED
    for i in range(s[at.N_STATES]):
        s[s[at.RUNNING] + i * W + lane] = 0
    for i in range(s[at.N]):
        w[s[at.RATES] + i * W + lane] = 0.0
    for i in range(s[at.N_ROWS] * s[at.N_STATES] * s[at.N_PARAMETERS]):
        w[s[at.SENSE_RATE] + lane * s[at.N_ROWS] * s[at.N_STATES] * s[at.N_PARAMETERS] + i] = 0.0


@routine
def chain(  # noqa: PLR0913, PLR0917  places, no objects
    w: Reals, s: Integers, lane: int, record: int, what: int, delay: float, repeat: int
) -> None:
    """Enter the event of a record that is still `repeat` intervals ahead of the last one."""
    time = reals(s[TIME])[record] + delay - repeat * reals(s[INTERVAL])[record]
    insert(w, s, lane, record, what, time, repeat)
