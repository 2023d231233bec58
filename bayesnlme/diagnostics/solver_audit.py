"""Whether the integrator bent the posterior: draws weighed anew at tighter tolerances."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from numbers import Real

import numpy as np
import pymc as pm
import pytensor
import xarray as xr
from arviz_stats.base import array_stats

from bayesnlme import names
from bayesnlme._types import Booleans, Floats
from bayesnlme.diagnostics.comparison import ConvergenceWarning
from bayesnlme.diagnostics.estimates import thinned
from bayesnlme.errors import FitError
from bayesnlme.graph.build import Population, build
from bayesnlme.graph.densities import log_likelihood, outputs_at
from bayesnlme.odes.solver import Solver
from bayesnlme.results.fit import Fit, require_fit
from bayesnlme.structural.custom import OdeStructure

FLOOR = 1e-13
"""The tightest tolerance that double precision serves."""

SHIFT_LIMIT = 0.05
"""In posterior SDs; the Monte Carlo error of a mean at the 400 effective draws of a sound fit."""

NEGLIGIBLE = 0.01
"""Difference in log-likelihood up to which weights lie within 1 % of 1, whatever their tail."""

FEWEST = 25
"""A Pareto tail needs five draws, and is a fifth of them."""

_ROUNDING = 64 * np.finfo(float).eps
_ON = ("chain", "draw")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SolverAudit:
    """What tighter tolerances would change in a fit.

    Attributes
    ----------
    solver : Solver
        How the fit solved its equations.
    tighter : Solver
        The same with tighter tolerances.
    draws : int
        Draws of the posterior that were solved for.
    failed : int
        Those without a finite log-likelihood at either tolerance; the numbers below leave them
        out.
    exact : bool
        Whether the equations are linear, solved without steps, and the log-likelihoods equal to
        rounding.
    k_hat : float, optional
        Shape of the Pareto tail of the importance weights; None where they have no tail, such as
        weights that are all equal.
    good_k : float
        Largest `k_hat` at which smoothed weights are reliable for this number of draws,
        min(1 - 1 / log10(draws), 0.7) [Vehtari2024]_.
    relative_ess : float
        Effective sample size of the smoothed weights, as a fraction of the draws.
    shift : float
        Standard deviation of the smoothed weights, whose mean is 1. No posterior mean differs
        between the tolerances by more than this many of its posterior SDs (Cauchy-Schwarz).
    difference_max, difference_sd : float
        Largest size and SD, over draws, of the difference in the joint log-likelihood.
    subject, time, output : str, float, str
        The observation whose prediction moved most in any draw.
    residual_shift : float
        How far it moved, in SDs of its residual error (on the log scale for a log-normal error).
    """

    solver: Solver
    tighter: Solver
    draws: int
    failed: int
    exact: bool
    k_hat: float | None
    good_k: float
    relative_ess: float
    shift: float
    difference_max: float
    difference_sd: float
    subject: str
    time: float
    output: str
    residual_shift: float

    @property
    def problems(self) -> tuple[str, ...]:
        """What speaks against the solver, in words; empty for a sound one."""
        return tuple(self._problems())

    @property
    def ok(self) -> bool:
        """Whether tighter tolerances leave the posterior as it is.

        Every draw could be solved, `shift` is at most 0.05, and `k_hat` is at most `good_k`. The
        last is not asked where no log-likelihood differs by more than 0.01: `k_hat` knows the
        shape of a tail, not its size.
        """
        return not self.problems

    @property
    def verdict(self) -> str:
        """The verdict in words and numbers."""
        if self.problems:
            return f"NOT SOUND. {' '.join(self.problems)} {self._advice()}"
        if self.exact:
            return (
                "The solver is exact to rounding: the equations are linear and solved without "
                f"steps, and no log-likelihood moved by more than {self.difference_max:.2g}."
            )
        return (
            "The solver did not bend the posterior: at the tighter tolerances no posterior mean "
            f"moves by more than {self.shift:.2g} of its posterior SD (limit {SHIFT_LIMIT}). "
            + self._tail()
        )

    def __repr__(self) -> str:
        where = f"subject {self.subject}, time {self.time:g}, {self.output}"
        moved = f"{self.residual_shift:.3g} residual SDs: {where}"
        return (
            f"Audit of the solver on {self.draws} draws: {_tolerances(self.solver)} against "
            f"{_tolerances(self.tighter)}\n{self.verdict}\n\n"
            f"k-hat                          {_number(self.k_hat)} (good to {self.good_k:.2f})\n"
            f"effective sample size          {self.relative_ess:.2%} of the draws\n"
            f"difference in log-likelihood   at most {self.difference_max:.3g}, "
            f"SD {self.difference_sd:.3g}\n"
            f"prediction that moved most     {moved if self.residual_shift else 'none'}\n"
            f"failed solves                  {self.failed}"
        )

    def _problems(self) -> Iterator[str]:
        if self.failed:
            yield (
                f"{self.failed} of {self.draws} draws could not be solved at both tolerances, so "
                "nothing is known of them."
            )
        if not self.shift <= SHIFT_LIMIT:
            yield (
                f"At the tighter tolerances a posterior mean may move by {self.shift:.2g} of its "
                f"posterior SD (limit {SHIFT_LIMIT})."
            )
        if not (self._negligible() or self._good_tail()):
            yield f"{self._tail()} The draws cannot stand for the posterior at those tolerances."

    def _advice(self) -> str:
        if len(self.problems) == bool(self.failed):
            return "Raise max_steps of the solver, or try another method."
        return f"Fit again with {_tolerances(self.tighter)}, and audit that."

    def _negligible(self) -> bool:
        return self.difference_max <= NEGLIGIBLE

    def _good_tail(self) -> bool:
        return self.k_hat is not None and self.k_hat <= self.good_k

    def _tail(self) -> str:
        if self.k_hat is None:
            words = "The weights have no tail that a k-hat could be found for."
        else:
            words = f"k-hat is {self.k_hat:.2f} (good to {self.good_k:.2f})."
        if self._good_tail() or not self._negligible():
            return words
        return (
            f"{words} That is no matter where no log-likelihood moved by more than "
            f"{self.difference_max:.2g}."
        )


def audit_solver(fit: Fit, *, draws: int = 400, factor: float = 10.0) -> SolverAudit:
    """Show whether the solver of the differential equations bent the posterior.

    The joint likelihood of the observations is computed at draws of the fit as the sampler did,
    with states and sensitivities under the tolerances of the model, and again at tighter ones.
    The ratios of the two are importance weights from one posterior to the other; their
    Pareto-smoothed tail and their spread say whether the two are the same [Timonen2023]_,
    [Vehtari2024]_.

    Parameters
    ----------
    fit : Fit
        With draws of a model of differential equations.
    draws : int
        About how many draws to use, evenly spaced in every chain.
    factor : float
        By how much both tolerances are divided, down to 1e-13 but no further.

    Returns
    -------
    SolverAudit
        The verdict ``ok``, and all numbers behind it.

    Raises
    ------
    FitError
        If the model has no differential equations, the tolerances cannot be tightened, or fewer
        than 25 draws are there or can be solved.

    Warns
    -----
    ConvergenceWarning
        If the fit has not converged: draws that miss part of the posterior say nothing of it.

    References
    ----------
    .. [Timonen2023] J. Timonen et al., An importance sampling approach for reliable and
       efficient inference in Bayesian ordinary differential equation models, Stat 12 (2023)
       e614.
    .. [Vehtari2024] A. Vehtari et al., Pareto smoothed importance sampling, J. Mach. Learn.
       Res. 25 (2024), no. 72.
    """
    require_fit(fit)
    structure = fit.model.structure
    if not isinstance(structure, OdeStructure):
        raise FitError(
            f"There is nothing to audit: {fit.model.name!r} has no differential equations, its "
            "predictions are a function of time."
        )
    solver, tighter = structure.solver, _tightened(structure.solver, factor)
    posterior = thinned(fit.posterior, draws)
    if not fit.converged:
        warnings.warn(
            f"Audit of a fit that is not final. {fit.verdict}", ConvergenceWarning, stacklevel=2
        )
    population = build(fit.model, fit.data)
    model = fit.model.replace(structure=structure.with_solver(tighter))
    before = posterior.assign(_predict(population, posterior))
    after = posterior.assign(_predict(build(model, fit.data), posterior))
    own, tight = _joint(population, before), _joint(population, after)
    solved = _solved(own, tight)
    difference = (tight - own)[solved]
    equal = bool(np.all(np.abs(difference) <= _ROUNDING * np.maximum(1, np.abs(own[solved]))))
    weights, k_hat = (np.ones(difference.size), None) if equal else _smoothed(difference)
    moved = _residual_shifts(population, before, after)[solved].max(axis=0)
    worst = int(moved.argmax())
    seen = fit.observation_frame().iloc[worst]
    used = posterior.sizes["chain"] * posterior.sizes["draw"]
    return SolverAudit(
        solver=solver,
        tighter=tighter,
        draws=used,
        failed=used - difference.size,
        exact=equal and _without_steps(structure),
        k_hat=k_hat,
        good_k=min(1 - 1 / np.log10(difference.size), 0.7),
        relative_ess=1 / float(np.mean(weights**2)),
        shift=float(weights.std()),
        difference_max=float(np.abs(difference).max()),
        difference_sd=float(difference.std()),
        subject=str(seen["subject"]),
        time=float(seen["time"]),
        output=str(seen["output"]),
        residual_shift=float(moved[worst]),
    )


def _tightened(solver: Solver, factor: float) -> Solver:
    if isinstance(factor, bool) or not isinstance(factor, Real) or not 1 < factor < np.inf:
        raise FitError(f"factor={factor!r} must be a number above 1, such as 10.")
    if solver.rtol <= FLOOR and solver.atol <= FLOOR:
        raise FitError(
            f"The fit was solved with {_tolerances(solver)}: double precision has nothing tighter "
            "to compare with."
        )
    rtol, atol = (min(each, max(each / factor, FLOOR)) for each in (solver.rtol, solver.atol))
    return replace(solver, rtol=rtol, atol=atol)


def _without_steps(structure: OdeStructure) -> bool:
    solver = structure.solver
    methods = ("auto", "closed_form", "expm")
    return structure.problem.linear and solver.backend == "numba" and solver.method in methods


def _predict(population: Population, posterior: xr.Dataset) -> dict[str, xr.DataArray]:
    """Predict as the sampler does, whose steps also heed the tolerances of sensitivities.

    The hazards of events are predicted beside.
    """
    graph, given = population.pymc, list(population.model.parameters)
    inputs = [graph[name] for name in given]
    wanted = [names.PREDICTION, *map(names.hazard, population.model.events)]
    # FAST_COMPILE leaves out the rewrite to a solve of values alone, whose steps are longer.
    function = pytensor.function(
        inputs, [graph[name] for name in wanted], mode="FAST_COMPILE", on_unused_input="ignore"
    )
    arrays = [posterior[name].transpose(*_ON, ...).values for name in given]
    sizes = tuple(posterior.sizes[dim] for dim in _ON)
    found = [np.empty((*sizes, *_sizes(graph, name))) for name in wanted]
    for where in np.ndindex(*sizes):
        for values, each in zip(found, function(*(each[where] for each in arrays)), strict=True):
            values[where] = each
    coords = {name: posterior[name] for name in _ON}
    return {
        name: xr.DataArray(values, coords, (*_ON, *graph.named_vars_to_dims[name]))
        for name, values in zip(wanted, found, strict=True)
    }


def _sizes(graph: pm.Model, name: str) -> list[int]:
    return [len(graph.coords[dim]) for dim in graph.named_vars_to_dims[name]]


def _solved(own: Floats, tight: Floats) -> Booleans:
    """Say which draws have a likelihood at both tolerances."""
    solved = np.isfinite(own) & np.isfinite(tight)
    if (count := np.count_nonzero(solved)) < FEWEST:
        raise FitError(
            f"{count} of {solved.size} draws could be solved at both tolerances, and an audit "
            f"needs {FEWEST}. Give it more draws (draws=), or fit again with a larger max_steps "
            "or another method of the solver."
        )
    return solved


def _joint(population: Population, posterior: xr.Dataset) -> Floats:
    """Add up the log-likelihood of all observations, shape (chain x draw,)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        found = log_likelihood(population, posterior)
    parts = [each.values.sum(axis=2).ravel() for each in found.data_vars.values()]
    return np.sum(parts, axis=0)


