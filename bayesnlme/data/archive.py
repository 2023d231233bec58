"""A data set as text that gives back exactly that data set.

`Dataset.to_frame` with `read_data` is for people: labels are read anew there, and a label such as
``"."`` or ``"NA"`` is taken for a hole. Here every array is written as it is.
"""

import json
import math
from dataclasses import asdict, fields
from typing import Any, get_type_hints

import numpy as np

from bayesnlme.data.arrays import Booleans, Floats, Values
from bayesnlme.data.dataset import Dataset
from bayesnlme.data.filling import Filled
from bayesnlme.data.options import as_interpolation
from bayesnlme.data.records import Records, make_covariate
from bayesnlme.errors import Finding, Severity

_LABELS = ("subjects", "outputs", "occasions")
_KINDS = get_type_hints(Records)


def dump_data(data: Dataset) -> str:
    """Write a data set as JSON; holes are null.

    Parameters
    ----------
    data : Dataset
        What to write.

    Returns
    -------
    str
        ASCII text.
    """
    content: dict[str, Any] = {name: getattr(data, name) for name in (*_LABELS, "source")}
    content["units"] = dict(data.units)
    content["covariate_interpolation"] = data.covariate_interpolation
    content["filled"] = [asdict(each) for each in data.filled]
    content["findings"] = [asdict(each) for each in data.findings]
    content["records"] = {
        field.name: _plain(getattr(data.records, field.name)) for field in fields(Records)
    }
    content["covariates"] = {
        name: {"numeric": each.numeric, "values": _plain(each.values)}
        for name, each in data.covariates.items()
    }
    return json.dumps(content, allow_nan=False)


def parse_data(text: str) -> Dataset:
    """Read what `dump_data` wrote.

    Parameters
    ----------
    text : str
        The JSON text.

    Returns
    -------
    Dataset
        With the hash, the rows and the findings of the one that was written.

    Raises
    ------
    ValueError, TypeError, KeyError, IndexError, DataError
        If the text is something else.
    """
    content = json.loads(text)
    records = Records(
        **{field.name: _column(field.name, content["records"]) for field in fields(Records)}
    )
    return Dataset(
        **{name: tuple(content[name]) for name in _LABELS},
        units=content["units"],
        source=content["source"],
        findings=tuple(_finding(each) for each in content["findings"]),
        records=records,
        covariate_interpolation=as_interpolation(content.get("covariate_interpolation", "locf")),
        filled=tuple(
            Filled(covariate=each["covariate"], rule=each["rule"], rows=tuple(each["rows"]))
            for each in content.get("filled", [])
        ),
        covariates={
            name: make_covariate(name, _values(each), records)
            for name, each in content["covariates"].items()
        },
    )


def _plain(column: Any) -> list[Any]:
    return [_cell(cell) for cell in np.asarray(column).tolist()]


def _cell(cell: Any) -> Any:
    """Return a cell as JSON has it: a hole is null, an infinite number its name."""
    if isinstance(cell, float) and math.isinf(cell):
        return str(cell)
    return None if _is_hole(cell) else cell


def _is_hole(cell: object) -> bool:
    return isinstance(cell, float) and math.isnan(cell)


def _column(name: str, columns: dict[str, list[Any]]) -> Any:
    cells, kind = columns[name], _KINDS[name]
    if kind is Floats:
        return _numbers(cells)
    if kind == tuple[str, ...]:
        return tuple(cells)
    return np.array(cells, dtype=np.bool_ if kind is Booleans else np.int64)


def _numbers(cells: list[Any]) -> Floats:
    numbers = [math.nan if cell is None else float(cell) for cell in cells]
    return np.array(numbers, dtype=np.float64)


def _values(stored: dict[str, Any]) -> Values:
    cells = stored["values"]
    return _numbers(cells) if stored["numeric"] else np.array(cells, dtype=object)


def _finding(stored: dict[str, Any]) -> Finding:
    return Finding(**{**stored, "severity": Severity(stored["severity"])})
