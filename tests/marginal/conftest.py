"""Compiled densities that many tests share."""

import pandas as pd
import pytest

import bayesnlme as bn
from bayesnlme.marginal.conditional import Conditional


@pytest.fixture(scope="session")
def conditional(population):
    return Conditional(population)


@pytest.fixture(scope="session")
def without_interaction(population):
    return Conditional(population, interaction=False)


def line_model(correlated=True):
    """Make a line for each subject, intercept and slope normal: everything is exact."""
    return bn.Model(
        name="line",
        parameters={"a": bn.Normal(5.0, iiv=2.0), "b": bn.Normal(1.0, iiv=0.5)},
        correlated=[("a", "b")] if correlated else (),
        structure=bn.curve(lambda t, p: p.a + p.b * t, output="height"),
        observations={"height": bn.additive(0.7)},
    )


def line_table():
    rows = []
    values = (
        (6.1, 6.9, 8.4, 9.2), (3.2, 4.4, 4.1, 6.3), (5.0, 7.1, 8.2, 10.9), (7.7, 7.9, 8.8, 8.5),
        (2.2, 3.9, 6.0, 7.1), (5.6, 6.6, 6.4, 8.9), (6.6, 6.9, 8.8, 9.9), (4.1, 4.3, 5.6, 5.5),
    )  # fmt: skip
    for subject, seen in enumerate(values, start=1):
        for time, value in enumerate(seen):
            if (subject, time) != (3, 2):
                rows.append({"ID": subject, "TIME": float(time), "DV": value})
    return bn.read_data(pd.DataFrame(rows))


@pytest.fixture(scope="session")
def line():
    return bn.build(line_model(), line_table())
