"""Simulate from a model, fit it, count how often the intervals cover.

Parameters are drawn from the prior, random effects and observations from the model, so an interval
of the posterior covers at exactly its nominal rate, whatever the size of the table. PyMC draws, by
the distributions of the graph; the fit knows only the compiled density.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pymc as pm
import xarray as xr
from scipy import stats

import bayesnlme as bn
from bayesnlme.graph.build import Population, build
from bayesnlme.inference.compiled import CompiledModel, compile_model
from bayesnlme.inference.nuts import Draws, draw
from bayesnlme.model.model import Model
from tests.recovery.features import CENSORED, FEATURES, LIMIT, SHARED, table, two_outputs

METHOD = bn.NUTS(draws=250, tune=400, chains=2, cores=1)
FALSE_ALARM = 1e-3
"""Probability that a feature whose intervals cover at the nominal rate is blamed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How often the 90 % intervals covered.

    Attributes
    ----------
    covered : dict of str to int
        Replicates in which a parameter's interval held the truth.
    replicates : int
        Of how many.
    divergences : int
        In all fits together.
    """

    covered: dict[str, int]
    replicates: int
    divergences: int

    @property
    def band(self) -> tuple[int, int]:
        """Counts that the binomial distribution allows each of the parameters (Bonferroni)."""
        alarm = FALSE_ALARM / len(self.covered)
        low, high = stats.binom.ppf([alarm / 2, 1 - alarm / 2], self.replicates, 0.9)
        return int(low), int(high)

    @property
    def outside(self) -> dict[str, int]:
        """Parameters whose count lies outside."""
        low, high = self.band
        return {name: count for name, count in self.covered.items() if not low <= count <= high}


def coverage(feature: str, *, replicates: int, seed: int) -> Coverage:
    """Fit so many tables drawn from a feature's model."""
    model = FEATURES[feature]
    population = build(model, bn.read_data(two_outputs() if feature == SHARED else table()))
    truths = pm.sample_prior_predictive(
        draws=replicates,
        model=population.pymc,
        random_seed=seed,
        compile_kwargs={"mode": "FAST_COMPILE"},
    )
    parameters = truths["prior"].to_dataset().isel(chain=0)
    drawn = truths["prior_predictive"].to_dataset().isel(chain=0)
    values = [{z: drawn[z].values[k] for z in model.observations} for k in range(replicates)]
    inside: dict[str, list[bool]] = {}
    divergences = 0
    for k, draws in enumerate(refits(feature, population, values, seed)):
        divergences += int(draws.sample_stats["diverging"].sum())
        for name, covered in intervals(model, draws, parameters.isel(draw=k)):
            inside.setdefault(name, []).append(covered)
    covered = {name: sum(each) for name, each in inside.items()}
    return Coverage(covered=covered, replicates=replicates, divergences=divergences)


def refits(
    feature: str, population: Population, values: list[dict[str, np.ndarray]], seed: int
) -> Iterator[Draws]:
    """Fit each of the values: by one compiled model, unless what is censored changes."""
    outputs = list(population.model.observations)
    compiled = None if feature in CENSORED else compile_model(population, swapped=outputs)
    for k, drawn in enumerate(values):
        if compiled is None:
            ready = censored(population.model, drawn["z"])
        else:
            ready = compiled.with_observed(drawn)
        yield draw(ready, METHOD, seed=seed + k, progress=False)


def censored(model: Model, values: np.ndarray) -> CompiledModel:
    low = values < LIMIT
    rows = table().assign(DV=np.where(low, LIMIT, values), CENS=low.astype(int), LLOQ=LIMIT)
    return compile_model(build(model, bn.read_data(rows)))


def intervals(model: Model, draws: Draws, truth: xr.Dataset) -> Iterator[tuple[str, bool]]:
    """Yield every population parameter, and whether its 90 % interval holds the truth."""
    units = {"subject", "subject_occasion", "observation", "interval"}
    magnitudes = {str(name) for name, each in truth.data_vars.items() if not units & set(each.dims)}
    again = {"omega", "omega_iov"} | {name for name in magnitudes if name.endswith("_partial")}
    wanted = sorted(magnitudes & set(draws.posterior.data_vars) - again)
    bounds = draws.posterior[wanted].quantile([0.05, 0.95], ("chain", "draw"))
    for name in wanted:
        low, high = (np.tril(each, -1) if each.ndim == 2 else each for each in bounds[name].values)
        for k, value in enumerate(np.ravel(truth[name].values)):
            if low.flat[k] < high.flat[k]:  # the rest of a correlation matrix says nothing new
                yield f"{name}[{k}]", bool(low.flat[k] <= value <= high.flat[k])
