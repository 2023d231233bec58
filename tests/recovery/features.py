"""One small model for each feature, with priors from which sensible tables can be drawn."""

from typing import Any

import numpy as np
import pandas as pd

import bayesnlme as bn
from bayesnlme.model.model import Model

SUBJECTS, TIMES = 16, np.array([0.0, 0.5, 1.0, 2.0, 3.0, 5.0])
CURVE = bn.curve(lambda t, p: p.a * bn.math.exp(-p.k * t), output="z")
SHARE = bn.curve(lambda t, p: 10 * p.a * bn.math.exp(-p.k * t), output="z")
LINE = bn.curve(lambda t, p: p.a - p.k * t, output="z")


def table(values: float = 1.0) -> pd.DataFrame:
    """Return the design, with covariates of every kind."""
    subject, size = np.arange(SUBJECTS), TIMES.size
    rows = pd.DataFrame(
        {
            "ID": np.repeat(subject, size) + 1,
            "TIME": np.tile(TIMES, SUBJECTS),
            "DV": values,
            "WT": np.repeat(40.0 + 4.0 * subject, size),
            "SEX": np.repeat(subject % 2, size),
            "AGE": np.repeat(0.2 + 0.15 * subject, size),
            "OCC": 1 + (np.tile(TIMES, SUBJECTS) > 1.5),
        }
    )
    # falls with time at a rate of the subject's own
    return rows.assign(CR=1.0 + 0.1 * rows["ID"] * np.exp(-0.3 * rows["TIME"]))


def two_outputs() -> pd.DataFrame:
    """Return the design with both outcomes at every time."""
    rows = [table().assign(DVID=name) for name in ("n", "z")]
    return pd.concat(rows).sort_values(["ID", "TIME"], kind="stable", ignore_index=True)


def positive(x: float, **options: Any) -> Any:
    return bn.LogNormal(bn.typical(x, rse=0.3), **options)


def spread(x: float) -> bn.Prior:
    """Return a prior for an SD that keeps away from zero."""
    return bn.Prior("LogNormal", mu=float(np.log(x)), sigma=0.3)


def coefficient(x: float, sd: float) -> bn.Prior:
    return bn.Prior("Normal", mu=x, sigma=sd)


def made(
    outcome: Any = None, a: Any = None, k: Any = None, structure: Any = CURVE, **options: Any
) -> Model:
    return bn.Model(
        name="recovery",
        parameters={
            "a": positive(6.0, iiv=spread(0.3)) if a is None else a,
            "k": positive(0.4) if k is None else k,
        },
        structure=structure,
        observations={"z": bn.additive(spread(0.3)) if outcome is None else outcome},
        **options,
    )


def with_effect(effect: Any) -> Model:
    return made(a=positive(6.0, iiv=spread(0.3), covariates=[effect]))


def logits(**options: Any) -> Any:
    return bn.Normal(bn.Prior("Normal", mu=1.0, sigma=0.5), iiv=spread(0.8), **options)


FEATURES: dict[str, Model] = {
    "iiv log-normal": made(),
    "iiv normal": made(a=bn.Normal(bn.Prior("Normal", mu=6.0, sigma=1.0), iiv=spread(1.0))),
    "iiv logit-normal": made(
        a=bn.LogitNormal(bn.Prior("Beta", alpha=6.0, beta=4.0), iiv=spread(0.5)), structure=SHARE
    ),
    "iiv known": made(a=positive(6.0, iiv=bn.fixed(0.3))),
    "correlation": made(k=positive(0.4, iiv=spread(0.3)), correlated=[("a", "k")]),
    "iov": made(a=positive(6.0, iiv=spread(0.3), iov=spread(0.2))),
    "Box-Cox effects": made(
        a=positive(6.0, iiv=spread(0.4), shape=bn.effects.boxcox(coefficient(0.5, 0.5)))
    ),
    "Student-t effects": made(
        a=positive(
            6.0, iiv=spread(0.3), shape=bn.effects.student_t(df=bn.Prior("Gamma", alpha=8, beta=1))
        )
    ),
    "power": with_effect(bn.covariates.power("WT", reference=70, exponent=coefficient(0.75, 0.3))),
    "exponential": with_effect(
        bn.covariates.exponential("WT", reference=70, coefficient=coefficient(0.01, 0.005))
    ),
    "linear": with_effect(
        bn.covariates.linear("WT", reference=70, coefficient=coefficient(0.005, 0.002))
    ),
    "categorical": with_effect(
        bn.covariates.categorical("SEX", reference="0", coefficient=coefficient(0.0, 0.5))
    ),
    "maturation": with_effect(bn.covariates.maturation("AGE", half=spread(0.8), hill=spread(2.0))),
    "time-varying": made(
        k=positive(
            0.4,
            covariates=[bn.covariates.power("CR", reference=1, exponent=coefficient(1.0, 0.3))],
        )
    ),
    "proportional": made(bn.proportional(spread(0.15))),
    "combined": made(bn.combined(additive=spread(0.2), proportional=spread(0.1))),
    "combined of SDs": made(
        bn.combined(additive=spread(0.2), proportional=spread(0.1), convention="sd")
    ),
    "power error": made(
        bn.power_error(coefficient=spread(0.2), exponent=bn.Prior("Normal", mu=0.7, sigma=0.2))
    ),
    "log-normal error": made(bn.log_normal(spread(0.2))),
    "Student-t error": made(
        bn.student_t(bn.additive(spread(0.3)), df=bn.Prior("Gamma", alpha=8, beta=1))
    ),
    "M3": made(bn.additive(spread(0.3), blq="M3")),
    "M4": made(bn.additive(spread(0.3), blq="M4")),
    "poisson": made(bn.poisson()),
    "negative binomial": made(bn.negative_binomial(dispersion=spread(0.3))),
    "binary": made(bn.binary(), a=logits(), structure=LINE),
    "ordered": made(
        bn.ordered(thresholds=[bn.Prior("Normal", mu=-0.5, sigma=0.5), spread(1.0), spread(1.0)]),
        a=bn.Normal(bn.fixed(0.0), iiv=spread(0.8)),
        structure=LINE,
    ),
}

SHARED = "two outcomes"
FEATURES[SHARED] = bn.Model(
    name="recovery",
    parameters={"a": positive(6.0, iiv=spread(0.3)), "k": positive(0.4, iiv=spread(0.3))},
    structure=bn.ode(
        lambda t, y, p: {"left": -p.k * y.left},
        states=("left",),
        initial={"left": lambda p: p.a},
        outputs={"z": lambda t, y, p: y.left, "n": lambda t, y, p: 0.5 * y.left},
    ),
    observations={"z": bn.additive(spread(0.3)), "n": bn.poisson()},
)

CENSORED = ("M3", "M4")
LIMIT = 1.0
