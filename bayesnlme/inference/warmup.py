r"""Coordinates learnt in the first part of the warm-up.

What a population of effects makes slow is known beforehand: the effects of all subjects move
together with the typical values, and the population parameters with each other. A diagonal mass
matrix sees neither, and one for all pairs grows with the square of the number of subjects. Sampled
is therefore in coordinates of :class:`bayesnlme.graph.chart.Chart`: its root becomes the Cholesky
factor of the covariance of the population parameters in a first part of the warm-up, its way the
regression of each effect on them. The map is linear and constant once learnt: the posterior stays,
and the rest of the warm-up adapts the scales as ever.

A slope that is only noise ties its effect to a parameter, and many such slopes hold the parameter
fast. So the slopes of one effect on one parameter are shrunk, over all subjects, by the share of
their mean square that the noise of so many effective draws explains [James1961]_.
"""

import arviz as az
import numpy as np
import xarray as xr

from bayesnlme._types import Floats
from bayesnlme.graph.chart import Chart

PARTS = (0.4, 0.3)
"""Shares of the warm-up: to find the posterior, and to draw what is learnt from."""

SHRINKAGE = 0.02
"""Weight of no correlation. It bounds what chance does in few draws."""

FEWEST_DRAWS = 50
"""Draws of a chain below which they say too little of the mode that it is in."""

FEWEST = 20
"""Draws for each population parameter below which nothing is learnt."""

FEWEST_UNITS = 10
"""Subjects below which nothing is learnt: they leave an SD open over so wide a range that what a
straight line ties to it is wrong in the tails, and divergences follow."""


def learnt(chart: Chart, draws: Floats) -> Chart:
    """Return better coordinates, from draws in those of a chart.

    Parameters
    ----------
    chart : Chart
        The coordinates so far.
    draws : array, shape (chain, draw, size)
        Chains may lie apart: only what varies within them counts.
    """
    within = (draws - draws.mean(axis=1, keepdims=True)).reshape(-1, draws.shape[-1])
    scale, places = within.std(axis=0), chart.places
    theta, there = places.theta, places.there
    few = len(within) < FEWEST * theta.size or _units(chart).min() < FEWEST_UNITS
    if few or not theta.size or not (scale > 0).all():
        return chart
    standard, n = within / scale, len(within)
    population = standard[:, theta]
    correlation = (1 - SHRINKAGE) * population.T @ population / n + SHRINKAGE * np.eye(theta.size)
    inverse = np.linalg.inv(correlation)
    together = np.zeros(chart.way.shape)
    together[:, there] = population.T @ standard[:, places.effects[there]] / n
    slopes = np.tensordot(inverse, together, 1)
    unexplained = np.maximum(1 - (slopes * together).sum(axis=0), 0.0) * there
    noise = np.diag(inverse) / _effective(draws[:, :, theta])
    for kind, count in enumerate(_units(chart)):
        of_kind = places.kinds == kind
        signal = (slopes[:, :, of_kind] ** 2).sum(axis=(1, 2)) / count
        error = noise * unexplained[:, of_kind].sum() / count
        slopes[:, :, of_kind] *= np.maximum(1 - error / signal, 0.0)[:, None, None]
    slopes *= np.where(there, scale[places.effects], 0.0) / scale[theta][:, None, None]
    return chart.refined(scale[theta][:, None] * np.linalg.cholesky(correlation), slopes)


def _units(chart: Chart) -> Floats:
    """Return of how many subjects, or occasions, each effect is."""
    places = chart.places
    return np.bincount(places.kinds, places.there.sum(axis=0))


def _effective(draws: Floats) -> Floats:
    """Return the effective number of draws of each parameter, shape (parameter,)."""
    dataset = xr.Dataset({"x": (("chain", "draw", "parameter"), draws)})
    found: Floats = az.ess(dataset, method="mean")["x"].values
    return found
