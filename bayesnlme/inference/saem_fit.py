"""SAEM through the one door: its estimates, and the likelihood there by importance sampling."""

import time
from collections.abc import Callable, Mapping

import numpy as np
import xarray as xr

from bayesnlme import names
from bayesnlme._types import Floats
from bayesnlme.graph.build import Population
from bayesnlme.inference.importance import PARETO_LIMIT, by_subject, heavy_subjects
from bayesnlme.inference.likelihood_tree import evaluated_groups, top
from bayesnlme.inference.saem import SAEMResult, run_saem
from bayesnlme.inference.saem_options import SAEM
from bayesnlme.marginal.conditional import Conditional
from bayesnlme.marginal.importance import sample_effects
from bayesnlme.population.priors import Fixed
from bayesnlme.results.status import Status

DRAWS, DF = 2000, 5.0
"""Of each subject's random effects, for the OFV; most degrees of freedom of their proposal."""


def fit_by_saem(
    population: Population,
    method: SAEM,
    *,
    seed: int,
    watch: Callable[[int, int], None] | None = None,
) -> tuple[Status, dict[str, xr.Dataset], Mapping[str, float]]:
    """Maximise the likelihood by SAEM; return how it ended, the groups of the tree, wall times.

    Raises
    ------
    DataError, FitError, InterruptedFitError, ModelError
        See :func:`bayesnlme.inference.saem.run_saem`.
    """
    began = time.perf_counter()
    conditional = Conditional(population)
    found = run_saem(conditional, method, seed=seed, watch=watch)
    searched = time.perf_counter()
    weighted = sample_effects(
        conditional,
        found.theta,
        draws=DRAWS,
        df=_degrees_of_freedom(conditional, found.theta),
        rng=np.random.default_rng(seed),
        start=found.mean,
    )
    values = by_subject(weighted)
    problems = list(found.problems)
    if heavy := heavy_subjects(values["pareto_k"], population):
        problems.append(
            f"The OFV may not be believed: the weights of subject {heavy} have a Pareto k above "
            f"{PARETO_LIMIT}."
        )
    free = ~found.at_bound
    if not (np.linalg.eigvalsh(found.information[np.ix_(free, free)]) > 0).all():
        problems.append(
            "The information of the estimates is not positive definite, so they have no standard "
            "errors; a variance near zero looks so. bn.Laplace() names it."
        )
    status = Status.AT_BOUND if found.at_bound.any() else Status.CONVERGED
    if problems:
        status = Status.NOT_CONVERGED
    if found.interrupted:
        status = Status.INTERRUPTED
        problems.append("It was interrupted.")
    attributes = {
        "title": method.title,
        "iterations": len(found.trace),
        "problems": "\n".join(problems),
        "notes": " ".join(found.notes),
    }
    groups = evaluated_groups(conditional, found.theta, values, weighted.modes, attributes)
    groups["likelihood"] = groups["likelihood"].merge(_top(conditional, found))
    seconds = {"search": searched - began, "likelihood": time.perf_counter() - searched}
    return status, groups, seconds


def _degrees_of_freedom(conditional: Conditional, theta: Floats) -> float:
    """Return those of a proposal whose tails are no shorter than those of the effects."""
    natural = conditional.natural(theta)
    tails = {k: v for each in conditional.population.model.layers for k, v in each.tails.items()}
    found = [
        prior.value if isinstance(prior, Fixed) else float(natural[names.shape(name, "df")].item())
        for name, prior in tails.items()
    ]
    return min([DF, *found])


def _top(conditional: Conditional, found: SAEMResult) -> xr.Dataset:
    """Return scores, information, Monte-Carlo errors and the way."""
    slopes = (found.scores, found.information, found.at_bound)
    return top(conditional, found.theta, slopes, found.trace).assign(
        monte_carlo_error=("parameter", found.noise)
    )
