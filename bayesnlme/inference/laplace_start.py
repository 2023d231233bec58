r"""Where a sampler may start, and on which scales: Laplace's approximation of the posterior.

The population parameters go to the mode of their posterior on the unconstrained scales, where no
variance can be zero, with the random effects integrated out by FOCE [Wang2007]_ or by Laplace's
approximation. The Hessian there, and that of each subject's random effects at their mode, make the
coordinates of :class:`bayesnlme.graph.chart.Chart`, in which the sampler starts with a mass matrix
of one. A first search begins at the numbers of the model; where it does not converge, or there is
no likelihood, others begin around them, further away each time.
"""

import numpy as np

from bayesnlme._types import Floats
from bayesnlme.errors import DataError, FitError, ModelError
from bayesnlme.graph.build import Population
from bayesnlme.graph.chart import Chart
from bayesnlme.graph.places import in_vector
from bayesnlme.graph.start import start_findings
from bayesnlme.inference.maximise import Maximum, Objective, best, maximise
from bayesnlme.marginal.conditional import Conditional
from bayesnlme.marginal.contribution import Approximation
from bayesnlme.marginal.laplace import LaplaceApproximation
from bayesnlme.marginal.linearised import FirstOrderConditional
from bayesnlme.marginal.modes import find_modes, follow

SEARCHES = 4
TRIES = 40
SCATTER = 0.1
"""SD of the n-th starting point around the stated one, over n, on the unconstrained scales."""

TOLERANCE = 1e-3
"""Half a Newton decrement so small is a start; the sampler does the rest."""

MOST_ITERATIONS = 200
LEAST_CURVATURE = 0.1


def laplace_chart(population: Population, kind: str, *, seed: int) -> Chart:
    """Return coordinates in which the posterior is nearly standard normal.

    Parameters
    ----------
    population : Population
        Model and data, not centred.
    kind : "foce" or "laplace"
        How the random effects are integrated out; "foce" becomes "laplace" for what is not normal.
    seed : int
        Seed of further starting points.

    Raises
    ------
    DataError
        If an observation has no density at the starting values.
    FitError
        If every population parameter is fixed, or no search finds a likelihood.
    """
    conditional = Conditional(population)
    if conditional.n_parameters == 0:
        raise FitError("Every population parameter is fixed: use start='stated'.")
    approximation = _approximation(conditional, kind)
    found = _search(approximation, seed)
    if not np.isfinite(found.trace[-1][0]):
        findings = list(start_findings(population))
        if findings:
            raise DataError(findings, population.data.source)
        raise FitError("The likelihood cannot be evaluated at the numbers of the model.")
    theta = found.theta
    modes = find_modes(conditional, theta, found.contributions.modes.z)
    return Chart(
        theta=theta,
        root=_root(found.hessian),
        modes=modes.z,
        way=follow(conditional, theta, modes, full=False).way.transpose(2, 0, 1),
        spread=modes.spread.transpose(2, 0, 1),
        places=in_vector(population),
    )


def _approximation(conditional: Conditional, kind: str) -> Approximation:
    if kind == "foce":
        try:
            conditional.refuse_others_than_normal()
        except ModelError:
            return LaplaceApproximation(conditional)
        return FirstOrderConditional(conditional)
    return LaplaceApproximation(conditional)


def _search(approximation: Approximation, seed: int) -> Maximum:
    conditional, rng = approximation.conditional, np.random.default_rng(seed)
    found: list[Maximum] = []
    for number in range(TRIES):
        scatter = SCATTER * number * rng.standard_normal(conditional.n_parameters)
        objective = Objective(
            approximation=approximation,
            weights=np.ones(conditional.n_subjects),
            log_prior=conditional.log_prior_of_theta,
        )
        start = conditional.start + scatter
        try:
            last = maximise(objective, start, most_iterations=MOST_ITERATIONS, tolerance=TOLERANCE)
        except np.linalg.LinAlgError:  # so far off that a subject's covariance cannot be inverted
            continue
        found.append(last)
        searched = sum(np.isfinite(each.trace[-1][0]) for each in found)
        if last.converged or searched == SEARCHES:
            break
    if not found:
        raise FitError("The likelihood cannot be evaluated around the numbers of the model.")
    return best(found)


def _root(hessian: Floats) -> Floats:
    """Return a root of the inverse; no direction is wider than an SD of three."""
    known = np.where(np.isfinite(hessian), hessian, 0.0)
    values, vectors = np.linalg.eigh(known)
    return np.asarray(vectors / np.sqrt(np.maximum(values, LEAST_CURVATURE)))
