"""Real tables with the models that the field fits to them.

The numbers are rounded from the publications that the tables come with, whatever the fits did.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import bayesnlme as bn
from bayesnlme.data import Dataset
from bayesnlme.model.model import Model

TABLES = Path(__file__).parents[3] / "shared" / "data"


def read(name: str, **options: Any) -> Dataset:
    return bn.read_data(TABLES / f"{name}.csv", **options)


def on_natural_scale() -> Dataset:
    """Return nimotuzumab's table, whose concentrations are logs."""
    table = pd.read_csv(TABLES / "nimotuzumab.csv", na_values=".")
    return bn.read_data(table.assign(DV=np.exp(table["DV"])))


def by_weight(reference: float, exponent: float) -> list[Any]:
    return [bn.covariates.power("WT", reference=reference, exponent=exponent)]


def biexponential(t, p):
    return bn.math.log10(p.P1 * bn.math.exp(-p.l1 * t) + p.P2 * bn.math.exp(-p.l2 * t))


COMBINED = bn.combined(additive=0.5, proportional=0.1)
ORAL = bn.pk.one_compartment(absorption="first_order", lag=True)


CASES: dict[str, tuple[Callable[[], Dataset], Model]] = {
    "phenobarbital": (
        lambda: read("phenobarbital"),
        bn.Model(
            name="phenobarbital",
            parameters={
                "CL": bn.LogNormal(0.007, iiv=0.3, covariates=by_weight(1.5, 1.0)),
                "V": bn.LogNormal(1.5, iiv=0.3, covariates=by_weight(1.5, 1.0)),
            },
            structure=bn.pk.one_compartment(),
            observations={"conc": COMBINED},
        ),
    ),
    # The lag is one for all: 9 subjects of 32 have samples in the first two hours. The density is
    # not smooth where it passes the time of a sample, and has a mode for each interval between.
    "warfarin_pk": (
        lambda: read("warfarin_pkpd").subset(outputs=["1"]),
        bn.Model(
            name="warfarin_pk",
            parameters={
                "ka": bn.LogNormal(1.0, iiv=0.5),
                "CL": bn.LogNormal(0.135, iiv=0.3, covariates=by_weight(70, 0.75)),
                "V": bn.LogNormal(8.0, iiv=0.2, covariates=by_weight(70, 1.0)),
                "Tlag": bn.LogNormal(0.8),
            },
            structure=ORAL,
            observations={"conc": COMBINED},
        ),
    ),
    # Baseline and loss, as nlmixr2 writes this model: effects on production and on loss would trade
    # off, for together they make the baseline, which the samples before the effect show well.
    "warfarin_pkpd": (
        lambda: read("warfarin_pkpd", outputs={1: "conc", 2: "pca"}),
        bn.Model(
            name="warfarin_pkpd",
            parameters={
                "ka": bn.LogNormal(1.0, iiv=0.5),
                "CL": bn.LogNormal(0.135, iiv=0.3, covariates=by_weight(70, 0.75)),
                "V": bn.LogNormal(8.0, iiv=0.2, covariates=by_weight(70, 1.0)),
                "Tlag": bn.LogNormal(0.8),
                "R0": bn.LogNormal(96.0, iiv=0.05),
                "kout": bn.LogNormal(0.05, iiv=0.1),
                "IC50": bn.LogNormal(1.2, iiv=0.4),
                "Imax": bn.LogNormal(bn.fixed(1.0)),
            },
            structure=bn.pd.indirect_response(ORAL, driver="conc", baseline=True, output="pca"),
            observations={"conc": COMBINED, "pca": bn.additive(4.0)},
        ),
    ),
    "indomethacin": (
        lambda: read("indomethacin"),
        bn.Model(
            name="indomethacin",
            parameters={
                "CL": bn.LogNormal(8.0, iiv=0.3),
                "V1": bn.LogNormal(9.0, iiv=0.3),
                "Q": bn.LogNormal(6.0, iiv=0.3),
                "V2": bn.LogNormal(15.0, iiv=0.3),
            },
            structure=bn.pk.two_compartment(),
            observations={"conc": bn.proportional(0.15)},
        ),
    ),
    "orange": (
        lambda: read("orange"),
        bn.Model(
            name="orange",
            parameters={
                "Asym": bn.LogNormal(190.0, iiv=0.2),
                "xmid": bn.LogNormal(700.0),
                "scal": bn.LogNormal(350.0),
            },
            structure=bn.growth.logistic_curve(),
            observations={"size": bn.additive(8.0)},
        ),
    ),
    "loblolly": (
        lambda: read("loblolly"),
        bn.Model(
            name="loblolly",
            parameters={
                "Asym": bn.LogNormal(100.0, iiv=0.05),
                "y0": bn.Normal(-8.5),
                "k": bn.LogNormal(0.04),
            },
            structure=bn.growth.asymptotic_curve(),
            observations={"size": bn.additive(0.7)},
        ),
    ),
    "epilepsy": (
        lambda: read("epilepsy", time="PERIOD", covariates=["TRT", "BASE"]),
        bn.Model(
            name="epilepsy",
            parameters={
                "rate": bn.LogNormal(
                    6.0,
                    iiv=0.5,
                    covariates=[
                        bn.covariates.power("BASE", reference=22),
                        bn.covariates.categorical("TRT", reference="0"),
                    ],
                )
            },
            structure=bn.curve(lambda t, p: p.rate, output="count"),
            observations={"count": bn.negative_binomial(dispersion=0.2)},
        ),
    ),
    "hiv_sim": (
        lambda: read("hiv_virload20_sim", covariates=[]),
        bn.Model(
            name="hiv_sim",
            parameters={
                "P1": bn.LogNormal(10_000.0, iiv=1.0),
                "l1": bn.LogNormal(0.1, iiv=0.3),
                "P2": bn.LogNormal(50.0, iiv=1.0),
                "l2": bn.LogNormal(0.003),
            },
            structure=bn.curve(biexponential, output="load"),
            observations={"load": bn.additive(0.2)},
        ),
    ),
    "hiv_actg315": (
        lambda: read("hiv_actg315", covariates=[]),
        bn.Model(
            name="hiv_actg315",
            parameters={
                "P1": bn.LogNormal(100_000.0, iiv=1.0),
                "l1": bn.LogNormal(0.4, iiv=0.3),
                "P2": bn.LogNormal(1000.0, iiv=1.0),
                "l2": bn.LogNormal(0.03, iiv=0.5),
            },
            structure=bn.curve(biexponential, output="load"),
            observations={"load": bn.additive(0.3)},
        ),
    ),
    "knee": (
        lambda: read("knee", covariates=["TRT"]),
        bn.Model(
            name="knee",
            parameters={
                "base": bn.Normal(bn.fixed(0.0), iiv=2.0),
                "slope": bn.Normal(
                    -0.2, covariates=[bn.covariates.categorical("TRT", reference="0")]
                ),
            },
            structure=bn.curve(lambda t, p: p.base + p.slope * t, output="pain"),
            observations={"pain": bn.ordered(thresholds=[-3.0, -1.0, 1.0, 3.0], first=1)},
        ),
    ),
    "toenail": (
        lambda: read("toenail", covariates=["TRT"]),
        bn.Model(
            name="toenail",
            parameters={
                "base": bn.Normal(-2.0, iiv=3.0),
                "slope": bn.Normal(
                    -0.4, covariates=[bn.covariates.categorical("TRT", reference="0")]
                ),
            },
            structure=bn.curve(lambda t, p: p.base + p.slope * t, output="severe"),
            observations={"severe": bn.binary()},
        ),
    ),
    "lung": (
        lambda: bn.read_data(
            pd.read_csv(TABLES / "lung_tte.csv").drop(columns="CENS"),
            dv="STATUS",
            covariates=["SEX"],
            units={"TIME": "day"},
        ),
        bn.Model(
            name="lung",
            parameters={
                "Te": bn.LogNormal(
                    300.0,
                    unit="day",
                    covariates=[bn.covariates.categorical("SEX", reference="0")],
                ),
                "shape": bn.LogNormal(1.0),
            },
            structure=bn.hazard.weibull(),
            observations={"event": bn.time_to_event()},
        ),
    ),
    "nimotuzumab": (
        on_natural_scale,
        bn.Model(
            name="nimotuzumab",
            parameters={
                "CL": bn.LogNormal(0.02, iiv=0.3, iov=0.1),
                "V1": bn.LogNormal(2.5, iiv=0.3),
                "Q": bn.LogNormal(0.03),
                "V2": bn.LogNormal(2.0),
            },
            structure=bn.pk.two_compartment(),
            observations={"conc": bn.log_normal(0.3)},
        ),
    ),
}
