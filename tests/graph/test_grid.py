from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xarray import Dataset

from bayesnlme.data import read_data
from bayesnlme.data.rows import parameter_rows, records_at
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
    # each observation stands below the dose of its time; the table's own say their covariates
    np.testing.assert_array_equal(grid.records.evid, [1, 0, 2, 0, 1, 0, 1, 2])
    np.testing.assert_array_equal(grid.records.scored, grid.records.evid == 0)


@pytest.mark.parametrize(
    ("carried", "expected"), [("locf", [50, 50, 60, 70]), ("nocb", [50, 60, 60, 70])]
)
def test_covariates_are_those_that_hold_at_the_time(table, carried, expected):
    given = replace(table, covariate_interpolation=carried)
    grid = at_times(given, {"a": np.array([0.5, 1.5, 2.0]), "b": np.array([1.0])})
    weight = grid.covariates["WT"].values[grid.observations.order]
    np.testing.assert_array_equal(weight, expected)


@settings(deadline=None, max_examples=80)
@given(
    weights=st.lists(st.integers(1, 3), min_size=1, max_size=8),
    gaps=st.lists(st.integers(0, 2), min_size=8, max_size=8),
    asked=st.lists(st.floats(0, 16), min_size=1, max_size=6),
    carried=st.sampled_from(["locf", "nocb"]),
)
def test_rows_of_parameters_stay_as_they_are(weights, gaps, asked, carried):
    times = np.cumsum([0, *gaps])[: len(weights)].astype(float)
    rows = [("a", t, i + 1.0, w) for i, (t, w) in enumerate(zip(times, weights, strict=True))]
    frame = pd.DataFrame(rows, columns=["ID", "TIME", "DV", "WT"])
    data = read_data(frame, covariate_interpolation=carried)
    wanted = np.sort(np.array(asked))
    grid = at_times(data, {"a": wanted})
    before, after = (parameter_rows(each, ["WT"]) for each in (data, grid))
    np.testing.assert_array_equal(after.subject, before.subject)
    np.testing.assert_array_equal(after.start, before.start)
    values = data.covariates["WT"].values
    np.testing.assert_array_equal(grid.covariates["WT"].values[after.record], values[before.record])
    held = records_at(data, np.zeros(wanted.size, dtype=np.int64), wanted)
    np.testing.assert_array_equal(before.of_record[held], after.observation)


def test_every_output_is_observed_at_every_time():
    frame = pd.DataFrame(
        [("a", 0.0, 1.0, "pca"), ("a", 1.0, 2.0, "conc")], columns=["ID", "TIME", "DV", "DVID"]
    )
    grid = at_times(read_data(frame), {"a": np.array([0.5, 2.0])})
    assert grid.observations.time.tolist() == [0.5, 0.5, 2.0, 2.0]
    assert grid.observations.output.tolist() == [0, 1, 0, 1]
    assert grid.observations.value.tolist() == [1.0] * 4


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
