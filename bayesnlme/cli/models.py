"""What ``bayesnlme check [--prior] MODEL.toml [DATA.csv]`` does; it needs no sampler."""

from pathlib import Path

from bayesnlme.cli import show, tables
from bayesnlme.cli.refusals import FINE
from bayesnlme.data import read_data
from bayesnlme.diagnostics.prior import prior_predictive
from bayesnlme.errors import DataError, Severity
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


def look_at_prior(path: Path, table: Path, *, seed: int) -> int:
    """Print every finding, those of studies drawn from the prior too; return the exit code.

    Raises
    ------
    ModelError
        If the file is not a model.
    """
    model, name = read_model(path), f"{table.name or table} with {path.name}"
    try:
        data = read_data(table, **reading_options(path))
        findings = check(model, data)
    except DataError as problem:
        return tables.tell(name, problem.findings)
    if any(each.severity is Severity.ERROR for each in findings):
        return tables.tell(name, findings)
    prior = prior_predictive(model, data, seed=seed)
    code = tables.tell(name, (*findings, *prior.findings))
    console = show.output()
    console.print(show.statistics_table(prior.statistics, draws=prior.draws - prior.failed))
    return code
