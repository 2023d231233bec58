"""Structures from the user's own differential equations."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pytensor.tensor as pt
import sympy

from bayesnlme._types import Tensor
from bayesnlme.data import Dataset
from bayesnlme.data.events import compartment_index, expand_doses, offsets
from bayesnlme.errors import DataError, Finding, ModelError, did_you_mean
from bayesnlme.odes.op import solve_key, solve_population
from bayesnlme.odes.problem import Problem, problem_from_text
from bayesnlme.odes.schedule import Kind, Schedule
from bayesnlme.odes.solver import Solver
from bayesnlme.odes.text import symbol, text
from bayesnlme.odes.trace import trace
from bayesnlme.structural.base import Equation
from bayesnlme.structural.doses import refuse_beyond_bolus_and_infusion

_ENTRIES = ("states", "parameters", "rhs", "initial", "outputs", "solver")


@dataclass(frozen=True, slots=True, kw_only=True)
class OdeStructure:
    """A structure given by differential equations; made by `ode`.

    Attributes
    ----------
    problem : Problem
        The traced equations.
    solver : Solver
        How to solve them.
    """

    problem: Problem
    solver: Solver

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the individual parameters it needs, in order of first use."""
        return self.problem.parameters

    @property
    def compartments(self) -> tuple[str, ...]:
        """The states: any may be dosed, CMT counts them from 1."""
        return self.problem.states

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of what it predicts."""
        return self.problem.outputs

    @property
    def balances(self) -> tuple[dict[str, int], ...]:
        """Nothing is known of the units of an equation."""
        return ()

    @property
    def key(self) -> str:
        """Hash of the equations, the solver's options and the code that solves them."""
        return solve_key(self.problem, self.solver)

    def inputs(self, data: Dataset) -> dict[str, np.ndarray]:
        """Return the arrays of a `Schedule`, by name.

        The initial values hold at the first record of every subject.

        Raises
        ------
        DataError
            If a dose has a modelled rate or duration or is at steady state, goes to a
            compartment that is no state, or an output of the table is not predicted.
        """
        refuse_beyond_bolus_and_infusion(data)
        return _schedule(self.problem, data)._asdict()

    def predict(self, parameters: Mapping[str, Tensor], inputs: Mapping[str, Tensor]) -> Tensor:
        """Predict every observation by one solve, shape ``(n_observations,)``."""
        table = pt.stack([parameters[name] for name in self.parameters], axis=1)
        return solve_population(self.problem, self.solver, table, inputs)

    def equations(self) -> tuple[Equation, ...]:
        """Return derivatives, initial values that are not zero, and outputs."""
        problem = self.problem
        flows = [
            _equation(rf"\frac{{d\,{_latex_word(name)}}}{{dt}}", f"d {name}/dt", flow, problem)
            for name, flow in zip(problem.states, problem.rhs, strict=True)
        ]
        starts = [
            _equation(rf"{_latex_word(name)}(t_0)", f"{name}(t0)", start, problem)
            for name, start in zip(problem.states, problem.initial, strict=True)
            if start != 0
        ]
        readouts = [
            _equation(_latex_word(name), name, readout, problem)
            for name, readout in zip(problem.outputs, problem.readouts, strict=True)
        ]
        return (*flows, *starts, *readouts)

    def to_dict(self) -> dict[str, Any]:
        """Return equations as text and the solver's options; `ode_from_dict` reads them."""
        return {"kind": "ode", **self.problem.to_dict(), "solver": self.solver.to_dict()}


def ode(
    rhs: Callable[[Any, Any, Any], Mapping[str, Any]],
    *,
    states: Sequence[str],
    initial: Mapping[str, float | Callable[[Any], Any]] | None = None,
    outputs: Mapping[str, Callable[[Any, Any, Any], Any]],
    solver: Solver | None = None,
) -> OdeStructure:
    """Make a structure from differential equations written as Python functions.

    The functions are called once, with symbols; `bayesnlme.math` has the functions that
    they may use.

    Parameters
    ----------
    rhs : callable
        ``rhs(t, y, p)`` returns a dict from every state to its time derivative. States and
        parameters are attributes: ``y.central``, ``p.CL``.
    states : sequence of str
        Names of the states. All may be dosed; CMT counts them from 1.
    initial : mapping, optional
        Initial values that are not zero, at the first record of a subject: a number or a
        function of the parameters.
    outputs : mapping of str to callable
        ``output(t, y, p)`` for everything that is predicted.
    solver : Solver, optional
        Method and tolerances.

    Returns
    -------
    OdeStructure
        The structure.

    Raises
    ------
    ModelError
        If a function cannot be traced, names contradict each other, or a derivative or an initial
        value may jump where a parameter or a state says.

    Examples
    --------
    >>> structure = ode(
    ...     lambda t, y, p: {"central": -p.CL / p.V * y.central},
    ...     states=("central",),
    ...     outputs={"conc": lambda t, y, p: y.central / p.V},
    ... )
    >>> structure.parameters
    ('CL', 'V')
    >>> print(structure.equations()[0].text)
    d central/dt = -CL*central/V
    """
    if not callable(rhs):
        raise ModelError(f"ode: rhs must be a function of (t, y, p), not {rhs!r}.")
    problem = trace(rhs, states=states, initial=initial, outputs=outputs)
    return OdeStructure(problem=problem, solver=_solver(solver))


