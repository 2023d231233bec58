r"""Times to events from a fitted model, and how the observed ones compare with them.

An event whose cumulative hazard is H happens when H reaches a number drawn from the exponential
distribution of mean 1, a repeated one whenever H has grown by another such number. H is predicted
on a grid of times and is a straight line in between.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from bayesnlme import names
from bayesnlme._types import Booleans, Floats, Integers
from bayesnlme.data import Dataset
from bayesnlme.graph.build import Population, build
from bayesnlme.graph.grid import at_times, predict_draws
from bayesnlme.model.model import Model
from bayesnlme.observation.events import NONE, TimeToEvent

POINTS = 200
"""Times of the grid, for each subject from the start of its risk to the end of its follow-up."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FollowUp:
    """From when to when each subject is at risk of an event.

    Attributes
    ----------
    subject : int64 array, shape (followed,)
        Subjects with rows of the output.
    start : float64 array, shape (followed,)
        When the risk starts: the first row.
    last : float64 array, shape (followed,)
        Time of the last row.
    ended : bool array, shape (followed,)
        Whether the last row ends the risk, because the event happened and happens once alone.
    end : float64 array, shape (followed,)
        Until when the subject would have been followed without the event: to its last row, or where
        that is the event to the last row of any subject.
    """

    subject: Integers
    start: Floats
    last: Floats
    ended: Booleans
    end: Floats


def follow_up(model: Model, data: Dataset, output: str) -> FollowUp:
    """Return the follow-up of every subject that has rows of an event."""
    seen = data.observations
    mine = seen.take(np.flatnonzero(seen.output == data.outputs.index(output)))
    subject, first = np.unique(mine.subject, return_index=True)
    final = np.append(first[1:], len(mine)) - 1
    ended = (mine.value[final] != NONE) & (not repeats(model, output))
    last = mine.time[final]
    return FollowUp(
        subject=subject,
        start=mine.time[first],
        last=last,
        ended=ended,
        end=np.where(ended, last.max(), last),
    )


def repeats(model: Model, output: str) -> bool:
    """Say whether an event may happen again and again."""
    outcome = model.observations[output]
    return isinstance(outcome, TimeToEvent) and outcome.repeated


def event_times(
    population: Population,
    draws: xr.Dataset,
    given: Sequence[str],
    rng: np.random.Generator,
) -> dict[str, xr.DataArray]:
    """Draw when events happen to every subject at every draw.

    Parameters
    ----------
    population : Population
        Model and data.
    draws : Dataset
        Values of the variables named in `given`, dims (chain, draw, ...).
    given : sequence of str
        What the hazard is computed from, as in `bayesnlme.graph.grid.predict_draws`.
    rng : Generator
        Source of the draws.

    Returns
    -------
    dict of str to DataArray
        By output, dims (chain, draw, subject), with a last dim ``event_number`` where it repeats.
        Infinite where no (further) event happens before the end of the subject's follow-up: its
        last row, or where that is an event that happens once alone, the last row of any subject.
        NaN for a subject without rows of the event, or where an ODE could not be solved.
    """
    return {
        output: _times(population, output, draws, given, rng) for output in population.model.events
    }


def _times(
    population: Population,
    output: str,
    draws: xr.Dataset,
    given: Sequence[str],
    rng: np.random.Generator,
) -> xr.DataArray:
    model, data = population.model, population.data
    watched, repeated = follow_up(model, data, output), repeats(model, output)
    grid = np.linspace(watched.start, watched.end, POINTS, axis=1)
    asked = {data.subjects[i]: each for i, each in zip(watched.subject, grid, strict=True)}
    finer = build(model, at_times(data, asked, model.events))
    mine = finer.data.observations.output == data.outputs.index(output)
    happened = []
    for chain in range(draws.sizes["chain"]):
        grown = predict_draws(finer, draws.isel(chain=[chain]), given).values[0][:, mine]
        hazard = np.cumsum(grown.reshape(-1, *grid.shape), axis=2)
        happened.append(_inverted(hazard, grid, rng, repeated=repeated))
    most = max(each.shape[2] for each in happened)
    shape = (len(happened), draws.sizes["draw"], data.n_subjects, most)
    found = np.full(shape, np.nan)
    for chain, each in enumerate(happened):
        wider = ((0, 0), (0, 0), (0, most - each.shape[2]))
        filled = np.pad(each, wider, constant_values=np.inf)
        found[chain][:, watched.subject] = np.where(np.isnan(each[:, :, :1]), np.nan, filled)
    dims = ("chain", "draw", names.SUBJECT, names.EVENT_NUMBER)
    coords = {name: draws[name] for name in ("chain", "draw")} | {
        names.SUBJECT: list(data.subjects)
    }
    whole = xr.DataArray(found, coords, dims, output)
    return whole if repeated else whole.isel({names.EVENT_NUMBER: 0})


def _inverted(hazard: Floats, grid: Floats, rng: np.random.Generator, *, repeated: bool) -> Floats:
    """Return when a cumulative hazard, shape (draw, subject, point), reaches what is drawn.

    Returns
    -------
    array, shape (draw, subject, event)
        Infinite where it does not; the last event of a repeated one is infinite for all.
    """
    reached = np.zeros(hazard.shape[:2])
    found: list[Floats] = []
    while not found or (repeated and np.isfinite(found[-1]).any()):
        reached = reached + rng.exponential(size=reached.shape)
        found.append(_crossing(hazard, grid, reached))
    return np.stack(found[: max(len(found) - repeated, 1)], axis=2)


def _crossing(hazard: Floats, grid: Floats, level: Floats) -> Floats:
    """Return when a cumulative hazard reaches a level, on straight lines between its points."""
    after = (hazard < level[..., None]).sum(axis=2)
    inside = after < grid.shape[1]
    upper = np.clip(after, 1, grid.shape[1] - 1)
    high, low = (np.take_along_axis(hazard, k[..., None], 2)[..., 0] for k in (upper, upper - 1))
    times = np.broadcast_to(grid, hazard.shape)
    end, start = (np.take_along_axis(times, k[..., None], 2)[..., 0] for k in (upper, upper - 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        found = start + (end - start) * (level - low) / (high - low)
    return np.where(np.isnan(hazard).any(axis=2), np.nan, np.where(inside, found, np.inf))
