"""Where sampling starts, and what to say where it cannot."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from pytensor.graph.traversal import ancestors

from bayesnlme import names
from bayesnlme._types import Floats
from bayesnlme.data import Dataset
from bayesnlme.errors import Finding
from bayesnlme.graph.build import Population
from bayesnlme.graph.flat import Variable
from bayesnlme.graph.outcomes import positions
from bayesnlme.model.model import Model
from bayesnlme.observation.kinds import Observed
from bayesnlme.odes.failures import failures
from bayesnlme.odes.op import PopulationSolve
from bayesnlme.population.priors import Prior

_MODE = "FAST_COMPILE"


def axis_scales(model: Model, variables: Sequence[Variable]) -> Floats:
    """Return how far to go along each axis of the unconstrained space of some variables.

    1 on transformed axes (logs, logits), and the prior's SD on others.
    """
    spread = {row.name: row.prior for row in model.priors if isinstance(row.prior, Prior)}
    scales = [np.full(math.prod(each.shape), _spread(spread.get(each.name))) for each in variables]
    return np.concatenate([*scales, np.empty(0)])


def _spread(prior: Prior | None) -> float:
    return 1.0 if prior is None else float(prior.keywords.get("sigma", 1.0))


def start_findings(population: Population) -> Iterator[Finding]:
    """Yield every subject that cannot be solved for, and every other observation without density.

    The starting point has every parameter at the number it was given with and every random effect
    at zero.
    """
    graph, data = population.pymc, population.data
    point = graph.initial_point()
    outputs = [graph[output] for output in data.outputs]
    densities = graph.logp(vars=outputs, sum=False, jacobian=False)
    prediction = graph.replace_rvs_by_values([graph[names.PREDICTION]])
    evaluate = graph.compile_fn(
        [*prediction, *densities], inputs=graph.value_vars, mode=_MODE, on_unused_input="ignore"
    )
    predicted, *values = evaluate(point)
    unsolved = {}
    if not np.isfinite(predicted).all():
        unsolved = _unsolved(population)
        for subject, reason in unsolved.items():
            yield _no_solution(data.subjects[subject], reason)
    explained = np.isin(data.observations.subject, list(unsolved))
    for number, density in enumerate(values):
        chosen = positions(data, number)
        for i in chosen[~np.isfinite(density) & ~explained[chosen]]:
            yield _finding(population, int(i), predicted[i])


def _unsolved(population: Population) -> dict[int, str]:
    """Return by subject why its equations cannot be solved at the starting point."""
    graph = population.pymc
    found: dict[int, str] = {}
    prediction = graph.replace_rvs_by_values([graph[names.PREDICTION]])
    for node in {each.owner for each in ancestors(prediction) if each.owner is not None}:
        if isinstance(node.op, PopulationSolve):
            evaluate = graph.compile_fn(
                node.inputs, inputs=graph.value_vars, mode=_MODE, on_unused_input="ignore"
            )
            parameters, *arrays = evaluate(graph.initial_point())
            found |= failures(node.op.problem, node.op.solver, parameters, arrays)
    return found


def _no_solution(subject: str, reason: str) -> Finding:
    return Finding(
        code="E_START_SOLVE",
        message=f"The equations cannot be solved at the starting values: {reason}.",
        remedy="Check the starting values of the parameters, and the options of bn.Solver.",
        subject=subject,
    )


def _finding(population: Population, i: int, predicted: float) -> Finding:
    observations, data = population.data.observations, population.data
    output = data.outputs[observations.output[i]]
    outcome = population.model.observations[output]
    return Finding(
        code="E_START_DENSITY",
        message=f"At the starting values {output} is predicted as {predicted:g} at time "
        f"{observations.time[i]:g}, where {_seen(population.data, i)}: its density is not finite.",
        remedy=_remedy(predicted, outcome),
        subject=data.subjects[observations.subject[i]],
        row=int(observations.row[i]),
        column="DV",
    )


def _seen(data: Dataset, i: int) -> str:
    observations = data.observations
    if not observations.censored[i]:
        return f"{observations.value[i]:g} was observed"
    lower, upper = observations.lower[i], observations.upper[i]
    return f"a value between {lower:g} and {upper:g} was observed"


def _remedy(predicted: float, outcome: Observed) -> str:
    if not np.isfinite(predicted):
        return "The structural model could not be solved there: check the starting values."
    if outcome.scale == "count" and predicted <= 0:
        return "A count needs a positive prediction: its mean. Check the structure."
    if outcome.scale == "event":
        return "The hazard must be positive and finite there, and may be negative nowhere before."
    if outcome.scale == "category":
        return "The prediction must be a probability, or use bn.binary(link='logit')."
    needs = getattr(outcome, "error", outcome).kind
    if predicted <= 0 and needs in ("proportional", "power", "log_normal"):
        return (
            f"A {needs.replace('_', '-')} error needs a positive prediction: use a combined "
            "error, or leave out observations before the first dose with .subset(where=...)."
        )
    return "Check the value, and the starting values of the parameters."
