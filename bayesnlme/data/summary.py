"""Describe a data set in words, for the terminal and for notebooks."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Protocol

import numpy as np

from bayesnlme.data.arrays import Floats
from bayesnlme.data.filling import Filled
from bayesnlme.data.records import Covariate, Doses, Observations, Records, holes
from bayesnlme.errors import Finding


class Described(Protocol):
    """What a description needs to know of a data set."""

    @property
    def source(self) -> str:
        """Say where it came from."""
        ...

    @property
    def subjects(self) -> tuple[str, ...]:
        """List the identifiers."""
        ...

    @property
    def outputs(self) -> tuple[str, ...]:
        """List what was measured."""
        ...

    @property
    def occasions(self) -> tuple[str, ...]:
        """List the occasions."""
        ...

    @property
    def units(self) -> Mapping[str, str]:
        """Give the declared units."""
        ...

    @property
    def findings(self) -> tuple[Finding, ...]:
        """List warnings and notes."""
        ...

    @property
    def records(self) -> Records:
        """Give every record."""
        ...

    @property
    def covariates(self) -> Mapping[str, Covariate]:
        """Give the covariates by name."""
        ...

    @property
    def covariate_interpolation(self) -> str:
        """Say how covariates are carried between records."""
        ...

    @property
    def filled(self) -> Sequence[Filled]:
        """Say which missing covariate values were filled."""
        ...

    def subjects_of(self, rows: Iterable[int]) -> tuple[str, ...]:
        """Give the subjects of rows of the table."""
        ...

    @property
    def observations(self) -> Observations:
        """Give the scored observations."""
        ...

    @property
    def doses(self) -> Doses:
        """Give the doses as written."""
        ...


def as_text(data: Described) -> str:
    """Describe a data set in a few aligned lines."""
    lines = [f"Dataset {data.source}"]
    lines += [f"  {label:<14}{text}" for label, text in _facts(data)]
    return "\n".join(lines)


def as_html(data: Described) -> str:
    """Describe a data set as an HTML table."""
    rows = "".join(
        f'<tr><th style="text-align:left">{escape(label)}</th>'
        f'<td style="text-align:left">{escape(text)}</td></tr>'
        for label, text in _facts(data)
    )
    return f"<table><caption>Dataset {escape(data.source)}</caption>{rows}</table>"


def _facts(data: Described) -> list[tuple[str, str]]:
    facts = [("subjects", _subjects(data)), ("observations", str(len(data.observations)))]
    facts += [(f"  {name}", _output(data, i)) for i, name in enumerate(data.outputs)]
    facts.append(("doses", _doses(data)))
    facts.append(("time", _range(data.records.time, data.units.get("TIME"))))
    if len(data.occasions) > 1:
        facts.append(("occasions", _listing(data.occasions)))
    facts.append(("covariates", "none" if not data.covariates else str(len(data.covariates))))
    facts += [(f"  {name}", _covariate(data, each)) for name, each in data.covariates.items()]
    facts.append(("findings", _findings(data)))
    return facts


def _subjects(data: Described) -> str:
    counts = np.bincount(data.observations.subject, minlength=len(data.subjects))
    low, high = int(counts.min()), int(counts.max())
    each = f"{low}" if low == high else f"{low} to {high}"
    return f"{len(data.subjects)}, with {each} observations each"


def _output(data: Described, output: int) -> str:
    mine = data.observations.output == output
    name = data.outputs[output]
    unit = data.units.get(name, data.units.get("DV"))
    text = f"{int(mine.sum())}, {_range(data.observations.value[mine], unit)}"
    below = int(data.observations.below[mine].sum())
    other = int(data.observations.censored[mine].sum()) - below
    text += f", {below} below the limit" if below else ""
    return f"{text}, {other} above a limit" if other else text


def _doses(data: Described) -> str:
    doses = data.doses.take(np.flatnonzero(np.isin(data.records.evid[data.doses.order], (1, 4))))
    if not len(doses):
        return "none"
    routes = Counter(map(_route, doses.rate.tolist(), doses.compartment))
    ways = ", ".join(f"{count} {route}" for route, count in routes.items())
    extra = int(doses.additional.sum())
    more = f", {extra} additional" if extra else ""
    return f"{len(doses)}, {_range(doses.amount, data.units.get('AMT'))} ({ways}{more})"


def _route(rate: float, compartment: str) -> str:
    kind = "bolus" if rate == 0 else "infusion"
    return f"{kind} into {compartment}"


def _covariate(data: Described, covariate: Covariate) -> str:
    kind = "constant" if covariate.constant else f"varying ({data.covariate_interpolation})"
    missing = f", {len(covariate.missing_rows)} rows missing" if covariate.missing_rows else ""
    missing += "".join(
        _filled(data, each) for each in data.filled if each.covariate == covariate.name
    )
    if covariate.numeric:
        known = covariate.values[~holes(covariate.values)].astype(np.float64)
        return f"{kind}, {_range(known, data.units.get(covariate.name))}{missing}"
    return f"{kind}, {_listing(tuple(map(str, covariate.levels)))}{missing}"


def _filled(data: Described, filled: Filled) -> str:
    """Say how many rows of which subjects were filled by a rule, if any is left in the data."""
    subjects = data.subjects_of(filled.rows)
    if not subjects:
        return ""
    count = int(np.isin(data.records.row, filled.rows).sum())
    whose = f"subject{'s' * (len(subjects) > 1)} {_listing(subjects, 'subjects')}"
    return f", {count} row{'s' * (count > 1)} filled by {filled.rule!r} ({whose})"


def _findings(data: Described) -> str:
    counts = Counter(finding.severity.value for finding in data.findings)
    words = [f"{count} {name}{'s' if count > 1 else ''}" for name, count in counts.items()]
    return ", ".join(words) or "none"


def _range(values: Floats, unit: str | None) -> str:
    if not values.size:
        return "no values"
    low, high = f"{values.min():.5g}", f"{values.max():.5g}"
    span = low if low == high else f"{low} to {high}"
    return f"{span} {unit}" if unit else span


def _listing(labels: tuple[str, ...], what: str = "levels") -> str:
    shown = ", ".join(labels[:8])
    return f"{shown}, ... ({len(labels)} {what})" if len(labels) > 8 else shown
