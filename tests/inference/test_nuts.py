"""The sampler against posteriors that are known, and against itself."""

import arviz as az
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats

import bayesnlme as bn
from bayesnlme.inference import nuts
from bayesnlme.inference.compiled import compile_model
from bayesnlme.inference.starts import _explanation, _off_the_flat, starting_points
from bayesnlme.odes.op import PopulationSolve
from bayesnlme.structural.superposition import Superpose, _AddUp

OMEGA = np.array([2.0, 0.5])
SIGMA = 0.7


def line_model():
    """Make a line for each subject, with known variances: the posterior is Gaussian."""
    return bn.Model(
        name="line",
        parameters={
            "a": bn.Normal(bn.Prior("Normal", mu=4.0, sigma=3.0), iiv=bn.fixed(OMEGA[0])),
            "b": bn.Normal(bn.Prior("Normal", mu=0.0, sigma=2.0), iiv=bn.fixed(OMEGA[1])),
        },
        structure=bn.ode(
            lambda t, y, p: {"level": p.b},
            states=("level",),
            initial={"level": lambda p: p.a},
            outputs={"level": lambda t, y, p: y.level},
        ),
        observations={"level": bn.additive(bn.fixed(SIGMA))},
    )


@pytest.fixture(scope="module")
def line_data():
    rng = np.random.default_rng(8)
    rows = []
    for subject in range(1, 9):
        a, b = 5.0 + OMEGA[0] * rng.normal(), 1.0 + OMEGA[1] * rng.normal()
        rows += [(subject, t, a + b * t + SIGMA * rng.normal()) for t in (0.0, 1.0, 2.0, 4.0)]
    return bn.read_data(_frame(rows))


def _frame(rows):
    return pd.DataFrame(rows, columns=["ID", "TIME", "DV"])


@pytest.fixture(scope="module")
def line_fit(line_data):
    method = bn.NUTS(draws=1000, tune=500, chains=4)
    return bn.fit(line_model(), line_data, method=method, seed=3, progress=False)


def exact_posterior(data):
    """Mean and covariance of (a_pop, b_pop, eta) by conjugacy."""
    seen, n = data.observations, data.n_subjects
    X = np.stack([np.ones_like(seen.time), seen.time], axis=1)
    Z = np.zeros((len(seen.time), 2 * n))
    for row, subject in enumerate(seen.subject):
        Z[row, 2 * subject : 2 * subject + 2] = X[row]
    design = np.hstack([X, Z])
    precision = np.diag([1 / 9, 1 / 4, *np.tile(1 / OMEGA**2, n)]) + design.T @ design / SIGMA**2
    cov = np.linalg.inv(precision)
    mean = cov @ (np.r_[4.0 / 9, 0.0, np.zeros(2 * n)] + design.T @ seen.value / SIGMA**2)
    return mean, cov


def test_linear_gaussian_posterior_is_exact(line_fit, line_data):
    mean, cov = exact_posterior(line_data)
    posterior = line_fit.posterior
    draws = np.concatenate(
        [
            posterior["a_pop"].values.reshape(-1, 1),
            posterior["b_pop"].values.reshape(-1, 1),
            posterior["eta"].values.reshape(-1, 16),
        ],
        axis=1,
    )
    sizes = az.ess(posterior[["a_pop", "b_pop", "eta"]])
    ess = min(float(each.min()) for each in sizes.data_vars.values())
    error = np.abs(draws.mean(axis=0) - mean) / np.sqrt(np.diag(cov) / ess)
    assert error.max() < 4
    assert np.abs(draws.std(axis=0) / np.sqrt(np.diag(cov)) - 1).max() < 5 / np.sqrt(ess)


@pytest.mark.slow
def test_the_demo_converges_on_every_seed_tried(model, data):
    for seed in (1, 2, 3):
        fit = bn.fit(model, data, seed=seed, progress=False)
        assert fit.status is bn.Status.CONVERGED, fit.verdict
        assert fit.convergence.divergences == 0
        assert fit.convergence.rhat_max < 1.01


