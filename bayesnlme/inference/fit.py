"""One door to every estimator."""

import platform
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
from bayesnlme.inference.density import REPRODUCIBLE
from bayesnlme.inference.nuts import NUTS, Draws, sample
from bayesnlme.model.model import Model
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


def fit(
    model: Model,
    data: Dataset,
    *,
    method: NUTS | None = None,
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
    method : NUTS, optional
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
    if not isinstance(chosen, NUTS):
        raise ModelError(
            f"method={method!r} is no estimator. Give an object with its options, such as "
            "bn.NUTS(draws=1000)."
        )
    population = build(model, data)
    draws = sample(population, chosen, seed=int(seed), progress=progress)
    return Fit(
        model=model,
        data=population.data,
        method=chosen.to_dict(),
        seed=int(seed),
        status=_status(draws),
        tree=_tree(population, draws, seed),
        provenance={"table_hash": data.hash, **_provenance(population, draws)},
    )


def _status(draws: Draws) -> Status:
    if draws.interrupted:
        return Status.INTERRUPTED
    sound = assess(draws.posterior, draws.sample_stats).passed
    return Status.CONVERGED if sound else Status.NOT_CONVERGED


def _tree(population: Population, draws: Draws, seed: int) -> xr.DataTree:
    rng = np.random.default_rng(seed)
    groups = {
        "posterior": draws.posterior,
        "sample_stats": draws.sample_stats,
        "log_likelihood": log_likelihood(population, draws.posterior),
        "posterior_predictive": draw_observations(population, draws.posterior, rng),
        "observed_data": observed_data(population),
        "constant_data": _constant(population.data, population.model, draws),
    }
    return xr.DataTree.from_dict(groups)


def _constant(data: Dataset, model: Model, draws: Draws) -> xr.Dataset:
    observations = data.observations
    columns = {
        "time": observations.time,
        "subject_index": observations.subject,
        "output_index": observations.output,
        "row": observations.row,
    }
    coords: dict[str, Any] = {names.OBSERVATION: np.arange(data.n_observations)}
    constant = xr.Dataset({k: (names.OBSERVATION, v) for k, v in columns.items()}, coords=coords)
    if draws.centring is None:
        return constant
    coords = {names.SUBJECT: list(data.subjects), names.EFFECT: list(model.effects)}
    weights = xr.DataArray(draws.centring, coords, (names.SUBJECT, names.EFFECT))
    return constant.assign({names.CENTRING: weights})


def _provenance(population: Population, draws: Draws) -> dict[str, Any]:
    return {
        "model_hash": population.model.hash,
        "data_hash": population.data.hash,
        "source": population.data.source,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {name: version(name) for name in RECORDED_PACKAGES},
        "flags": REPRODUCIBLE,
        "seconds": {name: round(value, 2) for name, value in draws.seconds.items()},
    }
