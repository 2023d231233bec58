"""CVODES of SUNDIALS as backend, through the package sunode of conda-forge.

A solver of sunode knows its parameters, its columns of sensitivities and one absolute tolerance
when it is compiled. It takes every stretch by two devices:

- It sees x = y / unit, where the unit of a state is its tolerance over `Solver.atol`, and
  sensitivities by p / scale. One absolute tolerance then serves them all.
- It has one *slot* z[j] for every parameter, which enters as p[j] + size[j] z[j] and as
  rates + forcing[:, j] z[j], and which is always zero. The derivative by it is a column of the
  stretch; with size[j] = 0 it is a direction of the initial state. Where there are more
  columns than slots, the stretch is solved again for the rest.

sunode takes states to be positive and differentiates powers into 0/0 at zero. So it gets the
right-hand side under a `Seal`, with our derivatives.
"""

import os
import threading
from contextlib import suppress
from functools import lru_cache
from importlib import import_module
from queue import SimpleQueue
from typing import Any, override

import numpy as np
import sympy

from bayesnlme._types import Floats, Integers
from bayesnlme.errors import ModelError
from bayesnlme.odes.backends.sealed import Seal
from bayesnlme.odes.backends.stretch import Backend, Stretch
from bayesnlme.odes.problem import Problem
from bayesnlme.odes.solver import Solver
from bayesnlme.odes.text import TIME, symbol

_SOLVERS = min(4, os.cpu_count() or 1)
"""Solves at the same time; every solver takes seconds to compile."""

_CHUNK = 500
"""Steps after which CVODES returns and sunode sends it on."""


