"""The No-U-Turn sampler, run by nutpie on the compiled graph."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import nutpie
import xarray as xr
from nutpie.compile_pymc import CompiledPyMCModel, _prepare_dims_and_coords

from bayesnlme._types import Floats
from bayesnlme.errors import (
    DataError,
    Finding,
    FitError,
    InterruptedFitError,
    ModelError,
    did_you_mean,
)
from bayesnlme.graph.build import Population, build
from bayesnlme.graph.chart import Chart
from bayesnlme.graph.effects import effect_variables
from bayesnlme.graph.flat import starting_vector
from bayesnlme.graph.start import axis_scales, start_findings
from bayesnlme.inference.centring import laplace_weights
from bayesnlme.inference.density import Density, compile_density
from bayesnlme.inference.laplace_start import laplace_chart
from bayesnlme.inference.native import LogDensity, climb
from bayesnlme.inference.options import require_count, require_share
from bayesnlme.inference.progress import Progress
from bayesnlme.inference.starting_points import StartingPoints

type Parametrization = Literal["noncentered", "centered", "auto"]
type Start = Literal["stated", "foce", "laplace"]

TRIES = 100
SCATTER = 0.5
SCATTER_OF_SD = 2.0
"""Chains start so many posterior SDs apart at most where a chart says what these are."""
KEPT_STATS = (
    "diverging", "energy", "logp", "depth", "maxdepth_reached", "n_steps", "step_size",
    "mean_tree_accept",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class NUTS:
    """Sample the joint posterior with the No-U-Turn sampler [Hoffman2014]_.

    Parameters
    ----------
    draws : int
        Draws kept in each chain.
    tune : int
        Warm-up draws before them, in each chain.
    chains : int
        Independent chains.
    target_accept : float or None
        Mean acceptance the step size is adapted to; higher is slower and safer. None: 0.9, or 0.95
        in the centred forms, which meet small SDs with longer tails.
    max_depth : int
        Greatest depth of a trajectory's tree: at most ``2 ** max_depth`` gradients a draw.
    cores : int or None
        Chains that run at once; None for as many as there are cores. Does not change the draws.
    parametrization : "noncentered", "centered" or "auto"
        In which form the random effects between subjects are sampled; the posterior is the same.
        "centered" suits subjects with many observations, "noncentered" those with few; "auto"
        weighs each subject and effect by a quick Laplace pass. See
        :mod:`bayesnlme.graph.effects`.
    start : "stated", "foce" or "laplace"
        Where chains start: around the numbers of the model, or at the posterior mode of the
        population parameters with the random effects integrated out by FOCE (by Laplace where FOCE
        cannot take the model) or Laplace, and with the covariance there as mass matrix. Only for
        the non-centred form. See :mod:`bayesnlme.inference.laplace_start`.
    """

    draws: int = 1000
    tune: int = 1000
    chains: int = 4
    target_accept: float | None = None
    max_depth: int = 10
    cores: int | None = None
    parametrization: Parametrization = "noncentered"
    start: Start = "stated"

    name: ClassVar[str] = "NUTS"
    title: ClassVar[str] = "NUTS"

    def __post_init__(self) -> None:
        for name in ("draws", "tune", "chains", "max_depth", "cores"):
            value = getattr(self, name)
            if name == "cores" and value is None:
                continue
            require_count(self.name, name, value)
            object.__setattr__(self, name, int(value))
        for name, kind in (("parametrization", Parametrization), ("start", Start)):
            value, known = getattr(self, name), get_args(kind.__value__)
            if value not in known:
                near = did_you_mean(str(value), known)
                raise ModelError(f"NUTS: no {name} {value!r}. {near}")
        if self.start != "stated" and self.parametrization != "noncentered":
            raise ModelError(
                f"NUTS: start={self.start!r} is for parametrization='noncentered': its mass matrix "
                "does for the random effects what centring does."
            )
        accept = self.target_accept
        if accept is None:
            accept = 0.9 if self.parametrization == "noncentered" else 0.95
        require_share(self.name, "target_accept", accept)
        object.__setattr__(self, "target_accept", float(accept))

    def to_dict(self) -> dict[str, Any]:
        """Return the options that the draws depend on."""
        return {"name": self.name, **{k: v for k, v in asdict(self).items() if k != "cores"}}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Draws:
    """What sampling gave.

    Attributes
    ----------
    posterior, sample_stats : Dataset
        Dims (chain, draw, ...). ``sample_stats["failed"]`` marks transitions that met a point
        where the log density could not be evaluated.
    interrupted : bool
        Whether it was stopped early, so that there are fewer draws than asked for.
    seconds : mapping of str to float
        Wall time of ``start`` (weights, or a mode), ``compile`` and ``sample``.
    centring : array, shape (subject, effect), or None
        Weights by which the random effects were centred; None where they were not.
    """

    posterior: xr.Dataset
    sample_stats: xr.Dataset
    interrupted: bool
    seconds: Mapping[str, float]
    centring: Floats | None = None


def sample(population: Population, method: NUTS, *, seed: int, progress: bool) -> Draws:
    """Draw from the posterior of a population model, given in its non-centred form.

    Raises
    ------
    FitError
        If no chain can start, or sampling was interrupted before the first draw was kept.
    DataError
        If the density of an observation does not exist at the starting values.
    """
    began = time.perf_counter()
    weights = _weights(population, method.parametrization)
    if weights is not None:
        population = build(population.model, population.data, centring=weights)
    chart = None if method.start == "stated" else laplace_chart(population, method.start, seed=seed)
    started = time.perf_counter()
    compiled = compile_model(population, chart)
    ready = time.perf_counter()
    tree, interrupted = _run(compiled, method, seed=seed, progress=progress)
    done = time.perf_counter()
    posterior, stats = _finite(tree, method)
    return Draws(
        posterior=posterior,
        sample_stats=stats,
        interrupted=interrupted,
        seconds={"start": started - began, "compile": ready - started, "sample": done - ready},
        centring=weights,
    )


def _weights(population: Population, parametrization: Parametrization) -> Floats | None:
    shape = (population.data.n_subjects, len(population.model.effects))
    if parametrization == "noncentered" or not population.model.effects:
        return None
    return np.ones(shape) if parametrization == "centered" else laplace_weights(population)


def compile_model(population: Population, chart: Chart | None = None) -> Any:
    """Compile the log density and its gradient, with starting points that can be sampled from.

    Parameters
    ----------
    population : Population
        Model and data.
    chart : Chart, optional
        In whose coordinates it is sampled.

    Returns
    -------
    nutpie.compile_pymc.CompiledPyMCModel
        Its ``compiled_logp_func`` is a `Density.evaluate`.
    """
    density = compile_density(population.pymc, chart)
    function = LogDensity(density.evaluate)
    start, effects, scale = _start(population, density)
    if chart is not None:
        start, scale = np.zeros_like(start), np.full_like(scale, SCATTER_OF_SD / SCATTER)
    if not np.isfinite(function(start)[0]):
        raise DataError(_explanation(population), population.data.source)
    return _for_nutpie(density, _starts(function, start, effects, scale))


def _for_nutpie(density: Density, starts: Callable[[int | None], np.ndarray]) -> Any:
    variables = (*density.free, *density.other)
    columns = zip(*((each.name, each.where, each.shape) for each in variables), strict=True)
    arranged = tuple(map(list, columns))
    transforms = density.model.rvs_to_transforms
    transformed = [
        variable.name
        for variable, each in zip(density.free, density.model.free_RVs, strict=True)
        if transforms[each] is not None
    ]
    dims, coords = _prepare_dims_and_coords(density.model, arranged, transformed)
    return CompiledPyMCModel(
        _n_dim=density.size,
        dims=dims,
        _coords=coords,
        _shapes={each.name: each.shape for each in variables},
        compiled_logp_func=density.evaluate,
        compiled_expand_func=density.expand,
        initial_point_func=StartingPoints(starts),
        shared_data={},
        shared_var_keys={},
        user_data=np.zeros(1),
        n_expanded=variables[-1].where.stop,
        shape_info=arranged,
        logp_func=None,
        expand_func=None,
        reparameterized_names=transformed,
    )


def _start(population: Population, density: Density) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the stated expectations as one flat vector, which are effects, and scales."""
    start = starting_vector(population.pymc, density.free)
    effects = np.zeros(density.size, dtype=bool)
    sampled = effect_variables(population.model)
    for each in density.free:
        effects[each.where] = each.name in sampled
    return start, effects, axis_scales(population.model, density.free)


