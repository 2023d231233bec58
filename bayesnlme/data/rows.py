"""Rows of individual parameters: where covariates or the occasion change, and what holds when.

Over which interval the covariates of a record hold is said by
`Dataset.covariate_interpolation`. Under ``"locf"`` (last observation carried forward) a row comes
into force at its first record, just before anything else that happens there; under ``"nocb"``
(next observation carried backward) just after the last record of the row before. Either way the
row of a record is in force at the record.
"""

from collections.abc import Collection
from dataclasses import dataclass, fields

import numpy as np

from bayesnlme.data.arrays import Booleans, Floats, Integers, Values, frozen
from bayesnlme.data.dataset import Dataset
from bayesnlme.data.events import offsets
from bayesnlme.data.records import Doses, holes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Rows:
    """Stretches of a subject's time over which its parameters stay the same.

    The rows of a subject stand together, ascending in time, and subjects in their order.

    Attributes
    ----------
    subject : int64 array, shape (n_rows,)
        Subject of each row.
    record : int64 array, shape (n_rows,)
        Its first record, whose covariate values it has; an index into ``Dataset.records``.
    start : float64 array, shape (n_rows,)
        When it comes into force. The first row of a subject is also in force before.
    of_record : int64 array, shape (n_records,)
        Row of each record.
    observation : int64 array, shape (n_observations,)
        Row of each scored observation.
    """

    subject: Integers
    record: Integers
    start: Floats
    of_record: Integers
    observation: Integers

    def __post_init__(self) -> None:
        for field in fields(self):
            object.__setattr__(self, field.name, frozen(getattr(self, field.name)))

    def __len__(self) -> int:
        return len(self.subject)

    def __repr__(self) -> str:
        return f"Rows({len(self)} of {np.unique(self.subject).size} subjects)"

    @property
    def constant(self) -> bool:
        """Whether every subject has one row, so that rows and subjects are the same."""
        return len(self) == np.unique(self.subject).size


def parameter_rows(data: Dataset, covariates: Collection[str], *, occasions: bool = False) -> Rows:
    """Cut each subject's records where a covariate or the occasion changes.

    A row is a maximal run of a subject's records over which they stay the same.

    Parameters
    ----------
    data : Dataset
        The data set.
    covariates : collection of str
        Covariates that the parameters depend on. Two holes in a row are no change.
    occasions : bool
        Whether parameters change with the occasion too.

    Returns
    -------
    Rows
        One row per subject where nothing changes.

    Raises
    ------
    KeyError
        If the data lack a covariate.
    """
    records = data.records
    first = np.diff(records.subject, prepend=-1) != 0
    begins = first.copy()
    for name in covariates:
        if not data.covariates[name].constant:
            begins[1:] |= _changes(data.covariates[name].values)
    if occasions:
        begins[1:] |= np.diff(records.occasion) != 0
    record = np.flatnonzero(begins)
    of_record = np.cumsum(begins) - 1
    backward = data.covariate_interpolation == "nocb"
    return Rows(
        subject=records.subject[record],
        record=record,
        start=records.time[record - (backward & ~first[record])],
        of_record=of_record,
        observation=of_record[data.observations.order],
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SubjectOccasions:
    """The occasions of every subject, in order of first appearance.

    Attributes
    ----------
    subject, occasion : int64 array, shape (n,)
        Indices into ``subjects`` and ``occasions`` of the data set.
    of_record : int64 array, shape (n_records,)
        The one that each record belongs to.
    """

    subject: Integers
    occasion: Integers
    of_record: Integers

    @property
    def alone(self) -> bool:
        """Whether no subject has two."""
        return len(self.subject) == np.unique(self.subject).size


def subject_occasions(data: Dataset) -> SubjectOccasions:
    """Give every occasion of every subject a number; one that comes back has its old one.

    Examples
    --------
    >>> import pandas as pd
    >>> from bayesnlme.data import read_data
    >>> rows = {"ID": [1, 1, 1, 2], "TIME": [0, 1, 2, 0], "DV": [1, 1, 1, 1], "OCC": [1, 2, 1, 2]}
    >>> subject_occasions(read_data(pd.DataFrame(rows))).of_record
    array([0, 1, 0, 2])
    """
    records = data.records
    pairs = np.stack([records.subject, records.occasion], axis=1)
    _, first, inverse = np.unique(pairs, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(order.size)
    chosen = first[order]
    return SubjectOccasions(
        subject=records.subject[chosen],
        occasion=records.occasion[chosen],
        of_record=place[inverse.ravel()],
    )


def dose_rows(rows: Rows, doses: Doses) -> Integers:
    """Find the row that says the lag, bioavailability, duration and rate of each dose.

    That of its record, for an additional dose the record that asks for it: so NONMEM does
    (checked against its own concentrations, see ``tests/structural/test_schedule.py``).

    Parameters
    ----------
    rows : Rows
        Rows of a data set.
    doses : Doses
        Single doses of it, as from `bayesnlme.data.events.expand_doses`.

    Returns
    -------
    int64 array, shape (n_doses,)
        Positions in `rows`.
    """
    return rows.of_record[doses.order]


def records_at(data: Dataset, subject: Integers, time: Floats) -> Integers:
    """Find the record whose covariates hold at a time, seen after all records of that time.

    Parameters
    ----------
    data : Dataset
        The data set.
    subject : int64 array, shape (n,)
        Subjects.
    time : float64 array, shape (n,)
        Times. Before a subject's first record its first record holds, after its last one the
        last.

    Returns
    -------
    int64 array, shape (n,)
        Indices into ``data.records``.
    """
    found = np.empty(len(subject), dtype=np.int64)
    begins = offsets(data.records.subject, data.n_subjects)
    grouped = np.argsort(subject, kind="stable")
    groups = offsets(subject[grouped], data.n_subjects)
    for one in np.unique(subject):
        asked = grouped[groups[one] : groups[one + 1]]
        known, at = data.records.time[begins[one] : begins[one + 1]], time[asked]
        forward = data.covariate_interpolation == "locf"
        place = np.searchsorted(known, at, side="right") - (forward | np.isin(at, known))
        found[asked] = begins[one] + np.clip(place, 0, len(known) - 1)
    return found


def _changes(values: Values) -> Booleans:
    """Mark entries that differ from the one before; shape (n - 1,)."""
    missing = holes(values)
    differ = np.asarray(values[1:] != values[:-1], dtype=np.bool_)
    return differ & ~(missing[1:] & missing[:-1])
