"""The benchmark models in NumPyro, with diffrax for the differential equations.

What was chosen, after measuring the alternatives, because it is the fastest for NumPyro:

- Sensitivities in forward mode (`diffrax.ForwardMode`, one tangent for each individual
  parameter) inside a custom gradient, 2.3 times faster than `RecursiveCheckpointAdjoint` on
  m2; a subject has three to six parameters and ten to sixteen observations.
- The state as a tuple of scalars, 1.15 (m3) to 1.7 (m2) times faster than as an array.
- Subjects one after the other (`jax.lax.map`) on m2 and m4, 1.2 and 1.8 times faster than all
  together (`jax.vmap`), where every subject takes as many steps as the slowest one; together
  on m3, 1.2 times faster.
- Doses are exact: one solve between doses, and no padding, for the subjects are grouped by
  their schedule.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
from numpyro import distributions as dist
from numpyro.infer.util import potential_energy
from problem import Floats, Group, Problem
from timing import LogDensity

type State = tuple[jax.Array, ...]
type Parameters = tuple[jax.Array, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A differential equation: slopes, state before the first dose, and outputs at a state."""

    slopes: Callable[[Any, State, Parameters], State]
    initial: Callable[[Parameters], State]
    outputs: Callable[[State, Parameters], tuple[jax.Array, ...]]
    map_subjects: Callable[..., Any]


