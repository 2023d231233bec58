r"""Which parameters only approach a bound, from the draws of SAEM.

EM comes ever slower to a variance of zero: next to all of the information on it is missing. So it
is asked outright. With :math:`\theta^0` the parameters with one of them at its bound, and the
random effects at SD 1, whose own density no parameter is in,

.. math:: \log p(y_i \mid \theta^0) - \log p(y_i \mid \theta)
          = \log \mathrm E\, e^{h_i(\theta^0, z_i) - h_i(\theta, z_i)}

over the conditional distribution of :math:`z_i`, which the chains draw from. Where the sum over
subjects is positive by more than its Monte-Carlo error, the likelihood is larger at the bound.
"""

import numpy as np

from bayesnlme import names
from bayesnlme._types import Booleans, Floats
from bayesnlme.inference.averages import RIDGE
from bayesnlme.inference.maximise import BOUND
from bayesnlme.marginal.conditional import Conditional
from bayesnlme.marginal.transitions import States, Transitions
from bayesnlme.observation.residual import ResidualError

_NOT_SDS = ("exponent", "df")
_DRAWS_PER_CONTROL = 4
_BATCHES = 8
_ERRORS = 2.0
"""So many standard errors, from batches of draws, a log ratio must be above zero."""

_LEAST_EFFECTIVE = 0.1
"""Share of the draws that must be effective for each subject, for a ratio to be believed."""


class LikelihoodRatios:
    """Likelihood ratios between moved parameters and those that draws were made at.

    Parameters
    ----------
    moves : array, shape (move, parameter)
        What is added to the parameters.
    """

    def __init__(self, moves: Floats) -> None:
        self.moves = moves
        self._ratios: list[Floats] = []
        self._controls: list[Floats] = []

    def add(
        self, transitions: Transitions, theta: Floats, states: States, controls: Floats
    ) -> None:
        """Take in draws that were made at theta, with their controls of mean zero."""
        if not len(self.moves):
            return
        moved = [transitions.densities(theta + move, states.z) for move in self.moves]
        self._ratios.append(np.exp(np.array(moved) - states.h))
        self._controls.append(controls)

    def log_ratios(self) -> Floats:
        """Return the log ratios less their errors, shape (move,).

        Minus infinity where the draws are too few, or too far off.
        """
        if sum(each.shape[1] for each in self._ratios) < _BATCHES:
            return np.full(len(self.moves), -np.inf)
        ratios = np.concatenate(self._ratios, axis=1)
        controls = np.concatenate(self._controls)
        with np.errstate(all="ignore"):
            freed = np.array([less_controls(each, controls) for each in ratios])
            means = freed.mean(axis=1)
            effective = ratios.mean(axis=1) ** 2 / (ratios**2).mean(axis=1)
            relative = (freed / means[:, None]).sum(axis=2)
            batches = [each.mean(axis=1) for each in np.array_split(relative, _BATCHES, axis=1)]
            error = np.std(batches, axis=0, ddof=1) / np.sqrt(_BATCHES)
            found = np.log(means).sum(axis=1) - _ERRORS * error
        near = (effective >= _LEAST_EFFECTIVE).all(axis=1)
        return np.where(near & np.isfinite(found), found, -np.inf)


def less_controls(values: Floats, controls: Floats) -> Floats:
    """Return values less what controls of mean zero explain of them.

    Parameters
    ----------
    values : array, shape (draw, subject)
        Positive values.
    controls : array, shape (draw, subject, control)
        See :mod:`bayesnlme.inference.averages`.
    """
    mean = values.mean(axis=0)
    if len(values) < _DRAWS_PER_CONTROL * controls.shape[-1]:
        return values
    size = np.sqrt((controls**2).mean(axis=0))
    scaled = controls / np.where(size > 0, size, 1.0)
    crossed = np.einsum("jng,jnk->ngk", scaled, scaled) / len(values)
    crossed += RIDGE * np.eye(controls.shape[-1])
    both = np.einsum("jng,jn->ng", scaled, values - mean) / len(values)
    slopes = np.linalg.solve(crossed, both[..., None])[..., 0]
    return np.asarray(values - np.einsum("jng,ng->jn", scaled, slopes))


def ways_to_bounds(conditional: Conditional, free: Booleans) -> Floats:
    """Return the moves that put a parameter at a bound, shape (move, parameter).

    Standard deviations at zero, of random effects and residual errors, and correlations at one or
    minus one.

    Parameters
    ----------
    conditional : Conditional
        Densities given the random effects.
    free : array of bool, shape (parameter,)
        Parameters that are not at a bound already.
    """
    steps = np.diag(BOUND * free)
    down = standard_deviations(conditional) | _correlations(conditional)
    up = _correlations(conditional)
    return np.concatenate([-steps[down & free], steps[up & free]])


def standard_deviations(conditional: Conditional) -> Booleans:
    """Mark the logs of the SDs of random effects and residual errors, shape (parameter,)."""
    model = conditional.population.model
    found = {layer.names.sd for layer in model.layers}
    found |= {layer.names.sd_of(name) for layer in model.layers for name in layer.effects}
    for output, outcome in model.observations.items():
        if isinstance(outcome, ResidualError):
            found |= {names.magnitude(output, each) for each in outcome.priors()}
            found -= {names.magnitude(output, each) for each in _NOT_SDS}
    return _marked(conditional, {f"{each}_log__" for each in found})


def _correlations(conditional: Conditional) -> Booleans:
    layers = conditional.population.model.layers
    found = {layer.names.partial(block) for layer in layers for block in layer.blocks}
    return _marked(conditional, {f"{each}_logodds__" for each in found})


def _marked(conditional: Conditional, wanted: set[str]) -> Booleans:
    found = np.zeros(conditional.n_parameters, dtype=bool)
    for each in conditional.parameters:
        found[each.where] = each.name in wanted
    return found
