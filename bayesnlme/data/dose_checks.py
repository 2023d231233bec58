"""Rules that doses keep."""

from collections.abc import Iterator, Sequence

import numpy as np

from bayesnlme.data import dose_kinds as kinds
from bayesnlme.data.arrays import Booleans
from bayesnlme.data.checks import evids, first_only
from bayesnlme.data.entries import Entries, parse_number
from bayesnlme.data.roles import ALSO_CALLED, Roles, other_amount
from bayesnlme.data.table import NUMBER, Cell, Table
from bayesnlme.errors import Finding

ITEMS = ("AMT", "RATE", "II", "ADDL", "SS")
MOST_ADDITIONAL = 100_000


def check_doses(entries: Entries, table: Table, roles: Roles) -> Iterator[Finding]:
    """Check amounts, compartments, rates, repeated doses and steady state.

    Parameters
    ----------
    entries : Entries
        The table by roles.
    table : Table
        All its cells, to find amounts under another name.
    roles : Roles
        Which column is which.

    Yields
    ------
    Finding
        Errors and warnings.
    """
    evid = evids(entries)
    dose = np.isin(evid, (1, 4))
    yield from _elsewhere(entries)
    yield from _amounts(entries, dose, other_amount(table))
    yield from _other_name(entries, table, roles)
    if roles.compartment is None:
        yield from _compartments(entries, dose)
    yield from _rates(entries, dose)
    yield from _additional(entries, dose)
    yield from _steady_state(entries, dose)


def _elsewhere(entries: Entries) -> Iterator[Finding]:
    """Refuse dose items on records that are no doses."""
    amount, evid = entries["AMT"], evids(entries)
    if not entries["EVID"].present and (amount.or_zero() != 0).any():
        yield from first_only(entries, kinds.AMOUNT_NO_EVID, amount.or_zero() != 0, "AMT")
        return
    if not amount.present and not np.isin(evid, (1, 4)).any():
        for role in ITEMS[1:]:
            given = entries[role].or_zero() != 0
            yield from first_only(entries, kinds.DOSE_COLUMNS_ALONE, given, role)
        return
    for role in ITEMS:
        given = np.isin(evid, (0, 2, 3)) & (entries[role].or_zero() != 0)
        yield from entries.flag(kinds.DOSE_ITEM_ELSEWHERE, given, role, evid=evid)


def _amounts(entries: Entries, dose: Booleans, near: str) -> Iterator[Finding]:
    amount = entries["AMT"]
    if not amount.present:
        yield from first_only(entries, kinds.DOSE_NO_AMOUNT_COLUMN, dose, "AMT", near=near)
        return
    endless = (entries["SS"].numbers > 0) & (entries["RATE"].numbers > 0)
    yield from entries.flag(kinds.AMOUNT_MISSING, dose & amount.missing & ~endless, "AMT")
    yield from entries.flag(kinds.AMOUNT_NEGATIVE, dose & (amount.numbers < 0), "AMT")


def _other_name(entries: Entries, table: Table, roles: Roles) -> Iterator[Finding]:
    """Refuse a table without AMT and EVID in which another column marks doses."""
    if entries["AMT"].present or entries["EVID"].present:
        return
    unseen = entries["DV"].missing
    for i in roles.covariates:
        if table.header[i].upper() not in ALSO_CALLED["AMT"]:
            continue
        given = _nonzero(table.columns[i])
        if (given & unseen).any() and not (given & ~unseen).any():
            row = int(np.flatnonzero(given)[0])
            yield kinds.AMOUNT_OTHER_NAME.at(
                subject=entries.subjects[entries.subject[row]],
                row=row + 1,
                column=table.header[i],
                cell=repr(table.columns[i][row]),
            )


def _nonzero(cells: Sequence[Cell]) -> Booleans:
    numbers = {cell: parse_number(cell) for cell in set(cells) if cell is not None}
    positive = {cell for cell, number in numbers.items() if isinstance(number, float) and number}
    return np.array([cell in positive for cell in cells], dtype=np.bool_)


