"""Predictions at stored draws: at other times than the table's, and for new subjects."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytensor
import xarray as xr
from pytensor.compile.mode import get_mode

from bayesnlme import names
from bayesnlme._types import Booleans, Floats
from bayesnlme.data import Dataset
from bayesnlme.data.dataset import covariates_only
from bayesnlme.data.records import Records, make_covariate
from bayesnlme.data.rows import records_at
from bayesnlme.graph.build import Population
from bayesnlme.graph.densities import outputs_at
from bayesnlme.observation.categories import BinaryOutcome, OrderedOutcome

_MODE = get_mode("FAST_COMPILE").including("specialize")
"""Plain NumPy evaluation; an ODE still runs its compiled kernel, without sensitivities."""


def at_times(data: Dataset, times: Mapping[str, Floats], events: Collection[str] = ()) -> Dataset:
    """Return the same subjects and doses, observed at other times.

    Parameters
    ----------
    data : Dataset
        The table.
    times : mapping of str to array
        For each subject to be observed, the times; at a dose's time the observation comes after
        the dose. The other subjects keep their doses and are not observed.
    events : collection of str
        Outputs that are times to events: nothing happens to them, and the risk starts at the first
        of the times.

    Returns
    -------
    Dataset
        Every output of `data` at every time, without a limit of quantification; the values are
        stand-ins of 1 (0 for events), for they are not known. The covariates are those that hold
        at the time, so that the intervals of the individual parameters stay as they are: the
        observations of `data` stay as records of their covariates.
    """
    records, n_outputs = data.records, len(data.outputs)
    numbers = [data.subjects.index(name) for name in times]
    subject = np.repeat(numbers, [len(each) for each in times.values()])
    asked = np.concatenate(list(times.values()))
    held = np.repeat(records_at(data, subject, asked), n_outputs)
    source = np.concatenate([np.arange(len(records)), held])
    time = np.concatenate([records.time, np.repeat(asked, n_outputs)])
    added = np.arange(source.size) >= len(records)
    order = np.lexsort((added, time, records.subject[source]))
    moved = replace(records.take(source), time=time)
    stand_ins = np.array([0.0 if output in events else 1.0 for output in data.outputs])
    grid = _observed(moved, added, stand_ins).take(order)
    return replace(
        data,
        records=grid,
        covariates={
            name: make_covariate(name, each.values[source[order]], grid)
            for name, each in data.covariates.items()
        },
    )


def _observed(records: Records, added: Booleans, stand_ins: Floats) -> Records:
    """Observe every output at the added records alone, with its stand-in for a value."""
    silent = covariates_only(records, added | (records.evid == 0))
    turn = (np.cumsum(added) - 1) % len(stand_ins)
    return replace(
        silent,
        evid=np.where(added, 0, silent.evid),
        output=np.where(added, turn, silent.output),
        value=np.where(added, stand_ins[turn], silent.value),
        limit=np.where(added, -np.inf, silent.limit),
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
        Draws with ``prediction`` and the outcomes' magnitudes, dims (chain, draw, ...).
    probability : array
        One probability for each draw, shape (chain, draw).

    Returns
    -------
    Dataset
        One variable for each output, dims (chain, draw, observation); none for times to events.
    """
    level = np.broadcast_to(probability[..., None], (*probability.shape, 1))
    return xr.Dataset(
        {
            output.name: output.like.copy(data=output.quantile(level))
            for output in outputs_at(population, posterior)
            if output.name not in population.model.events
        }
    )


def category_probabilities(population: Population, posterior: xr.Dataset) -> xr.Dataset:
    """Return the probability of every category at every draw and observation.

    Parameters
    ----------
    population : Population
        Model and data.
    posterior : Dataset
        Draws with ``prediction`` and the outcomes' magnitudes, dims (chain, draw, ...).

    Returns
    -------
    Dataset
        One variable for each output that is a category, dims (OUTPUT_category, chain, draw,
        observation).
    """
    found = {}
    for output in outputs_at(population, posterior):
        if isinstance(output.outcome, BinaryOutcome | OrderedOutcome):
            values = output.outcome.probabilities(output.like.values, output.magnitudes)
            dim = f"{output.name}_category"
            found[output.name] = output.like.expand_dims(
                {dim: list(output.outcome.categories)}
            ).copy(data=values)
    return xr.Dataset(found)
