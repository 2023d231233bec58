"""Densities of observations at stored draws, in NumPy, from the model's own distributions."""

from collections.abc import Iterator, Mapping

import numpy as np
import pymc as pm
import xarray as xr

from bayesnlme import names
from bayesnlme._types import Floats, Tensor
from bayesnlme.data import Dataset
from bayesnlme.graph.build import Population
from bayesnlme.model.model import Model
from bayesnlme.population.priors import Fixed

_MODE = "FAST_COMPILE"
"""Plain NumPy evaluation: each density is evaluated once, so compiling it would not pay."""


def log_likelihood(population: Population, posterior: xr.Dataset) -> xr.Dataset:
    """Return the log density of every observation at every draw.

    Parameters
    ----------
    population : Population
        Model and data.
    posterior : Dataset
        Draws with ``prediction`` and the residual magnitudes, dims (chain, draw, ...).

    Returns
    -------
    Dataset
        One variable for each output, dims (chain, draw, observation).
    """
    found = {}
    for output, density, like in output_densities(population, posterior):
        observed = observed_values(population.data, output)
        values = pm.logp(density, observed).eval(mode=_MODE)
        found[output] = like.copy(data=values)
    return xr.Dataset(found)


def draw_observations(
    population: Population, posterior: xr.Dataset, rng: np.random.Generator
) -> xr.Dataset:
    """Draw new observations of the same subjects at every draw; see :func:`log_likelihood`."""
    found = {}
    for output, density, like in output_densities(population, posterior):
        values = pm.draw(density, random_seed=rng, mode=_MODE)
        found[output] = like.copy(data=values)
    return xr.Dataset(found)


def observed_values(data: Dataset, output: str) -> Floats:
    """Return one output's observed values, in the order of the table."""
    return data.observations.value[data.observations.output == data.outputs.index(output)]


def output_densities(
    population: Population, posterior: xr.Dataset
) -> Iterator[tuple[str, Tensor, xr.DataArray]]:
    """Yield each output, its distribution over draws, and an array of the right shape."""
    for number, output in enumerate(population.data.outputs):
        chosen = np.flatnonzero(population.data.observations.output == number)
        f = posterior[names.PREDICTION].transpose("chain", "draw", ...)
        f = f.isel({names.OBSERVATION: chosen})
        dim = names.observation_dim(output, population.data.outputs)
        f = f.rename({names.OBSERVATION: dim})
        magnitudes = _magnitudes(population.model, output, posterior)
        residual = population.model.observations[output]
        distribution, arguments = residual.density(f.values, magnitudes)
        yield output, getattr(pm, distribution).dist(**arguments), f


def _magnitudes(model: Model, output: str, posterior: xr.Dataset) -> Mapping[str, Floats]:
    """Return the residual magnitudes, shape (chain, draw, 1)."""
    shape = (posterior.sizes["chain"], posterior.sizes["draw"], 1)
    return {
        name: np.full(shape, prior.value)
        if isinstance(prior, Fixed)
        else posterior[names.magnitude(output, name)].values[..., None]
        for name, prior in model.observations[output].priors().items()
    }
