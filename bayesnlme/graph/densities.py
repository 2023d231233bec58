"""Densities of observations at stored draws, in NumPy, from the model's own distributions."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from bayesnlme import names
from bayesnlme._types import Floats
from bayesnlme.data import Dataset
from bayesnlme.graph.build import Population
from bayesnlme.graph.outcomes import bounds_of, positions
from bayesnlme.model.model import Model
from bayesnlme.observation.events import HAZARD
from bayesnlme.observation.kinds import Observed
from bayesnlme.observation.outcome import Bounds
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
        Draws with ``prediction`` and the outcomes' magnitudes, dims (chain, draw, ...).

    Returns
    -------
    Dataset
        One variable for each output, dims (chain, draw, observation).
    """
    found = {}
    for output in outputs_at(population, posterior):
        y = observed_values(population.data, output.name)
        values = [output.log_density(y, chain) for chain in range(posterior.sizes["chain"])]
        found[output.name] = output.like.copy(data=np.stack(values))
    return xr.Dataset(found)


def draw_observations(
    population: Population, posterior: xr.Dataset, rng: np.random.Generator
) -> xr.Dataset:
    """Draw new observations of the same subjects at every draw; see :func:`log_likelihood`.

    Of a censored observation the value is drawn that would have been measured.
    """
    return xr.Dataset(
        {
            output.name: output.like.copy(data=output.draw(rng))
            for output in outputs_at(population, posterior)
        }
    )


def observed_values(data: Dataset, output: str) -> Floats:
    """Return one output's observed values, in the order of the table; a limit where censored."""
    return data.observations.value[data.observations.output == data.outputs.index(output)]


def observed_data(population: Population) -> xr.Dataset:
    """Return every output's observed values, dims and coords as in the graph."""
    data = population.data
    dims = {output: names.observation_dim(output, data.outputs) for output in data.outputs}
    return xr.Dataset(
        {output: (dim, observed_values(data, output)) for output, dim in dims.items()},
        coords={dim: np.asarray(population.pymc.coords[dim]) for dim in dims.values()},
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OutputDraws:
    """One output at stored draws.

    Attributes
    ----------
    name : str
        The output.
    outcome : outcome
        Its kind, with its density.
    like : DataArray
        Its predictions, dims (chain, draw, observation).
    magnitudes : mapping of str to array
        Magnitudes of its outcome, shape (chain, draw, 1), and of an event the hazard, shape
        (chain, draw, observation).
    bounds : Bounds
        What is known of its censored observations.
    """

    name: str
    outcome: Observed
    like: xr.DataArray
    magnitudes: Mapping[str, Floats]
    bounds: Bounds

    def log_density(self, y: Floats, chain: int) -> Floats:
        """Return the log density at the draws of one chain, shape (draw, observation)."""
        magnitudes = {name: each[chain] for name, each in self.magnitudes.items()}
        density = self.outcome.log_density(y, self.like.values[chain], magnitudes, self.bounds)
        return np.broadcast_to(density.eval(mode=_MODE), self.like.shape[1:])

    def draw(self, rng: np.random.Generator) -> Floats:
        """Draw observations, shape (chain, draw, observation)."""
        return self.outcome.draw(self.like.values, self.magnitudes, self.bounds, rng)

    def quantile(self, level: Floats) -> Floats:
        """Return quantiles of the observations, shape (chain, draw, observation)."""
        return self.outcome.quantile(level, self.like.values, self.magnitudes, self.bounds)


def outputs_at(population: Population, posterior: xr.Dataset) -> Iterator[OutputDraws]:
    """Yield each output at the draws of a posterior with ``prediction`` and the magnitudes."""
    for number, output in enumerate(population.data.outputs):
        f = posterior[names.PREDICTION].transpose("chain", "draw", ...)
        f = f.isel({names.OBSERVATION: positions(population.data, number)})
        dim = names.observation_dim(output, population.data.outputs)
        yield OutputDraws(
            name=output,
            outcome=population.model.observations[output],
            like=f.rename({names.OBSERVATION: dim}),
            magnitudes=_magnitudes(population.model, output, posterior),
            bounds=bounds_of(population.data, number),
        )


def _magnitudes(model: Model, output: str, posterior: xr.Dataset) -> Mapping[str, Floats]:
    """Return what the density of an outcome takes besides the prediction."""
    shape = (posterior.sizes["chain"], posterior.sizes["draw"], 1)
    found = {
        name: np.full(shape, prior.value)
        if isinstance(prior, Fixed)
        else posterior[names.magnitude(output, name)].transpose("chain", "draw").values[..., None]
        for name, prior in model.observations[output].priors().items()
    }
    hazard = posterior.get(names.hazard(output)) if output in model.events else None
    if hazard is not None:
        found[HAZARD] = hazard.transpose("chain", "draw", ...).values
    return found
