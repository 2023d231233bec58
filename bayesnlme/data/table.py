"""A table of text cells, and the frames it can be made from."""

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import pandas as pd

from bayesnlme.data import table_kinds as kinds
from bayesnlme.errors import DataError, Finding

type Cell = str | None

NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Table:
    """Cells as text, column by column; ``None`` where a cell is missing.

    Attributes
    ----------
    header : tuple of str
        Names of the columns.
    columns : tuple of sequences of (str or None)
        The cells, one sequence per column, all of one length.
    source : str
        The file, or a word for the frame.
    findings : tuple of Finding
        Notes on how it was read.
    """

    header: tuple[str, ...]
    columns: tuple[Sequence[Cell], ...]
    source: str
    findings: tuple[Finding, ...] = ()

    def __len__(self) -> int:
        return len(self.columns[0])


def make_table(
    header: Sequence[str],
    columns: Sequence[Sequence[Cell]],
    missing: Collection[str],
    *,
    source: str,
    findings: Sequence[Finding] = (),
) -> Table:
    """Trim the cells, blank the missing ones, and check header and rows.

    Raises
    ------
    DataError
        If the header, or a row as a whole, cannot be what it should be.
    """
    names = tuple(name.strip() for name in header)
    problems = _header_problems(names)
    if not problems and not (columns and len(columns[0])):
        problems = [kinds.EMPTY.at(what="a header but no rows")]
    if problems:
        raise DataError(problems, source)
    cleaned = tuple(_clean(column, missing) for column in columns)
    problems = [*_blank_rows(cleaned), *_repeated_headers(names, cleaned)]
    if problems:
        raise DataError(problems, source)
    return Table(header=names, columns=cleaned, source=source, findings=tuple(findings))


def read_frame(frame: Any, missing: Collection[str]) -> Table:
    """Take the cells of a pandas, polars or other frame that narwhals knows.

    Parameters
    ----------
    frame : frame
        An eager data frame; its index is not read.
    missing : collection of str
        Text that stands for a missing cell. Null and NaN are always missing.

    Returns
    -------
    Table
        With every cell as text, numbers written so that nothing is lost.
    """
    try:
        narrow = nw.from_native(frame, eager_only=True)
    except TypeError as error:
        raise DataError([kinds.SOURCE.at(kind=type(frame).__name__)]) from error
    except nw.exceptions.DuplicateError as error:
        names = tuple(str(name) for name in frame.columns)
        raise DataError(_header_problems(names), "frame") from error
    source = f"{narrow.implementation.value} frame"
    names = tuple(str(name) for name in narrow.columns)
    columns = [[_as_text(cell) for cell in column.to_list()] for column in narrow.iter_columns()]
    return make_table(names, columns, missing, source=source)


def _as_text(cell: Any) -> Cell:
    if cell is None or cell is pd.NA or (isinstance(cell, float) and math.isnan(cell)):
        return None
    if isinstance(cell, bool):
        return str(int(cell))
    return repr(float(cell)) if isinstance(cell, float) else str(cell)


def _clean(column: Sequence[Cell], missing: Collection[str]) -> list[Cell]:
    cleaned = {cell: _trimmed(cell, missing) for cell in set(column)}
    return [cleaned[cell] for cell in column]


def _trimmed(cell: Cell, missing: Collection[str]) -> Cell:
    if cell is None:
        return None
    text = cell.strip()
    return None if text in missing else text


def _header_problems(names: tuple[str, ...]) -> list[Finding]:
    if not names or all(not name for name in names):
        return [kinds.EMPTY.at(what="no header")]
    if all(NUMBER.fullmatch(name) for name in names):
        return [kinds.HEADER_ABSENT.at(cell=", ".join(names[:4]))]
    unnamed = [kinds.COLUMN_UNNAMED.at(number=i + 1) for i, name in enumerate(names) if not name]
    return unnamed + _repeated_names(names)


def _repeated_names(names: tuple[str, ...]) -> list[Finding]:
    repeated = [name for name in dict.fromkeys(names) if name and names.count(name) > 1]
    return [kinds.COLUMN_TWICE.at(column=name, numbers=_places(names, name)) for name in repeated]


def _places(names: tuple[str, ...], name: str) -> str:
    return " and ".join(str(i + 1) for i, each in enumerate(names) if each == name)


def _blank_rows(columns: tuple[list[Cell], ...]) -> list[Finding]:
    filled = [False] * len(columns[0])
    for column in columns:
        filled = [was or cell is not None for was, cell in zip(filled, column, strict=True)]
    return [kinds.ROW_BLANK.at(row=i + 1) for i, is_filled in enumerate(filled) if not is_filled]


def _repeated_headers(names: tuple[str, ...], columns: tuple[list[Cell], ...]) -> list[Finding]:
    """Find rows that repeat the header, and a line of units below it."""
    folded = [name.casefold() for name in names]
    rows = [i for i, cell in enumerate(columns[0]) if _repeats(cell, folded[0])]
    repeats = [i for i in rows if all(map(_repeats, _row(columns, i), folded))]
    if 0 not in repeats and _is_wordy(columns):
        repeats.insert(0, 0)
    return [kinds.HEADER_TWICE.at(row=i + 1, cell=_sample(columns, i)) for i in repeats]


def _row(columns: tuple[list[Cell], ...], i: int) -> list[Cell]:
    return [column[i] for column in columns]


def _repeats(cell: Cell, name: str) -> bool:
    return cell is not None and cell.casefold() == name


def _is_wordy(columns: tuple[list[Cell], ...]) -> bool:
    """Say whether the first row holds only words where the next holds numbers."""
    if len(columns[0]) < 2:
        return False
    first, second = _row(columns, 0), _row(columns, 1)
    numbers = [i for i, cell in enumerate(second) if cell and NUMBER.fullmatch(cell)]
    return (
        len(numbers) > 1
        and not any(NUMBER.fullmatch(cell) for cell in first if cell)
        and (sum(first[i] is not None for i in numbers) > 1)
    )


def _sample(columns: tuple[list[Cell], ...], i: int) -> str:
    return ", ".join(repr(cell) for cell in _row(columns, i)[:3])
