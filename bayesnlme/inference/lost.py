r"""Chains that a poor mode holds, found in the first part of the warm-up.

A posterior may have modes with next to none of its mass that no chain leaves: behind a lag time
later than a sample, for one, where the prediction is zero and flat in the lag, and a larger
residual error takes the rest. A chain that starts there stays. Its draws x say how much mass it is
in, up to a constant that all chains share, as if each mode were normal with the same correlations:

.. math:: \log m = \mathrm{E}[\log p(x)] + \sum_k \log \mathrm{sd}(x_k).

The logs of the SDs of d variables are too low by about :math:`d / n` in all, with n the effective
number of draws, of the log density, which forgets as fast as the squares do: by so much a slow
chain looks lighter than it is, and is allowed to.

A chain whose mode has a negligible share goes on from draws of the others, as paths towards
different modes are weighed in [Zhang2022]_. Modes that share the mass keep their chains, and R-hat
tells.
"""

import arviz as az
import numpy as np
import xarray as xr

from bayesnlme._types import Booleans, Floats

NEGLIGIBLE = 15.0
"""By so much the log mass of a mode is below the largest. Of 4000 draws none would be expected
there at 8.3; the rest is for what the estimate leaves out."""


def log_masses(log_density: Floats, draws: Floats) -> Floats:
    """Return the log mass of the mode that each chain is in, shape (chain,).

    Parameters
    ----------
    log_density : array, shape (chain, draw)
        The log density that is sampled.
    draws : array, shape (chain, draw, size)
        The draws it belongs to.
    """
    with np.errstate(divide="ignore"):  # a chain that never moved has no mass
        found: Floats = log_density.mean(axis=1) + np.log(draws.std(axis=1)).sum(axis=1)
    return found + draws.shape[-1] / _effective(log_density)


def _effective(log_density: Floats) -> Floats:
    """Return the effective number of draws of each chain, shape (chain,)."""
    chains = xr.Dataset({"log_density": (("number", "chain", "draw"), log_density[:, None])})
    found: Floats = az.ess(chains, method="mean")["log_density"].values
    return np.maximum(np.nan_to_num(found, nan=1.0), 1.0)


def lost_chains(masses: Floats) -> Booleans:
    """Mark the chains whose mode holds a negligible share of the mass found."""
    found: Booleans = masses < masses.max() - NEGLIGIBLE
    return found


def places_to_go_on(masses: Floats, draws: Floats) -> Floats:
    """Return where each chain goes on, shape (chain, size), no two at one place.

    It is where it ended, and for a lost chain an earlier draw of the chain with the largest mass.
    The early half is left alone: that chain may have been on its way.
    """
    lost, late = lost_chains(masses), draws[np.argmax(masses), draws.shape[1] // 2 :]
    number = np.arange(lost.sum())
    places = draws[:, -1].copy()
    places[lost] = late[number * len(late) // max(len(number), 1)]
    return places
