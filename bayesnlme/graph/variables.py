"""Variables of the PyMC model."""

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayesnlme._types import Tensor
from bayesnlme.population.priors import Fixed, Prior


def variable_of(name: str, prior: Prior | Fixed) -> Tensor:
    """Return a scalar: a random variable, or a constant where it is known."""
    if isinstance(prior, Fixed):
        return pt.constant(np.float64(prior.value), name=name)  # a float may become a float32
    return getattr(pm, prior.distribution)(name, **prior.keywords, initval=prior.start)
