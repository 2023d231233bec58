"""The estimators beside each other: where linearisation fails, and what is refused."""

import numpy as np
import pandas as pd
import pytest

import bayesnlme as bn
from bayesnlme.diagnostics import estimators
from bayesnlme.diagnostics.estimators import EstimatorComparison
from bayesnlme.errors import InterruptedFitError
from bayesnlme.inference.likelihood import FO

TIMES = np.array([0.5, 1.0, 3.0])
ESTIMATES = ["k_pop", "omega[k]", "seen_additive"]


def decline(sd, observed=None):
    return bn.Model(
        name="decline",
        parameters={"k": bn.LogNormal(0.8, iiv=sd)},
        structure=bn.curve(lambda t, p: bn.math.exp(-p.k * t), output="seen"),
        observations={"seen": observed or bn.additive(0.05)},
    )


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(3)
    k = np.exp(rng.normal(0.0, 1.0, 30))
    rows = [
        (subject, t, np.exp(-each * t) + 0.05 * rng.standard_normal())
        for subject, each in enumerate(k, 1)
        for t in TIMES
    ]
    return bn.read_data(pd.DataFrame(rows, columns=["ID", "TIME", "DV"]))


@pytest.fixture(scope="module")
def compared(table):
    methods = [bn.FO(), bn.FOCE(), bn.Laplace(), bn.Quadrature(points=9)]
    methods.append(bn.ImportanceSampling(samples=200))
    return bn.compare_estimators(decline(0.8), table, methods, seed=1, progress=False)


def test_every_method_has_its_columns(compared):
    titles = ["FO", "FOCEI", "Laplace", "Quadrature", "importance sampling"]
    assert list(compared.fits) == titles
    assert list(compared.table.columns) == [(t, w) for t in titles for w in ("estimate", "se")]
    assert list(compared.table.index) == ESTIMATES
    fit = compared.fits["FOCEI"]
    pd.testing.assert_series_equal(
        compared.table["FOCEI", "estimate"], fit.estimates, check_names=False
    )
    assert compared.table["importance sampling", "se"].isna().all()
    assert compared.overview.loc["FOCEI", "ofv"] == fit.ofv
    assert compared.overview.loc["importance sampling", "ofv_error"] > 0
    assert (compared.overview["seconds"] > 0).all()
    assert not compared.refused


def test_it_says_where_linearisation_fails(compared):
    assert compared.reference == "Quadrature"
    assert "FO" in compared.failing
    exact = compared.fits["Quadrature"]
    errors = exact.likelihood.standard_errors()
    by_hand = (compared.fits["FO"].estimates - exact.estimates) / errors
    pd.testing.assert_series_equal(compared.distances["FO"], by_hand, check_names=False)
    worst = by_hand.abs().idxmax()
    assert f"FO is {by_hand[worst]:+.2f} standard errors in {worst}" in compared.verdict
    assert f"OFV {compared.fits['FO'].ofv - exact.ofv:+.3f}: linearisation" in compared.verdict
    assert compared.verdict in repr(compared)
    assert "importance sampling" in repr(compared)


def test_without_quadrature_laplace_is_the_reference(compared):
    fits = {name: compared.fits[name] for name in ("FO", "Laplace")}
    fewer = EstimatorComparison(fits=fits, refused={}, seconds=compared.seconds)
    assert fewer.reference == "Laplace"
    assert "Laplace is an approximation itself" in fewer.verdict


def test_without_both_nothing_is_judged(compared):
    alone = EstimatorComparison(
        fits={"FO": compared.fits["FO"]}, refused={}, seconds=compared.seconds
    )
    assert alone.failing == ()
    assert "Nothing to hold" in alone.verdict
    none = EstimatorComparison(fits={}, refused={"FO": "words"}, seconds={})
    assert none.table.empty
    assert "FO gave nothing: words" in none.verdict
    assert none.overview.loc["FO", "status"] == "refused"
    assert "FO" in repr(none)


def test_a_method_that_refuses_the_model_or_fails_is_listed(table, monkeypatch):
    fit = estimators.fit

    def failing(*given, method, **options):
        if isinstance(method, FO):
            raise np.linalg.LinAlgError("Singular matrix")
        return fit(*given, method=method, **options)

    monkeypatch.setattr(estimators, "fit", failing)
    found = bn.compare_estimators(
        decline(0.8, bn.student_t(bn.additive(0.05), df=4)),
        table,
        [bn.FOCE(), bn.FO()],
        seed=1,
        progress=False,
    )
    assert not found.fits
    assert "not normal" in found.refused["FOCEI"]
    assert found.refused["FO"] == "Singular matrix"
    assert "FOCEI gave nothing: FO and FOCE linearise normal" in found.verdict


def test_a_fit_that_is_not_final_is_not_compared(table):
    stopped = bn.Laplace(most_iterations=1)
    found = bn.compare_estimators(decline(0.8), table, [stopped], seed=1, progress=False)
    assert found.reference is None
    assert "Laplace is no final result" in found.verdict
    assert "NOT CONVERGED" in found.overview.loc["Laplace", "reason"]


def test_what_is_no_method_is_refused_before_any_fit(table):
    with pytest.raises(bn.ModelError, match="no estimator"):
        bn.compare_estimators(decline(0.8), table, [bn.FO(), "saem"], seed=1)


@pytest.mark.parametrize(("effects", "points"), [(1, 7), (3, 7), (4, 5), (6, 3), (7, None)])
def test_quadrature_has_as_many_points_as_nodes_allow(effects, points, monkeypatch):
    class Counted:
        def __init__(self, population):
            self.n_effects = effects

    monkeypatch.setattr(estimators, "Conditional", Counted)
    found = [each.points for each in estimators._all_methods(None) if each.name == "Quadrature"]
    assert found == ([] if points is None else [points])


def test_a_title_that_is_taken_gets_a_number():
    assert estimators._unused("FO", {"Laplace"}) == "FO"
    assert estimators._unused("FO", {"FO", "FO (2)"}) == "FO (3)"


def test_an_interruption_ends_the_comparison(table, monkeypatch):
    def stopped(*given, **options):
        raise InterruptedFitError("Interrupted.")

    monkeypatch.setattr(estimators, "fit", stopped)
    found = bn.compare_estimators(decline(0.8), table, [bn.FO(), bn.FOCE()], seed=1)
    assert dict(found.refused) == {"FO": "Interrupted."}
