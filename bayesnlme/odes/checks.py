"""Checks of a schedule before anything is read through its indices."""

from bayesnlme.odes import places as at
from bayesnlme.odes.addresses import integers
from bayesnlme.odes.machine import Integers, routine
from bayesnlme.odes.schedule import Kind, Schedule

_PLACE = {name: i for i, name in enumerate(Schedule._fields)}
SUBJECTS, RECORDS, OBSERVATIONS, PAIRS = (
    _PLACE[name] for name in ("start_time", "record_time", "observation_time", "pair_row")
)
"""Places of arrays of a schedule whose lengths count these things."""

_RECORD_OFFSETS, _SEEN_OFFSETS = _PLACE["record_offsets"], _PLACE["observation_offsets"]
_START_ROW, _PAIR_OFFSETS = _PLACE["start_row"], _PLACE["pair_offsets"]
_KIND, _COMPARTMENT = _PLACE["record_kind"], _PLACE["record_compartment"]
_STEADY, _ROW, _OUTPUT = (
    _PLACE[name] for name in ("record_steady_state", "record_row", "observation_output")
)
_LAST_RECORD_FIELD, _LAST_OBSERVATION_FIELD = _PLACE["record_order"], _PLACE["observation_order"]
_KINDS = max(int(kind) for kind in Kind) + 1


@routine
def fits(
    schedule: Integers, lengths: Integers, n_rows: int, n_values: int, problem: Integers
) -> bool:
    """Say whether arrays fit each other, the parameters and the problem.

    Parameters
    ----------
    schedule, lengths : address
        Addresses and lengths of the arrays of a `Schedule`.
    n_rows, n_values : int
        Shape of the parameters.
    problem : address
        What `loop.describe` says of the problem.
    """
    subjects, records = lengths[SUBJECTS], lengths[RECORDS]
    seen, pairs = lengths[OBSERVATIONS], lengths[PAIRS]
    good = n_values == problem[at.N_PARAMETERS] and lengths[_START_ROW] == subjects
    good = good and lengths[_RECORD_OFFSETS] == subjects + 1
    good = good and lengths[_SEEN_OFFSETS] == subjects + 1 and lengths[_PAIR_OFFSETS] == seen + 1
    for field in range(_RECORD_OFFSETS + 1, _LAST_RECORD_FIELD + 1):
        good = good and lengths[field] == records
    for field in range(_SEEN_OFFSETS + 1, _LAST_OBSERVATION_FIELD + 1):
        good = good and lengths[field] == seen
    return (
        good
        and _covers(integers(schedule[_RECORD_OFFSETS]), subjects, records)
        and _covers(integers(schedule[_SEEN_OFFSETS]), subjects, seen)
        and _covers(integers(schedule[_PAIR_OFFSETS]), seen, pairs)
        and _has_pairs(integers(schedule[_PAIR_OFFSETS]), seen)
        and _inside(integers(schedule[_START_ROW]), subjects, n_rows)
        and _inside(integers(schedule[_KIND]), records, _KINDS)
        and _inside(integers(schedule[_STEADY]), records, 3)
        and _inside(integers(schedule[_COMPARTMENT]), records, problem[at.N_STATES])
        and _inside(integers(schedule[_OUTPUT]), seen, problem[at.N_OUTPUTS])
        and _rows_of_subject(schedule, subjects, n_rows)
    )


@routine
def _inside(indices: Integers, count: int, size: int) -> bool:
    outside = 0
    for each in range(count):
        if indices[each] < 0 or indices[each] >= size:
            outside += 1
    return outside == 0


@routine
def _covers(offsets: Integers, count: int, size: int) -> bool:
    backwards = 0
    for i in range(count):
        if offsets[i] > offsets[i + 1]:
            backwards += 1
    return backwards == 0 and offsets[0] == 0 and offsets[count] == size


@routine
def _has_pairs(offsets: Integers, seen: int) -> bool:
    """Say whether every observation depends on some row of parameters."""
    without = 0
    for j in range(seen):
        without += offsets[j] == offsets[j + 1]
    return without == 0


@routine
def _rows_of_subject(schedule: Integers, subjects: int, n_rows: int) -> bool:
    """Say whether records and pairs name rows of their subject that have been in force.

    So every row of a pair is one that a record named, or the first.
    """
    records, seen = integers(schedule[_RECORD_OFFSETS]), integers(schedule[_SEEN_OFFSETS])
    pairs, pair_row = integers(schedule[_PAIR_OFFSETS]), integers(schedule[PAIRS])
    row, strange = integers(schedule[_ROW]), 0
    for i in range(subjects):
        first = integers(schedule[_START_ROW])[i]
        last = first
        for record in range(records[i], records[i + 1]):
            strange += row[record] < first or row[record] >= n_rows
            last = max(last, row[record])
        for pair in range(pairs[seen[i]], pairs[seen[i + 1]]):
            strange += pair_row[pair] < first or pair_row[pair] > last
    return strange == 0
