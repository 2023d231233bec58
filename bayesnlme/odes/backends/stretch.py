"""One smooth stretch of one subject, and what integrates it."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayesnlme._types import Floats, Integers
from bayesnlme.odes.problem import Problem
from bayesnlme.odes.solver import Solver


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stretch:
    """The time between two events of one subject: y' = f(t, y, p) + rates.

    With m parameters, n states and q columns of sensitivities, column j of S follows
    S' = (df/dy) S + df/dp[columns[j]] + forcing.

    Attributes
    ----------
    start : float
        Where it starts.
    times : array, shape (k,)
        Where the solution is wanted: ascending, all later than `start`; the last is the end.
    state : array, shape (n,)
        States at the start.
    sensitivity : array, shape (n, q)
        Their derivatives at the start.
    columns : array of int, shape (q,)
        Parameter that each column is the derivative by; -1 for a direction of the initial
        state, which enters f through the states alone.
    parameters : array, shape (m,)
        Values of the parameters.
    rates : array, shape (n,)
        Constant infusion rate into every state.
    forcing : array, shape (n, q)
        Derivatives of `rates`.
    tolerance : array, shape (n,)
        Absolute tolerance of each state.
    scales : array, shape (q,)
        Size of what each column is a derivative by: the absolute tolerance of S[i, j] is
        ``tolerance[i] / scales[j]``, and ``tolerance[i]`` where the scale is zero.
    """

    start: float
    times: Floats
    state: Floats
    sensitivity: Floats
    columns: Integers
    parameters: Floats
    rates: Floats
    forcing: Floats
    tolerance: Floats
    scales: Floats

    @property
    def finite(self) -> bool:
        """Whether every number of it is finite."""
        numbers = (
            self.times,
            self.state,
            self.sensitivity,
            self.parameters,
            self.rates,
            self.forcing,
        )
        return bool(np.isfinite(self.start)) and all(np.isfinite(each).all() for each in numbers)

    @property
    def sizes(self) -> Floats:
        """`scales`, and 1 in the place of a scale that is zero, shape (q,)."""
        return np.where(self.scales > 0, self.scales, 1.0)

    @property
    def sensitivity_tolerance(self) -> Floats:
        """Absolute tolerance of every sensitivity, shape (n, q)."""
        return self.tolerance[:, None] / self.sizes

    @property
    def instants(self) -> int:
        """How many wanted times are at the start but for the last bits of a number.

        There the solution is the one at the start; a multistep method refuses such a step.
        """
        reach = 4.0 * np.finfo(float).eps * np.maximum(abs(self.start), np.abs(self.times))
        return int(np.searchsorted(self.times - self.start > reach, True))  # noqa: FBT003

    def failed(self) -> tuple[Floats, Floats]:
        """Return the answer of a solve that failed: NaN everywhere."""
        k, (n, q) = len(self.times), self.sensitivity.shape
        return np.full((k, n), np.nan), np.full((k, n, q), np.nan)

    def begun(self) -> tuple[Floats, Floats]:
        """Return the answer at the `instants`, which is the start, and NaN behind them."""
        states, sensitivities = self.failed()
        first = self.instants
        states[:first], sensitivities[:first] = self.state, self.sensitivity
        return states, sensitivities


class Backend(ABC):
    """Integrates smooth stretches of one problem; may be called from several threads.

    A copy in another process is opened anew.
    """

    def __init__(self, problem: Problem, solver: Solver) -> None:
        self._problem, self._solver = problem, solver

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._problem, self._solver)

    def integrate(self, stretch: Stretch) -> tuple[Floats, Floats]:
        """Return states (k, n) and sensitivities (k, n, q) at the wanted times.

        Both are NaN everywhere where the solve fails; no number makes it raise.
        """
        return self._integrate(stretch) if stretch.finite else stretch.failed()

    @abstractmethod
    def _integrate(self, stretch: Stretch) -> tuple[Floats, Floats]:
        """Return the same for a stretch whose numbers are finite."""
