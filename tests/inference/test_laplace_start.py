"""Starting at Laplace's mode: exact where the posterior is normal, one posterior always."""

import numpy as np
import pandas as pd
import pytest

import bayesnlme as bn
from bayesnlme.inference import laplace_start
from bayesnlme.inference.density import compile_density
from bayesnlme.inference.laplace_start import laplace_chart
from bayesnlme.marginal.conditional import Conditional
from bayesnlme.marginal.laplace import LaplaceApproximation

OMEGA = {"a": 2.0, "b": 0.5}


def line(**changes):
    """Make a line for each subject, with known variances: the posterior is normal."""
    given = {
        "parameters": {
            "a": bn.Normal(bn.Prior("Normal", mu=4.0, sigma=3.0), iiv=bn.fixed(OMEGA["a"])),
            "b": bn.Normal(bn.Prior("Normal", mu=0.0, sigma=2.0), iiv=bn.fixed(OMEGA["b"])),
        },
        "structure": bn.curve(lambda t, p: p.a + p.b * t, output="level"),
        "observations": {"level": bn.additive(bn.fixed(0.7))},
        **changes,
    }
    return bn.Model(name="line", **given)


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(8)
    rows = []
    for subject in range(1, 9):
        a, b = 5.0 + OMEGA["a"] * rng.normal(), 1.0 + OMEGA["b"] * rng.normal()
        rows += [(subject, t, a + b * t + 0.7 * rng.normal()) for t in (0.0, 1.0, 2.0, 4.0)]
    return bn.read_data(pd.DataFrame(rows, columns=["ID", "TIME", "DV"]))


@pytest.fixture(scope="module")
def charted(table):
    population = bn.build(line(), table)
    chart = laplace_chart(population, "foce", seed=1)
    return chart, *(compile_density(population.pymc, each) for each in (None, chart))


def test_a_normal_posterior_is_standard_normal_in_the_chart(charted):
    _, _, density = charted
    function = density.function
    slope = function(np.zeros(density.size))[1]
    assert 0.5 * slope @ slope < laplace_start.TOLERANCE
    for u in np.random.default_rng(2).normal(0, 2, (5, density.size)):
        np.testing.assert_allclose(function(u)[1], slope - u, atol=1e-5)


def test_the_density_is_that_of_the_point(charted):
    chart, plain, density = charted
    u = np.random.default_rng(3).normal(size=density.size)
    x = chart.point(u)
    value = density.function(u)[0]
    assert value == pytest.approx(plain.function(x)[0], rel=1e-12)


def test_sampling_gives_the_same_posterior(table):
    """The mean of a normal posterior by conjugacy; starts are two SDs apart at most."""
    method = bn.NUTS(draws=500, tune=100, start="foce")
    found = bn.fit(line(), table, method=method, seed=3, progress=False)
    assert found.converged, found.verdict
    seen = table.observations
    X = np.stack([np.ones(4), [0.0, 1.0, 2.0, 4.0]], axis=1)
    inverse = np.linalg.inv(X @ np.diag([4.0, 0.25]) @ X.T + 0.49 * np.eye(4))
    precision = 8 * X.T @ inverse @ X + np.diag([1 / 9, 1 / 4])
    pulled = X.T @ inverse @ seen.value.reshape(8, 4).sum(axis=0) + [4.0 / 9, 0.0]
    summary = found.summary()
    error = (summary["mean"] - np.linalg.solve(precision, pulled)) / summary["mcse_mean"]
    assert error.abs().max() < 4.5
    sd = np.sqrt(np.diag(np.linalg.inv(precision)))
    np.testing.assert_allclose(summary["sd"], sd, rtol=0.12)
    assert found.method["start"] == "foce"
    assert found.provenance["seconds"]["start"] > 0


def test_what_foce_cannot_take_goes_by_laplace(table):
    robust = line(observations={"level": bn.student_t(bn.additive(0.7), df=4)})
    conditional = Conditional(bn.build(robust, table))
    chosen = laplace_start._approximation(conditional, "foce")
    assert isinstance(chosen, LaplaceApproximation)


def test_a_variance_does_not_go_to_zero():
    """No subject differs, so that the likelihood is largest at an SD of zero."""
    rows = [(s, t, 5.0 + t + 0.3 * (-1) ** t) for s in range(1, 7) for t in range(4)]
    same = bn.read_data(pd.DataFrame(rows, columns=["ID", "TIME", "DV"]))
    model = line(
        parameters={"a": bn.Normal(5.0, iiv=1.0), "b": bn.Normal(1.0)},
        observations={"level": bn.additive(0.5)},
    )
    chart = laplace_chart(bn.build(model, same), "laplace", seed=1)
    assert np.isfinite(chart.theta).all()
    assert np.abs(chart.theta).max() < 8


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"start": "focei"}, "no start 'focei'. Did you mean 'foce'"),
        ({"start": "foce", "parametrization": "auto"}, "parametrization='noncentered'"),
    ],
)
def test_impossible_starts_are_refused(options, words):
    with pytest.raises(bn.ModelError, match=words):
        bn.NUTS(**options)


def test_nothing_to_estimate_is_refused(table):
    known = {"a": bn.Normal(bn.fixed(5.0), iiv=bn.fixed(2.0)), "b": bn.Normal(bn.fixed(1.0))}
    method = bn.NUTS(start="laplace")
    with pytest.raises(bn.FitError, match="start='stated'"):
        bn.fit(line(parameters=known), table, method=method, seed=1, progress=False)
