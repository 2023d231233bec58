"""SAEM through the one door: its estimates, and the likelihood there by importance sampling."""

import time
from collections.abc import Callable, Mapping

import numpy as np
import xarray as xr

from bayesnlme.graph.build import Population
from bayesnlme.inference.importance import PARETO_LIMIT, by_subject, heavy_subjects
from bayesnlme.inference.likelihood_tree import evaluated_groups, top
from bayesnlme.inference.saem import SAEMResult, run_saem
from bayesnlme.inference.saem_options import SAEM
from bayesnlme.marginal.conditional import Conditional
from bayesnlme.marginal.importance import sample_effects
from bayesnlme.results.status import Status

DRAWS, DF = 2000, 5.0
"""Of each subject's random effects, for the OFV; degrees of freedom of their proposal."""


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
        df=DF,
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
    if not (np.linalg.eigvalsh(found.information) > 0).all():
        problems.append(
            "The information of the estimates is not positive definite, so they have no standard "
            "errors; a variance near zero looks so. bn.Laplace() names it."
        )
    status = Status.NOT_CONVERGED if problems else Status.CONVERGED
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


def _top(conditional: Conditional, found: SAEMResult) -> xr.Dataset:
    """Return scores, information, Monte-Carlo errors and the way."""
    at_bound = np.zeros(found.theta.size, dtype=bool)
    slopes = (found.scores, found.information, at_bound)
    return top(conditional, found.theta, slopes, found.trace).assign(
        monte_carlo_error=("parameter", found.noise)
    )
