"""Parts of a PyMC model as graphs of one flat vector, ready to be compiled."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pymc as pm
import pytensor
from pymc.model.transform.optimization import freeze_dims_and_data
from pytensor.compile.mode import optdb
from pytensor.graph import clone_replace
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.rewriting.db import RewriteDatabaseQuery

from bayesnlme._types import Floats, Tensor
from bayesnlme.assembly.program import Shape

FAST = ("fast_run",)
SIMPLE = ("canonicalize", "specialize")
REPRODUCIBLE = {"numba__fastmath": False}
"""Compiler flags, for operations whose code numba compiles: the same bits from every build."""

_EXCLUDED = ("cxx_only", "BlasOpt", "inplace")
_TRANSLATED = ("local_check_parameter_to_ninf_switch", "inline_ofg_expansion")
_QUICK = {"traceback__limit": 0}
"""A sixth of the time would go to noting where each variable was made."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Variable:
    """A part of a draw.

    Attributes
    ----------
    name : str
        Its name.
    where : slice
        Its place in the vector.
    shape : tuple of int
        Its shape.
    """

    name: str
    where: slice
    shape: Shape


def compiling() -> Any:
    """Return the context in which graphs are made and compiled."""
    return pytensor.config.change_flags(**REPRODUCIBLE, **_QUICK)


def arranged(names: Sequence[str], shapes: Sequence[Shape], start: int = 0) -> tuple[Variable, ...]:
    """Place variables one after the other in a flat vector."""
    sizes = [math.prod(shape) for shape in shapes]
    ends = np.cumsum([start, *sizes]).tolist()
    return tuple(
        Variable(name=name, where=slice(first, last), shape=tuple(shape))
        for name, shape, first, last in zip(names, shapes, ends, ends[1:], strict=False)
    )


def flat_graph(
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    given: Mapping[Tensor, Tensor],
    *rewrites: str,
) -> Any:
    """Return the graph from vectors to the outputs, rewritten, with what is `given` put in."""
    graph = FunctionGraph(list(inputs), clone_replace(outputs, given), clone=True)
    query = RewriteDatabaseQuery(include=[*rewrites, *_TRANSLATED], exclude=_EXCLUDED)
    optdb.query(query).rewrite(graph)
    return graph


def starting_vector(graph: pm.Model, variables: Sequence[Variable]) -> Floats:
    """Return the starting values of variables in one vector, on their unconstrained scales."""
    point = graph.initial_point()
    flat = [np.ravel(point[each.name]) for each in variables]
    return np.concatenate([*flat, np.empty(0)]).astype(np.float64)


def frozen(graph: pm.Model, swapped: Collection[str] = ()) -> pm.Model:
    """Make constants of all dims and data but those to be swapped."""
    data = [name for name, each in graph.named_vars.items() if each in graph.data_vars]
    return freeze_dims_and_data(graph, data=[name for name in data if name not in swapped])


def free_variables(graph: pm.Model) -> tuple[Variable, ...]:
    """Place the free variables of a model, on their unconstrained scales, in one vector."""
    point = graph.initial_point()
    called = [graph.rvs_to_values[each].name for each in graph.free_RVs]
    return arranged(called, [np.shape(point[name]) for name in called])
