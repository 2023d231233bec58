"""Parameters on their natural scales as the vector that the densities take."""

import numpy as np
from scipy.special import logit


def theta_of(conditional, values):
    """Return the vector of parameters for natural values by name."""
    theta = np.empty(conditional.n_parameters)
    for each in conditional.parameters:
        if each.name.endswith("_log__"):
            found = np.log(values[each.name.removesuffix("_log__")])
        elif each.name.endswith("_logodds__"):
            found = logit(values[each.name.removesuffix("_logodds__")])
        else:
            found = values[each.name]
        theta[each.where] = np.ravel(found)
    return theta


def standard_log_density(z):
    """Log density of effects at SD 1 of each subject."""
    return (-0.5 * z**2 - 0.5 * np.log(2 * np.pi)).sum(axis=1)
