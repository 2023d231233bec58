"""Rules that the records of a table keep: identity, time, kind of record."""

from collections.abc import Iterator, Sequence

import numpy as np

from bayesnlme.data import record_kinds as kinds
from bayesnlme.data.arrays import Booleans, Integers
from bayesnlme.data.entries import Entries
from bayesnlme.data.kind import Kind
from bayesnlme.data.table import NUMBER, Cell, Table
from bayesnlme.errors import Finding

EVIDS = (0, 1, 2, 3, 4)


def evids(entries: Entries) -> Integers:
    """Say what each record is: its EVID, 0 without the column, -1 where unknown."""
    entry = entries["EVID"]
    if not entry.present:
        return np.zeros(len(entries), dtype=np.int64)
    return np.where(np.isin(entry.numbers, EVIDS), entry.numbers, -1).astype(np.int64)


def meant_as_scored(entries: Entries) -> Booleans:
    """Mark the records meant to enter the likelihood, their value readable or not.

    EVID 0 and MDV 0; without an MDV column, EVID 0 and a value or a mark of
    censoring.
    """
    observed = evids(entries) == 0
    mdv = entries["MDV"]
    if mdv.present:
        return observed & (mdv.numbers == 0)
    return observed & (~entries["DV"].missing | np.isin(entries["CENS"].numbers, (-1, 1)))


def first_only(
    entries: Entries, kind: Kind, rows: Booleans, role: str, **words: object
) -> Iterator[Finding]:
    """Make one finding for the first marked row, which may say how many there are."""
    marked = np.flatnonzero(rows)
    only = np.zeros(len(entries), dtype=np.bool_)
    only[marked[:1]] = True
    every = {name: [word] * len(entries) for name, word in words.items()}
    counts = np.full(len(entries), marked.size)
    yield from entries.flag(kind, only, role, count=counts, **every)


def check_records(entries: Entries, table: Table) -> Iterator[Finding]:
    """Check subjects, times, EVID, MDV and duplicates.

    Parameters
    ----------
    entries : Entries
        The table by roles.
    table : Table
        All its cells, to find duplicates.

    Yields
    ------
    Finding
        Errors, warnings and notes.
    """
    yield from _subjects(entries)
    yield from _times(entries)
    yield from _evid(entries)
    yield from _mdv(entries)
    yield from _values(entries)
    yield from _duplicates(entries, table)


def _subjects(entries: Entries) -> Iterator[Finding]:
    subject = entries.subject
    rows = np.arange(len(entries))
    first = np.full(len(entries.subjects), len(entries))
    np.minimum.at(first, subject, rows)
    is_first = first[subject] == rows
    decimal = np.array([_is_decimal(name) for name in entries.subjects], dtype=np.bool_)
    yield from entries.flag(kinds.ID_FLOAT, is_first & decimal[subject], "ID")
    starts = np.concatenate([[True], np.diff(subject) != 0])
    again = starts & ~is_first
    yield from entries.flag(kinds.ID_BLOCKS, again, "ID", other=_last_before(subject))


def _is_decimal(name: str) -> bool:
    return bool(NUMBER.fullmatch(name)) and not name.lstrip("+-").isdigit()


def _last_before(subject: Integers) -> list[int]:
    """Give, for each row, the number of the subject's last row above it (0 if none)."""
    last: dict[int, int] = {}
    above = []
    for row, who in enumerate(subject.tolist(), start=1):
        above.append(last.get(who, 0))
        last[who] = row
    return above


def _times(entries: Entries) -> Iterator[Finding]:
    time = entries["TIME"]
    yield from entries.flag(kinds.TIME_MISSING, time.missing, "TIME")
    same = np.concatenate([[False], np.diff(entries.subject) == 0])
    before = np.concatenate([[np.nan], time.numbers[:-1]])
    back = same & (time.numbers < before)
    yield from entries.flag(kinds.TIME_BACK, back, "TIME", other=_above(time.cells))


def _above(cells: Sequence[object]) -> list[object]:
    return [None, *cells[:-1]]


def _evid(entries: Entries) -> Iterator[Finding]:
    evid = entries["EVID"]
    if not evid.present:
        return
    yield from entries.flag(kinds.EVID_MISSING, evid.missing, "EVID")
    known = np.isnan(evid.numbers) | np.isin(evid.numbers, EVIDS)
    yield from entries.flag(kinds.EVID_UNKNOWN, ~known, "EVID")


def _mdv(entries: Entries) -> Iterator[Finding]:
    mdv, evid = entries["MDV"], evids(entries)
    if not mdv.present:
        yield kinds.MDV_INFERRED.at(count=int(meant_as_scored(entries).sum()))
        return
    known = np.isnan(mdv.numbers) | np.isin(mdv.numbers, (0, 1))
    yield from entries.flag(kinds.MDV_UNKNOWN, ~known, "MDV")
    yield from entries.flag(kinds.MDV_MISSING, mdv.missing & (evid == 0), "MDV")
    both = (evid > 0) & (mdv.numbers == 0)
    yield from entries.flag(kinds.DOSE_WITH_VALUE, both, "MDV", evid=evid)


def _values(entries: Entries) -> Iterator[Finding]:
    dv, mdv, evid = entries["DV"], entries["MDV"], evids(entries)
    there, nonzero = ~np.isnan(dv.numbers), np.nan_to_num(dv.numbers) != 0
    yield from entries.flag(kinds.VALUE_NOT_SCORED, nonzero & (mdv.numbers == 1), "DV")
    zeros = (evid == 0) & there & ~nonzero & (mdv.numbers == 1)
    yield from first_only(entries, kinds.ZERO_NOT_SCORED, zeros, "DV")
    if not mdv.present:
        both = (evid > 0) & nonzero
        yield from entries.flag(kinds.DOSE_WITH_VALUE, both, "DV", evid=evid)
    unscored = (evid == 0) & ~meant_as_scored(entries) & dv.missing & ~mdv.missing
    if not mdv.present:
        unscored = (evid == 0) & ~meant_as_scored(entries)
    yield from first_only(entries, kinds.NOT_SCORED, unscored, "DV")


def _duplicates(entries: Entries, table: Table) -> Iterator[Finding]:
    ids = table.header.index(entries["ID"].column)
    columns: list[Sequence[object]] = [
        column if i == ids else _comparable(column) for i, column in enumerate(table.columns)
    ]
    first: dict[tuple[object, ...], int] = {}
    other = [
        first.setdefault(row, number)
        for number, row in enumerate(zip(*columns, strict=True), start=1)
    ]
    repeated = np.array(other) != np.arange(1, len(entries) + 1)
    yield from entries.flag(kinds.DUPLICATE, repeated, "ID", other=other)


def _comparable(cells: Sequence[Cell]) -> list[object]:
    """Put cells in a form in which ``"1"`` and ``"1.0"`` are equal."""
    same = {cell: float(cell) if cell and NUMBER.fullmatch(cell) else cell for cell in set(cells)}
    return [same[cell] for cell in cells]
