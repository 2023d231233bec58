"""What happens to whom and when: flat arrays for the solver, checked once."""

from enum import IntEnum
from typing import Any, NamedTuple


class Kind(IntEnum):
    """What a record does to the state at its time."""

    BOLUS = 0
    INFUSION = 1
    RESET = 2
    ROW = 3


class Schedule(NamedTuple):
    """Records and observations of all subjects, as arrays or as tensors of the same names.

    Records and observations are sorted by subject, time and order. Everything the event
    semantics will need has its place, so that the interface of the solver does not change
    when more kinds of records are understood.

    Attributes
    ----------
    start_time, start_row
        Shape ``(n_subjects,)``: when the initial values hold (the first record of the
        subject), and the row of parameters in force from then on.
    record_offsets
        Shape ``(n_subjects + 1,)``: the records of subject i are ``[offsets[i],
        offsets[i + 1])``; likewise `observation_offsets`.
    record_time, record_kind, record_compartment, record_amount, record_rate
        Shape ``(n_records,)``: time, `Kind`, index of the state, amount, infusion rate.
    record_interval, record_steady_state
        Dosing interval and steady-state flag (none is understood yet: all zero).
    record_row, record_order
        Row of parameters in force from the record on; position in the table.
    observation_time, observation_output, observation_order
        Shape ``(n_observations,)``: time, index of the output, position in the table.
    pair_observation, pair_row
        Shape ``(n_pairs,)``: which observation depends on which row of parameters, sorted by
        observation. One pair for each observation as long as no subject changes its row.
    """

    start_time: Any
    start_row: Any
    record_offsets: Any
    record_time: Any
    record_kind: Any
    record_compartment: Any
    record_amount: Any
    record_rate: Any
    record_interval: Any
    record_steady_state: Any
    record_row: Any
    record_order: Any
    observation_offsets: Any
    observation_time: Any
    observation_output: Any
    observation_order: Any
    pair_observation: Any
    pair_row: Any
