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
from bayesnlme.graph.chart import Chart
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


def compile_density(
    graph: pm.Model, chart: Chart | None = None, *, jacobian: bool = True
) -> Density:
    """Compile a PyMC model whose free variables are continuous.

    Parameters
    ----------
    graph : pymc.Model
        The model.
    chart : Chart, optional
        The affine map from the flat vector to the free variables on their unconstrained scales; the
        identity unless given. The log density stays that of the variables, and draws are expanded
        to them.
    jacobian : bool
        Whether the density is that of the variables on their unconstrained scales; otherwise that
        on their natural ones.
    """
    with compiling():
        model = freeze_dims_and_data(graph)
        values = [model.rvs_to_values[each] for each in model.free_RVs]
        free = arranged([each.name for each in values], [each.type.shape for each in values])
        u = pt.tensor("u", dtype="float64", shape=(free[-1].where.stop,))
        x = u if chart is None else chart.point(u, free)
        given = {
            value: x[each.where].reshape(each.shape)
            for value, each in zip(values, free, strict=True)
        }
        names = {each.name for each in free}
        rest = [each for each in model.unobserved_value_vars if each.name not in names]
        evaluate = _log_density(model.logp(jacobian=jacobian), (u, x), given)
        expand = _expansion(rest, (u, x), given)
    other = arranged([each.name for each in rest], expand.shapes[1:], free[-1].where.stop)
    return Density(model=model, free=free, other=other, evaluate=evaluate, expand=expand)


def _log_density(
    density: Tensor, vectors: tuple[Tensor, Tensor], given: Mapping[Tensor, Tensor]
) -> Compiled:
    u, x = vectors
    logp: Any = rewrite_graph(density, include=["canonicalize", "stabilize"])
    slopes: Any = pt.grad(logp, list(given))
    gradient: Any = pt.concatenate([each.ravel() for each in slopes])
    if x is not u:
        gradient = pt.grad(None, u, known_grads={x: gradient})
    graph = flat_graph(u, [logp, gradient], given, *FAST)
    return compile_graph(
        graph,
        arguments=("n", "x", "gradient", "value", "unused"),
        outputs=("value", "gradient"),
        checked={0: 4, 1: 3},
    )


def _expansion(
    rest: Sequence[Tensor], vectors: tuple[Tensor, Tensor], given: Mapping[Tensor, Tensor]
) -> Compiled:
    u, x = vectors
    graph = flat_graph(u, [x, *map(pt.as_tensor, rest)], given, *SIMPLE)
    return compile_graph(
        graph,
        arguments=("n", "n_all", "x", "all", "unused"),
        outputs=["all"] * (1 + len(rest)),
        checked={},
    )
