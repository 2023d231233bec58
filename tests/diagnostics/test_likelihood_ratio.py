"""Likelihood-ratio tests, at bounds too."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesnlme as bn
from bayesnlme.diagnostics.likelihood_ratio import reference
from tests.conftest import theophylline_equations, theophylline_model


@pytest.fixture(scope="module")
def without_correlation(data):
    model = theophylline_model().replace(correlated=())
    return bn.fit(model, data, method=bn.FOCE(), seed=1, progress=False)


def test_one_correlation(without_correlation, foce_fit):
    found = bn.likelihood_ratio_test(without_correlation, foce_fit)
    assert found.statistic == pytest.approx(without_correlation.ofv - foce_fit.ofv)
    assert found.p_value == pytest.approx(stats.chi2.sf(found.statistic, 1))
    assert "omega_corr[CL, V]" in str(found)


@pytest.mark.parametrize(
    ("counts", "mixture", "is_bound"),
    [
        ((0, 0, 1), ((1, 1.0),), False),
        ((0, 1, 1), ((2, 1.0),), False),
        ((1, 0, 0), ((0, 0.5), (1, 0.5)), False),
        ((1, 1, 0), ((1, 0.5), (2, 0.5)), False),
        ((1, 0, 1), ((1, 0.5), (2, 0.5)), False),
        ((2, 0, 0), ((0, 0.25), (1, 0.5), (2, 0.25)), False),
        ((2, 1, 0), ((3, 1.0),), True),
    ],
)
def test_reference_distributions(counts, mixture, is_bound):
    """Of so many variances at zero, correlations and others."""
    found, bound = reference(*counts)
    assert [df for df, _ in found] == [df for df, _ in mixture]
    np.testing.assert_allclose([w for _, w in found], [w for _, w in mixture])
    assert bound is is_bound


def smaller(**changes):
    shipped = theophylline_model()
    parameters = dict(shipped.parameters) | changes.pop("parameters", {})
    return shipped.replace(parameters=parameters, correlated=(), **changes)


@pytest.mark.parametrize(
    ("model", "degrees"),
    [
        (smaller(parameters={"V": bn.LogNormal(32.0, unit="L")}), [0, 1]),
        (smaller(parameters={"V": bn.LogNormal(32.0, iiv=bn.fixed(0.2), unit="L")}), [1]),
        (smaller(observations={"conc": bn.additive(0.5)}), [0, 1]),
    ],
    ids=["no variance", "known variance", "no proportional error"],
)
def test_what_a_variance_was_set_to_matters(model, degrees, without_correlation, data):
    small = bn.fit(model, data, method=bn.FOCE(), seed=1, progress=False)
    found = bn.likelihood_ratio_test(small, without_correlation)
    assert [df for df, _ in found.mixture] == degrees


def test_other_structures_are_not_nested(without_correlation, data):
    other = smaller(
        parameters={"V": bn.LogNormal(32.0, unit="L")}, structure=theophylline_equations()
    )
    small = bn.fit(other, data, method=bn.FOCE(), seed=1, progress=False)
    with pytest.raises(bn.FitError, match="the structure differs"):
        bn.likelihood_ratio_test(small, without_correlation)


def test_what_does_not_compare_is_refused(without_correlation, foce_fit, fit, data):
    test = bn.likelihood_ratio_test
    with pytest.raises(bn.FitError, match="not nested"):
        test(foce_fit, without_correlation)
    with pytest.raises(bn.FitError, match="nothing to test"):
        test(foce_fit, foce_fit)
    with pytest.raises(bn.FitError, match="samples a posterior"):
        test(fit, foce_fit)
    laplace = bn.fit(theophylline_model(), data, method=bn.Laplace(), seed=1, progress=False)
    with pytest.raises(bn.FitError, match="by FOCEI, the other by Laplace"):
        test(without_correlation, laplace)
    fewer = data.subset(where=lambda row: row["TIME"] < 20)
    other = bn.fit(theophylline_model(), fewer, method=bn.FOCE(), seed=1, progress=False)
    with pytest.raises(bn.FitError, match="different tables"):
        test(without_correlation, other)


@pytest.mark.slow
def test_the_mixture_holds_for_a_variance_of_zero():
    """Under no variability the p-values of the test are uniform below one half."""
    rng = np.random.default_rng(5)
    p_values = []

    for _ in range(60):
        table = pd.DataFrame(
            {"ID": np.repeat(np.arange(20), 4), "TIME": np.tile(np.arange(4.0), 20)}
        )
        table["DV"] = 5.0 + table["TIME"] + rng.normal(0, 1, 80)
        data = bn.read_data(table)
        fits = []
        for iiv in (None, 0.3):
            model = bn.Model(
                name="line",
                parameters={"a": bn.Normal(5.0, iiv=iiv), "b": bn.Normal(1.0)},
                structure=bn.curve(lambda t, p: p.a + p.b * t),
                observations={"value": bn.additive(1.0)},
            )
            fits.append(bn.fit(model, data, method=bn.FO(), seed=1, progress=False))
        p_values.append(bn.likelihood_ratio_test(*fits).p_value)
    below = np.mean(np.array(p_values) < 0.25)
    assert abs(below - 0.25) < 3 * np.sqrt(0.25 * 0.75 / 60)