def test_fit_of_theophylline_finds_the_published_neighbourhood(fit):
    assert fit.convergence.divergences == 0
    summary = fit.summary()
    assert 1.0 < summary.loc["ka_pop", "mean"] < 2.2
    assert 2.3 < summary.loc["CL_pop", "mean"] < 3.3
    assert 29 < summary.loc["V_pop", "mean"] < 35


def test_closed_form_and_equations_give_the_same_posterior(fit, ode_fit):
    first, second = fit.summary(), ode_fit.summary()
    error = (first["mean"] - second["mean"]).abs() / np.hypot(
        first["mcse_mean"], second["mcse_mean"]
    )
    assert error.max() < 4.5
    assert ((first["sd"] / second["sd"]) - 1).abs().max() < 0.3


def test_no_python_runs_inside_the_sampler(ode_population, monkeypatch):
    """With the numba linker `perform` is never called, and nothing falls back to object mode."""
    compiled = compile_model(ode_population)

    def refuse(*_):
        raise AssertionError("the solver's Python entry was called")

    for operation in (PopulationSolve, Superpose, _AddUp):
        monkeypatch.setattr(operation, "perform", refuse)
    value, gradient = compiled.density.function(starting_points(compiled)(1))
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


def test_starting_points_lie_apart_and_can_be_sampled_from(population):
    compiled = compile_model(population)
    density, starts = compiled.density.function, starting_points(compiled)
    points = [starts(seed) for seed in range(4)]
    again = starts(0)
    np.testing.assert_array_equal(points[0], again)
    assert all(np.isfinite(density(point)[0]) for point in points)
    assert min(np.abs(points[0] - other).max() for other in points[1:]) > 0.1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"draws": 0}, "draws=0"),
        ({"tune": 2.5}, "tune=2.5"),
        ({"chains": True}, "chains=True"),
        ({"target_accept": 1.0}, "target_accept"),
        ({"max_depth": -1}, "max_depth"),
        ({"cores": 0}, "cores=0"),
        ({"cores": 1.5}, "cores=1.5"),
        ({"target_accept": "a"}, "target_accept='a'"),
    ],
)
def test_impossible_options_are_refused(options, words):
    with pytest.raises(bn.ModelError, match=words):
        bn.NUTS(**options)


@pytest.mark.parametrize("method", ["nuts", bn.NUTS, 3])
def test_what_is_no_method_is_refused(model, data, method):
    with pytest.raises(bn.ModelError, match="no estimator"):
        bn.fit(model, data, method=method, seed=1)


def test_numpy_integers_are_whole_numbers():
    assert bn.NUTS(draws=np.int64(5)).to_dict()["draws"] == 5


@pytest.mark.parametrize("seed", [-1, 1.5, True, None])
def test_impossible_seeds_are_refused(model, data, seed):
    with pytest.raises(bn.ModelError, match="seed"):
        bn.fit(model, data, seed=seed)


def test_a_start_without_density_names_the_observation(model, data):
    strict = model.replace(observations={"conc": bn.proportional(0.1)})
    population = bn.build(strict, data)
    first = _explanation(population)[0]
    assert (first.code, first.subject, first.row) == ("E_START_DENSITY", "1", 2)
    assert "combined error" in first.remedy


@pytest.mark.slow
def test_a_fit_without_a_start_is_refused(model, data):
    strict = model.replace(observations={"conc": bn.proportional(0.1)})
    with pytest.raises(bn.DataError, match="E_START_DENSITY"):
        bn.fit(strict, data, seed=1, progress=False)


