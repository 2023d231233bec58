"""Units of the table against units of the model, where both state them."""

import math
from collections.abc import Iterator, Mapping

from bayesnlme.data import Dataset
from bayesnlme.data.units import unit_factor
from bayesnlme.errors import Finding
from bayesnlme.model.model import Model


def unit_findings(model: Model, data: Dataset, outputs: Mapping[str, str]) -> Iterator[Finding]:
    """Yield every balance of the structure that the stated units do not keep.

    The structure says which products of units must be pure numbers equal to 1, such as
    amount / (volume * concentration); a balance with a unit that nobody stated is passed over.

    Parameters
    ----------
    model : Model
        The model.
    data : Dataset
        The table.
    outputs : mapping of str to str
        The model's name of each label in the table.
    """
    units = _units(model, data, outputs)
    for balance in model.structure.balances:
        if all(name in units for name in balance):
            factor = unit_factor([(units[name], power) for name, power in balance.items()])
            if factor is None or not math.isclose(factor, 1.0, rel_tol=1e-9):
                column = next((c for c in ("AMT", "TIME") if c in balance), None)
                yield _finding(balance, units, factor, column)


def _units(model: Model, data: Dataset, outputs: Mapping[str, str]) -> dict[str, str]:
    stated = {name: each.unit for name, each in model.parameters.items() if each.unit}
    measured = {name: data.units[name] for name in ("TIME", "AMT") if name in data.units}
    for label, output in outputs.items():
        unit = data.units.get(label, data.units.get("DV"))
        if unit is not None:
            measured[output] = unit
    return stated | measured


def _finding(
    balance: Mapping[str, int], units: Mapping[str, str], factor: float | None, column: str | None
) -> Finding:
    listed = ", ".join(f"{name} in {units[name]}" for name in balance)
    if factor is None:
        seen = f"The units cannot belong together: {listed}."
        remedy = "Correct the unit that is wrong, in the model or in read_data(..., units=...)."
    else:
        seen = f"The units are off by a factor of {factor:g}: {listed}."
        remedy = "Convert the column, or state the model's parameters in matching units."
    return Finding(code="E_UNITS_AT_ODDS", message=seen, remedy=remedy, column=column)
