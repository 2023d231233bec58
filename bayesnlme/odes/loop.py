"""The loop over subjects as one function of machine code, the same for every problem.

It is compiled once and kept on disk, and calls the generated functions of a problem by their
addresses. So a new model costs the compilation of its own equations alone.
"""

import ctypes
import threading
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np

from bayesnlme._types import Floats
from bayesnlme._types import Integers as IntegerArray
from bayesnlme.errors import ModelError
from bayesnlme.odes import places as at
from bayesnlme.odes.addresses import integers, reals, shift
from bayesnlme.odes.agenda import RECORDS
from bayesnlme.odes.checks import SUBJECTS, fits
from bayesnlme.odes.code import FUNCTIONS, Code, modelled_rates
from bayesnlme.odes.compiler import compile_to_ir
from bayesnlme.odes.digest import solver_sources
from bayesnlme.odes.doses import ROW, STEADY_STATE
from bayesnlme.odes.events import OBSERVATIONS
from bayesnlme.odes.linking import link
from bayesnlme.odes.machine import Integers, Reals, routine
from bayesnlme.odes.problem import DOSING
from bayesnlme.odes.schedule import Schedule
from bayesnlme.odes.sense import PAIR_OFFSETS, START_ROW
from bayesnlme.odes.solver import Solver
from bayesnlme.odes.walk import START, drive, walk

_N_ARRAYS = len(Schedule._fields)
(
    TABLE,  # addresses: of the generated functions, of what `describe` says, of the results
    PROBLEM,
    TOLERANCES,
    PARAMETERS,
    PREDICTION,
    SENSITIVITY,
    N_PROBLEM,  # how many integers describe the problem
    N_ROWS,  # shape of the parameters
    N_VALUES,
    FIRST,  # subjects to solve for
    LAST,
    COMMAND,  # of an integrator outside, and the answer to it; 0 to solve all
    HEADER,  # addresses and lengths of the memory to work in
    N_HEADER,
    INTEGERS,
    N_INTEGERS,
    WORK,
    N_REALS,
    CALLS,  # how often the right-hand side was evaluated
    TAKEN,  # how many steps were taken
    FAILURES,  # address of what is to be said of subjects that fail, 0 where nobody asks
    SCHEDULE,  # the addresses of the arrays of a schedule, then their lengths
) = range(22)
N_ARGUMENTS = SCHEDULE + 2 * _N_ARRAYS
MISFIT = "The arrays of the schedule do not fit the parameters or each other."
_SWAPPED = (FUNCTIONS.index("rhs"), FUNCTIONS.index("rhs_transition"))


def describe(code: Code, solver: Solver) -> tuple[IntegerArray, Floats]:
    """Return what the loop needs to know of a problem: integers, by `places`, and tolerances."""
    problem, sensitivities = code.problem, code.sensitivities
    size = range(len(problem.states))
    linear, reachable = problem.linear, problem.reachable
    apart = {problem.states.index(name) for name in problem.integrals}
    method = _method(solver, linear=linear, formula=code.n_nodes > 0)
    arrays = (
        [each for pair in code.transition for each in pair],
        list(modelled_rates(problem)),
        [block.size for block in code.blocks],
        [int(i in reachable[source] and i not in apart) for source in size for i in size],
    )
    values = [
        len(size),
        len(problem.parameters),
        code.n_constants,
        len(problem.outputs),
        int(sensitivities),
        len(code.plain),
        len(code.transition),
        len(arrays[1]),
        len(code.blocks),
        code.n_nodes,
        at.METHODS.index(method),
        int(solver.method == "auto"),
        int(linear),
        int(bool(code.lines["drift"][1])),
        int(any(each is not None for name in DOSING for each in getattr(problem, name))),
        solver.max_steps,
    ]
    place = at.N_FIELDS
    for each in arrays:
        values.append(place)
        place += len(each)
    numbers = [*values, *(x for each in arrays for x in each)]
    return np.array(numbers, dtype=np.int64), np.array([solver.rtol, solver.atol])


def _method(solver: Solver, *, linear: bool, formula: bool) -> str:
    """Return the method by name; `formula` says whether the eigenvalues have one."""
    if solver.method == "auto":
        exact = "closed_form" if formula else "expm"
        return exact if linear else "tsit5"
    if solver.method in {"closed_form", "expm"} and not linear:
        raise ModelError(
            f"Solver: method={solver.method!r} is for linear equations, which these are not. "
            "Use 'auto'."
        )
    if solver.method == "closed_form" and not formula:
        raise ModelError(
            "Solver: method='closed_form' needs a formula for the eigenvalues, and there is none "
            "for these equations, or they are too many. Use 'expm' or 'auto'."
        )
    return solver.method


