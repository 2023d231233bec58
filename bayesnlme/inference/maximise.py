r"""The largest likelihood: a quasi-Newton search that ends with Newton steps.

The curvature starts as the sum of the outer products of the subjects' scores, an estimate of the
information, and is updated by BFGS. Near the end it becomes the Hessian, from differences of the
analytic gradient, and the search goes on with Newton steps. It stops where half the Newton
decrement, :math:`\tfrac12 g^\top H^{-1} g`, is below ``tolerance``: by that much, in log
likelihood, the quadratic there has its top higher. The rule does not depend on how parameters are
scaled.

A parameter whose likelihood has no top, only an approach to a bound (an SD of zero, a correlation
of one), is put at that bound and left there; see :class:`Maximum`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bayesnlme._types import Booleans, Floats
from bayesnlme.marginal.contribution import Approximation, Contributions

TOLERANCE = 1e-7
LONGEST = 1.0
"""No parameter moves further in one step, on its unconstrained scale."""

BOUND = 9.0
"""So far beyond where the search stopped lies what stands for a bound: a factor of 8000."""

_NEAR = 1e-3
_HALVINGS = 25
_FLAT = 1e-3
_SHARE_OF_SE = 0.03


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Maximum:
    """Where a search ended.

    Attributes
    ----------
    theta : array, shape (parameter,)
        Parameters on their unconstrained scales.
    contributions : Contributions
        Of the subjects there.
    hessian : array, shape (parameter, parameter)
        Of minus the objective; not a number in the rows of parameters at a bound.
    at_bound : array of bool, shape (parameter,)
        Parameters whose likelihood only approaches a bound.
    decrement : float
        Half the Newton decrement.
    converged : bool
        Whether the rule was met, with a Hessian that is positive definite.
    iterations, evaluations : int
        Steps, and evaluations of objective or gradient.
    trace : list of tuple
        Objective and parameters after each step.
    """

    theta: Floats
    contributions: Contributions
    hessian: Floats
    at_bound: Booleans
    decrement: float
    converged: bool
    iterations: int
    evaluations: int
    trace: list[tuple[float, Floats]]


@dataclass(slots=True, kw_only=True, eq=False)
class Objective:
    """Minus the log likelihood, weighted by subject, with the log prior if one is given.

    Attributes
    ----------
    approximation : Approximation
        What gives the contributions.
    weights : array, shape (subject,)
        How often each subject counts.
    log_prior : callable, optional
        Of the parameters, with its slope.
    modes : array, shape (subject, effect), optional
        Where the search for the modes starts; the last ones found.
    evaluations : int
        How often it was evaluated.
    """

    approximation: Approximation
    weights: Floats
    log_prior: Callable[[Floats], tuple[float, Floats]] | None = None
    modes: Floats | None = None
    evaluations: int = 0

    def at(self, theta: Floats) -> tuple[float, Floats, Contributions]:
        """Return the objective, its gradient and the contributions; the modes are kept."""
        self.evaluations += 1
        with np.errstate(all="ignore"):
            found = self.approximation.at(theta, self.modes)
        counted = self.weights > 0
        value = -float(self.weights[counted] @ found.value[counted])
        gradient = -self.weights[counted] @ found.slope[counted]
        if np.isfinite(value) and np.isfinite(gradient).all():
            self.modes = found.modes.z
        else:
            value = np.inf
        if self.log_prior is not None:
            prior, slope = self.log_prior(theta)
            value, gradient = value - prior, gradient - slope
        return value, gradient, found

    def value(self, theta: Floats) -> float:
        """Return the objective; infinite where it cannot be evaluated."""
        self.evaluations += 1
        with np.errstate(all="ignore"):
            values = self.approximation.values(theta, self.modes)
        counted = self.weights > 0
        value = -self.weights[counted] @ values[counted]
        if self.log_prior is not None:
            value -= self.log_prior(theta)[0]
        return float(value) if np.isfinite(value) else np.inf


def maximise(
    objective: Objective,
    start: Floats,
    *,
    held: Booleans | None = None,
    most_iterations: int = 500,
    tolerance: float = TOLERANCE,
    watch: Callable[[int, float], None] | None = None,
) -> Maximum:
    """Find the largest objective from a starting point.

    Parameters
    ----------
    objective : Objective
        What to make small.
    start : array, shape (parameter,)
        Where to start.
    held : array of bool, shape (parameter,), optional
        Parameters that stay where they are.
    most_iterations : int
        After so many steps the search ends, unconverged.
    tolerance : float
        Half the Newton decrement at which it ends.
    watch : callable, optional
        Called with the number of each step and the objective.
    """
    free = np.ones(start.size, dtype=bool) if held is None else ~held
    search = _Search(objective, start, free, (most_iterations, tolerance), watch)
    while search.go() and search.put_at_bounds():
        pass
    return search.end()


class _Search:
    """The state of a search, and its moves."""

    def __init__(
        self,
        objective: Objective,
        start: Floats,
        free: Booleans,
        limits: tuple[int, float],
        watch: Callable[[int, float], None] | None,
    ) -> None:
        self._objective, self._watch = objective, watch
        self._left, self._tolerance = limits
        self._free, self._held = free.copy(), ~free
        self._theta = start.copy()
        self._value, self._gradient, self._found = objective.at(start)
        self._trace = [(self._value, self._theta)]
        self._curvature = self._from_scores()
        self._decrement, self._definite = np.inf, not free.any()

    def go(self) -> bool:
        """Step until the rule is met; say whether it was, or nothing is left to try."""
        newton = False
        while self._left > 0 and np.isfinite(self._value):
            step = self._step()
            self._decrement = -0.5 * float(self._gradient @ step)
            if not newton and self._decrement < _NEAR:
                newton = True
                self._curvature = self._hessian()
                continue
            if self._decrement < self._tolerance or not self._move(step):
                if newton:
                    return True
                newton, self._curvature = True, self._hessian()
                continue
            newton = newton and self._decrement < _NEAR
            if newton:
                self._curvature = self._hessian()
        return False

    def put_at_bounds(self) -> bool:
        """Put at its bound what only approaches one; say whether to search on.

        Where a flat parameter has something higher far away, the search goes on from there.
        """
        curved = np.diag(self._curvature)
        flat = np.flatnonzero(self._free & (np.abs(curved) < max(_FLAT, 1e-6 * curved.max())))
        for k in flat:
            side = -np.sign(self._gradient[k]) or 1.0
            far = side * BOUND * (np.arange(self._theta.size) == k)
            moves = (far, -far)
            values = [self._objective.value(self._theta + move) for move in moves]
            best_move = int(np.argmin(values))
            if values[best_move] < self._value - _NEAR:
                self._go_to(self._theta + moves[best_move])
                return True
            level = [each < self._value + _NEAR for each in values]
            if any(level):
                self._free[k] = False
                self._go_to(self._theta + moves[level.index(True)])
                return bool(self._free.any())
        return False

    def _go_to(self, theta: Floats) -> None:
        self._theta = theta
        self._value, self._gradient, self._found = self._objective.at(theta)
        self._curvature = self._from_scores()

    def end(self) -> Maximum:
        """Return what was found."""
        sound = np.isfinite(self._value) and self._definite
        return Maximum(
            theta=self._theta,
            contributions=self._found,
            hessian=np.where(self._free & self._free[:, None], self._curvature, np.nan),
            at_bound=~self._free & ~self._held,
            decrement=self._decrement,
            converged=bool(sound and self._decrement <= 100 * self._tolerance),
            iterations=len(self._trace) - 1,
            evaluations=self._objective.evaluations,
            trace=self._trace,
        )

    def _step(self) -> Floats:
        """Return the quasi-Newton step, shortened where it is too long."""
        free = self._free
        curvature = self._curvature[np.ix_(free, free)]
        values, vectors = np.linalg.eigh(curvature)
        self._definite = bool((values > 0).all())
        floor = 1e-8 * np.abs(values).max(initial=1e-300)
        values = np.maximum(np.abs(values), floor)
        step = np.zeros_like(self._theta)
        step[free] = -vectors @ (vectors.T @ self._gradient[free] / values)
        return step / max(1.0, np.abs(step).max(initial=0.0) / LONGEST)

    def _move(self, step: Floats) -> bool:
        """Go along a step to a lower objective; say whether there is one."""
        size, expected = 1.0, float(self._gradient @ step)
        for _ in range(_HALVINGS):
            tried = self._theta + size * step
            value = self._objective.value(tried)
            if value <= self._value + 1e-4 * size * expected:
                value, gradient, found = self._objective.at(tried)
                if np.isfinite(value):
                    break
            size /= 2
        else:
            return False
        self._update(tried - self._theta, gradient - self._gradient)
        self._theta, self._value, self._gradient, self._found = tried, value, gradient, found
        self._trace.append((self._value, tried))
        self._left -= 1
        if self._watch is not None:
            self._watch(len(self._trace) - 1, self._value)
        return True

    def _update(self, step: Floats, change: Floats) -> None:
        """Update the curvature by BFGS, damped so that it stays positive definite."""
        step, change = step * self._free, change * self._free
        pushed = self._curvature @ step
        along, seen = float(step @ pushed), float(step @ change)
        if along <= 0:
            self._curvature = self._from_scores()
            return
        if seen < 0.2 * along:
            share = 0.8 * along / (along - seen)
            change = share * change + (1 - share) * pushed
            seen = float(step @ change)
        self._curvature = (
            self._curvature - np.outer(pushed, pushed) / along + np.outer(change, change) / seen
        )

    def _from_scores(self) -> Floats:
        """Return the sum of the outer products of the scores, kept away from singular."""
        scores = self._found.slope
        information = (scores * self._objective.weights[:, None]).T @ scores
        size = np.maximum(np.diag(information), 1e-3 * np.diag(information).max(initial=1e-6))
        return information + np.diag(0.05 * size)

    def _hessian(self) -> Floats:
        """Return the Hessian by central differences of the gradient, a share of an SE apart."""
        free = np.flatnonzero(self._free)
        size = self._theta.size
        hessian = np.eye(size)
        for k in free:
            curved = max(abs(self._curvature[k, k]), _FLAT)
            step = np.zeros(size)
            step[k] = min(_SHARE_OF_SE / np.sqrt(curved), 0.05)
            above, below = (self._objective.at(self._theta + s * step)[1] for s in (1, -1))
            hessian[free, k] = ((above - below) / (2 * step[k]))[free]
        if not np.isfinite(hessian).all():
            return self._from_scores()
        return (hessian + hessian.T) / 2


def best(found: Sequence[Maximum]) -> Maximum:
    """Return the highest of several maxima, converged ones first."""
    return min(found, key=lambda each: (not each.converged, each.trace[-1][0]))
