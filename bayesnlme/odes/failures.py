"""Why the solve of a subject failed, in words."""

from collections.abc import Mapping, Sequence
from typing import Any

from bayesnlme._types import Floats
from bayesnlme.odes import events
from bayesnlme.odes.backends.drive import Solve
from bayesnlme.odes.problem import Problem
from bayesnlme.odes.solver import Solver

_WORDS: Mapping[int, str] = {
    events.IMPOSSIBLE_DOSE: "the lag, bioavailability, duration or rate of a dose is negative or "
    "no finite number",
    events.RESTLESS: "no steady state was found for the dose at t={until:g}: more may enter than "
    "can leave",
    events.TOO_MANY_STEPS: "{steps} steps were not enough, and t={since:g} was reached on the way "
    "to t={until:g}: raise max_steps, or let method='rodas5p' try if the equations are stiff",
    events.TOO_SMALL_STEP: "no step is small enough at t={since:g}: the solution runs away, or a "
    "derivative is no number there",
    events.NOT_FINITE: "a state is no finite number between t={since:g} and t={until:g}",
    events.GIVEN_UP: "{backend} gave up between t={since:g} and t={until:g}",
}


def failures(
    problem: Problem, solver: Solver, parameters: Floats, arrays: Sequence[Any]
) -> dict[int, str]:
    """Solve, and say of every subject that fails why it does.

    Parameters
    ----------
    problem : Problem
        The equations.
    solver : Solver
        Method, tolerances and backend.
    parameters : array, shape (rows, n_parameters)
        Rows of parameters.
    arrays : sequence of array
        The arrays of a `Schedule`.

    Returns
    -------
    dict of int to str
        By the position of the subject.
    """
    solve = Solve(problem, solver, parameters, arrays, sensitivities=True)
    solve.run()
    return {
        subject: _WORDS[int(why)].format(
            since=since, until=until, steps=solver.max_steps, backend=solver.backend
        )
        for subject, (why, since, until) in enumerate(solve.failures.tolist())
        if why
    }
