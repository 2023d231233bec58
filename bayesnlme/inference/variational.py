"""A normal approximation of the posterior, and draws of the posterior by weights where it serves.

The approximation is found in the coordinates of Laplace's (:mod:`bayesnlme.inference.elbo`) and
weighed against the posterior (:mod:`bayesnlme.inference.weighing`). Where the tails of the weights
say that they may be believed, the draws handed on are resampled by them and are draws of the
posterior. Where they say otherwise, no weights could mend the approximation: the draws are its
own, and the fit is no final result.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import xarray as xr

from bayesnlme import names
from bayesnlme._types import Floats
from bayesnlme.errors import FitError, InterruptedFitError
from bayesnlme.graph.build import Population
from bayesnlme.inference.density import compile_density
from bayesnlme.inference.elbo import MeanField, approximate
from bayesnlme.inference.expanding import expanded
from bayesnlme.inference.laplace_start import laplace_chart
from bayesnlme.inference.options import require_count, require_number
from bayesnlme.inference.weighing import (
    ROUNDS,
    Weighed,
    resampled,
    smoothed,
    weigh,
    weights_of_approximation,
)
from bayesnlme.marginal.conditional import Conditional
from bayesnlme.marginal.modes import find_modes, second_modes
from bayesnlme.results.approximation import judge_weights

FEWEST_POINTS = 500
"""Of so many 400 can be effective, as the verdict asks."""

SEARCHES = 8
"""Points from which a second mode of each subject's effects is sought."""

