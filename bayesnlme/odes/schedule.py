"""What happens to whom and when: flat arrays for the solver, checked once."""

from enum import IntEnum
from typing import Any, NamedTuple


class Kind(IntEnum):
    """What a record does at its time.

    Attributes
    ----------
    BOLUS
        The amount enters at once.
    INFUSION
        The amount enters at the rate of the record (RATE > 0); bioavailability scales how long
        that takes.
    DURATION
        The amount enters over the duration that the model gives (RATE -2), at the rate
        ``F * amount / duration``.
    RATE
        The amount enters at the rate that the model gives (RATE -1), for the time
        ``F * amount / rate``.
    RESET
        The state becomes the initial state; infusions that run, and doses still held back by
        their lag, are called off.
    ROW
        Another row of parameters comes into force, and nothing else happens.
    """

    BOLUS = 0
    INFUSION = 1
    DURATION = 2
    RATE = 3
    RESET = 4
    ROW = 5


class Schedule(NamedTuple):
    """Records and observations of all subjects, as arrays or as tensors of the same names.

    Records and observations are sorted by subject, time and order. The order of what stands in
    the table at position k is 2k, so that a row of parameters can come into force just before
    it, by an order of 2k - 1, or just after it.

    Attributes
    ----------
    start_time, start_row
        Shape ``(n_subjects,)``: when the initial values hold (the first record of the
        subject), and the row of parameters in force from then on. The rows of a subject stand
        together, ascending in time.
    record_offsets
        Shape ``(n_subjects + 1,)``: the records of subject i are ``[offsets[i],
        offsets[i + 1])``; likewise `observation_offsets`.
    record_time, record_kind, record_compartment, record_amount, record_rate
        Shape ``(n_records,)``: nominal time, `Kind`, index of the state, amount, infusion rate
        (0 where it is not known from the table).
    record_interval, record_steady_state
        Dosing interval, and 0 for a plain dose, 1 for a steady state that replaces the state, 2
        for one that is added to it. A `Kind.INFUSION` with amount 0, interval 0 and steady
        state 1 is a constant infusion that has reached its steady state and ends at the record.
    record_row
        Of a dose, the row of parameters of its record (of the record that asks for it, if it is an
        additional one), which gives its lag, bioavailability, duration and rate; of a `Kind.ROW`,
        the row that comes into force.
    record_order
        Place among the records and observations of the same time.
    observation_time, observation_output, observation_order
        Shape ``(n_observations,)``: time, index of the output, place among records of its time.
    pair_offsets
        Shape ``(n_observations + 1,)``: observation j depends on the rows
        ``pair_row[offsets[j]:offsets[j + 1]]``.
    pair_row
        Shape ``(n_pairs,)``: for each observation the rows of its subject in force up to and
        including then, ascending; the last one is in force at the observation.
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
    pair_offsets: Any
    pair_row: Any


REAL_FIELDS = frozenset(
    {
        "start_time",
        "record_time",
        "record_amount",
        "record_rate",
        "record_interval",
        "observation_time",
    }
)
"""The arrays of a `Schedule` that hold real numbers; the others hold integers."""
