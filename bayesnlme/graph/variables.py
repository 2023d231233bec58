"""Variables of the PyMC model."""

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayesnlme._types import Tensor
from bayesnlme.population.priors import Fixed, Prior


def variable_of(name: str, prior: Prior | Fixed) -> Tensor:
    """Return a scalar: a random variable, or a constant where it is known.

    Numbers are NumPy's: of a plain 10.0 PyTensor makes a float32, which costs digits.
    """
    if isinstance(prior, Fixed):
        return pt.constant(np.float64(prior.value), name=name)
    arguments = {key: np.float64(value) for key, value in prior.keywords.items()}
    return getattr(pm, prior.distribution)(name, **arguments, initval=prior.start)