def stats_of(counts, draws=100):
    """Sampler statistics in which chain c has counts[c] draws."""
    energy = np.full((len(counts), draws), np.nan)
    for chain, count in enumerate(counts):
        energy[chain, :count] = 1.0
    zeros = np.zeros_like(energy, dtype=bool)
    return xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset({"x": (("chain", "draw"), energy)}),
            "sample_stats": xr.Dataset(
                {
                    "energy": (("chain", "draw"), energy),
                    "diverging": (("chain", "draw"), zeros),
                    "maxdepth_reached": (("chain", "draw"), zeros),
                }
            ),
        }
    )


def test_an_interrupted_run_keeps_the_largest_full_block():
    posterior, stats = nuts._finite(stats_of([100, 90, 3, 0]), bn.NUTS())
    assert posterior.sizes == {"chain": 2, "draw": 90}
    assert not np.isnan(posterior["x"]).any()
    assert not stats["failed"].any()


def test_an_interruption_during_warm_up_says_so():
    with pytest.raises(bn.FitError, match="warm-up"):
        nuts._finite(stats_of([0, 0]), bn.NUTS())


def test_random_effects_have_their_exact_second_moments(line_fit, line_data):
    eta = line_fit.posterior["eta"]
    mean, cov = exact_posterior(line_data)
    spread = np.sqrt((mean[2:].reshape(-1, 2) ** 2 + np.diag(cov)[2:].reshape(-1, 2)).mean(axis=0))
    found = np.sqrt((eta**2).mean(("chain", "draw", "subject"))).values
    np.testing.assert_allclose(found, spread, rtol=0.05)


def test_a_population_parameter_has_its_exact_distribution(line_fit, line_data):
    mean, cov = exact_posterior(line_data)
    thinned = (line_fit.posterior["a_pop"].values.ravel()[::40] - mean[0]) / np.sqrt(cov[0, 0])
    assert stats.kstest(thinned, "norm").pvalue > 1e-4


def test_known_variances_do_not_spoil_the_verdict(line_fit):
    assert line_fit.convergence.rhat_max < 1.02
    assert list(line_fit.summary().index) == ["a_pop", "b_pop"]
    assert "a_pop" in repr(line_fit)


def test_what_has_no_slope_starts_beside_its_mode():
    """The mode of an effect that a subject's observations say nothing of; nutpie refuses a 0."""
    mode = np.array([0.0, 2.0, 0.0])
    found = _off_the_flat(
        lambda x: (0.0, np.array([-x[0], 1.0, -x[2]])), mode, np.random.default_rng(1)
    )
    assert found[1] == 2.0
    assert ((found[[0, 2]] >= 0.1) & (found[[0, 2]] < 1.0)).all()
    steep = _off_the_flat(lambda x: (0.0, np.ones(3)), mode, np.random.default_rng(1))
    np.testing.assert_array_equal(steep, mode)


def test_a_subject_without_one_of_the_outputs_does_not_stop_the_sampler():
    """Its effect on that output's parameter has no slope at its mode, which nutpie refuses."""
    rows = [
        {"ID": subject, "TIME": time, "DVID": output, "DV": 5 + np.cos(7 * subject + time + output)}
        for subject in range(5)
        for time in range(4)
        for output in (1, 2)
        if (subject, output) != (3, 2)
    ]
    model = bn.Model(
        name="two outputs",
        parameters={"A": bn.LogNormal(5.0, iiv=0.2), "B": bn.LogNormal(5.0, iiv=0.2)},
        structure=bn.ode(
            lambda t, y, p: {"x": 0 * y.x},
            states=("x",),
            outputs={"a": lambda t, y, p: p.A, "b": lambda t, y, p: p.B},
        ),
        observations={"a": bn.additive(1.0), "b": bn.additive(1.0)},
    )
    data = bn.read_data(pd.DataFrame(rows), outputs={1: "a", 2: "b"})
    draws = nuts.sample(
        bn.build(model, data), bn.NUTS(draws=50, tune=100, chains=2), seed=1, progress=False
    )
    assert draws.posterior["eta"].sel(subject="3", effect="B").std() > 0.01
