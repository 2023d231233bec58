"""Observed values next to a model: what is impossible, and what a model leaves out."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from bayesnlme._types import Booleans
from bayesnlme.data import Dataset
from bayesnlme.data.records import Records
from bayesnlme.errors import Finding, Severity
from bayesnlme.model.event_rows import event_findings
from bayesnlme.observation.events import TimeToEvent
from bayesnlme.observation.kinds import Observed

_DROPPING = ("M1", "M2")


def value_findings(
    outcome: Observed, data: Dataset, numbered: tuple[int, str]
) -> Iterator[Finding]:
    """Yield what is wrong with the values of one output, its number and name given."""
    number, name = numbered
    mine = data.observations.output == number
    yield from _impossible(outcome, data, mine, name)
    if outcome.scale != "continuous":
        yield from _not_continuous(outcome, data, mine, name)
        if isinstance(outcome, TimeToEvent):
            yield from event_findings(outcome, data, numbered)
        return
    if outcome.blq in _DROPPING:
        yield from _dropped(outcome.blq, data, mine, name)
    if outcome.blq == "M2":
        yield from _truncated(data, mine, name)
    if outcome.blq == "M4" or outcome.positive:
        yield from _no_room(data, mine & _kept(outcome, data.observations.below), name)


def without_dropped(outcomes: Mapping[str, Observed], data: Dataset) -> Dataset:
    """Leave out what M1 and M2 drop, and give every other observation its limit, if known.

    A warning among the findings says how many observations were dropped.
    """
    for number, name in enumerate(data.outputs):
        mine = data.observations.output == number
        if outcomes[name].blq in _DROPPING:
            data = replace(data, records=_with_limits(data.records, data, mine))
    below = data.observations.below
    names = np.array(data.outputs, dtype=object)[data.observations.output]
    dropping = [name for name in data.outputs if outcomes[name].blq in _DROPPING]
    dropped = below & np.isin(names, dropping)
    if not dropped.any():
        return data
    found = [
        each
        for number, name in enumerate(data.outputs)
        if name in dropping
        for each in _dropped(outcomes[name].blq, data, data.observations.output == number, name)
    ]
    return replace(data, findings=(*data.findings, *found)).subset(
        where=lambda row: row["DVID"] not in dropping or row["CENS"] != 1
    )


def _impossible(outcome: Observed, data: Dataset, mine: Booleans, name: str) -> Iterator[Finding]:
    observations = data.observations
    for i in np.flatnonzero(mine & ~observations.censored):
        refused = outcome.refusal(float(observations.value[i]))
        if refused is not None:
            reason, remedy = refused
            yield _finding(
                data,
                int(i),
                code="E_DV_NOT_POSITIVE" if outcome.scale == "continuous" else "E_DV_IMPOSSIBLE",
                message=f"DV is {observations.value[i]:g}, but {name!r} {reason}.",
                remedy=remedy,
            )


def _not_continuous(
    outcome: Observed, data: Dataset, mine: Booleans, name: str
) -> Iterator[Finding]:
    remedy = "Write the value itself with CENS 0, or use a residual error."
    if outcome.scale == "event":
        remedy = "Write CENS 0, or leave CENS out: DV 0 at a subject's last row says the same."
    for i in np.flatnonzero(mine & data.observations.censored):
        yield _finding(
            data,
            int(i),
            code="E_CENSORING_UNSUPPORTED",
            message=f"The observation is censored, but {name!r} is no continuous outcome.",
            remedy=remedy,
            column="CENS",
        )


def _dropped(method: str, data: Dataset, mine: Booleans, name: str) -> Iterator[Finding]:
    count = int((mine & data.observations.below).sum())
    if count and count == int(mine.sum()):
        yield Finding(
            code="E_BLQ_ALL_DROPPED",
            message=f"Every observation of {name!r} is below the limit of quantification, and "
            f"{method} drops them.",
            remedy="Use blq='M3', which learns from them.",
            column="CENS",
        )
    elif count:
        yield Finding(
            code="W_BLQ_DROPPED",
            message=f"{count} of {int(mine.sum())} observations of {name!r} are below the limit of "
            f"quantification and dropped ({method}).",
            remedy="blq='M3' (the default) learns from them and is less biased.",
            severity=Severity.WARNING,
            column="CENS",
        )


def _truncated(data: Dataset, mine: Booleans, name: str) -> Iterator[Finding]:
    """M2 needs the limit that each value it keeps has exceeded."""
    observations = data.observations
    limit = _limits(data, mine)
    kept = mine & ~observations.below
    for i in np.flatnonzero(kept & np.isnan(limit)):
        yield _finding(
            data,
            int(i),
            code="E_LIMIT_MISSING",
            message=f"M2 needs the limit of quantification of every observation of {name!r}, "
            "which this one lacks.",
            remedy="Add a LLOQ column, or use blq='M3'.",
            column="LLOQ",
        )
    with np.errstate(invalid="ignore"):
        low = kept & ~observations.censored & (observations.value <= limit)
    for i in np.flatnonzero(low):
        yield _finding(
            data,
            int(i),
            code="E_DV_BELOW_LIMIT",
            message=f"DV is {observations.value[i]:g}, but M2 takes {name!r} to exceed its limit "
            f"of quantification {limit[i]:g}.",
            remedy="Write CENS 1 if it is below the limit, or use blq='M3'.",
        )


def _no_room(data: Dataset, mine: Booleans, name: str) -> Iterator[Finding]:
    """Find censored values of a positive quantity that lie below a limit of 0 or less."""
    observations = data.observations
    with np.errstate(invalid="ignore"):
        impossible = mine & observations.censored & (observations.upper <= 0)
    for i in np.flatnonzero(impossible):
        yield _finding(
            data,
            int(i),
            code="E_LIMIT_NOT_POSITIVE",
            message=f"The observation is below {observations.upper[i]:g}, but {name!r} is "
            "positive by its error model.",
            remedy="Correct the limit, or use an additive or combined error with blq='M3'.",
            column="CENS",
        )


def _kept(outcome: Observed, below: Booleans) -> Booleans:
    return ~below if outcome.blq in _DROPPING else np.ones_like(below)


def _limits(data: Dataset, mine: Booleans) -> np.ndarray:
    """Return the limit of each observation: its own, or the only one that the output has."""
    limit, upper = data.observations.limit, data.observations.upper
    known = np.unique(limit[mine & ~np.isnan(limit)])
    if known.size != 1:
        return limit
    # what lies between two limits must not become what lies below one
    return np.where(np.isnan(limit) & mine & (upper != known[0]), known[0], limit)


def _with_limits(records: Records, data: Dataset, mine: Booleans) -> Records:
    limit = records.limit.copy()
    limit[data.observations.order] = _limits(data, mine)
    return replace(records, limit=limit)


def _finding(
    data: Dataset, i: int, *, code: str, message: str, remedy: str, column: str = "DV"
) -> Finding:
    observations = data.observations
    return Finding(
        code=code,
        message=message,
        remedy=remedy,
        subject=data.subjects[observations.subject[i]],
        row=int(observations.row[i]),
        column=column,
    )
