"""Judge the variational approximation by its weights, and against NUTS; for 0017.

Arguments: the tables phenobarbital.csv and indomethacin.csv of the development set, if at hand.
"""

import sys
import time
from pathlib import Path

import numpy as np
from measure_laplace_start import indomethacin, phenobarbital

import bayesnlme as bn
from bayesnlme.inference.density import compile_density
from bayesnlme.inference.elbo import MeanField, approximate
from bayesnlme.inference.laplace_start import laplace_chart
from bayesnlme.inference.weighing import smoothed, weigh, weights_of_approximation
from bayesnlme.marginal.conditional import Conditional
from bayesnlme.model.examples import theophylline_model

POINTS, SEEDS = 2000, (1, 2, 3)


def weights(population: bn.Population, seed: int) -> list[tuple[str, float, float, float]]:
    """Return k, the largest k of a subject and ESS: all at once, by subject from two starts."""
    rng, conditional = np.random.default_rng(seed), Conditional(population)
    chart = laplace_chart(population, "foce", seed=seed)
    density = compile_density(population.pymc, chart)
    function, places = density.function, chart.places
    found = approximate(function, places, accuracy=0.05, rng=rng)
    plain = weights_of_approximation(function, chart, found, count=POINTS, rng=rng)[1]
    shares, k = smoothed(plain)
    rows = [("all effects at once", k, np.nan, 1 / (shares**2).sum())]
    laplace = MeanField(
        mean=np.zeros(density.size), sd=np.ones(density.size), draws=0, error=0.0, steps=0
    )
    for name, start in (("by subject", found), ("by subject, from Laplace", laplace)):
        weighed = weigh(conditional, chart, start, count=POINTS, rng=rng, watch=lambda *_: None)
        k = smoothed(weighed.log_weights)[1]
        rows.append((name, k, weighed.subject_tails().max(), 1 / (weighed.shares**2).sum()))
    return rows


def against_nuts(model: bn.Model, data: bn.Dataset) -> str:
    """Return the largest difference of means, in SDs, range of ratios of SDs, and times."""
    began = time.perf_counter()
    mine = bn.fit(model, data, method=bn.Variational(), seed=1, progress=False)
    between = time.perf_counter()
    exact = bn.fit(model, data, method=bn.NUTS(start="foce"), seed=1, progress=False)
    times = between - began, time.perf_counter() - between
    one, two = mine.summary(), exact.summary()
    apart = ((one["mean"] - two["mean"]) / two["sd"]).abs().max()
    ratio = one["sd"] / two["sd"]
    return (
        f"{mine.status} | {exact.status} | {apart:.2f} | {ratio.min():.2f} to {ratio.max():.2f} | "
        f"{times[0]:.0f} | {times[1]:.0f}"
    )


def main() -> None:
    """Write both tables."""
    given = {Path(each).stem: Path(each) for each in sys.argv[1:]}
    cases = {"theophylline": (theophylline_model(), bn.datasets.theophylline())}
    if "phenobarbital" in given:
        cases["phenobarbital"] = phenobarbital(given["phenobarbital"])
    if "indomethacin" in given:
        cases["indomethacin"] = indomethacin(given["indomethacin"], 1.0)
    for name, (model, data) in cases.items():
        population = bn.build(model, data)
        for rows in zip(*(weights(population, seed) for seed in SEEDS), strict=True):
            k, of_subjects, ess = (
                " ".join(f"{row[column]:{form}}" for row in rows)
                for column, form in ((1, ".2f"), (2, ".2f"), (3, ".0f"))
            )
            sys.stdout.write(f"| {name} | {rows[0][0]} | {k} | {of_subjects} | {ess} |\n")
            sys.stdout.flush()
        sys.stdout.write(f"| {name} | {against_nuts(model, data)} |\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
