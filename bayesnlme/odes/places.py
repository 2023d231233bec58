"""Where things stand in the workspace of a solve.

A solve works on two addresses: integers ``s``, which begin with the fields named here, and real
numbers ``w``. A field holds a number, an address, or the place where an array begins: lane-wide
blocks of ``w`` are laid out ``[component][lane]``, integers of lanes one beside the other.
"""

from bayesnlme.odes.emit import WIDTH
from bayesnlme.odes.machine import Integers, routine
from bayesnlme.odes.schedule import Schedule

W = WIDTH

_count = 0


def _fields(number: int) -> range:
    global _count
    first, _count = _count, _count + number
    return range(first, _count)


# of the problem and how to solve it: what `describe` in loop.py lists, in this order
(
    N_STATES,
    N_PARAMETERS,
    N_CONSTANTS,
    N_OUTPUTS,
    SENSITIVE,  # whether derivatives by the parameters are wanted
    N_PLAIN,  # packed columns without and with the transition matrix
    N_TRANSITION,
    N_RATES,  # states with infusions whose rate depends on parameters
    N_BLOCKS,  # of eigenvalues
    N_NODES,  # of the closed form, 0 without one
    METHOD,  # what a stretch begins with
    SWITCHES,  # whether the method may change
    LINEAR,
    TIMED,  # whether the derivatives depend on time directly
    DOSED,  # whether the model says anything of lag, bioavailability, duration or rate
    MAX_STEPS,
    PAIRS,  # places of arrays: (state, column) of every packed column
    RATED,  # states of the modelled rates
    SIZES,  # of the blocks of eigenvalues
    SCALED_BY,  # whether a dose into one state reaches another
) = _fields(20)
N_OF_PROBLEM = _count

RTOL, ATOL = 0, 1
"""Places of the tolerances among the real numbers of a problem."""

# generated functions in force, in the order of `bayesnlme.odes.code.FUNCTIONS`
F_CONSTANTS, F_INITIAL, F_READOUTS, F_DOSING, F_SPECTRUM, F_JACOBIAN = _fields(6)
F_DIFFERENCES, F_SQUARE, F_RHS, F_CURVE, F_DRIFT = _fields(5)

# of this solve
(
    PARAMETERS,  # addresses: parameters, results
    PREDICTION,
    SENSITIVITY,
    FAILURES,  # likewise: why a subject failed, from when and until when; 0 where nobody asks
    TRANSITION,  # whether columns for the transition matrix are carried along
    N,  # states and packed columns
    N_COLUMNS,
    INDEX,  # place of an array: packed column of (state, column), -1 where there is none
    NEXT,  # subject to begin next, and where to stop
    STOP,
    START_AT,
    LAST_ONE,
    QUEUE,  # place of an array: subjects in the order they are begun
    N_EVENTS,  # most events of a subject
    N_ROWS,  # most rows of a subject
    CALLS,  # of the right-hand side, each for all lanes
    TAKEN,  # steps of all subjects, refused ones included
    NEWS,  # whether a lane has begun or ended a stretch, or changes its method
    BUSY,  # lanes with a subject, as bits
) = _fields(19)
USERS = _fields(4).start
"""Lanes of every method, as bits."""

SCHEDULE = _fields(len(Schedule._fields)).start
"""The addresses of the arrays of a schedule."""

ARRAY = {name: SCHEDULE + i for i, name in enumerate(Schedule._fields)}
"""Where the address of each stands."""

# places of integers, one for each lane
(
    SUBJECT,  # -1: idle
    ROW,  # of the parameters, counted from the subject's first
    EVENTS,  # on the agenda
    EVENT,  # next on the agenda
    OBSERVATION,  # next
    LAST,  # observations of this stretch end here
    FLOW,  # method in use
    RESTART,  # whether a stretch begins
    MODE,  # walking through the agenda, or seeking a steady state
    PHASE,  # of a cycle of a steady state
    TURNS,  # cycles so far
    SOUGHT,  # record whose steady state is sought
) = _fields(12)
# places of integers, an array for each lane
RUNNING, WHAT, ORDER, RECORD, REPEAT, PIVOTS = _fields(6)

