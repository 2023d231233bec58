"""From checked entries to the records and covariates of a data set."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from bayesnlme.data import table_kinds as kinds
from bayesnlme.data.arrays import Booleans, Floats, Integers, Values
from bayesnlme.data.checks import evids, meant_as_scored
from bayesnlme.data.entries import Entries, Entry, parse_number
from bayesnlme.data.observation_checks import output_labels, sorted_labels
from bayesnlme.data.records import Records
from bayesnlme.data.roles import Roles
from bayesnlme.data.table import Cell, Table
from bayesnlme.errors import Finding


def make_records(entries: Entries, roles: Roles) -> Records:
    """Fill in the defaults of a checked table.

    Parameters
    ----------
    entries : Entries
        The table by roles, without errors.
    roles : Roles
        Gives the compartment of every dose where that is a constant.

    Returns
    -------
    Records
        One entry per row.
    """
    scored = meant_as_scored(entries)
    cens, far = entries["CENS"].numbers, entries["LIMIT"].numbers
    below, above = scored & (cens == 1), scored & (cens == -1)
    value, lloq = entries["DV"].numbers, entries["LLOQ"].numbers
    limit = np.where(below & np.isnan(lloq), value, lloq)
    evid = evids(entries)
    return Records(
        subject=entries.subject,
        time=entries["TIME"].numbers,
        evid=evid,
        amount=entries["AMT"].or_zero(),
        rate=entries["RATE"].or_zero(),
        compartment=_compartments(entries["CMT"], evid, roles.compartment),
        interval=entries["II"].or_zero(),
        additional=entries["ADDL"].or_zero().astype(np.int64),
        steady_state=entries["SS"].or_zero().astype(np.int64),
        output=_outputs(entries),
        value=np.where(scored, value, np.nan),
        scored=scored,
        censored=below | above,
        limit=limit,
        lower=_bound(above, value, below, np.where(np.isnan(far), -np.inf, far)),
        upper=_bound(below, limit, above, np.where(np.isnan(far), np.inf, far)),
        occasion=_index(entries["OCC"], occasion_labels(entries)),
        row=np.arange(1, len(entries) + 1),
    )


def _bound(near: Booleans, close: Floats, away: Booleans, far: Floats) -> Floats:
    """Return the limit that was passed where it is this bound, else the far end, else NaN."""
    return np.where(near, close, np.where(away, far, np.nan))


def occasion_labels(entries: Entries) -> tuple[str, ...]:
    """List the occasions: numbers in order, then words; ``("1",)`` without OCC."""
    occ = entries["OCC"]
    return sorted_labels({cell for cell in occ.cells if cell}) if occ.present else ("1",)


def covariate_values(table: Table, roles: Roles) -> dict[str, Values]:
    """Read each covariate as numbers if all its cells are, else as text."""
    columns = {table.header[i]: table.columns[i] for i in roles.covariates}
    return {name: _values(cells) for name, cells in columns.items()}


def check_covariates(
    table: Table, values: Mapping[str, Values], subjects: Sequence[str]
) -> Iterator[Finding]:
    """Find covariates with impossible numbers, or with text among numbers.

    Parameters
    ----------
    table : Table
        The cells.
    values : mapping of str to array
        As from `covariate_values`.
    subjects : sequence of str
        Subject of each row.

    Yields
    ------
    Finding
        Errors and warnings.
    """
    for name, read in values.items():
        cells = table.columns[table.header.index(name)]
        parsed = {cell: parse_number(cell) for cell in set(cells) if cell is not None}
        size = {kinds.NUMBER_HUGE, kinds.NUMBER_TINY, kinds.NUMBER_INFINITE}
        bad = {cell: each for cell, each in parsed.items() if each in size}
        for i, cell in enumerate(cells) if bad else ():
            if cell in bad:
                yield bad[cell].at(subject=subjects[i], row=i + 1, column=name, cell=repr(cell))
        words = {cell for cell, each in parsed.items() if not isinstance(each, float)} - set(bad)
        if read.dtype == object and 0 < len(words) < len(parsed) - len(bad):
            i = next(i for i, cell in enumerate(cells) if cell in words)
            yield kinds.COVARIATE_MIXED.at(
                subject=subjects[i], row=i + 1, column=name, cell=repr(cells[i])
            )


def _values(cells: Sequence[Cell]) -> Values:
    parsed = {cell: parse_number(cell) for cell in set(cells) if cell is not None}
    numbers = {cell: each for cell, each in parsed.items() if isinstance(each, float)}
    if len(numbers) == len(parsed):
        return np.array([numbers.get(cell or "", np.nan) for cell in cells], dtype=np.float64)
    return np.array(cells, dtype=object)


def _compartments(cmt: Entry, evid: Integers, constant: str | None) -> tuple[str, ...]:
    if constant is not None:
        return tuple(constant if each in (1, 4) else "" for each in evid.tolist())
    return tuple(cell or "" for cell in cmt.cells)


def _outputs(entries: Entries) -> Integers:
    """Index the outputs; -1 where a record measures none."""
    if not entries["DVID"].present:
        return np.where(meant_as_scored(entries), 0, -1).astype(np.int64)
    named = _index(entries["DVID"], output_labels(entries))
    return np.where(evids(entries) == 0, named, -1)


def _index(entry: Entry, labels: tuple[str, ...]) -> Integers:
    """Find each cell among the labels; -1 where it is not, 0 without the column."""
    if not entry.present:
        return np.zeros(len(entry.cells), dtype=np.int64)
    place = {label: i for i, label in enumerate(labels)}
    return np.array([place.get(cell or "", -1) for cell in entry.cells], dtype=np.int64)
