"""The audit of a solver against closed solutions, SciPy and a second route through ArviZ."""

from dataclasses import replace

import arviz as az
import numpy as np
import pytest
import xarray as xr
from scipy import stats
from scipy.special import lambertw

import bayesnlme as bn
from bayesnlme.diagnostics import solver_audit
from bayesnlme.diagnostics.comparison import ConvergenceWarning
from bayesnlme.diagnostics.solver_audit import audit_solver
from bayesnlme.errors import FitError
from bayesnlme.graph.build import build
from bayesnlme.odes.op import compiled_kernel
from bayesnlme.results.status import Status

KM, SCALE = 0.2, 30.0
"""Michaelis constant in mg/L, and clearance at low concentrations as a multiple of CL: steep."""

CRUDE = bn.Solver(rtol=1e-2, atol=1e-2)
FINE = bn.Solver(rtol=1e-4, atol=1e-6)


def michaelis_menten(solver):
    return bn.ode(
        lambda t, y, p: {"central": -SCALE * p.CL * y.central / p.V / (1 + y.central / p.V / KM)},
        states=("central",),
        outputs={"conc": lambda t, y, p: y.central / p.V},
        solver=solver,
    )


def solved_with(fit, structure):
    return replace(fit, model=fit.model.replace(structure=structure))


@pytest.fixture(scope="module")
def fine(fit):
    return solved_with(fit, michaelis_menten(FINE))


@pytest.fixture(scope="module")
def crude(fit):
    return solved_with(fit, michaelis_menten(CRUDE))


@pytest.fixture(scope="module")
def sound(fine):
    return audit_solver(fine)


def predictions(fit, solver):
    """Predict by the kernel alone, shape (chain x draw, observation)."""
    structure = michaelis_menten(solver)
    kernel = compiled_kernel(structure.problem, solver, sensitivities=True)
    tables = np.stack([fit.posterior[name] for name in structure.parameters], axis=-1)
    arrays = structure.inputs(fit.data).values()
    return np.array([kernel(table, *arrays)[0] for table in tables.reshape(-1, *tables.shape[2:])])


def exact(fit, dose):
    """Concentrations after one dose by Lambert's W, shape (chain x draw, observation)."""
    seen = fit.data.observations
    clearance, volume = (
        fit.posterior[name].values.reshape(-1, 3)[:, seen.subject] for name in ("CL", "V")
    )
    start = dose / volume / KM
    return KM * lambertw(start * np.exp(start - SCALE * clearance / volume * seen.time)).real


def likelihood(fit, prediction):
    sd = fit.posterior["conc_additive"].values.reshape(-1, 1)
    return stats.norm(prediction, sd).logpdf(fit.data.observations.value).sum(axis=1)


def test_a_sound_solver_did_not_bend_the_posterior(fine, sound, handmade):
    truth = exact(fine, handmade.DOSE)
    np.testing.assert_allclose(predictions(fine, sound.tighter), truth, atol=1e-4, rtol=1e-3)
    assert sound.ok
    assert sound.problems == ()
    assert not sound.exact
    assert (sound.draws, sound.failed) == (200, 0)
    assert sound.tighter == replace(FINE, rtol=1e-5, atol=1e-7)
    assert 0 < sound.difference_max < 0.05
    assert sound.relative_ess == pytest.approx(1, abs=1e-3)
    assert "did not bend the posterior" in repr(sound)
    assert "rtol=0.0001, atol=1e-06 against rtol=1e-05, atol=1e-07" in repr(sound)


def test_its_numbers_are_those_of_the_kernel_and_of_arviz(fine, sound):
    before, after = (predictions(fine, each) for each in (FINE, sound.tighter))
    difference = likelihood(fine, after) - likelihood(fine, before)
    assert sound.difference_max == pytest.approx(np.abs(difference).max(), rel=1e-6)
    assert sound.difference_sd == pytest.approx(difference.std(), rel=1e-6)
    twice = np.repeat(-difference.reshape(2, 100, 1), 2, axis=2)
    left_out = xr.Dataset({"joint": (("chain", "draw", "observation"), twice)})
    tree = xr.DataTree.from_dict({"posterior": fine.posterior, "log_likelihood": left_out})
    found = az.loo(tree, var_name="joint", reff=1.0, pointwise=True)
    np.testing.assert_allclose(found.pareto_k, sound.k_hat, atol=1e-6)
    assert sound.good_k == pytest.approx(found.good_k)
    moved = np.abs(after - before) / fine.posterior["conc_additive"].values.reshape(-1, 1)
    worst = fine.observation_frame().iloc[moved.max(axis=0).argmax()]
    assert sound.residual_shift == pytest.approx(moved.max(), rel=1e-6)
    assert (sound.subject, sound.time) == (worst["subject"], worst["time"])
    assert sound.output == "conc"


def test_a_crude_solver_is_found_out(crude):
    found = audit_solver(crude)
    assert not found.ok
    assert found.k_hat > found.good_k
    assert found.relative_ess < 0.1
    assert found.shift > solver_audit.SHIFT_LIMIT
    assert found.residual_shift > 1
    assert found.verdict.startswith("NOT SOUND. At the tighter tolerances a posterior mean")
    assert found.verdict.endswith("Fit again with rtol=0.001, atol=0.001, and audit that.")


