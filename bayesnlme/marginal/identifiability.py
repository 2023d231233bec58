"""Whether a design can tell apart what a model asks for, before sampling."""

import re
from collections.abc import Iterator

import numpy as np

from bayesnlme._types import Floats
from bayesnlme.errors import Finding, ModelError, Severity
from bayesnlme.graph.build import Population
from bayesnlme.graph.flat import Variable
from bayesnlme.marginal.conditional import Conditional
from bayesnlme.marginal.information import expected_information
from bayesnlme.marginal.laplace import LaplaceApproximation

FLAT = 1e-7
"""An eigenvalue of the information, scaled to a unit diagonal, that counts as none."""

VAGUE = 1.0
"""Expected standard error of the log of a positive parameter that a warning tells of."""

_PART = 0.25
_SUFFIX = re.compile(r"_(log|logodds|interval)__$")


def identifiability_findings(population: Population) -> Iterator[Finding]:
    """Yield warnings where the data will say nothing, or little, of a parameter.

    From the expected information at the starting values; for outcomes that are not normal, from
    the scores of the subjects under Laplace's approximation, which vanish along a direction that
    no subject's likelihood depends on.
    """
    found = _information(population)
    if found is None:
        return
    conditional, information = found
    entries = [
        (each, k)
        for each in conditional.parameters
        for k in range(each.where.stop - each.where.start)
    ]
    titles = [_title(conditional, *each) for each in entries]
    known = np.flatnonzero(np.diag(information) > 0)
    for k in sorted(set(range(len(titles))) - set(known.tolist())):
        yield _warning(
            "W_NO_INFORMATION",
            f"Nothing in this design depends on {titles[k]}: only its prior will speak.",
            "Fix it with bn.fixed, leave it out, or add observations that depend on it.",
        )
    information = information[np.ix_(known, known)]
    size = np.sqrt(np.diag(information))
    values, vectors = np.linalg.eigh(information / np.outer(size, size))
    flat = values < FLAT * values.max(initial=0.0)
    for vector in vectors[:, flat].T:
        involved = known[np.abs(vector) > _PART * np.abs(vector).max()]
        yield _flat(population, [titles[k] for k in involved])
    if flat.any():
        return
    errors = np.sqrt(np.diag(np.linalg.inv(information)))
    for k, error in zip(known.tolist(), errors, strict=True):
        if error > VAGUE and entries[k][0].name.endswith("_log__"):
            yield _warning(
                "W_LITTLE_INFORMATION",
                f"The expected standard error of the log of {titles[k]} is {error:.2g}: the data "
                "will hardly move its prior.",
                "State what is known of it as its prior, fix it, or plan more observations.",
            )


def _information(population: Population) -> tuple[Conditional, Floats] | None:
    """Return the information, or None where there are too few subjects' scores to go by."""
    try:
        conditional = Conditional(population, interaction=False)
        conditional.refuse_others_than_normal()
        matrix = expected_information(conditional, conditional.start)
    except ModelError:
        conditional = Conditional(population)
        scores = LaplaceApproximation(conditional).at(conditional.start).slope
        matrix = scores.T @ scores
        if len(scores) < conditional.n_parameters:
            return None
    return (conditional, matrix) if np.isfinite(matrix).all() else None


def _title(conditional: Conditional, variable: Variable, k: int) -> str:
    """Name an entry of the vector as tables do: ``"omega[CL]"``."""
    plain = _SUFFIX.sub("", variable.name)
    if variable.shape == ():
        return plain
    graph = conditional.population.pymc
    dims = graph.named_vars_to_dims.get(plain)
    labels = list(graph.coords[dims[0]] or ()) if dims else []
    return f"{plain}[{labels[k] if labels else k}]"


def _flat(population: Population, titles: list[str]) -> Finding:
    listed = " and ".join([", ".join(titles[:-1]), titles[-1]] if titles[1:] else titles)
    counts = np.bincount(population.data.observations.subject)
    single = " Every subject has one observation." if counts.max() == 1 else ""
    return _warning(
        "W_NOT_IDENTIFIED",
        f"This design cannot tell {listed} apart: they can change together and nothing that is "
        f"expected to be seen changes.{single}",
        "Fix one of them with bn.fixed or a prior from elsewhere, take it out of the model, or "
        "add observations that differ in what they say of them.",
    )


def _warning(code: str, message: str, remedy: str) -> Finding:
    return Finding(code=code, message=message, remedy=remedy, severity=Severity.WARNING)
