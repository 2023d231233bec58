"""SAEM against exact likelihoods, quadrature, and what it says of itself."""

from functools import cached_property
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import optimize

import bayesnlme as bn
from bayesnlme.errors import DataError, FitError, InterruptedFitError, ModelError
from bayesnlme.inference.maximise import Objective, maximise
from bayesnlme.inference.saem import _labels, _undetermined, run_saem
from bayesnlme.inference.saem_options import SAEM
from bayesnlme.marginal.conditional import Conditional
from bayesnlme.marginal.laplace import LaplaceApproximation
from bayesnlme.marginal.quadrature import AdaptiveQuadrature

TYPICAL, VARIANCE = 0.01, 0.05
"""How near the estimates of typical values and of variances must be, relative."""


def maximum(approximation, start):
    weights = np.ones(approximation.conditional.n_subjects)
    found = maximise(Objective(approximation=approximation, weights=weights), start)
    assert found.converged
    return found


def moved(conditional, factors):
    """Return the start with typical values on log scales multiplied."""
    start = conditional.start.copy()
    for each in conditional.parameters:
        name = each.name.removesuffix("_pop_log__")
        start[each.where] += np.log(factors.get(name, 1.0))
    return start


def run(conditional, start=None, *, seed=1, **options):
    """Run SAEM from another start."""
    before = conditional.start
    conditional.start = before if start is None else start
    try:
        return run_saem(conditional, SAEM(**options), seed=seed)
    finally:
        conditional.start = before


def assert_near(conditional, found, expected):
    """Compare estimates on natural scales with those of a maximum."""
    found, expected = (conditional.natural(each).squeeze() for each in (found, expected))
    for name in (each for each in found.data_vars if each.endswith("_pop")):
        np.testing.assert_allclose(found[name], expected[name], rtol=TYPICAL, err_msg=name)
    for name in (each for each in found.data_vars if each in ("omega", "omega_iov")):
        np.testing.assert_allclose(
            found[name] ** 2, expected[name] ** 2, rtol=VARIANCE, err_msg=name
        )


# Lines ---------------------------------------------------------------------------------------


class Lines:
    """Straight lines of each subject, with occasions that shift them; all normal."""

    def __init__(self, *, iov=False, **parameters):
        rng = np.random.default_rng(3)
        rows = []
        for subject in range(20):
            a, b = 250.0 + 25.0 * rng.normal(), 10.0 + 3.0 * rng.normal()
            for occasion in range(2 + subject % 2 if iov else 1):
                shift = 15.0 * rng.normal() if iov else 0.0
                for time in range(4 * occasion, 4 * occasion + (3 if iov else 5)):
                    seen = a + shift + b * time + 12.0 * rng.normal()
                    rows.append((subject, time, seen, occasion))
        self.table = pd.DataFrame(rows, columns=["ID", "TIME", "DV", "OCC"])
        if not iov:
            self.table = self.table.drop(columns="OCC")
        self.model = bn.Model(
            name="lines",
            structure=bn.curve(lambda t, p: p.a + p.b * t, output="seen"),
            observations={"seen": bn.additive(10.0)},
            **parameters,
        )

    @cached_property
    def conditional(self):
        return Conditional(bn.build(self.model, bn.read_data(self.table)))

    def minus_log_likelihood(self, mean, between, error):
        """Return minus the exact log likelihood; of the shifts by occasion, the variance."""
        covariance, shift = between
        total = 0.0
        for design, seen, same in self.blocks:
            variance = design @ covariance @ design.T + error**2 * np.eye(len(seen)) + shift * same
            away = seen - design @ mean
            total += np.linalg.slogdet(2 * np.pi * variance)[1]
            total += away @ np.linalg.solve(variance, away)
        return total / 2

    @cached_property
    def blocks(self):
        found = []
        for _, rows in self.table.groupby("ID"):
            occasion = rows["OCC"].to_numpy() if "OCC" in rows else np.arange(len(rows))
            design = np.column_stack([np.ones(len(rows)), rows["TIME"]])
            same = np.equal.outer(occasion, occasion).astype(float)
            found.append((design, rows["DV"].to_numpy(), same))
        return found


def largest(minus, start):
    found = optimize.minimize(minus, start, method="BFGS", options={"gtol": 1e-4})
    assert np.abs(found.jac).max() < 1e-3
    return found.x