def ode_from_dict(content: Mapping[str, Any]) -> OdeStructure:
    """Make a structure from equations as text, as `OdeStructure.to_dict` writes them.

    Parameters
    ----------
    content : mapping
        ``rhs`` and ``outputs``, and where wanted ``initial``, ``states``, ``parameters`` and
        ``solver``.

    Raises
    ------
    ModelError
        If an entry is unknown, missing, or cannot be read.

    Examples
    --------
    >>> ode_from_dict({"rhs": {"y": "-k*y"}, "outputs": {"signal": "y"}}).parameters
    ('k',)
    """
    entries = {name: value for name, value in content.items() if name != "kind"}
    for name in entries:
        if name not in _ENTRIES:
            raise ModelError(f"ode: unknown entry {name!r}. {did_you_mean(name, _ENTRIES)}")
    for name in ("rhs", "outputs", "initial", "solver"):
        given = entries.get(name, None if name in {"rhs", "outputs"} else {})
        if not isinstance(given, Mapping):
            raise ModelError(f"ode: the entry {name!r} must be a table, not {given!r}.")
    for name in ("states", "parameters"):
        given = entries.get(name, [])
        if not isinstance(given, list | tuple) or not all(isinstance(e, str) for e in given):
            raise ModelError(f"ode: the entry {name!r} must be a list of names, not {given!r}.")
    options = entries.pop("solver", {})
    return OdeStructure(problem=problem_from_text(**entries), solver=_solver_from_dict(options))


def _solver(solver: object) -> Solver:
    if solver is None:
        return Solver()
    if not isinstance(solver, Solver):
        raise ModelError(
            f"ode: solver must be a Solver, such as Solver(rtol=1e-6), not {solver!r}."
        )
    return solver


def _solver_from_dict(options: Mapping[str, Any]) -> Solver:
    known = [each.name for each in fields(Solver)]
    for name in options:
        if name not in known:
            raise ModelError(f"solver: unknown entry {name!r}. {did_you_mean(name, known)}")
    return Solver(**options)


def _schedule(problem: Problem, data: Dataset) -> Schedule:
    records = _records(problem, data)
    seen = data.observations
    n_subjects, n_observations = data.n_subjects, len(seen.time)
    return Schedule(
        start_time=_first_times(data),
        start_row=np.arange(n_subjects),
        record_offsets=offsets(records.pop("subject"), n_subjects),
        **{f"record_{name}": array for name, array in records.items()},
        observation_offsets=offsets(seen.subject, n_subjects),
        observation_time=seen.time,
        observation_output=_output_index(problem, data),
        observation_order=seen.order,
        pair_observation=np.arange(n_observations),
        pair_row=seen.subject,
    )


def _records(problem: Problem, data: Dataset) -> dict[str, np.ndarray]:
    """Return one entry per dose, and one before it where it resets the system."""
    doses = expand_doses(data)
    given = (doses.amount > 0) | (doses.rate > 0) | ~doses.reset
    source = np.repeat(np.arange(len(doses.time)), doses.reset.astype(int) + given)
    first = np.diff(source, prepend=-1) > 0
    resets = doses.reset[source] & first
    kind = np.where(doses.rate[source] > 0, Kind.INFUSION, Kind.BOLUS)
    return {
        "subject": doses.subject[source],
        "time": doses.time[source],
        "kind": np.where(resets, Kind.RESET, kind).astype(np.int64),
        "compartment": compartment_index(doses, problem.states, data)[source],
        "amount": np.where(resets, 0.0, doses.amount[source]),
        "rate": np.where(resets, 0.0, doses.rate[source]),
        "interval": doses.interval[source],
        "steady_state": doses.steady_state[source],
        "row": doses.subject[source],
        "order": doses.order[source],
    }


def _first_times(data: Dataset) -> np.ndarray:
    times = np.full(data.n_subjects, np.inf)
    np.minimum.at(times, data.records.subject, data.records.time)
    return times


def _output_index(problem: Problem, data: Dataset) -> np.ndarray:
    """Return the position of each observation's output among those of the equations."""
    missing = [label for label in data.outputs if label not in problem.outputs]
    if missing and len(data.outputs) == len(problem.outputs) == 1:
        return np.zeros(len(data.observations.time), np.int64)
    if missing:
        raise DataError([_unknown_output(label, problem) for label in missing], data.source)
    known = np.array([problem.outputs.index(label) for label in data.outputs], np.int64)
    return known[data.observations.output]


def _unknown_output(label: str, problem: Problem) -> Finding:
    return Finding(
        code="E_OUTPUT_UNKNOWN",
        message=f"The table has the output {label!r}, which the equations do not predict.",
        remedy=did_you_mean(label, problem.outputs) + " Rename it with read_data(outputs=...).",
        column="DVID",
    )


def _equation(left: str, plain: str, right: sympy.Expr, problem: Problem) -> Equation:
    named = {symbol(name): _latex_word(name) for name in problem.states}
    named |= {symbol(name): _latex_name(name) for name in problem.parameters}
    return Equation(
        left=left,
        right=sympy.latex(right, symbol_names=named),
        text=f"{plain} = {text(right)}",
    )


def _latex_word(name: str) -> str:
    escaped = name.replace("_", r"\_")
    return rf"\mathrm{{{escaped}}}"


def _latex_name(name: str) -> str:
    """Write a parameter as in a paper: ``ka`` with an index, long names upright."""
    head, tail = name[0], name[1:]
    if not tail or name.isupper():
        return name if name.isalpha() else _latex_word(name)
    if head in "kV" and tail.isalnum() and len(tail) <= 4:
        return rf"{head}_{{\mathrm{{{tail}}}}}"
    return _latex_word(name)
