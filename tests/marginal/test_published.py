"""Objective functions that NONMEM printed, as published by Wang (2007), Table 2.

The ten subjects of the paper, each seen twice, with the model 10 exp(-k t), k = 0.5 exp(eta),
variance of eta 0.04 and residual variance 0.1, at these parameters. The three decimals are those of
nlmixr2's tests (nlmixr2est, ``test-focei-wang2007-basic.R``), which hold them to NONMEM's output.
"""

import numpy as np
import pandas as pd
import pytest

import bayesnlme as bn
from bayesnlme.marginal.conditional import LOG_2PI, Conditional
from bayesnlme.marginal.laplace import LaplaceApproximation
from bayesnlme.marginal.linearised import FirstOrder, FirstOrderConditional
from bayesnlme.marginal.quadrature import AdaptiveQuadrature
from bayesnlme.math import exp

START = (10.68, 10.402, 9.8814, 9.3408, 10.082, 9.8938, 9.8908, 10.234, 9.9882, 9.6736)
AFTER = (3.6837, 6.454, 5.8565, 5.6209, 6.7583, 6.5049, 6.9557, 6.4488, 6.7112, 6.6402)
PRINTED = {
    "proportional": {"FO": 39.213, "FOCE": 39.207, "FOCEI": 39.458},
    "additive": {"FO": 0.026, "FOCE": -2.059, "FOCEI": -2.059},
}
ERRORS = {"proportional": bn.proportional, "additive": bn.additive}


def population(error):
    table = pd.DataFrame(
        {
            "ID": np.repeat(np.arange(1, 11), 2),
            "TIME": np.tile([0.0, 1.0], 10),
            "DV": np.stack([START, AFTER], axis=1).ravel(),
        }
    )
    model = bn.Model(
        name="Wang 2007",
        parameters={"k": bn.LogNormal(0.5, iiv=0.2)},
        structure=bn.curve(lambda t, p: 10 * exp(-p.k * t)),
        observations={"value": ERRORS[error](np.sqrt(0.1))},
    )
    return bn.build(model, bn.read_data(table))


@pytest.fixture(scope="module", params=PRINTED)
def densities(request):
    built = population(request.param)
    plain = Conditional(built, interaction=False)
    return request.param, Conditional(built), plain


def objective(approximation):
    """OFV less n log 2 pi at the starting values, as NONMEM prints it."""
    values = approximation.values(approximation.conditional.start)
    return -2 * values.sum() - 20 * LOG_2PI


def test_the_starting_values_are_those_of_the_paper(densities):
    _, conditional, _ = densities
    natural = conditional.natural(conditional.start).isel(chain=0, draw=0)
    assert float(natural["k_pop"]) == pytest.approx(0.5)
    assert float(natural["omega"][0]) == pytest.approx(0.2)


def test_objective_functions_are_those_printed(densities):
    error, conditional, plain = densities
    found = {
        "FO": objective(FirstOrder(plain)),
        "FOCE": objective(FirstOrderConditional(plain)),
        "FOCEI": objective(FirstOrderConditional(conditional)),
    }
    assert found == pytest.approx(PRINTED[error], abs=6e-4)


def test_quadrature_is_the_integral(densities):
    """One random effect: the integral of each subject by a fine sum over the effect."""
    _, conditional, _ = densities
    z = np.linspace(-8, 8, 4001)
    h = np.stack([
        conditional.density(conditional.start, np.full((10, 1), each))[0] for each in z
    ])  # fmt: skip
    exact = -2 * np.log(np.exp(h).sum(axis=0) * (z[1] - z[0])).sum() - 20 * LOG_2PI
    assert objective(AdaptiveQuadrature(conditional, 15)) == pytest.approx(exact, abs=1e-6)
    assert objective(LaplaceApproximation(conditional)) == pytest.approx(exact, abs=0.2)
