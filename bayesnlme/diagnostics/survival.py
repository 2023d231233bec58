r"""The share of subjects without an event through time, observed and simulated.

With :math:`d_j` events at time :math:`t_j` and :math:`n_j` subjects at risk just before, the share
without an event is :math:`\prod (1 - d_j/n_j)` [Kaplan1958]_, and the mean number of a repeated
event :math:`\sum d_j/n_j` [Nelson2003]_. Subjects count from the start of their risk on. Where it
is known of events only that they lie between two times, the share is the distribution of greatest
likelihood [Turnbull1976]_.
"""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from bayesnlme._types import Floats
from bayesnlme.diagnostics.events import FollowUp, follow_up, repeats
from bayesnlme.diagnostics.labels import labels
from bayesnlme.diagnostics.predictive import band, simulated_studies, tails
from bayesnlme.errors import FitError
from bayesnlme.observation.events import BETWEEN, EXACT
from bayesnlme.results.fit import Fit

POINTS = 200
_TURNS = 10_000
_STILL = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Spells:
    """What became of subjects.

    Attributes
    ----------
    start, end : float64 array, shape (subject,)
        From when to when each is at risk.
    event : float64 array, shape (event,)
        When events happened, of all subjects.
    """

    start: Floats
    end: Floats
    event: Floats


def at_risk(spells: Spells, time: Floats) -> Floats:
    """Count the subjects at risk just before each time."""
    begun = np.searchsorted(np.sort(spells.start), time, side="left")
    gone = np.searchsorted(np.sort(spells.end), time, side="left")
    return (begun - gone).astype(np.float64)


def share_without(spells: Spells, time: Floats) -> Floats:
    """Estimate the share of subjects without an event up to each time [Kaplan1958]_."""
    moment, count = np.unique(spells.event, return_counts=True)
    left = np.cumprod(1 - count / at_risk(spells, moment))
    return _stepped(moment, left, time, 1.0)


def mean_number(spells: Spells, time: Floats) -> Floats:
    """Estimate the mean number of events up to each time [Nelson2003]_."""
    moment, count = np.unique(spells.event, return_counts=True)
    return _stepped(moment, np.cumsum(count / at_risk(spells, moment)), time, 0.0)


def share_between(lower: Floats, upper: Floats, time: Floats) -> Floats:
    """Estimate the share without an event of what happened between two times each [Turnbull1976]_.

    Parameters
    ----------
    lower, upper : array, shape (subject,)
        The event lies above the lower and up to the upper time, which is infinite where the
        subject is right censored.
    time : array
        When to evaluate. Over a stretch where the estimate is not determined but at its ends it is
        a straight line.
    """
    moment = np.unique(upper)
    possible = (lower[:, None] < moment) & (moment <= upper[:, None])
    mass = np.full(moment.size, 1 / moment.size)
    for _ in range(_TURNS):
        weight = possible * mass
        before, mass = mass, (weight / weight.sum(axis=1, keepdims=True)).mean(axis=0)
        if np.abs(mass - before).max() < _STILL:
            break
    finite = np.isfinite(moment)
    ends = np.unique(np.concatenate([lower, moment[finite]]))
    left = _stepped(moment[finite], 1 - np.cumsum(mass[finite]), ends, 1.0)
    return np.interp(time, ends, left)


