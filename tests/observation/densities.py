"""Densities of outcomes as functions of numbers, for tests."""

import numpy as np
import pytensor
import pytensor.tensor as pt

from bayesnlme.observation.outcome import Bounds

FAST = "FAST_COMPILE"


def bounds(size, lower=None, upper=None, limit=None):
    given = Bounds.none(size)
    both = lower is not None or upper is not None
    lower = np.full(size, -np.inf) if both and lower is None else lower
    upper = np.full(size, np.inf) if both and upper is None else upper
    return Bounds(
        lower=given.lower if lower is None else np.asarray(lower, dtype=float),
        upper=given.upper if upper is None else np.asarray(upper, dtype=float),
        limit=given.limit if limit is None else np.asarray(limit, dtype=float),
    )


def log_density(outcome, y, f, magnitudes, known=None):
    """Evaluate in NumPy, with the magnitudes as numbers."""
    y = np.atleast_1d(np.asarray(y, dtype=float))
    f = np.broadcast_to(np.asarray(f, dtype=float), y.shape)
    known = bounds(y.size) if known is None else known
    values = {name: pt.constant(np.float64(each)) for name, each in magnitudes.items()}
    with np.errstate(all="ignore"):
        return outcome.log_density(y, f, values, known).eval(mode=FAST)


def slopes(outcome, y, f, magnitudes, known=None):
    """Return gradients of the sum in f and every magnitude, and the same by central differences."""
    y = np.atleast_1d(np.asarray(y, dtype=float))
    known = bounds(y.size) if known is None else known
    location, given = pt.dvector(), [pt.dscalar(name) for name in magnitudes]
    density = outcome.log_density(
        pt.as_tensor(y), location, dict(zip(magnitudes, given, strict=True)), known
    ).sum()
    inputs = [location, *given]
    function = pytensor.function(inputs, [density, *pt.grad(density, inputs)], mode=FAST)
    point = [np.broadcast_to(np.asarray(f, dtype=float), y.shape).copy(), *magnitudes.values()]
    with np.errstate(all="ignore"):
        _, *gradient = function(*point)
        return np.concatenate([np.ravel(each) for each in gradient]), _differences(function, point)


def _differences(function, point):
    found = []
    for k, each in enumerate(point):
        for i in range(np.size(each)):
            step = np.zeros(np.shape(each))
            step.flat[i] = 1e-6 * max(1.0, abs(np.ravel(each)[i]))
            above, below = (
                function(
                    *(x + sign * step * (j == k) if j == k else x for j, x in enumerate(point))
                )[0]
                for sign in (1, -1)
            )
            found.append((above - below) / (2 * step.flat[i]))
    return np.array(found)
