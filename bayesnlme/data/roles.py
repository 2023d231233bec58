"""Say which column of a table plays which role."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bayesnlme.data import table_kinds as kinds
from bayesnlme.data.table import Cell, Table
from bayesnlme.errors import DataError, Finding, did_you_mean

MEANINGS = {
    "ID": "subject",
    "TIME": "time",
    "DV": "observed value",
    "AMT": "dose amount",
    "EVID": "kind of record",
    "MDV": "mark of an unscored value",
    "CMT": "compartment",
    "RATE": "infusion rate",
    "II": "dosing interval",
    "ADDL": "number of additional doses",
    "SS": "steady-state mark",
    "DVID": "measured output",
    "OCC": "occasion",
    "CENS": "censoring mark",
    "LLOQ": "limit of quantification",
    "LIMIT": "far end of a censored interval",
}
REQUIRED = ("ID", "TIME", "DV")
ALSO_CALLED = {
    "ID": ("SUBJ", "SUBJECT", "SUBJID", "USUBJID", "PATIENT", "PAT", "#ID", "CID"),
    "TIME": ("T", "TAFD", "HOUR", "HOURS", "H", "DAY", "DAYS", "TIMES", "HR"),
    "DV": ("Y", "CONC", "CP", "VALUE", "OBS", "CONCENTRATION", "RESPONSE"),
    "AMT": ("DOSE", "AMOUNT", "D", "DOS", "MG", "AMNT"),
    "RATE": ("DUR", "DURATION", "TINF", "INFUSION"),
    "EVID": ("EVENT", "EVT"),
    "DVID": ("YTYPE", "FLAG", "DVTYPE", "OUTPUT"),
    "CENS": ("BLQ", "BQL", "BLOQ", "CENSORED", "CENSORING"),
    "LLOQ": ("LOQ", "LOD", "LLQ"),
}
SUSPECT = ("RATE", "DVID", "CENS", "LLOQ")
IGNORED = {
    "DATE": ("the date of a record", "Fold the date into TIME and drop the column."),
    "DAT1": ("the date of a record", "Fold the date into TIME and drop the column."),
    "DAT2": ("the date of a record", "Fold the date into TIME and drop the column."),
    "DAT3": ("the date of a record", "Fold the date into TIME and drop the column."),
    "CONT": ("records that go on over rows", "Write one record per row and drop the column."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """Which column plays which role.

    Attributes
    ----------
    columns : mapping of str to int
        Position of the column of each role that the table has.
    compartment : str or None
        The compartment of every dose, where given by a number.
    covariates : tuple of int
        Positions of the covariates.
    findings : tuple of Finding
        Warnings and notes.
    """

    columns: Mapping[str, int]
    compartment: str | None
    covariates: tuple[int, ...]
    findings: tuple[Finding, ...]


def assign_roles(
    table: Table, named: Mapping[str, object], covariates: Sequence[str] | None
) -> Roles:
    """Match the columns of a table with the roles, by name or as told.

    Parameters
    ----------
    table : Table
        The table.
    named : mapping of str to object
        Lower-case role to the name of its column; ``cmt`` may be a number.
    covariates : sequence of str or None
        Columns that are covariates; every column without a role when ``None``.

    Returns
    -------
    Roles
        With every role of `MEANINGS` that the table has.

    Raises
    ------
    DataError
        For unknown roles and columns, two columns for one role, or none for a
        required one.
    """
    problems = _unknown_roles(named)
    explicit, more = _explicit(table, named)
    by_name, twice = _by_name(table, skip={role.upper() for role in named})
    columns = by_name | explicit
    problems += more + twice + _missing(table, columns, named, twice)
    chosen, refused = _covariates(table, columns, covariates)
    problems += refused
    if covariates is None:
        problems += _ignored_columns([table.header[i] for i in chosen])
    if problems:
        raise DataError(problems, table.source)
    return Roles(
        columns=columns,
        compartment=_constant_compartment(named),
        covariates=chosen,
        findings=tuple(_remarks(table, columns, chosen, asked=covariates is not None)),
    )


def other_amount(table: Table) -> str:
    """Name the column that may hold the amounts of a table without AMT."""
    names = {name.upper(): name for name in table.header}
    found = [names[name] for name in ALSO_CALLED["AMT"] if name in names]
    return found[0] if found else "..."


def _unknown_roles(named: Mapping[str, object]) -> list[Finding]:
    known = [role.lower() for role in MEANINGS]
    return [
        kinds.ROLE_UNKNOWN.at(role=role, near=did_you_mean(role, known))
        for role in named
        if role not in known
    ]


def _explicit(table: Table, named: Mapping[str, object]) -> tuple[dict[str, int], list[Finding]]:
    found: dict[str, int] = {}
    problems = []
    for role, name in named.items():
        if role == "cmt" and _is_number(name):
            continue
        position = _position(table, name)
        if position is None:
            near = did_you_mean(str(name), table.header)
            problems.append(kinds.COLUMN_UNKNOWN.at(what=f"{role}=", column=str(name), near=near))
        else:
            found[role.upper()] = position
    return found, problems


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _position(table: Table, name: object) -> int | None:
    return table.header.index(name) if name in table.header else None


def _constant_compartment(named: Mapping[str, object]) -> str | None:
    return str(named["cmt"]) if _is_number(named.get("cmt")) else None


def _by_name(table: Table, skip: set[str]) -> tuple[dict[str, int], list[Finding]]:
    found: dict[str, int] = {}
    problems = []
    for role in MEANINGS:
        matches = [i for i, name in enumerate(table.header) if name.upper() == role]
        if role in skip or not matches:
            continue
        found[role] = matches[0]
        if len(matches) > 1:
            problems.append(_role_twice(table, role, matches))
    return found, problems


def _role_twice(table: Table, role: str, matches: list[int]) -> Finding:
    names = [table.header[i] for i in matches]
    return kinds.ROLE_TWICE.at(
        column=names[1],
        names=" and ".join(map(repr, names)),
        role=role,
        keyword=role.lower(),
        first=names[0],
    )


def _missing(
    table: Table, columns: Mapping[str, int], named: Mapping[str, object], twice: list[Finding]
) -> list[Finding]:
    absent = [role for role in REQUIRED if role not in columns and role.lower() not in named]
    return [] if twice else [_column_missing(table, role) for role in absent]


def _column_missing(table: Table, role: str) -> Finding:
    likely = [name for name in table.header if name.upper() in ALSO_CALLED[role]]
    near = f"Perhaps {likely[0]!r}?" if likely else did_you_mean(role, table.header)
    return kinds.COLUMN_MISSING.at(column=role, role=role, keyword=role.lower(), near=near)


def _covariates(
    table: Table, columns: Mapping[str, int], asked: Sequence[str] | None
) -> tuple[tuple[int, ...], list[Finding]]:
    if asked is None:
        taken = set(columns.values())
        free = [i for i in range(len(table.header)) if i not in taken]
        return tuple(i for i in free if table.header[i].upper() not in MEANINGS), []
    problems = [each for each in (_bad_covariate(table, name) for name in asked) if each]
    return tuple(table.header.index(name) for name in asked if name in table.header), problems


def _bad_covariate(table: Table, name: str) -> Finding | None:
    if name not in table.header:
        near = did_you_mean(name, table.header)
        return kinds.COLUMN_UNKNOWN.at(what="covariates=", column=name, near=near)
    if name.upper() in MEANINGS:
        return kinds.COVARIATE_IS_ROLE.at(column=name, role=MEANINGS[name.upper()])
    return None


def _remarks(
    table: Table, columns: Mapping[str, int], covariates: tuple[int, ...], *, asked: bool
) -> list[Finding]:
    """Point out columns that may be more than they are taken for."""
    used = set(columns.values())
    spare = [i for i in range(len(table.header)) if i not in used]
    remarks = [
        kinds.COLUMN_SET_ASIDE.at(column=table.header[i], role=MEANINGS[table.header[i].upper()])
        for i in spare
        if table.header[i].upper() in MEANINGS
    ]
    if not asked:
        remarks += [each for i in covariates for each in _suspect(table.header[i], columns)]
    return remarks


def _suspect(name: str, columns: Mapping[str, int]) -> list[Finding]:
    return [
        kinds.COLUMN_SUSPECT.at(column=name, role=role, keyword=role.lower())
        for role in SUSPECT
        if role not in columns and name.upper() in ALSO_CALLED[role]
    ]


def _ignored_columns(names: Sequence[str]) -> list[Finding]:
    """Refuse covariates whose name has a meaning that would be ignored."""
    return [_ignored(name) for name in names if name.upper() in IGNORED]


def _ignored(name: str) -> Finding:
    meaning, remedy = IGNORED[name.upper()]
    return kinds.COLUMN_IGNORED.at(column=name, meaning=meaning, remedy=remedy.format(column=name))


def cells_of(table: Table, roles: Roles, role: str) -> Sequence[Cell] | None:
    """Give the cells that play a role, or ``None`` where the table lacks it."""
    position = roles.columns.get(role)
    return None if position is None else table.columns[position]
