"""Fits whose equations another program integrates, inside compiled densities."""

import numpy as np
import pytest

import bayesnlme as bn
from bayesnlme.inference.compiled import compile_model
from bayesnlme.inference.starts import starting_points

TIGHT = {"rtol": 1e-9, "atol": 1e-11}


@pytest.fixture(scope="module")
def few_data(data):
    """Take three subjects of theophylline."""
    return data.subset(subjects=[1, 2, 3])


def solved_by(model, **options):
    return model.replace(structure=model.structure.with_solver(bn.Solver(**options)))


@pytest.fixture(scope="module")
def by_numba(ode_model, few_data):
    compiled = compile_model(bn.build(solved_by(ode_model, **TIGHT), few_data))
    point = starting_points(compiled)(3)
    return point, *compiled.density.function(point)


def test_density_and_gradient(backend, ode_model, few_data, by_numba):
    """Warnings are errors here: nothing warns of Python inside the sampler, which was chosen."""
    population = bn.build(solved_by(ode_model, **TIGHT, backend=backend), few_data)
    density = compile_model(population).density.function
    point, value, gradient = by_numba
    found, slopes = density(point)
    assert found == pytest.approx(value, abs=1e-6)
    np.testing.assert_allclose(slopes, gradient, rtol=0, atol=1e-7 * np.abs(gradient).max())


def test_a_point_that_cannot_be_solved(backend, ode_model, few_data):
    """It is refused with a code and no exception."""
    population = bn.build(solved_by(ode_model, backend=backend), few_data)
    density = compile_model(population).density
    for hopeless in (1e3, -1e3, np.nan):
        assert density.function(np.full(density.size, hopeless))[0] == -np.inf


@pytest.mark.slow
def test_a_short_fit(integrator, ode_model, few_data):
    """Two chains at once, in threads of the sampler."""
    method = bn.NUTS(draws=10, tune=10, chains=2, cores=2, max_depth=3)
    fit = bn.fit(
        solved_by(ode_model, backend=integrator), few_data, method=method, seed=1, progress=False
    )
    again = bn.fit(solved_by(ode_model), few_data, method=method, seed=1, progress=False)
    assert np.isfinite(fit.posterior["CL"]).all()
    np.testing.assert_allclose(
        fit.posterior["CL_pop"].mean(), again.posterior["CL_pop"].mean(), rtol=0.5
    )
