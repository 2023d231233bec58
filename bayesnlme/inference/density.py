"""A PyMC model as C functions: log density with gradient, and what else a draw determines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.graph import rewrite_graph

from bayesnlme._types import Floats, Tensor
from bayesnlme.assembly.compiling import Compiled, compile_graph
from bayesnlme.errors import ModelError
from bayesnlme.graph.chart import Chart
from bayesnlme.graph.flat import FAST, SIMPLE, Variable, arranged, compiling, flat_graph, frozen
from bayesnlme.inference.native import LogDensity


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Density:
    """Functions of one flat vector, the free variables on their unconstrained scales.

    With a chart the vector holds coordinates of these variables.

    Attributes
    ----------
    model : pymc.Model
        The model, its data and dims constants but for what can be swapped.
    free, other : tuple of Variable
        The variables of the vector, and what else a draw determines, behind them.
    evaluate : Compiled
        ``int64 f(n, x, gradient, log_density, data)``: 0, or 4 or 3 where the log density or the
        gradient is not finite.
    expand : Compiled
        ``int64 f(n, n_all, x, all, data)``: all variables of a draw.
    given : tuple of Variable
        What the functions read from `data`.
    data : array
        The chart's numbers and the data that can be swapped, as they are when the functions run.
    chart : Chart or None
        The map from the vector to the variables; None for the identity.
    """

    model: pm.Model
    free: tuple[Variable, ...]
    other: tuple[Variable, ...]
    evaluate: Compiled
    expand: Compiled
    given: tuple[Variable, ...]
    data: Floats
    chart: Chart | None

    @property
    def size(self) -> int:
        """Length of the vector."""
        return self.free[-1].where.stop

    @property
    def function(self) -> LogDensity:
        """The log density and its gradient, to be called from Python."""
        return LogDensity(self.evaluate, self.data)

    def with_chart(self, chart: Chart) -> Self:
        """Return the same functions of other coordinates. Compiled with a chart only."""
        return replace(self.with_data(chart.numbers), chart=chart)

    def with_data(self, values: Mapping[str, Floats]) -> Self:
        """Return the same functions with other numbers; those not named stay.

        Raises
        ------
        ModelError
            If a name was not to be swapped or has another shape.
        """
        data, known = self.data.copy(), {each.name: each for each in self.given}
        for name, value in values.items():
            array = np.asarray(value, dtype=np.float64)
            if name not in known or array.shape != known[name].shape:
                shapes = {each.name: each.shape for each in self.given}
                raise ModelError(
                    f"{name} of shape {array.shape} cannot be swapped: the compiled model takes "
                    f"{shapes}. Name it when compiling, or build anew."
                )
            data[known[name].where] = array.ravel()
        data.flags.writeable = False
        return replace(self, data=data)


def compile_density(
    graph: pm.Model,
    chart: Chart | None = None,
    *,
    swapped: Sequence[str] = (),
    jacobian: bool = True,
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
    swapped : sequence of str
        Data, as real numbers, that can be exchanged for others of the same shape. All other data
        become constants.
    jacobian : bool
        Whether the density is that of the variables on their unconstrained scales; otherwise that
        on their natural ones.
    """
    with compiling():
        model = frozen(graph, swapped)
        values = [model.rvs_to_values[model[each.name]] for each in graph.free_RVs]
        free = arranged([each.name for each in values], [each.type.shape for each in values])
        numbers = {name: np.asarray(model[name].get_value(), dtype=float) for name in swapped}
        numbers |= {} if chart is None else chart.numbers
        given = arranged(list(numbers), [each.shape for each in numbers.values()])
        data = np.concatenate([*(each.ravel() for each in numbers.values()), np.zeros(1)])
        data.flags.writeable = False
        u = pt.tensor("x", dtype="float64", shape=(free[-1].where.stop,))
        read = pt.tensor("data", dtype="float64", shape=data.shape)
        parts = {each.name: read[each.where].reshape(each.shape) for each in given}
        x = u if chart is None else replace(chart, **{n: parts[n] for n in chart.numbers}).point(u)
        put = {model[name]: parts[name] for name in swapped}
        put |= {
            value: x[each.where].reshape(each.shape)
            for value, each in zip(values, free, strict=True)
        }
        names = {each.name for each in free}
        rest = [each for each in model.unobserved_value_vars if each.name not in names]
        evaluate = _log_density(model.logp(jacobian=jacobian), values, (u, read, x), put)
        expand = _expansion(rest, (u, read, x), put)
    other = arranged([each.name for each in rest], expand.shapes[1:], free[-1].where.stop)
    return Density(
        model=model,
        free=free,
        other=other,
        evaluate=evaluate,
        expand=expand,
        given=given,
        data=data,
        chart=chart,
    )


def _log_density(
    density: Tensor,
    values: Sequence[Tensor],
    vectors: tuple[Tensor, Tensor, Tensor],
    put: Mapping[Tensor, Tensor],
) -> Compiled:
    u, read, x = vectors
    logp: Any = rewrite_graph(density, include=["canonicalize", "stabilize"])
    slopes: Any = pt.grad(logp, list(values))
    gradient: Any = pt.concatenate([each.ravel() for each in slopes])
    if x is not u:
        gradient = pt.grad(None, u, known_grads={x: gradient})
    graph = flat_graph((u, read), [logp, gradient], put, *FAST)
    return compile_graph(
        graph,
        arguments=("n", "x", "gradient", "value", "data"),
        outputs=("value", "gradient"),
        checked={0: 4, 1: 3},
    )


def _expansion(
    rest: Sequence[Tensor],
    vectors: tuple[Tensor, Tensor, Tensor],
    put: Mapping[Tensor, Tensor],
) -> Compiled:
    u, read, x = vectors
    graph = flat_graph((u, read), [x, *map(pt.as_tensor, rest)], put, *SIMPLE)
    return compile_graph(
        graph,
        arguments=("n", "n_all", "x", "all", "data"),
        outputs=["all"] * (1 + len(rest)),
        checked={},
    )
