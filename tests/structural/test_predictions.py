"""Predictions of the catalogue from a table, dose to output, against closed forms by hand."""

import numpy as np
import pandas as pd
import pytensor
import pytensor.tensor as pt
import pytest

import bayesnlme as bn

TIMES = np.array([0.4, 1.0, 2.0, 3.4, 6.0, 12.0])


def predict(structure, values, *, rate=0.0, outputs=("conc",)):
    """Predict one subject with a dose of 100 into the first compartment at time 0."""
    rows = [(1, 0.0, 1, 100.0, 1, rate, "", None)]
    rows += [(1, t, 0, 0.0, 0, 0.0, name, 1.0) for t in TIMES for name in outputs]
    columns = ["ID", "TIME", "EVID", "AMT", "CMT", "RATE", "DVID", "DV"]
    inputs = structure.inputs(bn.read_data(pd.DataFrame(rows, columns=columns)))
    parameters = {name: pt.dvector(name) for name in structure.parameters}
    shared = {name: pytensor.shared(array) for name, array in inputs.items()}
    prediction = structure.predict(parameters, shared)
    function = pytensor.function([*parameters.values()], prediction)
    seen = function(*([values[name]] for name in structure.parameters))
    return seen.reshape(len(TIMES), len(outputs)).T


def infused(time, k, duration):
    """Concentration of a unit rate over a duration, per volume."""
    during = np.clip(time, 0, duration)
    after = np.clip(time - duration, 0, None)
    return (1 - np.exp(-k * during)) / k * np.exp(-k * after)


@pytest.mark.parametrize("rate", [0.0, -2.0])
def test_zero_order_absorption_with_a_lag(rate):
    structure = bn.pk.one_compartment(absorption="zero_order", lag=True, bioavailability=True)
    values = {"CL": 2.0, "V": 10.0, "Tk0": 2.5, "Tlag": 0.7, "F": 0.8}
    expected = 0.8 * 100 / 2.5 / 10 * infused(TIMES - 0.7, 0.2, 2.5)
    np.testing.assert_allclose(predict(structure, values, rate=rate)[0], expected, rtol=1e-9)


def test_an_infusion_of_the_table_goes_before_zero_order_absorption():
    structure = bn.pk.one_compartment(absorption="zero_order")
    expected = 25.0 / 10 * infused(TIMES, 0.2, 4.0)
    seen = predict(structure, {"CL": 2.0, "V": 10.0, "Tk0": 2.5}, rate=25.0)[0]
    np.testing.assert_allclose(seen, expected, rtol=1e-9)


def test_a_chain_of_effects():
    site = bn.pd.effect_compartment(bn.pk.one_compartment())
    structure = bn.pd.emax(site, driver="effect_site", sigmoid=True)
    values = {"CL": 2.0, "V": 10.0, "ke0": 0.5, "E0": 3.0, "Emax": 9.0, "EC50": 2.0, "gamma": 1.6}
    conc, at_site, effect = predict(structure, values, outputs=("conc", "effect_site", "E"))
    ce = 10 * 0.5 / (0.5 - 0.2) * (np.exp(-0.2 * TIMES) - np.exp(-0.5 * TIMES))
    np.testing.assert_allclose(conc, 10 * np.exp(-0.2 * TIMES), rtol=1e-9)
    np.testing.assert_allclose(at_site, ce, rtol=1e-9)
    np.testing.assert_allclose(effect, 3 + 9 * ce**1.6 / (2**1.6 + ce**1.6), rtol=1e-9)
