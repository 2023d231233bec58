"""One benchmark model as arrays: the table, the priors and the points to evaluate."""

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

type Floats = NDArray[np.float64]
type Integers = NDArray[np.int64]

MODELS = Path(__file__).parent / "models"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Group:
    """Subjects that share the number of doses and of observations between doses.

    Nothing needs padding inside a group. Shapes: `subjects` `(n,)`, `rows` and `time`
    `(n, n_times)`, `dose_time` and `dose_amount` `(n, n_doses)`; `edges` has the first and
    the last-plus-one position in `time` that follows each dose.
    """

    subjects: Integers
    rows: Integers
    time: Floats
    dose_time: Floats
    dose_amount: Floats
    edges: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Problem:
    """A benchmark model: names, prior scales, flat observations `(n_observations,)` and points.

    `omega_sd` and `sigma_sd` are the scales of half-normal priors; `log_median` and `log_sd`
    those of the log-normal priors of `theta`. `points` has shape `(n_points, n_dim)`.
    """

    name: str
    theta: tuple[str, ...]
    log_median: Floats
    log_sd: Floats
    effects: tuple[str, ...]
    omega_sd: Floats
    sigma_sd: Floats
    n_subjects: int
    value: Floats
    output: Integers
    groups: tuple[Group, ...]
    rtol: float
    atol: float
    points: Floats

    @property
    def effect_columns(self) -> Integers:
        """Position in `theta` of each parameter that has a random effect."""
        return np.array([self.theta.index(name) for name in self.effects])


def load(path: Path) -> Problem:
    """Read one model file of `models/`."""
    file = json.loads(path.read_text())
    solver = file["ode_solver"] or {"rtol": np.nan, "atol": np.nan}
    return Problem(
        name=file["name"],
        theta=tuple(each["name"] for each in file["theta"]),
        log_median=np.log([each["prior"]["median"] for each in file["theta"]]),
        log_sd=np.array([each["prior"]["sd_log"] for each in file["theta"]]),
        effects=tuple(each["on"] for each in file["iiv"]),
        omega_sd=np.array([each["prior"]["sd"] for each in file["iiv"]]),
        sigma_sd=np.array([each["prior"]["sd"] for each in file["sigma"]]),
        n_subjects=len(file["subjects"]),
        value=np.concatenate([each["y"] for each in file["subjects"]]).astype(float),
        output=np.concatenate([each["dv"] for each in file["subjects"]]),
        groups=_groups(file["subjects"]),
        rtol=solver["rtol"],
        atol=solver["atol"],
        points=np.array(file["ref_points"]),
    )


def _groups(subjects: list[dict[str, Any]]) -> tuple[Group, ...]:
    members: dict[tuple[tuple[int, int], ...], list[int]] = {}
    for index, subject in enumerate(subjects):
        members.setdefault(_edges(subject), []).append(index)
    first = np.cumsum([0] + [len(each["t"]) for each in subjects])
    return tuple(_group(subjects, indices, first, edges) for edges, indices in members.items())


def _edges(subject: dict[str, Any]) -> tuple[tuple[int, int], ...]:
    dose_time = [time for time, _ in subject["doses"]]
    bounds = np.searchsorted(subject["t"], [*dose_time, np.inf])
    return tuple((int(a), int(b)) for a, b in pairwise(bounds))


def _group(
    subjects: list[dict[str, Any]],
    indices: list[int],
    first: Integers,
    edges: tuple[tuple[int, int], ...],
) -> Group:
    chosen = [subjects[index] for index in indices]
    doses = np.array([each["doses"] for each in chosen], dtype=float)
    n_times = len(chosen[0]["t"])
    return Group(
        subjects=np.array(indices),
        rows=first[indices][:, None] + np.arange(n_times),
        time=np.array([each["t"] for each in chosen], dtype=float),
        dose_time=doses[:, :, 0],
        dose_amount=doses[:, :, 1],
        edges=edges,
    )
