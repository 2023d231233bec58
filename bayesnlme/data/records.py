"""What a data set holds: records, observations, doses, covariates."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from bayesnlme.data.arrays import Booleans, Columns, Floats, Integers, Values

type Interpolation = Literal["locf", "nocb"]
"""Over which interval the covariates of a record hold: the one after it, or the one before it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Records(Columns):
    """Every record of the table, in table order, with defaults filled in.

    Attributes
    ----------
    subject : int64 array
        Index into ``Dataset.subjects``.
    time : float64 array
        Time of the record.
    evid : int64 array
        0 observation, 1 dose, 2 covariates only, 3 reset, 4 reset and dose.
    amount, rate, interval : float64 array
        AMT, RATE and II; 0 where not given.
    compartment : tuple of str
        CMT as a label, ``""`` where not given.
    additional, steady_state : int64 array
        ADDL and SS; 0 where not given.
    output : int64 array
        Index into ``Dataset.outputs``, -1 where the record names none.
    value : float64 array
        DV, NaN where not given.
    scored : bool array
        True where the record is an observation that enters the likelihood.
    censored : bool array
        True where the value is known only to lie between ``lower`` and ``upper``.
    limit : float64 array
        Limit of quantification, NaN where none is given.
    lower, upper : float64 array
        Bounds of a censored value, infinite where there is none on that side; NaN elsewhere. Below
        the limit of quantification ``upper`` is ``limit``.
    occasion : int64 array
        Index into ``Dataset.occasions``.
    row : int64 array
        Row of the table the record came from, counted from 1 below the header.
    """

    subject: Integers
    time: Floats
    evid: Integers
    amount: Floats
    rate: Floats
    compartment: tuple[str, ...]
    interval: Floats
    additional: Integers
    steady_state: Integers
    output: Integers
    value: Floats
    scored: Booleans
    censored: Booleans
    limit: Floats
    lower: Floats
    upper: Floats
    occasion: Integers
    row: Integers

    @property
    def below(self) -> Booleans:
        """Mark the records below the limit of quantification (CENS 1)."""
        return _below(self)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Observations(Columns):
    """Every scored observation, in table order.

    Attributes
    ----------
    subject, output, occasion : int64 array
        Indices into ``subjects``, ``outputs`` and ``occasions`` of the data set.
    time, value : float64 array
        When and what was measured; a censored value is the limit that it passed.
    censored : bool array
        True where only ``lower < value < upper`` is known.
    limit : float64 array
        Limit of quantification, NaN where none is given.
    lower, upper : float64 array
        Bounds of a censored value, as in `Records`.
    row : int64 array
        Row of the table, counted from 1 below the header.
    order : int64 array
        Position in the table; breaks ties in time.
    """

    subject: Integers
    time: Floats
    value: Floats
    output: Integers
    censored: Booleans
    limit: Floats
    lower: Floats
    upper: Floats
    occasion: Integers
    row: Integers
    order: Integers

    @property
    def below(self) -> Booleans:
        """Mark the observations below the limit of quantification (CENS 1)."""
        return _below(self)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Doses(Columns):
    """Every dose and reset record as written, in table order.

    A pure reset (EVID 3) is kept as a dose of amount 0 with ``reset`` true.

    Attributes
    ----------
    subject, occasion : int64 array
        Indices into ``subjects`` and ``occasions`` of the data set.
    time, amount : float64 array
        When and how much.
    rate : float64 array
        0 for a bolus, > 0 for an infusion, -1 or -2 where the model gives the
        rate or the duration.
    compartment : tuple of str
        Label as written, such as ``"1"`` or ``"depot"``; ``""`` for a pure
        reset that names none.
    interval : float64 array
        Time between repeated doses (II), 0 where not given.
    additional : int64 array
        Number of further doses (ADDL).
    steady_state : int64 array
        0 no, 1 replaces the state, 2 adds to it.
    reset : bool array
        True where the system is emptied first.
    row : int64 array
        Row of the table, counted from 1 below the header.
    order : int64 array
        Position in the table; breaks ties in time.
    """

    subject: Integers
    time: Floats
    amount: Floats
    rate: Floats
    compartment: tuple[str, ...]
    interval: Floats
    additional: Integers
    steady_state: Integers
    reset: Booleans
    occasion: Integers
    row: Integers
    order: Integers


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Covariate:
    """One covariate, as it stands on every record.

    Attributes
    ----------
    name : str
        Name of the column.
    values : float64 array, or object array of str
        One value per record of ``Dataset.records``; NaN or ``None`` for a hole.
    numeric : bool
        True where every value is a number.
    constant : bool
        True where no subject has two different values.
    by_subject : array or None
        One value per subject (holes skipped, NaN or ``None`` where a subject
        has none), or ``None`` where the covariate varies within a subject.
    missing_rows : tuple of int
        Rows of the table with a hole.
    """

    name: str
    values: Values
    numeric: bool
    constant: bool
    by_subject: Values | None
    missing_rows: tuple[int, ...]

    @property
    def levels(self) -> tuple[float, ...] | tuple[str, ...]:
        """The distinct values, in order, holes left out."""
        return tuple(sorted(set(self.values[~holes(self.values)].tolist())))


def holes(values: Values) -> Booleans:
    """Mark the missing entries of a covariate."""
    if values.dtype == np.float64:
        return np.isnan(values)
    return np.array([value is None for value in values], dtype=np.bool_)


def make_covariate(
    name: str,
    values: Values,
    records: Records,
) -> Covariate:
    """Describe the values of a covariate on the records of a table.

    Parameters
    ----------
    name : str
        Name of the column.
    values : array, shape (n_records,)
        float64 with NaN for holes, or object with str and ``None``.
    records : Records
        Says which subject and which row each value belongs to.

    Returns
    -------
    Covariate
        With its values copied and locked.
    """
    missing = holes(values)
    by_subject = _first_of_each(values, records.subject, missing)
    known = ~missing
    constant = bool(np.all(values[known] == by_subject[records.subject[known]]))
    return Covariate(
        name=name,
        values=_locked(values),
        numeric=values.dtype == np.float64,
        constant=constant,
        by_subject=_locked(by_subject) if constant else None,
        missing_rows=tuple(records.row[missing].tolist()),
    )


def _locked(values: Values) -> Values:
    copy: Values = values.copy()
    copy.flags.writeable = False
    return copy


def _first_of_each(values: Values, subject: Integers, missing: Booleans) -> Values:
    count = int(subject.max(initial=-1)) + 1
    numeric = values.dtype == np.float64
    firsts: Values = np.full(count, np.nan) if numeric else np.full(count, None, dtype=object)
    owners, positions = np.unique(subject[~missing], return_index=True)
    firsts[owners] = values[~missing][positions]
    return firsts


def _below(given: Records | Observations) -> Booleans:
    return given.censored & (given.upper == given.limit)
