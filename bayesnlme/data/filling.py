"""Missing covariate values filled by a rule that the user names."""

import math
from collections.abc import Mapping
from numbers import Real

import numpy as np

from bayesnlme.data import observation_kinds as kinds
from bayesnlme.data.arrays import Booleans, Integers, Values
from bayesnlme.data.records import Covariate, Records, holes, make_covariate
from bayesnlme.errors import DataError, Finding, did_you_mean

RULES = ("median", "locf")


def fill(
    covariates: Mapping[str, Covariate], records: Records, rules: Mapping[str, object]
) -> tuple[dict[str, Covariate], list[Finding]]:
    """Return the covariates without the holes that a rule is named for, and what was done.

    Raises
    ------
    DataError
        If there is no such covariate, the rule is none for it, or leaves a hole.
    """
    filled, notes = dict(covariates), []
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
            count = len(before.missing_rows)
            notes.append(kinds.FILLED.at(column=name, count=count, rule=repr(rule)))
            filled[name] = make_covariate(name, values, records)
    return filled, notes


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