def event_check(
    fit: Fit, *, seed: int, output: str | None = None, draws: int = 500, interval: float = 0.9
) -> xr.Dataset:
    """Compare when events happened with when they happen to new subjects of the fitted model.

    The share of subjects without an event, or of a repeated event the mean number, stands against
    the same of simulated studies, whose subjects are drawn anew from the population. A simulated
    subject is followed as long as the observed one; one whose follow-up the event ended, to the
    last row of any subject.

    Parameters
    ----------
    fit : Fit
        With draws, or with estimates, at which every replicate is then drawn.
    seed : int
        Seed of the simulation.
    output : str, optional
        The event; needed where there are several.
    draws : int
        About how many simulated studies, one for each of as many draws of the parameters.
    interval : float
        Probability of the equal-tailed, pointwise interval of the simulated curves.

    Returns
    -------
    Dataset
        By ``time``: ``observed``, ``simulated`` with dim ``band`` (lower, median, upper), and
        ``at_risk``, the number of subjects then followed; by ``censored``: ``censored_time``, when
        follow-up ended without an event. ``.attrs`` holds the ``output``, whether it is
        ``repeated``, the interval, the number of ``replicates``, how many more ``failed``, and
        units.

    Raises
    ------
    FitError
        If the model has no such event, no study could be simulated, or the table says of events
        that repeat, or of subjects whose risk starts later than that of others, only that they
        happened between two times.
    """
    tails(interval)
    name = _chosen(fit, output)
    watched, repeated = follow_up(fit.model, fit.data, name), repeats(fit.model, name)
    time = np.linspace(watched.start.min(), watched.end.max(), POINTS)
    observed = _observed(fit, name, watched, time)
    drawn = simulated_studies(fit, seed=seed, draws=draws)[name]
    curves = _curves(drawn.values[:, :, watched.subject], watched, time, repeated=repeated)
    complete = np.isfinite(curves).all(axis=1)
    if not complete.any():
        raise FitError(
            "No replicate of the study could be simulated: the structural model fails for subjects "
            "drawn from the population. The random effects may be far too wide."
        )
    table = {
        "observed": ("time", observed),
        "simulated": (("time", "band"), band(curves[complete].T, interval)),
        "at_risk": (
            "time",
            ((watched.start[:, None] <= time) & (time <= watched.last[:, None])).sum(axis=0),
        ),
        "censored_time": ("censored", watched.last[~watched.ended]),
    }
    coords = {"time": time, "band": ["lower", "median", "upper"]}
    return xr.Dataset(table, coords=coords).assign_attrs(
        **labels(fit),
        output=name,
        repeated=repeated,
        interval=interval,
        replicates=int(complete.sum()),
        failed=int((~complete).sum()),
        seed=seed,
    )


def without_curve(fit: Fit, output: str) -> str:
    """Say why the observed curve of an event cannot be estimated, or nothing."""
    seen = fit.data.observations
    mine = seen.output == fit.data.outputs.index(output)
    if not (seen.value[mine] == BETWEEN).any():
        return ""
    if repeats(fit.model, output):
        return f"{output} repeats, and how often it did between two times is not known."
    watched = follow_up(fit.model, fit.data, output)
    if (watched.start != watched.start[0]).any():
        return f"{output} is interval censored, and the risk of some subjects starts later."
    return ""


def _chosen(fit: Fit, output: str | None) -> str:
    events = fit.model.events
    if not events:
        raise FitError("No output of the model is a time to an event.")
    if output is None and len(events) > 1:
        raise FitError(f"The model has several events: name one of {', '.join(events)}.")
    name = events[0] if output is None else output
    if name not in events:
        raise FitError(f"{name!r} is no time to an event. There is {', '.join(events)}.")
    if reason := without_curve(fit, name):
        raise FitError(f"The observed curve cannot be estimated: {reason}")
    return name


def _observed(fit: Fit, output: str, watched: FollowUp, time: Floats) -> Floats:
    seen = fit.data.observations
    mine = seen.take(np.flatnonzero(seen.output == fit.data.outputs.index(output)))
    if (mine.value == BETWEEN).any():
        final = np.append(np.flatnonzero(np.diff(mine.subject)), len(mine) - 1)
        exact = mine.value[final] == EXACT
        upper = np.where(watched.ended, watched.last, np.inf)
        known = np.where(watched.ended, mine.time[final - 1], watched.last)
        return share_between(np.where(exact, np.nextafter(upper, 0), known), upper, time)
    happened = mine.time[mine.value == EXACT]
    spells = Spells(start=watched.start, end=watched.last, event=happened)
    return (mean_number if repeats(fit.model, output) else share_without)(spells, time)


def _curves(drawn: Floats, watched: FollowUp, time: Floats, *, repeated: bool) -> Floats:
    """Return the curve of every simulated study, shape (study, time); NaN where one failed."""
    studies = drawn.reshape(-1, *drawn.shape[2:])
    found = np.full((len(studies), time.size), np.nan)
    for place, happened in enumerate(studies):
        if np.isnan(happened).any():
            continue
        end = watched.end if repeated else np.minimum(happened, watched.end)
        spells = Spells(start=watched.start, end=end, event=happened[np.isfinite(happened)])
        found[place] = (mean_number if repeated else share_without)(spells, time)
    return found


def _stepped(moment: Floats, value: Floats, time: Floats, before: float) -> Floats:
    """Evaluate a function that jumps to a value at each moment."""
    return np.concatenate([[before], value])[np.searchsorted(moment, time, side="right")]
