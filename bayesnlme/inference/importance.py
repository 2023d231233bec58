"""The likelihood at given estimates, by importance sampling."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import xarray as xr

from bayesnlme._types import Floats
from bayesnlme.errors import FitError, ModelError
from bayesnlme.graph.build import Population
from bayesnlme.inference.given import unconstrained
from bayesnlme.inference.likelihood_tree import evaluated_groups
from bayesnlme.inference.options import require_count, require_number
from bayesnlme.marginal.conditional import Conditional
from bayesnlme.marginal.importance import WeightedEffects, sample_effects
from bayesnlme.results.fit import Fit
from bayesnlme.results.status import Status

PARETO_LIMIT = 0.7


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImportanceSampling:
    """Evaluate the likelihood at given estimates by importance sampling [Geweke1989]_.

    The OFV has a Monte-Carlo error, ``fit.likelihood.ofv_error``. Each subject's weights are judged
    by Pareto's k [Vehtari2024]_, ``fit.likelihood.pareto_k``: above 0.7 their mean may not be
    believed, and the fit's status is ``NOT_CONVERGED``.

    Parameters
    ----------
    samples : int
        Draws of each subject's random effects; made even.
    df : float
        Degrees of freedom of Student's t around the mode, from which they are drawn.
    at : Fit or mapping of str to float, optional
        The estimates: those of a fit, or a value for each name in ``fit.estimates``, on natural
        scales. The numbers of the model unless given.
    """

    samples: int = 1000
    df: float = 5.0
    at: Fit | Mapping[str, float] | pd.Series | None = None

    name: ClassVar[str] = "ImportanceSampling"
    title: ClassVar[str] = "importance sampling"

    def __post_init__(self) -> None:
        require_count(self.name, "samples", self.samples, least=50)
        object.__setattr__(self, "samples", int(self.samples) + int(self.samples) % 2)
        require_number(self.name, "df", self.df)
        if self.at is not None and not isinstance(self.at, Fit | Mapping | pd.Series):
            raise ModelError(
                f"{self.name}: at={self.at!r} must be a Fit, or values by the names of its "
                "estimates."
            )

    def to_dict(self) -> dict[str, Any]:
        """Return the options that the likelihood depends on."""
        given = self.at.estimates if isinstance(self.at, Fit) else self.at
        at = None if given is None else {name: float(v) for name, v in _named(given).items()}
        return {"name": self.name, "samples": self.samples, "df": float(self.df), "at": at}

    def theta(self, conditional: Conditional) -> Floats:
        """Return the estimates on the unconstrained scales.

        Raises
        ------
        ModelError
            If they are not those of the model.
        """
        if self.at is None:
            return conditional.start
        if not isinstance(self.at, Fit):
            return unconstrained(conditional, _named(self.at))
        if not self.at.has_draws and self.at.model.hash == conditional.population.model.hash:
            group = self.at.tree["likelihood"].to_dataset()
            return np.asarray(group["theta"].values, dtype=np.float64)
        return unconstrained(conditional, _named(self.at.estimates))


def _named(values: Any) -> dict[str, Any]:
    return {str(name): value for name, value in values.items()}


type Evaluated = tuple[Status, dict[str, xr.Dataset], Mapping[str, float]]
"""How it ended, the groups of the tree, wall times."""


def evaluate(population: Population, method: ImportanceSampling, *, seed: int) -> Evaluated:
    """Evaluate the likelihood.

    Raises
    ------
    ModelError
        If the model has no random effects or no population parameters, or the estimates are not
        its own.
    FitError
        If a subject has no density there.
    """
    began = time.perf_counter()
    conditional = Conditional(population)
    if conditional.n_effects == 0 or conditional.n_parameters == 0:
        what = "random effects" if conditional.n_effects == 0 else "parameters to estimate"
        raise ModelError(
            f"{method.name} integrates random effects out at given estimates, and the model has no "
            f"{what}. Without random effects bn.Laplace() is exact."
        )
    theta = method.theta(conditional)
    conditional.density(theta, conditional.no_effects)
    ready = time.perf_counter()
    found = sample_effects(
        conditional,
        theta,
        draws=method.samples,
        df=float(method.df),
        rng=np.random.default_rng(seed),
    )
    values = by_subject(found)
    _require_density(values["log_likelihood"], population)
    problems = _problems(found, values["pareto_k"], population)
    attributes = {
        "title": method.title,
        "words": (
            f"Likelihood at given estimates, by importance sampling with {method.samples} draws a "
            f"subject (Pareto's k at most {values['pareto_k'].max():.2f}):"
        ),
        "problems": "\n".join(problems),
    }
    groups = evaluated_groups(conditional, theta, values, found.modes, attributes)
    seconds = {"compile": ready - began, "sample": time.perf_counter() - ready}
    return Status.NOT_CONVERGED if problems else Status.CONVERGED, groups, seconds


def by_subject(found: WeightedEffects) -> dict[str, Floats]:
    """Return what a fit keeps of each subject's weights, arrays of shape (subject,)."""
    return {
        "log_likelihood": found.log_likelihood,
        "log_likelihood_error": found.standard_error,
        "pareto_k": found.pareto_k,
    }


def heavy_subjects(pareto_k: Floats, population: Population) -> str:
    """List the subjects whose weights may not be believed."""
    return _listed(~(pareto_k <= PARETO_LIMIT), population)


def _problems(found: WeightedEffects, pareto_k: Floats, population: Population) -> list[str]:
    problems = []
    heavy = heavy_subjects(pareto_k, population)
    if heavy:
        problems.append(
            f"The weights of subject {heavy} have a Pareto k above {PARETO_LIMIT}: the OFV may not "
            "be believed. Draw more samples, lower df, or use bn.Quadrature()."
        )
    lost = _listed(~found.modes.found, population)
    if lost:
        problems.append(f"No mode of the random effects was found for {lost}.")
    return problems


def _listed(wrong: np.ndarray, population: Population) -> str:
    return ", ".join(population.data.subjects[k] for k in np.flatnonzero(wrong)[:10])


def _require_density(values: Floats, population: Population) -> None:
    lost = _listed(~np.isfinite(values), population)
    if lost:
        raise FitError(
            f"The likelihood of subject {lost} cannot be evaluated at these estimates: give others."
        )
