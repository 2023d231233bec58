"""Plain entries of a file, taken as what they should be or refused with their path.

A path reads like the file: ``parameters.CL.covariates[1].reference``; arrays count from 1.
"""

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from bayesnlme.errors import ModelError, did_you_mean

type Read = Callable[[Any, str], Any]
"""Take a plain value and its path; return it as what it should be."""

_HUGE = 1e300
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def below(where: str, key: str) -> str:
    """Return the path of an entry of a table, quoted where TOML quotes it.

    Examples
    --------
    >>> below("parameters", "CL"), below("", "name"), below("units", "C max")
    ('parameters.CL', 'name', 'units."C max"')
    """
    word = key if _BARE.fullmatch(key) else json.dumps(key, ensure_ascii=False)
    return f"{where}.{word}" if where else word


def table(value: Any, where: str) -> Mapping[str, Any]:
    """Take a table."""
    if not isinstance(value, Mapping):
        raise ModelError(f"{where}: {_shown(value)} stands where a table should.")
    return value


def tables(value: Any, where: str) -> dict[str, Mapping[str, Any]]:
    """Take a table of tables."""
    return {key: table(each, below(where, key)) for key, each in table(value, where).items()}


def array(value: Any, where: str) -> list[tuple[str, Any]]:
    """Take an array, each element with its path."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ModelError(f"{where}: {_shown(value)} stands where an array [...] should.")
    return [(f"{where}[{count}]", each) for count, each in enumerate(value, start=1)]


def text(value: Any, where: str) -> str:
    """Take text."""
    if not isinstance(value, str):
        raise ModelError(f"{where}: {_shown(value)} is not text. Put it in quotes.")
    return value


def texts(value: Any, where: str) -> list[str]:
    """Take an array of text."""
    return [text(each, place) for place, each in array(value, where)]


def number(value: Any, where: str, remedy: str = "") -> float:
    """Take a finite number, an integer as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ModelError(f"{where}: {_shown(value)} is not a number. {remedy}".rstrip())
    if not abs(value) < _HUGE:
        raise ModelError(f"{where}: {_shown(value)} is no finite number below {_HUGE:g}.")
    return value


def flag(value: Any, where: str) -> bool:
    """Take true or false."""
    if not isinstance(value, bool):
        raise ModelError(f"{where}: {_shown(value)} is neither true nor false.")
    return value


def whole(value: Any, where: str) -> int:
    """Take a whole number."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ModelError(f"{where}: {_shown(value)} is not a whole number.")
    return value


def choice[Choice](value: Any, known: Mapping[str, Choice], where: str) -> Choice:
    """Take one of a few words, and return what it stands for; None is a missing entry."""
    if value is None:
        raise ModelError(f"{where}: this entry is missing. {did_you_mean('', known)}")
    if not isinstance(value, str) or value not in known:
        near = did_you_mean(value if isinstance(value, str) else "", known)
        raise ModelError(f"{where}: {_shown(value)} is unknown here. {near}")
    return known[value]


def keys(
    given: Mapping[str, Any], where: str, allowed: Collection[str], required: Collection[str] = ()
) -> None:
    """Refuse a table with a key that means nothing here, or without one that it needs."""
    unknown = [
        f"{below(where, key)}: unknown entry {key!r}. {did_you_mean(key, allowed)}"
        for key in given
        if key not in allowed
    ]
    missing = [
        f"{below(where, key)}: this entry is missing." for key in required if key not in given
    ]
    _refuse([*unknown, *missing])


def take(
    given: Mapping[str, Any],
    where: str,
    read: Mapping[str, Read],
    allowed: Collection[str] | None = None,
    required: Collection[str] = (),
) -> dict[str, Any]:
    """Take every entry of a table as `read` says, and refuse together all that are wrong.

    Parameters
    ----------
    given : mapping
        The table.
    where : str
        Its path.
    read : mapping of str to callable
        What takes each entry.
    allowed, required : collection of str
        Keys that may and must be there; all of `read` may unless stated.
    """
    problems: list[str] = []
    known = read if allowed is None else allowed
    with gathered(problems):
        keys(given, where, known, required)
    taken = {}
    for key, value in given.items():
        if key in known:
            with gathered(problems):
                taken[key] = read[key](value, below(where, key))
    _refuse(problems)
    return taken


def take_each[Taken](
    given: Iterable[tuple[str, Any]], read: Callable[[str, Any], Taken]
) -> dict[str, Taken]:
    """Take each of several things by its name or path; refuse together all that are wrong."""
    problems: list[str] = []
    taken = {}
    for key, value in given:
        with gathered(problems):
            taken[key] = read(key, value)
    _refuse(problems)
    return taken


@contextmanager
def gathered(problems: list[str]) -> Iterator[None]:
    """Keep what is refused, to be told with the rest."""
    try:
        yield
    except ModelError as problem:
        problems.append(str(problem))


def _refuse(problems: list[str]) -> None:
    if problems:
        raise ModelError("\n".join(problems))


@contextmanager
def at(where: str) -> Iterator[None]:
    """Say where in the file a model's part was refused."""
    try:
        yield
    except ModelError as problem:
        raise ModelError(f"{where}: {problem}") from problem


def _shown(value: Any) -> str:
    """Write a value of a TOML file, or say what kind it is."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            return repr(value if len(value) <= 60 else value[:57] + "...")
        case int() | float():
            return f"{value}" if isinstance(value, float) or abs(value) < _HUGE else "this integer"
        case Mapping():
            return "a table"
        case Sequence():
            return "an array"
    return f"a {type(value).__name__}"
