"""What ``bayesnlme check DATA.csv`` does; it needs no model and no sampler."""

from pathlib import Path

from bayesnlme.cli import show
from bayesnlme.cli.refusals import BAD_INPUT, FINE
from bayesnlme.data import read_data
from bayesnlme.errors import DataError, Finding, Severity


def look(path: Path) -> int:
    """Print every finding about a table; return the exit code."""
    try:
        findings = read_data(path).findings
    except DataError as problem:
        findings = problem.findings
    return tell(path.name or str(path), findings)


def tell(name: str, findings: tuple[Finding, ...]) -> int:
    """Print findings under what they are about; return the exit code that they mean."""
    show.say(f"{show.printable(name)}: {show.count_words(findings)}")
    if findings:
        console = show.output()
        console.print(show.findings_table(findings, width=console.width))
    return BAD_INPUT if any(each.severity is Severity.ERROR for each in findings) else FINE
