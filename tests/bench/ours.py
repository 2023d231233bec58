"""bayesnlme's side of the benchmark: the four models as a user would write them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from native import native_density
from problem import MODELS, Floats, Integers, Problem
from timing import LogDensity

import bayesnlme as bn
from bayesnlme.graph.build import Population
from bayesnlme.inference.density import Density, compile_density


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Compiled:
    """A benchmark model compiled as the sampler does it; `points` in the density's order."""

    population: Population
    density: Density
    points: Floats
    order: Integers


def compiled(problem: Problem) -> Compiled:
    """Build and compile a model, its subjects repeated under new ids where there are to be more."""
    file = json.loads((MODELS / f"{problem.name}.json").read_text())
    own = file["subjects"]
    subjects = [own[k % len(own)] | {"id": k + 1} for k in range(problem.n_subjects)]
    population = bn.build(_model(problem), _data(subjects))
    density = compile_density(population.pymc)
    order = _order(problem, density, population.model)
    return Compiled(
        population=population, density=density, points=problem.points[:, order], order=order
    )


def bayesnlme_density(problem: Problem) -> LogDensity:
    """Map the coordinates of the compiled density."""
    ready = compiled(problem)
    return native_density(ready.density.evaluate, problem.points, ready.order)


def enlarged(problem: Problem, n_subjects: int) -> Problem:
    """Repeat the subjects of a problem, and their effects in its points."""
    n_effects = len(problem.effects) * problem.n_subjects
    shared, effects = np.split(problem.points, [-n_effects], axis=1)
    effects = effects.reshape(len(effects), problem.n_subjects, -1)
    repeated = effects[:, np.arange(n_subjects) % problem.n_subjects]
    points = np.concatenate([shared, repeated.reshape(len(shared), -1)], axis=1)
    return replace(problem, n_subjects=n_subjects, points=points)


def _model(problem: Problem) -> bn.Model:
    omega = dict(zip(problem.effects, problem.omega_sd, strict=True))
    parameters = {
        name: bn.LogNormal(
            bn.Prior("LogNormal", mu=float(median), sigma=float(sd)),
            iiv=_half_normal(omega[name]) if name in omega else None,
        )
        for name, median, sd in zip(problem.theta, problem.log_median, problem.log_sd, strict=True)
    }
    additive, proportional, *response = (_half_normal(sd) for sd in problem.sigma_sd)
    observations: dict[str, Any] = {
        "conc": bn.combined(additive=additive, proportional=proportional)
    }
    if response:
        observations["response"] = bn.additive(response[0])
    structure = STRUCTURES[problem.name]
    return bn.Model(
        name=problem.name,
        parameters=parameters,
        structure=structure(problem),
        observations=observations,
    )


def _half_normal(sd: float) -> bn.Prior:
    return bn.Prior("HalfNormal", sigma=float(sd))


def _closed_form(problem: Problem) -> Any:
    return bn.pk.one_compartment(absorption="first_order")


def _one_compartment(problem: Problem) -> Any:
    return _oral(problem, lambda p, conc: p.CL * conc)


def _michaelis_menten(problem: Problem) -> Any:
    return _oral(problem, lambda p, conc: p.Vmax * conc / (p.Km + conc))


def _oral(problem: Problem, elimination: Any) -> Any:
    return bn.ode(
        lambda t, y, p: {
            "depot": -p.ka * y.depot,
            "central": p.ka * y.depot - elimination(p, y.central / p.V),
        },
        states=("depot", "central"),
        outputs={"conc": lambda t, y, p: y.central / p.V},
        solver=bn.Solver(rtol=problem.rtol, atol=problem.atol),
    )


def _turnover(problem: Problem) -> Any:
    def rhs(t: Any, y: Any, p: Any) -> Mapping[str, Any]:
        conc = y.central / p.V
        return {
            "depot": -p.ka * y.depot,
            "central": p.ka * y.depot - p.CL * conc,
            "response": p.kout * p.R0 * (1 - conc / (p.EC50 + conc)) - p.kout * y.response,
        }

    return bn.ode(
        rhs,
        states=("depot", "central", "response"),
        initial={"response": lambda p: p.R0},
        outputs={
            "conc": lambda t, y, p: y.central / p.V,
            "response": lambda t, y, p: y.response,
        },
        solver=bn.Solver(rtol=problem.rtol, atol=problem.atol),
    )


STRUCTURES = {
    "m1": _closed_form,
    "m2": _one_compartment,
    "m3": _michaelis_menten,
    "m4": _turnover,
}


def _data(subjects: Sequence[Mapping[str, Any]]) -> bn.Dataset:
    rows = []
    for subject in subjects:
        doses = [(t, 1, amount, 1, np.nan, 1, 1) for t, amount in subject["doses"]]
        seen = [
            (t, 0, 0.0, 1, value, output + 1, 0)
            for t, value, output in zip(subject["t"], subject["y"], subject["dv"], strict=True)
        ]
        rows += [(subject["id"], *row) for row in sorted(doses + seen, key=lambda row: row[0])]
    columns = ["ID", "TIME", "EVID", "AMT", "CMT", "DV", "DVID", "MDV"]
    return bn.read_data(pd.DataFrame(rows, columns=columns))


def _order(problem: Problem, density: Density, model: bn.Model) -> Any:
    """Return the canonical position of every coordinate of the vector.

    Canonical: log theta, log omega, log sigma, then the effects, subject by subject.
    """
    residuals = [
        f"{output}_{magnitude}_log__"
        for output, residual in model.observations.items()
        for magnitude in residual.priors()
    ]
    names = [f"{name}_pop_log__" for name in problem.theta]
    sizes = dict.fromkeys(names, 1) | {"omega_log__": len(problem.effects)}
    sizes |= dict.fromkeys(residuals, 1)
    sizes["eta_standard"] = problem.n_subjects * len(problem.effects)
    first = dict(zip(sizes, np.cumsum([0, *sizes.values()]), strict=False))
    order = np.empty(density.size, dtype=np.int64)
    for each in density.free:
        order[each.where] = first[each.name] + np.arange(sizes[each.name])
    return order