# places of lane-wide numbers
(
    T,
    H,
    END,
    STEP,  # H in the lanes that take part, else 0
    ERROR,
    FACTOR,  # of the next step: as wanted, and within its bounds
    STRETCH,
    MEMORY,  # of the last error, and of this one
    MEMORY_NEXT,
    GROWTH,
    SIGHT,  # the next observation of the stretch, or its end
    STEPS,
    STIFF,  # signs of stiffness less those against it, or the reverse
    MASK,
    AT,  # times to evaluate at
    STRAIN,  # above 1 where the other method would do better
    BOUND,  # of the rates of all modes, for linear flows
    INVERSE,  # 1/STEP
    ONE,
    WEIGHTS,
) = _fields(20)
# places of blocks
(
    STATE,  # this and the next change places when a step is accepted
    TRIAL,
    SLOPES,
    STAGES,
    SCRATCH,
    DENSE,
    LATE,  # stage six of tsit5
    ZERO,
    TOLERANCE,
    CONSTANTS,
    OTHER,  # parameters of another row
    RATES,
    READ,
    DOSE,
    MATRIX,
    FACTORS,
    VECTORS,
    NODES,
    SCALED,
    TABLE,
) = _fields(20)
# places of numbers, an array for each lane
(
    TIME,  # of events
    SCALE,  # of states
    SENSE,  # sensitivities of all rows, where columns for the transition matrix are carried
    SENSE_RATE,  # derivatives of the infusion rates, by row
    GRADIENT,  # of lag, amount, duration and rate of one dose
    GUESS,  # steady state: state before the dose
    CYCLE,  # its sensitivity
    CYCLE_RATE,
    CARRY,  # transition matrix over the cycle
    KEPT,  # state and rates to which a steady state is added
    SOLVE,  # a small linear system
) = _fields(11)

N_FIELDS = _count

CLOSED_FORM, EXPM, TSIT5, RODAS5P = range(4)
METHODS = ("closed_form", "expm", "tsit5", "rodas5p")
WALK, SEEK, SETTLE = range(3)
START, FINISH, STEADY, RESET, SWITCH, CANCELLED = range(6)
"""What an event does."""


@routine
def lay_out(s: Integers) -> tuple[int, int]:  # noqa: PLR0915  one for each array
    """Give every array its place; return how many integers and real numbers that takes."""
    n, m, size = s[N_STATES], s[N_PARAMETERS], s[N]
    events, rows, columns = s[N_EVENTS], s[N_ROWS], s[N_COLUMNS]
    outs = s[N_OUTPUTS] * (1 + s[SENSITIVE] * (n + m))
    place = s[INDEX] + n * columns
    for field in range(SUBJECT, SOUGHT + 1):
        place = _put(s, field, 1, place)
    place = _put(s, RUNNING, n, place)
    place = _put(s, WHAT, events, place)
    place = _put(s, ORDER, events, place)
    place = _put(s, RECORD, events, place)
    place = _put(s, REPEAT, events, place)
    s[QUEUE] = _put(s, PIVOTS, n, place)
    integers_needed = s[QUEUE] + s[LAST_ONE] - s[START_AT]
    place = W
    for field in range(T, ONE + 1):
        place = _put(s, field, 1, place)
    place = _put(s, WEIGHTS, 16, place)
    place = _put(s, STATE, size, place)
    place = _put(s, TRIAL, size, place)
    place = _put(s, SLOPES, 7 * size, place)
    place = _put(s, STAGES, 8 * size, place)
    for field in range(SCRATCH, TOLERANCE + 1):
        place = _put(s, field, size, place)
    place = _put(s, CONSTANTS, s[N_CONSTANTS], place)
    place = _put(s, OTHER, m, place)
    place = _put(s, RATES, size, place)
    place = _put(s, READ, outs, place)
    place = _put(s, DOSE, 4 * n * (1 + m), place)
    place = _put(s, MATRIX, n * n, place)
    place = _put(s, FACTORS, n * n, place)
    place = _put(s, VECTORS, (s[N_NODES] + 2) * size, place)
    place = _put(s, NODES, s[N_NODES] + 1, place)
    place = _put(s, SCALED, s[N_NODES] + 2, place)
    place = _put(s, TABLE, max(s[N_NODES] * (s[N_NODES] + 1), 3 * n), place)
    place = _put(s, TIME, events, place)
    place = _put(s, SCALE, n, place)
    place = _put(s, SENSE, rows * n * m, place)
    place = _put(s, SENSE_RATE, rows * n * m, place)
    place = _put(s, GRADIENT, 4 * (1 + m), place)
    place = _put(s, GUESS, 2 * n, place)
    place = _put(s, CYCLE, 2 * n * m, place)
    place = _put(s, CYCLE_RATE, n * m, place)
    place = _put(s, CARRY, 2 * n * n, place)
    place = _put(s, KEPT, 2 * n, place)
    place = _put(s, SOLVE, n * (2 * n + m + 1), place)
    return integers_needed, place


@routine
def _put(s: Integers, field: int, width: int, place: int) -> int:
    """Let an array of `width` numbers for each lane begin at a place; return where it ends."""
    s[field] = place
    return place + width * W