SPARE = 1000
"""Draws of the approximation beyond those kept, of which some may have no density."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variational:
    """Approximate the posterior by a normal distribution, weighed against it.

    Mean-field variational inference with fixed draws [Giordano2024]_ in the coordinates of
    Laplace's approximation, where independent coordinates stand for a full covariance. Points
    around it are then weighed by importance, the random effects subject by subject [Tran2021]_, and
    draws resampled by the Pareto-smoothed weights [Vehtari2024]_. Where Pareto's k of the
    population parameters' weights, or of those of any subject's effects, is above
    ``min(1 - 1/log10(points), 0.7)``, or the effective sample size is below 400, the fit's status
    is ``NOT_CONVERGED`` and its draws are those of the approximation, unweighted. A mode of the
    posterior that no point came near leaves no trace in the weights.

    Parameters
    ----------
    draws : int
        Draws kept.
    points : int
        Points of the population parameters that are weighed; made a multiple of four.
    accuracy : float
        The fixed draws are doubled until the error of the approximation that is due to them is at
        most so many of its SDs, or there are 1024.
    """

    draws: int = 1000
    points: int = 2000
    accuracy: float = 0.05

    name: ClassVar[str] = "Variational"
    title: ClassVar[str] = "variational"

    def __post_init__(self) -> None:
        require_count(self.name, "draws", self.draws)
        require_count(self.name, "points", self.points, least=FEWEST_POINTS)
        require_number(self.name, "accuracy", self.accuracy)
        object.__setattr__(self, "draws", int(self.draws))
        object.__setattr__(self, "points", -(-int(self.points) // ROUNDS) * ROUNDS)
        object.__setattr__(self, "accuracy", float(self.accuracy))

    def to_dict(self) -> dict[str, Any]:
        """Return the options that the draws depend on."""
        return {"name": self.name, **asdict(self)}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WeightedDraws:
    """What approximating gave.

    Attributes
    ----------
    posterior : Dataset
        Dims (chain, draw, ...), one chain.
    approximation : Dataset
        What :func:`bayesnlme.results.approximation.judge_weights` reads.
    seconds : mapping of str to float
        Wall time of ``start``, ``compile``, ``approximate`` and ``weigh``.
    """

    posterior: xr.Dataset
    approximation: xr.Dataset
    seconds: Mapping[str, float]


def approximate_posterior(
    population: Population,
    method: Variational,
    *,
    seed: int,
    watch: Callable[[int, int], None] = lambda *_: None,
) -> WeightedDraws:
    """Approximate the posterior of a population model, given in its non-centred form.

    Parameters
    ----------
    population : Population
        Model and data.
    method : Variational
        Options.
    seed : int
        Seed of every random number.
    watch : callable
        Told how many points are weighed, of how many.

    Raises
    ------
    DataError
        If an observation has no density at the starting values.
    FitError
        If every population parameter is fixed, or the posterior has no mode that a normal
        distribution could be put around.
    InterruptedFitError
        If it was stopped.
    """
    try:
        return _approximated(population, method, seed, watch)
    except KeyboardInterrupt as stop:
        raise InterruptedFitError(
            "Interrupted before the approximation was judged: there is nothing to keep."
        ) from stop


def _approximated(
    population: Population, method: Variational, seed: int, watch: Callable[[int, int], None]
) -> WeightedDraws:
    times, rng = [time.perf_counter()], np.random.default_rng(seed)
    conditional = Conditional(population)
    if conditional.n_parameters == 0:
        raise FitError(
            "Every population parameter is fixed: there is no distribution of them to approximate. "
            "Use bn.NUTS()."
        )
    chart = laplace_chart(population, "foce", seed=seed)
    times.append(time.perf_counter())
    density = compile_density(population.pymc, chart)
    function, places = density.function, chart.places
    times.append(time.perf_counter())
    found = approximate(function, places, accuracy=method.accuracy, rng=rng)
    times.append(time.perf_counter())
    own = weights_of_approximation(function, chart, found, count=method.draws + SPARE, rng=rng)
    weighed = weigh(conditional, chart, found, count=method.points, rng=rng, watch=watch)
    group = _judged(found, own, weighed)
    if places.effects.size:
        coords = {names.SUBJECT: list(population.data.subjects)}
        modes = find_modes(conditional, chart.theta, chart.modes)
        others = second_modes(conditional, chart.theta, modes, starts=SEARCHES, rng=rng)
        tails = {"subject_k": weighed.subject_tails(), "second_mode": others}
        columns = {name: (names.SUBJECT, each) for name, each in tails.items()}
        group = group.assign(columns).assign_coords(coords)
    if judge_weights(group, method.draws).passed:
        points = weighed.points[resampled(weighed.shares, method.draws, rng)]
    else:
        points = _with_density(*own, method.draws)
    posterior = expanded(density, points)
    times.append(time.perf_counter())
    words = ("start", "compile", "approximate", "weigh")
    seconds = dict(zip(words, np.diff(times).tolist(), strict=True))
    return WeightedDraws(posterior=posterior, approximation=group, seconds=seconds)


def _judged(found: MeanField, own: tuple[Floats, Floats], weighed: Weighed) -> xr.Dataset:
    """Return the numbers of the verdict; `own` are draws of the approximation and log weights."""
    bounds, (evidence, evidence_error) = own[1], weighed.log_evidence
    sound = bool(np.isfinite(bounds).all())
    numbers = {
        "pareto_k": smoothed(weighed.log_weights)[1],
        "ess": 1.0 / float((weighed.shares**2).sum()),
        "joint_k": smoothed(bounds)[1],
        "elbo": float(bounds.mean()),
        "elbo_error": float(bounds.std(ddof=1) / np.sqrt(bounds.size)) if sound else np.nan,
        "log_evidence": evidence,
        "log_evidence_error": evidence_error,
        "fixed_error": found.error,
        "points": len(weighed.points),
        "failed": weighed.failed,
        "fixed_draws": found.draws,
        "effect_draws": weighed.effect_draws,
    }
    return xr.Dataset({name: np.asarray(each) for name, each in numbers.items()})


def _with_density(points: Floats, log_weights: Floats, count: int) -> Floats:
    """Return draws of the approximation at which the model can be evaluated."""
    sound = points[np.isfinite(log_weights)]
    if len(sound) < count:
        raise FitError(
            f"The posterior can be evaluated at {len(sound)} of {len(points)} draws of the "
            "approximation, which is too few. Use bn.NUTS()."
        )
    return sound[:count]
