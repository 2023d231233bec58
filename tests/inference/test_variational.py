"""The approximation against posteriors that are known, and its refusal to pass for one."""

import arviz as az
import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesnlme as bn
from bayesnlme.diagnostics.chains import rank_counts
from bayesnlme.errors import InterruptedFitError
from bayesnlme.inference import variational
from bayesnlme.inference.variational import approximate_posterior
from tests import features

OMEGA = np.array([2.0, 0.5])
SIGMA = 0.7
QUICK = bn.Variational(draws=400, points=800)


def line(**changes):
    """Make a line for each subject, with known variances: the posterior is normal."""
    given = {
        "parameters": {
            "a": bn.Normal(bn.Prior("Normal", mu=4.0, sigma=3.0), iiv=bn.fixed(OMEGA[0])),
            "b": bn.Normal(bn.Prior("Normal", mu=0.0, sigma=2.0), iiv=bn.fixed(OMEGA[1])),
        },
        "structure": bn.curve(lambda t, p: p.a + p.b * t, output="level"),
        "observations": {"level": bn.additive(bn.fixed(SIGMA))},
        **changes,
    }
    return bn.Model(name="line", **given)


def made(seed=8, occasions=None):
    """Lines of eight subjects, in order of time; some have one occasion and some two."""
    rng = np.random.default_rng(seed)
    rows = []
    for subject in range(1, 9):
        a, b = 5.0 + OMEGA[0] * rng.normal(), 1.0 + OMEGA[1] * rng.normal()
        for t in (0.0, 1.0, 2.0, 4.0):
            row = {"ID": subject, "TIME": t, "DV": a + b * t + SIGMA * rng.normal()}
            rows.append(row | ({} if occasions is None else {"OCC": occasions(subject, t)}))
    return bn.read_data(pd.DataFrame(rows))


@pytest.fixture(scope="module")
def table():
    return made()


@pytest.fixture(scope="module")
def fit(table):
    method = bn.Variational(draws=2000, points=4000)
    return bn.fit(line(), table, method=method, seed=3, progress=False)


def design(data):
    """Return the matrix from (a_pop, b_pop, eta) to the observations."""
    seen, n = data.observations, data.n_subjects
    X = np.stack([np.ones_like(seen.time), seen.time], axis=1)
    Z = np.zeros((len(seen.time), 2 * n))
    for row, subject in enumerate(seen.subject):
        Z[row, 2 * subject : 2 * subject + 2] = X[row]
    return np.hstack([X, Z])


def test_a_normal_posterior_is_exact(fit, table):
    """Conjugacy: means and SDs of (a_pop, b_pop, eta) within four Monte-Carlo errors."""
    of_all, y, n = design(table), table.observations.value, table.n_subjects
    precision = np.diag([1 / 9, 1 / 4, *np.tile(1 / OMEGA**2, n)]) + of_all.T @ of_all / SIGMA**2
    cov = np.linalg.inv(precision)
    mean = cov @ (np.r_[4.0 / 9, 0.0, np.zeros(2 * n)] + of_all.T @ y / SIGMA**2)
    posterior = fit.posterior
    population = [posterior[each].values.reshape(-1, 1) for each in ("a_pop", "b_pop")]
    draws = np.concatenate([*population, posterior["eta"].values.reshape(2000, -1)], axis=1)
    effective = 1 / (1 / fit.convergence.ess + 1 / 2000)
    error = np.abs(draws.mean(axis=0) - mean) / np.sqrt(np.diag(cov) / effective)
    assert error.max() < 4
    assert np.abs(draws.std(axis=0) / np.sqrt(np.diag(cov)) - 1).max() < 4 / np.sqrt(2 * effective)


def test_the_bound_and_the_evidence_are_exact(fit, table):
    """All observations together are normal; the approximation is the posterior."""
    of_all, n = design(table), table.n_subjects
    prior = np.diag([9.0, 4.0, *np.tile(OMEGA**2, n)])
    cov = of_all @ prior @ of_all.T + SIGMA**2 * np.eye(len(of_all))
    exact = stats.multivariate_normal(of_all[:, 0] * 4.0, cov).logpdf(table.observations.value)
    found = fit.convergence
    assert found.elbo == pytest.approx(exact, abs=1e-3)
    assert found.log_evidence_error < 0.05
    assert abs(found.log_evidence - exact) < 4 * found.log_evidence_error
    assert found.joint_k == -np.inf
    assert found.passed
    assert fit.converged


