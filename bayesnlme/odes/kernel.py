"""Solve the whole population: one function from parameters to predictions.

A solve that fails gives not-a-number for all observations of its subject and never raises.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numba
import numpy as np

from bayesnlme.odes import loop
from bayesnlme.odes.checks import OBSERVATIONS, PAIRS, SUBJECTS
from bayesnlme.odes.code import generate
from bayesnlme.odes.compiling import OPTIONS, njit, types
from bayesnlme.odes.linking import LINE
from bayesnlme.odes.memory import address, contiguous, keep, note, number
from bayesnlme.odes.places import W
from bayesnlme.odes.problem import Problem
from bayesnlme.odes.solver import Solver


@lru_cache(maxsize=64)
def population_kernel(
    problem: Problem, solver: Solver, *, sensitivities: bool, count: bool = False
) -> Callable[..., Any]:
    """Return the solve of a population as a Python function that numba can compile.

    Its arguments are the parameters, shape ``(rows, n_parameters)``, and the arrays of a
    `Schedule`. It returns the predictions, shape ``(n_observations,)``, and with
    sensitivities also their derivatives by the parameters, shape ``(n_pairs, n_parameters)``.
    With `count`, it returns instead how often the right-hand side was evaluated, each time for
    `WIDTH` lanes, and how many steps all subjects together took.
    """
    part = _part(problem, solver, sensitivities=sensitivities)
    share, n_parameters, threads = _shared(part, solver), len(problem.parameters), solver.threads

    def kernel(parameters: Any, *arrays: Any) -> Any:
        values, vectors = contiguous(parameters), contiguous(arrays)
        prediction = np.empty(len(vectors[OBSERVATIONS]))
        sensitivity = np.empty((len(vectors[PAIRS]) if sensitivities else 0, n_parameters))
        done = np.zeros((threads, 3), np.int64)
        share(values, vectors, prediction, sensitivity, done)
        if done[:, 0].any():
            raise ValueError(loop.MISFIT)
        if count:
            return done[:, 1].sum(), done[:, 2].sum()
        if sensitivities:
            return prediction, sensitivity
        return prediction

    return kernel


def _part(problem: Problem, solver: Solver, *, sensitivities: bool) -> Any:
    """Return a function that solves for some subjects in memory of its own."""
    code = generate(problem, sensitivities=sensitivities)
    code.compile()
    described, tolerances = loop.describe(code, solver)
    n_header, (symbol, _) = loop.header_size(described), loop.entry()
    table = types.ExternalFunction(f"{code.symbol}_table", types.int64())
    solve = types.ExternalFunction(symbol, types.int64(types.CPointer(types.int64)))

    @njit
    def part(
        values: Any, vectors: Any, prediction: Any, sensitivity: Any, first: int, last: int
    ) -> tuple[int, int, int]:
        given = np.zeros(loop.N_ARGUMENTS, np.int64)
        given[loop.TABLE], given[loop.PROBLEM] = table(), number(address(described))
        given[loop.N_PROBLEM], given[loop.TOLERANCES] = len(described), number(address(tolerances))
        given[loop.PARAMETERS] = number(address(values))
        given[loop.PREDICTION] = number(address(prediction))
        given[loop.SENSITIVITY] = number(address(sensitivity))
        given[loop.N_ROWS], given[loop.N_VALUES] = values.shape
        given[loop.FIRST], given[loop.LAST] = first, last
        header = np.zeros(n_header, np.int64)
        given[loop.HEADER], given[loop.N_HEADER] = number(address(header)), n_header
        note(address(given[loop.SCHEDULE :]), vectors)
        if solve(address(given)) != 0:
            return 1, 0, 0
        whole, work = np.zeros(given[loop.N_INTEGERS], np.int64), np.zeros(given[loop.N_REALS] + W)
        given[loop.INTEGERS], given[loop.WORK] = number(address(whole)), number(address(work))
        given[loop.WORK] += -given[loop.WORK] % LINE
        solve(address(given))
        keep((values, vectors, given, header, whole, work))
        return 0, given[loop.CALLS], given[loop.TAKEN]

    return part


def _shared(part: Any, solver: Solver) -> Any:
    """Return a function that solves for all subjects, in one thread or several."""
    threads = solver.threads
    if threads == 1:

        @njit
        def alone(values: Any, vectors: Any, prediction: Any, sensitivity: Any, done: Any) -> None:
            last = len(vectors[SUBJECTS])
            done[0, 0], done[0, 1], done[0, 2] = part(
                values, vectors, prediction, sensitivity, 0, last
            )

        return alone

    @numba.njit(parallel=True, **OPTIONS)
    def together(values: Any, vectors: Any, prediction: Any, sensitivity: Any, done: Any) -> None:
        n_subjects = len(vectors[SUBJECTS])
        for i in numba.prange(threads):
            first, last = n_subjects * i // threads, n_subjects * (i + 1) // threads
            done[i, 0], done[i, 1], done[i, 2] = part(
                values, vectors, prediction, sensitivity, first, last
            )

    return together
