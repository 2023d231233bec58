"""Structures from the user's own differential equations."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

import numpy as np
import pytensor.tensor as pt
import sympy

from bayesnlme._types import Tensor
from bayesnlme.data import Dataset
from bayesnlme.data.rows import Rows
from bayesnlme.errors import ModelError, did_you_mean
from bayesnlme.odes.op import solve_key, solve_population
from bayesnlme.odes.problem import DOSING, Problem, check_known, problem_from_text, renamed
from bayesnlme.odes.solver import Solver
from bayesnlme.odes.text import symbol
from bayesnlme.odes.trace import Dosing, trace
from bayesnlme.structural.base import Equation
from bayesnlme.structural.schedule import make_schedule
from bayesnlme.structural.writing import written

_LISTS = ("states", "parameters", "zero_order")
_TABLES = ("rhs", "outputs", "initial", *DOSING, "solver")


@dataclass(frozen=True, slots=True, kw_only=True)
class OdeStructure:
    """A structure given by differential equations; made by `ode` and by the catalogue.

    Attributes
    ----------
    problem : Problem
        The traced equations.
    solver : Solver
        How to solve them.
    zero_order : tuple of str
        States that a dose enters over the duration that the model gives, unless the table
        says otherwise (RATE other than 0).
    balances : tuple of dict
        Products of units, by power, that must be the number 1; empty for the user's equations,
        of whose units nothing is known.
    shorthand : mapping of str to expression
        What is shown by a name of its own in `equations`.
    shares : tuple of str
        Parameters that make sense between 0 and 1 alone.
    entry : mapping, optional
        Of a model of the catalogue, its kind and the arguments it was called with.
    names : mapping
        Of a model of the catalogue, the new name of every state, parameter and output that was
        renamed.
    """

    problem: Problem
    solver: Solver
    zero_order: tuple[str, ...] = ()
    balances: tuple[dict[str, int], ...] = field(default=(), hash=False)
    shorthand: Mapping[str, sympy.Expr] = field(default_factory=dict, hash=False)
    shares: tuple[str, ...] = ()
    entry: Mapping[str, Any] | None = field(default=None, hash=False)
    names: Mapping[str, str] = field(default_factory=dict, hash=False)

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
    def key(self) -> str:
        """Hash of the equations, the solver's options and the code that solves them."""
        return solve_key(self.problem, self.solver)

    def inputs(self, data: Dataset, rows: Rows | None = None) -> dict[str, np.ndarray]:
        """Return the arrays of a `Schedule`, by name.

        The initial values hold at the first record of every subject.

        Raises
        ------
        DataError
            If a dose goes to a compartment that is no state, or leaves to the model a rate or a
            duration that it does not give, or if an output of the table is not predicted.
        """
        return make_schedule(self.problem, data, rows, zero_order=self.zero_order)._asdict()

    def predict(self, parameters: Mapping[str, Tensor], inputs: Mapping[str, Tensor]) -> Tensor:
        """Predict every observation by one solve, shape ``(n_observations,)``."""
        table = pt.stack([parameters[name] for name in self.parameters], axis=1)
        return solve_population(self.problem, self.solver, table, inputs)

    def equations(self) -> tuple[Equation, ...]:
        """Return derivatives, initial values, what is said of doses, outputs, and shorthand."""
        return written(self.problem, self.shorthand)

    def renamed(self, **names: str) -> Self:
        """Return the same structure with other names.

        Parameters
        ----------
        **names : str
            New name of a state, a parameter or an output, by the old one.

        Raises
        ------
        ModelError
            If there is no such name, or the new ones contradict each other.

        Examples
        --------
        >>> from bayesnlme import pk
        >>> pk.one_compartment().renamed(V="Vc").parameters
        ('CL', 'Vc')
        """
        before = {new: old for old, new in self.names.items()}
        symbols = {symbol(old): symbol(new) for old, new in names.items()}
        return replace(
            self,
            problem=renamed(self.problem, names),
            zero_order=tuple(names.get(each, each) for each in self.zero_order),
            balances=tuple(
                {names.get(name, name): power for name, power in each.items()}
                for each in self.balances
            ),
            shorthand={name: each.xreplace(symbols) for name, each in self.shorthand.items()},
            shares=tuple(names.get(each, each) for each in self.shares),
            names={**self.names, **{before.get(old, old): new for old, new in names.items()}},
        )

    def with_solver(self, solver: Solver) -> Self:
        """Return the same structure, solved in another way.

        Raises
        ------
        ModelError
            If `solver` is no `Solver`.
        """
        return replace(self, solver=_solver(solver))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that TOML can hold.

        A model of the catalogue is its kind with its arguments; other equations are written as
        text, and `ode_from_dict` reads them.
        """
        if self.entry is None:
            spread = {"zero_order": list(self.zero_order)} if self.zero_order else {}
            said = {"kind": "ode", **self.problem.to_dict(), **spread}
            return {**said, "solver": self.solver.to_dict()}
        said = {name: _plain(value) for name, value in self.entry.items()}
        said |= {"names": dict(self.names)} if self.names else {}
        return said | ({"solver": self.solver.to_dict()} if self.solver != Solver() else {})


def ode(  # noqa: PLR0913  everything that a model may say, each by its own name
    rhs: Callable[[Any, Any, Any], Mapping[str, Any]],
    *,
    states: Sequence[str],
    outputs: Mapping[str, Callable[[Any, Any, Any], Any]],
    initial: Mapping[str, float | Callable[[Any], Any]] | None = None,
    lag: Dosing | None = None,
    bioavailability: Dosing | None = None,
    duration: Dosing | None = None,
    rate: Dosing | None = None,
    zero_order: Sequence[str] = (),
    onto: OdeStructure | None = None,
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
    outputs : mapping of str to callable
        ``output(t, y, p)`` for everything that is predicted.
    initial : mapping, optional
        Initial values that are not zero, at the first record of a subject: a number or a
        function of the parameters.
    lag, bioavailability, duration, rate : mapping, optional
        Of the doses into a state, for the states where the model says it: the name of a
        parameter, a number or a function of the parameters. A dose enters after the `lag`,
        times the `bioavailability`. A dose of RATE -2 enters at a constant rate over the
        `duration`; one of RATE -1 enters at the `rate`, and bioavailability shortens it.
    zero_order : sequence of str
        States with a `duration` that every dose of RATE 0 enters over that duration, too.
    onto : OdeStructure, optional
        A structure that these equations are added to, such as a pharmacokinetic model of the
        catalogue. Its states and outputs are attributes of ``y`` as well, its parameters may be
        shared, its outputs stay.
    solver : Solver, optional
        Method and tolerances; those of `onto` if not given.

    Returns
    -------
    OdeStructure
        The structure.

    Raises
    ------
    ModelError
        If a function cannot be traced, names contradict each other; if a derivative, an initial
        value or what is said of doses may jump where a parameter or a state says; or if what is
        said of doses depends on a state or on time.

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
    if not isinstance(onto, OdeStructure | None):
        raise ModelError(f"ode: onto must be a structure of equations, not {onto!r}.")
    dosing = dict(zip(DOSING, (lag, bioavailability, duration, rate), strict=True))
    base = None if onto is None else onto.problem
    problem = trace(rhs, states=states, initial=initial, outputs=outputs, dosing=dosing, onto=base)
    return OdeStructure(
        problem=problem,
        solver=onto.solver if onto is not None and solver is None else _solver(solver),
        zero_order=(*(onto.zero_order if onto else ()), *_zero_order(zero_order, problem)),
        balances=onto.balances if onto else (),
        shorthand=onto.shorthand if onto else {},
        shares=onto.shares if onto else (),
    )


def ode_from_dict(content: Mapping[str, Any]) -> OdeStructure:
    """Make a structure from equations as text, as `OdeStructure.to_dict` writes them.

    Parameters
    ----------
    content : mapping
        ``rhs`` and ``outputs``, and where wanted ``initial``, ``lag``, ``bioavailability``,
        ``duration``, ``rate``, ``zero_order``, ``states``, ``parameters`` and ``solver``.

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
        if name not in (*_LISTS, *_TABLES):
            known = did_you_mean(name, (*_LISTS, *_TABLES))
            raise ModelError(f"ode: unknown entry {name!r}. {known}")
    for name in _TABLES:
        given = entries.get(name, None if name in {"rhs", "outputs"} else {})
        if not isinstance(given, Mapping):
            raise ModelError(f"ode: the entry {name!r} must be a table, not {given!r}.")
    for name in _LISTS:
        given = entries.get(name, [])
        if not isinstance(given, list | tuple) or not all(isinstance(e, str) for e in given):
            raise ModelError(f"ode: the entry {name!r} must be a list of names, not {given!r}.")
    solver, spread = solver_from_dict(entries.pop("solver", {})), entries.pop("zero_order", ())
    problem = problem_from_text(**entries)
    return OdeStructure(problem=problem, solver=solver, zero_order=_zero_order(spread, problem))


