"""Estimates beside those of other programs, and the approximations beside quadrature.

    python -m tests.reference.estimates

fits the models of `published.toml` and writes both tables, `docs/reference/estimates.md`.
"""

import tomllib
from functools import cache
from itertools import groupby
from pathlib import Path

import numpy as np

import bayesnlme as bn
from tests import tables

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "reference" / "estimates.md"
POINTS = 15
METHODS = {
    "FO": bn.FO(starts=3),
    "FOCE": bn.FOCE(interaction=False),
    "FOCEI": bn.FOCE(),
    "Laplace": bn.Laplace(),
    "quadrature(3)": bn.Quadrature(points=3),
    "quadrature": bn.Quadrature(points=POINTS),
}
ORAL, BOLUS = bn.pk.one_compartment(absorption="first_order"), bn.pk.one_compartment()
K_AND_V = bn.pk.one_compartment(parametrization="micro")
SMALL = bn.Prior("Normal", mu=0.01, sigma=0.01)
ADDITIVE = {"conc": bn.additive(0.7)}
PROPORTIONAL = {"conc": bn.proportional(0.12)}


def _oral(ka, cl, v, effects=(), observations=None):
    return bn.Model(
        name="theophylline",
        parameters={
            "ka": bn.LogNormal(ka, iiv=0.6),
            "CL": bn.LogNormal(cl, iiv=0.3, covariates=effects),
            "V": bn.LogNormal(v, iiv=0.15),
        },
        structure=ORAL,
        observations=observations or ADDITIVE,
    )


def _newborns(v, effects, second, structure):
    return bn.Model(
        name="phenobarbital",
        parameters={"V": bn.LogNormal(v, iiv=0.3, covariates=effects), **second},
        structure=structure,
        observations=PROPORTIONAL,
    )


def _by_weight():
    weight = bn.covariates.power("WT", reference=1.0, exponent=1.0)
    apgar = bn.covariates.categorical("APGR", reference="other")
    clearance = bn.LogNormal(0.005, iiv=0.2, covariates=[weight])
    return _newborns(1.0, [weight, apgar], {"CL": clearance}, BOLUS)


def _by_group():
    group = bn.covariates.categorical("GROUP", reference="medium")
    return _newborns(1.2, [group], {"k": bn.LogNormal(0.005, iiv=0.2)}, K_AND_V)


def _trees():
    return bn.Model(
        name="orange",
        parameters={
            "Asym": bn.Normal(190.0, iiv=30.0), "xmid": bn.Normal(700.0), "scal": bn.Normal(350.0)
        },
        structure=bn.curve(
            lambda t, p: p.Asym / (1 + bn.math.exp((p.xmid - t) / p.scal)), output="size"
        ),
        observations={"size": bn.additive(8.0)},
    )  # fmt: skip


def _two_phases():
    return bn.Model(
        name="indomethacin",
        parameters={
            "A1": bn.Normal(2.8, iiv=0.6), "k1": bn.LogNormal(2.2, iiv=0.2),
            "A2": bn.Normal(0.5, iiv=0.15), "k2": bn.LogNormal(0.26),
        },
        structure=bn.curve(
            lambda t, p: p.A1 * bn.math.exp(-p.k1 * t) + p.A2 * bn.math.exp(-p.k2 * t),
            output="conc",
        ),
        observations={"conc": bn.additive(0.08)},
    )  # fmt: skip


MODELS = {
    "theophylline": lambda: (_oral(1.5, 2.8, 32.0), bn.datasets.theophylline()),
    "theophylline, 120 samples": lambda: (
        _oral(1.5, 1.5, 32.0, [bn.covariates.exponential("WT", reference=0.0, coefficient=SMALL)]),
        tables.theophylline_without_time_zero(),
    ),
    "theophylline, 120 samples, mg/kg": lambda: (
        _oral(
            1.5, 0.04, 0.46,
            observations={"conc": bn.combined(additive=0.4, proportional=0.05, convention="sd")},
        ),
        tables.theophylline_without_time_zero(per_kg=True),
    ),
    "phenobarbital, weight and Apgar score": lambda: (_by_weight(), tables.phenobarbital()),
    "phenobarbital": lambda: (
        _newborns(1.4, [], {"CL": bn.LogNormal(0.006, iiv=0.3)}, BOLUS), tables.phenobarbital()
    ),
    "phenobarbital, V and k": lambda: (_by_group(), tables.phenobarbital()),
    "orange": lambda: (_trees(), tables.orange()),
    "indomethacin": lambda: (_two_phases(), tables.indomethacin()),
}  # fmt: skip
COMPARED = ("theophylline", "phenobarbital, weight and Apgar score", "orange", "indomethacin")
"""Models whose approximations are set beside quadrature, one of each data set."""


def results():
    """Return what other programs printed, a mapping each."""
    return tomllib.loads((HERE / "published.toml").read_text())["result"]


@cache
def fitted(model, method):
    """Return our fit of a model by name."""
    return bn.fit(*MODELS[model](), method=METHODS[method], seed=1, progress=False)


