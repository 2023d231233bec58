"""Other integrators than our own, each for one smooth stretch of one subject.

Events and their jumps are the engine's, the same for every backend.
"""

from collections.abc import Callable

from bayesnlme.errors import ModelError
from bayesnlme.odes.backends.cvodes import Cvodes
from bayesnlme.odes.backends.reference import Reference
from bayesnlme.odes.backends.stretch import Backend, Stretch
from bayesnlme.odes.backends.sunode import Sunode
from bayesnlme.odes.problem import Problem
from bayesnlme.odes.solver import Solver

__all__ = ["Backend", "Stretch", "open_backend"]

_BACKENDS: dict[str, Callable[[Problem, Solver], Backend]] = {
    "cvodes": Cvodes,
    "scipy": Reference,
    "sunode": Sunode,
}


def open_backend(problem: Problem, solver: Solver) -> Backend:
    """Make the backend that a solver names, ready to integrate stretches of a problem.

    Whatever is compiled is compiled here, in the thread that calls, and kept: to open the same
    problem again costs nothing. What is returned may be shared by threads, and pickled.

    Raises
    ------
    ModelError
        If the backend cannot be imported, with the command that installs it, or if it is
        numba, which solves a whole population and is called by another door.
    """
    if solver.backend not in _BACKENDS:
        raise ModelError(f"Solver: backend={solver.backend!r} does not integrate by stretches.")
    return _BACKENDS[solver.backend](problem, solver)
