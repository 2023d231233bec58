"""Likelihood-ratio tests, at bounds too."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesnlme as bn
from bayesnlme.diagnostics.likelihood_ratio import reference
from tests.conftest import theophylline_model


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
    ("dropped", "mixture", "is_bound"),
    [
        (("CL_WT",), ((1, 1.0),), False),
        (("CL_WT", "V_WT"), ((2, 1.0),), False),
        (("omega[V]",), ((0, 0.5), (1, 0.5)), False),
        (("omega[V]", "omega_corr[CL, V]"), ((1, 0.5), (2, 0.5)), False),
        (("omega[V]", "CL_WT"), ((1, 0.5), (2, 0.5)), False),
        (("omega[V]", "omega_iov[CL]"), ((0, 0.25), (1, 0.5), (2, 0.25)), False),
        (("omega[V]", "omega[CL]", "omega_corr[CL, V]"), ((3, 1.0),), True),
    ],
)
def test_reference_distributions(dropped, mixture, is_bound):
    found, bound = reference(dropped)
    assert [df for df, _ in found] == [df for df, _ in mixture]
    np.testing.assert_allclose([w for _, w in found], [w for _, w in mixture])
    assert bound is is_bound


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
