"""What the priors imply before any data are used: draws of parameters and observations."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pymc as pm
import xarray as xr
from pytensor.compile.mode import get_mode

from bayesnlme import names
from bayesnlme._types import Booleans
from bayesnlme.data import Dataset
from bayesnlme.diagnostics.prior_conflict import compared_statistics, conflict_findings
from bayesnlme.errors import Finding, FitError
from bayesnlme.graph.build import Population, build
from bayesnlme.graph.densities import draw_observations, observed_data
from bayesnlme.model.model import Model

_MODE = get_mode("FAST_COMPILE").including("specialize")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PriorPredictive:
    """Draws from the priors of a model, for the design of a table.

    Attributes
    ----------
    model : Model
        The model.
    data : Dataset
        The table, its outputs called as the model calls them.
    seed : int
        Seed of the draws.
    tree : xarray.DataTree
        ArviZ's groups ``prior``, ``prior_predictive`` and ``observed_data``; dims chain (one),
        draw and those of the graph. A draw for which the structure could not be solved, or whose
        prediction is no finite number, is kept with NaN.
    """

    model: Model
    data: Dataset
    seed: int
    tree: xr.DataTree

    @property
    def draws(self) -> int:
        """How many draws there are, failed ones included."""
        return int(self.tree["prior"].sizes["draw"])

    @property
    def failed(self) -> int:
        """How many draws have an observation that could not be predicted or drawn."""
        return int((~self.complete).sum())

    @property
    def complete(self) -> Booleans:
        """Which draws are whole, shape (draw,)."""
        whole = np.isfinite(self.tree["prior"].to_dataset()[names.PREDICTION].values[0]).all(
            axis=-1
        )
        for values in self.tree["prior_predictive"].data_vars.values():
            whole &= np.isfinite(values.values[0]).all(axis=-1)
        return np.asarray(whole)

    @property
    def statistics(self) -> pd.DataFrame:
        """What was observed beside what studies drawn from the prior have.

        Columns ``output``, ``statistic``, ``observed``, ``lower``, ``median``, ``upper`` (central
        95 % of the studies), ``p_value`` (two-sided prior predictive p-value [Box1980]_) and
        ``conflict``. Statistics are the 5, 50 and 95 % quantiles of an output and its medians in
        up to four stretches of time, shares beyond a limit where values are censored, and the
        share of each category. A statistic is in conflict where its p-value is below 0.05: it lies
        outside the central 95 % of the studies. Each is judged alone.
        """
        return compared_statistics(self.model, self.data, self.tree, self.complete)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Warnings where prior and data conflict, each with what to do; empty without any.

        ``W_PRIOR_CONFLICT``: a statistic is in conflict, see ``statistics``. ``W_PRIOR_ELSEWHERE``:
        less than 5 % of the drawn observations lie in the range of the observed ones.
        ``W_PRIOR_WIDE``: the largest prediction of a study spans more than three decades between
        its 5 and 95 % quantiles. ``W_PRIOR_FAILED``: draws that could not be solved.
        ``N_PRIOR_FEW_DRAWS`` and ``N_PRIOR_NOT_COMPARED``: what could not be judged.
        """
        return tuple(conflict_findings(self.model, self.data, self.tree, self.complete))

    def __repr__(self) -> str:
        table = self.statistics
        numbers = table.to_string(index=False, float_format="{:.3g}".format) if len(table) else ""
        found = [f"{each.code}: {each.message} {each.remedy}" for each in self.findings]
        return "\n".join(
            [
                f"{self.draws} draws from the prior of {self.model.name}, seed {self.seed}; "
                f"{self.failed} failed",
                *found,
                *(["", numbers] if numbers else []),
            ]
        )


def prior_predictive(
    model: Model, data: Dataset, *, seed: int, draws: int = 500
) -> PriorPredictive:
    """Draw parameters from their priors, and observations of new subjects from them.

    Every draw is a study: the doses, times and covariates of the table, subjects drawn anew. The
    observed values take no part but in the comparison.

    Parameters
    ----------
    model : Model
        The model.
    data : Dataset
        The table.
    seed : int
        Seed of the draws.
    draws : int
        How many.

    Returns
    -------
    PriorPredictive
        With the draws as ``.tree``, the comparison as ``.statistics`` and what to say about it as
        ``.findings``. `bayesnlme.diagnostics.implied_curves` tabulates the draws through time for
        `bayesnlme.plots.implied_curves`.

    Raises
    ------
    DataError
        If the table cannot be used with the model.
    FitError
        If ``draws`` or ``seed`` is no number to draw by.
    """
    if isinstance(draws, bool) or not isinstance(draws, int | np.integer) or draws < 1:
        raise FitError(f"draws={draws!r} must be a whole number of at least 1.")
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise FitError(f"seed={seed!r} must be a whole number of at least 0.")
    population = build(model, data)
    rng = np.random.default_rng(seed)
    prior = draw_prior(population, int(draws), rng)
    with np.errstate(all="ignore"):
        observations = draw_observations(population, prior, rng)
    groups = {
        "prior": prior,
        "prior_predictive": observations,
        "observed_data": observed_data(population),
    }
    tree = xr.DataTree.from_dict(groups)
    return PriorPredictive(model=model, data=population.data, seed=int(seed), tree=tree)


def draw_prior(population: Population, draws: int, rng: np.random.Generator) -> xr.Dataset:
    """Draw everything that is not observed by PyMC's own random variables.

    Returns
    -------
    Dataset
        Dims (chain, draw, ...), one chain.
    """
    graph = population.pymc
    variables = [*graph.free_RVs, *graph.deterministics]
    function = pm.compile(
        [], variables, mode=_MODE, random_seed=int(rng.integers(2**31)), on_unused_input="ignore"
    )
    with np.errstate(all="ignore"):
        values = [function() for _ in range(draws)]
    found = {}
    for number, variable in enumerate(variables):
        dims = graph.named_vars_to_dims.get(variable.name)
        array = np.stack([each[number] for each in values])[None]
        dims = dims or [f"{variable.name}_dim_{i}" for i in range(array.ndim - 2)]
        found[variable.name] = (("chain", "draw", *dims), array)
    coords = {
        name: np.asarray(values)
        for name, values in graph.coords.items()
        if values is not None and any(name in dims for dims, _ in found.values())
    }
    return xr.Dataset(found, coords={"chain": [0], "draw": np.arange(draws), **coords})
