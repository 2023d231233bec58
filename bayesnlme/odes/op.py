"""One PyTensor operation for the whole population: predictions and their sensitivities.

One solve gives both outputs, so a log density with its gradient costs one solve: the
gradient is a product with the second output. Where the sensitivities are not used, a rewrite
puts the value-only twin in place.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
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
from bayesnlme.odes.code import generate
from bayesnlme.odes.compiling import OPTIONS
from bayesnlme.odes.kernel import population_kernel
from bayesnlme.odes.problem import Problem
from bayesnlme.odes.schedule import Schedule
from bayesnlme.odes.solver import Solver

type Shape = tuple[Any, ...]

KERNEL_VERSION = 1
"""Counts changes of meaning that the text of the sources does not show."""

_REAL = (
    "start_time",
    "record_time",
    "record_amount",
    "record_rate",
    "record_interval",
    "observation_time",
)


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

    def make_node(self, *inputs: Tensor) -> Apply[Any]:
        """Check the number of inputs and bring them to their types."""
        names = Schedule._fields
        parameters, *arrays = inputs
        checked = [pt.as_tensor(parameters, dtype="float64", ndim=2)]
        for name, array in zip(names, arrays, strict=True):
            dtype = "float64" if name in _REAL else "int64"
            checked.append(pt.as_tensor(array, dtype=dtype, ndim=1))
        outputs = [pt.vector(dtype="float64")]
        if self.sensitivities:
            outputs.append(pt.tensor(dtype="float64", shape=(None, len(self.problem.parameters))))
        return Apply(self, checked, outputs)

    def perform(
        self, node: Apply[Any], inputs: Sequence[Any], output_storage: Sequence[list[Any]]
    ) -> None:
        """Run the compiled kernel from Python."""
        del node
        results = compiled_kernel(self.problem, self.solver, sensitivities=self.sensitivities)(
            *inputs
        )
        if not self.sensitivities:
            results = (results,)
        for storage, result in zip(output_storage, results, strict=True):
            storage[0] = result

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
        real = [True, *(name in _REAL for name in Schedule._fields)]
        return [[each] * len(node.outputs) for each in real]

    def pullback(
        self, inputs: Sequence[Tensor], outputs: Sequence[Tensor], cotangents: Sequence[Tensor]
    ) -> list[Tensor]:
        """Multiply with the sensitivities of the same solve and add up by row."""
        if not self.sensitivities:
            with_sensitivities = PopulationSolve(self.problem, self.solver)
            outputs = with_sensitivities.make_node(*inputs).outputs
        elif not isinstance(cotangents[1].type, DisconnectedType):
            raise NotImplementedError(
                "Second derivatives of an ODE solution are not available: "
                "differentiate its predictions once."
            )
        schedule = Schedule(*inputs[1:])
        weighted = cotangents[0][schedule.pair_observation][:, None] * outputs[1]
        gradient = pt.inc_subtensor(pt.zeros_like(inputs[0])[schedule.pair_row], weighted)
        others = [
            grad_not_implemented(self, position, array) if name in _REAL else disconnected_type()
            for position, (name, array) in enumerate(
                zip(Schedule._fields, schedule, strict=True), 1
            )
        ]
        return [gradient, *others]


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
    return PopulationSolve(problem, solver)(
        parameters, *(inputs[name] for name in Schedule._fields)
    )


def solve_key(problem: Problem, solver: Solver) -> str:
    """Identify a solve by equations, options and the sources that turn them into code."""
    parts = (problem.key, repr(solver), str(KERNEL_VERSION), sympy.__version__, _own_sources())
    return _digest(part.encode() for part in parts)


def sources_digest(files: Iterable[Path]) -> str:
    """Return the SHA-256 of the contents of some files."""
    return _digest(each.read_bytes() for each in files)


@lru_cache(maxsize=1)
def _own_sources() -> str:
    return sources_digest(sorted(Path(__file__).parent.glob("*.py")))


def _digest(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()


@lru_cache(maxsize=64)
def compiled_kernel(problem: Problem, solver: Solver, *, sensitivities: bool) -> Any:
    """Compile the kernel of a problem for calls from Python."""
    kernel = population_kernel(problem, solver, sensitivities=sensitivities)
    return numba.njit(**OPTIONS)(kernel)


@register_funcify_and_cache_key(PopulationSolve)
def _funcify(op: PopulationSolve, node: Apply[Any], **_: Any) -> tuple[Any, str]:
    """Hand the kernel to PyTensor's compiler, with a key that covers all of its code."""
    del node
    kernel = population_kernel(op.problem, op.solver, sensitivities=op.sensitivities)
    source = generate(op.problem, sensitivities=op.sensitivities).source
    key = _digest(str(part).encode() for part in (op.key, op.sensitivities, source))
    return numba_njit(**OPTIONS)(kernel), key


@register_specialize
@node_rewriter([PopulationSolve])
def _drop_unused_sensitivities(fgraph: Any, node: Apply[Any]) -> Any:
    """Solve for values alone where nobody asks for sensitivities."""
    if not node.op.sensitivities or fgraph.clients.get(node.outputs[1]):
        return None
    twin = PopulationSolve(node.op.problem, node.op.solver, sensitivities=False)
    return {node.outputs[0]: twin.make_node(*node.inputs).outputs[0]}