def _compartments(entries: Entries, dose: Booleans) -> Iterator[Finding]:
    cmt = entries["CMT"]
    if not cmt.present:
        yield from first_only(entries, kinds.COMPARTMENT_NO_COLUMN, dose, "CMT")
        return
    yield from entries.flag(kinds.COMPARTMENT_MISSING, dose & cmt.missing, "CMT")
    labels = set(cmt.cells) - {None}
    numbers = {cell: float(cell) for cell in labels if cell and NUMBER.fullmatch(cell)}
    odd = {cell for cell, number in numbers.items() if number < 1 or not number.is_integer()}
    negative = {cell for cell, number in numbers.items() if number < 0}
    on_dose = np.array([cell in odd for cell in cmt.cells], dtype=np.bool_) & dose
    anywhere = np.array([cell in negative for cell in cmt.cells], dtype=np.bool_)
    yield from entries.flag(kinds.COMPARTMENT_INVALID, on_dose | anywhere, "CMT")


def _rates(entries: Entries, dose: Booleans) -> Iterator[Finding]:
    rate = entries["RATE"].numbers
    odd = dose & (rate < 0) & ~np.isin(rate, (-1, -2))
    yield from entries.flag(kinds.RATE_NEGATIVE, odd, "RATE")
    idle = dose & (rate > 0) & (entries["AMT"].numbers == 0) & (entries["SS"].or_zero() == 0)
    yield from entries.flag(kinds.RATE_NO_AMOUNT, idle, "RATE")


def _additional(entries: Entries, dose: Booleans) -> Iterator[Finding]:
    interval, additional = entries["II"], entries["ADDL"].or_zero()
    yield from entries.flag(kinds.ADDITIONAL_NEGATIVE, dose & (additional < 0), "ADDL")
    yield from entries.flag(kinds.ADDITIONAL_MANY, dose & (additional > MOST_ADDITIONAL), "ADDL")
    yield from entries.flag(kinds.INTERVAL_NEGATIVE, dose & (interval.numbers < 0), "II")
    absent = dose & _no_interval(entries)
    role = "II" if interval.present else "ADDL"
    alone = absent & (additional > 0)
    yield from entries.flag(
        kinds.ADDITIONAL_NO_INTERVAL, alone, role, interval=_words(interval.cells)
    )
    idle = dose & (interval.numbers > 0) & (additional == 0) & (entries["SS"].or_zero() == 0)
    yield from first_only(entries, kinds.INTERVAL_UNUSED, idle, "II")


def _no_interval(entries: Entries) -> Booleans:
    """Mark records whose II is missing or 0 (a negative or unreadable one is reported as such)."""
    interval = entries["II"]
    return interval.missing | (interval.numbers == 0)


def _words(cells: Sequence[Cell]) -> list[str]:
    return ["missing" if cell is None else repr(cell) for cell in cells]


def _steady_state(entries: Entries, dose: Booleans) -> Iterator[Finding]:
    steady = entries["SS"].or_zero()
    interval, rate = entries["II"], entries["RATE"].or_zero()
    known = np.isin(steady, (0, 1, 2))
    yield from entries.flag(kinds.STEADY_STATE_UNKNOWN, dose & ~known, "SS")
    held = dose & (steady > 0)
    endless = held & (entries["AMT"].or_zero() == 0) & (rate > 0)
    both = endless & (interval.or_zero() > 0)
    yield from entries.flag(kinds.STEADY_STATE_ENDLESS, both, "II")
    yield from entries.flag(kinds.STEADY_STATE_ENDLESS_ADDED, endless & (steady == 2), "SS")
    alone = held & ~endless & _no_interval(entries)
    role = "II" if interval.present else "SS"
    words = _words(interval.cells)
    yield from entries.flag(kinds.STEADY_STATE_NO_INTERVAL, alone, role, interval=words)