def _smoothed(log_ratio: Floats) -> tuple[Floats, float | None]:
    """Return Pareto-smoothed weights of mean 1, and k-hat or None for a tail of equal weights."""
    weights, k_hat = np.exp(log_ratio - log_ratio.max()), None
    try:
        # ArviZ takes the log-likelihood that is left out: the negative of the log ratio.
        smoothed, found = array_stats.psislw(-log_ratio)  # type: ignore[no-untyped-call]
    except ValueError:  # its answer to a tail of equal weights
        pass
    else:
        # It finds no shape where a few draws have nearly all of the weight.
        weights, k_hat = np.exp(smoothed), np.inf if np.isnan(found) else float(found)
    return weights / weights.mean(), k_hat


def _residual_shifts(population: Population, before: xr.Dataset, after: xr.Dataset) -> Floats:
    """Return how far predictions moved in SDs of their residuals, (chain x draw, observation)."""
    observations = population.data.observations
    found = np.empty((before.sizes["chain"] * before.sizes["draw"], len(observations)))
    outputs = zip(outputs_at(population, before), outputs_at(population, after), strict=True)
    for number, (own, tight) in enumerate(outputs):
        shift = own.outcome.moved(own.like.values, tight.like.values, own.magnitudes)
        found[:, observations.output == number] = shift.reshape(-1, own.like.shape[2])
    return found


def _tolerances(solver: Solver) -> str:
    return ", ".join(
        f"{name}={value:.3g}{' (the floor)' * (value == FLOOR)}"
        for name, value in (("rtol", solver.rtol), ("atol", solver.atol))
    )


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.2f}"
