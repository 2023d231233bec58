"""One PyTensor operation for the whole population: predictions and their sensitivities.

One solve gives both outputs, so a log density with its gradient costs one solve: the
gradient is a product with the second output. Where the sensitivities are not used, a rewrite
puts the value-only twin in place.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numba
import pytensor.tensor as pt
import sympy
from pytensor.gradient import DisconnectedType, disconnected_type, grad_not_implemented
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.graph.rewriting.basic import node_rewriter
from pytensor.link.numba.dispatch.basic import numba_njit, register_funcify_and_cache_key
from pytensor.tensor.rewriting.basic import register_specialize

from bayesnlme._types import Tensor
from bayesnlme.odes.backends import open_backend
from bayesnlme.odes.backends.drive import solve_by_stretches
from bayesnlme.odes.code import generate
from bayesnlme.odes.compiling import OPTIONS, types
from bayesnlme.odes.digest import digest, solver_sources
from bayesnlme.odes.gradient import RowGradient
from bayesnlme.odes.kernel import population_kernel
from bayesnlme.odes.problem import Problem
from bayesnlme.odes.schedule import REAL_FIELDS, Schedule
from bayesnlme.odes.solver import Solver

type Shape = tuple[Any, ...]

ROUNDING = 1e-14
"""Relative error of a solution that no integrator has a part in."""

KERNEL_VERSION = 2
"""Counts changes of meaning that the text of the sources does not show."""


class PopulationSolve(Op):
    """Solve one problem for all subjects.

    Inputs are the parameters, shape ``(rows, n_parameters)``, and the arrays of a
    `Schedule`, in its order. Outputs are the predictions, shape ``(n_observations,)``, and
    (with sensitivities) the derivatives of each prediction by the row of parameters in
    force, shape ``(n_pairs, n_parameters)``; not-a-number for a subject whose solve fails.

    Parameters
    ----------
    problem : Problem
        The equations.
    solver : Solver
        Method and tolerances.
    sensitivities : bool
        Whether to compute the second output.
    """

    __props__ = ("key", "sensitivities")
    default_output = 0

    def __init__(self, problem: Problem, solver: Solver, *, sensitivities: bool = True) -> None:
        self.problem = problem
        self.solver = solver
        self.sensitivities = sensitivities
        self.key = solve_key(problem, solver)

    @property
    def roughness(self) -> float:
        """Relative size of the jumps in a solution where its steps change: the tolerance.

        Equations that are solved exactly have none but those of rounding.
        """
        exact = self.problem.linear and self.solver.method in {"auto", "closed_form", "expm"}
        return ROUNDING if exact else self.solver.rtol

    def make_node(self, *inputs: Tensor) -> Apply[Any]:
        """Check the number of inputs and bring them to their types."""
        names = Schedule._fields
        parameters, *arrays = inputs
        checked = [pt.as_tensor(parameters, dtype="float64", ndim=2)]
        for name, array in zip(names, arrays, strict=True):
            dtype = "float64" if name in REAL_FIELDS else "int64"
            checked.append(pt.cast(pt.as_tensor(array, ndim=1), dtype))
        outputs = [pt.vector(dtype="float64")]
        if self.sensitivities:
            outputs.append(pt.tensor(dtype="float64", shape=(None, len(self.problem.parameters))))
        return Apply(self, checked, outputs)

    def perform(
        self, node: Apply[Any], inputs: Sequence[Any], output_storage: Sequence[list[Any]]
    ) -> None:
        """Run the compiled kernel from Python."""
        del node
        results = self._solve(*inputs)
        for storage, result in zip(output_storage, results, strict=True):
            storage[0] = result

    def _solve(self, parameters: Any, *arrays: Any) -> tuple[Any, ...]:
        kernel = compiled_kernel(self.problem, self.solver, sensitivities=self.sensitivities)
        results = kernel(parameters, *arrays)
        return results if self.sensitivities else (results,)

    def infer_shape(
        self, node: Apply[Any], shapes: Sequence[tuple[Any, ...]]
    ) -> list[tuple[Any, ...]]:
        """Give the shapes of the outputs without solving."""
        del node
        by_name = dict(zip(("parameters", *Schedule._fields), shapes, strict=True))
        predictions = by_name["observation_time"]
        sensitivities = (by_name["pair_row"][0], by_name["parameters"][1])
        return [predictions, sensitivities][: 1 + self.sensitivities]

    def connection_pattern(self, node: Apply[Any]) -> list[list[bool]]:
        """Connect both outputs with the real-valued inputs alone."""
        real = [True, *(name in REAL_FIELDS for name in Schedule._fields)]
        return [[each] * len(node.outputs) for each in real]

    def pullback(
        self, inputs: Sequence[Tensor], outputs: Sequence[Tensor], cotangents: Sequence[Tensor]
    ) -> list[Tensor]:
        """Multiply with the sensitivities of the same solve and add up by row."""
        if not self.sensitivities:
            with_sensitivities = type(self)(self.problem, self.solver)
            outputs = with_sensitivities.make_node(*inputs).outputs
        elif not isinstance(cotangents[1].type, DisconnectedType):
            raise NotImplementedError(
                "Second derivatives of an ODE solution are not available: "
                "differentiate its predictions once."
            )
        schedule = Schedule(*inputs[1:])
        gradient = RowGradient()(
            cotangents[0], outputs[1], schedule.pair_offsets, schedule.pair_row, inputs[0]
        )
        others = [
            grad_not_implemented(self, position, array)
            if name in REAL_FIELDS
            else disconnected_type()
            for position, (name, array) in enumerate(
                zip(Schedule._fields, schedule, strict=True), 1
            )
        ]
        return [gradient, *others]


class StretchwiseSolve(PopulationSolve):
    """The same with an integrator outside, which Python calls between events.

    Compiled graphs run it as Python code, holding the interpreter's lock.
    """

    def __init__(self, problem: Problem, solver: Solver, *, sensitivities: bool = True) -> None:
        super().__init__(problem, solver, sensitivities=sensitivities)
        open_backend(problem, solver)

    def _solve(self, parameters: Any, *arrays: Any) -> tuple[Any, ...]:
        results = solve_by_stretches(
            self.problem, self.solver, parameters, arrays, sensitivities=self.sensitivities
        )
        return results[: 1 + self.sensitivities]


def solve_population(
    problem: Problem, solver: Solver, parameters: Tensor, inputs: Mapping[str, Tensor]
) -> Tensor:
    """Predict all observations.

    Parameters
    ----------
    problem : Problem
        The equations.
    solver : Solver
        Method and tolerances.
    parameters : tensor
        Shape ``(rows, n_parameters)``, columns in the order of ``problem.parameters``.
    inputs : mapping of str to tensor
        The arrays of a `Schedule` by name.

    Returns
    -------
    tensor
        Predictions, shape ``(n_observations,)``.
    """
    kind = PopulationSolve if solver.backend == "numba" else StretchwiseSolve
    return kind(problem, solver)(parameters, *(inputs[name] for name in Schedule._fields))


def solve_key(problem: Problem, solver: Solver) -> str:
    """Identify a solve by equations, options and the sources that turn them into code."""
    parts = (problem.key, repr(solver), str(KERNEL_VERSION), sympy.__version__, solver_sources())
    return digest(part.encode() for part in parts)


@lru_cache(maxsize=64)
def compiled_kernel(problem: Problem, solver: Solver, *, sensitivities: bool) -> Any:
    """Compile the kernel of a problem for calls from Python."""
    kernel = population_kernel(problem, solver, sensitivities=sensitivities)
    return numba.njit(**OPTIONS)(kernel)


@register_funcify_and_cache_key(StretchwiseSolve)
def _funcify_stretchwise(op: StretchwiseSolve, node: Apply[Any], **_: Any) -> tuple[Any, None]:
    """Let compiled code call Python; that it does so is what the user chose, so nothing warns."""
    kinds = [types.Array(types.float64, each.type.ndim, "C") for each in node.outputs]
    single = len(kinds) == 1
    result = kinds[0] if single else types.Tuple(kinds)

    def in_python(inputs: Sequence[Any]) -> Any:
        found = op._solve(*inputs)
        return found[0] if single else found

    @numba_njit
    def solve(*inputs: Any) -> Any:
        with numba.objmode(found=result):
            found = in_python(inputs)
        return found  # noqa: RET504  it needs a name where Python ends

    return solve, None


@register_funcify_and_cache_key(PopulationSolve)
def _funcify(op: PopulationSolve, node: Apply[Any], **_: Any) -> tuple[Any, str]:
    """Hand the kernel to PyTensor's compiler, with a key that covers all of its code."""
    del node
    sensitivities = op.sensitivities
    kernel = population_kernel(op.problem, op.solver, sensitivities=sensitivities)
    symbol = generate(op.problem, sensitivities=sensitivities).symbol
    key = digest(str(part).encode() for part in (op.key, sensitivities, symbol))
    return numba_njit(**OPTIONS)(kernel), key


@register_specialize
@node_rewriter([PopulationSolve, StretchwiseSolve])
def _drop_unused_sensitivities(fgraph: Any, node: Apply[Any]) -> Any:
    """Solve for values alone where nobody asks for sensitivities."""
    if not node.op.sensitivities or fgraph.clients.get(node.outputs[1]):
        return None
    twin = type(node.op)(node.op.problem, node.op.solver, sensitivities=False)
    return {node.outputs[0]: twin.make_node(*node.inputs).outputs[0]}
