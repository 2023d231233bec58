"""The groups of a fit that maximised a likelihood: estimates, likelihood, individual, residuals."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from bayesnlme import names
from bayesnlme._types import Floats
from bayesnlme.graph.build import Population
from bayesnlme.inference.likelihood import Estimate
from bayesnlme.marginal.conditional import Conditional
from bayesnlme.marginal.modes import Modes
from bayesnlme.marginal.residuals import residuals
from bayesnlme.results.summary import population_rows

_STEP = 1e-5


def likelihood_groups(
    population: Population, estimate: Estimate, attributes: Mapping[str, Any]
) -> dict[str, xr.Dataset]:
    """Return the groups by name; see :class:`bayesnlme.results.likelihood.Likelihood`."""
    maximum, conditional = estimate.maximum, estimate.approximation.conditional
    theta, modes = maximum.theta, maximum.contributions.modes
    full = conditional if conditional.interaction else Conditional(population)
    natural = conditional.natural(theta).isel(chain=0, draw=0)
    return {
        "estimates": natural,
        "likelihood": _likelihood(population, estimate).assign_attrs(attributes),
        "individual": _individual(conditional, theta, modes),
        "residuals": residuals(full, theta, modes.z),
    }


def estimate_rows(conditional: Conditional, theta: Floats) -> dict[str, tuple[Floats, str]]:
    """Return each estimate by its name in tables: values, shape (draw,), and unit."""
    population = conditional.population
    natural = conditional.natural(theta)
    rows = population_rows(population.model, natural, population.data.units)
    return {name: (values.values[0], unit) for name, values, unit in rows}


def _likelihood(population: Population, estimate: Estimate) -> xr.Dataset:
    maximum, conditional = estimate.maximum, estimate.approximation.conditional
    theta = maximum.theta
    step = _STEP * np.eye(theta.size)
    found = estimate_rows(conditional, np.concatenate([theta[None], theta + step, theta - step]))
    values = np.stack([each for each, _ in found.values()])
    above, below = values[:, 1 : 1 + theta.size], values[:, 1 + theta.size :]
    steps = estimate_rows(conditional, np.stack([each for _, each in maximum.trace]))
    labels = [
        each.name if each.shape == () else f"{each.name}[{k}]"
        for each in conditional.parameters
        for k in range(each.where.stop - each.where.start)
    ]
    seen = maximum.contributions
    return xr.Dataset(
        {
            "log_likelihood": (names.SUBJECT, seen.value),
            "score": ((names.SUBJECT, "parameter"), seen.slope),
            "theta": ("parameter", theta),
            "hessian": (("parameter", "parameter_bis"), maximum.hessian),
            "at_bound": ("parameter", maximum.at_bound.astype(np.int8)),
            "estimate_value": ("estimate", values[:, 0]),
            "unit": ("estimate", np.array([unit for _, unit in found.values()], dtype=str)),
            "scale": ("estimate", np.array([_scale(each, conditional) for each in found])),
            "jacobian": (("estimate", "parameter"), (above - below) / (2 * _STEP)),
            "trace_ofv": ("iteration", 2.0 * np.array([each for each, _ in maximum.trace])),
            "trace": (("iteration", "estimate"), np.stack([v for v, _ in steps.values()], axis=1)),
        },
        coords={
            names.SUBJECT: list(population.data.subjects),
            "parameter": labels,
            "parameter_bis": labels,
            "estimate": list(found),
        },
    )


def _scale(estimate: str, conditional: Conditional) -> str:
    """Name the scale on which an estimate's interval is made."""
    variable = estimate.split("[", maxsplit=1)[0]
    if any(variable == layer.names.corr for layer in conditional.population.model.layers):
        return "correlation"
    sampled = {each.name for each in conditional.parameters}
    is_sd = any(variable == layer.names.sd for layer in conditional.population.model.layers)
    return "log" if is_sd or f"{variable}_log__" in sampled else "natural"


def _individual(conditional: Conditional, theta: Floats, modes: Modes) -> xr.Dataset:
    """Return modes of the random effects, individual parameters, and conditional variances."""
    found = conditional.individual(theta, modes.z)
    variances = {}
    for layer in conditional.population.model.layers:
        called = layer.names.effects
        total = xr.zeros_like(found[called])
        for m in range(conditional.n_effects):
            u = _STEP * modes.spread[:, :, m]
            above, below = (conditional.individual(theta, modes.z + s * u)[called] for s in (1, -1))
            total = total + ((above - below) / (2 * _STEP)) ** 2
        variances[f"{called}_variance"] = total
    return found.assign(variances)