def _one_after_the_other(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *arrays: jax.lax.map(lambda each: function(*each), arrays)


def _linear(_: Any, state: State, parameters: Parameters) -> State:
    gut, central = state
    ka, cl, v = parameters
    return -ka * gut, ka * gut - cl / v * central


def _saturable(_: Any, state: State, parameters: Parameters) -> State:
    gut, central = state
    ka, v, vmax, km = parameters
    concentration = central / v
    return -ka * gut, ka * gut - vmax * concentration / (km + concentration)


def _turnover(_: Any, state: State, parameters: Parameters) -> State:
    gut, central, response = state
    ka, cl, v, r0, kout, ec50 = parameters
    concentration = central / v
    inhibited = kout * r0 * (1 - concentration / (ec50 + concentration))
    return -ka * gut, ka * gut - cl / v * central, inhibited - kout * response


def _empty(parameters: Parameters) -> State:
    return jnp.zeros_like(parameters[0]), jnp.zeros_like(parameters[0])


SYSTEMS = {
    "m2": System(
        slopes=_linear,
        initial=_empty,
        outputs=lambda state, parameters: (state[1] / parameters[2],),
        map_subjects=_one_after_the_other,
    ),
    "m3": System(
        slopes=_saturable,
        initial=_empty,
        outputs=lambda state, parameters: (state[1] / parameters[1],),
        map_subjects=jax.vmap,
    ),
    "m4": System(
        slopes=_turnover,
        initial=lambda parameters: (*_empty(parameters), parameters[3]),
        outputs=lambda state, parameters: (state[1] / parameters[2], state[2]),
        map_subjects=_one_after_the_other,
    ),
}


def numpyro_density(problem: Problem) -> LogDensity:
    """Compile the log density and gradient of a benchmark model written in NumPyro."""
    jax.config.update("jax_enable_x64", val=True)
    both = jax.value_and_grad(partial(_log_density, problem, _prediction(problem)))
    table = jnp.asarray(problem.points)
    loop = jax.jit(partial(_sum_over_points, both)).lower(table, 1).compile()

    def evaluate(point: Floats) -> tuple[float, Floats]:
        value, gradient = loop(table.at[0].set(point), 1)
        return float(value), np.asarray(gradient)

    return LogDensity(
        evaluate=evaluate, sweep=lambda count: jax.block_until_ready(loop(table, count))
    )


def _sum_over_points(
    both: Callable[[jax.Array], tuple[jax.Array, jax.Array]], points: jax.Array, count: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Add up `count` values and gradients, going round the points, so that all are computed."""

    def step(index: jax.Array, total: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        value, gradient = both(points[index % len(points)])
        return total[0] + value, total[1] + gradient

    return jax.lax.fori_loop(0, count, step, (jnp.zeros(()), jnp.zeros(points.shape[1])))


def _log_density(
    problem: Problem, predict: Callable[[jax.Array], jax.Array], point: jax.Array
) -> jax.Array:
    """Evaluate the density of the canonical vector, Jacobians included."""
    ends = np.cumsum([len(problem.theta), len(problem.effects), len(problem.sigma_sd)])
    theta, omega, sigma, eta = jnp.split(point, ends)
    values = {
        "theta": theta,
        "omega": omega,
        "sigma": sigma,
        "eta": eta.reshape(problem.n_subjects, len(problem.effects)),
    }
    return -potential_energy(_model, (problem, predict), {}, values)


def _model(problem: Problem, predict: Callable[[jax.Array], jax.Array]) -> None:
    theta = numpyro.sample("theta", dist.LogNormal(problem.log_median, problem.log_sd).to_event(1))
    omega = numpyro.sample("omega", dist.HalfNormal(problem.omega_sd).to_event(1))
    sigma = numpyro.sample("sigma", dist.HalfNormal(problem.sigma_sd).to_event(1))
    shape = (problem.n_subjects, len(problem.effects))
    eta = numpyro.sample("eta", dist.Normal(0.0, 1.0).expand(shape).to_event(2))
    log_typical = jnp.broadcast_to(jnp.log(theta), (problem.n_subjects, len(problem.theta)))
    individual = jnp.exp(log_typical.at[:, problem.effect_columns].add(omega * eta))
    prediction = predict(individual)
    scale = _scale(problem, prediction, sigma)
    numpyro.sample("y", dist.Normal(prediction, scale), obs=jnp.asarray(problem.value))


def _scale(problem: Problem, prediction: jax.Array, sigma: jax.Array) -> jax.Array:
    combined = jnp.sqrt(sigma[0] ** 2 + (sigma[1] * prediction) ** 2)
    if len(sigma) == 2:
        return combined
    return jnp.where(problem.output == 0, combined, sigma[2])


def _prediction(problem: Problem) -> Callable[[jax.Array], jax.Array]:
    """Make the function from parameters `(n_subjects, n_theta)` to `(n_observations,)`."""
    parts = [_group_prediction(problem, group) for group in problem.groups]
    order = np.argsort(np.concatenate([group.rows.ravel() for group in problem.groups]))

    def predict(individual: jax.Array) -> jax.Array:
        pieces = [
            part(individual[group.subjects]).ravel()
            for part, group in zip(parts, problem.groups, strict=True)
        ]
        return jnp.concatenate(pieces)[order]

    return predict


def _group_prediction(problem: Problem, group: Group) -> Callable[[jax.Array], jax.Array]:
    if problem.name == "m1":
        return partial(_closed_form, group)
    system = SYSTEMS[problem.name]
    return _with_forward_gradient(
        partial(_solve_subject, problem, system, group.edges),
        group,
        system.map_subjects,
        problem.output[group.rows],
    )


def _closed_form(group: Group, individual: jax.Array) -> jax.Array:
    ka, cl, v = (column[:, None, None] for column in individual.T)
    elapsed = np.maximum(group.time[:, :, None] - group.dose_time[:, None, :], 0.0)
    rate = cl / v
    scale = group.dose_amount[:, None, :] * ka / (v * (ka - rate))
    return jnp.sum(scale * (jnp.exp(-rate * elapsed) - jnp.exp(-ka * elapsed)), axis=2)


def _with_forward_gradient(
    subject: Callable[..., jax.Array],
    group: Group,
    map_subjects: Callable[..., Any],
    output: Any,
) -> Callable[[jax.Array], jax.Array]:
    """Map `subject` over a group and give it a gradient from forward sensitivities."""
    table = (group.time, group.dose_time, group.dose_amount, output)

    def value_twice(parameters: jax.Array, *row: jax.Array) -> tuple[jax.Array, jax.Array]:
        value = subject(parameters, *row)
        return value, value

    @jax.custom_vjp
    def predict(individual: jax.Array) -> jax.Array:
        return map_subjects(subject)(individual, *table)

    def forward(individual: jax.Array) -> tuple[jax.Array, jax.Array]:
        jacobian, value = map_subjects(jax.jacfwd(value_twice, has_aux=True))(individual, *table)
        return value, jacobian

    def backward(jacobian: jax.Array, cotangent: jax.Array) -> tuple[jax.Array]:
        return (jnp.einsum("nt,ntp->np", cotangent, jacobian),)

    predict.defvjp(forward, backward)
    return predict


def _solve_subject(
    problem: Problem,
    system: System,
    edges: Sequence[tuple[int, int]],
    individual: jax.Array,
    *row: jax.Array,
) -> jax.Array:
    """Integrate one subject from dose to dose; `row` is times, dose times, amounts, outputs."""
    time, dose_time, dose_amount, output = row
    parameters = tuple(individual[index] for index in range(len(problem.theta)))
    state = system.initial(parameters)
    ends = [*(dose_time[index] for index in range(1, len(edges))), time[-1]]
    saved = []
    for dose, (first, last) in enumerate(edges):
        state = (state[0] + dose_amount[dose], *state[1:])
        span = (dose_time[dose], ends[dose])
        path, state = _integrate(problem, system, state, span, (time[first:last], parameters))
        saved.append(path)
    whole = tuple(jnp.concatenate(each) for each in zip(*saved, strict=True))
    predictions = system.outputs(whole, parameters)
    return predictions[0] if len(predictions) == 1 else jnp.where(output == 0, *predictions)


def _integrate(
    problem: Problem,
    system: System,
    state: State,
    span: tuple[jax.Array, jax.Array],
    where: tuple[jax.Array, Parameters],
) -> tuple[State, State]:
    """Solve over `span`; give the states at the times asked for and at the end."""
    time, parameters = where
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(system.slopes),
        diffrax.Tsit5(),
        *span,
        None,
        state,
        args=parameters,
        saveat=diffrax.SaveAt(ts=time, t1=True),
        stepsize_controller=diffrax.PIDController(rtol=problem.rtol, atol=problem.atol),
        adjoint=diffrax.ForwardMode(),
        max_steps=100_000,
        throw=False,
    )
    return tuple(each[:-1] for each in solution.ys), tuple(each[-1] for each in solution.ys)
