"""What the page says, as plain values; the template arranges them."""

import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from bayesnlme import names
from bayesnlme.diagnostics.comparison import loo
from bayesnlme.errors import FitError
from bayesnlme.model.model import Model
from bayesnlme.model.toml import write_model
from bayesnlme.population.priors import Fixed
from bayesnlme.reports.numbers import MINUS, listing, number, percent, several, whole
from bayesnlme.results.approximation import Judgement
from bayesnlme.results.fit import Fit

INTERVAL = 0.95
_LAYERS = {names.SUBJECTS: "random effects", names.OCCASIONS: "occasion effects"}

_OF_CHAINS: Mapping[str, tuple[str, Callable[[float], str]]] = {
    "rhat": ("R-hat", "{:.3f}".format),
    "ess_bulk": ("ESS bulk", whole),
    "ess_tail": ("ESS tail", whole),
}

type Rows = list[dict[str, Any]]


def verdict(told: str) -> str:
    """Return a verdict without the word that the banner already says."""
    words = told.removeprefix("NOT CONVERGED. ").removeprefix("Converged: ")
    begins_with_a_name = not words.split(" ", 1)[0].isalpha()
    return words if begins_with_a_name else words[:1].upper() + words[1:]


def opening(fit: Fit, table: pd.DataFrame, convergence: Judgement) -> str:
    """Say in a paragraph what was fitted and, if the fit is final, what came out."""
    data, how = fit.data, fit.method
    outputs = listing(list(data.outputs))
    text = (
        f"{fit.model.name} describes {several(data.n_observations, 'observation')} of {outputs} in "
        f"{several(data.n_subjects, 'subject')}. Its posterior distribution was "
        f"{convergence.source}, by {how['name']}."
    )
    if not fit.converged:
        return f"{text} No estimate is quoted here, because the fit is not a final result."
    what = f"medians with {percent(INTERVAL)} intervals"
    words = estimates_in_words(fit, table, "median", what)
    return " ".join([text, *words, *subjects_in_words(fit, table)])


def estimates_in_words(fit: Fit, table: pd.DataFrame, column: str, what: str) -> Iterator[str]:
    """Tell the typical values, with their intervals where there are any."""
    known = [name for name in fit.model.parameters if names.typical(name) in table.index]
    parts = []
    for name in known:
        row: Mapping[Any, Any] = table.loc[names.typical(name)].to_dict()
        unit = f" {row['unit']}" if row["unit"] else ""
        span = ""
        if np.isfinite(row.get("lower", np.nan)):
            span = f" ({number(row['lower'])} to {number(row['upper'])})"
        parts.append(f"{name} is {number(row[column])}{unit}{span}")
    if parts:
        yield f"The typical value of {listing(parts)}: {what}."


def subjects_in_words(fit: Fit, table: pd.DataFrame) -> Iterator[str]:
    """Tell how much subjects differ."""
    shares = {name: table["cv_percent"].get(f"{names.OMEGA}[{name}]") for name in fit.model.effects}
    parts = [
        f"{share:.0f} % in {name}"
        for name, share in shares.items()
        if share is not None and np.isfinite(share)
    ]
    if parts:
        yield f"Subjects differ by {listing(parts)} (coefficient of variation)."


def prior_table(model: Model) -> Rows:
    """List every prior with its meaning and who chose it."""
    return [
        {
            "text": row.text,
            "meaning": row.meaning,
            "unit": row.unit or "",
            "origin": _origin(row.prior, default=row.default),
            "source": row.source,
        }
        for row in model.priors
    ]


def _origin(prior: object, *, default: bool) -> str:
    if isinstance(prior, Fixed):
        return "known"
    return "default" if default else "stated"


def finding_table(fit: Fit) -> Rows:
    """List what was noticed when the table was read."""
    return [
        {
            "severity": str(each.severity),
            "code": each.code,
            "place": each.place,
            "text": f"{each.message} {each.remedy}",
        }
        for each in fit.data.findings
    ]


def check_table(found: Judgement) -> Rows:
    """List the numbers behind the verdict, each with its limit."""
    return [each._asdict() for each in found.checks]


def without_chains(fit: Fit) -> str:
    """Say why there are no figures of chains."""
    if fit.has_chains:
        return ""
    return "The draws do not come from chains: there are no ranks or traces."


def parameter_groups(fit: Fit, table: pd.DataFrame) -> list[tuple[str, Rows]]:
    """Return the parameter table under headings, the numbers written out."""
    return grouped(fit.model, table, _row)


def grouped(
    model: Model, table: pd.DataFrame, write: Callable[[str, pd.Series], dict[str, str]]
) -> list[tuple[str, Rows]]:
    """Return the rows of a table of parameters under headings, as `write` writes them."""
    kinds = {name: _kind(model, str(name)) for name in table.index}
    headings = dict.fromkeys(kinds.values())
    return [
        (heading, [write(str(name), table.loc[name]) for name in kinds if kinds[name] == heading])
        for heading in headings
    ]