class Sunode(Backend):
    """Multistep methods with forward sensitivities: Adams for ``"tsit5"``, BDF otherwise.

    The solvers are made by the thread that opens the backend, and each serves one thread at a
    time: one that is shared crashes, and one made in a thread of a sampler may never come back
    from its compilation. A copy in another process opens anew.

    Raises
    ------
    ModelError
        If sunode cannot be imported.
    """

    def __init__(self, problem: Problem, solver: Solver) -> None:
        super().__init__(problem, solver)
        self._open()

    @override
    def _integrate(self, stretch: Stretch) -> tuple[Floats, Floats]:
        if self._process != os.getpid():
            self._open_after_fork()
        engine = self._pool.get()
        try:
            with np.errstate(all="ignore"):
                return self._solve(engine, stretch)
        finally:
            self._pool.put(engine)

    def _open(self) -> None:
        self._process = os.getpid()
        self._pool = _make_pool(self._process, self._problem, self._solver)

    def _open_after_fork(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            raise ModelError(
                "Solver: backend='sunode' came here with a fork, and its solvers cannot be "
                "made inside a thread. Solve once in the main thread of this process first."
            )
        self._open()

    def _solve(self, engine: Any, stretch: Stretch) -> tuple[Floats, Floats]:
        states, sensitivities = stretch.begun()
        first = stretch.instants
        if first == len(stretch.times):
            return states, sensitivities
        unit = stretch.tolerance / self._solver.atol
        for slots in _share_out(stretch.columns, len(stretch.parameters)):
            columns = np.array(list(slots.values()), dtype=np.int64)
            factor = stretch.sizes[columns] / unit[:, None]
            start = _set_up(engine, stretch, slots, unit)
            x, tangents = self._run(engine, stretch, stretch.state / unit, start)
            if not (np.isfinite(x).all() and np.isfinite(tangents).all()):
                return stretch.failed()
            states[first:] = x * unit
            sensitivities[first:, :, columns] = tangents[:, list(slots)].swapaxes(1, 2) / factor
        return states, sensitivities

    def _run(
        self, engine: Any, stretch: Stretch, x: Floats, tangents: Floats
    ) -> tuple[Floats, Floats]:
        """Return x (k, n) and its derivatives by the slots (k, m, n), with NaN where it failed.

        No wanted time may be the start: sunode stores such a point as the first, wherever it
        stands. Where a step has shrunk to zero, it calls the states good and leaves out the
        derivatives.
        """
        times = stretch.times[stretch.instants :]
        states = np.full((len(times), *x.shape), np.nan)
        slopes = np.full((len(times), *tangents.shape), np.nan)
        retries = -(-self._solver.max_steps // _CHUNK)
        with suppress(_import_sunode().solver.SolverError, ValueError):  # a bad return code
            engine.solve(
                stretch.start,
                times,
                x,
                states,
                sens0=tangents,
                sens_out=slopes,
                max_retries=retries,
            )
        return states, slopes


def _share_out(columns: Integers, slots: int) -> list[dict[int, int]]:
    """Assign columns to slots, one mapping of slots to columns for every solve.

    The derivative by a parameter needs the slot of that parameter, a direction of the initial
    state takes any.
    """
    rounds: list[dict[int, int]] = [{}]
    for column in sorted(range(len(columns)), key=lambda j: columns[j] < 0):
        wanted = range(slots) if columns[column] < 0 else (int(columns[column]),)
        for each in rounds:
            free = [slot for slot in wanted if slot not in each]
            if free:
                each[free[0]] = column
                break
        else:
            rounds.append({wanted[0]: column})
    return rounds


@lru_cache(maxsize=16)
def _make_pool(_process: int, problem: Problem, solver: Solver) -> SimpleQueue[Any]:
    """Compile the solvers of a process, here and now."""
    sunode = _import_sunode()
    pool: SimpleQueue[Any] = SimpleQueue()
    declared = _declare(sunode, problem)
    for _ in range(_SOLVERS):
        pool.put(
            sunode.solver.Solver(
                declared,
                abstol=solver.atol,
                reltol=solver.rtol,
                sens_mode="simultaneous",
                solver="ADAMS" if solver.method == "tsit5" else "BDF",
            )
        )
    return pool


def _set_up(engine: Any, stretch: Stretch, slots: dict[int, int], unit: Floats) -> Floats:
    """Give a solver the numbers of a stretch; return the slots' derivatives at the start."""
    n, m = len(stretch.state), len(stretch.parameters)
    size, forcing, start = np.zeros(m), np.zeros((n, m)), np.zeros((m, n))
    for slot, column in slots.items():
        scale = stretch.sizes[column]
        size[slot] = scale if stretch.columns[column] >= 0 else 0.0
        forcing[:, slot] = stretch.forcing[:, column] * scale / unit
        start[slot] = stretch.sensitivity[:, column] * scale / unit
    given = np.zeros(1, dtype=engine.params_dtype)[0]
    values = {"p": stretch.parameters, "unit": unit, "rates": stretch.rates / unit}
    for name, value in (values | {"size": size, "forcing": forcing}).items():
        given[name] = value
    engine.set_params(given)
    return start


def _declare(sunode: Any, problem: Problem) -> Any:
    """Return a problem of sunode: the numbers of a stretch as parameters, and the slots."""
    n, m = len(problem.states), len(problem.parameters)
    seal = Seal()

    def rhs(t: Any, y: Any, p: Any) -> dict[str, Any]:
        return {"x": seal.close([*y.x, *p.z], *_derivatives(problem, t, y.x, p))}

    return sunode.SympyProblem(
        params={"p": m, "unit": n, "rates": n, "size": m, "forcing": (n, m), "z": m},
        states={"x": n},
        rhs_sympy=rhs,
        derivative_params=[("z",)],
        simplify=seal.open,
    )


def _derivatives(
    problem: Problem, t: sympy.Symbol, x: Any, p: Any
) -> tuple[list[sympy.Expr], list[list[sympy.Expr]]]:
    """Return x' at z = 0, and its derivatives by x, then by the slots."""
    states, slots = range(len(problem.states)), range(len(problem.parameters))
    place = {symbol(TIME): t} | dict(zip(problem.parameter_symbols, p.p, strict=True))
    for i, state in enumerate(problem.state_symbols):
        place[state] = p.unit[i] * symbol(x[i].name)  # printed like x[i], but of either sign
    flow, direct = problem.dfdy, problem.dfdp
    values = [problem.rhs[i].xreplace(place) / p.unit[i] + p.rates[i] for i in states]
    slopes = [
        [flow[i][k].xreplace(place) * p.unit[k] / p.unit[i] for k in states]
        + [direct[i][j].xreplace(place) * p.size[j] / p.unit[i] + p.forcing[i, j] for j in slots]
        for i in states
    ]
    return values, slopes


@lru_cache(maxsize=1)
def _import_sunode() -> Any:
    try:
        sunode = import_module("sunode")
        import_module("sunode.solver")
    except ImportError as error:
        raise ModelError(
            f"Solver: backend='sunode' cannot be imported ({error}). Install it with `conda "
            "install -c conda-forge sunode`, or use another backend."
        ) from error
    return sunode
