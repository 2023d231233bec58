"""What the commands say: findings, tables and verdicts, on the terminal or in a pipe."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE, SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bayesnlme.errors import Finding, Severity

WIDE = 120
"""Columns from which on a table of findings stands beside itself instead of stacked."""
PIPED = 160
"""Columns that a table may take where nobody looks at a terminal."""

_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}
_STATISTICS = {
    "mean": "mean",
    "sd": "sd",
    "median": "median",
    "lower": "lower",
    "upper": "upper",
    "cv_percent": "CV %",
    "rhat": "R-hat",
    "ess_bulk": "ESS bulk",
    "ess_tail": "ESS tail",
}
_FOR_WIDE_LINES = ("sd", "median", "ess_tail")


def output() -> Console:
    """Return the console of answers, standard output."""
    return _console(stderr=False)


def messages() -> Console:
    """Return the console of errors and progress, standard error."""
    return _console(stderr=True)


def printable(value: object) -> str:
    r"""Write text from a file without the characters that could steer a terminal.

    Examples
    --------
    >>> printable("subject\x1b[2J")
    'subject\\x1b[2J'
    """
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in str(value))


def one_line(error: object) -> str:
    """Write an error's message on one line."""
    return printable(" ".join(str(error).split()))


def findings_table(findings: Sequence[Finding], *, width: int) -> Table:
    """Lay findings out: one to a line, or stacked where the line is short."""
    if width >= WIDE:
        return _table(_columns_apart(), (_row_apart(each) for each in findings))
    return _table(_columns_stacked(), (_row_stacked(each) for each in findings))


def count_words(findings: Iterable[Finding]) -> str:
    """Count findings by severity.

    Examples
    --------
    >>> count_words([])
    'no errors, no warnings, no notes'
    """
    counts = dict.fromkeys(Severity, 0)
    for each in findings:
        counts[each.severity] += 1
    return ", ".join(f"{n or 'no'} {word}{'' if n == 1 else 's'}" for word, n in counts.items())


def parameter_table(summary: Any, *, width: int) -> Table:
    """Lay out the table that :meth:`Fit.summary` made; fewer columns where the line is short."""
    wide = width >= WIDE
    there = {key: title for key, title in _STATISTICS.items() if key in summary}
    shown = {key: title for key, title in there.items() if wide or key not in _FOR_WIDE_LINES}
    caption = f"lower and upper: {summary.attrs['interval']} posterior interval"
    table = Table(box=SIMPLE_HEAD, pad_edge=False, caption=caption, caption_style="dim")
    table.add_column("", no_wrap=True)
    for title in shown.values():
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    for name, row in summary.iterrows():
        numbers = [_number(column, row[column]) for column in shown]
        table.add_row(Text(printable(name)), *numbers, Text(printable(row["unit"])))
    return table


def statistics_table(statistics: Any, *, draws: int) -> Table:
    """Lay out observed statistics beside those of studies drawn from the prior."""
    caption = f"central 95 % of {draws} studies drawn from the prior; p: Box's, two-sided"
    table = Table(box=SIMPLE_HEAD, pad_edge=False, caption=caption, caption_style="dim")
    table.add_column("")
    for title in ("observed", "lower", "median", "upper", "p"):
        table.add_column(title, justify="right", no_wrap=True)
    for row in statistics.itertuples():
        numbers = [
            _number("statistic", each)
            for each in (row.observed, row.lower, row.median, row.upper, row.p_value)
        ]
        style = "yellow" if row.conflict else ""
        table.add_row(Text(printable(f"{row.output}, {row.statistic}")), *numbers, style=style)
    return table


def verdict(words: str, status: str) -> Text:
    """Colour the verdict by how the fit ended."""
    return Text(printable(words), style="green" if status == "converged" else "bold red")


def say(words: str) -> None:
    """Write a line as it is, however long."""
    output().print(Text(words), soft_wrap=True)


def say_places(places: Mapping[str, Path]) -> None:
    """List files, each after a word for what it is."""
    say("")
    for word, path in places.items():
        say(f"{word:<8}{path}")


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False, soft_wrap=False)
    return console if console.is_terminal else Console(stderr=stderr, highlight=False, width=PIPED)


def _table(columns: Sequence[dict[str, Any]], rows: Iterable[Sequence[Text]]) -> Table:
    table = Table(box=SIMPLE, pad_edge=False, show_lines=False, expand=False)
    for column in columns:
        table.add_column(**column, vertical="top")
    for row in rows:
        table.add_row(*row)
    return table


def _columns_apart() -> list[dict[str, Any]]:
    short = ("severity", "code", "subject", "row", "column")
    return [{"header": name, "no_wrap": name == "code"} for name in short] + [
        {"header": "what was seen", "ratio": 1},
        {"header": "what to do", "ratio": 1},
    ]


def _row_apart(finding: Finding) -> list[Text]:
    place = (finding.subject, finding.row, finding.column)
    return [
        Text(finding.severity, style=_STYLES[finding.severity]),
        Text(finding.code),
        *(Text("" if each is None else printable(each)) for each in place),
        Text(printable(finding.message)),
        Text(printable(finding.remedy)),
    ]


def _columns_stacked() -> list[dict[str, Any]]:
    return [
        {"header": "finding and place"},
        {"header": "what was seen, and what to do", "ratio": 1},
    ]


def _row_stacked(finding: Finding) -> list[Text]:
    place = printable(finding.place.replace(", ", "\n"))
    head = Text.assemble((finding.code, _STYLES[finding.severity]), f"\n{place}")
    return [head, Text(printable(f"{finding.message}\n{finding.remedy}\n"))]


def _number(column: str, value: float) -> str:
    if math.isnan(value):
        return ""
    if column.startswith("ess") or 1000 <= abs(value) < 1e6:
        return f"{value:.0f}"
    return f"{value:.3f}" if column == "rhat" else f"{value:#.3g}".rstrip(".")