def solver_from_dict(options: Mapping[str, Any]) -> Solver:
    """Make a solver from its options by name.

    Raises
    ------
    ModelError
        If an option is unknown or out of range.
    """
    known = [each.name for each in fields(Solver)]
    for name in options:
        if name not in known:
            raise ModelError(f"solver: unknown entry {name!r}. {did_you_mean(name, known)}")
    return Solver(**options)


def _solver(solver: object) -> Solver:
    if solver is None:
        return Solver()
    if not isinstance(solver, Solver):
        raise ModelError(
            f"ode: solver must be a Solver, such as Solver(rtol=1e-6), not {solver!r}."
        )
    return solver


def _zero_order(names: Sequence[str], problem: Problem) -> tuple[str, ...]:
    if isinstance(names, str):
        raise ModelError(f"zero_order must be a tuple of names, such as ({names!r},).")
    check_known(dict.fromkeys(names), problem.states, what="zero_order")
    for name, duration in zip(problem.states, problem.duration, strict=True):
        if name in names and duration is None:
            raise ModelError(
                f"zero_order names {name!r}, which has no duration: add duration={{{name!r}: ...}}."
            )
    return tuple(names)


def _plain(value: Any) -> Any:
    """Return an argument of the catalogue as a plain value."""
    return value.to_dict() if isinstance(value, OdeStructure) else value
