"""The solve of a population, called from a program without numba between."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from pytensor.graph.basic import Constant

from bayesnlme.assembly.errors import NoMachineCode
from bayesnlme.assembly.grouping import grouped_sum
from bayesnlme.assembly.program import Places, Program
from bayesnlme.odes import loop
from bayesnlme.odes.code import generate
from bayesnlme.odes.schedule import Schedule


def write_solve(program: Program, node: Any, find: Any) -> Sequence[Places]:
    """Write the call of the engine for a schedule that is known.

    Raises
    ------
    NoMachineCode
        If the solve needs more than one call: threads, or an integrator outside.
    """
    solver, arrays = node.op.solver, node.inputs[1:]
    known = all(isinstance(each, Constant) for each in arrays)
    if solver.threads != 1 or solver.backend != "numba" or not known:
        raise NoMachineCode(node.op)
    schedule = Schedule(*(np.ascontiguousarray(each.data) for each in arrays))
    parameters = find(node.inputs[0])
    shapes = node.op.infer_shape(node, [each.shape for each in (parameters, *schedule)])
    results = [program.fresh(tuple(shape)) for shape in shapes]
    code = generate(node.op.problem, sensitivities=node.op.sensitivities)
    given, kept = loop.arguments(code, solver, schedule, parameters.shape)
    program.keep += kept
    header = np.zeros(given[loop.N_HEADER], np.int64)
    given[loop.HEADER] = header.ctypes.data
    loop.measure(given)
    sizes = {
        loop.HEADER: int(given[loop.N_HEADER]),
        loop.INTEGERS: int(given[loop.N_INTEGERS]),
        loop.WORK: int(given[loop.N_REALS]),
    }
    given[[loop.N_INTEGERS, loop.N_REALS]] = 0
    places = {loop.PARAMETERS: program.gathered(parameters)}
    places |= {
        argument: int(each.flat[0])
        for argument, each in zip((loop.PREDICTION, loop.SENSITIVITY), results, strict=False)
        if each.size
    }
    places |= {argument: program.cleared(size) for argument, size in sizes.items()}
    _, enter = loop.entry()
    record = program.record(given, places)
    program.enter(enter, record)
    program.enter(enter, record)
    return results


def write_row_gradient(program: Program, node: Any, find: Any) -> Sequence[Places]:
    """Write the product of cotangents with sensitivities, added up by row."""
    cotangents, sensitivities, like = (find(node.inputs[k]) for k in (0, 1, 4))
    offsets, rows = (node.inputs[k].data for k in (2, 3))
    observation = np.repeat(np.arange(cotangents.size), np.diff(offsets))
    (products,) = program.elementwise(
        lambda block, values: [block.mul(*values)],
        [cotangents[observation][:, None], sensitivities],
        sensitivities.shape,
    )
    return [grouped_sum(program, products.T, rows, like.shape[0]).T]
