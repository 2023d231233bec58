"""CVODES of SUNDIALS as backend, through the package sundials4py."""

from functools import lru_cache
from importlib import import_module
from typing import Any, override

import numpy as np

from bayesnlme._types import Floats
from bayesnlme.errors import ModelError
from bayesnlme.odes.backends.equations import Motion, compile_equations
from bayesnlme.odes.backends.stretch import Backend, Stretch
from bayesnlme.odes.problem import Problem
from bayesnlme.odes.solver import Solver

_REMEDY = "Install it with `pip install bayesnlme[cvodes]`, or use another backend."

_NEEDED = {
    "core": (
        "N_VGetArrayPointer",
        "N_VNew_Serial",
        "SUNContext_ClearErrHandlers",
        "SUNContext_Create",
        "SUNDenseMatrix",
        "SUNDenseMatrix_Data",
        "SUNLinSol_Dense",
        "SUN_COMM_NULL",
    ),
    "cvodes": (
        "CV_ADAMS",
        "CV_BDF",
        "CV_NORMAL",
        "CV_SIMULTANEOUS",
        "CVode",
        "CVodeCreate",
        "CVodeGetNumSteps",
        "CVodeGetSens",
        "CVodeInit",
        "CVodeSVtolerances",
        "CVodeSensInit",
        "CVodeSensSVtolerances",
        "CVodeSetJacFn",
        "CVodeSetLinearSolver",
        "CVodeSetMaxHnilWarns",
        "CVodeSetMaxNumSteps",
        "CVodeSetMinStep",
        "CVodeSetSensErrCon",
        "CVodeSetStopTime",
    ),
}


_SMALLEST = 1e-100
"""Least size of a step: where one has shrunk to zero, CVode says that it arrived."""


class Cvodes(Backend):
    """Multistep methods of variable order with forward sensitivities [Serban2005]_.

    ``"tsit5"`` asks for Adams, ``"rodas5p"`` and ``"auto"`` for BDF. Both are corrected by
    Newton's method with the exact Jacobian, states together with sensitivities, and both
    take part in the control of the error. Every call works in memory of its own.

    References
    ----------
    .. [Serban2005] R. Serban and A. C. Hindmarsh, CVODES: the sensitivity-enabled ODE solver
       in SUNDIALS, Proceedings of IDETC/CIE 2005, DETC2005-85597.
    """

    def __init__(self, problem: Problem, solver: Solver) -> None:
        _sundials()
        super().__init__(problem, solver)
        self._equations = compile_equations(problem)

    @override
    def _integrate(self, stretch: Stretch) -> tuple[Floats, Floats]:
        states, sensitivities = stretch.begun()
        memory = _Memory(Motion(self._equations, stretch), self._solver, stretch)
        for place in range(stretch.instants, len(stretch.times)):
            if not memory.advance(stretch.times[place]):
                return stretch.failed()
            states[place], sensitivities[place] = memory.state, memory.sensitivity
        return states, sensitivities


