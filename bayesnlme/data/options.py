"""The options of `read_data`, brought into one form or refused in words."""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping

from bayesnlme.data import observation_kinds, table_kinds
from bayesnlme.data.entries import label
from bayesnlme.data.records import Interpolation
from bayesnlme.data.table import NUMBER
from bayesnlme.errors import DataError, Finding

MISSING = (".", "NA", "")
_EXAMPLES = {
    "units": 'units={"TIME": "h", "AMT": "mg"}',
    "outputs": 'outputs={1: "conc", 2: "pca"}',
    "covariates": 'covariates=["WT", "AGE"]',
    "missing": 'missing=[".", "NA", "-99"]',
    "fill": 'fill={"WT": "median"}',
    "covariate_interpolation": 'covariate_interpolation="nocb"',
}


def as_units(given: object) -> dict[str, str]:
    """Take units by name; their text is judged by `check_units`.

    Raises
    ------
    DataError
        If they are no mapping from names to text.
    """
    wanted = "a mapping from names to units"
    units = _mapping("units", given, wanted)
    if not all(_is_label(name) and isinstance(unit, str) for name, unit in units.items()):
        raise _refuse("units", given, f"{wanted} written as text")
    return {str(name): str(unit) for name, unit in units.items()}


def as_outputs(given: object, missing: Collection[str]) -> dict[str, str]:
    """Take the new names of outputs by label; a number is taken as its label.

    Raises
    ------
    DataError
        If they are no mapping, or a name is none: no text, or one that means a missing value.
    """
    outputs = _mapping("outputs", given, "a mapping from labels of DVID to names")
    names = {label(str(old).strip()): new for old, new in outputs.items()}
    problems = list(_nameless(names, {*MISSING, *missing}))
    if problems:
        raise DataError(problems)
    return {old: _name(new) for old, new in names.items()}


def as_covariates(given: object) -> tuple[str, ...] | None:
    """Take the names of covariates; None means every column without a role.

    Raises
    ------
    DataError
        If they are no list of names.
    """
    if given is None:
        return None
    wanted = "a list of the names of columns"
    names = _listed("covariates", given, wanted)
    if isinstance(given, int | float) or not all(map(_is_label, names)):
        raise _refuse("covariates", given, wanted)
    return tuple(dict.fromkeys(map(str, names)))


def as_missing(given: object) -> frozenset[str]:
    """Take the marks of a missing value; a number is a mark in each way it may be written.

    Raises
    ------
    DataError
        If they are no list of text and numbers.
    """
    wanted = "a list of cells"
    marks = _listed("missing", given, wanted)
    if not all(map(_is_label, marks)):
        raise _refuse("missing", given, f"{wanted} that are text or numbers")
    return frozenset(text for mark in marks for text in _spellings(str(mark).strip()))


def as_fill(given: object) -> dict[str, str | float]:
    """Take rules by covariate; the rules are judged as they fill.

    Raises
    ------
    DataError
        If they are no mapping from names of covariates to rules.
    """
    wanted = "a mapping from covariates to rules or values"
    rules = _mapping("fill", given, wanted)
    if not all(isinstance(name, str) for name in rules):
        raise _refuse("fill", given, wanted)
    return {str(name): rule for name, rule in rules.items()}  # type: ignore[misc]


def as_interpolation(given: object) -> Interpolation:
    """Take how covariates are carried between records.

    Raises
    ------
    DataError
        If it is neither ``"locf"`` nor ``"nocb"``.
    """
    match given:
        case "locf":
            return "locf"
        case "nocb":
            return "nocb"
    wanted = '"locf" (a record\'s covariates hold until the next record) or "nocb" (they hold'
    raise _refuse("covariate_interpolation", given, f"{wanted} since the record before)")


def _mapping(option: str, given: object, wanted: str) -> Mapping[object, object]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise _refuse(option, given, wanted)
    return given


def _listed(option: str, given: object, wanted: str) -> tuple[object, ...]:
    """Take a lone name or number as a list of one."""
    if _is_label(given):
        return (given,)
    if not isinstance(given, Iterable) or isinstance(given, bytes | Mapping):
        raise _refuse(option, given, wanted)
    return tuple(given)


def _is_label(value: object) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _name(given: object) -> str:
    return label(str(given).strip())


def _nameless(names: Mapping[str, object], missing: Collection[str]) -> Iterator[Finding]:
    for old, new in names.items():
        if not _is_label(new) or _name(new) in missing:
            yield observation_kinds.OUTPUT_NAME.at(label=old, name=repr(new))


def _spellings(mark: str) -> set[str]:
    """Write a number also without and with decimals: ``-99`` and ``-99.0``."""
    if not NUMBER.fullmatch(mark) or not math.isfinite(float(mark)):
        return {mark}
    return {mark, label(mark), repr(float(mark))}


def _refuse(option: str, given: object, wanted: str) -> DataError:
    finding = table_kinds.OPTION.at(
        option=option, given=repr(given), wanted=wanted, example=_EXAMPLES[option]
    )
    return DataError([finding])
