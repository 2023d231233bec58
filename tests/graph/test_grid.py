import numpy as np
import pandas as pd
import pytest
from xarray import Dataset

from bayesnlme.data import read_data
from bayesnlme.graph.build import build
from bayesnlme.graph.grid import at_times, predict_draws
from bayesnlme.model.model import Model
from bayesnlme.observation.continuous import additive
from bayesnlme.population.parameters import LogNormal
from bayesnlme.structural import pk


@pytest.fixture(scope="module")
def table():
    frame = pd.DataFrame(
        [
            ("a", 0.0, 1, 10.0, np.nan, 50, 1),
            ("a", 1.0, 0, 0.0, 2.0, 50, 1),
            ("a", 2.0, 1, 20.0, np.nan, 60, 1),
            ("b", 0.0, 1, 30.0, np.nan, 70, 1),
            ("b", 3.0, 0, 0.0, 4.0, 70, 1),
        ],
        columns=["ID", "TIME", "EVID", "AMT", "DV", "WT", "CMT"],
    )
    return read_data(frame)


def test_doses_stay_and_observations_move(table):
    grid = at_times(table, {"a": np.array([0.0, 1.5, 2.0])})
    assert grid.subjects == table.subjects
    np.testing.assert_array_equal(grid.doses.amount, table.doses.amount)
    np.testing.assert_array_equal(grid.observations.time, [0.0, 1.5, 2.0])
    np.testing.assert_array_equal(grid.observations.subject, [0, 0, 0])
    # each observation stands below the dose of its time
    np.testing.assert_array_equal(grid.records.evid, [1, 0, 0, 1, 0, 1])


def test_covariates_keep_their_last_value(table):
    grid = at_times(table, {"a": np.array([1.5, 2.0]), "b": np.array([1.0])})
    weight = grid.covariates["WT"].values[grid.observations.order]
    np.testing.assert_array_equal(weight, [50, 60, 70])


def test_predictions_are_those_of_the_formula(table):
    model = Model(
        name="bolus",
        parameters={"CL": LogNormal(1.0), "V": LogNormal(10.0)},
        structure=pk.one_compartment(),
        observations={"conc": additive(1.0)},
    )
    population = build(model, at_times(table, {"b": np.array([1.0, 4.0])}))
    over = ("chain", "draw", "subject")
    clearance, volume = np.array([[[1.0, 2.0], [1.0, 3.0]]]), np.full((1, 2, 2), 10.0)
    draws = Dataset({"CL": (over, clearance), "V": (over, volume)}, {"chain": [0], "draw": [4, 7]})
    found = predict_draws(population, draws, ["CL", "V"])
    expected = 3.0 * np.exp(-np.outer([0.2, 0.3], [1.0, 4.0]))
    np.testing.assert_allclose(found.values[0], expected, rtol=1e-12)
    assert found["draw"].values.tolist() == [4, 7]
