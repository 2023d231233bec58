"""A published table of parameters, read row by row; `placing` gives each row its place."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import pandas as pd

from bayesnlme.data.options import MISSING
from bayesnlme.data.table import NUMBER, Table, read_frame
from bayesnlme.data.text import read_text
from bayesnlme.errors import DataError, Finding, did_you_mean
from bayesnlme.population.spread import FORMS

KINDS = ("typical", "iiv", "iov", "shape", "scale", "covariate", "residual")
FIXED = ("fixed", "fix")
_COLUMNS = ("parameter", "kind", "value", "rse_percent", "se", "unit", "as", "source")
_REQUIRED = ("parameter", "kind", "value")


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRow:
    """One published estimate.

    Attributes
    ----------
    number : int
        Row of the table, counted from 1 below the header.
    parameter, kind : str
        What it is an estimate of; see :meth:`bayesnlme.model.model.Model.with_priors`.
    value : float
        The estimate.
    error : float or None
        Its standard error in the unit of the value, inflated; None where it was not estimated.
    unit : str or None
        Its unit, empty where it has none, None where the table says nothing of units.
    form : str
        What a standard deviation was published as: ``"cv_percent"``, ``"variance"`` or ``"sd"``;
        empty where that is not said.
    source : str
        Where it was published.
    """

    number: int
    parameter: str
    kind: str
    value: float
    error: float | None
    unit: str | None
    form: str
    source: str


def read_published(
    table: object, *, source: str, inflate: float
) -> tuple[str, tuple[PublishedRow, ...]]:
    """Read a published table; see :meth:`bayesnlme.model.model.Model.with_priors`.

    Returns
    -------
    tuple of (str, tuple of PublishedRow)
        The file or a word for the frame, and its rows.

    Raises
    ------
    DataError
        With every cell that cannot be what it should be.
    """
    cells = _cells(table)
    problems = list(_column_problems(cells))
    if problems:
        raise DataError(problems, cells.source)
    known = source or (cells.source if isinstance(table, str | PathLike) else "a published table")
    rows, reader = [], _Reader(cells, known, inflate)
    for number in range(1, len(cells) + 1):
        found = list(reader.problems(number))
        problems += found
        if not found:
            rows.append(reader.row(number))
    if problems:
        raise DataError(problems, cells.source)
    return cells.source, tuple(rows)


def problem(row: int, column: str, message: str, remedy: str) -> Finding:
    """Say what is wrong with one row."""
    return Finding(code="E_PUBLISHED_ROW", message=message, remedy=remedy, row=row, column=column)


def _cells(table: object) -> Table:
    if isinstance(table, str | PathLike):
        return read_text(Path(table), MISSING, "utf-8")
    if isinstance(table, Mapping) or (isinstance(table, Sequence) and not isinstance(table, bytes)):
        try:
            table = pd.DataFrame(table)
        except (ValueError, TypeError) as error:
            finding = Finding(
                code="E_PUBLISHED_TABLE",
                message=f"This makes no table: {error}.",
                remedy="Give a file, a data frame, a list of rows or a mapping of columns.",
            )
            raise DataError([finding], "published table") from error
    return read_frame(table, MISSING)


def _column_problems(cells: Table) -> Iterator[Finding]:
    for name in cells.header:
        if name.casefold() not in _COLUMNS:
            yield Finding(
                code="E_PUBLISHED_COLUMN",
                message=f"Column {name!r} means nothing here.",
                remedy=f"{did_you_mean(name, _COLUMNS)} Rename it or leave it out.",
                column=name,
            )
    names = [name.casefold() for name in cells.header]
    for name in _REQUIRED:
        if name not in names:
            yield Finding(
                code="E_PUBLISHED_COLUMN",
                message=f"The table has no column {name!r}.",
                remedy=f"It needs {', '.join(_REQUIRED)}, and rse_percent or se.",
                column=name,
            )
    if not {"rse_percent", "se"} & set(names):
        yield Finding(
            code="E_PUBLISHED_COLUMN",
            message="The table gives no standard errors, hence no priors.",
            remedy="Add a column rse_percent (20 is 20 %) or se; 'fixed' stands for a value that "
            "was not estimated.",
        )


@dataclass(frozen=True, slots=True)
class _Reader:
    """The rows of a table, judged and then taken."""

    cells: Table
    source: str
    inflate: float

    def problems(self, number: int) -> Iterator[Finding]:
        """Yield what is wrong with a row."""
        kind, parameter = self._word(number, "kind").casefold(), self._word(number, "parameter")
        if not parameter:
            yield problem(number, "parameter", "No parameter is named.", "Fill the cell.")
        if kind not in KINDS:
            yield problem(
                number, "kind", f"The kind {kind!r} is unknown.", did_you_mean(kind, KINDS)
            )
        form = self._form(number)
        if form not in ("", *FORMS):
            yield problem(number, "as", f"{form!r} is no form.", did_you_mean(form, FORMS))
        value = self._number(number, "value")
        if value is None:
            seen = self._word(number, "value")
            yield problem(number, "value", f"The value {seen!r} is no number.", "Write a number.")
            return
        yield from self._error_problems(number, value)

    def row(self, number: int) -> PublishedRow:
        """Take a row without problems."""
        value, fixed = float(self._word(number, "value")), self._fixed(number)
        factor = f", standard error times {self.inflate:g}"
        return PublishedRow(
            number=number,
            parameter=self._word(number, "parameter"),
            kind=self._word(number, "kind").casefold(),
            value=value,
            error=None if fixed else self.inflate * self._error(number, value),
            unit=self._word(number, "unit") if self._has("unit") else None,
            form=self._form(number),
            source=(self._word(number, "source") or self.source)
            + ("" if fixed or self.inflate == 1 else factor),
        )

    def _error_problems(self, number: int, value: float) -> Iterator[Finding]:
        given = [name for name in ("rse_percent", "se") if self._word(number, name)]
        if len(given) != 1:
            yield problem(
                number,
                "rse_percent",
                "Both rse_percent and se are given." if given else "No standard error is given.",
                "Keep one."
                if given
                else "Give rse_percent or se, write 'fixed' there if it was "
                "not estimated, or leave the row out and write the number in the model.",
            )
            return
        error, seen = self._number(number, given[0]), self._word(number, given[0])
        if self._fixed(number):
            return
        if error is None or error <= 0:
            yield problem(
                number,
                given[0],
                f"The standard error {seen!r} is no positive number.",
                "Give it in percent of the value as rse_percent, in its unit as se, or write "
                "'fixed' for a value that was not estimated.",
            )
        elif value == 0 and given[0] == "rse_percent":
            yield problem(
                number, given[0], "A percentage of 0 is no standard error.", "Give se instead."
            )

    def _error(self, number: int, value: float) -> float:
        percent = self._word(number, "rse_percent")
        return float(percent) / 100 * abs(value) if percent else float(self._word(number, "se"))

    def _fixed(self, number: int) -> bool:
        return any(self._word(number, each).casefold() in FIXED for each in ("rse_percent", "se"))

    def _form(self, number: int) -> str:
        return self._word(number, "as").casefold()

    def _has(self, name: str) -> bool:
        return name in self._columns

    def _word(self, number: int, name: str) -> str:
        if not self._has(name):
            return ""
        return self.cells.columns[self._columns.index(name)][number - 1] or ""

    def _number(self, number: int, name: str) -> float | None:
        word = self._word(number, name)
        return float(word) if NUMBER.fullmatch(word) and abs(float(word)) < 1e300 else None

    @property
    def _columns(self) -> list[str]:
        return [name.casefold() for name in self.cells.header]
