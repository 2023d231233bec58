import dataclasses

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from bayesnlme.data import read_data
from bayesnlme.diagnostics.individual import individual_predictions, observed_vs_predicted
from bayesnlme.errors import FitError
from bayesnlme.population import covariates


@pytest.fixture(scope="module")
def twice(handmade):
    return handmade.fit(second_dose=6.0, spread=0.0)


def test_curves_follow_the_formula_through_both_doses(twice, handmade):
    table = individual_predictions(twice, points=25)
    for number, subject in enumerate(twice.data.subjects):
        curve = table.isel(point=np.flatnonzero(table["subject"] == subject))
        clearance = twice.posterior["CL"].values[0, 0, number]
        time = curve["time"].values
        expected = handmade.concentration(time, clearance, handmade.V, (0.0, 6.0))
        np.testing.assert_allclose(curve["median"], expected, rtol=1e-12)
        jump = np.diff(curve["median"].values)[np.isclose(np.diff(time), 0, atol=1e-9)]
        np.testing.assert_allclose(jump, handmade.DOSE / handmade.V, rtol=1e-9)


def test_intervals_of_new_observations_are_the_residual_error(handmade):
    fit = handmade.fit(spread=0.0, chains=4, draws=1000)
    table = individual_predictions(fit, points=5, draws=4000, interval=0.9)
    reach = stats.norm.ppf(0.95) * handmade.SD
    np.testing.assert_allclose(table["new_upper"], table["median"] + reach, atol=2e-3)
    np.testing.assert_allclose(table["new_lower"], table["median"] - reach, atol=2e-3)
    np.testing.assert_allclose(table["lower"], table["upper"], rtol=1e-12)


def test_intervals_of_predictions_are_quantiles_of_the_draws(fit):
    table = individual_predictions(fit, points=3, draws=200, interval=0.8)
    seen = fit.data.observations
    for i in range(len(seen)):
        here = (table["subject"] == fit.data.subjects[seen.subject[i]]) & np.isclose(
            table["time"], seen.time[i], rtol=0, atol=0
        )
        draws = fit.predictions.values[..., i]
        expected = np.quantile(draws, [0.1, 0.5, 0.9])
        row = table.isel(point=np.flatnonzero(here)[0])
        np.testing.assert_allclose([row["lower"], row["median"], row["upper"]], expected)


def test_chosen_subjects_only(fit):
    table = individual_predictions(fit, subjects=["2"], points=4, draws=10)
    assert set(table["subject"].values) == {"2"}
    assert set(table["observation_subject"].values) == {"2"}
    assert table.attrs["of_subjects"] == 3
    np.testing.assert_array_equal(table["dose_time"], [0.0])
    with pytest.raises(FitError, match="no subject '9'"):
        individual_predictions(fit, subjects=["9"])
    with pytest.raises(FitError, match="subjects is empty"):
        individual_predictions(fit, subjects=[])
    with pytest.raises(FitError, match="interval=90 must lie"):
        individual_predictions(fit, interval=90)


@pytest.mark.parametrize("carried", ["locf", "nocb"])
def test_curves_follow_a_covariate_that_changes(handmade, carried):
    """Clearances 1 and 3 of subject 1, volumes 20 and 10; subject 2 keeps its own."""
    frame = handmade.table(("1", "2"))
    late = (frame["ID"] == "1") & (frame["TIME"] >= 6)
    frame["WT"] = frame["WT"].mask(late, 90)
    data = read_data(frame, outputs={"1": "conc"}, covariate_interpolation=carried)
    weight = covariates.power("WT", reference=70)
    varying = {
        name: dataclasses.replace(each, covariates=(weight,))
        for name, each in handmade.model().parameters.items()
    }
    over = ("chain", "draw", "interval")
    clearance, volume = np.array([1.0, 3.0, 2.0]), np.array([20.0, 10.0, 20.0])
    draws = {"CL": (over, clearance[None, None]), "V": (over, volume[None, None])}
    draws |= {
        "conc_additive": (("chain", "draw"), [[0.3]]),
        "prediction": (("chain", "draw", "observation"), np.ones((1, 1, data.n_observations))),
    }
    posterior = xr.Dataset(draws, {"chain": [0], "draw": [0], "interval": ["1@0", "1@6", "2@0"]})
    fit = dataclasses.replace(
        handmade.fit(),
        model=handmade.model().replace(parameters=varying),
        data=data,
        tree=xr.DataTree.from_dict({"posterior": posterior}),
    )
    table = individual_predictions(fit, points=9)
    change = 6.0 if carried == "locf" else 2.0
    for subject, rows in (("1", (0, 1)), ("2", (2, 2))):
        curve = table.isel(point=np.flatnonzero(table["subject"] == subject))
        time = curve["time"].values
        first = np.minimum(time, change) * clearance[rows[0]] / volume[rows[0]]
        then = np.maximum(time - change, 0) * clearance[rows[1]] / volume[rows[1]]
        turned = time >= change if carried == "locf" else time > change
        size = volume[np.where(turned, *rows[::-1])]
        expected = handmade.DOSE * np.exp(-first - then) / size
        np.testing.assert_allclose(curve["median"], expected, rtol=1e-9)
        away = np.nextafter(change, -np.inf if carried == "locf" else np.inf)
        assert (away in time) == (subject == "1")


def test_observed_next_to_individual_and_typical_prediction(twice, handmade):
    table = observed_vs_predicted(twice)
    seen = twice.data.observations
    np.testing.assert_array_equal(table["value"], seen.value)
    np.testing.assert_allclose(table["individual"], twice.predictions[0, 0], rtol=1e-12)
    weight = twice.data.covariates["WT"].by_subject[seen.subject]
    typical = handmade.CL * (weight / 70) ** 0.75
    expected = handmade.concentration(seen.time, typical, handmade.V, (0.0, 6.0))
    # the observation at the time of the second dose stands above it or below it in the table
    away = seen.time != 6.0
    np.testing.assert_allclose(table["typical"][away], expected[away], rtol=1e-12)
