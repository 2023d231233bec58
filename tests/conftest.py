"""Models, data and fits that many tests share: each compilation costs seconds."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import bayesnlme as bn
from bayesnlme.model import examples


def theophylline_model(structure=None):
    shipped = examples.theophylline_model()
    return shipped if structure is None else shipped.replace(structure=structure)


def theophylline_equations(**options):
    return bn.ode(
        lambda t, y, p: {
            "depot": -p.ka * y.depot,
            "central": p.ka * y.depot - p.CL / p.V * y.central,
        },
        states=("depot", "central"),
        outputs={"conc": lambda t, y, p: y.central / p.V},
        solver=bn.Solver(**options),
    )


@pytest.fixture(scope="session")
def data():
    return bn.datasets.theophylline()


@pytest.fixture(scope="session")
def model():
    return theophylline_model()


@pytest.fixture(scope="session")
def population(model, data):
    return bn.build(model, data)


@pytest.fixture(scope="session")
def ode_model():
    return theophylline_model(theophylline_equations())


@pytest.fixture(scope="session")
def ode_population(ode_model, data):
    return bn.build(ode_model, data)


@pytest.fixture(scope="session")
def foce_fit(model, data):
    return bn.fit(model, data, method=bn.FOCE(), seed=1, progress=False)


@pytest.fixture(scope="session")
def mode_fit(model, data):
    return bn.fit(model, data, method=bn.Mode(), seed=1, progress=False)


@pytest.fixture(scope="session")
def weighed_fit(model, data, foce_fit):
    """Evaluate the likelihood by importance sampling at the estimates of FOCEI."""
    method = bn.ImportanceSampling(at=foce_fit)
    return bn.fit(model, data, method=method, seed=1, progress=False)


@pytest.fixture(scope="session")
def bound_fit():
    """Fit lines of subjects that differ less than chance, so that their SD is zero."""
    rng = np.random.default_rng(2)
    table = pd.DataFrame({"ID": np.repeat(np.arange(12), 4), "TIME": np.tile(np.arange(4.0), 12)})
    table["DV"] = 5.0 + table["TIME"] + rng.normal(0, 1, 48)
    table["DV"] -= 0.9 * (table.groupby("ID")["DV"].transform("mean") - table["DV"].mean())
    line = bn.Model(
        name="line",
        parameters={"a": bn.Normal(5.0, iiv=0.3), "b": bn.Normal(1.0)},
        structure=bn.curve(lambda t, p: p.a + p.b * t),
        observations={"value": bn.additive(1.0)},
    )
    return bn.fit(line, bn.read_data(table), method=bn.FO(), seed=1, progress=False)


@pytest.fixture(scope="session")
def method():
    return bn.NUTS(draws=300, tune=400, chains=4)


@pytest.fixture(scope="session")
def fit(model, data, method):
    return bn.fit(model, data, method=method, seed=20, progress=False)


@pytest.fixture(scope="session")
def ode_fit(ode_model, data, method):
    return bn.fit(ode_model, data, method=method, seed=21, progress=False)


@pytest.fixture(scope="session")
def handmade():
    """Fits whose draws come from formulas; see `tests/diagnostics/handmade.py`."""
    found = runpy.run_path(str(Path(__file__).parent / "diagnostics" / "handmade.py"))
    return SimpleNamespace(**found)


@pytest.fixture(scope="session")
def prior_points(population):
    """Thirty points of the prior on the unconstrained scale, by the names of the values."""
    return draw_points(population.pymc, 30, seed=5)


def draw_points(graph, count, *, seed):
    rng = np.random.default_rng(seed)
    start = graph.initial_point()
    return [
        {name: value + rng.normal(0, 0.5, size=value.shape) for name, value in start.items()}
        for _ in range(count)
    ]


def frame(rows, columns="ID TIME EVID AMT CMT DV"):
    return pd.DataFrame(rows, columns=columns.split())