def test_the_bound_on_posterior_means_holds(fit):
    rng = np.random.default_rng(2)
    values = rng.normal(size=1000)
    weights, _ = solver_audit._smoothed(0.1 * values + 0.05 * rng.normal(size=1000))
    moved = np.mean(weights * values) - values.mean()
    assert 0.09 < moved <= weights.std() * values.std()


def test_a_closed_form_is_exact(fit):
    found = audit_solver(fit, draws=60)
    assert found.exact
    assert found.ok
    assert found.k_hat is None
    assert found.relative_ess == 1
    assert (found.shift, found.difference_max, found.residual_shift) == (0, 0, 0)
    assert "exact to rounding" in repr(found)
    assert "nan" not in repr(found)


def test_the_same_equations_in_steps_are_not_called_exact(fit):
    structure = fit.model.structure.with_solver(bn.Solver(method="tsit5"))
    found = audit_solver(solved_with(fit, structure), draws=60)
    assert found.ok
    assert not found.exact


def test_draws_are_thinned_evenly_and_failed_ones_counted(fine):
    tree = fine.tree.copy(deep=True)
    clearance = tree["posterior"]["CL"].values
    clearance[0, 0], clearance[1, -1] = np.nan, np.nan
    found = audit_solver(replace(fine, tree=tree), draws=60)
    assert (found.draws, found.failed) == (60, 2)
    assert not found.ok
    assert found.verdict.startswith("NOT SOUND. 2 of 60 draws could not be solved")
    assert found.verdict.endswith("Raise max_steps of the solver, or try another method.")


@pytest.mark.parametrize(
    ("changes", "ok"),
    [
        ({}, True),
        ({"k_hat": 0.9}, True),
        ({"k_hat": None}, True),
        ({"k_hat": 0.9, "difference_max": 0.3}, False),
        ({"k_hat": None, "difference_max": 0.3}, False),
        ({"k_hat": 0.2, "difference_max": 0.3}, True),
        ({"k_hat": 0.2, "shift": 0.06}, False),
        ({"failed": 1}, False),
    ],
)
def test_the_verdict_follows_its_rules(sound, changes, ok):
    usual = {"k_hat": 0.2, "difference_max": 1e-4, "shift": 1e-5, "failed": 0}
    found = replace(sound, **(usual | changes))
    assert found.ok is ok
    assert found.verdict.startswith("NOT SOUND.") is not ok


def test_a_tail_is_not_made_up():
    even = np.concatenate([np.linspace(-1, -0.5, 70), np.zeros(30)])
    weights, k_hat = solver_audit._smoothed(even)
    assert k_hat is None
    np.testing.assert_allclose(weights, np.exp(even) / np.exp(even).mean())
    weights, k_hat = solver_audit._smoothed(np.linspace(-1e5, 0, 100))
    assert k_hat == np.inf
    assert weights.max() == pytest.approx(100)


@pytest.mark.parametrize(
    ("error", "magnitude", "expected"),
    [
        (bn.log_normal(0.1), "conc_log_sd", np.log(1.02) / 0.1),
        (bn.proportional(0.1), "conc_proportional", 0.02 / 0.1),
    ],
)
def test_a_move_is_measured_in_residual_sds(fit, error, magnitude, expected):
    population = build(fit.model.replace(observations={"conc": error}), fit.data)
    before = fit.posterior.assign({magnitude: 0.1 * xr.ones_like(fit.posterior["CL_pop"])})
    after = before.assign(prediction=1.02 * before["prediction"])
    moved = solver_audit._residual_shifts(population, before, after)
    np.testing.assert_allclose(moved, np.full((200, 12), expected))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (bn.Solver(rtol=1e-12, atol=1e-6), bn.Solver(rtol=1e-13, atol=1e-8)),
        (bn.Solver(rtol=1e-14, atol=1e-6), bn.Solver(rtol=1e-14, atol=1e-8)),
    ],
)
def test_tolerances_stop_at_the_floor(sound, given, expected):
    assert solver_audit._tightened(given, 100) == expected
    floored = replace(sound, tighter=solver_audit._tightened(given, 100))
    assert ("1e-13 (the floor)" in repr(floored)) is (expected.rtol == 1e-13)


def test_nothing_is_tighter_than_the_floor(fit):
    solver = bn.Solver(rtol=1e-13, atol=1e-14)
    with pytest.raises(FitError, match="double precision has nothing tighter"):
        audit_solver(solved_with(fit, michaelis_menten(solver)))


def test_a_curve_has_nothing_to_audit(fit):
    curve = bn.curve(lambda t, p: bn.math.exp(-p.CL / p.V * t), output="conc")
    with pytest.raises(FitError, match="nothing to audit: 'handmade' has no differential"):
        audit_solver(solved_with(fit, curve))


@pytest.mark.parametrize("factor", [1, 0.1, np.inf, np.nan, "x", None, True])
def test_a_factor_must_tighten(fit, factor):
    with pytest.raises(FitError, match="must be a number above 1"):
        audit_solver(fit, factor=factor)


def test_too_few_draws_are_refused(fit):
    with pytest.raises(FitError, match="20 of 20 draws could be solved at both"):
        audit_solver(fit, draws=20)


def test_only_fits_are_audited():
    with pytest.raises(FitError, match="needs a Fit"):
        audit_solver("fit.nc")


def test_a_fit_that_is_not_final_is_said(fit):
    with pytest.warns(ConvergenceWarning, match="Audit of a fit that is not final"):
        audit_solver(replace(fit, status=Status.INTERRUPTED), draws=60)
