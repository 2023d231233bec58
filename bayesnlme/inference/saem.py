r"""SAEM: stochastic approximation of the EM algorithm [Delyon1999]_, [Kuhn2005]_.

At iteration k Markov chains draw the random effects of every subject given the parameters
:math:`\theta_k`. With the gradient :math:`s_k` of the complete-data log likelihood at the draws, a
mean over chains, and its information :math:`C_k`, see :mod:`bayesnlme.marginal.complete`,

.. math:: \theta_{k+1} = \theta_k + C_k^{-1} s_k

in the burn-in, EM's step on one draw [Lange1995]_, halved until the complete-data likelihood grows.
Every fifth one is followed by another, for which the effects at SD 1 are held instead of the
individual parameters, so that these move along: what one of the two climbs slowly the other climbs
fast [Yu2011]_. Meanwhile simulated annealing keeps the standard deviations from shrinking fast, so
that individual parameters can still cross over [Lavielle2014]_. In the last quarter of the burn-in
and in the smoothing,

.. math:: \theta_{k+1} = \theta_k + \gamma_k \, I_k^{-1} s_k, \qquad I_k = C_k - V_k,

with the missing information :math:`V_k` [Louis1982]_, so that EM's slow directions are as quick as
the others [Gu1998]_, and control variates that take most of the noise out of :math:`s_k`, see
:mod:`bayesnlme.inference.averages`; the gain is constant, and in the smoothing
:math:`\gamma_k \propto k^{-0.7}`. The estimate is the mean over the smoothing's last three quarters
[Polyak1992]_. A parameter without a random effect is one more entry of theta. What only approaches
a bound is put there, see :mod:`bayesnlme.inference.saem_bounds`, and its effect, now without
variance, is held at SD 1, so that its typical value can still move.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np

from bayesnlme._types import Booleans, Floats
from bayesnlme.errors import FitError, InterruptedFitError, ModelError
from bayesnlme.inference.ascent import MOST_MISSING, corrected_information, missing_shares
from bayesnlme.inference.saem_iterations import Iterations, Sums
from bayesnlme.inference.saem_options import BATCHES, SAEM
from bayesnlme.marginal.conditional import Conditional

NOISE, DRIFT = 0.2, 0.3
"""Monte-Carlo error of an estimate, and difference between the halves of what it is the mean of, in
standard errors, above which there is no convergence."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SAEMResult:
    """What SAEM gave.

    Attributes
    ----------
    theta : array, shape (parameter,)
        Estimates on the unconstrained scales.
    at_bound : array of bool, shape (parameter,)
        Parameters whose likelihood only approaches a bound, where they were put; what follows is
        not a number of them.
    standard_error, noise : array, shape (parameter,)
        Standard errors from the information, of which at most 98 % count as missing in any
        direction, and Monte-Carlo errors of the estimates.
    information : array, shape (parameter, parameter)
        Observed information of all subjects [Louis1982]_, with the expected one of the individual
        parameters.
    scores : array, shape (subject, parameter)
        Conditional means of the complete-data scores, which are the subjects' scores of the
        likelihood; the sum of their outer products estimates the information too.
    mean : array, shape (subject, effect)
        Conditional means of the random effects at SD 1.
    variance : array, shape (subject, effect, effect)
        Conditional variances.
    trace : array, shape (iteration, parameter)
        Parameters after each iteration; :meth:`Conditional.natural` puts them on natural scales.
    burn_in, averaged_from : int
        Iterations in the burn-in; the first that the estimates are a mean of.
    acceptance : mapping of str to float
        Share of proposals accepted, by kind of transition.
    problems : tuple of str
        Why the estimates are not final, in words.
    notes : tuple of str
        What else to know of them.
    interrupted : bool
        Whether it was stopped early.
    """

    theta: Floats
    at_bound: Booleans
    standard_error: Floats
    noise: Floats
    information: Floats
    scores: Floats
    mean: Floats
    variance: Floats
    trace: Floats
    burn_in: int
    averaged_from: int
    acceptance: dict[str, float]
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    interrupted: bool

    @property
    def converged(self) -> bool:
        """Whether there are no problems, and it was not stopped early."""
        return not self.problems and not self.interrupted


