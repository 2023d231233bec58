"""The agenda of one subject: its records and infusion stops in the order they happen."""

from typing import Any, NamedTuple

from bayesnlme.odes.compiling import njit
from bayesnlme.odes.memory import shift
from bayesnlme.odes.schedule import Kind, Schedule

_INFUSION = int(Kind.INFUSION)


class Agenda(NamedTuple):
    """Addresses of the events of one subject, used again for the next.

    Attributes
    ----------
    time, order, record, stops
        For every event: when; position in the table (-1 for an infusion stop); which record;
        0 where an infusion starts, 1 where it stops, -1 for all else.
    began
        For every record: how many resets had happened when its infusion began, -1 before it
        began; a reset cancels the infusions that run.
    running
        For every state: infusions that run into it.
    resets
        Resets so far.
    """

    time: Any
    order: Any
    record: Any
    stops: Any
    began: Any
    running: Any
    resets: Any


def agenda_size(n_records: int, n_states: int) -> int:
    """Return how many integers the agenda of any subject takes at most."""
    return 7 * n_records + n_states + 1


@njit
def make_agenda(times: Any, first: Any, n_records: int, n_states: int) -> Agenda:
    """Lay the agenda out in `2 n_records` real numbers and `agenda_size` integers."""
    return Agenda(
        times,
        first,
        shift(first, 2 * n_records),
        shift(first, 4 * n_records),
        shift(first, 6 * n_records),
        shift(first, 7 * n_records),
        shift(first, 7 * n_records + n_states),
    )


@njit
def stop_time(schedule: Schedule, record: int) -> float:
    """Return when the infusion of a record stops; its own time for all other records.

    An infusion too short to be told from a bolus stops when it starts, and acts as one.
    """
    if schedule.record_kind[record] != _INFUSION:
        return schedule.record_time[record]
    duration = schedule.record_amount[record] / schedule.record_rate[record]
    return schedule.record_time[record] + duration


@njit
def plan(schedule: Schedule, subject: int, n_states: int, agenda: Agenda) -> int:
    """Fill the agenda of a subject and return the number of its events.

    Events are inserted among the sorted ones, behind those of the same time and order.
    """
    count = 0
    for i in range(n_states + 1):
        agenda.running[i] = 0
    for record in range(schedule.record_offsets[subject], schedule.record_offsets[subject + 1]):
        agenda.began[record] = -1
        begin, end = schedule.record_time[record], stop_time(schedule, record)
        first, last = (0, 1) if end > begin else (-1, -1)
        for stops in range(first, last + 1):
            time = end if stops == 1 else begin
            order = -1 if stops == 1 else schedule.record_order[record]
            place = count
            while place > 0 and (
                agenda.time[place - 1] > time
                or (agenda.time[place - 1] == time and agenda.order[place - 1] > order)
            ):
                agenda.time[place] = agenda.time[place - 1]
                agenda.order[place] = agenda.order[place - 1]
                agenda.record[place] = agenda.record[place - 1]
                agenda.stops[place] = agenda.stops[place - 1]
                place -= 1
            agenda.time[place] = time
            agenda.order[place] = order
            agenda.record[place] = record
            agenda.stops[place] = stops
            count += 1
    return count
