"""One subject, plainly: the meaning of every record, at full accuracy, derivatives included.

A table is a list of rows in the order of the data set. Every row has a ``kind`` and a
``time``; rows at the same time happen in the order of the table. The kinds are

``observe`` (output), ``reset``, ``row`` (row: the row of parameters in force from here on),
``bolus`` (compartment, amount), ``infusion`` (compartment, amount, rate; bioavailability
scales the duration), ``duration`` (compartment, amount: the model gives the duration),
``rate`` (compartment, amount: the model gives the rate). A dose may have an ``interval`` and
``steady_state`` 1 or 2; an infusion of amount 0 and interval 0 at steady state has been going
on for ever, and ends at its record. The lag, bioavailability, duration and rate of a dose are
those of its ``row``, which is the one in force if not given.

Derivatives are complex steps through everything: the times of events are complex numbers,
ordered by their real parts.
"""

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np

from tests.reference.equations import Array, Model, System
from tests.reference.flows import STEP, Collocation, Flow, Values, relative, sizes, solve_complex

type Row = Mapping[str, Any]

SETTLING_CYCLES = 12


@dataclass(frozen=True, kw_only=True, eq=False)
class Prediction:
    """Predictions, shape (observations,), and derivatives, (observations, rows, parameters)."""

    value: Array
    gradient: Array


@dataclass(kw_only=True, eq=False)
class Infusion:
    """A constant rate into one state, from a time to a time, shape (directions,)."""

    state: int
    rate: Array
    stop: Array


@dataclass(kw_only=True, eq=False)
class Dose:
    """A dose with its parameters applied; `duration` is None for a bolus."""

    state: int
    amount: Array
    lag: Array
    rate: Array | None
    duration: Array | None


def simulate(
    model: Model,
    table: Sequence[Row],
    parameters: Sequence[Mapping[str, float]],
    *,
    flow: Flow | None = None,
    gradient: bool = True,
) -> Prediction:
    """Predict every observation of a table, with derivatives by every parameter of every row.

    Without `gradient` the derivatives have no rows.
    """
    steps = _steps(model, parameters if gradient else [])
    subject = Subject(System(model), parameters, steps, flow or Collocation())
    seen = subject.run(table)
    value = np.array([each[0].real for each in seen], np.float64)
    slopes = np.array([each[1:].imag / STEP for each in seen]) / steps
    shape = (len(seen), -1, len(model.parameters))
    return Prediction(value=value, gradient=slopes.astype(np.float64).reshape(shape))


def _steps(model: Model, parameters: Sequence[Mapping[str, float]]) -> Array:
    """Perturbations in units of `STEP`: the size of each parameter."""
    flat = [abs(row[name]) or 1.0 for row in parameters for name in model.parameters]
    return np.array(flat, np.longdouble)


@dataclass(kw_only=True, eq=False)
class _Agenda:
    """What comes next, by the real part of its time and its place in the table."""

    items: list[Any] = field(default_factory=list)
    number: Any = field(default_factory=count)

    def add(self, time: Array, order: int, action: str, content: Any) -> None:
        entry = (time[0].real, order, next(self.number), time, action, content)
        heapq.heappush(self.items, entry)

    def drop(self, *actions: str) -> None:
        self.items = [each for each in self.items if each[4] not in actions]
        heapq.heapify(self.items)


