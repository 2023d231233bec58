"""What a fit says of parameters, as draws: of a posterior, or the estimates of a likelihood."""

import numpy as np
import xarray as xr

from bayesnlme.errors import FitError
from bayesnlme.results.fit import Fit


def parameter_draws(fit: Fit, draws: int) -> xr.Dataset:
    """Return about so many draws of a posterior, or the estimates so many times.

    Returns
    -------
    Dataset
        Dims (chain, draw, ...). Of estimates with the random effects at SD 1 at zero.

    Raises
    ------
    FitError
        If the number is not positive.
    """
    if fit.has_draws:
        return thinned(fit.posterior, draws)
    _require_some(draws)
    estimates = fit.tree["estimates"].to_dataset()
    individual = fit.tree["individual"].to_dataset()
    standard = {
        layer.names.standard: xr.zeros_like(individual[layer.names.effects])
        for layer in fit.model.layers
    }
    return estimates.assign(standard).expand_dims(chain=[0], draw=np.arange(draws))


def at_modes(fit: Fit) -> xr.Dataset:
    """Return estimates, individual parameters and predictions at the modes as one draw."""
    estimates = fit.tree["estimates"].to_dataset()
    individual = fit.tree["individual"].to_dataset()
    rest = estimates.drop_vars([name for name in estimates.data_vars if name in individual])
    return rest.merge(individual).expand_dims(chain=[0], draw=[0])


def at_no_effects(fit: Fit, draws: int = 1) -> xr.Dataset:
    """Return about so many draws, or the estimates once, with all random effects at zero."""
    found = parameter_draws(fit, draws if fit.has_draws else 1)
    effects = [layer.names.standard for layer in fit.model.layers]
    return found.assign({name: xr.zeros_like(found[name]) for name in effects})


def thinned(posterior: xr.Dataset, draws: int | None) -> xr.Dataset:
    """Keep about this many draws in all, evenly spaced in every chain.

    Raises
    ------
    FitError
        If the number is not positive.
    """
    if draws is None:
        return posterior
    _require_some(draws)
    each = min(-(-draws // posterior.sizes["chain"]), posterior.sizes["draw"])
    chosen = np.linspace(0, posterior.sizes["draw"] - 1, each).round().astype(np.int64)
    return posterior.isel(draw=chosen)


def _require_some(draws: int) -> None:
    if draws < 1:
        raise FitError(f"draws={draws} must be at least 1.")
