"""Rows of times to events next to a model: when the risk starts, and what follows."""

from collections.abc import Collection, Iterator

import numpy as np

from bayesnlme._types import Booleans, Integers
from bayesnlme.data import Dataset
from bayesnlme.errors import Finding, Severity
from bayesnlme.observation.events import NONE, TimeToEvent


def rows_before(data: Dataset, numbers: Collection[int]) -> Integers:
    """Return for every observation the one of the same subject and output before it.

    Parameters
    ----------
    data : Dataset
        The table.
    numbers : collection of int
        Places of the outputs to look at.

    Returns
    -------
    int64 array, shape (observation,)
        -1 where there is none, or the output is another.
    """
    seen = data.observations
    before = np.full(len(seen), -1)
    for number in numbers:
        mine = np.flatnonzero(seen.output == number)
        same = np.diff(seen.subject[mine]) == 0
        before[mine[1:][same]] = mine[:-1][same]
    return before


def risk_starts(data: Dataset, outputs: Collection[str]) -> Booleans:
    """Mark the observations that only say when the risk of an event starts.

    Parameters
    ----------
    data : Dataset
        The table.
    outputs : collection of str
        Those of its outputs that are times to events.
    """
    numbers = [data.outputs.index(output) for output in outputs]
    return np.isin(data.observations.output, numbers) & (rows_before(data, numbers) < 0)


def event_findings(
    outcome: TimeToEvent, data: Dataset, numbered: tuple[int, str]
) -> Iterator[Finding]:
    """Yield what is wrong with the rows of one output, its number and name given."""
    number, name = numbered
    seen = data.observations
    mine, before = np.flatnonzero(seen.output == number), rows_before(data, [number])
    first = mine[before[mine] < 0]
    later = mine[before[mine] >= 0]
    alone = np.setdiff1d(first, before[later])
    yield from _starts(data, first, alone, name)
    for i in later[seen.time[later] == seen.time[before[later]]]:
        yield _finding(
            data,
            int(i),
            code="E_EVENT_NO_TIME",
            message=f"No time has passed since the row of {name!r} before, so that nothing can "
            "have happened in between.",
            remedy="Take one of the two rows out, or correct TIME.",
            column="TIME",
        )
    for i in later[seen.value[before[later]] != NONE] if not outcome.repeated else ():
        yield _finding(
            data,
            int(i),
            code="E_EVENT_AFTER",
            message=f"{name!r} has happened at time {seen.time[before[i]]:g}, and can happen once "
            "alone, but this row follows.",
            remedy="Take it out, or use bn.time_to_event(repeated=True).",
        )
    yield from _resets(data, first, name)
    yield from _warnings(data, mine, first, name)


def _starts(data: Dataset, first: Integers, alone: Integers, name: str) -> Iterator[Finding]:
    seen = data.observations
    for i in first[seen.value[first] != NONE]:
        yield _finding(
            data,
            int(i),
            code="E_RISK_START",
            message=f"The first row of {name!r} says when the risk starts and has DV 0; here it "
            f"is {seen.value[i]:g}.",
            remedy="Put a row with DV 0 before it, at the time when the subject came under "
            "observation.",
        )
    for i in alone[seen.value[alone] == NONE]:
        yield _finding(
            data,
            int(i),
            code="E_RISK_ALONE",
            message=f"This is the only row of {name!r}: it says when the risk starts, but nothing "
            "of what followed.",
            remedy="Put a row with DV 0 before it, at the time when the subject came under "
            "observation, or one after it with what happened.",
        )


def _resets(data: Dataset, first: Integers, name: str) -> Iterator[Finding]:
    doses, watched = data.doses, np.unique(data.observations.subject[first])
    empties = np.isin(doses.subject, watched) & (doses.reset | (doses.steady_state > 0))
    for i in np.flatnonzero(empties):
        what = "resets the system" if doses.reset[i] else "asks for a steady state"
        yield Finding(
            code="E_EVENT_RESET",
            message=f"The record {what}, which would take the hazard of {name!r} that was "
            "accumulated with it.",
            remedy="Write the doses that lead to the state out, without EVID 3 or 4 and SS.",
            subject=data.subjects[doses.subject[i]],
            row=int(doses.row[i]),
            column="EVID" if doses.reset[i] else "SS",
        )


def _warnings(data: Dataset, mine: Integers, first: Integers, name: str) -> Iterator[Finding]:
    seen, records = data.observations, data.records
    if (seen.value[mine] == NONE).all():
        yield Finding(
            code="W_EVENT_NEVER",
            message=f"{name!r} never happens in the table.",
            remedy="Read on if that is so; else write DV 1 (or 2) where it happened.",
            severity=Severity.WARNING,
            column="DV",
        )
    begun = records.time[np.searchsorted(records.subject, seen.subject[first])]
    late = first[seen.time[first] > begun]
    if late.size:
        yield Finding(
            code="W_RISK_LATE",
            message=f"The risk of {name!r} starts after the first record of {late.size} subjects, "
            f"this one first, at time {seen.time[late[0]]:g}: what would have happened before had "
            "kept them out of the table (delayed entry).",
            remedy="Read on if that is so. Else put a row with DV 0 where the risk starts.",
            severity=Severity.WARNING,
            subject=data.subjects[seen.subject[late[0]]],
            row=int(seen.row[late[0]]),
            column="TIME",
        )


def _finding(
    data: Dataset, i: int, *, code: str, message: str, remedy: str, column: str = "DV"
) -> Finding:
    seen = data.observations
    return Finding(
        code=code,
        message=message,
        remedy=remedy,
        subject=data.subjects[seen.subject[i]],
        row=int(seen.row[i]),
        column=column,
    )
