"""What is observed: the density of each output around its prediction."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pymc as pm

from bayesnlme import names
from bayesnlme._types import Floats, Integers, Tensor
from bayesnlme.data import Dataset
from bayesnlme.graph.variables import variable_of
from bayesnlme.model.model import Model
from bayesnlme.observation.events import HAZARD
from bayesnlme.observation.kinds import Observed
from bayesnlme.observation.outcome import Bounds


def positions(data: Dataset, number: int) -> Integers:
    """Return where among all observations those of one output stand."""
    return np.flatnonzero(data.observations.output == number)


def bounds_of(data: Dataset, number: int) -> Bounds:
    """Return what is known of one output's censored observations, in the order of the table."""
    seen = data.observations.take(positions(data, number))
    return Bounds(lower=seen.lower, upper=seen.upper, limit=seen.limit)


def observe(
    model: Model,
    data: Dataset,
    predicted: tuple[Tensor, Tensor | None],
    numbered: tuple[int, str],
) -> None:
    """Add one output to the PyMC model.

    Parameters
    ----------
    model, data
        What is observed.
    predicted : pair of tensors
        The prediction of all observations, and of an event its hazard at those of this output.
    numbered : pair of int and str
        Its place among the outputs, and its name.
    """
    (prediction, hazard), (number, output) = predicted, numbered
    outcome = model.observations[output]
    dim = names.observation_dim(output, data.outputs)
    chosen = positions(data, number)
    observed = pm.Data(names.observed(output), data.observations.value[chosen], dims=dim)
    f = prediction
    if len(data.outputs) > 1:
        f = prediction[pm.Data(names.position(output), chosen, dims=dim)]
    magnitudes = {
        name: variable_of(names.magnitude(output, name), prior)
        for name, prior in outcome.priors().items()
    }
    if hazard is not None:
        magnitudes[HAZARD] = pm.Deterministic(names.hazard(output), hazard, dims=dim)
    bounds = bounds_of(data, number)
    pm.CustomDist(
        output,
        f,
        *magnitudes.values(),
        logp=_log_density(outcome, tuple(magnitudes), bounds),
        random=_draw(outcome, tuple(magnitudes), bounds),
        class_name=outcome.kind,
        observed=observed,
        dims=dim,
    )


def _log_density(
    outcome: Observed, magnitudes: tuple[str, ...], bounds: Bounds
) -> Callable[..., Tensor]:
    def logp(value: Tensor, f: Tensor, *values: Tensor) -> Tensor:
        given = dict(zip(magnitudes, values, strict=True))
        return outcome.log_density(value, f, given, bounds)

    return logp


def _draw(outcome: Observed, magnitudes: tuple[str, ...], bounds: Bounds) -> Callable[..., Floats]:
    def random(f: Floats, *values: Floats, rng: np.random.Generator, size: Any = None) -> Floats:
        given = dict(zip(magnitudes, values, strict=True))
        wide = f if size is None else np.broadcast_to(f, size)
        return outcome.draw(wide, given, bounds, rng)

    return random