@pytest.fixture(scope="module")
def correlated():
    """Correlated lines, with the exact maximum."""
    lines = Lines(
        parameters={"a": bn.Normal(100.0, iiv=10.0), "b": bn.Normal(30.0, iiv=10.0)},
        correlated=[("b", "a")],
    )

    def minus(x):
        sd_a, sd_b, error = np.exp(x[2:5])
        off = np.tanh(x[5]) * sd_a * sd_b
        covariance = np.array([[sd_a**2, off], [off, sd_b**2]])
        return lines.minus_log_likelihood(x[:2], (covariance, 0.0), error)

    x = largest(minus, [250.0, 10.0, *np.log([25.0, 3.0, 12.0]), 0.0])
    lines.exact = {
        "a_pop": x[0], "b_pop": x[1], "omega": np.exp(x[2:4]), "seen_additive": np.exp(x[4]),
        "corr": np.tanh(x[5]),
    }  # fmt: skip
    lines.result = run(lines.conditional)
    return lines


def test_correlated_lines_are_those_of_the_exact_likelihood(correlated):
    found = correlated.conditional.natural(correlated.result.theta).squeeze()
    exact = correlated.exact
    assert correlated.result.converged, correlated.result.problems
    for name in ("a_pop", "b_pop", "omega", "seen_additive"):
        np.testing.assert_allclose(found[name], exact[name], rtol=4e-3, err_msg=name)
    np.testing.assert_allclose(found["omega_corr"][0, 1], exact["corr"], atol=4e-3)


def test_the_information_and_the_scores_are_those_of_the_exact_likelihood(correlated):
    """Laplace's approximation is exact here."""
    conditional, result = correlated.conditional, correlated.result
    exact = maximum(LaplaceApproximation(conditional), result.theta)
    scale = np.sqrt(np.diag(exact.hessian))
    relative = (result.information - exact.hessian) / scale / scale[:, None]
    assert np.abs(relative).max() < 0.1
    scores = LaplaceApproximation(conditional).at(result.theta).slope
    assert np.abs((result.scores - scores) / scale).max() < 0.02
    assert (np.abs(result.theta - exact.theta) <= 5 * result.noise).all()
    assert (result.noise < 0.05 * result.standard_error).all()


def test_the_conditional_moments_are_those_of_the_normal_distributions(correlated):
    conditional, result = correlated.conditional, correlated.result
    modes = LaplaceApproximation(conditional).at(result.theta).modes
    # 450 draws that are not independent, of SD 0.4: errors of about 0.03
    np.testing.assert_allclose(result.mean, modes.z, atol=0.12)
    exact = modes.spread @ modes.spread.transpose(0, 2, 1)
    np.testing.assert_allclose(result.variance, exact, atol=0.3 * exact.max())


def test_a_seed_gives_the_same_bits_and_another_seed_the_same_maximum(correlated):
    options = {"burn_in": 60, "smoothing": 60}
    first, again = (run(correlated.conditional, seed=5, **options) for _ in range(2))
    np.testing.assert_array_equal(first.trace, again.trace)
    np.testing.assert_array_equal(first.theta, again.theta)
    other = run(correlated.conditional, seed=6, **options)
    assert (first.trace != other.trace).any()
    assert (np.abs(other.theta - first.theta) < 0.2 * first.standard_error).all()


def test_simulated_annealing_limits_how_fast_variances_shrink(correlated):
    conditional = correlated.conditional
    result = run(conditional, burn_in=40, smoothing=20, simulated_annealing=0.9)
    (sd,) = (each for each in conditional.parameters if each.name == "omega_log__")
    change = np.diff(2 * result.trace[:20, sd.where], axis=0)
    least = np.log(0.9) * np.where(np.arange(19) % 5 == 3, 2, 1)  # the fifth takes two steps
    assert (change >= least[:, None] - 1e-9).all()
    assert (change < np.log(0.9) + 1e-9).any()


def test_an_interruption_keeps_what_there_is(correlated):
    def stop(number, total):
        assert total == 100
        if number == wanted:
            raise KeyboardInterrupt

    options = SAEM(burn_in=40, smoothing=60)
    wanted = 80
    found = run_saem(correlated.conditional, options, seed=1, watch=stop)
    assert found.interrupted
    assert not found.converged
    assert len(found.trace) == wanted
    assert np.isfinite(found.theta).all()
    wanted = 50
    with pytest.raises(InterruptedFitError, match="before there were estimates"):
        run_saem(correlated.conditional, options, seed=1, watch=stop)


def test_too_short_a_run_says_that_it_has_not_converged(correlated):
    start = correlated.conditional.start.copy()
    start[:] += 2.0
    found = run(correlated.conditional, start, burn_in=1, smoothing=20, chains=1)
    assert not found.converged
    assert any("still drifts, by" in each for each in found.problems)


def test_a_parameter_with_next_to_no_information_is_named(correlated):
    complete = np.diag([4.0, 100.0, 1e4, 1e-2, 1.0, 9.0])
    shares = np.array([0.2, 0.5, 0.1, 0.3, 0.4, 0.6])
    names = _labels(correlated.conditional)
    for k, name in enumerate(names):
        missing = complete * np.where(np.arange(6) == k, 0.99, shares)
        (note,) = _undetermined(names, complete, missing)
        assert f"hardly determine {name}: " in note
        assert "99% are missing" in note
    assert not list(_undetermined(names, complete, complete * shares))
    assert {"a_pop", "omega[a]", "omega[b]", "seen_additive"} < set(names)


