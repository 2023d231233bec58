"""The chains of the population parameters, and how evenly they share the ranks of all draws."""

import arviz as az
import numpy as np
import xarray as xr
from scipy import stats

from bayesnlme._types import Floats
from bayesnlme.diagnostics.labels import labels
from bayesnlme.errors import FitError
from bayesnlme.results import summary
from bayesnlme.results.fit import Fit, require_chains

RANK_BINS = 20
RANK_INTERVAL = 0.99


def population_draws(fit: Fit) -> xr.Dataset:
    """Return the draws of every population parameter.

    Parameters
    ----------
    fit : Fit
        With draws.

    Returns
    -------
    Dataset
        A variable, dims (chain, draw), for each row of ``fit.summary()``, called as there.
    """
    rows = summary.population_rows(fit.model, fit.posterior, fit.data.units)
    draws = {
        name: each.transpose("chain", "draw").drop_vars(set(each.coords) - {"chain", "draw"})
        for name, each, _ in rows
    }
    return xr.Dataset(draws).assign_attrs(labels(fit))


def rank_counts(fit: Fit, *, bins: int = RANK_BINS) -> xr.Dataset:
    r"""Count, for each parameter and chain, how many of its draws have which rank among all.

    Chains that explore the same distribution share the ranks evenly [Vehtari2021]_. A count's
    standard deviation is that of independent draws times :math:`\sqrt{S / \mathrm{ESS}}` with S
    draws in all and their bulk effective sample size.

    Parameters
    ----------
    fit : Fit
        With draws.
    bins : int
        Bins of equal width over the ranks.

    Returns
    -------
    Dataset
        ``count``, dims (parameter, chain, bin); ``expected``; ``lower`` and ``upper``, dim
        ``parameter``: the interval that holds a count of a well-mixed chain with the probability
        in ``.attrs["interval"]``; ``fraction``, the middle of each bin in (0, 1).

    Raises
    ------
    FitError
        If the draws do not come from chains, or no population parameter was estimated.
    """
    require_chains(fit)
    draws = population_draws(fit)
    if not draws:
        raise FitError("No population parameter was estimated: there are no ranks to count.")
    counts = np.stack([_counts(each.values, bins) for each in draws.values()])
    effective = az.ess(draws)
    total = draws.sizes["chain"] * draws.sizes["draw"]
    expected = draws.sizes["draw"] / bins
    inflation = np.sqrt([total / float(effective[name]) for name in draws])
    reach = stats.norm.ppf((1 + RANK_INTERVAL) / 2) * inflation
    reach *= np.sqrt(expected * (1 - 1 / bins))
    return xr.Dataset(
        {
            "count": (("parameter", "chain", "bin"), counts),
            "expected": expected,
            "lower": ("parameter", np.maximum(expected - reach, 0)),
            "upper": ("parameter", expected + reach),
            "fraction": ("bin", (np.arange(bins) + 0.5) / bins),
        },
        coords={"parameter": list(draws), "chain": draws["chain"].values},
        attrs=labels(fit) | {"interval": RANK_INTERVAL},
    )


def _counts(values: Floats, bins: int) -> np.ndarray:
    """Return the counts of ranks, shape (chain, bin), of draws of shape (chain, draw)."""
    ranks = stats.rankdata(values, axis=None).reshape(values.shape)
    place = np.minimum((ranks - 1) * bins // values.size, bins - 1).astype(np.int64)
    return np.stack([np.bincount(chain, minlength=bins) for chain in place])
