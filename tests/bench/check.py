"""Compare the NumPyro models with an independent SciPy evaluation at the reference points.

    python tests/bench/check.py [m1 m2 ...] [--points 16]

The second route reads the model files by itself, integrates with DOP853 at a tolerance of
1e-12 and takes a directional derivative by central differences. It fails (exit code 1) where a
log density is off by more than 1e-6 relative, or a directional derivative by more than 1e-4.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import environment  # noqa: F401  (first: single-threaded before jax loads)
import numpy as np
import peers
import problem as problems
from problem import Floats
from rich.console import Console
from rich.table import Table
from scipy import stats
from scipy.integrate import solve_ivp

VALUE_TOLERANCE = 1e-6
GRADIENT_TOLERANCE = 1e-4
STEP = 1e-5


def main() -> int:
    """Print one row for each model; return the exit code."""
    parser = argparse.ArgumentParser(description="Check the peers against SciPy.")
    parser.add_argument("models", nargs="*", default=["m1", "m2", "m3", "m4"])
    parser.add_argument("--points", type=int, default=16)
    options = parser.parse_args()
    table = Table("model", "against", "log density, relative", "gradient, relative", "verdict")
    rows = list(_rows(options.models, options.points))
    for name, against, value, gradient in rows:
        verdict = "agrees" if _agrees(value, gradient) else "DIFFERS"
        table.add_row(name, against, f"{value:.1e}", f"{gradient:.1e}", verdict)
    Console().print(table)
    return 0 if all(_agrees(value, gradient) for *_, value, gradient in rows) else 1


def _agrees(value: float, gradient: float) -> bool:
    return value < VALUE_TOLERANCE and gradient < GRADIENT_TOLERANCE


def _rows(names: Sequence[str], n_points: int) -> Iterator[tuple[str, str, float, float]]:
    """Give each model's largest relative errors, and those of m2 against its closed form."""
    densities = {}
    for name in names:
        path = problems.MODELS / f"{name}.json"
        problem = problems.load(path)
        densities[name] = peers.numpyro_density(problem).evaluate
        reference = partial(log_density, json.loads(path.read_text()))
        yield name, "SciPy", *_errors(densities[name], reference, problem.points[:n_points])
    if {"m1", "m2"} <= densities.keys():
        points = problems.load(problems.MODELS / "m1.json").points[:n_points]
        closed_form = densities["m1"]
        yield "m2", "m1", *_errors(densities["m2"], lambda point: closed_form(point)[0], points)


def _errors(
    evaluate: Callable[[Floats], tuple[float, Floats]],
    reference: Callable[[Floats], float],
    points: Floats,
) -> tuple[float, float]:
    """Find the largest relative errors of the value and of a directional derivative."""
    directions = np.random.default_rng(1).standard_normal(points.shape)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    errors = [
        _errors_at(evaluate, reference, point, direction)
        for point, direction in zip(points, directions, strict=True)
    ]
    value, gradient = np.max(errors, axis=0)
    return float(value), float(gradient)


def _errors_at(
    evaluate: Callable[[Floats], tuple[float, Floats]],
    reference: Callable[[Floats], float],
    point: Floats,
    direction: Floats,
) -> tuple[float, float]:
    value, gradient = evaluate(point)
    exact = reference(point)
    slope = (reference(point + STEP * direction) - reference(point - STEP * direction)) / (2 * STEP)
    error = abs(float(gradient @ direction) - slope) / (1 + abs(slope))
    return abs(value / exact - 1), error


