"""What the adapter uses of sunode 0.6, with SciPy behind it.

States are positive symbols, parameters real ones; derivatives are SymPy's, taken before
`simplify`; code is printed as sunode prints it; a solver crashes when two threads share it.
"""

import threading
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import scipy.integrate
import sympy
from sympy.printing.numpy import SciPyPrinter


class SolverError(RuntimeError):
    pass


def _shape(given):
    return given if isinstance(given, tuple) else (given,)


class SympyProblem:
    def __init__(self, params, states, rhs_sympy, derivative_params, coords=None, simplify=None):
        (self.state,) = states
        (self.slot,) = (path[0] for path in derivative_params)
        self.params_dtype = np.dtype(
            [(name, np.float64, _shape(shape)) for name, shape in params.items()]
        )
        x = sympy.symarray(self.state, _shape(states[self.state]), positive=True)
        p = {name: sympy.symarray(name, _shape(shape), real=True) for name, shape in params.items()}
        time = sympy.Symbol("time", real=True)
        found = rhs_sympy(time, SimpleNamespace(**{self.state: x}), SimpleNamespace(**p))
        assert list(found) == [self.state]
        rhs = sympy.Matrix(found[self.state])
        printer = SciPyPrinter(
            {"fully_qualified_modules": False, "inline": True, "allow_unknown_functions": True}
        )
        self.values, self.by_state, self.by_slot = (
            sympy.lambdify(
                [time, list(x), [each.ravel().tolist() for each in p.values()]],
                np.vectorize(simplify)(np.array(each)).tolist(),
                modules="numpy",
                printer=printer,
                cse=True,
            )
            for each in (rhs, rhs.jacobian(x), rhs.jacobian(p[self.slot]))
        )
        self.shape = len(p[self.slot]), len(x)


class Solver:
    made_by: ClassVar[list[int]] = []  # the thread of each

    def __init__(self, problem, *, abstol=1e-10, reltol=1e-10, sens_mode=None, solver="BDF"):
        assert sens_mode == "simultaneous"
        self.made_by.append(threading.get_ident())
        self.problem, self.tolerances = problem, {"atol": abstol, "rtol": reltol}
        self.method = {"BDF": "Radau", "ADAMS": "DOP853"}[solver]
        self.busy = threading.Lock()

    @property
    def params_dtype(self):
        return self.problem.params_dtype

    def set_params(self, params):
        assert isinstance(params, np.void)
        assert params.dtype == self.params_dtype
        self.params = [np.ravel(params[name]) for name in params.dtype.names]

    def solve(self, t0, tvals, y0, y_out, *, sens0=None, sens_out=None, max_retries=5):
        assert self.busy.acquire(blocking=False), "two threads share a solver"
        try:
            self.evaluations = 4 * 500 * max_retries
            self._solve(t0, tvals, y0, y_out, sens0, sens_out)
        finally:
            self.busy.release()

    def _solve(self, t0, tvals, y0, y_out, sens0, sens_out):
        q, n = self.problem.shape
        assert y0.shape == (n,)
        assert sens0.shape == (q, n)
        assert t0 not in tvals
        start = np.vstack([y0, sens0]).ravel()
        if not np.isfinite(self._slope(t0, start)).all():
            raise SolverError("The right-hand side routine failed at the first call.")
        times, place = np.unique(tvals, return_inverse=True)
        found = scipy.integrate.solve_ivp(
            self._steps,
            (t0, times[-1]),
            start,
            t_eval=times,
            method=self.method,
            **self.tolerances,
        )
        if not found.success:
            raise SolverError(found.message)
        both = found.y.T[place].reshape(len(tvals), 1 + q, n)
        y_out[:], sens_out[:] = both[:, 0], both[:, 1:]

    def _steps(self, t, flat):
        self.evaluations -= 1
        if self.evaluations < 0:
            raise SolverError("Too many solver retries.")
        return np.nan_to_num(self._slope(t, flat), nan=1e100)  # a smaller step, please

    def _slope(self, t, flat):
        q, n = self.problem.shape
        both = flat.reshape(1 + q, n)
        with np.errstate(all="ignore"):
            at = t, both[0], self.params
            flow, direct = np.array(self.problem.by_state(*at)), np.array(self.problem.by_slot(*at))
            slope = np.array(self.problem.values(*at)).ravel()
            return np.vstack([slope, both[1:] @ flow.T + direct.T]).ravel()


solver = SimpleNamespace(Solver=Solver, SolverError=SolverError)
