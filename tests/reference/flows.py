"""Three ways to carry a state from one time to another, derivatives included.

A flow is called as ``flow(system, t0, t1, y, p, inputs)``. The last axis of everything is
the direction: direction 0 is real, and each of the others carries the derivative by one
parameter in its imaginary part, `STEP` times as large. `t0` and `t1` have shape
``(directions,)`` and may be complex, because events may depend on parameters; `y` and
`inputs` (constant rates) have shape ``(states, directions)``. The path from one complex
time to another is straight, so that integration runs over a real s in [0, 1].
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import mpmath
import numpy as np
import scipy.integrate
import scipy.linalg

from tests.reference.equations import Array, System

STEP = np.longdouble("1e-100")

EDGE = np.longdouble("1e-17")
"""Ends of a stretch are seen from within, so that a switch there counts as not yet passed."""

type Values = Mapping[str, Array]
type Flow = Callable[[System, Array, Array, Array, Values, Array], Array]


@lru_cache
def radau(stages: int) -> tuple[Array, Array]:
    """Nodes and matrix of the Radau IIA collocation method of order ``2 stages - 1``.

    Nodes are the zeros of P_s - P_(s-1) on [0, 1] (E. Hairer, G. Wanner, Solving Ordinary
    Differential Equations II, Springer 1996, IV.5), found to fifty digits.
    """
    with mpmath.workdps(50):
        legendre = [
            mpmath.taylor(lambda x, n=n: mpmath.legendre(n, x), 0, stages)
            for n in (stages, stages - 1)
        ]
        polynomial = [high - low for high, low in zip(*legendre, strict=True)]
        zeros = mpmath.polyroots(polynomial[::-1], maxsteps=500, extraprec=300)
        nodes = sorted((mpmath.re(zero) + 1) / 2 for zero in zeros)
        powers = mpmath.matrix([[node**k for k in range(stages)] for node in nodes])
        integrals = mpmath.matrix(
            [[node ** (k + 1) / (k + 1) for k in range(stages)] for node in nodes]
        )
        matrix = (integrals * powers**-1).tolist()
    return _long(nodes), np.array([_long(row) for row in matrix])


class Collocation:
    """Radau IIA with many stages in extended precision, steps controlled by step doubling.

    The error of every state and of every derivative is held below `tolerance`, relative to
    its own size, to a thousandth of the largest it has had since `t0`, or, for a derivative, to
    a thousandth of the state (derivatives are by the logarithm of a parameter). The two half
    steps are kept, whose error is about ``2 ** (1 - 2 stages)`` of the controlled one.
    """

    def __init__(self, *, stages: int = 8, tolerance: float = 1e-14) -> None:
        self.c, self.a = radau(stages)
        self.order = 2 * stages
        self.tolerance = tolerance

    def __call__(
        self, system: System, t0: Array, t1: Array, y: Array, p: Values, inputs: Array
    ) -> Array:
        """Carry `y` from `t0` to `t1`."""
        if np.array_equal(t0, t1):
            return y

        def slope(s: Any, z: Array, which: slice = slice(None)) -> Array:
            start, span = t0[which, None], (t1 - t0)[which, None]
            s = np.clip(s, EDGE, 1 - EDGE)
            values = {name: each[which, None] for name, each in p.items()}
            rates = system.derivative(start + span * s, z, values) + inputs[:, which, None]
            return span * rates

        s, h, largest = np.longdouble(0), np.longdouble(1), sizes(y)
        while s < 1:
            h = min(h, 1 - s)
            if h < 1e-14:
                raise ArithmeticError("the step became too small")
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                result = self._doubled(slope, s, y, h)
            if result is None:
                h = h / 4
                continue
            after, gap = result
            scale = np.maximum(np.maximum(sizes(y), sizes(after)), 1e-3 * largest)
            error = np.max(relative(sizes(gap), scale)) / self.tolerance
            if error <= 1:
                s, y = (np.longdouble(1) if h >= 1 - s else s + h), after
                largest = np.maximum(largest, sizes(y))
            h = h * np.clip(0.8 * np.maximum(error, 1e-30) ** (-1 / self.order), 0.1, 4)
        return y

    def _doubled(
        self, slope: Callable[..., Array], s: Any, y: Array, h: Any
    ) -> tuple[Array, Array] | None:
        """Take two half steps; return the end and its difference from one whole step."""
        whole = self._step(slope, s, y, h)
        first = None if whole is None else self._step(slope, s, y, h / 2)
        second = None if first is None else self._step(slope, s + h / 2, first, h / 2)
        return None if second is None else (second, second - whole)

    def _step(self, slope: Callable[..., Array], s: Any, y: Array, h: Any) -> Array | None:
        """Solve the stages by Newton's method; None where it does not converge."""
        at, (n, count) = s + h * self.c, (len(y), len(self.c))
        stages = np.repeat(y[..., None], count, axis=-1)
        previous = np.inf
        for iteration in range(40):
            residual = stages - y[..., None] - h * (slope(at, stages) @ self.a.T)
            if not np.all(np.isfinite(residual)):
                return None
            if iteration < 6:
                inverse = self._inverse(slope, at, stages, h)
            update = solve_complex(inverse, residual.transpose(0, 2, 1).reshape(n * count, -1))
            update = update.reshape(n, count, -1).transpose(0, 2, 1)
            stages = stages - update
            scale = np.max(sizes(stages), axis=-1, keepdims=True)
            moved = np.max(relative(sizes(update), scale))
            if moved < 1e-18 or (moved < 1e-15 and moved >= previous / 2):
                return stages[..., -1]
            if not moved < 1e8:
                return None
            previous = moved
        return None

    def _inverse(self, slope: Callable[..., Array], at: Array, stages: Array, h: Any) -> Array:
        """Invert ``I - h A (x) J`` at the stages of direction 0."""
        n, count = len(stages), len(self.c)
        matrix = np.eye(n * count).reshape(n, count, n, count)
        for j in range(n):
            moved = stages[:, :1].real.astype(np.clongdouble)
            moved[j] += 1j * STEP
            column = slope(at, moved, slice(1))[:, 0].imag / STEP
            matrix[:, :, j, :] -= np.float64(h * self.a[None] * column[:, None, :])
        return np.linalg.inv(matrix.reshape(n * count, n * count))