def _kind(model: Model, name: str) -> str:
    if name in {names.typical(each) for each in model.parameters}:
        return "Typical values"
    for layer, words in _LAYERS.items():
        if name.startswith(f"{layer.sd}["):
            return f"Standard deviations of the {words}"
        if name.startswith(f"{layer.corr}["):
            return f"Correlations of the {words}"
    headings = {
        names.shape(parameter, shape.variable): "Shapes of the random effects"
        for layer in model.layers
        for parameter, shape in layer.shapes.items()
    } | {
        layer.names.scale_of(parameter): "Scales of shared random effects"
        for layer in model.layers
        for parameter in layer.shared
    }
    if name in headings:
        return headings[name]
    outcomes = {
        names.magnitude(output, each): outcome.scale
        for output, outcome in model.observations.items()
        for each in outcome.priors()
    }
    if name not in outcomes:
        return "Covariate effects"
    return "Residual error" if outcomes[name] == "continuous" else "Counts and categories"


def _row(name: str, row: pd.Series) -> dict[str, str]:
    written = {column: number(row[column]) for column in ("mean", "sd", "median")}
    return written | {
        "name": name,
        "unit": row["unit"],
        "interval": f"{number(row['lower'])} to {number(row['upper'])}",
        "cv": "" if np.isnan(row["cv_percent"]) else f"{row['cv_percent']:.0f} %",
        **{title: write(row[name]) for name, (title, write) in _OF_CHAINS.items() if name in row},
    }


def chain_columns(table: pd.DataFrame) -> list[str]:
    """Return the titles of the columns of the parameter table that only chains have."""
    return [title for name, (title, _) in _OF_CHAINS.items() if name in table]


def known_values(model: Model) -> list[str]:
    """List the parameters that are known and so not in the table."""
    return [row.text for row in model.priors if isinstance(row.prior, Fixed)]


def loo_summary(fit: Fit) -> dict[str, Any]:
    """Return LOO's numbers with the counts of its diagnostic, or why there are none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the page says it in words
            found = loo(fit)
    except FitError as problem:
        return {"missing": str(problem)}
    k = found.pareto_k.values
    edges = [("good", -np.inf, found.good_k), ("bad", found.good_k, 1.0), ("very bad", 1.0, np.inf)]
    bands = [
        {
            "range": f"above {low:.2g}" if low > -np.inf else f"up to {high:.2g}",
            "meaning": meaning,
            "count": int(((k > low) & (k <= high)).sum()),
        }
        for meaning, low, high in edges
    ]
    return {
        "elpd": f"{found.elpd:.1f}".replace("-", MINUS),
        "se": f"{found.se:.1f}",
        "p": f"{found.p:.1f}",
        "count": k.size,
        "bands": bands,
        "unreliable": int((k > found.good_k).sum()),
    }


def provenance(fit: Fit) -> list[tuple[str, str]]:
    """List what the result was made of."""
    record = fit.provenance
    options = {key: value for key, value in fit.method.items() if key != "name"}
    rows = [
        ("Status", str(fit.status)),
        ("Method", f"{fit.method['name']}, {_pairs(options)}"),
        ("Seed", str(fit.seed)),
        ("Table", f"{record.get('source', fit.data.source)}"),
        ("Table, SHA-256", fit.data.hash),
        ("Model, SHA-256", fit.model.hash),
        ("Fitted", record.get("created", "")),
        ("Time", _seconds(record.get("seconds", {}))),
        ("Python", record.get("python", "")),
        ("Platform", record.get("platform", "")),
        ("Versions", _pairs(record.get("versions", {}), " ")),
        ("Compiler flags", _pairs(record.get("flags", {}))),
    ]
    return [(what, value) for what, value in rows if value]


def _pairs(values: Mapping[str, Any], between: str = " = ") -> str:
    return ", ".join(f"{key}{between}{value}" for key, value in values.items())


def _seconds(values: Mapping[str, float]) -> str:
    return ", ".join(f"{key} {value:.1f} s" for key, value in values.items())


def _reading(fit: Fit) -> str:
    """Return the options that the table was read with, as Python."""
    options: dict[str, Any] = {"units": dict(fit.data.units)}
    if fit.data.covariate_interpolation != "locf":
        options["covariate_interpolation"] = fit.data.covariate_interpolation
    return ", ".join(f"{name}={value!r}" for name, value in options.items())


def _filling(fit: Fit) -> str:
    """Return what filled missing covariate values, as Python."""
    return "".join(f".fill(**{{{each.covariate!r}: {each.rule!r}}})" for each in fit.data.filled)


def recipe(fit: Fit) -> dict[str, str]:
    """Return the model as TOML and the Python that repeats the fit."""
    stem = re.sub(r"\W+", "_", fit.model.name).strip("_") or "model"
    options = ", ".join(f"{k}={v!r}" for k, v in fit.method.items() if k != "name")
    source = str(fit.provenance.get("source", fit.data.source))
    code = [
        "import bayesnlme as bn",
        "",
        f'model = bn.read_model("{stem}.toml")  # the text below',
        f"data = bn.read_data({source!r}, {_reading(fit)}){_filling(fit)}",
        f"fit = bn.fit(model, data, method=bn.{fit.method['name']}({options}), seed={fit.seed})",
        "",
        "# the same model and the same table, to the last bit:",
        f"assert fit.model.hash == {fit.model.hash!r}",
        f"assert fit.data.hash == {fit.data.hash!r}",
    ]
    return {"file": f"{stem}.toml", "model": write_model(fit.model), "code": "\n".join(code)}
