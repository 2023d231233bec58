"""Models with every feature that has a prior, on small tables of made-up numbers."""

from functools import cache

import numpy as np
import pandas as pd

import bayesnlme as bn

COV = bn.covariates


@cache
def table():
    """Return eight subjects with two occasions, four covariates and five outputs."""
    rng = np.random.default_rng(11)
    rows = [
        {
            "ID": subject,
            "TIME": time,
            "OCC": 1 + (time >= 2),
            "DVID": number,
            "DV": value(rng),
            "WT": 50 + 5 * subject,
            "AGE": 30 + 3 * subject,
            "PMA": 40 + 2 * subject,
            "SEX": "FMX"[subject % 3],
        }
        for subject in range(8)
        for time in range(4)
        for number, value in enumerate(
            (
                lambda rng: rng.uniform(1, 9),
                lambda rng: rng.uniform(1, 9),
                lambda rng: int(rng.integers(0, 5)),
                lambda rng: int(rng.integers(0, 4)),
            ),
            start=1,
        )
    ]
    return bn.read_data(pd.DataFrame(rows), outputs={1: "conc", 2: "resp", 3: "count", 4: "score"})


def structure():
    """Return outputs that are simple functions of the parameters."""
    return bn.ode(
        lambda t, y, p: {"x": 0 * y.x},
        states=("x",),
        outputs={
            "conc": lambda t, y, p: p.CL + p.V,
            "resp": lambda t, y, p: p.V * (1 + p.F),
            "count": lambda t, y, p: p.V,
            "score": lambda t, y, p: p.E0 * t,
        },
    )


def _model(name, observations, **changes):
    return bn.Model(name=name, structure=structure(), observations=observations, **changes)


def defaults():
    """Return a model whose priors all come from numbers."""
    return _model(
        "defaults",
        {
            "conc": bn.student_t(bn.combined(additive=0.3, proportional=0.1), df=5),
            "resp": bn.power_error(coefficient=0.3, exponent=0.8),
            "count": bn.negative_binomial(dispersion=0.3),
            "score": bn.ordered(thresholds=[-1.0, 0.5, 2.0]),
        },
        parameters={
            "CL": bn.LogNormal(
                3.0,
                iiv=0.3,
                iov=0.2,
                covariates=[
                    COV.power("WT", reference=70),
                    COV.exponential("AGE", reference=40),
                    COV.categorical("SEX", reference="F"),
                ],
            ),
            "V": bn.LogNormal(
                5.0, iiv=bn.variance(0.1), iov=bn.cv(15), shape=bn.effects.boxcox(0.2)
            ),
            "F": bn.LogitNormal(0.6, iiv=0.4, iov=bn.shared("CL", scale=0.5)),
            "E0": bn.Normal(1.0, iiv=0.5, covariates=[COV.linear("WT", reference=70)]),
        },
        correlated=[("CL", "V", "F")],
        correlated_occasion=[("CL", "V")],
    )


def stated():
    """Return a model whose priors are stated, or known, in every form."""
    return _model(
        "stated",
        {
            "conc": bn.student_t(
                bn.log_normal(bn.sd(0.2, rse=0.3)), df=bn.Prior("Gamma", alpha=4, beta=1)
            ),
            "resp": bn.combined(
                additive=bn.fixed(0.3), proportional=bn.cv(10, rse=0.2), convention="sd"
            ),
            "count": bn.negative_binomial(dispersion=bn.Prior("LogNormal", mu=-1, sigma=0.5)),
            "score": bn.ordered(
                thresholds=[
                    bn.Prior("Normal", mu=0, sigma=1),
                    bn.Prior("Gamma", alpha=3, beta=2),
                    bn.Prior("HalfNormal", sigma=1),
                ]
            ),
        },
        parameters={
            "CL": bn.LogNormal(
                bn.typical(3.0, rse=0.3),
                iiv=bn.sd(0.3, rse=0.2),
                covariates=[
                    COV.power("WT", reference=70, exponent=0.75),
                    COV.maturation(
                        "PMA",
                        half=bn.Prior("LogNormal", mu=3.9, sigma=0.1),
                        hill=bn.Prior("Gamma", alpha=9, beta=3),
                    ),
                    COV.function(
                        "AGE",
                        lambda x, b: 1 + b.loss * x / 100,
                        loss=bn.Prior("HalfNormal", sigma=0.5),
                    ),
                    COV.categorical(
                        "SEX", reference="F", coefficient=bn.Prior("Normal", mu=0.1, sigma=0.2)
                    ),
                ],
            ),
            "V": bn.LogNormal(
                bn.Prior("Gamma", alpha=9, beta=2),
                iiv=bn.Prior("Gamma", alpha=4, beta=10),
                iov=bn.fixed(0.1),
            ),
            "F": bn.LogitNormal(
                bn.Prior("Beta", alpha=4, beta=3),
                iiv=bn.Prior("Uniform", lower=0.1, upper=0.9),
                shape=bn.effects.boxcox(bn.Prior("Normal", mu=0, sigma=0.3)),
            ),
            "E0": bn.Normal(
                bn.typical(1.0, rse=0.5),
                iiv=bn.variance(0.3, rse=0.3),
                shape=bn.effects.student_t(df=6),
                iov=bn.shared("V", scale=bn.typical(0.5, rse=0.3)),
            ),
        },
        correlated=[("CL", "V")],
        lkj=1.5,
    )


MODELS = {"defaults": defaults, "stated": stated}