def test_priors_pull_the_estimates(correlated):
    """Penalised, the maximum is that of the penalised exact likelihood."""
    conditional = correlated.conditional
    found = run(conditional, priors=True)
    objective = Objective(
        approximation=LaplaceApproximation(conditional),
        weights=np.ones(conditional.n_subjects),
        log_prior=conditional.log_prior,
    )
    exact = maximise(objective, found.theta)
    assert (np.abs(found.theta - exact.theta) < 0.03 * found.standard_error).all()
    away = np.abs(exact.theta - correlated.result.theta) / found.standard_error
    assert away.max() > 0.3


def test_occasions_and_a_variance_that_is_known():
    """Shifts by occasion, some subjects with one more, and an SD of slopes given as fixed."""
    lines = Lines(
        iov=True,
        parameters={
            "a": bn.Normal(100.0, iiv=10.0, iov=30.0),
            "b": bn.Normal(30.0, iiv=bn.fixed(2.5)),
        },
    )

    def minus(x):
        between = np.diag([np.exp(2 * x[2]), 2.5**2]), np.exp(2 * x[3])
        return lines.minus_log_likelihood(x[:2], between, np.exp(x[4]))

    x = largest(minus, [250.0, 10.0, *np.log([25.0, 15.0, 12.0])])
    conditional = lines.conditional
    result = run(conditional)
    assert result.converged, result.problems
    found = conditional.natural(result.theta).squeeze()
    np.testing.assert_allclose([found["a_pop"], found["b_pop"]], x[:2], rtol=4e-3)
    np.testing.assert_allclose(found["omega"], [np.exp(x[2]), 2.5], rtol=0.02)
    np.testing.assert_allclose(found["omega_iov"], np.exp([x[3]]), rtol=0.01)
    np.testing.assert_allclose(found["seen_additive"], np.exp(x[4]), rtol=5e-3)


# Theophylline --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def theophylline(population):
    conditional = Conditional(population)
    near = maximum(LaplaceApproximation(conditional), conditional.start)
    exact = maximum(AdaptiveQuadrature(conditional, 7), near.theta)
    return SimpleNamespace(conditional=conditional, exact=exact.theta)


def test_theophylline_from_a_start_three_times_off(theophylline):
    conditional = theophylline.conditional
    start = moved(conditional, {"ka": 3.0, "CL": 1 / 3, "V": 3.0})
    result = run(conditional, start)
    assert result.converged, result.problems
    assert_near(conditional, result.theta, theophylline.exact)
    assert (np.abs(result.theta - theophylline.exact) < 0.1 * result.standard_error).all()
    assert 0.4 < result.acceptance["mode"] < 1.0
    assert 0.3 < result.acceptance["one"] < 0.6


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "factors",
    [
        {"ka": 3.0, "CL": 3.0, "V": 3.0},
        {"ka": 3.0, "CL": 1 / 3, "V": 1 / 3},
        {"ka": 1 / 3, "CL": 1 / 3, "V": 3.0},
        {"ka": 3.0, "CL": 3.0, "V": 1 / 3},
        {"ka": 1 / 3, "CL": 3.0, "V": 1 / 3},
    ],
)
def test_theophylline_from_starts_three_times_off(theophylline, factors, seed):
    """The last one starts with absorption slower than elimination, the mirror image."""
    conditional = theophylline.conditional
    result = run(conditional, moved(conditional, factors), seed=seed)
    assert result.converged, result.problems
    assert_near(conditional, result.theta, theophylline.exact)


def variant(population, **changes):
    """Return what theophylline becomes with changes, and its maximum by quadrature."""
    model = population.model.replace(**changes)
    conditional = Conditional(bn.build(model, population.data))
    near = maximum(LaplaceApproximation(conditional), conditional.start)
    return conditional, maximum(AdaptiveQuadrature(conditional, 9), near.theta)


def test_a_parameter_without_a_random_effect(population):
    parameters = {**population.model.parameters, "ka": bn.LogNormal(1.5)}
    conditional, exact = variant(population, parameters=parameters)
    start = moved(conditional, {"ka": 3.0, "CL": 1 / 3, "V": 3.0})
    result = run(conditional, start)
    assert result.converged, result.problems
    assert_near(conditional, result.theta, exact.theta)


# Other models --------------------------------------------------------------------------------


