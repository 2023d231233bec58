"""The likelihood at given estimates: exact where it is known, with an error that is believed."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesnlme as bn
from bayesnlme.inference import importance
from bayesnlme.inference.given import unconstrained
from bayesnlme.inference.likelihood_tree import estimate_rows
from bayesnlme.marginal.conditional import Conditional
from bayesnlme.marginal.importance import sample_effects

VALUES = (
    (6.1, 6.9, 8.4, 9.2), (3.2, 4.4, 4.1, 6.3), (5.0, 7.1, 8.2, 10.9), (7.7, 7.9, 8.8, 8.5),
    (2.2, 3.9, 6.0, 7.1), (5.6, 6.6, 6.4, 8.9), (6.6, 6.9, 8.8, 9.9), (4.1, 4.3, 5.6, 5.5),
)  # fmt: skip
TIMES = np.arange(4.0)
AT = {
    "a_pop": 5.2, "b_pop": 0.9, "omega[a]": 1.6, "omega[b]": 0.4, "omega_corr[a, b]": -0.3,
    "height_additive": 0.6,
}  # fmt: skip


def line(**changes):
    """Make a line for each subject, intercept and slope normal: everything is exact."""
    given = {
        "parameters": {"a": bn.Normal(5.0, iiv=2.0), "b": bn.Normal(1.0, iiv=0.5)},
        "correlated": [("a", "b")],
        **changes,
    }
    return bn.Model(
        name="line",
        structure=bn.curve(lambda t, p: p.a + p.b * t, output="height"),
        observations={"height": bn.additive(0.7)},
        **given,
    )


@pytest.fixture(scope="module")
def table():
    rows = [(s, t, y) for s, seen in enumerate(VALUES, 1) for t, y in zip(TIMES, seen, strict=True)]
    return bn.read_data(pd.DataFrame(rows, columns=["ID", "TIME", "DV"]))


@pytest.fixture(scope="module")
def conditional(table):
    return Conditional(bn.build(line(), table))


@pytest.fixture(scope="module")
def sampled(table):
    method = bn.ImportanceSampling(samples=2000, at=AT)
    return bn.fit(line(), table, method=method, seed=4, progress=False)


def exact():
    """Return -2 log likelihood at `AT`: multivariate normals."""
    X = np.stack([np.ones(4), TIMES], axis=1)
    sd = np.array([AT["omega[a]"], AT["omega[b]"]])
    omega = np.outer(sd, sd) * [[1, AT["omega_corr[a, b]"]], [AT["omega_corr[a, b]"], 1]]
    covariance = X @ omega @ X.T + AT["height_additive"] ** 2 * np.eye(4)
    normal = stats.multivariate_normal(X @ [AT["a_pop"], AT["b_pop"]], covariance)
    return -2 * normal.logpdf(np.array(VALUES)).sum()


def test_it_is_exact_within_its_error(sampled):
    assert sampled.status is bn.Status.CONVERGED
    assert 0 < sampled.likelihood.ofv_error < 0.1
    assert abs(sampled.ofv - exact()) < 4 * sampled.likelihood.ofv_error
    assert "+-" in sampled.verdict


def test_the_error_is_that_of_other_seeds(conditional):
    theta = unconstrained(conditional, AT)
    found = [
        sample_effects(conditional, theta, draws=200, df=5, rng=np.random.default_rng(seed))
        for seed in range(20)
    ]
    spread = np.std([each.log_likelihood.sum() for each in found], ddof=1)
    told = np.mean([np.sqrt((each.standard_error**2).sum()) for each in found])
    assert 1e-3 < stats.chi2.cdf(19 * (spread / told) ** 2, 19) < 1 - 1e-3


def test_estimates_are_as_given_and_have_no_standard_errors(sampled):
    assert sampled.estimates.to_dict() == pytest.approx(AT, rel=1e-9)
    assert list(sampled.summary()) == ["estimate", "cv_percent", "shrinkage_percent", "unit"]
    for ask in (sampled.likelihood.standard_errors, lambda: sampled.likelihood.trace):
        with pytest.raises(bn.FitError, match="maximises no likelihood"):
            ask()
    assert "No standard errors" in repr(sampled)


def test_estimates_of_a_fit_and_of_its_file(table, sampled, tmp_path):
    fit = bn.fit(line(), table, method=bn.Laplace(), seed=1, progress=False)
    again = bn.load(fit.save(tmp_path / "fit.nc"))
    for at in (again, fit.estimates):
        found = bn.fit(line(), table, method=bn.ImportanceSampling(at=at), seed=2, progress=False)
        assert abs(found.ofv - fit.ofv) < 4 * found.likelihood.ofv_error
        assert found.method["at"] == pytest.approx(fit.estimates.to_dict())
    kept = bn.load(sampled.save(tmp_path / "sampled.nc"))
    assert (kept.ofv, kept.verdict) == (sampled.ofv, sampled.verdict)
    with pytest.raises(bn.FitError, match="weighs no draws"):
        _ = fit.likelihood.pareto_k


def test_the_numbers_of_the_model(table):
    found = bn.fit(line(), table, method=bn.ImportanceSampling(samples=50), seed=1, progress=False)
    assert found.estimates["a_pop"] == pytest.approx(5.0)
    assert found.method["at"] is None


def test_given_estimates_are_found_from_afar(conditional):
    theta = conditional.start + np.linspace(-3, 3, conditional.n_parameters)
    given = {name: float(each[0]) for name, (each, _) in estimate_rows(conditional, theta).items()}
    np.testing.assert_allclose(unconstrained(conditional, given), theta, atol=1e-7)


def test_weights_with_heavy_tails_are_no_final_result(conditional):
    """Weights drawn from a Pareto distribution of index 1 have no mean."""
    theta, rng = unconstrained(conditional, AT), np.random.default_rng(1)
    found = sample_effects(conditional, theta, draws=1000, df=5, rng=rng)
    heavy = replace(found, log_weights=np.log1p(rng.pareto(1.0, found.log_weights.shape)))
    problems = importance._problems(heavy, heavy.pareto_k, conditional.population)
    assert "Pareto k above 0.7" in problems[0]
    assert importance._problems(found, found.pareto_k, conditional.population) == []


@pytest.mark.parametrize(
    ("at", "words"),
    [
        ({**AT, "c_pop": 1.0}, "no estimate 'c_pop'"),
        ({"a_pop": 1.0}, "values are missing for b_pop"),
        ({**AT, "omega[a]": -1.0}, r"omega\[a\]=-1.0 must be positive"),
        ({**AT, "omega_corr[a, b]": 1.0}, "between -1 and 1"),
        ({**AT, "a_pop": np.nan}, "a_pop=nan must be a number"),
    ],
)
def test_impossible_estimates_are_refused(conditional, at, words):
    with pytest.raises(bn.ModelError, match=words):
        bn.ImportanceSampling(at=at).theta(conditional)


@pytest.mark.parametrize(
    ("options", "words"),
    [({"samples": 3}, "samples=3"), ({"df": 0}, "df=0"), ({"at": 3}, "at=3"),
     ({"df": np.inf}, "df=inf")],
)  # fmt: skip
def test_impossible_options_are_refused(options, words):
    with pytest.raises(bn.ModelError, match=words):
        bn.ImportanceSampling(**options)


def test_a_model_without_random_effects_is_refused(table):
    plain = line(parameters={"a": bn.Normal(5.0), "b": bn.Normal(1.0)}, correlated=[])
    with pytest.raises(bn.ModelError, match="no random effects"):
        bn.fit(plain, table, method=bn.ImportanceSampling(), seed=1, progress=False)
