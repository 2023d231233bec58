"""SAEM through the one door."""

import numpy as np
import pytest

import bayesnlme as bn


@pytest.fixture(scope="module")
def saem_fit(model, data):
    method = bn.SAEM(burn_in=100, smoothing=100)
    return bn.fit(model, data, method=method, seed=3, progress=False)


def test_the_estimates_are_near_those_of_quadrature(saem_fit):
    """The expected numbers are the maximum by 13 points an effect."""
    expected = {"ka_pop": 1.508, "CL_pop": 2.795, "V_pop": 31.97}
    for name, value in expected.items():
        assert saem_fit.estimates[name] == pytest.approx(value, rel=0.01)
    for name, value in {"ka": 0.613, "CL": 0.249, "V": 0.115}.items():
        assert saem_fit.estimates[f"omega[{name}]"] == pytest.approx(value, rel=0.025)


def test_the_likelihood_comes_with_its_error(saem_fit):
    """342.938 is the OFV by 13 points an effect, beside its maximum."""
    found = saem_fit.likelihood
    assert 0 < found.ofv_error < 0.3
    assert found.ofv == pytest.approx(342.94, abs=0.1 + 4 * found.ofv_error)
    assert (found.pareto_k < 0.7).all()
    assert "+-" in saem_fit.verdict


def test_what_a_fit_by_saem_holds(saem_fit, tmp_path):
    errors = saem_fit.likelihood.monte_carlo_errors
    assert (errors > 0).all()
    assert (errors < 0.2).all()
    assert np.isfinite(saem_fit.summary()["se"]).all()
    trace = saem_fit.likelihood.trace
    assert len(trace) == 200
    assert "ofv" not in trace
    loaded = bn.load(saem_fit.save(tmp_path / "saem.nc"))
    assert loaded.summary().equals(saem_fit.summary())
    assert loaded.status is bn.Status.CONVERGED


def test_other_fits_have_no_monte_carlo_errors(foce_fit):
    with pytest.raises(bn.FitError, match="draws no random numbers"):
        foce_fit.likelihood.monte_carlo_errors  # noqa: B018  asked for, not used


def test_fits_by_different_methods_do_not_compare(saem_fit, foce_fit):
    with pytest.raises(bn.FitError, match="by SAEM, the other by FOCEI"):
        bn.likelihood_ratio_test(saem_fit, foce_fit)
