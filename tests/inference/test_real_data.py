"""No chain is lost on real tables, from good starts and from starts off by a factor of three.

The starts keep absorption faster than elimination: from the other side chains find the mirror
image of the oral model (flip-flop), disagree, and the verdict says so.

The tables are a development set that the project does not carry; the tests skip without it.
"""

from pathlib import Path

import arviz as az
import pytest

import bayesnlme as bn

TABLES = Path(__file__).parents[3] / "shared" / "data"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not TABLES.exists(), reason="the development tables are not here"),
]


def two_compartments():
    return bn.ode(
        lambda t, y, p: {
            "central": -(p.CL + p.Q) / p.V1 * y.central + p.Q / p.V2 * y.peripheral,
            "peripheral": p.Q / p.V1 * y.central - p.Q / p.V2 * y.peripheral,
        },
        states=("central", "peripheral"),
        outputs={"conc": lambda t, y, p: y.central / p.V1},
    )


def by_weight(reference):
    return [bn.covariates.power("WT", reference=reference)]


ORAL = bn.pk.one_compartment(absorption="first_order")
COMBINED = {"conc": bn.combined(additive=0.5, proportional=0.1)}
CASES = {
    "theophylline_md": (ORAL, {"ka": 1.5, "CL": 2.8, "V": 32.0}, COMBINED),
    "warfarin_pkpd": (ORAL, {"ka": 1.0, "CL": 0.135, "V": 8.0}, COMBINED),
    "phenobarbital": (bn.pk.one_compartment(), {"CL": 0.007, "V": 1.5}, COMBINED),
    "indomethacin": (
        two_compartments(),
        {"CL": 8.0, "V1": 9.0, "Q": 6.0, "V2": 15.0},
        {"conc": bn.proportional(0.15)},
    ),
}


@pytest.mark.parametrize("factor", [1, 3])
@pytest.mark.parametrize("name", CASES)
def test_no_chain_is_lost(name, factor):
    structure, typical, observations = CASES[name]
    data = bn.read_data(TABLES / f"{name}.csv").subset(outputs=["1"])
    covariates = by_weight(1.5) if name == "phenobarbital" else []
    model = bn.Model(
        name=name,
        parameters={
            each: bn.LogNormal(
                number * (1 / factor if place % 2 else factor), iiv=0.3, covariates=covariates
            )
            for place, (each, number) in enumerate(typical.items())
        },
        structure=structure,
        observations=observations,
    )
    method = bn.NUTS(draws=300, tune=600, chains=4)
    fit = bn.fit(model, data, method=method, seed=2, progress=False)
    assert fit.convergence.divergences == 0
    assert fit.convergence.failures == 0
    assert fit.convergence.rhat_max < 1.1
    assert float(az.rhat(fit.tree["sample_stats"]["logp"].to_dataset())["logp"]) < 1.1
