"""From records to flat arrays: the only place that flattens.

What counts as earlier when two things share a time:

* records keep the order of the table: a dose that stands above an observation
  at the same time comes before it, one that stands below comes after it;
* an additional dose (ADDL) comes before every record at its time. NONMEM gives
  a dose that is due at the time of a record before that record (checked
  against its own concentrations, see ``tests/data/test_events.py``).
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bayesnlme.data import dose_kinds as kinds
from bayesnlme.data.arrays import Booleans, Floats, Integers
from bayesnlme.data.dataset import Dataset
from bayesnlme.data.records import Doses, Observations
from bayesnlme.errors import DataError, Finding, did_you_mean


def offsets(subject: Integers, n_subjects: int) -> Integers:
    """Find where each subject's entries begin.

    Parameters
    ----------
    subject : int64 array, shape (n,)
        Subject of each entry, ascending.
    n_subjects : int
        Number of subjects, those without entries included.

    Returns
    -------
    int64 array, shape (n_subjects + 1,)
        Subject ``i`` owns the entries ``offsets[i]:offsets[i + 1]``.

    Examples
    --------
    >>> offsets(np.array([0, 0, 2]), 3)
    array([0, 2, 2, 3])
    """
    return np.searchsorted(subject, np.arange(n_subjects + 1)).astype(np.int64)


def expand_doses(data: Dataset) -> Doses:
    """Write out every additional dose as a dose of its own.

    The first dose keeps its reset and its steady state; the further doses are
    plain. A reset (EVID 3 or 4) and a steady state that replaces the state
    (SS 1) call off the doses still due at or after it.

    Parameters
    ----------
    data : Dataset
        The data set.

    Returns
    -------
    Doses
        With ``additional`` and, outside steady state, ``interval`` 0; ordered
        by subject, time and place in the table.
    """
    doses = data.doses
    source = np.repeat(np.arange(len(doses)), doses.additional + 1)
    number = count_within(doses.additional + 1)
    expanded = doses.take(source)
    time = np.where(number > 0, _tidy(expanded.time + number * expanded.interval), expanded.time)
    first = number == 0
    steady = np.where(first, expanded.steady_state, 0)
    expanded = replace(
        expanded,
        time=time,
        steady_state=steady,
        reset=expanded.reset & first,
        interval=np.where(steady > 0, expanded.interval, 0.0),
        additional=np.zeros_like(expanded.additional),
    )
    due = first | (time < _next_wipe(doses)[source])
    kept = np.flatnonzero(due)
    return expanded.take(kept[_by_time(expanded.take(kept))])


def dose_observation_pairs(doses: Doses, observations: Observations) -> tuple[Integers, Integers]:
    """Pair every observation with the doses that came before it.

    A dose counts when it starts before the observation, or at the same time
    and earlier in the order of the table, and when no later reset or steady
    state (SS = 1) has wiped it out in between. Pure resets give no pair.

    Parameters
    ----------
    doses : Doses
        Single doses, as from `expand_doses`.
    observations : Observations
        Observations of the same data set.

    Returns
    -------
    observation_index, dose_index : int64 array, shape (n_pairs,)
        Sorted by observation, then by dose in time.
    """
    ranked = _by_time(doses)
    last = _doses_before(doses.take(ranked), observations)
    first = _first_alive(doses.take(ranked))[last]
    count = np.where(last > 0, last - first, 0)
    observation = np.repeat(np.arange(len(observations)), count)
    position = np.repeat(first, count) + count_within(count)
    return observation, ranked[position]


def compartment_index(
    doses: Doses, compartments: Sequence[str], data: Dataset | None = None
) -> Integers:
    """Turn the compartment labels of doses into positions.

    Parameters
    ----------
    doses : Doses
        Label ``"1"`` is the first compartment; names are taken as they are.
    compartments : sequence of str
        Names of the compartments that can be dosed, in order.
    data : Dataset, optional
        The data set of the doses, to name subjects and source in an error.

    Returns
    -------
    int64 array, shape (n_doses,)
        Position in ``compartments``; 0 for a pure reset that names none.

    Raises
    ------
    DataError
        With one finding ``E_COMPARTMENT_UNKNOWN`` per record whose compartment
        is not there.
    """
    known = {str(number): number - 1 for number in range(1, len(compartments) + 1)}
    known |= {name: position for position, name in enumerate(compartments)}
    known[""] = 0
    unknown = [i for i, label in enumerate(doses.compartment) if label not in known]
    if unknown:
        findings = [_unknown_compartment(doses, i, compartments, data) for i in unknown]
        raise DataError(findings) if data is None else DataError(findings, data.source)
    return np.array([known[label] for label in doses.compartment], dtype=np.int64)


def _unknown_compartment(
    doses: Doses, i: int, compartments: Sequence[str], data: Dataset | None
) -> Finding:
    label, count = doses.compartment[i], len(compartments)
    only = count == 1
    return kinds.COMPARTMENT_UNKNOWN.at(
        subject=None if data is None else data.subjects[doses.subject[i]],
        row=int(doses.row[i]),
        column="CMT",
        label=label,
        choice="Only compartment 1 exists." if only else f"Give a number, 1 to {count}, or a name.",
        near=did_you_mean(label, compartments),
    )


def _tidy(times: Floats) -> Floats:
    """Round off the last bits, so that 0 + 3 x 0.1 meets a record at 0.3."""
    return np.array([float(f"{time:.13g}") for time in times.tolist()], dtype=np.float64)


def _by_time(doses: Doses) -> Integers:
    return np.lexsort((doses.order, doses.time, doses.subject))


def count_within(counts: Integers) -> Integers:
    """Count from 0 within consecutive groups.

    Examples
    --------
    >>> count_within(np.array([2, 0, 3]))
    array([0, 1, 0, 1, 2])
    """
    starts = np.cumsum(counts) - counts
    return np.arange(int(counts.sum())) - np.repeat(starts, counts)


def _wipes(doses: Doses) -> Booleans:
    """Mark what makes an end of all that was given before."""
    return doses.reset | (doses.steady_state == 1)


def _next_wipe(doses: Doses) -> Floats:
    """Time of the subject's next reset or SS 1 below each dose, infinity where none comes."""
    times, wipes = np.full(len(doses), np.inf), _wipes(doses)
    for i in range(len(doses) - 2, -1, -1):
        if doses.subject[i] == doses.subject[i + 1]:
            times[i] = doses.time[i + 1] if wipes[i + 1] else times[i + 1]
    return times


def _doses_before(doses: Doses, observations: Observations) -> Integers:
    """Count, over all subjects, the ranked doses up to each observation.

    0 where the observation's own subject has had no dose yet.
    """
    subject = np.concatenate([doses.subject, observations.subject])
    time = np.concatenate([doses.time, observations.time])
    order = np.concatenate([doses.order, observations.order])
    ranked = np.lexsort((order, time, subject))
    seen = np.empty(len(ranked), dtype=np.int64)
    seen[ranked] = np.cumsum(ranked < len(doses))
    last = seen[len(doses) :]
    owner = np.concatenate([[-1], doses.subject])[last]
    return np.where(owner == observations.subject, last, 0)


def _first_alive(doses: Doses) -> Integers:
    """Give, for 0, 1, ... ranked doses passed, the first one still in the body."""
    position = np.arange(len(doses))
    begins = np.concatenate([[True], np.diff(doses.subject) != 0])[: len(doses)]
    wipes = _wipes(doses)
    empty = doses.reset & (doses.amount == 0) & (doses.rate == 0)
    starts = np.where(begins | wipes, position + (empty & wipes), 0)
    return np.concatenate([[0], np.maximum.accumulate(starts)]).astype(np.int64)
