"""The cells of each role as numbers and labels, with what could not be read."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesnlme.data import table_kinds as kinds
from bayesnlme.data.arrays import Booleans, Floats, Integers
from bayesnlme.data.kind import Kind
from bayesnlme.data.roles import MEANINGS, Roles, cells_of
from bayesnlme.data.table import NUMBER, Cell, Table
from bayesnlme.errors import Finding

LABELS = ("CMT", "DVID", "OCC")
INTEGERS = ("EVID", "MDV", "ADDL", "SS", "CENS")
HUGE = 1e100
TINY = 1e-100

_INFINITE = re.compile(r"[+-]?(?:inf(?:inity)?|1\.#inf)", re.IGNORECASE)
_COMMA = re.compile(r"[+-]?[0-9][0-9.]*(?:,[0-9]+)+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?")
_CENSORED = re.compile(r"[<>].*|.*\b(?:BLQ|BQL|BLOQ|LLOQ|LOQ|LOD|ND|BDL)\b.*", re.IGNORECASE)
_CLOCK = re.compile(r"[0-9]{1,4}[:/.-][0-9]{1,2}([:/.-][0-9]{1,4})?([ T].*)?")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Entry:
    """One column of a role, parsed.

    Attributes
    ----------
    column : str
        Name as in the table, or the role where the table lacks it.
    present : bool
        Whether the table has the column.
    cells : sequence of (str or None)
        As written.
    numbers : float64 array
        NaN where missing or unreadable (and throughout for labels).
    missing : bool array
        True where the cell is missing.
    bad : mapping of str to Kind
        The cells that could not be read, and why.
    """

    column: str
    present: bool
    cells: Sequence[Cell]
    numbers: Floats
    missing: Booleans
    bad: Mapping[str, Kind]

    def or_zero(self) -> Floats:
        """Give the numbers, 0 where there is none."""
        return np.where(np.isnan(self.numbers), 0.0, self.numbers)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Entries:
    """A table by roles: the subject of each row and a parsed column per role."""

    subjects: tuple[str, ...]
    subject: Integers
    columns: Mapping[str, Entry]

    def __len__(self) -> int:
        return len(self.subject)

    def __getitem__(self, role: str) -> Entry:
        return self.columns[role]

    def flag(
        self, kind: Kind, rows: Booleans, role: str, **words: Sequence[object] | NDArray[np.generic]
    ) -> Iterator[Finding]:
        """Make one finding per marked row; each word is given per row."""
        entry = self.columns[role]
        for i in np.flatnonzero(rows).tolist():
            cell = entry.cells[i]
            yield kind.at(
                subject=self.subjects[self.subject[i]],
                row=i + 1,
                column=entry.column,
                cell="missing" if cell is None else repr(cell),
                **{name: values[i] for name, values in words.items()},
            )


def read_entries(table: Table, roles: Roles) -> tuple[Entries, list[Finding]]:
    """Parse the column of every role.

    Parameters
    ----------
    table : Table
        The cells; every record must name its subject.
    roles : Roles
        Which column is which.

    Returns
    -------
    Entries
        With an entry for every role; all missing where the table lacks it.
    list of Finding
        The cells that could not be read.
    """
    ids = [cell or "" for cell in cells_of(table, roles, "ID") or ()]
    subjects = tuple(dict.fromkeys(ids))
    position = {name: i for i, name in enumerate(subjects)}
    subject = np.array([position[name] for name in ids], dtype=np.int64)
    columns = {role: _entry(table, roles, role) for role in MEANINGS}
    entries = Entries(subjects=subjects, subject=subject, columns=columns)
    return entries, [each for role in MEANINGS for each in _unreadable(entries, role)]


def parse_number(cell: str) -> float | Kind:
    """Read a cell as a finite number of a sensible size, or say what is wrong.

    Examples
    --------
    >>> parse_number("1.5e3")
    1500.0
    >>> parse_number("12,5").code
    'E_NUMBER_COMMA'
    """
    if not NUMBER.fullmatch(cell):
        return _not_a_number(cell)
    number = float(cell)
    if abs(number) > HUGE:
        return kinds.NUMBER_HUGE
    if 0 < abs(number) < TINY or (number == 0 and re.match(r"[^eE]*[1-9]", cell)):
        return kinds.NUMBER_TINY
    return number


def label(cell: str) -> str:
    """Write a label in one way: ``"1.0"``, ``"01"`` and ``"1"`` are the same.

    Examples
    --------
    >>> label("2.0"), label("depot")
    ('2', 'depot')
    """
    if NUMBER.fullmatch(cell) and abs(float(cell)) < 2**53 and float(cell).is_integer():
        return str(int(float(cell)))
    return cell


def _not_a_number(cell: str) -> Kind:
    if _INFINITE.fullmatch(cell):
        return kinds.NUMBER_INFINITE
    if _COMMA.fullmatch(cell):
        return kinds.NUMBER_COMMA
    return kinds.NUMBER_CENSORED if _CENSORED.fullmatch(cell) else kinds.NUMBER


def _parse(role: str, cell: str) -> float | Kind:
    number = parse_number(cell)
    if isinstance(number, float):
        return kinds.NOT_INTEGER if role in INTEGERS and not number.is_integer() else number
    if role == "TIME" and _CLOCK.fullmatch(cell):
        return kinds.TIME_CLOCK
    return kinds.NUMBER if number is kinds.NUMBER_CENSORED and role != "DV" else number


def _entry(table: Table, roles: Roles, role: str) -> Entry:
    cells = cells_of(table, roles, role)
    if cells is None:
        return _absent(role, len(table))
    if role in LABELS:
        names = {cell: label(cell) for cell in set(cells) if cell is not None}
        cells = [None if cell is None else names[cell] for cell in cells]
    wordy = role in ("ID", *LABELS)
    read = {} if wordy else {cell: _parse(role, cell) for cell in set(cells) if cell is not None}
    values = {cell: each for cell, each in read.items() if isinstance(each, float)}
    return Entry(
        column=table.header[roles.columns[role]],
        present=True,
        cells=cells,
        numbers=_numbers(cells, values),
        missing=np.array([cell is None for cell in cells], dtype=np.bool_),
        bad={cell: each for cell, each in read.items() if isinstance(each, Kind)},
    )


def _numbers(cells: Sequence[Cell], values: Mapping[str, float]) -> Floats:
    if not values:
        return np.full(len(cells), np.nan)
    return np.array([values.get(cell or "", np.nan) for cell in cells])


def _unreadable(entries: Entries, role: str) -> Iterator[Finding]:
    entry = entries[role]
    for kind in dict.fromkeys(entry.bad.values()):
        rows = [cell is not None and entry.bad.get(cell) is kind for cell in entry.cells]
        yield from entries.flag(kind, np.array(rows), role)


def _absent(role: str, count: int) -> Entry:
    return Entry(
        column=role,
        present=False,
        cells=[None] * count,
        numbers=np.full(count, np.nan),
        missing=np.ones(count, dtype=np.bool_),
        bad={},
    )
