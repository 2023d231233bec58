"""Effective draws per gradient of the three forms of random effects, on rich and sparse tables.

Run as ``python docs/decisions/measure_centring.py phenobarbital.csv``, with NONMEM columns and the
covariate WT; without a table the sparse one is left out. Prints a row for each model and form: the
smallest bulk ESS of the summary per 1000 gradients, the middle of three seeds, and divergences of
all three.
"""

import sys

import numpy as np

import bayesnlme as bn
from bayesnlme.model.examples import theophylline_model

SEEDS = (1, 2, 3)
FORMS = ("noncentered", "centered", "auto")


def every_other_sparse(data):
    """Leave two observations, near the peak and late, of every second subject."""
    kept = {str(name) for name in data.subjects[::2]}

    def wanted(row):
        return str(row["ID"]) in kept or 1.5 < row["TIME"] < 2.5 or row["TIME"] > 20

    return data.subset(where=wanted)


def phenobarbital(path):
    by_weight = [bn.covariates.power("WT", reference=1.5, exponent=1.0)]
    model = bn.Model(
        name="phenobarbital",
        parameters={
            "CL": bn.LogNormal(0.007, iiv=0.3, covariates=by_weight),
            "V": bn.LogNormal(1.5, iiv=0.3, covariates=by_weight),
        },
        structure=bn.pk.one_compartment(),
        observations={"conc": bn.combined(additive=0.5, proportional=0.1)},
    )
    return model, bn.read_data(path, covariates=["WT"])


def effort(model, data, form):
    found = []
    for seed in SEEDS:
        fit = bn.fit(model, data, method=bn.NUTS(parametrization=form), seed=seed, progress=False)
        gradients = float(fit.tree["sample_stats"]["n_steps"].sum())
        ess = float(fit.summary()["ess_bulk"].min())
        found.append((1000 * ess / gradients, fit.convergence.divergences))
    efforts, divergences = zip(*found, strict=True)
    return float(np.median(efforts)), sum(divergences)


def main(tables):
    rich = bn.datasets.theophylline()
    cases = {
        "theophylline (rich)": (theophylline_model(), rich),
        "theophylline, every second subject sparse": (
            theophylline_model(),
            every_other_sparse(rich),
        ),
    }
    for path in tables:
        cases["phenobarbital (sparse)"] = phenobarbital(path)
    for name, (model, data) in cases.items():
        for form in FORMS:
            ess, divergences = effort(model, data, form)
            sys.stdout.write(f"{name:45} {form:12} {ess:6.1f} {divergences:4d}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
