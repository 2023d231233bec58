"""FO, FOCE, Laplace and quadrature: the population parameters of the largest likelihood."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import numpy as np

from bayesnlme._types import Floats
from bayesnlme.errors import DataError, FitError, InterruptedFitError
from bayesnlme.graph.build import Population
from bayesnlme.graph.start import start_findings
from bayesnlme.inference.maximise import TOLERANCE, Maximum, Objective, best, maximise
from bayesnlme.inference.options import require_count, require_flag, require_share
from bayesnlme.marginal.conditional import Conditional
from bayesnlme.marginal.contribution import Approximation
from bayesnlme.marginal.laplace import LaplaceApproximation
from bayesnlme.marginal.linearised import FirstOrder, FirstOrderConditional
from bayesnlme.marginal.quadrature import AdaptiveQuadrature
from bayesnlme.results.status import Status

SCATTER = 0.5
"""SD of the starting points around the first, on the unconstrained scales."""

type Watch = Callable[[int, float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class LikelihoodMethod:
    """What the methods share that maximise an approximation of the likelihood.

    Parameters
    ----------
    starts : int
        Starting points: the model's numbers, and others around them (SD 0.5 on the unconstrained
        scales). The highest maximum is kept.
    priors : bool
        Whether the priors of the population parameters count, on their natural scales: a penalised
        likelihood, with the posterior mode of the parameters. Otherwise the numbers of the model
        are starting values and nothing else.
    most_iterations : int
        After so many steps a search ends, unconverged.
    tolerance : float
        Half the Newton decrement, about the log likelihood that is missing, at which it ends.
    """

    starts: int = 1
    priors: bool = False
    most_iterations: int = 500
    tolerance: float = TOLERANCE

    name: ClassVar[str]

    def __post_init__(self) -> None:
        for option in ("starts", "most_iterations"):
            require_count(self.name, option, getattr(self, option))
        require_flag(self.name, "priors", self.priors)
        require_share(self.name, "tolerance", self.tolerance)

    @property
    def title(self) -> str:
        """How it is called in words."""
        return self.name

    def approximations(
        self, population: Population, swapped: Sequence[str] = ()
    ) -> list[Approximation]:
        """Return what is maximised, one after the other; the last is the method's own.

        Parameters
        ----------
        population : Population
            Model and data.
        swapped : sequence of str
            Outputs whose observed values can be exchanged, by ``conditional.observe``.
        """
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """Return the options that the estimates depend on."""
        return {"name": self.name, **asdict(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class FO(LikelihoodMethod):
    """First-order: the model made linear around the typical subject [Beal1982]_.

    Quick, and biased where the model is not linear in its random effects.
    """

    name: ClassVar[str] = "FO"

    def approximations(
        self, population: Population, swapped: Sequence[str] = ()
    ) -> list[Approximation]:
        """Return what is maximised."""
        return [FirstOrder(Conditional(population, interaction=False, swapped=swapped))]


@dataclass(frozen=True, slots=True, kw_only=True)
class FOCE(LikelihoodMethod):
    """First-order conditional: the model made linear around each subject's mode.

    Parameters
    ----------
    interaction : bool
        Whether the residual variance follows the individual prediction [Wang2007]_ (FOCEI), or that
        of the typical subject [Lindstrom1990]_.
    """

    interaction: bool = True

    name: ClassVar[str] = "FOCE"

    def __post_init__(self) -> None:
        LikelihoodMethod.__post_init__(self)
        require_flag(self.name, "interaction", self.interaction)

    @property
    def title(self) -> str:
        """How it is called in words."""
        return "FOCEI" if self.interaction else "FOCE"

    def approximations(
        self, population: Population, swapped: Sequence[str] = ()
    ) -> list[Approximation]:
        """Return what is maximised."""
        conditional = Conditional(population, interaction=self.interaction, swapped=swapped)
        return [FirstOrderConditional(conditional)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Laplace(LikelihoodMethod):
    """Laplace's approximation, with the exact Hessian at each subject's mode; for all outcomes."""

    name: ClassVar[str] = "Laplace"

    def approximations(
        self, population: Population, swapped: Sequence[str] = ()
    ) -> list[Approximation]:
        """Return what is maximised."""
        return [LaplaceApproximation(Conditional(population, swapped=swapped))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quadrature(LikelihoodMethod):
    """Adaptive Gauss-Hermite quadrature [Pinheiro1995]_: as exact as there are points.

    Begins with Laplace's maximum.

    Parameters
    ----------
    points : int
        Nodes in each dimension; their number is that to the power of the random effects.
    """

    points: int = 7

    name: ClassVar[str] = "Quadrature"

    def __post_init__(self) -> None:
        LikelihoodMethod.__post_init__(self)
        require_count(self.name, "points", self.points)

    def approximations(
        self, population: Population, swapped: Sequence[str] = ()
    ) -> list[Approximation]:
        """Return what is maximised."""
        conditional = Conditional(population, swapped=swapped)
        exact = AdaptiveQuadrature(conditional, self.points)
        return [LaplaceApproximation(conditional), exact]


METHODS = {each.name: each for each in (FO, FOCE, Laplace, Quadrature)}


def method_of(options: Mapping[str, Any]) -> LikelihoodMethod:
    """Return the method that a fit's ``method`` describes.

    Raises
    ------
    FitError
        If it maximises no likelihood.
    """
    given = dict(options)
    name = given.pop("name")
    if name not in METHODS:
        raise FitError(
            f"This needs a fit that maximised a likelihood ({', '.join(METHODS)}), not {name}."
        )
    return METHODS[name](**given)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Estimate:
    """The largest likelihood of a population.

    Attributes
    ----------
    approximation : Approximation
        What was maximised.
    maximum : Maximum
        Where it is largest.
    interrupted : bool
        Whether it was stopped early.
    seconds : mapping of str to float
        Wall time of ``compile`` and ``search``.
    """

    approximation: Approximation
    maximum: Maximum
    interrupted: bool
    seconds: Mapping[str, float]


def maximum_likelihood(
    population: Population, method: LikelihoodMethod, *, seed: int, watch: Watch | None = None
) -> Estimate:
    """Maximise a population's likelihood.

    Raises
    ------
    DataError
        If an observation has no density at the starting values.
    FitError
        If there is nothing to estimate, or no likelihood at any starting point.
    ModelError
        If the method cannot take the model.
    """
    begin = time.perf_counter()
    approximations = method.approximations(population)
    conditional = approximations[-1].conditional
    if conditional.n_parameters == 0:
        raise FitError("Every population parameter is fixed: there is nothing to estimate.")
    conditional.scores(conditional.start, conditional.no_effects)
    ready = time.perf_counter()
    found = search(approximations, method, seed=seed, watch=watch)
    seconds = {"compile": ready - begin, **found.seconds}
    return replace(found, seconds=seconds)


def search(
    approximations: Sequence[Approximation],
    method: LikelihoodMethod,
    *,
    seed: int,
    watch: Watch | None = None,
) -> Estimate:
    """Maximise the last of compiled approximations, as often as wanted; see above."""
    began = time.perf_counter()
    *before, last = approximations
    conditional = last.conditional
    population = conditional.population
    found: list[Maximum] = []
    interrupted = False
    try:
        for start in _starting_points(conditional, method.starts, seed):
            theta = start
            for approximation in before:
                theta = _search(approximation, method, theta, watch).theta
            found.append(_search(last, method, theta, watch))
    except KeyboardInterrupt:
        interrupted = True
    if not found:
        raise InterruptedFitError("Interrupted before there were estimates to keep.")
    chosen = best(found)
    if not np.isfinite(chosen.trace[-1][0]):
        findings = list(start_findings(population))
        if findings:
            raise DataError(findings, population.data.source)
        raise FitError(_no_likelihood(chosen, population))
    seconds = {"search": time.perf_counter() - began}
    return Estimate(approximation=last, maximum=chosen, interrupted=interrupted, seconds=seconds)


def judged(estimate: Estimate, method: LikelihoodMethod) -> tuple[Status, dict[str, Any]]:
    """Return how a search ended, and what a fit's tree says of it."""
    maximum, subjects = (
        estimate.maximum,
        estimate.approximation.conditional.population.data.subjects,
    )
    problems = []
    if not maximum.converged:
        problems.append(
            f"{method.title} ended after {maximum.iterations} steps with half a Newton decrement "
            f"of {maximum.decrement:.2g} where {method.tolerance:.2g} was asked for: give other "
            "numbers to start from, more starts or most_iterations, or a smaller model."
        )
    lost = [subjects[k] for k in np.flatnonzero(~maximum.contributions.modes.found)]
    if lost:
        problems.append(f"No mode of the random effects was found for {', '.join(lost[:10])}.")
    status = Status.AT_BOUND if maximum.at_bound.any() else Status.CONVERGED
    if problems:
        status = Status.NOT_CONVERGED
    if estimate.interrupted:
        status = Status.INTERRUPTED
        problems.append("It was interrupted.")
    return status, {
        "title": method.title,
        "iterations": maximum.iterations,
        "evaluations": maximum.evaluations,
        "decrement": maximum.decrement,
        "problems": "\n".join(problems),
    }


def _search(
    approximation: Approximation, method: LikelihoodMethod, start: Floats, watch: Watch | None
) -> Maximum:
    conditional = approximation.conditional
    objective = Objective(
        approximation=approximation,
        weights=np.ones(conditional.n_subjects),
        log_prior=conditional.log_prior if method.priors else None,
    )
    return maximise(
        objective,
        start,
        most_iterations=method.most_iterations,
        tolerance=method.tolerance,
        watch=watch,
    )


def _starting_points(conditional: Conditional, count: int, seed: int) -> list[Floats]:
    rng = np.random.default_rng(seed)
    start = conditional.start
    others = [start + SCATTER * rng.standard_normal(start.size) for _ in range(count - 1)]
    return [start, *others]


def _no_likelihood(maximum: Maximum, population: Population) -> str:
    bad = np.flatnonzero(~np.isfinite(maximum.contributions.value))
    listed = ", ".join(population.data.subjects[k] for k in bad[:10])
    return (
        f"The likelihood of subject {listed} cannot be evaluated at the starting values. Move the "
        "numbers of the model nearer to the data."
    )
