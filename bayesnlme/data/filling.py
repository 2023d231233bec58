"""Missing covariate values filled by a rule that the user names."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np

from bayesnlme.data import observation_kinds as kinds
from bayesnlme.data.arrays import Booleans, Integers, Values
from bayesnlme.data.records import Covariate, Records, holes, make_covariate
from bayesnlme.errors import DataError, Finding, did_you_mean

RULES = ("median", "locf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """What was filled of one covariate.

    Attributes
    ----------
    covariate : str
        The covariate.
    rule : str or float
        By what: ``"median"``, ``"locf"``, or the value.
    rows : tuple of int
        Rows of the table whose cell was empty.
    """

    covariate: str
    rule: str | float
    rows: tuple[int, ...]


def fill(
    covariates: Mapping[str, Covariate], records: Records, rules: Mapping[str, object]
) -> tuple[dict[str, Covariate], list[Filled]]:
    """Return the covariates without the holes that a rule is named for, and what was filled.

    Raises
    ------
    DataError
        If there is no such covariate, the rule is none for it, or leaves a hole.
    """
    filled, done = dict(covariates), []
    for name, rule in rules.items():
        if name not in covariates:
            near = did_you_mean(name, covariates)
            raise DataError([kinds.FILL_NOT_THERE.at(label=name, near=near)])
        before = covariates[name]
        values = _filled(before, records, rule)
        left = holes(values)
        if left.any():
            row = int(records.row[np.flatnonzero(left)[0]])
            raise DataError([kinds.FILL_LEFT.at(row=row, column=name, rule=repr(rule))])
        if before.missing_rows:
            rows = tuple(map(int, before.missing_rows))
            done.append(Filled(covariate=name, rule=_plain(rule), rows=rows))
            filled[name] = make_covariate(name, values, records)
    return filled, done


def note(filled: Filled, subjects: Sequence[str]) -> Finding:
    """Say what was filled, row by row, in the subjects given."""
    return kinds.FILLED.at(
        column=filled.covariate,
        count=len(filled.rows),
        rule=repr(filled.rule),
        rows=ranges(filled.rows),
        subjects=", ".join(subjects),
    )


def ranges(rows: Sequence[int]) -> str:
    """Write rows, those that follow one another as a range.

    Examples
    --------
    >>> ranges([1, 3, 4, 5, 9])
    '1, 3 to 5, 9'
    """
    runs: list[list[int]] = []
    for row in sorted(rows):
        if runs and row == runs[-1][-1] + 1:
            runs[-1].append(row)
        else:
            runs.append([row])
    return ", ".join(f"{run[0]}" if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs)


def _plain(rule: object) -> str | float:
    return rule if isinstance(rule, str) else float(rule)  # type: ignore[arg-type]  # judged before


def _filled(covariate: Covariate, records: Records, rule: object) -> Values:
    """Fill by the median of the subjects' medians, the last known value, or a value."""
    missing = holes(covariate.values)
    if rule == "locf":
        return _carried(covariate.values, missing, records.subject)
    values: Values = covariate.values.copy()
    if covariate.numeric:
        values[missing] = _number(covariate, records.subject, rule)
    elif isinstance(rule, str) and rule not in RULES and rule:
        values[missing] = rule
    else:
        raise DataError([_no_rule(covariate, rule, '"locf" or a level, such as "F"')])
    return values


def _number(covariate: Covariate, subject: Integers, rule: object) -> float:
    if rule == "median":
        known = ~holes(covariate.values)
        each = [
            np.median(covariate.values[known & (subject == one)])
            for one in np.unique(subject[known])
        ]
        return float(np.median(each)) if each else np.nan
    if isinstance(rule, bool) or not isinstance(rule, Real) or not math.isfinite(rule):
        raise DataError([_no_rule(covariate, rule, '"median", "locf" or a number')])
    return float(rule)


def _no_rule(covariate: Covariate, rule: object, wanted: str) -> Finding:
    return kinds.FILL_RULE.at(column=covariate.name, rule=repr(rule), wanted=wanted)


def _carried(values: Values, missing: Booleans, subject: Integers) -> Values:
    """Carry a subject's last known value forward, and its first one back to its start."""
    filled: Values = values.copy()
    for one in np.unique(subject):
        rows = np.flatnonzero(subject == one)
        known = rows[~missing[rows]]
        if known.size:
            place = np.maximum(np.searchsorted(known, rows, side="right") - 1, 0)
            filled[rows] = values[known[place]]
    return filled
