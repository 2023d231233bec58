"""Whether a design can tell apart what a model asks for, before sampling."""

import re
from collections.abc import Iterator

import numpy as np
from scipy.sparse.csgraph import connected_components

from bayesnlme import names
from bayesnlme._types import Floats, Integers
from bayesnlme.errors import Finding, ModelError, Severity
from bayesnlme.graph.build import Population
from bayesnlme.graph.flat import Variable
from bayesnlme.marginal.conditional import Conditional
from bayesnlme.marginal.information import expected_information
from bayesnlme.marginal.laplace import LaplaceApproximation
from bayesnlme.population.priors import Prior

FLAT = 1e-7
"""An eigenvalue of the information, scaled to a unit diagonal, that counts as none."""

VAGUE = 1.0
"""Expected standard error of the log of a positive parameter that a warning tells of."""

_PART = 0.25
_JOINED = 1e-2
_SUFFIX = re.compile(r"_(log|logodds|interval)__$")


def identifiability_findings(population: Population) -> Iterator[Finding]:
    """Yield warnings where the data will say nothing, or little, of a parameter.

    From the expected information at the starting values; for outcomes that are not normal, from
    the scores of the subjects under Laplace's approximation, which vanish along a direction that
    no subject's likelihood depends on.
    """
    yield from _one_subject(population)
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
    for group, ways in _flat_groups(vectors[:, flat]):
        yield _flat(population, [titles[k] for k in known[group]], ways)
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


def _one_subject(population: Population) -> Iterator[Finding]:
    """Warn where variability between subjects is asked of a single one."""
    model = population.model
    sds = [
        layer.names.sd_entry(name)
        for layer in model.layers
        if layer.names is names.SUBJECTS
        for name, prior in layer.priors.items()
        if isinstance(prior, Prior)
    ]
    if population.data.n_subjects == 1 and sds:
        yield _warning(
            "W_ONE_SUBJECT",
            f"The table has one subject, from which variability between subjects "
            f"({', '.join(sds)}) cannot be learnt: only its prior will speak.",
            "Leave the random effects out, fix their standard deviations with bn.fixed, or add "
            "subjects.",
        )


def _flat_groups(vectors: Floats) -> Iterator[tuple[Integers, int]]:
    """Yield the parameters that flat directions join, and in how many ways they can change.

    Parameters
    ----------
    vectors : array, shape (parameter, direction)
        Orthonormal directions without information. Their projector does not depend on which basis
        of the flat space they are.
    """
    projector = vectors @ vectors.T
    share = np.sqrt(np.diag(projector))
    involved = np.flatnonzero(share > _PART * share.max(initial=0.0))
    joined = np.abs(projector[np.ix_(involved, involved)]) > _JOINED
    count, label = connected_components(joined, directed=False)
    for number in range(count):
        group = involved[label == number]
        yield group, max(round(float(np.diag(projector)[group].sum())), 1)


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


def _flat(population: Population, titles: list[str], ways: int) -> Finding:
    listed = " and ".join([", ".join(titles[:-1]), titles[-1]] if titles[1:] else titles)
    counts = np.bincount(population.data.observations.subject)
    single = " Every subject has one observation." if counts.max() == 1 else ""
    together = "together" if ways == 1 else f"together in {ways} ways"
    count = "one" if ways == 1 else str(ways)
    return _warning(
        "W_NOT_IDENTIFIED",
        f"This design cannot tell {listed} apart: they can change {together} and nothing that is "
        f"expected to be seen changes.{single}",
        f"Fix {count} of them with bn.fixed or a prior from elsewhere, leave out as many, "
        "or add observations that differ in what they say of them.",
    )


def _warning(code: str, message: str, remedy: str) -> Finding:
    return Finding(code=code, message=message, remedy=remedy, severity=Severity.WARNING)
