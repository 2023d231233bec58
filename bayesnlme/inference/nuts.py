"""The No-U-Turn sampler, run by nutpie on the compiled graph."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import nutpie
import xarray as xr
from nutpie.compile_pymc import CompiledPyMCModel, _prepare_dims_and_coords

from bayesnlme._types import Floats
from bayesnlme.errors import FitError, InterruptedFitError, ModelError, did_you_mean
from bayesnlme.graph.build import Population, build
from bayesnlme.inference.centring import laplace_weights
from bayesnlme.inference.compiled import CompiledModel, compile_model
from bayesnlme.inference.density import Density
from bayesnlme.inference.laplace_start import laplace_chart
from bayesnlme.inference.lost import log_masses, lost_chains, places_to_go_on
from bayesnlme.inference.options import require_count, require_share
from bayesnlme.inference.progress import Progress
from bayesnlme.inference.starts import StartingPoints, Starts, starting_points
from bayesnlme.inference.warmup import FEWEST_DRAWS, PARTS, learnt
from bayesnlme.results.convergence import LOST

type Parametrization = Literal["noncentered", "centered", "auto"]
type Start = Literal["stated", "foce", "laplace"]

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
        Warm-up draws before them, in each chain. With random effects and from stated starts, 70 %
        of at least 167 show in which linear combinations of the variables to sample (with 10
        subjects or more), and which chains are lost; see :mod:`bayesnlme.inference.warmup` and
        :mod:`bayesnlme.inference.lost`.
    chains : int
        Independent chains.
    target_accept : float
        Mean acceptance the step size is adapted to; higher is slower and safer.
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
    target_accept: float = 0.95
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
        require_share(self.name, "target_accept", self.target_accept)
        object.__setattr__(self, "target_accept", float(self.target_accept))

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
    seconds = {"start": started - began, "compile": time.perf_counter() - started}
    draws = draw(compiled, method, seed=seed, progress=progress)
    return replace(draws, centring=weights, seconds={**seconds, **draws.seconds})


def draw(compiled: CompiledModel, method: NUTS, *, seed: int, progress: bool) -> Draws:
    """Draw from the posterior of a compiled model, as often as wanted; see `sample`."""
    began = time.perf_counter()
    with Progress(method.chains, method.tune + method.draws, shown=progress) as bar:
        run = _Run(method=method, seed=seed, bar=bar)
        tree, interrupted = _adapted(compiled, run)
    posterior, stats = _finite(tree, method)
    return Draws(
        posterior=posterior,
        sample_stats=stats,
        interrupted=interrupted,
        seconds={"sample": time.perf_counter() - began},
    )


def _weights(population: Population, parametrization: Parametrization) -> Floats | None:
    shape = (population.data.n_subjects, len(population.model.effects))
    if parametrization == "noncentered" or not population.model.effects:
        return None
    return np.ones(shape) if parametrization == "centered" else laplace_weights(population)


def for_nutpie(density: Density, starts: Starts) -> Any:
    """Return what nutpie samples from: a ``CompiledPyMCModel``."""
    variables = (*density.free, *density.other)
    columns = zip(*((each.name, each.where, each.shape) for each in variables), strict=True)
    arranged = tuple(map(list, columns))
    values = {each: str(value.name) for each, value in density.model.rvs_to_values.items()}
    transforms = density.model.rvs_to_transforms
    transformed = [values[each] for each in density.model.free_RVs if transforms[each] is not None]
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
        user_data=density.data,
        n_expanded=variables[-1].where.stop,
        shape_info=arranged,
        logp_func=None,
        expand_func=None,
        reparameterized_names=transformed,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Run:
    """One run of nutpie: what stays the same in both parts of the warm-up."""

    method: NUTS
    seed: int
    bar: Progress

    def __call__(self, compiled: Any, **options: Any) -> tuple[xr.DataTree, bool]:
        """Sample; an interruption (Ctrl-C) keeps what there is."""
        method = self.method
        sampler = nutpie.sample(
            compiled,
            chains=method.chains,
            cores=method.cores,
            target_accept=method.target_accept,
            maxdepth=method.max_depth,
            seed=self.seed,
            progress_bar=False,
            progress_callback=self.bar.update,
            progress_rate=200,
            save_warmup=False,
            blocking=False,
            **options,
        )
        try:
            return sampler.wait(), False
        except KeyboardInterrupt:
            return sampler.abort(), True
        except RuntimeError as problem:
            compiled.initial_point_func.close()
            raise FitError(f"The sampler stopped: {problem}") from problem


def _adapted(compiled: CompiledModel, run: _Run) -> tuple[xr.DataTree, bool]:
    """Sample, after a first part of the warm-up that shows in which coordinates; see `warmup`."""
    method, density = run.method, compiled.density
    starts, chart = starting_points(compiled), density.chart
    tune, pilot = (int(part * method.tune) for part in PARTS)
    if chart is None or compiled.scaled or pilot < FEWEST_DRAWS:
        return run(for_nutpie(density, starts), draws=method.draws, tune=method.tune)
    seeds: list[int] = []

    def noted(seed: int | None) -> Floats:
        seeds.append(int(seed or 0))
        return starts(seed)

    first = for_nutpie(density, noted)
    tree, interrupted = run(first, draws=pilot, tune=tune, store_unconstrained=True)
    if interrupted:
        raise _nothing_to_keep(method)
    stats = tree["sample_stats"].to_dataset()
    draws: Floats = stats["unconstrained_draw"].values
    masses = log_masses(stats["logp"].values, draws)
    lost, places = lost_chains(masses), places_to_go_on(masses, draws)
    better = learnt(chart, draws[~lost])
    order = {seed: k for k, seed in enumerate(sorted(seeds))}

    def again(seed: int | None) -> Floats:
        """Start each chain where another ended."""
        return better.coordinates(chart.point(places[order[int(seed or 0)] % len(places)]))

    ready = for_nutpie(density.with_chart(better), again)
    run.bar.next_part()
    tree, interrupted = run(ready, draws=method.draws, tune=method.tune - tune - pilot)
    tree["sample_stats"].attrs[LOST] = int(lost.sum())
    return tree, interrupted


def _nothing_to_keep(method: NUTS) -> InterruptedFitError:
    return InterruptedFitError(
        f"Interrupted during the {method.tune} warm-up draws: there is nothing to keep."
    )


def _finite(tree: xr.DataTree, method: NUTS) -> tuple[xr.Dataset, xr.Dataset]:
    """Keep the draws that exist: all of them, or after an interruption the largest full block."""
    posterior, raw = tree["posterior"].to_dataset(), tree["sample_stats"].to_dataset()
    counts = np.isfinite(raw["energy"].values).sum(axis=1)
    chains, draws = _largest_block(counts)
    if draws == 0:
        raise _nothing_to_keep(method)
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
