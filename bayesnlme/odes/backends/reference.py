"""SciPy as backend: states and sensitivities as one plain system."""

from contextlib import suppress
from typing import Any, override

import numpy as np
import scipy.integrate

from bayesnlme._types import Floats
from bayesnlme.odes.backends.equations import Motion, compile_equations
from bayesnlme.odes.backends.stretch import Backend, Stretch
from bayesnlme.odes.problem import Problem
from bayesnlme.odes.solver import Solver

_STABLE = 5.0
"""Step times spectral radius beyond which DOP853 is held back by stability, not by accuracy."""

_PATIENCE = 100
"""Such steps after which "auto" takes the equations for stiff."""

_EVALUATIONS = 10_000
"""Evaluations of one step after which it never ends: its size is not a number."""

_CLIFF = 1e100
"""Derivative where there is none: no step survives it, and Radau stops at a NaN."""


class Reference(Backend):
    """DOP853 where equations are not stiff [Hairer1993]_, Radau where they are [Hairer1996]_.

    ``"auto"`` tries DOP853, and starts again with Radau where stability holds it back. Both
    end a step at every wanted time, so nothing is interpolated.

    References
    ----------
    .. [Hairer1993] E. Hairer, S. P. Norsett and G. Wanner, Solving Ordinary Differential
       Equations I: Nonstiff Problems, 2nd edition, Springer, 1993.
    .. [Hairer1996] E. Hairer and G. Wanner, Solving Ordinary Differential Equations II: Stiff
       and Differential-Algebraic Problems, 2nd edition, Springer, 1996.
    """

    def __init__(self, problem: Problem, solver: Solver) -> None:
        super().__init__(problem, solver)
        self._equations = compile_equations(problem)

    @override
    def _integrate(self, stretch: Stretch) -> tuple[Floats, Floats]:
        system = _System(Motion(self._equations, stretch), stretch)
        with np.errstate(all="ignore"):
            path = self._solve(system, self._solver.method)
        return stretch.failed() if path is None else (path[:, :, 0], path[:, :, 1:])

    def _solve(self, system: "_System", method: str) -> Floats | None:
        """Return states and sensitivities side by side, shape (k, n, 1 + q), if it succeeds."""
        if method != "rodas5p":
            with suppress(_StiffError):
                return self._path(system, scipy.integrate.DOP853, patient=method == "tsit5")
        return self._path(system, scipy.integrate.Radau, patient=True)

    def _path(self, system: "_System", method: Any, *, patient: bool) -> Floats | None:
        try:
            return self._walk(system, method, patient=patient)
        except (_EndlessError, ValueError):  # ValueError: a matrix that is not finite
            return None

    def _walk(self, system: "_System", method: Any, *, patient: bool) -> Floats | None:
        stretch, steps, held = system.stretch, self._solver.max_steps, 0
        path = np.empty((len(stretch.times), *system.shape))
        walker = method(
            system,
            stretch.start,
            _beside(stretch.state, stretch.sensitivity),
            stretch.times[0],
            rtol=max(self._solver.rtol, 100 * np.finfo(float).eps),  # the least it takes
            atol=_beside(stretch.tolerance, stretch.sensitivity_tolerance),
        )
        for place, time in enumerate(stretch.times):
            walker.t_bound, walker.status = time, "running"
            while walker.status == "running" and steps > 0:
                steps -= 1
                before, system.evaluations = walker.t, 0
                walker.step()
                if not system.is_defined(walker.t, walker.y):
                    return None
                if not patient:
                    held += (walker.t - before) * system.speed(walker.t, walker.y) > _STABLE
                    if held > _PATIENCE:
                        raise _StiffError
            if walker.status != "finished":
                return None
            path[place] = walker.y.reshape(system.shape)
        return path


class _System:
    """The derivative of states and sensitivities, of shape (n, 1 + q) made flat."""

    def __init__(self, motion: Motion, stretch: Stretch) -> None:
        self._motion = motion
        self.stretch = stretch
        self.shape = len(stretch.state), 1 + len(stretch.columns)
        self.evaluations = 0

    def __call__(self, t: float, flat: Floats) -> Floats:
        self.evaluations += 1
        if self.evaluations > _EVALUATIONS:
            raise _EndlessError
        return np.nan_to_num(self._slope(t, flat), nan=_CLIFF, posinf=_CLIFF, neginf=-_CLIFF)

    def is_defined(self, t: float, flat: Floats) -> bool:
        """Whether a point and the derivative there are finite."""
        return bool(np.isfinite([flat, self._slope(t, flat)]).all())

    def speed(self, t: float, flat: Floats) -> float:
        """Return the spectral radius of the Jacobian; it is that of the whole system as well."""
        size = self.shape[0]
        jacobian = np.empty((size, size))
        self._motion.jacobian(t, flat.reshape(self.shape)[:, 0], jacobian)
        return float(np.abs(np.linalg.eigvals(jacobian)).max())

    def _slope(self, t: float, flat: Floats) -> Floats:
        both, out = flat.reshape(self.shape), np.empty(self.shape)
        self._motion.derivative(t, both[:, 0], out[:, 0])
        self._motion.tangents(t, both[:, 0], both[:, 1:], out[:, 1:])
        return out.ravel()


class _StiffError(Exception):
    """Equations that are not for an explicit method."""


class _EndlessError(Exception):
    """A step that does not end."""


def _beside(state: Floats, sensitivity: Floats) -> Floats:
    return np.column_stack([state, sensitivity]).ravel()