def run_saem(
    conditional: Conditional,
    options: SAEM,
    *,
    seed: int,
    watch: Callable[[int, int], None] | None = None,
) -> SAEMResult:
    """Maximise the likelihood of a population by SAEM.

    It has converged where the Monte-Carlo error of every estimate is at most 0.2 of its standard
    error, and the two halves of the iterations averaged differ by at most 0.3 of it.

    Parameters
    ----------
    conditional : Conditional
        Densities given the random effects; begins at its ``start``.
    options : SAEM
        How long.
    seed : int
        Seed of every random number.
    watch : callable, optional
        Called with the number of each iteration and how many there will be.

    Returns
    -------
    SAEMResult
        An interruption (Ctrl-C) in the averaging keeps what there is.

    Raises
    ------
    DataError
        If an observation has no density at the starting values.
    FitError
        If there is nothing to estimate, or no density at the starting values for another reason.
    InterruptedFitError
        If it was interrupted before there was enough to average.
    ModelError
        If the model has no random effects.
    """
    if conditional.n_parameters == 0:
        raise FitError("Every population parameter is fixed: there is nothing to estimate.")
    if conditional.n_effects == 0:
        raise ModelError("SAEM needs random effects, and the model has none: use bn.Laplace().")
    run = Iterations(conditional, options, seed)
    interrupted = False
    total = options.burn_in + options.smoothing
    try:
        for number in range(total):
            run.iterate(number)
            if watch is not None:
                watch(number + 1, total)
    except KeyboardInterrupt:
        interrupted = True
    if len(run.sums.theta) < BATCHES:
        raise InterruptedFitError("Interrupted before there were estimates to average.")
    return _result(conditional, options, run, interrupted=interrupted)


def _result(
    conditional: Conditional, options: SAEM, run: Iterations, *, interrupted: bool
) -> SAEMResult:
    sums, free = run.sums, ~run.at_bound
    where = np.ix_(free, free)
    theta = np.mean(sums.theta, axis=0)
    complete, missing = np.mean(sums.information, axis=0)[where], run.averages.missing[where]
    left = corrected_information(complete, missing)
    standard_error, noise = np.full((2, theta.size), np.nan)
    standard_error[free] = np.sqrt(np.diag(np.linalg.inv(left)))
    noise[free] = _noise(sums, free, left)
    information = np.full((theta.size, theta.size), np.nan)
    information[where] = complete - missing
    mean = np.mean(sums.mean, axis=0)
    labels = _labels(conditional)
    return SAEMResult(
        theta=theta,
        at_bound=run.at_bound,
        standard_error=standard_error,
        noise=noise,
        information=information,
        scores=np.mean(sums.scores, axis=0),
        mean=mean,
        variance=np.mean(sums.square, axis=0) - mean[:, :, None] * mean[:, None, :],
        trace=np.array(run.trace),
        burn_in=options.burn_in,
        averaged_from=run.averaged_from,
        acceptance=run.transitions.acceptance,
        problems=tuple(_wandering(labels, sums, noise, standard_error)),
        notes=tuple(_undetermined(list(compress(labels, free)), complete, missing)),
        interrupted=interrupted,
    )


def _noise(sums: Sums, free: Booleans, information: Floats) -> Floats:
    r"""Return the Monte-Carlo errors of the estimates that are free.

    That of the mean of :math:`s_k + I (\theta_k - \theta)`, from the means of batches, divided by
    the information.
    """
    theta = np.array(sums.theta)[:, free]
    scores = np.array(sums.gradient)[:, free] + (theta - theta.mean(axis=0)) @ information
    means = np.array([each.mean(axis=0) for each in np.array_split(scores, BATCHES)])
    errors = np.linalg.solve(information, (means - means.mean(axis=0)).T)
    return np.sqrt((errors**2).sum(axis=1) / (BATCHES * (BATCHES - 1)))


def _wandering(
    labels: Sequence[str], sums: Sums, noise: Floats, standard_error: Floats
) -> Iterator[str]:
    """Yield in words which estimates have not settled."""
    first, second = (each.mean(axis=0) for each in np.array_split(np.array(sums.theta), 2))
    drift, noise = np.abs(second - first) / standard_error, noise / standard_error
    for k, label in enumerate(labels):
        if drift[k] > DRIFT:
            yield (
                f"{label} still drifts, by {drift[k]:.2g} standard errors. Make burn_in and "
                "smoothing longer, or leave out what the data do not determine."
            )
        elif noise[k] > NOISE:
            yield (
                f"The Monte-Carlo error of {label} is {noise[k]:.2g} standard errors. Make "
                "smoothing longer, or use more chains."
            )


def _undetermined(labels: Sequence[str], complete: Floats, missing: Floats) -> Iterator[str]:
    """Yield in words along which estimates next to all information is missing."""
    shares, columns = missing_shares(complete, missing)
    size = np.sqrt(np.abs(np.diag(complete)))
    for share, column in zip(shares, columns.T, strict=True):
        if share > MOST_MISSING:
            yield (
                f"The data hardly determine {labels[int(np.abs(column / size).argmax())]}: of the "
                f"information that known individual parameters would give {min(share, 1):.0%} are "
                "missing, and its standard error is larger than stated. A variance near zero "
                "looks so."
            )


def _labels(conditional: Conditional) -> list[str]:
    """Name the entries of theta: ``"CL_pop"``, ``"omega[CL]"``."""
    graph = conditional.population.pymc
    of_values = {graph.rvs_to_values[each].name: each.name for each in graph.free_RVs}
    found = []
    for each in conditional.parameters:
        name = of_values[each.name]
        dims = graph.named_vars_to_dims.get(name)
        entries = graph.coords[dims[0]] if dims else range(math.prod(each.shape))
        found += [f"{name}[{entry}]" for entry in entries] if each.shape else [name]
    return found