class Subject:
    """The state of one subject while time goes on."""

    def __init__(
        self, system: System, parameters: Sequence[Mapping[str, float]], steps: Array, flow: Flow
    ) -> None:
        self.system = system
        self.flow = flow
        names = system.model.parameters
        values = np.array([row[name] for row in parameters for name in names], np.clongdouble)
        directions = np.repeat(values[:, None], len(steps) + 1, axis=1)
        directions[:, 1:] += 1j * STEP * np.diag(steps) if len(steps) else 0
        self.rows = directions.reshape(len(parameters), len(names), -1)
        self.n_directions = len(steps) + 1

    def run(self, table: Sequence[Row]) -> list[Array]:
        """Go through the table; return what each observation sees, shape (directions,)."""
        self.agenda = _Agenda()
        self.infusions: list[Infusion] = []
        self.seen: list[Array] = []
        for order, row in enumerate(table):
            self.agenda.add(self._real(row["time"]), order, row["kind"], row)
        self.time = self._real(min(row["time"] for row in table))
        self.p = self.system.names(self.rows[0])
        self.y = self.system.start(self.p, self._real(0))
        for each in self.system.model.breaks:
            self.agenda.add(self._real(each), -1, "break", None)
        while self.agenda.items:
            _, order, _, time, action, content = heapq.heappop(self.agenda.items)
            if time[0].real < self.time[0].real:
                continue
            self.y = self.flow(self.system, self.time, time, self.y, self.p, self._inputs())
            self.time = time
            self._act(action, content, order)
        return self.seen

    def _act(self, action: str, content: Any, order: int) -> None:
        match action:
            case "observe":
                self.seen.append(self.system.output(content["output"], self.time, self.y, self.p))
            case "row":
                self.p = self.system.names(self.rows[content["row"]])
            case "reset":
                self._clear()
                self.y = self.system.start(self.p, self.time)
            case "enter":
                self._enter(content, order)
            case "stop":
                self.infusions.remove(content)
            case "break":
                pass
            case kind:
                self._dose(kind, content, order)

    def _clear(self) -> None:
        """End infusions and drop the doses that their lag holds back."""
        self.infusions = []
        self.agenda.drop("enter", "stop")

    def _dose(self, kind: str, row: Row, order: int) -> None:
        steady, interval = row.get("steady_state", 0), row.get("interval", 0.0)
        if steady and not interval:
            self._constant(row)
            return
        dose = self._read(kind, row)
        skipped = 0
        if steady:
            skipped = math.floor(dose.lag[0].real / interval)
            self._steady(dose, interval, skipped, order, add=steady == 2)
        for k in range(skipped, -1, -1):
            self.agenda.add(self.time + dose.lag - k * interval, order, "enter", dose)

    def _read(self, kind: str, row: Row) -> Dose:
        """Apply lag, bioavailability, duration and rate of the dose's row of parameters."""
        state, amount = row["compartment"], np.longdouble(row["amount"])
        p = self.system.names(self.rows[row["row"]]) if "row" in row else self.p

        def modelled(word: str, default: float) -> Array:
            return self.system.dosing(word, state, p, default) + self._real(0)

        share, lag = modelled("bioavailability", 1), modelled("lag", 0)
        match kind:
            case "bolus":
                rate, duration = None, None
            case "infusion":
                rate = self._real(row["rate"])
                duration = share * amount / rate
            case "duration":
                duration = modelled("duration", math.nan)
                rate = share * amount / duration
            case "rate":
                rate = modelled("rate", math.nan)
                duration = share * amount / rate
        return Dose(
            state=self.system.states.index(state),
            amount=share * amount,
            lag=lag,
            rate=rate,
            duration=duration,
        )

    def _enter(self, dose: Dose, order: int) -> None:
        if dose.duration is None:
            self.y = self.y.copy()
            self.y[dose.state] += dose.amount
            return
        self._infuse(
            Infusion(state=dose.state, rate=dose.rate, stop=self.time + dose.duration), order
        )

    def _infuse(self, infusion: Infusion, order: int) -> None:
        self.infusions.append(infusion)
        self.agenda.add(infusion.stop, order, "stop", infusion)

    def _inputs(self) -> Array:
        return _rates(self.infusions, self.y)

    def _constant(self, row: Row) -> None:
        """Set the steady state of an infusion that has gone on for ever and ends now."""
        state = self.system.states.index(row["compartment"])
        rates = np.zeros_like(self.y)
        rates[state] = row["rate"]

        def change(y: Array, p: Values, which: slice) -> Array:
            return self.system.derivative(self.time[which], y, p) + rates[:, which]

        steady = self._root(change, self.system.start(self.p, self.time))
        self._settle(steady, add=row["steady_state"] == 2)

    def _steady(self, dose: Dose, interval: float, skipped: int, order: int, *, add: bool) -> None:
        """Set the steady state of a dose given every `interval`, at its phase now."""
        last = self.time + dose.lag - (skipped + 1) * interval

        def change(y: Array, p: Values, which: slice) -> Array:
            start = last[which]
            return self._cycle(_part(dose, which), interval, y, p, start - interval, start)[0] - y

        y = self.system.start(self.p, self.time)
        everything = slice(None)
        for _ in range(SETTLING_CYCLES):
            y = y + change(y, self.p, everything)
        before = self._root(change, y)
        steady, running = self._cycle(dose, interval, before, self.p, last, self.time)
        self._settle(steady, add=add)
        for each in running:
            self._infuse(each, order)

    def _settle(self, steady: Array, *, add: bool) -> None:
        if add:
            self.y = self.y + steady - self.system.start(self.p, self.time)
        else:
            self._clear()
            self.y = steady

    def _cycle(
        self, dose: Dose, interval: float, y: Array, p: Values, start: Array, end: Array
    ) -> tuple[Array, list[Infusion]]:
        """Give a dose at `start`, after many before it, and go on to `end`, within the interval.

        Returns the state and the infusions that still run.
        """
        running = []
        if dose.duration is None:
            y = y.copy()
            y[dose.state] += dose.amount
        else:
            longest = math.ceil(dose.duration[0].real / interval)
            stops = [start + dose.duration - k * interval for k in range(longest + 1)]
            running = [
                Infusion(state=dose.state, rate=dose.rate, stop=stop)
                for stop in stops
                if stop[0].real > start[0].real
            ]
        for each in sorted(running, key=lambda infusion: infusion.stop[0].real):
            if each.stop[0].real > end[0].real:
                break
            y = self.flow(self.system, start, each.stop, y, p, _rates(running, y))
            start = each.stop
            running = [other for other in running if other is not each]
        return self.flow(self.system, start, end, y, p, _rates(running, y)), running

    def _root(self, change: Any, y: Array) -> Array:
        """Solve ``change(y) = 0`` by Newton's method, derivatives included.

        It ends when rounding errors of the flow keep the updates from becoming smaller.
        """
        n, previous = len(y), math.inf
        for _ in range(60):
            jacobian = np.empty((n, n))
            for j in range(n):
                moved = y[:, :1].real.astype(np.clongdouble)
                moved[j] += 1j * STEP
                real = {name: each[:1] for name, each in self.p.items()}
                jacobian[:, j] = np.float64(change(moved, real, slice(1))[:, 0].imag / STEP)
            update = solve_complex(np.linalg.inv(jacobian), change(y, self.p, slice(None)))
            y = y - update
            moved = np.max(relative(sizes(update), sizes(y)))
            if moved < 1e-18 or (moved < 1e-9 and moved >= previous / 2):
                return y
            previous = moved
        raise ArithmeticError(f"no steady state: last update {moved}")

    def _real(self, number: float) -> Array:
        return np.full(self.n_directions, number, np.clongdouble)


def _rates(infusions: Sequence[Infusion], y: Array) -> Array:
    rates = np.zeros_like(y)
    for each in infusions:
        rates[each.state] += each.rate
    return rates


def _part(dose: Dose, which: slice) -> Dose:
    def cut(each: Array | None) -> Array | None:
        return None if each is None else each[which]

    return Dose(
        state=dose.state,
        amount=dose.amount[which],
        lag=dose.lag[which],
        rate=cut(dose.rate),
        duration=cut(dose.duration),
    )