def header_size(described: IntegerArray) -> int:
    """Return the length of the header of a solve."""
    n_states, n_parameters, n_rates = described[[at.N_STATES, at.N_PARAMETERS, at.N_RATES]]
    extra = len(described) - at.N_OF_PROBLEM
    return int(at.N_FIELDS + extra + n_states * (n_parameters + n_states + n_rates))


def arguments(
    code: Code, solver: Solver, vectors: Sequence[Any], shape: Sequence[int]
) -> tuple[IntegerArray, tuple[Any, ...]]:
    """Return what the loop is given to solve for all subjects, and what it points to.

    The caller keeps what it points to, and adds the addresses of the parameters, of the results
    and of the memory to work in.

    Parameters
    ----------
    code : Code
        The functions of the problem.
    solver : Solver
        Method and tolerances.
    vectors : sequence of array
        The arrays of a `Schedule`, contiguous.
    shape : (int, int)
        Shape of the parameters.
    """
    described, tolerances = describe(code, solver)
    given = np.zeros(N_ARGUMENTS, np.int64)
    given[TABLE], given[PROBLEM] = code.compile().table, described.ctypes.data
    given[N_PROBLEM], given[TOLERANCES] = len(described), tolerances.ctypes.data
    given[N_ROWS], given[N_VALUES] = shape
    given[LAST], given[N_HEADER] = len(vectors[SUBJECTS]), header_size(described)
    given[SCHEDULE : SCHEDULE + _N_ARRAYS] = [each.ctypes.data for each in vectors]
    given[SCHEDULE + _N_ARRAYS :] = [each.size for each in vectors]
    return given, (code, described, tolerances, *vectors)


@routine
def enter(given: Integers) -> int:
    """Solve for some subjects; all arguments stand, as integers or addresses, in one array.

    The first call fills the header and says how much memory the second one needs. Return 0, or 1
    where the arrays do not fit each other, before anything is read by them.
    """
    if given[N_REALS] == 0:
        return _measure(given)
    s, w = integers(given[INTEGERS]), reals(given[WORK])
    if given[COMMAND] <= START:
        _set_up(given, w, s)
    if given[COMMAND] == 0:
        for carried in range(2):
            _choose_functions(s, integers(given[TABLE]), carried)
            _queue(s, carried)
            walk(w, s)
        given[CALLS] = s[at.CALLS]
        given[TAKEN] = s[at.TAKEN]
    else:
        given[COMMAND] = int(drive(w, s, given[COMMAND]))
    return 0


@routine
def _set_up(given: Integers, w: Reals, s: Integers) -> None:
    """Fill the memory to work in, which is zero."""
    header = integers(given[HEADER])
    for field in range(given[N_HEADER]):
        s[field] = header[field]
    for place in range(2):
        w[place] = reals(given[TOLERANCES])[place]
    for lane in range(at.W):
        w[s[at.ONE] + lane] = 1.0
    for subject in range(s[at.START_AT], s[at.STOP]):
        s[s[at.QUEUE] + subject - s[at.START_AT]] = subject


@routine
def _queue(s: Integers, carried: int) -> None:
    """Take up the subjects that need the transition matrix, or those that do not.

    They are ordered by the number of their records, to a factor of two, the longest first, so no
    lane begins a long one when the others are about to finish.
    """
    records, queue = integers(s[RECORDS]), shift(s, s[at.QUEUE])
    count, above, least = 0, 2**62, s[at.N_EVENTS]
    while above > 0:
        for subject in range(s[at.START_AT], s[at.LAST_ONE]):
            size = records[subject + 1] - records[subject]
            if least <= size < above and _needs_transition(s, subject) == carried:
                queue[count] = subject
                count += 1
        above = least
        least = least // 2
    s[at.NEXT] = s[at.START_AT]
    s[at.STOP] = s[at.START_AT] + count


@routine
def _needs_transition(s: Integers, subject: int) -> int:
    """Say whether a subject has a steady state or more than one row of parameters."""
    records, seen = integers(s[RECORDS]), integers(s[OBSERVATIONS])
    pairs, needs = integers(s[PAIR_OFFSETS]), 0
    for record in range(records[subject], records[subject + 1]):
        if integers(s[ROW])[record] != integers(s[START_ROW])[subject] or (
            integers(s[STEADY_STATE])[record] != 0
        ):
            needs = 1
    for j in range(seen[subject], seen[subject + 1]):
        if pairs[j + 1] - pairs[j] != 1:
            needs = 1
    return needs