def _starts(
    density: LogDensity, start: np.ndarray, effects: np.ndarray, scale: np.ndarray
) -> Callable[[int | None], np.ndarray]:
    """Return nutpie's source of starting points.

    Population parameters are scattered around the stated expectations, and each subject's random
    effects put at their conditional mode there: a chain then starts at the height of the posterior
    instead of falling into it.
    """

    def point(seed: int | None) -> np.ndarray:
        rng = np.random.default_rng(seed)
        for _ in range(TRIES):
            scatter = rng.uniform(-SCATTER, SCATTER, size=start.size) * scale
            candidate = start + np.where(effects, 0.0, scatter)
            value, gradient = density(candidate)
            if np.isfinite(value) and np.isfinite(gradient).all():
                mode = _conditional_modes(density, candidate, effects)
                return _off_the_flat(density, mode, rng)
        return start

    return point


def _conditional_modes(density: LogDensity, start: np.ndarray, effects: np.ndarray) -> np.ndarray:
    """Move the random effects, and nothing else, to the mode given the rest."""
    if not effects.any():
        return start
    return climb(density, start, effects, maxiter=100)[0]


def _off_the_flat(density: LogDensity, mode: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Move what has a slope of exactly 0, by which nutpie could not scale its first steps.

    A subject whose observations say nothing of a parameter, such as one on placebo of the
    clearance, has the mode of that effect at exactly 0.
    """
    flat = density(mode)[1] == 0
    return mode + np.where(flat, rng.uniform(0.1, 1.0, size=mode.size), 0.0) if flat.any() else mode


def _explanation(population: Population) -> list[Finding]:
    """Say where the density fails at the start: at observations, or else in the priors."""
    found = list(start_findings(population))
    if found:
        return found
    values = population.pymc.point_logps()
    bad = [name for name, value in values.items() if not np.isfinite(value)]
    message = f"The log density is not finite at the starting values; it fails in {bad}."
    return [Finding(code="E_START_PRIOR", message=message, remedy="Check these priors.")]


def _run(compiled: Any, method: NUTS, *, seed: int, progress: bool) -> tuple[xr.DataTree, bool]:
    """Sample; an interruption (Ctrl-C) keeps what there is."""
    with Progress(method.chains, shown=progress) as bar:
        sampler = nutpie.sample(
            compiled,
            draws=method.draws,
            tune=method.tune,
            chains=method.chains,
            cores=method.cores,
            target_accept=method.target_accept,
            maxdepth=method.max_depth,
            seed=seed,
            progress_bar=False,
            progress_callback=bar.update,
            progress_rate=200,
            save_warmup=False,
            blocking=False,
        )
        try:
            return sampler.wait(), False
        except KeyboardInterrupt:
            return sampler.abort(), True
        except RuntimeError as problem:
            compiled.initial_point_func.close()
            raise FitError(f"The sampler stopped: {problem}") from problem


def _finite(tree: xr.DataTree, method: NUTS) -> tuple[xr.Dataset, xr.Dataset]:
    """Keep the draws that exist: all of them, or after an interruption the largest full block."""
    posterior, raw = tree["posterior"].to_dataset(), tree["sample_stats"].to_dataset()
    counts = np.isfinite(raw["energy"].values).sum(axis=1)
    chains, draws = _largest_block(counts)
    if draws == 0:
        raise InterruptedFitError(
            f"Interrupted during the {method.tune} warm-up draws: there is nothing to keep."
        )
    block = {"chain": chains, "draw": slice(draws)}
    stats = raw[[name for name in KEPT_STATS if name in raw]].isel(block)
    failed = _failed(raw).isel(block)
    return posterior.isel(block), stats.assign(failed=failed)


def _largest_block(counts: np.ndarray) -> tuple[np.ndarray, int]:
    """Choose chains and a number of draws, so that all have them and most draws are kept.

    Examples
    --------
    >>> _largest_block(np.array([100, 90, 3, 0]))
    (array([0, 1]), 90)
    """
    order = np.argsort(-counts, kind="stable")
    kept = [(rank + 1) * counts[chain] for rank, chain in enumerate(order)]
    best = int(np.argmax(kept))
    return np.sort(order[: best + 1]), int(counts[order[best]])


def _failed(stats: xr.Dataset) -> xr.DataArray:
    """Mark transitions that ended because the log density returned no finite number."""
    if "divergence_message" not in stats:
        return xr.zeros_like(stats["diverging"])
    messages = stats["divergence_message"]
    return messages.copy(
        data=np.array(
            ["error code" in str(each) for each in messages.values.flat], dtype=bool
        ).reshape(messages.shape)
    )
