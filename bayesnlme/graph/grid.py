"""Predictions at stored draws: at other times than the table's, and for new subjects."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pymc as pm
import pytensor
import xarray as xr
from pytensor.compile.mode import get_mode

from bayesnlme import names
from bayesnlme._types import Floats, Integers
from bayesnlme.data import Dataset
from bayesnlme.data.records import Records, make_covariate
from bayesnlme.graph.build import Population
from bayesnlme.graph.densities import output_densities

_MODE = get_mode("FAST_COMPILE").including("specialize")
"""Plain NumPy evaluation; an ODE still runs its compiled kernel, without sensitivities."""


def at_times(data: Dataset, times: Mapping[str, Floats]) -> Dataset:
    """Return the same subjects and doses, observed at other times.

    Parameters
    ----------
    data : Dataset
        The table.
    times : mapping of str to array
        For each subject to be observed, the times; at a dose's time the observation comes after
        the dose. The other subjects keep their doses and are not observed.

    Returns
    -------
    Dataset
        Every output of `data` at every time; the values are stand-ins of 1, for they are not
        known. A covariate keeps its last value before the time.
    """
    records, n_outputs = data.records, len(data.outputs)
    kept = np.flatnonzero(records.evid != 0)
    last = [_last_records(records, data.subjects.index(name), t) for name, t in times.items()]
    source = np.concatenate([kept, np.repeat(np.concatenate(last), n_outputs)])
    asked = np.repeat(np.concatenate(list(times.values())), n_outputs)
    time = np.concatenate([records.time[kept], asked])
    added = np.arange(source.size) >= kept.size
    order = np.lexsort((added, time, records.subject[source]))
    output = np.concatenate([records.output[kept], np.arange(asked.size) % n_outputs])
    moved = replace(records.take(source), time=time, output=output)
    grid = _observed(moved, added).take(order)
    return replace(
        data,
        records=grid,
        covariates={
            name: make_covariate(name, each.values[source[order]], grid)
            for name, each in data.covariates.items()
        },
    )


def _last_records(records: Records, subject: int, times: Floats) -> Integers:
    """Return the position of the subject's last record at or before each time."""
    mine = np.flatnonzero(records.subject == subject)
    before = np.searchsorted(records.time[mine], times, side="right") - 1
    return mine[np.maximum(before, 0)]


def _observed(records: Records, added: np.ndarray) -> Records:
    """Turn the added records into plain observations whose values are stand-ins."""
    cleared = {
        name: np.where(added, 0, getattr(records, name))
        for name in ("evid", "amount", "rate", "interval", "additional", "steady_state")
    }
    labels = zip(records.compartment, added, strict=True)
    return replace(
        records,
        **cleared,
        compartment=tuple("" if new else label for label, new in labels),
        value=np.ones(len(records)),
        limit=np.full(len(records), np.nan),
        censored=np.zeros(len(records), dtype=np.bool_),
        scored=added,
    )


def predict_draws(population: Population, draws: xr.Dataset, given: Sequence[str]) -> xr.DataArray:
    """Evaluate the prediction at every draw.

    Parameters
    ----------
    population : Population
        Model and data.
    draws : Dataset
        Values of the variables named in `given`, dims (chain, draw, ...).
    given : sequence of str
        What the prediction is computed from: the individual parameters, or the free variables of
        the PyMC model.

    Returns
    -------
    DataArray
        Dims (chain, draw, observation). NaN where an ODE could not be solved.
    """
    graph = population.pymc
    function = pytensor.function(
        [graph[name] for name in given],
        graph[names.PREDICTION],
        mode=_MODE,
        on_unused_input="ignore",
    )
    arrays = [draws[name].transpose("chain", "draw", ...).values for name in given]
    shape = (draws.sizes["chain"], draws.sizes["draw"])
    found = np.empty((*shape, population.data.n_observations))
    for where in np.ndindex(*shape):
        found[where] = function(*(each[where] for each in arrays))
    coords = {name: draws[name] for name in ("chain", "draw")}
    return xr.DataArray(found, coords, ("chain", "draw", names.OBSERVATION), names.PREDICTION)


def observation_quantiles(
    population: Population, posterior: xr.Dataset, probability: Floats
) -> xr.Dataset:
    """Return the quantile of every observation's distribution at every draw.

    Parameters
    ----------
    population : Population
        Model and data.
    posterior : Dataset
        Draws with ``prediction`` and the residual magnitudes, dims (chain, draw, ...).
    probability : array
        One probability for each draw, shape (chain, draw).

    Returns
    -------
    Dataset
        One variable for each output, dims (chain, draw, observation).
    """
    level = np.broadcast_to(probability[..., None], (*probability.shape, 1))
    return xr.Dataset(
        {
            output: like.copy(data=pm.icdf(density, level).eval(mode="FAST_COMPILE"))
            for output, density, like in output_densities(population, posterior)
        }
    )
