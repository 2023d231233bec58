"""What ``bayesnlme check MODEL.toml [DATA.csv]`` does; it needs no sampler."""

from pathlib import Path

from bayesnlme.cli import show, tables
from bayesnlme.cli.refusals import FINE
from bayesnlme.data import read_data
from bayesnlme.errors import DataError
from bayesnlme.marginal.check import check
from bayesnlme.model.toml import read_model, reading_options


def look(path: Path) -> int:
    """Print a model as equations; return the exit code.

    Raises
    ------
    ModelError
        If the file is not a model.
    """
    model = read_model(path)
    show.say(show.printable(model))
    return FINE


def look_with_table(path: Path, table: Path) -> int:
    """Print every finding about a table next to a model; return the exit code.

    Raises
    ------
    ModelError
        If the file is not a model.
    """
    model = read_model(path)
    try:
        findings = check(model, read_data(table, **reading_options(path)))
    except DataError as problem:
        findings = problem.findings
    return tables.tell(f"{table.name or table} with {path.name}", findings)
