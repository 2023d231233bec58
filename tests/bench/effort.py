"""What a solve of the population does: evaluations of the right-hand side, and steps."""

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import ours
import problem as problems
import pytensor
from pytensor.graph.traversal import ancestors

from bayesnlme.odes.compiling import OPTIONS
from bayesnlme.odes.emit import WIDTH
from bayesnlme.odes.kernel import population_kernel
from bayesnlme.odes.op import PopulationSolve

_STAGES = 6
"""Evaluations in a step of Tsit5."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """Means over the points for one log density with gradient.

    `evaluations` of the right-hand side with its sensitivities and `steps`, refused ones included,
    are those of all subjects; `occupied` is the share of the vector lanes that had a subject.
    """

    evaluations: float
    steps: float
    occupied: float


def effort_of(name: str) -> Effort | None:
    """Count the work at the points of a benchmark model; None where it takes no steps."""
    ready = ours.compiled(problems.load(problems.MODELS / f"{name}.json"))
    density, model = ready.density, ready.density.model
    node = _solve(model.logp())
    if node is None:
        return None
    values = [model.rvs_to_values[each] for each in model.free_RVs]
    inputs = pytensor.function(values, node.inputs, mode="FAST_COMPILE", on_unused_input="ignore")
    kernel = population_kernel(node.op.problem, node.op.solver, sensitivities=True, count=True)
    count = numba.njit(**OPTIONS)(kernel)
    counts = [
        count(*inputs(*(point[each.where].reshape(each.shape) for each in density.free)))
        for point in ready.points
    ]
    in_lanes, steps = np.mean(counts, axis=0)
    if steps == 0:
        return None
    evaluations = _STAGES * steps
    return Effort(
        evaluations=float(evaluations),
        steps=float(steps),
        occupied=float(evaluations / (WIDTH * in_lanes)),
    )


def _solve(density: Any) -> Any:
    for variable in ancestors([density]):
        if variable.owner is not None and isinstance(variable.owner.op, PopulationSolve):
            return variable.owner
    return None