def log_density(model: dict[str, Any], point: Sequence[float] | Floats) -> float:
    """Evaluate the canonical log density of a model file by SciPy.

    `point` is `[log theta] [log omega] [log sigma] [eta, subject by subject]`.
    """
    theta_log, omega_log, sigma_log, eta = _split(model, np.asarray(point, dtype=float))
    total = float(stats.norm.logpdf(eta).sum())
    for parameter, value in zip(model["theta"], theta_log, strict=True):
        prior = parameter["prior"]
        total += stats.norm.logpdf(value, np.log(prior["median"]), prior["sd_log"])
    scales = [*model["iiv"], *model["sigma"]]
    for scale, value in zip(scales, [*omega_log, *sigma_log], strict=True):
        total += stats.halfnorm.logpdf(np.exp(value), scale=scale["prior"]["sd"]) + value
    names = [each["name"] for each in model["theta"]]
    effects = [each["on"] for each in model["iiv"]]
    for subject, effect in zip(model["subjects"], eta, strict=True):
        own = dict(zip(names, theta_log, strict=True))
        for name, sd, each in zip(effects, np.exp(omega_log), effect, strict=True):
            own[name] += sd * each
        parameters = {name: float(np.exp(value)) for name, value in own.items()}
        total += _subject_log_density(model["name"], subject, parameters, np.exp(sigma_log))
    return float(total)


def _split(model: dict[str, Any], point: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    sizes = [len(model[key]) for key in ("theta", "iiv", "sigma")]
    theta, omega, sigma, eta = np.split(point, np.cumsum(sizes))
    return theta, omega, sigma, eta.reshape(len(model["subjects"]), len(model["iiv"]))


def _subject_log_density(
    name: str, subject: dict[str, Any], parameters: dict[str, float], sigma: Floats
) -> float:
    concentration, response = _curves(name, subject, parameters)
    first = np.array(subject["dv"]) == 0
    prediction = np.where(first, concentration, response)
    combined = np.hypot(sigma[0], sigma[1] * prediction)
    scale = np.where(first, combined, sigma[-1])
    return float(stats.norm.logpdf(subject["y"], prediction, scale).sum())


def _curves(
    name: str, subject: dict[str, Any], parameters: dict[str, float]
) -> tuple[Floats, Floats]:
    """Give concentration and response at the times of a subject."""
    time = np.array(subject["t"], dtype=float)
    if name == "m1":
        (start, dose), ka = subject["doses"][0], parameters["ka"]
        rate = parameters["CL"] / parameters["V"]
        shape = np.exp(-rate * (time - start)) - np.exp(-ka * (time - start))
        return dose * ka / (parameters["V"] * (ka - rate)) * shape, np.zeros(len(time))
    states = _integrate(name, subject["doses"], time, parameters)
    return states[1] / parameters["V"], states[-1]


def _integrate(
    name: str, doses: list[list[float]], time: Floats, parameters: dict[str, float]
) -> Floats:
    slopes = partial(SLOPES[name], **parameters)
    state = np.array([0.0, 0.0] + ([parameters["R0"]] if name == "m4" else []))
    states = np.empty((len(state), len(time)))
    ends = [start for start, _ in doses[1:]] + [np.inf]
    for (start, amount), end in zip(doses, ends, strict=True):
        state[0] += amount
        here = (time >= start) & (time < end)
        stop = min(end, time[-1])
        grid = np.unique([*time[here], start, stop])
        path = solve_ivp(
            slopes, (start, stop), state, method="DOP853", t_eval=grid, rtol=1e-12, atol=1e-12
        )
        states[:, here] = path.y[:, np.searchsorted(grid, time[here])]
        state = path.y[:, -1].copy()
    return states


def _linear(_: float, state: Floats, *, ka: float, CL: float, V: float) -> list[float]:
    return [-ka * state[0], ka * state[0] - CL * state[1] / V]


def _saturable(
    _: float, state: Floats, *, ka: float, V: float, Vmax: float, Km: float
) -> list[float]:
    return [-ka * state[0], ka * state[0] - Vmax * state[1] / (Km * V + state[1])]


def _turnover(
    _: float, state: Floats, *, kout: float, R0: float, EC50: float, **kinetics: float
) -> list[float]:
    concentration = state[1] / kinetics["V"]
    production = kout * R0 * EC50 / (EC50 + concentration)
    return [*_linear(0.0, state, **kinetics), production - kout * state[2]]


SLOPES: dict[str, Callable[..., list[float]]] = {"m2": _linear, "m3": _saturable, "m4": _turnover}

if __name__ == "__main__":
    sys.exit(main())
