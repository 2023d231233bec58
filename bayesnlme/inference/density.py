"""A PyMC model as C functions: log density with gradient, and what else a draw determines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pymc as pm
import pytensor.tensor as pt
from pymc.model.transform.optimization import freeze_dims_and_data
from pytensor.graph import rewrite_graph

from bayesnlme._types import Tensor
from bayesnlme.assembly.compiling import Compiled, compile_graph
from bayesnlme.graph.flat import FAST, SIMPLE, Variable, arranged, compiling, flat_graph


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Density:
    """Functions of one flat vector, the free variables on their unconstrained scales.

    Attributes
    ----------
    model : pymc.Model
        The model, its data and dims constants.
    free, other : tuple of Variable
        The variables of the vector, and what else a draw determines, behind them.
    evaluate : Compiled
        ``int64 f(n, x, gradient, log_density, unused)``: 0, or 4 or 3 where the log density or the
        gradient is not finite.
    expand : Compiled
        ``int64 f(n, n_all, x, all, unused)``: all variables of a draw.
    """

    model: pm.Model
    free: tuple[Variable, ...]
    other: tuple[Variable, ...]
    evaluate: Compiled
    expand: Compiled

    @property
    def size(self) -> int:
        """Length of the vector."""
        return self.free[-1].where.stop


def compile_density(graph: pm.Model) -> Density:
    """Compile a PyMC model whose free variables are continuous."""
    with compiling():
        model = freeze_dims_and_data(graph)
        values = [model.rvs_to_values[each] for each in model.free_RVs]
        free = arranged([each.name for each in values], [each.type.shape for each in values])
        x = pt.tensor("x", dtype="float64", shape=(free[-1].where.stop,))
        given = {
            value: x[each.where].reshape(each.shape)
            for value, each in zip(values, free, strict=True)
        }
        names = {each.name for each in free}
        rest = [each for each in model.unobserved_value_vars if each.name not in names]
        evaluate = _log_density(model, x, given)
        expand = _expansion(rest, x, given)
    other = arranged([each.name for each in rest], expand.shapes[1:], free[-1].where.stop)
    return Density(model=model, free=free, other=other, evaluate=evaluate, expand=expand)


def _log_density(model: pm.Model, x: Tensor, given: Mapping[Tensor, Tensor]) -> Compiled:
    logp: Any = rewrite_graph(model.logp(), include=["canonicalize", "stabilize"])
    slopes: Any = pt.grad(logp, list(given))
    gradient = [each.ravel() for each in slopes]
    graph = flat_graph(x, [logp, pt.concatenate(gradient)], given, *FAST)
    return compile_graph(
        graph,
        arguments=("n", "x", "gradient", "value", "unused"),
        outputs=("value", "gradient"),
        checked={0: 4, 1: 3},
    )


def _expansion(rest: Sequence[Tensor], x: Tensor, given: Mapping[Tensor, Tensor]) -> Compiled:
    graph = flat_graph(x, [x, *map(pt.as_tensor, rest)], given, *SIMPLE)
    return compile_graph(
        graph,
        arguments=("n", "n_all", "x", "all", "unused"),
        outputs=["all"] * (1 + len(rest)),
        checked={},
    )