def ours(model, method, name):
    """Return what our fit gives: ``"omega[ka]^2"``, ``"log ka_pop"``, ``"ofv"``."""
    fit = fitted(model, method)
    if name.startswith("FOCEI "):
        constant = fit.ofv - fit.likelihood.ofv_without_constant
        return objective_at(model, "FOCEI", fit) - constant
    if name.startswith("ofv"):
        return fit.likelihood.ofv if name == "ofv" else fit.likelihood.ofv_without_constant
    if name.startswith("log "):
        return float(np.log(ours(model, method, name.removeprefix("log "))))
    if name.endswith("^2"):
        return ours(model, method, name.removesuffix("^2")) ** 2
    return float(fit.estimates[name])


def at_printed(result):
    """Return a fit that stands at the printed estimates."""
    at = {}
    for name, printed in result["values"].items():
        number = float(printed)
        if name.startswith("log "):
            at[name.removeprefix("log ")] = float(np.exp(number))
        elif name.endswith("^2"):
            at[name.removesuffix("^2")] = float(np.sqrt(number))
        elif not name.startswith("ofv"):
            at[name] = number
    method = bn.ImportanceSampling(at=at, samples=50)
    return bn.fit(*MODELS[result["model"]](), method=method, seed=1, progress=False)


def decimals(printed):
    """Return how many digits stand behind the point of a printed number."""
    return len(printed.partition(".")[2])


def beside_others():
    """Return the lines of the first table."""
    lines = []
    for model, group in groupby(results(), key=lambda each: each["model"]):
        lines += ["", f"### {model[0].upper()}{model[1:]}", ""]
        lines += ["| program | method here | quantity: printed, *here* |", "|---|---|---|"]
        notes = []
        for each in group:
            pairs = [
                f"`{name}` {printed}, *{ours(model, each['method'], name):.{decimals(printed)}f}*"
                for name, printed in each["values"].items()
            ]
            lines.append(f"| {each['program']} | {each['method']} | {'; '.join(pairs)} |")
            notes.append(f"- {each['program']}: {each['why']}. Source: {each['source']}.")
        lines += ["", *notes]
    return lines


def beside_quadrature():
    """Return the lines of the second table."""
    lines = []
    for model in COMPARED:
        truth = fitted(model, "quadrature")
        free = [each for each in truth.estimates.index if each not in truth.likelihood.at_bound]
        lines += ["", f"### {model[0].upper()}{model[1:]}", ""]
        names = [f"`{each}`, %" for each in free]
        lines += [f"| method | OFV there | OFV at its own maximum | {' | '.join(names)} |"]
        lines += ["|---" * (len(free) + 3) + "|"]
        for name in ("FO", "FOCE", "FOCEI", "Laplace", "quadrature(3)", "quadrature"):
            fit = fitted(model, name)
            moved = 100 * (fit.estimates[free] / truth.estimates[free] - 1)
            cells = (
                [f"{each:+.1f}" for each in moved] if name != "quadrature" else ["0"] * len(free)
            )
            there = objective_at(model, name, truth)
            lines.append(f"| {name} | {there:.2f} | {fit.ofv:.2f} | {' | '.join(cells)} |")
        sampled = bn.fit(
            truth.model, truth.data, method=bn.ImportanceSampling(at=truth), seed=1, progress=False
        )
        error = sampled.likelihood.ofv_error
        lines.append(
            f"| importance sampling | {sampled.ofv:.2f} ± {error:.2f} |" + " |" * (len(free) + 1)
        )
    return lines


def objective_at(model, method, fit):
    """Return the OFV that a method gives at the estimates of another's fit."""
    last = METHODS[method].approximations(bn.build(*MODELS[model]()))[-1]
    theta = fit.tree["likelihood"]["theta"].values
    return -2.0 * float(last.values(theta).sum())


def page():
    """Return the whole page."""
    return "\n".join([HEAD, *beside_others(), "", TRUTH, *beside_quadrature(), ""])


HEAD = (
    "# Estimates beside other programs\n\n"
    "Made by `python -m tests.reference.estimates`; a test holds the first table to what the fits "
    "give. How near ours must be stands in `tests/reference/published.toml`. `ofv` is -2 log "
    "likelihood with all constants, `ofv_without_constant` less $n \\log 2\\pi$; `FOCEI "
    "ofv_without_constant` is FOCEI's at the estimates of the method named. *Quadrature* has "
    f"{POINTS} nodes for each random effect, and stands in for SAEM and importance sampling of "
    "other programs.\n\n"
    "## What they printed"
)
TRUTH = (
    "## The approximations beside quadrature\n\n"
    f"Adaptive quadrature with {POINTS} nodes for each random effect is taken for the truth. "
    "*There* is at its maximum; the last columns are how far the estimates at a method's own "
    "maximum are from those of quadrature, in percent. Estimates at a bound are left out."
)


if __name__ == "__main__":
    PAGE.write_text(page())
