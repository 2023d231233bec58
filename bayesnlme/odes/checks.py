"""Checks of a schedule inside the kernel, before anything is read through its indices."""

from typing import Any

import numpy as np

from bayesnlme.odes.compiling import njit
from bayesnlme.odes.schedule import Kind, Schedule

_FIELDS = Schedule._fields
SUBJECTS, RECORDS, OBSERVATIONS, PAIRS = map(
    _FIELDS.index, ("start_time", "record_time", "observation_time", "pair_row")
)
"""Positions of arrays of a schedule whose lengths count these things."""

_ROW = int(Kind.ROW)


def schedule_check(n_states: int, n_parameters: int, n_outputs: int) -> Any:
    """Return ``(shape, schedule, counts)``, which raises where a schedule cannot be used.

    It compares the shape of the parameters, the addresses of a `Schedule` and the lengths of
    its arrays, and refuses what points outside and what the solver does not understand yet.
    """
    anchor = np.array([_anchor(name) for name in _FIELDS])
    extra = np.array([int(name.endswith("offsets")) for name in _FIELDS])

    @njit
    def check(shape: Any, s: Schedule, counts: Any) -> None:
        good = shape[1] == n_parameters and counts[PAIRS] == counts[OBSERVATIONS]
        for field in range(len(counts)):
            good = good and counts[field] == counts[anchor[field]] + extra[field]
        good = (
            good
            and _covers(s.record_offsets, counts[SUBJECTS], counts[RECORDS])
            and _covers(s.observation_offsets, counts[SUBJECTS], counts[OBSERVATIONS])
            and _inside(s.start_row, counts[SUBJECTS], shape[0])
            and _inside(s.record_compartment, counts[RECORDS], n_states)
            and _inside(s.observation_output, counts[OBSERVATIONS], n_outputs)
        )
        if not good:
            raise ValueError("The arrays of the schedule do not fit the parameters or each other.")
        if not _understood(s, counts[SUBJECTS], counts[RECORDS]):
            raise ValueError("The schedule holds records that the solver does not understand yet.")

    return check


def _anchor(name: str) -> int:
    """Return the array whose length an array shares, but for one more in offsets."""
    if name.endswith("offsets") or name.startswith("start"):
        return SUBJECTS
    if name.startswith("record"):
        return RECORDS
    return OBSERVATIONS if name.startswith("observation") else PAIRS


@njit
def _inside(indices: Any, count: int, size: int) -> bool:
    outside = 0
    for each in range(count):
        if indices[each] < 0 or indices[each] >= size:
            outside += 1
    return outside == 0


@njit
def _covers(offsets: Any, n_subjects: int, count: int) -> bool:
    backwards = 0
    for i in range(n_subjects):
        if offsets[i] > offsets[i + 1]:
            backwards += 1
    return backwards == 0 and offsets[0] == 0 and offsets[n_subjects] == count


@njit
def _understood(s: Schedule, n_subjects: int, n_records: int) -> bool:
    """Say whether all records are plain and every subject keeps its row of parameters."""
    strange = 0
    for i in range(n_subjects):
        for record in range(s.record_offsets[i], s.record_offsets[i + 1]):
            if s.record_row[record] != s.start_row[i]:
                strange += 1
        for j in range(s.observation_offsets[i], s.observation_offsets[i + 1]):
            if s.pair_row[j] != s.start_row[i] or s.pair_observation[j] != j:
                strange += 1
    return (
        strange == 0
        and _inside(s.record_kind, n_records, _ROW)
        and _inside(s.record_steady_state, n_records, 1)
    )
