"""How each operation of PyTensor becomes part of a program."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytensor.scalar as ps
from pytensor.graph.basic import Constant
from pytensor.tensor import basic, elemwise, math, subtensor
from pytensor.tensor.shape import Reshape, SpecifyShape

from bayesnlme._types import Integers
from bayesnlme.assembly.errors import NoMachineCode
from bayesnlme.assembly.foreign import foreign_code
from bayesnlme.assembly.grouping import side_by_side
from bayesnlme.assembly.program import Places, Program, Shape
from bayesnlme.assembly.scalars import write_scalars
from bayesnlme.assembly.solving import write_row_gradient, write_solve
from bayesnlme.odes.gradient import RowGradient
from bayesnlme.odes.op import PopulationSolve

type Find = Callable[[Any], Places]
"""Gives the places of a variable of the graph."""

type Write = Callable[[Program, Any, Find], Sequence[Places]]
"""Writes a node, and returns the places of its outputs."""


def write_graph(program: Program, graph: Any, inputs: Mapping[Any, Places]) -> list[Places]:
    """Write all operations of a rewritten graph; return the places of its outputs.

    An operation of ours may write itself, by a method ``write_machine_code`` that is a `Write`.
    """
    values = dict(inputs)

    def places(variable: Any) -> Places:
        if variable not in values and isinstance(variable, Constant):
            values[variable] = program.constants(variable.data)
        return values[variable]

    for node in graph.toposort():
        try:
            results = _writer(node.op)(program, node, places)
        except NoMachineCode:
            results = _foreign(program, node, places)
        values.update(zip(node.outputs, results, strict=True))
    return [places(each) for each in graph.outputs]


def _writer(operation: Any) -> Write:
    for kind in type(operation).__mro__:
        if kind in _WRITERS:
            return _WRITERS[kind]
    own: Write = getattr(operation, "write_machine_code", _foreign)
    return own


def _elementwise(program: Program, node: Any, find: Find) -> Sequence[Places]:
    operands = [find(each) for each in node.inputs]
    shape_ = np.broadcast_shapes(*(each.shape for each in operands))
    scalar = node.op.scalar_op
    return program.elementwise(
        lambda block, values: write_scalars(scalar, block, values),
        operands,
        shape_,
        len(node.outputs),
    )


def _reduction(program: Program, node: Any, find: Find) -> Sequence[Places]:
    operation = _FOLDS.get(type(node.op.scalar_op))
    if operation is None:
        raise NoMachineCode(node.op)
    places = find(node.inputs[0])
    axes = range(places.ndim) if node.op.axis is None else node.op.axis
    kept = [k for k in range(places.ndim) if k not in axes]
    ordered = places.transpose(*kept, *axes)
    outer = ordered.shape[: len(kept)]
    size = int(np.prod(outer, dtype=np.int64))
    if places.size == size:
        return [ordered.reshape(outer)]
    return [program.fold(operation, ordered.reshape(size, -1)).reshape(outer)]


_FOLDS = {ps.Add: "add", ps.Mul: "mul", ps.AND: "mul"}


def _moved(n_data: int | None) -> Write:
    """Do with the places what the operation does with numbers.

    The first `n_data` inputs are numbers, the others say where; None for all of them.
    """

    def write(program: Program, node: Any, find: Find) -> Sequence[Places]:  # noqa: ARG001
        inputs = [
            find(each).astype(np.float64) if n_data is None or position < n_data else _known(each)
            for position, each in enumerate(node.inputs)
        ]
        storage: list[list[Any]] = [[None] for _ in node.outputs]
        node.op.perform(node, inputs, storage)
        return [np.asarray(each[0]).astype(np.int64) for each in storage]

    return write


def _known(variable: Any) -> Any:
    if not isinstance(variable, Constant):
        raise NoMachineCode(variable)
    return variable.data


def _alloc(program: Program, node: Any, find: Find) -> Sequence[Places]:  # noqa: ARG001
    return [np.broadcast_to(find(node.inputs[0]), [int(_known(n)) for n in node.inputs[1:]])]


def _same(program: Program, node: Any, find: Find) -> Sequence[Places]:  # noqa: ARG001
    return [find(node.inputs[0])]


def _made(program: Program, node: Any, find: Find) -> Sequence[Places]:  # noqa: ARG001
    return [np.array([int(find(each)) for each in node.inputs])]


def _changed(program: Program, node: Any, find: Find) -> Sequence[Places]:
    """Write x with x[index] set to y, or increased by it: only what changes costs anything."""
    places, change = (find(each) for each in node.inputs[:2])
    positions = _indexed(node, np.arange(places.size).reshape(places.shape))
    change = np.broadcast_to(change, positions.shape).ravel()
    positions = positions.ravel()
    result = places.ravel().copy()
    if node.op.set_instead_of_inc:
        result[positions] = change
        return [result.reshape(places.shape)]
    changed = np.unique(positions)
    terms = side_by_side(program, change, np.searchsorted(changed, positions), changed.size)
    if (result[changed] != program.constants(np.zeros(()))).any():
        terms = np.concatenate([result[changed][:, None], terms], axis=1)
    result[changed] = terms[:, 0] if terms.shape[1] == 1 else program.fold("add", terms)
    return [result.reshape(places.shape)]


def _indexed(node: Any, array: Integers) -> Integers:
    kind = (
        subtensor.AdvancedSubtensor
        if isinstance(node.op, subtensor.AdvancedIncSubtensor)
        else subtensor.Subtensor
    )
    storage: list[list[Any]] = [[None]]
    index: Any = kind(node.op.idx_list)
    index.perform(None, [array, *map(_known, node.inputs[2:])], storage)
    return np.asarray(storage[0][0])


def _dot(program: Program, node: Any, find: Find) -> Sequence[Places]:
    a, b = (find(each) for each in node.inputs)
    left = a if a.ndim == 2 else a[None, :]
    right = b if b.ndim == 2 else b[:, None]
    shape_ = (left.shape[0], right.shape[1], right.shape[0])
    (products,) = program.elementwise(
        lambda block, values: [block.mul(*values)], [left[:, None, :], right.T[None]], shape_
    )
    total = program.fold("add", products.reshape(-1, shape_[2]))
    return [total.reshape(*a.shape[:-1], *b.shape[1:])]


def _foreign(program: Program, node: Any, find: Find) -> Sequence[Places]:
    """Call an operation's own code."""
    values = [each.data if isinstance(each, Constant) else find(each) for each in node.inputs]
    shapes = [each.shape for each in values]
    results = _result_shapes(node, shapes)
    code = foreign_code(node.op, node, shapes, results)
    arguments: list[Any] = []
    for variable, each in zip(node.inputs, values, strict=True):
        if isinstance(variable, Constant):
            data = np.ascontiguousarray(variable.data)
            program.keep.append(data)
            arguments.append(data.ctypes.data)
        else:
            arguments.append(each)
    return program.call(code, arguments, results)


def _result_shapes(node: Any, shapes: Sequence[Shape]) -> list[Shape]:
    known: Any = [each.type.shape for each in node.outputs]
    if any(None in each for each in known):
        known = node.op.infer_shape(node, shapes)
    return [tuple(int(size) for size in each) for each in known]


_WRITERS: dict[type, Write] = {
    elemwise.Elemwise: _elementwise,
    elemwise.CAReduce: _reduction,
    elemwise.DimShuffle: _moved(1),
    subtensor.Subtensor: _moved(1),
    subtensor.AdvancedSubtensor: _moved(1),
    subtensor.IncSubtensor: _changed,
    subtensor.AdvancedIncSubtensor: _changed,
    Reshape: _moved(1),
    SpecifyShape: _same,
    basic.TensorFromScalar: _same,
    basic.ScalarFromTensor: _same,
    basic.Split: _moved(1),
    basic.Join: _moved(None),
    basic.MakeVector: _made,
    basic.Alloc: _alloc,
    math.Dot: _dot,
    PopulationSolve: write_solve,
    RowGradient: write_row_gradient,
}
