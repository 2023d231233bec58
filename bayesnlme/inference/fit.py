"""One door to every estimator."""

import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np
import xarray as xr

from bayesnlme import names
from bayesnlme.data import Dataset
from bayesnlme.errors import ModelError
from bayesnlme.graph.build import Population, build
from bayesnlme.graph.densities import draw_observations, log_likelihood, observed_data
from bayesnlme.graph.flat import REPRODUCIBLE
from bayesnlme.inference.importance import ImportanceSampling, evaluate
from bayesnlme.inference.likelihood import LikelihoodMethod, judged, maximum_likelihood
from bayesnlme.inference.likelihood_tree import likelihood_groups
from bayesnlme.inference.mode import Mode, find_joint_mode
from bayesnlme.inference.nuts import NUTS, Draws, sample
from bayesnlme.inference.progress import IterationProgress, SearchProgress
from bayesnlme.inference.saem_fit import fit_by_saem
from bayesnlme.inference.saem_options import SAEM
from bayesnlme.inference.variational import Variational, approximate_posterior
from bayesnlme.model.model import Model
from bayesnlme.results.approximation import judge_weights
from bayesnlme.results.convergence import assess
from bayesnlme.results.fit import Fit
from bayesnlme.results.status import Status

RECORDED_PACKAGES = (
    "bayesnlme",
    "pymc",
    "pytensor",
    "nutpie",
    "numba",
    "numpy",
    "scipy",
    "arviz",
    "xarray",
)

type Method = NUTS | Variational | LikelihoodMethod | SAEM | ImportanceSampling | Mode


