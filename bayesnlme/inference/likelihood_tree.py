"""The groups of a fit that maximised a likelihood: estimates, likelihood, individual, residuals."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from bayesnlme import names
from bayesnlme._types import Booleans, Floats
from bayesnlme.inference.likelihood import Estimate
from bayesnlme.marginal.conditional import Conditional
from bayesnlme.marginal.modes import Modes
from bayesnlme.marginal.residuals import residuals
from bayesnlme.results.summary import population_rows

_STEP = 1e-5


def likelihood_groups(estimate: Estimate, attributes: Mapping[str, Any]) -> dict[str, xr.Dataset]:
    """Return the groups by name; see :class:`bayesnlme.results.likelihood.Likelihood`."""
    maximum, conditional = estimate.maximum, estimate.approximation.conditional
    theta, seen = maximum.theta, maximum.contributions
    likelihood = _evaluated(conditional, theta, seen.value).merge(_maximum(estimate))
    groups = _at_modes(conditional, theta, seen.modes)
    return {"likelihood": likelihood.assign_attrs(attributes), **groups}


def evaluated_groups(
    conditional: Conditional,
    theta: Floats,
    likelihood: Mapping[str, Floats],
    modes: Modes,
    attributes: Mapping[str, Any],
) -> dict[str, xr.Dataset]:
    """Return the groups of a likelihood that was evaluated at given estimates.

    Parameters
    ----------
    conditional : Conditional
        Densities.
    theta : array, shape (parameter,)
        The estimates, on their unconstrained scales.
    likelihood : mapping of str to array, shape (subject,)
        ``log_likelihood``, and what else is known of each subject's.
    modes : Modes
        Of the random effects.
    attributes : mapping
        ``title``, ``problems`` and others.
    """
    found = _evaluated(conditional, theta, likelihood["log_likelihood"])
    found = found.assign({name: (names.SUBJECT, each) for name, each in likelihood.items()})
    groups = _at_modes(conditional, theta, modes)
    return {"likelihood": found.assign_attrs(attributes), **groups}


def estimate_rows(conditional: Conditional, theta: Floats) -> dict[str, tuple[Floats, str]]:
    """Return each estimate by its name in tables: values, shape (draw,), and unit."""
    population = conditional.population
    natural = conditional.natural(theta)
    rows = population_rows(population.model, natural, population.data.units)
    return {name: (values.values[0], unit) for name, values, unit in rows}


def _at_modes(conditional: Conditional, theta: Floats, modes: Modes) -> dict[str, xr.Dataset]:
    full = conditional if conditional.interaction else Conditional(conditional.population)
    return {
        "estimates": conditional.natural(theta).isel(chain=0, draw=0),
        "individual": _individual(conditional, theta, modes),
        "residuals": residuals(full, theta, modes.z),
    }


def _evaluated(conditional: Conditional, theta: Floats, values: Floats) -> xr.Dataset:
    found = estimate_rows(conditional, theta)
    return xr.Dataset(
        {
            "log_likelihood": (names.SUBJECT, values),
            "theta": ("parameter", theta),
            "estimate_value": ("estimate", np.array([each[0] for each, _ in found.values()])),
            "unit": ("estimate", np.array([unit for _, unit in found.values()], dtype=str)),
            "scale": (
                "estimate",
                np.array([estimate_scale(each, conditional) for each in found], dtype=str),
            ),
        },
        coords={
            names.SUBJECT: list(conditional.population.data.subjects),
            "parameter": _labels(conditional),
            "estimate": list(found),
        },
    )


def _maximum(estimate: Estimate) -> xr.Dataset:
    """Return what there is of a likelihood at its largest: slopes, curvature, the way there."""
    maximum = estimate.maximum
    slopes = (maximum.contributions.slope, maximum.hessian, maximum.at_bound)
    way = np.stack([each for _, each in maximum.trace])
    found = top(estimate.approximation.conditional, maximum.theta, slopes, way)
    objective = 2.0 * np.array([each for each, _ in maximum.trace])
    return found.assign(trace_ofv=("iteration", objective))


def top(
    conditional: Conditional,
    theta: Floats,
    slopes: tuple[Floats, Floats, Booleans],
    way: Floats,
) -> xr.Dataset:
    """Return the part of a likelihood's group that only a maximum has.

    Parameters
    ----------
    conditional : Conditional
        Densities.
    theta : array, shape (parameter,)
        Where it is largest.
    slopes : tuple of arrays
        Scores of the subjects, the negative Hessian, and which parameters are at a bound.
    way : array, shape (iteration, parameter)
        Parameters after each step.
    """
    step = _STEP * np.eye(theta.size)
    found = estimate_rows(conditional, np.concatenate([theta + step, theta - step]))
    values = np.stack([each for each, _ in found.values()])
    above, below = values[:, : theta.size], values[:, theta.size :]
    steps = estimate_rows(conditional, way)
    scores, hessian, at_bound = slopes
    return xr.Dataset(
        {
            "score": ((names.SUBJECT, "parameter"), scores),
            "hessian": (("parameter", "parameter_bis"), hessian),
            "at_bound": ("parameter", at_bound.astype(np.int8)),
            "jacobian": (("estimate", "parameter"), (above - below) / (2 * _STEP)),
            "trace": (("iteration", "estimate"), np.stack([v for v, _ in steps.values()], axis=1)),
        },
        coords={"parameter_bis": _labels(conditional)},
    )


def _labels(conditional: Conditional) -> list[str]:
    return [
        each.name if each.shape == () else f"{each.name}[{k}]"
        for each in conditional.parameters
        for k in range(each.where.stop - each.where.start)
    ]


def estimate_scale(estimate: str, conditional: Conditional) -> str:
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
