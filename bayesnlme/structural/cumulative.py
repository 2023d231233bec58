r"""Structures whose outputs are also integrated over time: hazards, to cumulative hazards.

The integral starts at the first record of a subject, so what counts are its differences. Two ways
lead to it: one more state of the differential equations, and for functions of time whose integral
from 0 is known, :math:`C(t; \varphi)`, a sum over the stretches with the same parameters,

.. math:: H(t) = \sum_r C(\min(t, e_r); \varphi_r) - C(s_r; \varphi_r).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pytensor.tensor as pt

from bayesnlme import names
from bayesnlme._types import Tensor
from bayesnlme.data import Dataset
from bayesnlme.data.events import count_within, offsets
from bayesnlme.data.rows import Rows, parameter_rows
from bayesnlme.errors import ModelError
from bayesnlme.odes.integrals import with_integrals
from bayesnlme.odes.problem import Problem
from bayesnlme.odes.solver import Solver
from bayesnlme.odes.tensors import to_tensor
from bayesnlme.odes.text import TIME, symbol
from bayesnlme.structural.base import Equation, Structure
from bayesnlme.structural.curve import CurveStructure
from bayesnlme.structural.custom import OdeStructure


def with_cumulative(structure: Structure, outputs: tuple[str, ...]) -> Structure:
    """Return a structure that predicts the integrals over time of some outputs as well.

    Parameters
    ----------
    structure : Structure
        Function of time, or differential equations.
    outputs : tuple of str
        Some of its outputs; the integrals are called as `bayesnlme.names.cumulative` says.

    Raises
    ------
    ModelError
        If the structure is of another kind, or an output cannot be integrated because it may jump
        where a parameter or a state says.
    """
    if isinstance(structure, CurveStructure):
        if structure.integral is not None:
            return CumulativeCurve(curve=structure)
        return OdeStructure(problem=_integrated(_as_problem(structure), outputs), solver=Solver())
    if isinstance(structure, OdeStructure):
        return OdeStructure(
            problem=_integrated(structure.problem, outputs),
            solver=structure.solver,
            zero_order=structure.zero_order,
        )
    raise ModelError(f"{structure!r} cannot integrate a hazard. Use bn.ode or bn.curve.")


@lru_cache(maxsize=64)
def _integrated(problem: Problem, outputs: tuple[str, ...]) -> Problem:
    return with_integrals(problem, {output: names.cumulative(output) for output in outputs})


def _as_problem(curve: CurveStructure) -> Problem:
    return Problem(
        states=(),
        parameters=curve.parameters,
        rhs=(),
        initial=(),
        outputs=curve.outputs,
        readouts=(curve.expression,),
        lag=(),
        bioavailability=(),
        duration=(),
        rate=(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CumulativeCurve:
    """A function of time whose integral is known, with that integral as a second output."""

    curve: CurveStructure

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the individual parameters it needs."""
        return self.curve.parameters

    @property
    def compartments(self) -> tuple[str, ...]:
        """Nothing can be dosed."""
        return ()

    @property
    def outputs(self) -> tuple[str, ...]:
        """The function and its integral."""
        return self.curve.output, names.cumulative(self.curve.output)

    @property
    def balances(self) -> tuple[dict[str, int], ...]:
        """Those of the function."""
        return self.curve.balances

    @property
    def shares(self) -> tuple[str, ...]:
        """Those of the function."""
        return self.curve.shares

    def inputs(self, data: Dataset, rows: Rows | None = None) -> dict[str, np.ndarray]:
        """Return where the function is evaluated, and the stretches that are added up.

        The table has the outputs of this structure.
        """
        rows = parameter_rows(data, ()) if rows is None else rows
        seen = data.observations
        asked = np.array([self.outputs.index(each) for each in data.outputs])[seen.output]
        valued, added = np.flatnonzero(asked == 0), np.flatnonzero(asked == 1)
        first = offsets(rows.subject, data.n_subjects)[:-1]
        begun = data.records.time[offsets(data.records.subject, data.n_subjects)[:-1]]
        last, owner = rows.observation[added], seen.subject[added]
        counts = last - first[owner] + 1
        row = np.repeat(first[owner], counts) + count_within(counts)
        final, time = row == np.repeat(last, counts), np.repeat(seen.time[added], counts)
        opening, subject = row == np.repeat(first[owner], counts), rows.subject[row]
        return {
            "blank": np.zeros(len(seen)),
            "valued": valued,
            "valued_time": seen.time[valued],
            "valued_row": rows.observation[valued],
            "added": np.repeat(added, counts),
            "added_row": row,
            "added_start": np.where(opening, begun[subject], rows.start[row]),
            "added_end": np.where(final, time, np.append(rows.start[1:], np.nan)[row]),
        }

    def predict(self, parameters: Mapping[str, Tensor], inputs: Mapping[str, Tensor]) -> Tensor:
        """Predict every observation, shape ``(n_observations,)``."""

        def at(expression: Any, time: Tensor, row: Tensor) -> Tensor:
            values = {symbol(name): parameters[name][row] for name in self.parameters}
            return to_tensor(expression, {symbol(TIME): time, **values})

        row = inputs["added_row"]
        ends, starts = (
            at(self.curve.integral, inputs[name], row) for name in ("added_end", "added_start")
        )
        total = pt.inc_subtensor(inputs["blank"][inputs["added"]], ends - starts)
        values = at(self.curve.expression, inputs["valued_time"], inputs["valued_row"])
        return pt.set_subtensor(total[inputs["valued"]], values)

    def equations(self) -> tuple[Equation, ...]:
        """Return the function."""
        return self.curve.equations()

    def to_dict(self) -> dict[str, Any]:
        """Return the function as plain values."""
        return self.curve.to_dict()
