"""Points from which chains can start."""

import threading
import time
from collections.abc import Callable

import numpy as np

from bayesnlme._types import Booleans, Floats
from bayesnlme.errors import DataError, Finding
from bayesnlme.graph.build import Population
from bayesnlme.graph.effects import effect_variables
from bayesnlme.graph.flat import starting_vector
from bayesnlme.graph.start import axis_scales, start_findings
from bayesnlme.inference.compiled import CompiledModel
from bayesnlme.inference.native import LogDensity, climb

TRIES = 100
SCATTER = 0.5
SCATTER_OF_SD = 2.0
"""Chains start so many posterior SDs apart at most where a chart says what these are."""

QUIET = 0.1
"""So many seconds without a question mean that no chain is left that would ask."""

type Starts = Callable[[int | None], Floats]
"""Gives a point for a seed."""


def starting_points(compiled: CompiledModel) -> Starts:
    """Return a source of points, in the coordinates of the density, that can be sampled from.

    Population parameters are scattered around the stated expectations, or around the centre of
    coordinates in which the posterior is standard normal, and each subject's random effects put at
    their conditional mode there: a chain then starts at the height of the posterior instead of
    falling into it.

    Raises
    ------
    DataError
        If the density of an observation does not exist at the starting values.
    """
    population, density = compiled.population, compiled.density
    start = starting_vector(population.pymc, density.free)
    scale = SCATTER * axis_scales(population.model, density.free)
    if compiled.scaled:
        start, scale = np.zeros_like(start), np.full_like(scale, SCATTER_OF_SD)
    effects = np.zeros(density.size, dtype=bool)
    sampled = effect_variables(population.model)
    for each in density.free:
        effects[each.where] = each.name in sampled
    if not np.isfinite(density.function(start)[0]):
        raise DataError(_explanation(population), population.data.source)
    return _scattered(density.function, start, np.where(effects, 0.0, scale), effects)


def _scattered(function: LogDensity, start: Floats, scale: Floats, effects: Booleans) -> Starts:
    def point(seed: int | None) -> Floats:
        rng = np.random.default_rng(seed)
        for _ in range(TRIES):
            candidate = start + scale * rng.uniform(-1, 1, size=start.size)
            value, gradient = function(candidate)
            if np.isfinite(value) and np.isfinite(gradient).all():
                mode = _conditional_modes(function, candidate, effects)
                return _off_the_flat(function, mode, rng)
        return start

    return point


def _conditional_modes(function: LogDensity, start: Floats, effects: Booleans) -> Floats:
    """Move the random effects, and nothing else, to the mode given the rest."""
    if not effects.any():
        return start
    return climb(function, start, effects, maxiter=100)[0]


def _off_the_flat(function: LogDensity, mode: Floats, rng: np.random.Generator) -> Floats:
    """Move what has a slope of exactly 0, by which nutpie could not scale its first steps.

    A subject whose observations say nothing of a parameter, such as one on placebo of the
    clearance, has the mode of that effect at exactly 0.
    """
    flat = function(mode)[1] == 0
    return mode + np.where(flat, rng.uniform(0.1, 1.0, size=mode.size), 0.0) if flat.any() else mode


def _explanation(population: Population) -> list[Finding]:
    """Say where the density fails at the start: at observations, or else in the priors."""
    found = list(start_findings(population))
    if found:
        return found
    values = population.pymc.point_logps()
    bad = [name for name, value in values.items() if not np.isfinite(value)]
    message = f"The log density is not finite at the starting values; it fails in {bad}."
    return [Finding(code="E_START_PRIOR", message=message, remedy="Check these priors.")]


class StartingPoints:
    """A source of starting points for chains that run in threads of their own.

    Where one chain finds no start, nutpie reports it while the others go on asking, up to 500 times
    each. A thread that asks when the interpreter has begun to end brings the process down, so the
    source is closed first.

    Parameters
    ----------
    find : callable
        Returns a point for a seed.
    """

    def __init__(self, find: Callable[[int | None], Floats]) -> None:
        self._find = find
        self._lock = threading.Lock()
        self._asking = 0
        self._last = 0.0
        self._closed = False

    def __call__(self, seed: int | None) -> Floats:
        """Return a point.

        Raises
        ------
        RuntimeError
            If the source was closed; it ends the chain that asked.
        """
        with self._lock:
            self._asking += 1
        try:
            if self._closed:
                raise RuntimeError("Another chain found no start.")
            return self._find(seed)
        finally:
            with self._lock:
                self._asking -= 1
                self._last = time.monotonic()

    def close(self) -> None:
        """Give no more points, and wait until no chain asks for one."""
        self._closed = True
        while self._asking or time.monotonic() - self._last < QUIET:
            time.sleep(QUIET / 10)
