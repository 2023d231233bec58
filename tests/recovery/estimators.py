"""Bias and error of the estimators on simulated studies.

``python -m tests.recovery.estimators [--replicates 100] [--processes 2]`` prints the table in
docs/validation.md. Concentrations are drawn by a formula written here, for random effects and
errors of NumPy; each estimator compiles once and fits every table.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np
import pandas as pd

import bayesnlme as bn
from bayesnlme.graph.build import Population, build
from bayesnlme.inference.compiled import compile_model
from bayesnlme.inference.likelihood import LikelihoodMethod, search
from bayesnlme.inference.likelihood_tree import estimate_rows
from bayesnlme.inference.nuts import NUTS, draw
from bayesnlme.inference.saem import run_saem
from bayesnlme.inference.saem_options import SAEM
from bayesnlme.marginal.conditional import Conditional
from bayesnlme.results.summary import population_rows

DOSE = 320.0
TYPICAL = {"ka": 1.5, "CL": 2.8, "V": 32.0}
OMEGA = {"ka": 0.6, "CL": 0.3, "V": 0.2}
ERROR = 0.15
TRUTH = (
    {f"{name}_pop": value for name, value in TYPICAL.items()}
    | {f"omega[{name}]": value for name, value in OMEGA.items()}
    | {"conc_proportional": ERROR}
)

RICH = [(0.25, 0.5, 1.0, 2.0, 3.5, 5.0, 7.0, 9.0, 12.0, 24.0)] * 24
SPARSE = [(0.5, 4.0, 24.0), (1.0, 8.0, 16.0), (2.0, 6.0, 12.0)] * 20
DESIGNS = {"rich": RICH, "sparse": SPARSE}

METHODS = {
    "FO": bn.FO(),
    "FOCEI": bn.FOCE(),
    "Laplace": bn.Laplace(),
    "SAEM": bn.SAEM(),
    "NUTS": bn.NUTS(draws=500, tune=600, chains=2, cores=1),
}


def model() -> bn.Model:
    """Return the model; its numbers, where every search starts and priors lie, are the truth."""
    return bn.Model(
        name="estimators",
        parameters={name: bn.LogNormal(value, iiv=OMEGA[name]) for name, value in TYPICAL.items()},
        structure=bn.pk.one_compartment(absorption="first_order"),
        observations={"conc": bn.proportional(ERROR)},
    )


def table(design: str) -> pd.DataFrame:
    """Return doses and samples without values."""
    rows = []
    for subject, times in enumerate(DESIGNS[design], start=1):
        rows.append({"ID": subject, "TIME": 0.0, "EVID": 1, "AMT": DOSE, "DV": np.nan})
        rows += [{"ID": subject, "TIME": t, "EVID": 0, "AMT": 0.0, "DV": 1.0} for t in times]
    return pd.DataFrame(rows)


def simulated(design: str, seed: int) -> np.ndarray:
    """Draw the concentrations of one study, in the order of the table."""
    rng, found = np.random.default_rng(seed), []
    for times in DESIGNS[design]:
        ka, cl, v = (
            value * np.exp(OMEGA[name] * rng.standard_normal()) for name, value in TYPICAL.items()
        )
        t, k = np.array(times), cl / v
        conc = DOSE * ka / (v * (ka - k)) * (np.exp(-k * t) - np.exp(-ka * t))
        found.append(conc * (1 + ERROR * rng.standard_normal(t.size)))
    return np.concatenate(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fits:
    """Estimates of many studies.

    Attributes
    ----------
    design, method : str
        Of what and by what.
    estimates : DataFrame
        A row for each study.
    unfinished : int
        Fits that did not converge, kept among the estimates.
    """

    design: str
    method: str
    estimates: pd.DataFrame
    unfinished: int

    def rows(self) -> Iterator[dict[str, object]]:
        """Yield bias and root mean square error of each parameter, in percent of the truth."""
        for name, truth in TRUTH.items():
            error = 100 * (self.estimates[name] / truth - 1)
            yield {
                "design": self.design,
                "method": self.method,
                "parameter": name,
                "bias": error.mean(),
                "bias_error": error.std() / np.sqrt(len(error)),
                "rmse": np.sqrt((error**2).mean()),
                "unfinished": self.unfinished,
            }


type Estimator = Callable[[np.ndarray], tuple[dict[str, float], bool]]
"""From observed values to estimates, and whether the fit converged."""


def fits(job: tuple[str, str], replicates: int) -> Fits:
    """Fit so many studies of a design."""
    design, method = job
    estimate = estimator(build(model(), bn.read_data(table(design), cmt=1)), METHODS[method])
    found = [estimate(simulated(design, seed)) for seed in range(1, replicates + 1)]
    return Fits(
        design=design,
        method=method,
        estimates=pd.DataFrame([each for each, _ in found]),
        unfinished=sum(not converged for _, converged in found),
    )


def estimator(population: Population, method: LikelihoodMethod | SAEM | NUTS) -> Estimator:
    """Compile an estimator once."""
    if isinstance(method, NUTS):
        return _by_nuts(population, method)
    if isinstance(method, SAEM):
        return _by_saem(population, method)
    return _by_likelihood(population, method)


def _by_likelihood(population: Population, method: LikelihoodMethod) -> Estimator:
    approximations = method.approximations(population, ["conc"])
    conditional = approximations[-1].conditional

    def estimate(values: np.ndarray) -> tuple[dict[str, float], bool]:
        conditional.observe({"conc": values})
        maximum = search(approximations, method, seed=1).maximum
        return _named(conditional, maximum.theta), maximum.converged

    return estimate


def _by_saem(population: Population, method: SAEM) -> Estimator:
    conditional = Conditional(population, swapped=["conc"])

    def estimate(values: np.ndarray) -> tuple[dict[str, float], bool]:
        conditional.observe({"conc": values})
        found = run_saem(conditional, method, seed=1)
        return _named(conditional, found.theta), not found.problems

    return estimate


def _named(conditional: Conditional, theta: np.ndarray) -> dict[str, float]:
    rows = estimate_rows(conditional, theta)
    return {name: float(value[0]) for name, (value, _) in rows.items()}


def _by_nuts(population: Population, method: NUTS) -> Estimator:
    compiled = compile_model(population, swapped=["conc"])

    def estimate(values: np.ndarray) -> tuple[dict[str, float], bool]:
        draws = draw(compiled.with_observed({"conc": values}), method, seed=1, progress=False)
        rows = population_rows(population.model, draws.posterior, population.data.units)
        diverged = int(draws.sample_stats["diverging"].sum())
        return {name: float(np.median(each)) for name, each, _ in rows}, diverged == 0

    return estimate


def main() -> None:
    """Print the table."""
    given = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    given.add_argument("--replicates", type=int, default=100)
    given.add_argument("--processes", type=int, default=2)
    options = given.parse_args()
    jobs = list(product(DESIGNS, METHODS))
    with ProcessPoolExecutor(options.processes) as executor:
        found = list(executor.map(partial(fits, replicates=options.replicates), jobs))
    sys.stdout.write(written(found))


def written(found: list[Fits]) -> str:
    """Return a row for each design and method, a column for each parameter."""
    heads = ["design", "method", *TRUTH, "not converged"]
    lines = [heads, ["---"] * len(heads)]
    for each in found:
        cells = [f"{r['bias']:+.1f} ± {r['bias_error']:.1f}, {r['rmse']:.1f}" for r in each.rows()]
        lines.append([each.design, each.method, *cells, str(each.unfinished)])
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


if __name__ == "__main__":
    main()
