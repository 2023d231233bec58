"""What a table of diagnostics says about itself: whose it is, its status and its units."""

from typing import Any

from bayesnlme.data import Dataset
from bayesnlme.results.fit import Fit


def labels(fit: Fit) -> dict[str, Any]:
    """Return the attributes that every table made from a fit carries."""
    return {
        "model": fit.model.name,
        "status": str(fit.status),
        "converged": fit.converged,
        "time_unit": fit.data.units.get("TIME", ""),
        "units": {output: unit_of(fit.data, output) for output in fit.data.outputs},
    }


def unit_of(data: Dataset, output: str) -> str:
    """Return the unit of an output as declared, or nothing."""
    return data.units.get(output, data.units.get("DV", ""))
