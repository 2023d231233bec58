"""A solve begun from Python; another integrator may move between the events, which stay ours."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bayesnlme._types import Floats, Integers
from bayesnlme.odes import loop
from bayesnlme.odes import places as at
from bayesnlme.odes.backends import Backend, Stretch, open_backend
from bayesnlme.odes.checks import OBSERVATIONS, PAIRS, SUBJECTS
from bayesnlme.odes.code import generate
from bayesnlme.odes.places import W
from bayesnlme.odes.problem import Problem
from bayesnlme.odes.solver import Solver
from bayesnlme.odes.walk import ARRIVED, GAVE_UP, PASSED, START

_ALL = 0
"""Solve for all subjects without asking."""


def solve_by_stretches(
    problem: Problem,
    solver: Solver,
    parameters: Floats,
    arrays: Sequence[Any],
    *,
    sensitivities: bool,
) -> tuple[Floats, Floats]:
    """Solve one subject after the other with the integrator that the solver names.

    Parameters
    ----------
    problem : Problem
        The equations.
    solver : Solver
        Names the backend.
    parameters : array, shape (rows, n_parameters)
        Rows of parameters.
    arrays : sequence of array
        The arrays of a `Schedule`.
    sensitivities : bool
        Whether derivatives are wanted.

    Returns
    -------
    prediction : array, shape (n_observations,)
        NaN for a subject whose solve fails.
    sensitivity : array, shape (n_pairs, n_parameters)
        Derivatives; without rows where they are not wanted.

    Raises
    ------
    ValueError
        If the arrays do not fit each other.
    ModelError
        If the backend cannot be imported.
    """
    solve = Solve(problem, solver, parameters, arrays, sensitivities=sensitivities)
    solve.run()
    return solve.prediction, solve.sensitivity


class Solve:
    """The memory of one solve, shared with the engine.

    Attributes
    ----------
    prediction, sensitivity : array
        What `solve_by_stretches` returns.
    failures : array, shape (n_subjects, 3)
        Why a subject failed, 0 where it did not (codes of `bayesnlme.odes.events`); the time
        reached and the end of the stretch there.
    """

    def __init__(
        self,
        problem: Problem,
        solver: Solver,
        parameters: Floats,
        arrays: Sequence[Any],
        *,
        sensitivities: bool,
    ) -> None:
        code = generate(problem, sensitivities=sensitivities)
        self.outside = solver.backend != "numba"
        if self.outside:
            self.backend: Backend = open_backend(problem, solver)
        self.enter = loop.function()
        values = np.ascontiguousarray(parameters, dtype=np.float64)
        vectors = [np.ascontiguousarray(each) for each in arrays]
        self.given, kept = loop.arguments(code, solver, vectors, values.shape)
        self.prediction = np.empty(len(vectors[OBSERVATIONS]))
        n_pairs = len(vectors[PAIRS]) if sensitivities else 0
        self.sensitivity = np.empty((n_pairs, len(problem.parameters)))
        self.failures = np.zeros((len(vectors[SUBJECTS]), 3))
        header = np.zeros(self.given[loop.N_HEADER], np.int64)
        self.seen = vectors[OBSERVATIONS]
        self.kept = (values, header, *kept)
        addresses = {
            loop.PARAMETERS: values,
            loop.PREDICTION: self.prediction,
            loop.SENSITIVITY: self.sensitivity,
            loop.FAILURES: self.failures,
            loop.HEADER: header,
        }
        for field, array in addresses.items():
            self.given[field] = array.ctypes.data

    def run(self) -> None:
        """Walk through all subjects: another integrator in the first lane, or ours in all."""
        loop.measure(self.given)
        self.s = np.zeros(self.given[loop.N_INTEGERS], np.int64)
        self.w = np.zeros(self.given[loop.N_REALS])
        self.given[loop.INTEGERS] = self.s.ctypes.data
        self.given[loop.WORK] = self.w.ctypes.data
        ahead = self._ask(START if self.outside else _ALL)
        while ahead:
            ahead = self._stretch()

    def _ask(self, command: int) -> bool:
        self.given[loop.COMMAND] = command
        self.enter(self.given.ctypes.data)
        return bool(self.given[loop.COMMAND])

    def _stretch(self) -> bool:
        """Integrate to the end of the stretch ahead, reading observations on the way."""
        first, last = self.s[self.s[at.OBSERVATION]], self.s[self.s[at.LAST]]
        end, wanted = self.w[self.s[at.END]], self.seen[first:last]
        times = np.unique(np.append(wanted, end))
        columns = np.flatnonzero((self._index() >= 0).any(axis=0))
        states, slopes = self.backend.integrate(self._described(times, columns))
        if not np.isfinite(states).all() or not np.isfinite(slopes).all():
            return self._ask(GAVE_UP)
        for time in wanted:
            place = np.searchsorted(times, time)
            self._put(at.DENSE, states[place], slopes[place], columns)
            self._ask(PASSED)
        self._put(at.STATE, states[-1], slopes[-1], columns)
        return self._ask(ARRIVED)

    def _described(self, times: Floats, columns: Integers) -> Stretch:
        s, n, m = self.s, self.s[at.N_STATES], self.s[at.N_PARAMETERS]
        index = self._index()[:, columns]
        parameters = self._lane(at.CONSTANTS, m)
        scale = self.w[s[at.SCALE] : s[at.SCALE] + n]
        rated = s[s[at.RATED] : s[at.RATED] + s[at.N_RATES]]
        sizes = np.concatenate([np.abs(parameters), scale, scale[rated]])
        forcing = np.where(index >= 0, self._lane(at.RATES, s[at.N])[n + index], 0.0)
        for place, column in enumerate(columns - m - n):
            if column >= 0:
                forcing[rated[column], place] = 1.0
        return Stretch(
            start=float(self.w[s[at.T]]),
            times=times,
            state=self._lane(at.STATE, n),
            sensitivity=np.where(index >= 0, self._lane(at.STATE, s[at.N])[n + index], 0.0),
            columns=np.where(columns < m, columns, -1),
            parameters=parameters,
            rates=self._lane(at.RATES, n),
            forcing=forcing,
            tolerance=self._lane(at.TOLERANCE, n),
            scales=sizes[columns],
        )

    def _index(self) -> Integers:
        """Return the packed column of every state and column, -1 where there is none."""
        n, count = self.s[at.N_STATES], self.s[at.N_COLUMNS]
        first = self.s[at.INDEX]
        return self.s[first : first + n * count].reshape(n, count)

    def _lane(self, field: int, count: int) -> Floats:
        first = self.s[field]
        return self.w[first : first + count * W : W].copy()

    def _put(self, field: int, state: Floats, slopes: Floats, columns: Integers) -> None:
        n, first = self.s[at.N_STATES], self.s[field]
        self.w[first : first + n * W : W] = state
        index = self._index()[:, columns]
        i, j = np.nonzero(index >= 0)
        self.w[first + (n + index[i, j]) * W] = slopes[i, j]