def fit(
    model: Model,
    data: Dataset,
    *,
    method: Method | None = None,
    seed: int,
    progress: bool = True,
) -> Fit:
    """Fit a model to a table.

    Parameters
    ----------
    model : Model
        The model.
    data : Dataset
        The table.
    method : NUTS, Variational, FO, FOCE, Laplace, Quadrature, SAEM, ImportanceSampling or Mode
        The estimator and its options; ``NUTS()`` unless stated.
    seed : int
        Seed of every random number. The same seed gives the same draws to the last bit, on one
        core or many, on a machine of the same kind with the same versions.
    progress : bool
        Whether to show a progress bar on standard error.

    Returns
    -------
    Fit
        Whose ``status`` and ``verdict`` say whether it may be used. Ctrl-C stops sampling and
        keeps the draws so far.

    Raises
    ------
    DataError
        If the table cannot be used with the model.
    FitError
        If sampling cannot start.
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ModelError(f"seed={seed!r} must be a whole number of at least 0.")
    chosen = NUTS() if method is None else method
    require_method(chosen)
    population = build(model, data)
    if isinstance(chosen, NUTS):
        found = _sampled(population, chosen, seed=int(seed), progress=progress)
    elif isinstance(chosen, Variational):
        found = _approximated(population, chosen, seed=int(seed), progress=progress)
    elif isinstance(chosen, LikelihoodMethod):
        found = _maximised(population, chosen, seed=int(seed), progress=progress)
    elif isinstance(chosen, SAEM):
        found = _by_saem(population, chosen, seed=int(seed), progress=progress)
    elif isinstance(chosen, Mode):
        found = _with_data(population, find_joint_mode(population, chosen))
    else:
        found = _with_data(population, evaluate(population, chosen, seed=int(seed)))
    status, groups, seconds = found
    return Fit(
        model=model,
        data=population.data,
        method=chosen.to_dict(),
        seed=int(seed),
        status=status,
        tree=xr.DataTree.from_dict(groups),
        provenance={"table_hash": data.hash, **_provenance(population, seconds)},
    )


def require_method(method: object) -> None:
    """Refuse what is no estimator.

    Raises
    ------
    ModelError
        Saying what was given.
    """
    if not isinstance(method, Method.__value__):
        raise ModelError(
            f"method={method!r} is no estimator. Give an object with its options, such as "
            "bn.NUTS(draws=1000) or bn.FOCE()."
        )


type _Found = tuple[Status, dict[str, xr.Dataset], Mapping[str, float]]
"""How it ended, the groups of the tree, wall times."""


def _sampled(population: Population, method: NUTS, *, seed: int, progress: bool) -> _Found:
    draws = sample(population, method, seed=seed, progress=progress)
    groups = {
        "posterior": draws.posterior,
        "sample_stats": draws.sample_stats,
        **_predictions(population, draws.posterior, seed),
    }
    status, groups, seconds = _with_data(population, (_status(draws), groups, draws.seconds))
    centred = groups["constant_data"].assign(_centring(population, draws))
    return status, {**groups, "constant_data": centred}, seconds


def _approximated(
    population: Population, method: Variational, *, seed: int, progress: bool
) -> _Found:
    with IterationProgress(method.title, shown=progress) as bar:
        draws = approximate_posterior(population, method, seed=seed, watch=bar.update)
    sound = judge_weights(draws.approximation, method.draws).passed
    groups = {
        "posterior": draws.posterior,
        "approximation": draws.approximation,
        **_predictions(population, draws.posterior, seed),
    }
    status = Status.CONVERGED if sound else Status.NOT_CONVERGED
    return _with_data(population, (status, groups, draws.seconds))


def _maximised(
    population: Population, method: LikelihoodMethod, *, seed: int, progress: bool
) -> _Found:
    with SearchProgress(method.title, shown=progress) as bar:
        estimate = maximum_likelihood(population, method, seed=seed, watch=bar.update)
    status, attributes = judged(estimate, method)
    groups = likelihood_groups(estimate, attributes)
    return _with_data(population, (status, groups, estimate.seconds))


def _by_saem(population: Population, method: SAEM, *, seed: int, progress: bool) -> _Found:
    with IterationProgress(method.title, shown=progress) as bar:
        return _with_data(population, fit_by_saem(population, method, seed=seed, watch=bar.update))


def _with_data(population: Population, found: _Found) -> _Found:
    status, groups, seconds = found
    data = {"observed_data": observed_data(population), "constant_data": _constant(population.data)}
    return status, {**groups, **data}, seconds


def _status(draws: Draws) -> Status:
    if draws.interrupted:
        return Status.INTERRUPTED
    sound = assess(draws.posterior, draws.sample_stats).passed
    return Status.CONVERGED if sound else Status.NOT_CONVERGED


def _predictions(population: Population, posterior: xr.Dataset, seed: int) -> dict[str, xr.Dataset]:
    rng = np.random.default_rng(seed)
    return {
        "log_likelihood": log_likelihood(population, posterior),
        "posterior_predictive": draw_observations(population, posterior, rng),
    }


def _constant(data: Dataset) -> xr.Dataset:
    observations = data.observations
    columns = {
        "time": observations.time,
        "subject_index": observations.subject,
        "output_index": observations.output,
        "row": observations.row,
    }
    coords = {names.OBSERVATION: np.arange(data.n_observations)}
    return xr.Dataset({k: (names.OBSERVATION, v) for k, v in columns.items()}, coords=coords)


def _centring(population: Population, draws: Draws) -> dict[str, xr.DataArray]:
    if draws.centring is None:
        return {}
    coords = {
        names.SUBJECT: list(population.data.subjects),
        names.EFFECT: list(population.model.effects),
    }
    return {names.CENTRING: xr.DataArray(draws.centring, coords, (names.SUBJECT, names.EFFECT))}


def _provenance(population: Population, seconds: Mapping[str, float]) -> dict[str, Any]:
    return {
        "model_hash": population.model.hash,
        "data_hash": population.data.hash,
        "source": population.data.source,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {name: version(name) for name in RECORDED_PACKAGES},
        "flags": REPRODUCIBLE,
        "seconds": {name: round(value, 2) for name, value in seconds.items()},
    }
