"""Every kind of outcome, and how one is read from plain values."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from bayesnlme.errors import ModelError, did_you_mean
from bayesnlme.observation.categories import BinaryOutcome, OrderedOutcome
from bayesnlme.observation.continuous import (
    AdditiveError,
    CombinedError,
    LogNormalError,
    PowerError,
    ProportionalError,
    Residual,
    StudentError,
)
from bayesnlme.observation.counts import NegativeBinomialCounts, PoissonCounts
from bayesnlme.observation.events import TimeToEvent
from bayesnlme.population.priors import prior_from_value
from bayesnlme.population.spread import deviation_from_value

type Observed = (
    Residual | PoissonCounts | NegativeBinomialCounts | BinaryOutcome | OrderedOutcome | TimeToEvent
)

RESIDUALS: dict[str, Any] = {
    cls.kind: cls
    for cls in (
        AdditiveError,
        ProportionalError,
        CombinedError,
        PowerError,
        LogNormalError,
        StudentError,
    )
}
DISTRIBUTIONS: dict[str, Any] = {
    cls.kind: cls
    for cls in (PoissonCounts, NegativeBinomialCounts, BinaryOutcome, OrderedOutcome, TimeToEvent)
}
KINDS = (*RESIDUALS.values(), *DISTRIBUTIONS.values())
OPTIONS = ("blq", "convention", "link", "first", "repeated")
"""Entries that say something other than a prior; they may be left out."""


def outcome_from_dict(output: str, entries: Mapping[str, Any]) -> Observed:
    """Read back an outcome's ``to_dict``, or what a user wrote in TOML.

    Raises
    ------
    ModelError
        If it is none.
    """
    given = dict(entries)
    key, known = (
        ("distribution", DISTRIBUTIONS) if "distribution" in given else ("error", RESIDUALS)
    )
    kind = given.pop(key, None)
    if not isinstance(kind, str) or kind not in known:
        near = did_you_mean(str(kind), known)
        raise ModelError(f"observations.{output}: {key} = {kind!r}. {near}")
    required, allowed = entries_of(known[kind])
    if set(required) - set(given) or set(given) - set(allowed):
        raise ModelError(
            f"observations.{output}: {key} {kind!r} takes {', '.join(allowed) or 'nothing'}, "
            f"not {', '.join(given) or 'nothing'}."
        )
    taken = {name: _value(output, name, value) for name, value in given.items()}
    if "of" in taken:
        taken["error"] = taken.pop("of")
    found: Observed = known[kind](**taken)
    return found


def entries_of(cls: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the entries a kind of outcome must have and may have in a file."""
    found = tuple("of" if each.name == "error" else each.name for each in fields(cls))
    required = tuple(each for each in found if each not in OPTIONS)
    return required, (*required, *(each for each in OPTIONS if each in found))


def _value(output: str, name: str, value: Any) -> Any:
    what = f"observations.{output}"
    if name in OPTIONS:
        return value
    if name == "of":
        return outcome_from_dict(output, value)
    if name == "thresholds" and not isinstance(value, Mapping | str):
        return [prior_from_value(each, what) for each in value]
    return deviation_from_value(value, what)
