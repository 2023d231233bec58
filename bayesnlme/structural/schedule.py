"""From a table to the flat arrays that the solver walks through."""

from collections.abc import Collection

import numpy as np

from bayesnlme.data import Dataset
from bayesnlme.data import dose_kinds as kinds
from bayesnlme.data.arrays import Booleans, Integers
from bayesnlme.data.events import compartment_index, count_within, expand_doses, offsets
from bayesnlme.data.records import Doses
from bayesnlme.data.rows import Rows, dose_rows, parameter_rows
from bayesnlme.errors import DataError, Finding, did_you_mean
from bayesnlme.odes.problem import Problem
from bayesnlme.odes.schedule import Kind, Schedule

RATE_BY_MODEL, DURATION_BY_MODEL = -1, -2
"""What RATE says where the model gives the rate or the duration."""


def make_schedule(
    problem: Problem,
    data: Dataset,
    rows: Rows | None = None,
    *,
    zero_order: Collection[str] = (),
) -> Schedule:
    """Lay out what happens to whom and when.

    Parameters
    ----------
    problem : Problem
        Its states are what CMT counts, its outputs what the table's outputs are matched with.
    data : Dataset
        The table.
    rows : Rows, optional
        Rows of parameters; one for each subject if not given.
    zero_order : collection of str
        States that a dose enters over the duration of the model unless RATE says otherwise.

    Returns
    -------
    Schedule
        The initial values hold at the first record of every subject.

    Raises
    ------
    DataError
        With every dose that goes into a compartment that is no state, or leaves to the model what
        the model does not give, or with every output that the equations do not predict.
    """
    _require_modelled(problem, data, zero_order)
    rows = parameter_rows(data, ()) if rows is None else rows
    records = _records(problem, data, rows, zero_order)
    seen, n_subjects = data.observations, data.n_subjects
    first_row = offsets(rows.subject, n_subjects)[:-1]
    begins = offsets(data.records.subject, n_subjects)[:-1]
    reached = rows.observation - first_row[seen.subject] + 1
    return Schedule(
        start_time=data.records.time[begins],
        start_row=first_row,
        record_offsets=offsets(records.pop("subject"), n_subjects),
        **{f"record_{name}": array for name, array in records.items()},
        observation_offsets=offsets(seen.subject, n_subjects),
        observation_time=seen.time,
        observation_output=_output_index(problem, data),
        observation_order=2 * seen.order,
        pair_offsets=np.concatenate([[0], np.cumsum(reached)]),
        pair_row=np.repeat(first_row[seen.subject], reached) + count_within(reached),
    )


def _records(
    problem: Problem, data: Dataset, rows: Rows, zero_order: Collection[str]
) -> dict[str, np.ndarray]:
    """Return resets, doses and changes of row, by subject, time and order."""
    given, changes = _given(problem, data, rows, zero_order), _changes(rows)
    joined = {
        name: np.concatenate([given[name], changes.get(name, np.zeros_like(changes["row"]))])
        for name in given
    }
    ranked = np.lexsort((joined["order"], joined["time"], joined["subject"]))
    return {name: array[ranked] for name, array in joined.items()}


def _given(
    problem: Problem, data: Dataset, rows: Rows, zero_order: Collection[str]
) -> dict[str, np.ndarray]:
    """Return one entry per dose, and one before it where it resets the system."""
    doses = expand_doses(data)
    bare_reset = doses.reset & (doses.amount == 0) & (doses.rate == 0) & (doses.steady_state == 0)
    source = np.repeat(np.arange(len(doses)), doses.reset.astype(np.int64) + ~bare_reset)
    reset = doses.reset[source] & (np.diff(source, prepend=-1) > 0)
    into = compartment_index(doses, problem.states, data)
    kind = _kinds(problem, doses, into, zero_order)
    return {
        "subject": doses.subject[source],
        "time": doses.time[source],
        "kind": np.where(reset, Kind.RESET, kind[source]).astype(np.int64),
        "compartment": into[source],
        "amount": np.where(reset, 0.0, doses.amount[source]),
        "rate": np.where(reset, 0.0, np.maximum(doses.rate, 0.0)[source]),
        "interval": np.where(reset, 0.0, doses.interval[source]),
        "steady_state": np.where(reset, 0, doses.steady_state[source]),
        "row": dose_rows(rows, doses)[source],
        "order": 2 * doses.order[source],
    }


def _changes(rows: Rows) -> dict[str, np.ndarray]:
    """Return one entry for each row that follows another of its subject.

    Its order lies between the last record of the row before and its own first record.
    """
    later = 1 + np.flatnonzero(np.diff(rows.subject) == 0)
    return {
        "subject": rows.subject[later],
        "time": rows.start[later],
        "kind": np.full(later.size, Kind.ROW, dtype=np.int64),
        "row": later,
        "order": 2 * rows.record[later] - 1,
    }


def _kinds(problem: Problem, doses: Doses, into: Integers, zero_order: Collection[str]) -> Integers:
    """Return the `Kind` of each dose."""
    spread = np.isin(problem.states, list(zero_order))[into] & (doses.amount > 0)
    choices = [
        (doses.rate > 0, Kind.INFUSION),
        (doses.rate == RATE_BY_MODEL, Kind.RATE),
        ((doses.rate == DURATION_BY_MODEL) | spread, Kind.DURATION),
    ]
    return np.select([when for when, _ in choices], [kind for _, kind in choices], Kind.BOLUS)


def _require_modelled(problem: Problem, data: Dataset, zero_order: Collection[str]) -> None:
    """Refuse doses that leave to the model what it does not give."""
    doses = data.doses
    into = compartment_index(doses, problem.states, data)
    kind = _kinds(problem, doses, into, zero_order)
    rateless = (kind == Kind.RATE) & _unsaid(problem.rate)[into]
    endless = (kind == Kind.DURATION) & _unsaid(problem.duration)[into]
    findings = [
        (kinds.RATE_UNMODELLED if rateless[i] else kinds.DURATION_UNMODELLED).at(
            subject=data.subjects[doses.subject[i]],
            row=int(doses.row[i]),
            column="RATE",
            compartment=problem.states[into[i]],
        )
        for i in np.flatnonzero(rateless | endless)
    ]
    if findings:
        raise DataError(findings, data.source)


def _unsaid(entries: Collection[object]) -> Booleans:
    return np.array([each is None for each in entries], dtype=np.bool_)


def _output_index(problem: Problem, data: Dataset) -> Integers:
    """Return the position of each observation's output among those of the equations."""
    missing = [label for label in data.outputs if label not in problem.outputs]
    if missing and len(data.outputs) == len(problem.outputs) == 1:
        return np.zeros(len(data.observations), dtype=np.int64)
    if missing:
        raise DataError([_unknown_output(label, problem) for label in missing], data.source)
    known = np.array([problem.outputs.index(label) for label in data.outputs], dtype=np.int64)
    return known[data.observations.output]


def _unknown_output(label: str, problem: Problem) -> Finding:
    return Finding(
        code="E_OUTPUT_UNKNOWN",
        message=f"The table has the output {label!r}, which the equations do not predict.",
        remedy=did_you_mean(label, problem.outputs) + " Rename it with read_data(outputs=...).",
        column="DVID",
    )
