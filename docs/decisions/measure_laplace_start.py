"""Compare starts of the sampler: gradients of warm-up, effective draws per gradient; for 0016.

Arguments: the tables phenobarbital.csv and indomethacin.csv of the development set, if at hand.
"""

import sys
from pathlib import Path

import arviz as az
import numpy as np
import nutpie

import bayesnlme as bn
from bayesnlme.inference.compiled import compile_model
from bayesnlme.inference.laplace_start import laplace_chart
from bayesnlme.inference.nuts import for_nutpie
from bayesnlme.inference.starts import starting_points
from bayesnlme.model.examples import theophylline_model
from bayesnlme.results.convergence import _sampled

CHAINS, DRAWS, SEEDS = 4, 500, (1, 2, 3)


def indomethacin(path: Path, factor: float) -> tuple[bn.Model, bn.Dataset]:
    """Return two compartments, from numbers off by a factor up and down in turn."""
    stated = {"CL": 8.0, "V1": 9.0, "Q": 6.0, "V2": 15.0}
    model = bn.Model(
        name="indomethacin",
        parameters={
            each: bn.LogNormal(number * (1 / factor if k % 2 else factor), iiv=0.3)
            for k, (each, number) in enumerate(stated.items())
        },
        structure=bn.pk.two_compartment(),
        observations={"conc": bn.proportional(0.15)},
    )
    return model, bn.read_data(path).subset(outputs=["1"])


def phenobarbital(path: Path) -> tuple[bn.Model, bn.Dataset]:
    """Return one compartment with weight."""
    by_weight = [bn.covariates.power("WT", reference=1.5)]
    model = bn.Model(
        name="phenobarbital",
        parameters={
            "CL": bn.LogNormal(0.007, iiv=0.3, covariates=by_weight),
            "V": bn.LogNormal(1.5, iiv=0.3, covariates=by_weight),
        },
        structure=bn.pk.one_compartment(),
        observations={"conc": bn.combined(additive=0.5, proportional=0.1)},
    )
    return model, bn.read_data(path).subset(outputs=["1"])


def row(population: bn.Population, start: str, tune: int, seed: int) -> tuple[float, ...]:
    """Return gradients of warm-up and after, smallest ESS, divergences, largest R-hat."""
    chart = None if start == "stated" else laplace_chart(population, start, seed=seed)
    model = compile_model(population, chart)
    compiled = for_nutpie(model.density, starting_points(model))
    tree = nutpie.sample(
        compiled, draws=DRAWS, tune=tune, chains=CHAINS, target_accept=0.9, seed=seed,
        progress_bar=False, save_warmup=True,
    )  # fmt: skip
    sampled = _sampled(tree["posterior"].to_dataset())
    ess = min(float(each.min()) for each in az.ess(sampled).data_vars.values())
    rhat = max(float(each.max()) for each in az.rhat(sampled).data_vars.values())
    warm = float(tree["warmup_sample_stats"]["n_steps"].sum())
    kept = float(tree["sample_stats"]["n_steps"].sum())
    return warm, kept, ess, float(tree["sample_stats"]["diverging"].sum()), rhat


def main() -> None:
    """Write the table."""
    given = {Path(each).stem: Path(each) for each in sys.argv[1:]}
    cases = {"theophylline": (theophylline_model(), bn.datasets.theophylline())}
    if "phenobarbital" in given:
        cases["phenobarbital"] = phenobarbital(given["phenobarbital"])
    if "indomethacin" in given:
        for factor in (1, 3):
            cases[f"indomethacin x{factor}"] = indomethacin(given["indomethacin"], factor)
    for name, (model, data) in cases.items():
        population = bn.build(model, data)
        for start, tune in (("stated", 1000), ("stated", 200), ("foce", 1000), ("foce", 200)):
            rows = np.array([row(population, start, tune, seed) for seed in SEEDS])
            warm, kept, ess = np.median(rows[:, :3], axis=0)
            per = np.median(1000 * rows[:, 2] / rows[:, 1])
            overall = np.median(1000 * rows[:, 2] / rows[:, :2].sum(axis=1))
            sys.stdout.write(
                f"| {name} | {start} | {tune} | {warm:.0f} | {kept:.0f} | {ess:.0f} | {per:.1f} | "
                f"{overall:.1f} | {rows[:, 3].sum():.0f} | {rows[:, 4].max():.2f} |\n"
            )
            sys.stdout.flush()


if __name__ == "__main__":
    main()