@routine
def _measure(given: Integers) -> int:
    schedule, problem = shift(given, SCHEDULE), integers(given[PROBLEM])
    if not fits(
        schedule, shift(given, SCHEDULE + _N_ARRAYS), given[N_ROWS], given[N_VALUES], problem
    ):
        return 1
    s, extra = integers(given[HEADER]), given[N_PROBLEM] - at.N_OF_PROBLEM
    for field in range(at.N_OF_PROBLEM):
        s[field] = problem[field]
    for place in range(extra):
        s[at.N_FIELDS + place] = problem[at.N_OF_PROBLEM + place]
    for i in range(_N_ARRAYS):
        s[at.SCHEDULE + i] = schedule[i]
    s[at.PARAMETERS] = given[PARAMETERS]
    s[at.PREDICTION] = given[PREDICTION]
    s[at.SENSITIVITY] = given[SENSITIVITY]
    s[at.FAILURES] = given[FAILURES]
    s[at.NEXT] = given[FIRST]
    s[at.STOP] = given[LAST]
    s[at.LAST_ONE] = given[LAST]
    s[at.N_COLUMNS] = s[at.N_PARAMETERS] + s[at.N_STATES] + s[at.N_RATES]
    s[at.INDEX] = at.N_FIELDS + extra
    s[at.START_AT] = given[FIRST]
    _choose_functions(s, integers(given[TABLE]), _survey(s))
    n_integers, n_reals = at.lay_out(s)
    given[N_INTEGERS] = n_integers
    given[N_REALS] = n_reals
    return 0


@routine
def _survey(s: Integers) -> int:
    """Find how many events and rows a subject has at most; say if any needs the transition."""
    records, starts = integers(s[RECORDS]), integers(s[START_ROW])
    most, rows, needs = 0, 1, 0
    for i in range(s[at.NEXT], s[at.STOP]):
        most = max(most, records[i + 1] - records[i])
        needs = max(needs, _needs_transition(s, i))
        for record in range(records[i], records[i + 1]):
            rows = max(rows, integers(s[ROW])[record] - starts[i] + 1)
    s[at.N_EVENTS] = 2 * most + 2
    s[at.N_ROWS] = rows
    return needs


@routine
def _choose_functions(s: Integers, table: Integers, carried: int) -> None:
    """Take the functions with or without columns for the transition matrix, and index these."""
    plain, transition = _SWAPPED
    s[at.TRANSITION] = carried
    for i in range(plain):
        s[at.F_CONSTANTS + i] = table[i]
    for i in range(3):
        s[at.F_RHS + i] = table[(transition if s[at.TRANSITION] else plain) + i]
    count = s[at.N_TRANSITION] if s[at.TRANSITION] else s[at.N_PLAIN]
    s[at.N] = s[at.N_STATES] + count
    for place in range(s[at.N_STATES] * s[at.N_COLUMNS]):
        s[s[at.INDEX] + place] = -1
    for q in range(count):
        i, k = s[s[at.PAIRS] + 2 * q], s[s[at.PAIRS] + 2 * q + 1]
        s[s[at.INDEX] + i * s[at.N_COLUMNS] + k] = q


_ENTRY: dict[str, Any] = {}
_LOCK = threading.Lock()


def entry() -> tuple[str, int]:
    """Compile the loop over subjects, or load it from the cache; return its symbol and address.

    The digest of the sources is part of the symbol.
    """
    symbol = f"bayesnlme_solve_{solver_sources()[:32]}"
    with _LOCK:
        if symbol not in _ENTRY:
            _ENTRY[symbol] = link(symbol, partial(compile_to_ir, enter, name=symbol))
    return symbol, _ENTRY[symbol].get_function_address(symbol)


@lru_cache(maxsize=1)
def function() -> Any:
    """Return the loop as a function of Python; it takes the address of its arguments."""
    return ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)(entry()[1])


def measure(given: IntegerArray) -> None:
    """Let the loop fill its header, and say how much memory it needs.

    Raises
    ------
    ValueError
        If the arrays do not fit each other.
    """
    if function()(given.ctypes.data) != 0:
        raise ValueError(MISFIT)
