"""What ``bayesnlme fit`` and ``bayesnlme demo`` do, once their arguments are known."""

import time
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from bayesnlme.cli import folders, show
from bayesnlme.cli.methods import ESTIMATORS, MethodName
from bayesnlme.cli.refusals import FINE, INTERRUPTED, NOT_CONVERGED
from bayesnlme.data import Dataset, read_data
from bayesnlme.data.datasets import theophylline
from bayesnlme.errors import DataError, Finding, Severity
from bayesnlme.inference.fit import Method, fit
from bayesnlme.inference.likelihood import FO, FOCE, Laplace, Quadrature
from bayesnlme.inference.mode import Mode
from bayesnlme.inference.nuts import NUTS
from bayesnlme.inference.saem_options import SAEM
from bayesnlme.inference.variational import Variational
from bayesnlme.model.examples import theophylline_model
from bayesnlme.model.matching import table_findings
from bayesnlme.model.model import Model
from bayesnlme.model.toml import read_model, reading_options, write_model
from bayesnlme.reports.page import report
from bayesnlme.results.fit import Fit
from bayesnlme.results.status import Status

METHODS = {
    each.name: each for each in (NUTS, Variational, FO, FOCE, Laplace, Quadrature, SAEM, Mode)
}
_CODES = {
    Status.CONVERGED: FINE,
    Status.AT_BOUND: FINE,
    Status.NOT_CONVERGED: NOT_CONVERGED,
    Status.INTERRUPTED: INTERRUPTED,
}
_TIMES = {
    "compile": "to compile",
    "search": "to search",
    "approximate": "to approximate",
    "weigh": "to weigh",
    "sample": "to sample",
    "likelihood": "for the likelihood",
}


def demo(folder: Path, *, seed: int, options: Mapping[str, Any], began: float) -> int:
    """Fit theophylline, and leave behind what is needed to go on from there.

    Parameters
    ----------
    folder : Path
        Where the files go.
    seed : int
        Seed of the fit.
    options : mapping
        Options of `NUTS`.
    began : float
        When the command began, by `time.perf_counter`.

    Returns
    -------
    int
        The exit code.
    """
    folders.prepare(folder)
    data, model = theophylline(), theophylline_model()
    places = {"model": folder / "theophylline.toml", "data": folder / "theophylline.csv"}
    recipe = write_model(model, {"units": dict(data.units)})
    folders.leave(places["model"], recipe.encode())
    folders.leave(places["data"], (files("bayesnlme.data") / "theophylline.csv").read_bytes())
    stem = folder / "theophylline"
    found = _fit_and_write(model, data, stem, method=NUTS(**options), seed=seed)
    show.say_places(_places(stem) | places)
    _say_times(found, began)
    show.say("\nNext: open the report, change the model, and fit it again:")
    show.say(f"  bayesnlme fit {places['model']} {places['data']} -o {folder / 'mine'}")
    return _CODES[found.status]


def fit_table(
    inputs: tuple[Path, Path],
    folder: Path,
    *,
    method: tuple[MethodName, Mapping[str, Any]],
    seed: int,
    began: float,
) -> int:
    """Read, check and fit; write the fit, the table of parameters and the report.

    Parameters
    ----------
    inputs : tuple of two Paths
        The model and the table.
    method : tuple of name and mapping
        The estimator, and the options that were given for it.
    folder, seed, began
        As for `demo`.

    Returns
    -------
    int
        The exit code.

    Raises
    ------
    BayesNLMEError
        If the model or the table is not usable.
    OSError
        If the folder cannot be written to.
    """
    model_path, data_path = inputs
    model = read_model(model_path)
    data = read_data(data_path, **reading_options(model_path))
    places = _places(folder / model_path.stem)
    folders.prepare(folder)
    folders.spare(inputs, places.values())
    stem = folder / model_path.stem
    found = _fit_and_write(model, data, stem, method=_estimator(*method), seed=seed)
    show.say_places(places)
    _say_times(found, began)
    return _CODES[found.status]


def _estimator(name: MethodName, given: Mapping[str, Any]) -> Method:
    chosen = ESTIMATORS[name]
    return METHODS[chosen.called](**given, **chosen.settings)


def _fit_and_write(model: Model, data: Dataset, stem: Path, *, method: Method, seed: int) -> Fit:
    show.say(show.printable(data))
    _refuse_errors((*data.findings, *table_findings(model, data)), data)
    show.messages().print(
        f"\nCompiling (the first time up to a minute), then {_work(method)} ...", soft_wrap=True
    )
    found = fit(model, data, method=method, seed=seed)
    places = _places(stem)
    found.save(places["fit"])  # before anything that may fail: the draws are what took the time
    summary = found.summary()
    summary.to_csv(places["table"], index_label="parameter")
    report(found, places["report"])
    console = show.output()
    console.print(show.parameter_table(summary, width=console.width))
    console.print(show.verdict(found.verdict, found.status), soft_wrap=True)
    if not found.has_draws:
        show.say(show.criteria(found.likelihood))
    return found


def _work(method: Method) -> str:
    if isinstance(method, NUTS):
        return f"{method.chains} chains of {method.tune} warm-up and {method.draws} kept draws"
    return method.title


def _refuse_errors(findings: tuple[Finding, ...], data: Dataset) -> None:
    errors = [each for each in findings if each.severity is Severity.ERROR]
    if errors:
        raise DataError(errors, data.source)
    warnings = [each for each in findings if each.severity is Severity.WARNING]
    if warnings:
        console = show.messages()
        console.print(show.findings_table(warnings, width=console.width))


def _places(stem: Path) -> dict[str, Path]:
    """Return the files of a fit."""
    ends = {"fit": ".nc", "table": "_summary.csv", "report": ".html"}
    return {word: stem.with_name(stem.name + end) for word, end in ends.items()}


def _say_times(found: Fit, began: float) -> None:
    total, seconds = time.perf_counter() - began, found.provenance["seconds"]
    parts = [f"{seconds[part]:.0f} s {words}" for part, words in _TIMES.items() if part in seconds]
    show.say(f"\n{total:.0f} s in all: {', '.join(parts)}, the rest to start, predict and report.")
