"""Everything that can be said about a model and a table before fitting."""

from bayesnlme.data import Dataset
from bayesnlme.errors import DataError, Finding
from bayesnlme.graph.build import build
from bayesnlme.graph.start import start_findings
from bayesnlme.marginal.identifiability import identifiability_findings
from bayesnlme.model.matching import table_findings
from bayesnlme.model.model import Model


def check(model: Model, data: Dataset, *, identifiability: bool = True) -> tuple[Finding, ...]:
    """Look for what stands between a model and a table, without fitting.

    Parameters
    ----------
    model : Model
        The model.
    data : Dataset
        The table.
    identifiability : bool
        Whether to ask if the design can tell apart what the model asks for, which compiles the
        model and takes seconds.

    Returns
    -------
    tuple of Finding
        What was noticed when the table was read; covariates, outputs, values, doses and units that
        do not fit the model; observations whose density is not finite at the starting values; and
        parameters of which the design says nothing, or which it cannot tell apart, by the expected
        information at the starting values. Empty when there is nothing to say; a fit refuses to
        start on an error.
    """
    found = [*table_findings(model, data)]
    found = [*data.findings, *found]
    if any(each.severity == "error" for each in found):
        return tuple(found)
    try:
        population = build(model, data)
    except DataError as problem:
        return (*found, *problem.findings)
    found += start_findings(population)
    if identifiability and not any(each.severity == "error" for each in found):
        found += identifiability_findings(population)
    return tuple(found)
