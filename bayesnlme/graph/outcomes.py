"""What is observed: the density of each output around its prediction."""

import numpy as np
import pymc as pm

from bayesnlme import names
from bayesnlme._types import Tensor
from bayesnlme.data import Dataset
from bayesnlme.graph.variables import variable_of
from bayesnlme.model.model import Model


def observe(model: Model, data: Dataset, prediction: Tensor, numbered: tuple[int, str]) -> None:
    """Add one output, its place among the outputs and its name given, to the PyMC model."""
    number, output = numbered
    residual = model.observations[output]
    dim = names.observation_dim(output, data.outputs)
    chosen = np.flatnonzero(data.observations.output == number)
    observed = pm.Data(names.observed(output), data.observations.value[chosen], dims=dim)
    f = prediction
    if len(data.outputs) > 1:
        f = prediction[pm.Data(names.position(output), chosen, dims=dim)]
    magnitudes = {
        name: variable_of(names.magnitude(output, name), prior)
        for name, prior in residual.priors().items()
    }
    distribution, arguments = residual.density(f, magnitudes)
    getattr(pm, distribution)(output, **arguments, observed=observed, dims=dim)
