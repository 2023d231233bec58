"""The data set: a checked table as frozen arrays."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Self

import numpy as np
import pandas as pd

from bayesnlme.data import filling, summary
from bayesnlme.data import observation_kinds as kinds
from bayesnlme.data.arrays import Booleans, Integers
from bayesnlme.data.kind import Kind
from bayesnlme.data.records import (
    Covariate,
    Doses,
    Interpolation,
    Observations,
    Records,
    make_covariate,
)
from bayesnlme.data.table_kinds import OPTION
from bayesnlme.errors import DataError, Finding, did_you_mean

DOSE_EVIDS = (1, 3, 4)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Dataset:
    """A table of doses, observations and covariates that has passed every check.

    Attributes
    ----------
    subjects : tuple of str
        Identifiers as text, in order of first appearance.
    outputs : tuple of str
        What was measured: the labels of DVID, or ``("1",)`` without one.
    occasions : tuple of str
        The labels of OCC, or ``("1",)`` without one.
    units : mapping of str to str
        Units as declared; keys are ``"TIME"``, ``"AMT"``, ``"DV"``, outputs and
        covariates.
    source : str
        The file, or a word for the frame, that was read.
    findings : tuple of Finding
        Warnings and notes met while reading.
    records : Records
        Every record of the table.
    covariates : mapping of str to Covariate
        By name, in the order of the table.
    covariate_interpolation : "locf" or "nocb"
        Over which interval the covariates of a record hold. ``"locf"`` (last observation carried
        forward): from the record until the next. ``"nocb"`` (next observation carried backward,
        as NONMEM does): from the record before until the record itself.
    filled : tuple of Filled
        Missing covariate values that were filled, and by what rule.
    observations : Observations
        The scored observations.
    doses : Doses
        The dose and reset records, as written.
    """

    subjects: tuple[str, ...]
    outputs: tuple[str, ...]
    occasions: tuple[str, ...]
    units: Mapping[str, str]
    source: str
    findings: tuple[Finding, ...]
    records: Records
    covariates: Mapping[str, Covariate]
    covariate_interpolation: Interpolation = "locf"
    filled: tuple[filling.Filled, ...] = ()
    observations: Observations = field(init=False)
    doses: Doses = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "units", MappingProxyType(dict(self.units)))
        object.__setattr__(self, "covariates", MappingProxyType(dict(self.covariates)))
        object.__setattr__(self, "observations", _observations(self.records))
        object.__setattr__(self, "doses", _doses(self.records))

    def __reduce__(self) -> tuple[Any, ...]:
        names = ["subjects", "outputs", "occasions", "source", "findings", "records"]
        values = {
            name: getattr(self, name) for name in [*names, "covariate_interpolation", "filled"]
        }
        values |= {"units": dict(self.units), "covariates": dict(self.covariates)}
        return _remake, (type(self), values)

    @property
    def n_subjects(self) -> int:
        """Number of subjects."""
        return len(self.subjects)

    @property
    def n_observations(self) -> int:
        """Number of scored observations."""
        return len(self.observations)

    @property
    def n_doses(self) -> int:
        """Number of dose records as written, pure resets left out."""
        return int(np.isin(self.records.evid, (1, 4)).sum())

    @property
    def hash(self) -> str:
        """Fingerprint of the content.

        The sha256 of every record and covariate with their labels, 64
        hexadecimal digits, and how covariates are carried. It does not depend on
        the source's name, the order or case of the columns, the declared units,
        or defaults left out.
        """
        digest = hashlib.sha256(b"bayesnlme dataset 1")
        for name, column in self._content():
            digest.update(f"|{name}|{len(column)}|".encode())
            digest.update(_canonical_bytes(column))
        if _beyond_limits(self.records):
            for name in ("lower", "upper"):
                digest.update(f"|{name}|".encode() + getattr(self.records, name).tobytes())
        if self.covariate_interpolation != "locf":
            digest.update(f"|{self.covariate_interpolation}".encode())
        return digest.hexdigest()

    def subset(
        self,
        subjects: Iterable[str | int] | None = None,
        outputs: Iterable[str | int] | None = None,
        where: Callable[[Mapping[str, Any]], bool] | None = None,
    ) -> Self:
        """Keep part of the data.

        Doses and other records of a kept subject stay, whatever `outputs` and
        `where` say. An observation that is left out of a kept subject stays as
        a record of its covariates and occasion (EVID 2) where one of them varies
        within a subject, for it says when. A subject left without observations is taken
        out, and a note in ``findings`` says so.

        Parameters
        ----------
        subjects : iterable of str or int, optional
            Identifiers to keep.
        outputs : iterable of str or int, optional
            Outputs whose observations to keep.
        where : callable, optional
            Given one observation as a mapping with the columns of `to_frame`,
            says whether to keep it.

        Returns
        -------
        Dataset
            The order of the table is kept.

        Raises
        ------
        DataError
            For a subject or output that is not there, if `where` is no function,
            or if no observation is left.

        Examples
        --------
        >>> from bayesnlme.data.datasets import theophylline
        >>> theophylline().subset(subjects=[1, 2], where=lambda row: row["TIME"] > 0).n_observations
        20
        """
        records = self.records
        asked = _marked(kinds.SUBJECT_NOT_THERE, subjects, self.subjects)
        wanted = _marked(kinds.OUTPUT_NOT_THERE, outputs, self.outputs)
        keep = asked[records.subject]
        keep &= (records.evid != 0) | (records.output < 0) | wanted[records.output]
        if where is not None and not callable(where):
            raise DataError([_not_a_function(where)], self.source)
        if where is not None:
            rows = _rows(self.to_frame())
            scored = np.flatnonzero(keep & records.scored)
            keep[scored] = [bool(where(rows[i])) for i in scored]
        return self._restricted(keep, asked)

    def fill(self, **rules: str | float) -> Self:
        """Fill missing covariate values.

        Parameters
        ----------
        **rules : str or float
            For each covariate to be filled: ``"median"`` (of the subjects' medians), ``"locf"``
            (the subject's last known value, before its first one that), or a value.

        Returns
        -------
        Dataset
            ``filled`` and a note in ``findings`` say what was filled.

        Raises
        ------
        DataError
            If there is no such covariate, the rule is none for it, or leaves a hole.

        Examples
        --------
        >>> from bayesnlme.data import read_data
        >>> table = {"ID": [1, 2, 3], "TIME": 0, "DV": 1.0, "WT": [60, None, 80]}
        >>> read_data(pd.DataFrame(table)).fill(WT="median").covariates["WT"].values.tolist()
        [60.0, 70.0, 80.0]
        """
        try:
            covariates, done = filling.fill(self.covariates, self.records, rules)
        except DataError as problem:
            raise DataError(problem.findings, self.source) from None
        notes = [filling.note(each, self.subjects_of(each.rows)) for each in done]
        return replace(
            self,
            covariates=covariates,
            filled=(*self.filled, *done),
            findings=(*self.findings, *notes),
        )

    def subjects_of(self, rows: Iterable[int]) -> tuple[str, ...]:
        """Return the subjects to whom rows of the table belong, those that are in the data."""
        mine = np.isin(self.records.row, list(rows))
        return tuple(self.subjects[i] for i in np.unique(self.records.subject[mine]))

    def to_frame(self) -> pd.DataFrame:
        """Write the data as a table with canonical columns.

        Returns
        -------
        pandas.DataFrame
            One row per record: ID, TIME, EVID, then the dosing columns where
            there are doses, CMT, DVID, DV, MDV, then OCC, CENS, LLOQ and LIMIT where
            they matter, then the covariates. `read_data` of it, with the same
            ``covariate_interpolation``, gives the same ``hash``.
        """
        return pd.DataFrame(self._table())

    def __repr__(self) -> str:
        return summary.as_text(self)

    def _repr_html_(self) -> str:
        return summary.as_html(self)

    def _table(self) -> dict[str, Any]:
        records = self.records
        table: dict[str, Any] = {"ID": _labels(self.subjects, records.subject)}
        table |= {"TIME": records.time, "EVID": records.evid}
        if np.isin(records.evid, DOSE_EVIDS).any():
            table |= {"AMT": records.amount, "RATE": records.rate, "II": records.interval}
            table |= {"ADDL": records.additional, "SS": records.steady_state}
        if any(records.compartment):
            table["CMT"] = _blank_to_none(records.compartment)
        table |= {"DVID": _labels(self.outputs, records.output), "DV": records.value}
        table["MDV"] = (~records.scored).astype(np.int64)
        if self.occasions != ("1",):
            table["OCC"] = _labels(self.occasions, records.occasion)
        if records.censored.any() or np.isfinite(records.limit).any():
            table |= _censoring(records)
        return table | {name: each.values for name, each in self.covariates.items()}

    def _content(self) -> list[tuple[str, Any]]:
        """Name and column of all that `hash` covers; indices spelt out as labels."""
        records = self.records
        names = ["time", "evid", "amount", "rate", "interval", "additional", "steady_state"]
        names += ["value", "scored", "censored", "limit"]
        content: list[tuple[str, Any]] = [(name, getattr(records, name)) for name in names]
        content += [
            ("subject", _labels(self.subjects, records.subject)),
            ("output", _labels(self.outputs, records.output)),
            ("occasion", _labels(self.occasions, records.occasion)),
            ("compartment", records.compartment),
        ]
        covariates = sorted(self.covariates.items())
        return content + [(f"covariate {name}", each.values) for name, each in covariates]

    @property
    def _varies(self) -> bool:
        """Whether a covariate or the occasion changes within a subject."""
        records = self.records
        turns = (np.diff(records.subject) == 0) & (np.diff(records.occasion) != 0)
        return bool(turns.any()) or not all(each.constant for each in self.covariates.values())

    def _restricted(self, keep: Booleans, asked: Booleans) -> Self:
        observed = np.unique(self.records.subject[keep & self.records.scored])
        if not observed.size:
            raise DataError([kinds.NOTHING_LEFT.at()], self.source)
        lost = np.setdiff1d(np.flatnonzero(asked), observed)
        silent = ~keep if self._varies else np.zeros_like(keep)
        kept = np.flatnonzero((keep | silent) & np.isin(self.records.subject, observed))
        part = covariates_only(self.records, silent).take(kept)
        subjects, subject = _reindexed(self.subjects, part.subject, part.subject)
        outputs, output = _reindexed(self.outputs, part.output, part.output[part.scored])
        occasions, occasion = _reindexed(self.occasions, part.occasion, part.occasion)
        records = replace(part, subject=subject, output=output, occasion=occasion)
        left_out = [kinds.SUBJECT_LEFT_OUT.at(subject=self.subjects[i]) for i in lost]
        return replace(
            self,
            subjects=subjects,
            outputs=outputs,
            occasions=occasions,
            units=_remaining_units(self.units, self.outputs, outputs),
            findings=self.findings + tuple(left_out),
            records=records,
            covariates={
                name: make_covariate(name, each.values[kept], records)
                for name, each in self.covariates.items()
            },
        )


def covariates_only(records: Records, chosen: Booleans) -> Records:
    """Turn the chosen records into records of covariates and nothing else (EVID 2).

    Parameters
    ----------
    records : Records
        Records of a data set.
    chosen : bool array, shape (n_records,)
        Which of them to turn.

    Returns
    -------
    Records
        All of them, in the same order.
    """
    nothing = {
        "evid": 2,
        "amount": 0.0,
        "rate": 0.0,
        "interval": 0.0,
        "additional": 0,
        "steady_state": 0,
        "output": -1,
        "value": np.nan,
        "scored": False,
        "censored": False,
        "limit": np.nan,
        "lower": np.nan,
        "upper": np.nan,
    }
    cleared = {
        name: np.where(chosen, blank, getattr(records, name)) for name, blank in nothing.items()
    }
    labels = zip(records.compartment, chosen, strict=True)
    return replace(
        records, **cleared, compartment=tuple("" if gone else label for label, gone in labels)
    )


def _remake(kind: type[Dataset], values: dict[str, Any]) -> Dataset:
    return kind(**values)


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): cell for name, cell in row.items()} for row in frame.to_dict("records")]


def _observations(records: Records) -> Observations:
    order = np.flatnonzero(records.scored)
    scored = records.take(order)
    return Observations(
        subject=scored.subject,
        time=scored.time,
        value=np.where(scored.below, scored.limit, scored.value),
        output=scored.output,
        censored=scored.censored,
        limit=scored.limit,
        lower=scored.lower,
        upper=scored.upper,
        occasion=scored.occasion,
        row=scored.row,
        order=order,
    )


def _doses(records: Records) -> Doses:
    order = np.flatnonzero(np.isin(records.evid, DOSE_EVIDS))
    given = records.take(order)
    return Doses(
        subject=given.subject,
        time=given.time,
        amount=given.amount,
        rate=given.rate,
        compartment=given.compartment,
        interval=given.interval,
        additional=given.additional,
        steady_state=given.steady_state,
        reset=np.isin(given.evid, (3, 4)),
        occasion=given.occasion,
        row=given.row,
        order=order,
    )


def _beyond_limits(records: Records) -> bool:
    """Whether a censored value is known otherwise than by its limit of quantification."""
    return bool((records.censored & ~(records.below & np.isneginf(records.lower))).any())


def _censoring(records: Records) -> dict[str, Any]:
    """Return the columns CENS, LLOQ and, where an interval is known, LIMIT."""
    cens = np.where(records.below, 1, np.where(records.censored, -1, 0))
    far = np.where(records.below, records.lower, np.where(cens == -1, records.upper, np.nan))
    columns = {"CENS": cens, "LLOQ": records.limit}
    return columns | (
        {"LIMIT": np.where(np.isfinite(far), far, np.nan)} if np.isfinite(far).any() else {}
    )


def _labels(labels: tuple[str, ...], index: Integers) -> list[str | None]:
    with_none: tuple[str | None, ...] = (*labels, None)  # position -1
    return [with_none[i] for i in index.tolist()]


def _blank_to_none(labels: tuple[str, ...]) -> list[str | None]:
    return [label or None for label in labels]


def _canonical_bytes(column: Any) -> bytes:
    if isinstance(column, np.ndarray) and column.dtype != object:
        numbers = column.astype("<f8") + 0.0  # -0.0 becomes 0.0
        return np.where(np.isnan(numbers), np.nan, numbers).tobytes()
    return "\x1f".join("\x00" if label is None else str(label) for label in column).encode()


def _not_a_function(where: object) -> Finding:
    example = 'where=lambda row: row["TIME"] > 0'
    return OPTION.at(option="where", given=repr(where), wanted="a function", example=example)


def _marked(unknown: Kind, wanted: Iterable[str | int] | None, known: tuple[str, ...]) -> Booleans:
    if wanted is None:
        return np.ones(len(known), dtype=np.bool_)
    if not isinstance(wanted, Iterable | int):
        option = "subjects" if unknown is kinds.SUBJECT_NOT_THERE else "outputs"
        words = {"given": repr(wanted), "wanted": "a list of labels"}
        raise DataError([OPTION.at(option=option, example=f'{option}=["1", "2"]', **words)])
    named = [wanted] if isinstance(wanted, str | int) else list(wanted)
    labels = [str(each) for each in named]
    strange = [label for label in labels if label not in known]
    if strange:
        raise DataError(
            [unknown.at(label=label, near=did_you_mean(label, known)) for label in strange]
        )
    return np.isin(np.array(known, dtype=object), labels)


def _reindexed(
    labels: tuple[str, ...], index: Integers, kept: Integers
) -> tuple[tuple[str, ...], Integers]:
    """Keep the labels at the positions `kept`; the index of any other becomes -1."""
    used = np.unique(kept)
    place = np.full(len(labels) + 1, -1, dtype=np.int64)  # position -1 stays -1
    place[used] = np.arange(len(used))
    return tuple(labels[i] for i in used), place[index]


def _remaining_units(
    units: Mapping[str, str], before: tuple[str, ...], after: tuple[str, ...]
) -> dict[str, str]:
    gone = set(before) - set(after)
    return {name: unit for name, unit in units.items() if name not in gone}
