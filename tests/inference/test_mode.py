"""The joint posterior mode: exact where the posterior is normal, and honest about variances."""

import numpy as np
import pandas as pd
import pytest

import bayesnlme as bn
from bayesnlme.marginal.conditional import Conditional
from bayesnlme.marginal.laplace import LaplaceApproximation

TIMES = np.array([0.0, 1.0, 2.0, 4.0])


def line(a_sd, b_sd, error):
    return bn.Model(
        name="line",
        parameters={
            "a": bn.Normal(bn.Prior("Normal", mu=4.0, sigma=3.0), iiv=a_sd),
            "b": bn.Normal(bn.Prior("Normal", mu=0.0, sigma=2.0), iiv=b_sd),
        },
        structure=bn.curve(lambda t, p: p.a + p.b * t, output="level"),
        observations={"level": bn.additive(error)},
    )


def table_of(a_sd):
    rng = np.random.default_rng(8)
    rows = []
    for subject in range(1, 9):
        a, b = 5.0 + a_sd * rng.normal(), 1.0 + 0.5 * rng.normal()
        rows += [(subject, t, a + b * t + 0.7 * rng.normal()) for t in TIMES]
    return bn.read_data(pd.DataFrame(rows, columns=["ID", "TIME", "DV"]))


@pytest.fixture(scope="module")
def known():
    """Make a fit with known variances, whose posterior is normal."""
    model = line(bn.fixed(2.0), bn.fixed(0.5), bn.fixed(0.7))
    return bn.fit(model, table_of(2.0), method=bn.Mode(), seed=1, progress=False)


@pytest.fixture(scope="module")
def estimated():
    model = line(2.0, 0.5, 0.7)
    return bn.fit(model, table_of(2.0), method=bn.Mode(), seed=1, progress=False)


def test_the_mode_of_a_normal_posterior_is_its_mean(known):
    assert known.converged, known.verdict
    X = np.stack([np.ones(4), TIMES], axis=1)
    inverse = np.linalg.inv(X @ np.diag([4.0, 0.25]) @ X.T + 0.49 * np.eye(4))
    precision = 8 * X.T @ inverse @ X + np.diag([1 / 9, 1 / 4])
    seen = known.data.observations.value.reshape(8, 4)
    pulled = X.T @ inverse @ seen.sum(axis=0) + [4.0 / 9, 0.0]
    mean = np.linalg.solve(precision, pulled)
    np.testing.assert_allclose(known.estimates, mean, rtol=1e-4)
    eta = (np.diag([4.0, 0.25]) @ X.T @ inverse @ (seen - X @ mean).T).T
    found = known.tree["individual"].to_dataset()["eta"].values
    np.testing.assert_allclose(found, eta, atol=1e-3)


def test_the_ofv_is_that_of_laplace_there(known):
    conditional = Conditional(bn.build(known.model, known.data))
    theta = known.tree["likelihood"].to_dataset()["theta"].values
    assert known.ofv == pytest.approx(-2 * LaplaceApproximation(conditional).values(theta).sum())
    assert known.likelihood.ofv_error == 0
    assert "No standard errors" in known.verdict


def test_variances_that_ran_away_are_told(estimated):
    """The intercepts are known well: their SD grows beyond what EM would make of it."""
    assert estimated.status is bn.Status.NOT_CONVERGED
    assert "no estimate of variances" in estimated.verdict
    assert "omega[a] is" in estimated.verdict
    assert estimated.estimates["omega[a]"] > 1.2 * 2.0


def test_a_search_that_was_cut_short_is_no_result():
    method = bn.Mode(most_iterations=2)
    model = line(bn.fixed(2.0), bn.fixed(0.5), bn.fixed(0.7))
    found = bn.fit(model, table_of(2.0), method=method, seed=1, progress=False)
    assert found.status is bn.Status.NOT_CONVERGED
    assert "ended after 2 steps" in found.verdict


def test_impossible_options_are_refused():
    with pytest.raises(bn.ModelError, match="most_iterations=0"):
        bn.Mode(most_iterations=0)
