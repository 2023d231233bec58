"""Units as text at the border: read by pint, checked for sense."""

import functools
from collections.abc import Collection, Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any

from bayesnlme.data import table_kinds as kinds
from bayesnlme.errors import Finding, did_you_mean

MEASURES = ("TIME", "AMT", "DV")
BIOLOGICAL = (
    "international_unit = [biological_activity] = IU = U",
    "copy = [copies] = _ = copies",
    "cell = [cells]",
)
"""Units that pint lacks. U is the IU of drugs here (insulin, heparin), not micromole per minute."""


type Unit = Any
"""A unit of pint."""


@functools.cache
def _pint() -> Any:
    """Import pint, which takes half a second, when the first unit is read."""
    return import_module("pint")


@functools.cache
def _registry() -> Any:
    registry = _pint().UnitRegistry(
        cache_folder=None, autoconvert_offset_to_baseunit=True, on_redefinition="ignore"
    )
    for definition in BIOLOGICAL:
        registry.define(definition)
    return registry


def canonical_units(units: Mapping[str, str], aliases: Mapping[str, str]) -> dict[str, str]:
    """Name declared units by TIME, AMT, DV, outputs and covariates.

    Parameters
    ----------
    units : mapping of str to str
        As declared; keys may also be names of the table's columns.
    aliases : mapping of str to str
        Canonical name of each name that a key may have.

    Returns
    -------
    dict of str to str
        Keys that are no alias are kept as they are.
    """
    folded = {alias.casefold(): name for alias, name in aliases.items()}
    return {aliases.get(key, folded.get(key.casefold(), key)): unit for key, unit in units.items()}


def check_units(
    units: Mapping[str, str], known: Collection[str], *, dosed: bool
) -> Iterator[Finding]:
    """Check that units can be read and are possible for what they are given for.

    Parameters
    ----------
    units : mapping of str to str
        By canonical name.
    known : collection of str
        Names that may have a unit.
    dosed : bool
        Whether the table has doses, so that TIME must be a time.

    Yields
    ------
    Finding
        Errors.
    """
    read: dict[str, Unit] = {}
    for name, text in units.items():
        if name not in known:
            yield kinds.UNIT_COLUMN.at(column=name, near=did_you_mean(name, known))
            continue
        unit = _parse(text)
        if isinstance(unit, str):
            yield kinds.UNIT_UNKNOWN.at(column=name, unit=text, reason=unit)
        else:
            read[name] = unit
    if dosed:
        yield from _at_odds(units, read)


def _parse(text: object) -> Unit | str:
    """Read a unit, or say why it cannot be read."""
    if not isinstance(text, str) or not text.strip():
        return "it is no text"
    try:
        return _registry().parse_units(text)
    except _pint().errors.UndefinedUnitError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001  pint lets its tokenizer's errors through
        return f"{type(error).__name__}: {error}"


def _at_odds(units: Mapping[str, str], read: Mapping[str, Unit]) -> Iterator[Finding]:
    time = read.get("TIME")
    if time is not None and not time.is_compatible_with("hour"):
        yield kinds.UNIT_AT_ODDS.at(column="TIME", unit=units["TIME"], reason="it is no time")
    amount = read.get("AMT")
    if amount is not None and any(amount.is_compatible_with(each) for each in ("hour", "meter")):
        reason = "a dose is no time and no length"
        yield kinds.UNIT_AT_ODDS.at(column="AMT", unit=units["AMT"], reason=reason)
    if amount is not None and amount.is_compatible_with("gram/liter"):
        reason = "a dose is an amount, not a concentration"
        yield kinds.UNIT_AT_ODDS.at(column="AMT", unit=units["AMT"], reason=reason)
    if time is not None and read.get("DV") == time:
        reason = "it is the unit of TIME"
        yield kinds.UNIT_AT_ODDS.at(column="DV", unit=units["DV"], reason=reason)


def unit_factor(powers: Sequence[tuple[str, int]]) -> float | None:
    """Multiply units to a pure number.

    Parameters
    ----------
    powers : sequence of (str, int)
        Units as text with their powers.

    Returns
    -------
    float or None
        The number their product stands for, None if it has a dimension.

    Examples
    --------
    >>> unit_factor([("mg", 1), ("L", -1), ("ug/L", -1)])
    1000.0
    >>> unit_factor([("mg", 1), ("h", -1)]) is None
    True
    """
    product = _registry().Quantity(1.0)
    for text, power in powers:
        product = product * _registry().Quantity(1.0, text) ** power
    if not product.check("[]"):
        return None
    return float(product.to_base_units().magnitude)
