"""Solve the whole population: one compiled function from parameters to predictions.

For every subject, time is cut at dose starts, infusion stops and resets; no step crosses
one. Observations are read from the dense output. A solve that fails gives not-a-number for
all observations of its subject and never raises.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from bayesnlme.odes.agenda import Agenda, agenda_size, make_agenda, plan
from bayesnlme.odes.checks import OBSERVATIONS, PAIRS, RECORDS, SUBJECTS, schedule_check
from bayesnlme.odes.code import Code, generate
from bayesnlme.odes.compiling import njit
from bayesnlme.odes.memory import address, addresses, contiguous, keep, lengths, shift
from bayesnlme.odes.problem import Problem
from bayesnlme.odes.schedule import Kind, Schedule
from bayesnlme.odes.solver import Solver
from bayesnlme.odes.tsit5 import Layout, Method, tsit5
from bayesnlme.odes.vector import WIDTH, padded, store

_RESET = int(Kind.RESET)


class Reading(NamedTuple):
    """Addresses where predictions and sensitivities go."""

    prediction: Any
    sensitivity: Any


@lru_cache(maxsize=64)
def population_kernel(
    problem: Problem, solver: Solver, *, sensitivities: bool
) -> Callable[..., Any]:
    """Return the solve of a population as a Python function that numba can compile.

    Its arguments are the parameters, shape ``(rows, n_parameters)``, and the arrays of a
    `Schedule`. It returns the predictions, shape ``(n_observations,)``, and with
    sensitivities also their derivatives by the parameters, shape ``(n_pairs, n_parameters)``.
    """
    code = generate(problem, sensitivities=sensitivities)
    layout, rest = _layout(code)
    method = tsit5(code.rhs, layout, code.size, solver.rtol)
    size = rest + method.size
    subject = _subject(code, layout, method, solver)
    n_states, n_parameters = len(problem.states), len(problem.parameters)
    check = schedule_check(n_states, n_parameters, len(problem.outputs))
    size_of_agenda = njit(agenda_size)

    def kernel(parameters: Any, *arrays: Any) -> Any:
        table, vectors = contiguous(parameters), contiguous(arrays)
        schedule, counts = addresses(Schedule(*vectors)), lengths(vectors)
        check(table.shape, schedule, counts)
        n_records = counts[RECORDS]
        numbers = np.ones(size + 2 * n_records)
        integers = np.empty(size_of_agenda(n_records, n_states), np.int64)
        prediction = np.empty(counts[OBSERVATIONS])
        sensitivity = np.empty((counts[PAIRS] if sensitivities else 0, n_parameters))
        w = address(numbers)
        agenda = make_agenda(shift(w, size), address(integers), n_records, n_states)
        reading = Reading(address(prediction), address(sensitivity))
        for i in range(counts[SUBJECTS]):
            subject(w, address(table), schedule, i, agenda, reading)
        keep((table, vectors, numbers, integers))
        if sensitivities:
            return prediction, sensitivity
        return prediction

    return kernel


def _layout(code: Code) -> tuple[Layout, int]:
    """Give every part its place in the workspace; return also where the method's begins."""
    n_readouts = len(code.problem.outputs) * (1 + len(code.problem.parameters))
    n_states = len(code.problem.states)
    sizes = (code.size, code.size, code.size, code.n_constants, n_states, n_readouts, 1, 1)
    starts = np.cumsum([0, *map(_room, sizes)]).tolist()
    return Layout(*starts), starts[-1]


def _room(size: int) -> int:
    """Whole vectors, and one more for constants written behind the parameters."""
    return padded(size) + WIDTH


def _subject(code: Code, layout: Layout, method: Method, solver: Solver) -> Any:
    """Solve one subject; a failed solve leaves not-a-number for all of its observations."""
    begin = _begin(code, layout, solver.atol)
    walk = _walk(code, layout, method, solver.max_steps)
    width = len(code.problem.parameters) if code.sensitivities else 0

    @njit
    def subject(
        w: Any, table: Any, schedule: Schedule, i: int, agenda: Agenda, reading: Reading
    ) -> None:
        begin(w, table, schedule, i)
        if walk(w, schedule, i, agenda, reading):
            return
        for j in range(schedule.observation_offsets[i], schedule.observation_offsets[i + 1]):
            reading.prediction[j] = np.nan
            for k in range(width):
                reading.sensitivity[width * j + k] = np.nan

    return subject


def _begin(code: Code, layout: Layout, atol: float) -> Any:
    """Write constants, initial state, rates and absolute tolerances of one subject.

    The tolerance of a state goes with its initial value, where that is not zero by
    construction, and with the largest dose into it, or into a state that feeds it where it
    starts at zero. That of a sensitivity goes with the tolerance of its state by the size of
    the parameter: it is the tolerance of a derivative by the logarithm of the parameter.
    """
    problem = code.problem
    n_states, n_parameters = len(problem.states), len(problem.parameters)
    scaled_by = np.zeros((n_states, n_states), np.bool_)
    for source, reached in enumerate(problem.reachable):
        for target in reached:
            scaled_by[source, target] = target == source or problem.initial[target] == 0
    pairs = np.array(code.sensitive, np.int64).reshape(-1, 2)
    n_pairs = len(pairs)
    constants, initial = code.constants, code.initial

    @njit
    def begin(w: Any, table: Any, schedule: Schedule, subject: int) -> None:
        c, tolerance = shift(w, layout.constants), shift(w, layout.tolerance)
        row = shift(table, n_parameters * schedule.start_row[subject])
        for k in range(n_parameters):
            c[k] = row[k]
        store(shift(c, n_parameters), constants(c))
        store(shift(w, layout.state), initial(c))
        w[layout.clock] = schedule.start_time[subject]
        w[layout.steps] = 0.0
        for i in range(n_states):
            w[layout.rates + i] = 0.0
            scale = abs(w[layout.state + i])
            records = schedule.record_offsets
            for record in range(records[subject], records[subject + 1]):
                if scaled_by[schedule.record_compartment[record], i]:
                    scale = max(scale, schedule.record_amount[record])
            tolerance[i] = atol * scale if scale > 0.0 else atol
        for m in range(n_pairs):
            size, scale = abs(c[pairs[m, 1]]), tolerance[pairs[m, 0]]
            tolerance[n_states + m] = scale / size if size > 0.0 else scale

    return begin


