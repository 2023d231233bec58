"""CPU time of a log density and its gradient, systems taking turns."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from problem import Floats

CHUNKS = 15
CHUNK_SECONDS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class LogDensity:
    """One system's compiled log density and gradient of one model.

    `evaluate` maps a canonical vector to the value and the gradient in the same order.
    `sweep(n)` evaluates both `n` times without returning to Python in between, as the
    system's own sampler does, going round the reference points.
    """

    evaluate: Callable[[Floats], tuple[float, Floats]]
    sweep: Callable[[int], object]


def gradient_microseconds(densities: Mapping[str, LogDensity]) -> dict[str, float]:
    """Time each system: the least over `CHUNKS` chunks, taken in turn, of the mean CPU time."""
    counts = {name: _count(density) for name, density in densities.items()}
    best = dict.fromkeys(densities, float("inf"))
    for _ in range(CHUNKS):
        for name, density in densities.items():
            each = _seconds(density, counts[name]) / counts[name]
            best[name] = min(best[name], 1e6 * each)
    return best


def _count(density: LogDensity) -> int:
    """Find how many evaluations fill a chunk, in whole rounds of the 16 reference points."""
    count = 16
    density.sweep(count)
    while (spent := _seconds(density, count)) < CHUNK_SECONDS / 4:
        count *= 4
    return 16 * max(1, round(count * CHUNK_SECONDS / spent / 16))


def _seconds(density: LogDensity, count: int) -> float:
    start = time.process_time()
    density.sweep(count)
    return time.process_time() - start


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How far two systems are apart: `constant` is taken out of `value`, which is relative.

    `gradient` is the largest `|a - b| / (1 + |b|)` over points and coordinates.
    """

    constant: float
    value: float
    gradient: float


def largest_difference(one: LogDensity, other: LogDensity, points: Floats) -> Difference:
    """Compare two systems at `points`, `(n_points, n_dim)`, up to a constant of the density."""
    value, gradient = _evaluate_all(one, points)
    other_value, other_gradient = _evaluate_all(other, points)
    constant = float(np.median(value - other_value))
    return Difference(
        constant=constant,
        value=float(np.max(np.abs(value - other_value - constant) / np.abs(other_value))),
        gradient=float(np.max(np.abs(gradient - other_gradient) / (1 + np.abs(other_gradient)))),
    )


def _evaluate_all(density: LogDensity, points: Floats) -> tuple[Floats, Floats]:
    pairs = [density.evaluate(point) for point in points]
    return np.array([value for value, _ in pairs]), np.array([gradient for _, gradient in pairs])