class _Memory:
    """What CVODES keeps of one solve. Nothing that it calls back refers to it."""

    def __init__(self, motion: Motion, solver: Solver, stretch: Stretch) -> None:
        core, self._cvodes = _sundials()
        self._budget = solver.max_steps
        self._context = core.SUNContext_Create(core.SUN_COMM_NULL)[1]
        core.SUNContext_ClearErrHandlers(self._context)  # failure is data, not a message
        self._read, self._new = core.N_VGetArrayPointer, core.N_VNew_Serial
        self._y = self._vector(stretch.state)
        self._s = [self._vector(each) for each in stretch.sensitivity.T]
        family = self._cvodes.CV_ADAMS if solver.method == "tsit5" else self._cvodes.CV_BDF
        self._owner = self._cvodes.CVodeCreate(family, self._context)
        self._memory = self._owner.get()
        self._matrix = core.SUNDenseMatrix(len(stretch.state), len(stretch.state), self._context)
        self._linear = core.SUNLinSol_Dense(self._y, self._matrix, self._context)
        self._ready = self._set_up(
            _Callbacks(motion, core, stretch.sensitivity.shape), solver.rtol, stretch
        )

    def _set_up(self, call: "_Callbacks", rtol: float, stretch: Stretch) -> bool:
        cvodes, memory = self._cvodes, self._memory
        flags = [
            cvodes.CVodeInit(memory, call.rhs, stretch.start, self._y),
            cvodes.CVodeSVtolerances(memory, rtol, self._vector(stretch.tolerance)),
            cvodes.CVodeSetLinearSolver(memory, self._linear, self._matrix),
            cvodes.CVodeSetJacFn(memory, call.jacobian),
            cvodes.CVodeSetStopTime(memory, stretch.times[-1]),
            cvodes.CVodeSetMaxHnilWarns(memory, -1),
            cvodes.CVodeSetMinStep(memory, _SMALLEST),
        ]
        if self._s:
            mode, count = cvodes.CV_SIMULTANEOUS, len(self._s)
            bounds = [self._vector(each) for each in stretch.sensitivity_tolerance.T]
            flags += [
                cvodes.CVodeSensInit(memory, count, mode, call.tangents, self._s),
                cvodes.CVodeSensSVtolerances(memory, rtol, bounds),
                cvodes.CVodeSetSensErrCon(memory, 1),
            ]
        return not any(flags)

    def _vector(self, values: Floats) -> Any:
        made = self._new(len(values), self._context)
        self._read(made)[:] = values
        return made

    def advance(self, time: float) -> bool:
        """Go on to a time; say whether it was reached."""
        left = self._budget - self._cvodes.CVodeGetNumSteps(self._memory)[1]
        if not self._ready or left < 1:
            return False
        self._cvodes.CVodeSetMaxNumSteps(self._memory, left)
        flag, _ = self._cvodes.CVode(self._memory, time, self._y, self._cvodes.CV_NORMAL)
        if flag >= 0 and self._s:
            flag, _ = self._cvodes.CVodeGetSens(self._memory, self._s)
        return flag >= 0

    @property
    def state(self) -> Floats:
        """States, shape (n,)."""
        return self._read(self._y)

    @property
    def sensitivity(self) -> Floats:
        """Sensitivities, shape (n, q)."""
        return np.array([self._read(each) for each in self._s]).reshape(-1, len(self.state)).T


class _Callbacks:
    """Derivatives as CVODES asks for them: 0 where they are finite, 1 for a smaller step."""

    def __init__(self, motion: Motion, core: Any, shape: tuple[int, ...]) -> None:
        self._motion = motion
        self._read = core.N_VGetArrayPointer
        self._entries = core.SUNDenseMatrix_Data
        self._given, self._found = np.empty(shape), np.empty(shape)

    def rhs(self, t: float, y: Any, slope: Any, _: Any) -> int:
        return not self._motion.derivative(t, self._read(y), self._read(slope))

    def jacobian(self, t: float, y: Any, _slope: Any, matrix: Any, *_: Any) -> int:
        return not self._motion.jacobian(t, self._read(y), self._entries(matrix))

    def tangents(self, _q: int, t: float, y: Any, _slope: Any, s: Any, out: Any, *_: Any) -> int:
        for j, each in enumerate(s):
            self._given[:, j] = self._read(each)
        finite = self._motion.tangents(t, self._read(y), self._given, self._found)
        for j, each in enumerate(out):
            self._read(each)[:] = self._found[:, j]
        return not finite


@lru_cache(maxsize=1)
def _sundials() -> tuple[Any, Any]:
    """Return the modules core and cvodes of sundials4py, with all that is needed in them."""
    try:
        found = {part: import_module(f"sundials4py.{part}") for part in _NEEDED}
    except ImportError as error:
        raise ModelError(
            f"Solver: backend='cvodes' cannot be imported ({error}). {_REMEDY}"
        ) from error
    missing = [
        f"{part}.{name}"
        for part, names in _NEEDED.items()
        for name in names
        if not hasattr(found[part], name)
    ]
    if missing:
        raise ModelError(f"Solver: this sundials4py lacks {', '.join(missing)}. {_REMEDY}")
    return found["core"], found["cvodes"]