def _walk(code: Code, layout: Layout, method: Method, max_steps: int) -> Any:
    """Walk through the events of one subject, reading its observations on the way.

    An observation at the time of an event sees its effect if the event stands before it in
    the table.
    """
    n_states = len(code.problem.states)
    observe = _observe(code, layout)
    advance = _advance(layout, method, observe, max_steps)
    happen = _happen(code, layout)

    @njit
    def walk(w: Any, s: Schedule, i: int, agenda: Agenda, reading: Reading) -> bool:
        count = plan(s, i, n_states, agenda)
        j, stop = s.observation_offsets[i], s.observation_offsets[i + 1]
        for event in range(count + 1):
            last, end = j, math.inf
            if event < count:
                end, order = agenda.time[event], agenda.order[event]
                while last < stop and (
                    s.observation_time[last] < end
                    or (s.observation_time[last] == end and s.observation_order[last] < order)
                ):
                    last += 1
            else:
                last, end = stop, s.observation_time[stop - 1] if j < stop else -math.inf
            if end > w[layout.clock]:
                if not advance(w, end, s, j, last, reading):
                    return False
            else:
                for each in range(j, last):
                    observe(w, layout.state, s, each, reading)
            j = last
            if j == stop:
                return True
            happen(w, s, agenda, event)
        return True

    return walk


def _happen(code: Code, layout: Layout) -> Any:
    """Change state and rates as a record, or the stop of its infusion, demands."""
    n_states, initial = len(code.problem.states), code.initial

    @njit
    def happen(w: Any, schedule: Schedule, agenda: Agenda, event: int) -> None:
        record = agenda.record[event]
        kind, state = schedule.record_kind[record], schedule.record_compartment[record]
        if agenda.stops[event] >= 0:
            step = 0
            if agenda.stops[event] == 0:
                agenda.began[record] = agenda.resets[0]
                step = 1
            elif agenda.began[record] == agenda.resets[0]:
                step = -1
            agenda.running[state] += step
            w[layout.rates + state] += step * schedule.record_rate[record]
            if agenda.running[state] == 0:
                w[layout.rates + state] = 0.0
        elif kind == _RESET:
            agenda.resets[0] += 1
            store(shift(w, layout.state), initial(shift(w, layout.constants)))
            for i in range(n_states):
                agenda.running[i] = 0
                w[layout.rates + i] = 0.0
        else:
            w[layout.state + state] += schedule.record_amount[record]

    return happen


def _observe(code: Code, layout: Layout) -> Any:
    """Write the prediction of one observation, and its derivatives."""
    readouts = code.readouts
    width = len(code.problem.parameters) if code.sensitivities else 0

    @njit
    def observe(w: Any, origin: int, s: Schedule, j: int, reading: Reading) -> None:
        t, c = s.observation_time[j], shift(w, layout.constants)
        store(shift(w, layout.readouts), readouts(t, shift(w, origin), c))
        first = layout.readouts + s.observation_output[j] * (1 + width)
        reading.prediction[j] = w[first]
        for k in range(width):
            reading.sensitivity[width * j + k] = w[first + 1 + k]

    return observe


def _advance(layout: Layout, method: Method, observe: Any, max_steps: int) -> Any:
    """Integrate over one smooth stretch with the step control of Hairer's DOPRI5."""
    trial, dense = layout.method, layout.dense
    start, attempt, accept = method.start, method.attempt, method.accept
    interpolate = method.interpolate
    damping = 0.2 / method.order
    exponent = 1.0 / method.order - 0.75 * damping
    floor = math.log(1e-4)

    @njit
    def advance(w: Any, end: float, s: Schedule, j: int, last: int, reading: Reading) -> bool:
        t = w[layout.clock]
        h = start(w, t, end - t)
        memory, growth = damping * floor, 10.0
        while j < last and s.observation_time[j] <= t:
            observe(w, layout.state, s, j, reading)
            j += 1
        while t < end:
            w[layout.steps] += 1.0
            if w[layout.steps] > max_steps or not t + h > t:
                return False
            final = t + 1.01 * h >= end
            if final:
                h = end - t
            error = attempt(w, t, h)
            effort = 0.5 * math.log(error)
            factor = 0.9 * math.exp(memory - exponent * effort)
            if error <= 1.0:
                upto = end if final else t + h
                while j < last and s.observation_time[j] <= upto:
                    theta = (s.observation_time[j] - t) / h
                    if theta < 1.0:
                        interpolate(w, theta, h)
                    observe(w, dense if theta < 1.0 else trial, s, j, reading)
                    j += 1
                accept(w)
                t = upto
                h *= min(growth, max(0.2, factor))
                memory, growth = damping * max(effort, floor), 10.0
            else:
                h *= max(0.2, min(1.0, factor)) if error < math.inf else 0.1
                growth = 1.0
        w[layout.clock] = end
        return True

    return advance
