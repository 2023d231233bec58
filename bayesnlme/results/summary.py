"""The table of population parameters."""

from collections.abc import Iterator, Mapping
from typing import Any

import arviz as az
import numpy as np
import pandas as pd
import xarray as xr

from bayesnlme import names
from bayesnlme.model.layers import Layer
from bayesnlme.model.model import Model
from bayesnlme.population.covariates import Categorical
from bayesnlme.population.factors import Function, Maturation
from bayesnlme.population.priors import Fixed

COLUMNS = (
    "mean", "sd", "median", "lower", "upper", "cv_percent", "unit", "rhat", "ess_bulk", "ess_tail",
    "mcse_mean",
)  # fmt: skip

type Row = tuple[str, xr.DataArray, str]
"""Name, draws with dims (chain, draw), and unit."""


def tabulate(
    model: Model,
    posterior: xr.Dataset,
    units: Mapping[str, str],
    interval: float,
    *,
    ess: float | None = None,
) -> pd.DataFrame:
    """Tabulate the population parameters; see :meth:`bayesnlme.results.fit.Fit.summary`.

    `ess` is the effective sample size of draws that are no chains, not a number where that is
    unknown; what only chains have is left out then.
    """
    rows = list(population_rows(model, posterior, units))
    if not rows:
        return pd.DataFrame(columns=list(COLUMNS if ess is None else COLUMNS[:7]))
    draws = xr.Dataset({name: each.drop_vars(_extra(each)) for name, each, _ in rows})
    tail = (1 - interval) / 2
    over = ("chain", "draw")
    columns: dict[str, Mapping[Any, Any]] = {
        "mean": draws.mean(over),
        "sd": draws.std(over, ddof=1),
        "median": draws.median(over),
        "lower": draws.quantile(tail, over),
        "upper": draws.quantile(1 - tail, over),
        "cv_percent": _log_scale_cv(model, draws),
        **_accuracy(draws, ess),
    }
    table = pd.DataFrame(
        {
            title: {name: float(values[name]) if name in values else np.nan for name in draws}
            for title, values in columns.items()
        },
        index=list(draws),
    )
    table.insert(list(table).index("cv_percent") + 1, "unit", [unit for _, _, unit in rows])
    table.attrs["interval"] = f"equal-tailed {interval:.0%}"
    return table


def _accuracy(draws: xr.Dataset, ess: float | None) -> dict[str, Mapping[Any, Any]]:
    """Return what says how well draws stand for their distribution."""
    if ess is None:
        return {
            "rhat": az.rhat(draws),
            "ess_bulk": az.ess(draws, method="bulk"),
            "ess_tail": az.ess(draws, method="tail"),
            "mcse_mean": az.mcse(draws),
        }
    if np.isnan(ess):
        return {}
    spread = draws.std(("chain", "draw"), ddof=1)
    count = draws.sizes["chain"] * draws.sizes["draw"]
    return {"mcse_mean": spread * np.sqrt(1.0 / ess + 1.0 / count)}


def cv_percent[Draws: (xr.DataArray, xr.Dataset)](omega: Draws) -> Draws:
    r"""Return the coefficient of variation of a log-normal: :math:`100\sqrt{e^{\omega^2} - 1}`."""
    return 100.0 * xr.apply_ufunc(np.sqrt, np.exp(omega**2) - 1.0)


def population_rows(model: Model, posterior: xr.Dataset, units: Mapping[str, str]) -> Iterator[Row]:
    """Yield the population parameters that were estimated, in the order of the equations."""
    yield from _typical_rows(model, posterior)
    yield from _coefficient_rows(model, posterior)
    for layer in model.layers:
        yield from _sd_rows(model, layer, posterior)
        yield from _shape_rows(layer, posterior)
        yield from _scale_rows(layer, posterior)
        yield from _correlation_rows(layer, posterior)
    for output, residual in model.observations.items():
        for magnitude, prior in residual.priors().items():
            if not isinstance(prior, Fixed):
                variable = names.magnitude(output, magnitude)
                unit = units.get(output, units.get("DV", "")) if magnitude == "additive" else ""
                yield variable, posterior[variable], unit


def _typical_rows(model: Model, posterior: xr.Dataset) -> Iterator[Row]:
    for name, parameter in model.parameters.items():
        variable = names.typical(name)
        if variable in posterior:
            yield variable, posterior[variable], parameter.unit or ""


def _coefficient_rows(model: Model, posterior: xr.Dataset) -> Iterator[Row]:
    for name, parameter in model.parameters.items():
        for effect in parameter.covariates:
            if isinstance(effect, Maturation | Function):
                for which in effect.coefficients:
                    variable = names.coefficient(name, effect.covariate, which)
                    if variable in posterior:
                        yield variable, posterior[variable], ""
                continue
            variable = names.coefficient(name, effect.covariate)
            if variable not in posterior:
                continue
            if not isinstance(effect, Categorical):
                yield variable, posterior[variable], ""
                continue
            dim = names.levels(name, effect.covariate)
            for level in posterior[dim].values:
                yield f"{variable}[{level}]", posterior[variable].sel({dim: level}, drop=True), ""


def _sd_rows(model: Model, layer: Layer, posterior: xr.Dataset) -> Iterator[Row]:
    for name, prior in layer.priors.items():
        parameter = model.parameters[name]
        if not isinstance(prior, Fixed):
            unit = (parameter.unit or "") if parameter.kind == "Normal" else ""
            draws = posterior[layer.names.sd].sel({layer.names.effect: name}, drop=True)
            yield layer.names.sd_entry(name), draws, unit


def _shape_rows(layer: Layer, posterior: xr.Dataset) -> Iterator[Row]:
    for name, shape in layer.shapes.items():
        variable = names.shape(name, shape.variable)
        if variable in posterior:
            yield variable, posterior[variable], ""


def _scale_rows(layer: Layer, posterior: xr.Dataset) -> Iterator[Row]:
    for name in layer.shared:
        variable = layer.names.scale_of(name)
        if variable in posterior:
            yield variable, posterior[variable], ""


def _correlation_rows(layer: Layer, posterior: xr.Dataset) -> Iterator[Row]:
    called = layer.names
    for block in layer.blocks:
        for number, second in enumerate(block):
            for first in block[:number]:
                where = {called.effect: first, called.effect_bis: second}
                draws = posterior[called.corr].sel(where, drop=True)
                yield called.correlation((first, second)), draws, ""


def _log_scale_cv(model: Model, draws: xr.Dataset) -> dict[str, xr.DataArray]:
    """Return the median CV of each random effect that lives on the log scale."""
    log_scale = [
        layer.names.sd_entry(name)
        for layer in model.layers
        for name in layer.effects
        if model.parameters[name].kind == "LogNormal" and name not in layer.shapes
    ]
    return {name: cv_percent(draws[name]).median() for name in log_scale if name in draws}


def _extra(array: xr.DataArray) -> list[str]:
    return [str(name) for name in array.coords if name not in ("chain", "draw")]