def exponential(system: System, t0: Array, t1: Array, y: Array, p: Values, inputs: Array) -> Array:
    """Carry the state of a linear system with constant coefficients by its matrix exponential."""
    n, directions = y.shape
    constant = system.derivative(t0, np.zeros_like(y), p)
    matrix = np.zeros((directions, n + 1, n + 1), np.clongdouble)
    for j in range(n):
        unit = np.zeros_like(y)
        unit[j] = 1
        matrix[:, :n, j] = (system.derivative(t0, unit, p) - constant).T
    matrix[:, :n, n] = (constant + inputs).T
    matrix *= (t1 - t0)[:, None, None]
    padded = np.concatenate([y, np.ones((1, directions))])
    moved = [_exponential_times(each, padded[:, d]) for d, each in enumerate(matrix)]
    return np.array(moved).T[:n]


def _exponential_times(matrix: Array, vector: Array) -> Array:
    """Multiply with a matrix exponential; derivatives by that of Frechet."""
    real, imaginary = (np.float64(each) for each in (matrix.real, matrix.imag / STEP))
    power, slope = scipy.linalg.expm_frechet(real, imaginary)
    return power @ vector + 1j * STEP * (slope @ vector.real)


class Scipy:
    """A method of scipy's `solve_ivp` at its tightest tolerance, in double precision.

    The derivatives travel as states of their own size, so that the step control sees them.
    """

    def __init__(self, method: str) -> None:
        self.method = method
        self.rtol = 3e-12 if method == "Radau" else 1e-13

    def __call__(
        self, system: System, t0: Array, t1: Array, y: Array, p: Values, inputs: Array
    ) -> Array:
        """Carry `y` from `t0` to `t1`."""
        if np.array_equal(t0, t1):
            return y
        shape, span = y.shape, t1 - t0

        def slope(s: float, flat: Array) -> Array:
            s = np.clip(np.longdouble(s), EDGE, 1 - EDGE)
            rates = system.derivative(t0 + span * s, _joined(flat).reshape(shape), p) + inputs
            return _parted((span * rates).ravel())

        start = _parted(y.ravel())
        largest = np.maximum(np.max(np.abs(start)), np.max(np.abs(slope(0, start))))
        atol = max(1e-19 * largest, 1e-300)
        found = scipy.integrate.solve_ivp(
            slope, (0, 1), start, method=self.method, rtol=self.rtol, atol=atol
        )
        if not found.success:
            raise ArithmeticError(found.message)
        return _joined(found.y[:, -1]).reshape(shape)


def _parted(z: Array) -> Array:
    return np.concatenate([z.real, z.imag / STEP]).astype(np.float64)


def _joined(flat: Array) -> Array:
    real, imaginary = np.split(flat.astype(np.longdouble), 2)
    return real + 1j * STEP * imaginary


def _long(numbers: Any) -> Array:
    return np.array([np.longdouble(mpmath.nstr(each, 30)) for each in numbers])


def sizes(z: Array) -> Array:
    """Sizes of the values and of their derivatives, on a new first axis."""
    return np.stack([np.abs(z.real), np.abs(z.imag) / STEP])


def relative(error: Array, scale: Array) -> Array:
    """Errors over scales; a derivative counts as at least a thousandth of its value.

    Below that it may be nothing but the rounding of a balance, as of a system at rest.
    """
    scale = np.stack([scale[0], np.maximum(scale[1], 1e-3 * scale[0])])
    return error / np.where(scale > 0, scale, 1)


def solve_complex(inverse: Array, right: Array) -> Array:
    """Multiply complex right-hand sides with a real inverse in double precision."""
    parts = np.concatenate([right.real, right.imag / STEP], axis=1).astype(np.float64)
    real, imaginary = np.split((inverse @ parts).astype(np.longdouble), 2, axis=1)
    return real + 1j * STEP * imaginary