def counts():
    rng = np.random.default_rng(8)
    rows = [
        (subject, day, rng.poisson(3.0 * np.exp(0.5 * effect - 0.1 * day)))
        for subject, effect in enumerate(rng.normal(size=30))
        for day in range(6)
    ]
    model = bn.Model(
        name="counts",
        parameters={"rate": bn.LogNormal(9.0, iiv=0.2), "fall": bn.LogNormal(0.3)},
        structure=bn.curve(lambda t, p: p.rate * bn.math.exp(-p.fall * t), output="seizures"),
        observations={"seizures": bn.poisson()},
    )
    return model, pd.DataFrame(rows, columns=["ID", "TIME", "DV"])


def skewed_and_censored():
    """Return a Box-Cox effect, values below a limit, and a weight that changes with time."""
    rng = np.random.default_rng(9)
    rows = []
    for subject in range(30):
        effects = np.expm1(0.2 * rng.normal()) / 0.5, 0.2 * rng.normal()
        for time in range(8):
            weight = 60.0 + 4.0 * time + subject
            rate = 0.3 * np.exp(effects[0]) * (weight / 70.0) ** 0.75
            seen = 10.0 * np.exp(effects[1] - rate * time) + 0.3 * rng.normal()
            rows.append((subject, time, max(seen, 0.6), int(seen < 0.6), weight))
    effects = [bn.covariates.power("WT", reference=70)]
    model = bn.Model(
        name="skewed",
        parameters={
            "k": bn.LogNormal(
                0.5, iiv=0.3, shape=bn.effects.boxcox(bn.fixed(0.5)), covariates=effects
            ),
            "top": bn.LogNormal(5.0, iiv=0.3),
        },
        structure=bn.curve(lambda t, p: p.top * bn.math.exp(-p.k * t), output="level"),
        observations={"level": bn.additive(0.5)},
    )
    return model, pd.DataFrame(rows, columns=["ID", "TIME", "DV", "CENS", "WT"])


@pytest.mark.parametrize(
    "case", [counts, pytest.param(skewed_and_censored, marks=pytest.mark.slow)]
)
def test_others_than_normal(case):
    model, table = case()
    conditional = Conditional(bn.build(model, bn.read_data(table)))
    near = maximum(LaplaceApproximation(conditional), conditional.start)
    exact = maximum(AdaptiveQuadrature(conditional, 15), near.theta)
    result = run(conditional)
    assert result.converged, result.problems
    assert_near(conditional, result.theta, exact.theta)
    assert (np.abs(result.theta - exact.theta) < 0.15 * result.standard_error).all()


# What is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"burn_in": 0}, "burn_in=0 must be a whole number of at least 1"),
        ({"smoothing": 19}, "smoothing=19 must be a whole number of at least 20"),
        ({"smoothing": 30.5}, "smoothing=30.5 must be a whole number"),
        ({"chains": True}, "chains=True must be a whole number"),
        (
            {"simulated_annealing": 1},
            r"simulated_annealing=1 must be a number in \(0, 1\), or None",
        ),
        ({"simulated_annealing": "slow"}, "simulated_annealing='slow'"),
        ({"priors": 1}, "priors=1 must be True or False"),
    ],
)
def test_options_that_cannot_be(options, message):
    with pytest.raises(ModelError, match=message):
        SAEM(**options)


def test_options_are_written_down():
    assert SAEM(chains=3).to_dict() == {
        "name": "SAEM", "burn_in": 200, "smoothing": 200, "chains": 3,
        "simulated_annealing": 0.95, "priors": False,
    }  # fmt: skip


def test_models_with_nothing_to_do_are_refused():
    table = pd.DataFrame({"ID": [1, 1, 2], "TIME": [0, 1, 2], "DV": [1.0, 2.0, 3.0]})
    fields = {
        "name": "line",
        "structure": bn.curve(lambda t, p: p.a + 0 * t, output="seen"),
    }
    for parameter, error, message, kind in [
        (bn.Normal(1.0), bn.additive(1.0), "has none", ModelError),
        (bn.Normal(bn.fixed(1.0)), bn.additive(bn.fixed(1.0)), "nothing to estimate", FitError),
    ]:
        model = bn.Model(parameters={"a": parameter}, observations={"seen": error}, **fields)
        with pytest.raises(kind, match=message):
            run_saem(Conditional(bn.build(model, bn.read_data(table))), SAEM(), seed=1)


def test_a_start_without_density_is_explained():
    table = pd.DataFrame({"ID": [1, 1, 2], "TIME": [0, 1, 2], "DV": [1.0, 2.0, 3.0]})
    model = bn.Model(
        name="impossible",
        parameters={"a": bn.LogNormal(1.0, iiv=0.3)},
        structure=bn.curve(lambda t, p: -p.a - 0 * t, output="seen"),
        observations={"seen": bn.log_normal(0.3)},
    )
    with pytest.raises(DataError, match="its density is not finite"):
        run_saem(Conditional(bn.build(model, bn.read_data(table))), SAEM(), seed=1)