def test_effects_that_a_subject_lacks_do_not_count():
    """Half of the subjects have a second occasion; all observations together are normal."""
    data = made(occasions=lambda subject, t: 1 + (subject % 2 == 0 and t >= 2.0))
    iov = 0.8
    parameters = {
        "a": bn.Normal(
            bn.Prior("Normal", mu=4.0, sigma=3.0), iiv=bn.fixed(OMEGA[0]), iov=bn.fixed(iov)
        ),
        "b": bn.Normal(bn.fixed(1.0)),
    }
    found = bn.fit(line(parameters=parameters), data, method=QUICK, seed=1, progress=False)
    seen = data.observations
    same = seen.subject[:, None] == seen.subject
    second = (seen.subject % 2 == 1) & (seen.time >= 2.0)
    together = same & (second[:, None] == second)
    cov = 9.0 + OMEGA[0] ** 2 * same + iov**2 * together + SIGMA**2 * np.eye(len(same))
    exact = stats.multivariate_normal(4.0 + seen.time, cov).logpdf(seen.value)
    judged = found.convergence
    assert abs(judged.log_evidence - exact) < 4 * judged.log_evidence_error
    assert judged.elbo == pytest.approx(exact, abs=1e-3)


def test_without_random_effects(table):
    """Two normal parameters: the posterior is that of a regression."""
    parameters = {
        "a": bn.Normal(bn.Prior("Normal", mu=4.0, sigma=3.0)),
        "b": bn.Normal(bn.Prior("Normal", mu=0.0, sigma=2.0)),
    }
    found = bn.fit(line(parameters=parameters), table, method=QUICK, seed=1, progress=False)
    X = design(table)[:, :2]
    cov = np.linalg.inv(np.diag([1 / 9, 1 / 4]) + X.T @ X / SIGMA**2)
    mean = cov @ ([4.0 / 9, 0.0] + X.T @ table.observations.value / SIGMA**2)
    summary = found.summary()
    assert ((summary["mean"] - mean) / summary["mcse_mean"]).abs().max() < 4
    np.testing.assert_allclose(summary["sd"], np.sqrt(np.diag(cov)), rtol=0.15)
    assert "of subjects" not in found.verdict


def test_the_table_has_what_weights_have(fit):
    table = fit.summary()
    assert list(table) == [
        "mean", "sd", "median", "lower", "upper", "cv_percent", "unit", "mcse_mean",
    ]  # fmt: skip
    assert list(table.index) == ["a_pop", "b_pop"]
    assert table.attrs["pareto_k"] == fit.convergence.pareto_k
    assert table.attrs["status"] == "converged"
    assert "Converged: 2000 draws from 4000 weighted points" in repr(fit)


@pytest.mark.filterwarnings("ignore:Estimated shape parameter of Pareto")
def test_a_fit_answers_like_any_other(fit):
    assert fit.individual("a").shape == (1, 2000, 8)
    assert fit.predictions.sizes["observation"] == 32
    assert "eta_standard" in fit.posterior
    assert np.isfinite(bn.loo(fit).elpd)
    drawn = bn.posterior_predictive(fit, draws=50, seed=1)
    assert np.isfinite(drawn["level"]).all()
    assert fit.estimates["a_pop"] == fit.summary().loc["a_pop", "mean"]
    with pytest.raises(bn.FitError, match="do not come from chains"):
        rank_counts(fit)
    with pytest.raises(bn.FitError, match="no largest likelihood"):
        _ = fit.ofv


def test_a_stored_fit_says_the_same(fit, tmp_path):
    again = bn.load(fit.save(tmp_path / "fit.nc"))
    assert again.convergence == fit.convergence
    assert again.verdict == fit.verdict
    assert repr(again) == repr(fit)


def test_the_same_seed_gives_the_same_bits(table):
    first, same = (bn.fit(line(), table, method=QUICK, seed=1, progress=False) for _ in range(2))
    for group in ("posterior", "approximation", "posterior_predictive"):
        one, two = first.tree[group].to_dataset(), same.tree[group].to_dataset()
        assert one.identical(two)


def ridge():
    """Make a product of three parameters that the data know, each of which they do not."""
    unknown = bn.Prior("Normal", mu=0.0, sigma=3.0)
    structure = bn.curve(lambda t, p: p.a * p.b * p.c * (1.0 + t), output="level")
    return line(parameters=dict.fromkeys("abc", bn.Normal(unknown)), structure=structure)


def two_modes():
    """Make effects of either sign, of which the mode shows one."""
    parameters = {
        "a": bn.Normal(bn.Prior("Normal", mu=0.3, sigma=0.1), iiv=bn.fixed(OMEGA[0])),
        "b": bn.Normal(bn.Prior("Normal", mu=1.0, sigma=0.2)),
    }
    structure = bn.curve(lambda t, p: p.a**2 / 4 + p.b * t, output="level")
    return line(parameters=parameters, structure=structure)


@pytest.fixture(scope="module")
def refused(table):
    return bn.fit(ridge(), table, method=bn.Variational(draws=500), seed=1, progress=False)


