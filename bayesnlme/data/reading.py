"""Read a table into a `Dataset`, or say everything that is wrong with it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from bayesnlme.data import table_kinds as kinds
from bayesnlme.data.assemble import (
    check_covariates,
    covariate_values,
    make_records,
    occasion_labels,
)
from bayesnlme.data.checks import check_records, evids
from bayesnlme.data.dataset import Dataset
from bayesnlme.data.dose_checks import check_doses
from bayesnlme.data.entries import Entries, read_entries
from bayesnlme.data.observation_checks import check_observations, output_labels, renamed
from bayesnlme.data.options import (
    MISSING,
    as_covariates,
    as_fill,
    as_interpolation,
    as_missing,
    as_outputs,
    as_units,
)
from bayesnlme.data.records import Interpolation, make_covariate
from bayesnlme.data.roles import Roles, assign_roles, cells_of
from bayesnlme.data.table import Table, read_frame
from bayesnlme.data.text import read_text
from bayesnlme.data.units import MEASURES, canonical_units, check_units
from bayesnlme.errors import DataError, Finding, Severity


def read_data(  # noqa: PLR0913  one keyword for each choice, each with its default
    source: str | PathLike[str] | Any,
    /,
    *,
    units: Mapping[str, str] | None = None,
    outputs: Mapping[str | int, str | int] | None = None,
    covariates: Sequence[str] | None = None,
    covariate_interpolation: Interpolation = "locf",
    fill: Mapping[str, str | float] | None = None,
    missing: Collection[str | float] = MISSING,
    encoding: str = "utf-8",
    **columns: str | int,
) -> Dataset:
    """Read a table of doses and observations, and check it whole.

    Columns are found by their NONMEM names in any case: ID TIME DV AMT EVID MDV
    CMT RATE II ADDL SS DVID OCC CENS LLOQ LIMIT. ID, TIME and DV are required; the
    dosing columns are needed only where there are doses; every other column is
    a covariate.

    Parameters
    ----------
    source : path or data frame
        A delimited text file with a header line, or a pandas or polars frame.
    units : mapping of str to str, optional
        Units by ``"TIME"``, ``"AMT"``, ``"DV"``, output or covariate, such as
        ``{"TIME": "h", "AMT": "mg", "DV": "mg/L", "WT": "kg"}``.
    outputs : mapping of label to str, optional
        Names for the labels of DVID, such as ``{1: "conc", 2: "pca"}``.
    covariates : sequence of str, optional
        Columns that are covariates; all columns without a role by default.
    covariate_interpolation : "locf" or "nocb", optional
        Over which interval the covariates of a record hold, where they vary within a subject.
        ``"locf"`` (last observation carried forward): from the record until the next.
        ``"nocb"`` (next observation carried backward, as NONMEM does): from the record
        before until the record itself.
    fill : mapping of str to str or float, optional
        By covariate, how to fill missing values: ``"median"``, ``"locf"`` or a value, as by
        `Dataset.fill`.
    missing : collection of str or number, optional
        Cells that stand for a missing value; a number is meant however it is
        written, so that ``-99`` is ``"-99"`` and ``"-99.0"``.
    encoding : str, optional
        Character encoding of a text file.
    **columns : str or int
        Column of a role, as in ``id="SUBJ", time="T", dvid="YTYPE"``.
        ``cmt=1`` says that every dose goes into the first compartment.

    Returns
    -------
    Dataset
        With warnings and notes in ``findings``.

    Raises
    ------
    DataError
        With all problems of the table, each with its code, subject, row,
        column, and what to do; or for an option that is not of the right kind.

    Notes
    -----
    A record with EVID 0 is scored where MDV is 0, or without an MDV column
    where it has a value. Where CENS is 1 the value is known to lie below LLOQ,
    or below DV if there is no LLOQ, and above LIMIT if that is given; where CENS
    is -1 it lies above DV, and below LIMIT if that is given. Two measurements
    of one output at one time are replicates and both are scored. Times may be
    negative. Doses at the time of an observation come before it where they stand
    above it.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"SUBJ": [1, 1], "TIME": [0, 1], "DV": [2.0, 1.5]})
    >>> read_data(frame, id="SUBJ").n_observations
    2
    """
    marks = as_missing(missing)
    new_names, new_units = as_outputs(outputs, marks), as_units(units)
    rules = as_fill(fill)
    asked, carried = as_covariates(covariates), as_interpolation(covariate_interpolation)
    table = _table(source, marks, encoding)
    roles = assign_roles(table, columns, asked)
    _refuse_ownerless(table, roles)
    entries, problems = read_entries(table, roles)
    values = covariate_values(table, roles)
    known = output_labels(entries)
    names = tuple(renamed(each, new_names) for each in known)
    declared = canonical_units(
        new_units, _aliases(table, roles, dict(zip(known, names, strict=True)))
    )
    found = [*table.findings, *roles.findings, *problems, *check_records(entries, table)]
    found += check_doses(entries, table, roles)
    found += check_observations(entries, new_names)
    found += check_covariates(table, values, [entries.subjects[i] for i in entries.subject])
    found += check_units(declared, (*MEASURES, *names, *values), dosed=_dosed(entries))
    findings = _refuse_errors(found, table.source)
    records = make_records(entries, roles)
    return Dataset(
        subjects=entries.subjects,
        outputs=names,
        occasions=occasion_labels(entries),
        units=declared,
        source=table.source,
        findings=findings,
        records=records,
        covariates={name: make_covariate(name, each, records) for name, each in values.items()},
        covariate_interpolation=carried,
    ).fill(**rules)


def _table(source: Any, missing: Collection[str], encoding: str) -> Table:
    if isinstance(source, str | PathLike):
        return read_text(Path(source), missing, encoding)
    return read_frame(source, missing)


def _refuse_ownerless(table: Table, roles: Roles) -> None:
    """Stop where rows belong to no subject, as nothing else can be judged then."""
    cells = cells_of(table, roles, "ID") or ()
    column = table.header[roles.columns["ID"]]
    rows = [i for i, cell in enumerate(cells, start=1) if cell is None]
    if rows:
        raise DataError([kinds.ID_MISSING.at(row=i, column=column) for i in rows], table.source)


def _refuse_errors(found: Iterable[Finding], source: str) -> tuple[Finding, ...]:
    findings = tuple(sorted(found, key=lambda finding: finding.row or 0))
    errors = [each for each in findings if each.severity is Severity.ERROR]
    if errors:
        raise DataError(errors, source)
    return findings


def _aliases(table: Table, roles: Roles, outputs: Mapping[str, str]) -> dict[str, str]:
    """Say which canonical name each name stands for that a unit may be given under."""
    aliases = {
        table.header[roles.columns[role]]: role for role in MEASURES if role in roles.columns
    }
    aliases |= {table.header[i]: table.header[i] for i in roles.covariates}
    return (
        aliases
        | {name: name for name in MEASURES}
        | dict(outputs)
        | {name: name for name in outputs.values()}
    )


def _dosed(entries: Entries) -> bool:
    return bool(np.isin(evids(entries), (1, 4)).any())
