"""Models as TOML files: the content of :meth:`Model.to_dict`, and how to read the table.

A file may hold a table ``[data]`` with the options of :func:`bayesnlme.data.read_data`: which
column is which, units, names of outputs. It is no part of the model; `reading_options` returns it.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.items import Item

from bayesnlme.data.roles import MEANINGS
from bayesnlme.errors import ModelError
from bayesnlme.model import entries
from bayesnlme.model.content import model_from_dict
from bayesnlme.model.entries import Read
from bayesnlme.model.model import Model

_COLUMNS = tuple(role.lower() for role in MEANINGS)


def read_model(path: str | Path) -> Model:
    """Read a model from a TOML file.

    Parameters
    ----------
    path : str or Path
        The file. Its table ``[data]`` is checked, and left to `reading_options`.

    Returns
    -------
    Model
        The model.

    Raises
    ------
    ModelError
        If the file is not TOML or not a model; the message gives the path of the entry.
    """
    return parse_model(_text(path), str(path), folder=Path(path).parent)


def parse_model(text: str, source: str = "model", *, folder: Path | None = None) -> Model:
    """Read a model from TOML text; see :func:`read_model`.

    A table ``[published]`` names a table of priors, relative to ``folder``.

    Examples
    --------
    >>> parse_model('''
    ... name = "first"
    ... parameters.CL = {typical = 4.0, iiv = 0.3}
    ... parameters.V = {typical = 70.0}
    ... structure.kind = "one_compartment"
    ... observations.conc = {error = "additive", additive = 1.0}
    ... ''').effects
    ('CL',)
    """
    content = _parse(text, source)
    with entries.at(source):
        _reading(content.pop("data", {}), "data")
        published = _published(content.pop("published", {}), "published", folder)
        model = model_from_dict(content)
    with entries.at(f"{source}: published"):
        return model.with_priors(**published) if published else model


def reading_options(path: str | Path) -> dict[str, Any]:
    """Return the keywords for :func:`bayesnlme.data.read_data` that a model's file states.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    dict
        Empty where the file has no table ``[data]``.

    Raises
    ------
    ModelError
        If the file is not TOML, or its table ``[data]`` is not understood.
    """
    content = _parse(_text(path), str(path))
    with entries.at(str(path)):
        return _reading(content.get("data", {}), "data")


def write_model(model: Model, reading: Mapping[str, Any] | None = None) -> str:
    """Write a model as TOML text, which :func:`parse_model` reads back.

    Parameters
    ----------
    model : Model
        The model.
    reading : mapping, optional
        Keywords for :func:`bayesnlme.data.read_data`, written as the table ``[data]``.

    Returns
    -------
    str
        The text; the same for the same model.
    """
    content = model.to_dict()
    document = tomlkit.document()
    for key in ("name", "correlated", "correlated_occasion", "lkj"):
        if key in content:
            document.add(key, _inline(content[key]))
    for key in ("parameters", "observations"):
        parts = tomlkit.table(is_super_table=True)
        for name, part in content[key].items():
            parts.add(name, _section(part))
        document.add(key, parts)
    document.add("structure", _section(content["structure"], nested=True))
    if reading:
        document.add("data", _section(_as_table(reading), nested=True))
    return tomlkit.dumps(document)


def _text(path: str | Path) -> str:
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError as problem:
        raise ModelError(f"{path}: there is no such file.") from problem
    except UnicodeDecodeError as problem:
        raise ModelError(f"{path}: not TOML, which is text in UTF-8.") from problem
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise ModelError(f"{path}: cannot be read: {reason}.") from problem


def _parse(text: str, source: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as problem:
        raise ModelError(f"{source}: not TOML: {problem}") from problem


def _reading(value: Any, where: str) -> dict[str, Any]:
    """Take the table ``[data]`` as keywords of `read_data`."""
    read: dict[str, Read] = {
        "columns": _columns,
        "units": _words,
        "outputs": _words,
        "covariates": entries.texts,
        "covariate_interpolation": _interpolation,
        "fill": _rules,
        "missing": entries.texts,
        "encoding": entries.text,
    }
    given = entries.table(value, where)
    entries.keys(given, where, tuple(read))
    taken = {key: read[key](each, f"{where}.{key}") for key, each in given.items()}
    return taken.pop("columns", {}) | taken


def _rules(value: Any, where: str) -> dict[str, Any]:
    """Take by covariate a rule, or a value."""
    return {
        key: each if isinstance(each, str) else entries.number(each, entries.below(where, key))
        for key, each in entries.table(value, where).items()
    }


def _published(value: Any, where: str, folder: Path | None) -> dict[str, Any]:
    """Take the table ``[published]`` as arguments of `Model.with_priors`."""
    read: dict[str, Read] = {
        "table": entries.text,
        "source": entries.text,
        "inflate": entries.number,
        "units": _words,
    }
    given = entries.table(value, where)
    entries.keys(given, where, tuple(read), ("table",) if given else ())
    taken = {key: read[key](each, f"{where}.{key}") for key, each in given.items()}
    if taken and folder is None:
        raise ModelError(f"{where}.table: only a model that is read from a file can name another.")
    return taken | {"table": (folder or Path()) / taken["table"]} if taken else {}


def _interpolation(value: Any, where: str) -> str:
    return entries.choice(value, {"locf": "locf", "nocb": "nocb"}, where)


def _columns(value: Any, where: str) -> dict[str, str | int]:
    given = entries.table(value, where)
    entries.keys(given, where, _COLUMNS)
    return {key: _column(each, f"{where}.{key}") for key, each in given.items()}


def _column(value: Any, where: str) -> str | int:
    """Take the name of a column; ``cmt`` may be the number of a compartment."""
    if where.endswith(".cmt") and not isinstance(value, str):
        return entries.whole(value, where)
    return entries.text(value, where)


def _words(value: Any, where: str) -> dict[str, str]:
    given = entries.table(value, where)
    return {key: entries.text(each, entries.below(where, key)) for key, each in given.items()}


def _as_table(reading: Mapping[str, Any]) -> dict[str, Any]:
    """Put the keywords of `read_data` in the form of the table ``[data]``."""
    columns = {key: value for key, value in reading.items() if key in _COLUMNS}
    others = {key: value for key, value in reading.items() if key not in _COLUMNS}
    return ({"columns": columns} if columns else {}) | others


def _section(part: Mapping[str, Any], *, nested: bool = False) -> Item:
    """Write a table; the tables in it inline, or where ``nested`` below it."""
    section = tomlkit.table()
    below = {key: value for key, value in part.items() if nested and isinstance(value, Mapping)}
    for key, value in part.items():
        if key not in below:
            section.add(key, _inline(value))
    for key, value in below.items():
        section.add(key, _section(value))
    return section


def _inline(value: Any) -> Item:
    """Write a value on one line; an array of tables with one table to a line."""
    if isinstance(value, Mapping):
        line = tomlkit.inline_table()
        for key, each in value.items():
            line.add(key, _inline(each))
        return line
    if isinstance(value, list | tuple):
        rows = tomlkit.array()
        for each in value:
            rows.append(_inline(each))
        return rows.multiline(any(isinstance(each, Mapping) for each in value))
    return tomlkit.item(value)