@pytest.mark.filterwarnings("ignore:Estimated shape parameter of Pareto")
def test_a_ridge_is_refused(refused, tmp_path):
    """No normal distribution stands for it: k is 0.73 to 1.08 on three seeds."""
    assert refused.status is bn.Status.NOT_CONVERGED
    assert not refused.converged
    found = refused.convergence
    assert found.pareto_k > found.good_k
    assert not found.passed
    for words in (refused.verdict, repr(refused), refused.summary().attrs["verdict"]):
        assert "NOT CONVERGED" in words
        assert 'bn.NUTS(start="laplace")' in words
    assert refused.summary().attrs["status"] == "not converged"
    assert "mcse_mean" not in refused.summary()
    with pytest.warns(bn.diagnostics.ConvergenceWarning, match="Pareto k"):
        bn.loo(refused)
    page = bn.report(refused, tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Not converged" in page
    assert "not of the posterior" in page
    assert "No estimate is quoted here" in page


def test_refused_draws_are_those_of_the_approximation(refused):
    """Not resampled: no two are equal."""
    assert np.unique(refused.posterior["b_pop"]).size == 500
    assert refused.convergence.subject_k == {}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_effects_with_two_modes_are_refused(table, seed):
    """All but the first subject, whose effect is near zero, may have it of either sign."""
    found = bn.fit(two_modes(), table, method=QUICK, seed=seed, progress=False)
    assert found.status is bn.Status.NOT_CONVERGED
    shares = found.convergence.second_mode
    assert shares.pop("1") == 0
    assert min(shares.values()) > 0.2
    assert "have a second mode" in found.verdict


def test_the_report_says_that_there_are_no_chains(fit, tmp_path):
    page = bn.report(fit, tmp_path / "page.html").read_text(encoding="utf-8")
    assert "no ranks or traces" in page
    assert "Pareto k of the population parameters" in page
    assert "approximated by a normal distribution" in page
    assert "R-hat" not in page
    assert "bn.Variational(draws=2000, points=4000, accuracy=0.05)" in page


def test_side_by_side_with_a_likelihood(table):
    compared = bn.compare_estimators(line(), table, [bn.FOCE(), QUICK], seed=1, progress=False)
    assert list(compared.fits) == ["FOCEI", "variational"]
    assert np.isfinite(compared.table["variational", "se"]).all()
    assert np.isnan(compared.overview.loc["variational", "ofv"])


@pytest.mark.slow
@pytest.mark.parametrize("name", features.MODELS)
def test_every_feature_can_be_approximated(name):
    """Occasions, correlations, covariates, counts, categories: the variables are NUTS's."""
    model, data = features.MODELS[name](), features.table()
    found = bn.fit(model, data, method=QUICK, seed=1, progress=False)
    sampled = bn.fit(model, data, method=bn.NUTS(draws=5, tune=5, chains=1), seed=1, progress=False)
    assert set(found.posterior) == set(sampled.posterior)
    for each in found.posterior:
        assert found.posterior[each].dims == sampled.posterior[each].dims
    assert np.isfinite(found.convergence.elbo)


@pytest.mark.slow
def test_theophylline_against_nuts(model, data):
    """Within the Monte-Carlo error of both, with 8000 draws of NUTS in four chains."""
    found = bn.fit(
        model, data, method=bn.Variational(draws=4000, points=8000), seed=1, progress=False
    )
    sampled = bn.fit(
        model, data, method=bn.NUTS(draws=2000, chains=4, start="foce"), seed=1, progress=False
    )
    assert found.converged, found.verdict
    mine, exact = found.summary(), sampled.summary()
    assert ((mine["mean"] - exact["mean"]) / exact["sd"]).abs().max() < 0.15
    np.testing.assert_allclose(mine["sd"], exact["sd"], rtol=0.12)
    error = np.hypot(mine["mcse_mean"], exact["mcse_mean"])
    assert ((mine["mean"] - exact["mean"]) / error).abs().max() < 4
    effects, same = found.posterior["eta"], sampled.posterior["eta"]
    apart = (effects.mean(("chain", "draw")) - same.mean(("chain", "draw"))) / same.std(
        ("chain", "draw")
    )
    assert np.abs(apart.values).max() < 0.15
    assert float(az.ess(sampled.posterior[["CL_pop"]])["CL_pop"]) > 400


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"draws": 0}, "draws=0"),
        ({"draws": 2.5}, "draws=2.5"),
        ({"points": 100}, "points=100 must be a whole number of at least 500"),
        ({"points": True}, "points=True"),
        ({"accuracy": 0.0}, "accuracy=0.0"),
        ({"accuracy": "a"}, "accuracy='a'"),
    ],
)
def test_impossible_options_are_refused(options, words):
    with pytest.raises(bn.ModelError, match=words):
        bn.Variational(**options)


def test_points_are_a_multiple_of_the_rounds():
    assert bn.Variational(points=np.int64(502)).to_dict() == {
        "name": "Variational", "draws": 1000, "points": 504, "accuracy": 0.05,
    }  # fmt: skip


def test_nothing_to_estimate_is_refused(table):
    known = {"a": bn.Normal(bn.fixed(5.0), iiv=bn.fixed(2.0)), "b": bn.Normal(bn.fixed(1.0))}
    with pytest.raises(bn.FitError, match="Every population parameter is fixed"):
        bn.fit(line(parameters=known), table, method=QUICK, seed=1, progress=False)


def test_an_interruption_keeps_nothing(table, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(variational, "laplace_chart", stop)
    with pytest.raises(InterruptedFitError, match="nothing to keep"):
        approximate_posterior(bn.build(line(), table), QUICK, seed=1)
