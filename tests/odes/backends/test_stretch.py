"""Every backend on the same stretches."""

import dataclasses
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from bayesnlme.odes.backends import open_backend
from bayesnlme.odes.solver import Solver
from tests.odes.backends.stretches import (
    AGEING,
    EXPLOSION,
    LOGISTIC,
    ORAL,
    ROBERTSON,
    TURNOVER,
    problem,
    solve_closed,
    solve_linear,
    stretch,
    worst,
)

METHODS = ("tsit5", "rodas5p")
TIMES = (0.6, 1.0, 1.5, 3.0, 7.0, 12.0, 24.0)
BOUND = 100
"""Error of a path over the tolerance of a step: what many steps that err alike add up to."""


def full_oral(**given):
    """Rates, forcing, directions of the initial state, a start that is not zero."""
    draw = np.random.default_rng(4)
    numbers = {
        "equations": ORAL,
        "parameters": [1.2, 0.15, 3.0],
        "state": [10.0, 2.0],
        "times": TIMES,
        "start": 0.5,
        "sensitivity": draw.normal(size=(2, 5)),
        "rates": [0.7, 1.3],
        "forcing": draw.normal(size=(2, 5)),
        "columns": [0, -1, 1, -1, 2],
        "scales": [1.2, 2.0, 0.15, 0.5, 3.0],
    }
    return stretch(**numbers | given)


def tight(equations, given, *, method):
    """Solve by SciPy at tolerances far below those of the tests."""
    solver = Solver(backend="scipy", method=method, rtol=1e-11, atol=1e-12)
    bounds = 1e-3 * given.tolerance
    return open_backend(equations, solver).integrate(dataclasses.replace(given, tolerance=bounds))


@pytest.fixture(scope="session")
def robertson():
    return tight(ROBERTSON, ROBERTSON_STRETCH, method="rodas5p")


@pytest.mark.parametrize("method", METHODS)
def test_linear(opened, method):
    given = full_oral()
    found = opened(ORAL, method=method).integrate(given)
    assert worst(found, solve_linear(ORAL, given), given) < BOUND


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("equations", "parameters", "formula"),
    [
        (LOGISTIC, [0.8, 5.0], "K/(1 + (K/y0 - 1)*exp(-r*(t - t0)))"),
        (AGEING, [0.05, 0.3], "a/k + (y0 - a/k)*exp(-k*(t**2 - t0**2)/2)"),
    ],
    ids=["logistic", "ageing"],
)
def test_closed_form(opened, equations, parameters, formula, method):
    given = stretch(equations, parameters, [0.4], TIMES, start=0.5)
    found = opened(equations, method=method).integrate(given)
    assert worst(found, solve_closed(formula, equations, given), given) < BOUND


@pytest.mark.parametrize("method", METHODS)
def test_power_at_zero(opened, method):
    """Start where SymPy's own derivative of a power is 0/0."""
    given = stretch(TURNOVER, [0.3, 2.0, 5.0, 0.4, 1.1, 1.7], [0.0, 9.0], TIMES, rates=[2.0, 0.0])
    found = opened(TURNOVER, method=method).integrate(given)
    expected = tight(TURNOVER, given, method="tsit5")
    assert worst(found, expected, given) < BOUND


@pytest.mark.parametrize("method", METHODS)
def test_choices(opened, method):
    """Keep the sign of a state, choose by time, multiply by numbers beyond 64 bits.

    On the whole path y < 0, so that |y| = -y and max(y, 0) = 0.
    """
    right_side = (
        "-k*abs(y) + b*maximum(y, 0) + a*minimum(y, 0) + where(t <= 100, c, 3*c)*10**20*y/10**20"
    )
    equations = problem(parameters=["k", "b", "a", "c"], y=right_side)
    given = stretch(equations, [0.4, 3.0, 0.02, -0.3], [-0.5], (0.5, 1.0, 2.0, 5.0))
    found = opened(equations, method=method).integrate(given)
    expected = solve_closed("y0*exp((k + a + c)*(t - t0))", equations, given)
    assert worst(found, expected, given) < BOUND


ROBERTSON_STRETCH = stretch(
    ROBERTSON,
    [0.04, 3e7, 1e4],
    [1.0, 0.0, 0.0],
    (0.4, 4.0, 40.0),
    tolerance=[1e-10, 1e-13, 1e-10],
)


@pytest.mark.parametrize("method", ["auto", "rodas5p"])
def test_stiff(opened, robertson, method):
    """The kinetics of Robertson (1966): rates nine decades apart."""
    found = opened(ROBERTSON, method=method).integrate(ROBERTSON_STRETCH)
    # y(40) as the examples of SUNDIALS print it
    np.testing.assert_allclose(found[0][2], [7.158271e-1, 9.185535e-6, 2.841637e-1], rtol=2e-7)
    for each, start in zip(found, (1.0, 0.0), strict=True):  # mass is kept, whatever the rates
        np.testing.assert_allclose(each.sum(axis=1) * [1], start, atol=1e-7 * np.abs(each).max())
    assert worst(found, robertson, ROBERTSON_STRETCH) < BOUND


def test_stiff_reference_by_differences(robertson):
    given, direction = ROBERTSON_STRETCH, ROBERTSON_STRETCH.parameters * [1.0, -2.0, 0.5]
    slopes = robertson[1] @ direction
    ends = [
        tight(ROBERTSON, dataclasses.replace(given, parameters=each), method="rodas5p")[0]
        for each in (given.parameters + 1e-4 * direction, given.parameters - 1e-4 * direction)
    ]
    difference = (ends[0] - ends[1]) / 2e-4
    assert (np.abs(slopes - difference) < 1e-6 * np.abs(difference).max(axis=0)).all()


def test_values_alone(opened):
    given = full_oral()
    alone = dataclasses.replace(
        given,
        sensitivity=np.zeros((2, 0)),
        forcing=np.zeros((2, 0)),
        columns=np.zeros(0, np.int64),
        scales=np.zeros(0),
    )
    found = opened(ORAL).integrate(alone)
    assert found[1].shape == (len(TIMES), 2, 0)
    assert worst(found, solve_linear(ORAL, alone), alone) < BOUND


def test_more_columns_than_parameters(opened):
    """Rows of a subject that came before, and the same parameter twice."""
    draw = np.random.default_rng(8)
    columns = [2, -1, -1, 0, 2, -1, 1, -1, -1]
    given = full_oral(
        columns=columns,
        sensitivity=draw.normal(size=(2, 9)),
        forcing=draw.normal(size=(2, 9)),
        scales=draw.uniform(0.1, 3.0, size=9),
    )
    found = opened(ORAL).integrate(given)
    assert worst(found, solve_linear(ORAL, given), given) < BOUND


def test_constant_derivative(opened):
    """No state and no parameter in one equation, neither in the other's slope."""
    equations = problem(y="2", z="k")
    given = stretch(equations, [3.0], [1.0, 0.0], (0.5, 2.0))
    states, slopes = opened(equations).integrate(given)
    np.testing.assert_allclose(states, [[2.0, 1.5], [5.0, 6.0]], rtol=1e-9)
    np.testing.assert_allclose(slopes[:, :, 0], [[0.0, 0.5], [0.0, 2.0]], rtol=1e-9)


def test_parameter_that_is_zero(opened):
    given = stretch(ORAL, [1.2, 0.0, 3.0], [10.0, 2.0], TIMES)
    assert given.scales[1] == 0
    found = opened(ORAL).integrate(given)
    assert worst(found, solve_linear(ORAL, given), given) < BOUND


def test_smaller_tolerance_smaller_error(opened):
    given = full_oral()
    exact = solve_linear(ORAL, given)
    errors = []
    for power in (4, 7, 10):
        bound = 10.0**-power
        loose = dataclasses.replace(given, tolerance=np.full(2, bound))
        found = opened(ORAL, method="tsit5", rtol=bound, atol=bound).integrate(loose)
        errors.append(max(np.abs(a - b).max() for a, b in zip(found, exact, strict=True)))
    assert errors[0] > 10 * errors[1] > 100 * errors[2] > 0


@pytest.mark.parametrize("method", ["tsit5", "rodas5p"])
def test_tolerances_follow_the_units(opened, method):
    """States in other units, sensitivities by other units: the same steps to the last bit."""
    equations = problem(parameters=["a", "b"], x="-b*x", y="b*x - a*y*t")
    given = stretch(
        equations,
        [2.0, 0.5],
        [3.0, 0.0],
        TIMES,
        tolerance=[1e-5, 1e-6],
        columns=[-1, -1],
        sensitivity=np.eye(2),
    )
    by = 2.0 ** np.array([20, -30])  # changes no bit of a mantissa
    scaled = dataclasses.replace(
        given,
        tolerance=by[0] * given.tolerance,
        state=by[0] * given.state,
        sensitivity=by[0] / by[1] * given.sensitivity,
        scales=by[1] * given.scales,
    )
    solve = opened(equations, method=method, rtol=1e-5, atol=1e-6).integrate
    states, slopes = solve(given)
    other_states, other_slopes = solve(scaled)
    np.testing.assert_array_equal(other_states, by[0] * states)
    np.testing.assert_array_equal(other_slopes, by[0] / by[1] * slopes)


def test_a_time_at_the_start(opened):
    """A dose at 0.1 + 0.2, an observation at 0.3."""
    start = 0.3
    given = full_oral(start=start, times=[np.nextafter(start, 1), 0.1 + 0.2 + 1e-15, 1.0])
    states, slopes = opened(ORAL).integrate(given)
    np.testing.assert_allclose(states[:2], [given.state] * 2, rtol=0, atol=1e-13)
    np.testing.assert_allclose(slopes[:2], [given.sensitivity] * 2, rtol=0, atol=1e-13)
    exact = solve_linear(ORAL, given)
    assert worst((states, slopes), exact, given) < BOUND
    at_once = dataclasses.replace(given, times=given.times[:1])
    again = opened(ORAL).integrate(at_once)
    np.testing.assert_allclose(again[0], [given.state], rtol=0, atol=1e-13)
    np.testing.assert_allclose(again[1], [given.sensitivity], rtol=0, atol=1e-13)


def test_equal_times(opened):
    given = full_oral(times=[1.0, 1.0, 3.0, 3.0])
    found = opened(ORAL).integrate(given)
    assert worst(found, solve_linear(ORAL, given), given) < BOUND


@pytest.mark.parametrize("method", ["auto", *METHODS])
def test_explosion_is_nan(opened, method):
    """1/(1 - t) ends at t = 1: all is NaN, the times before as well."""
    solve = opened(EXPLOSION, method=method, rtol=1e-6, max_steps=1000).integrate
    for found in solve(stretch(EXPLOSION, [1.0], [1.0], (0.5, 2.0))):
        assert np.isnan(found).all()
    before = solve(stretch(EXPLOSION, [1.0], [1.0], (0.5,)))
    for found in before:  # y = 1/(1 - k t), dy/dk = t y**2
        np.testing.assert_allclose(found.ravel(), 2.0, rtol=1e-4)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300, -1e300])
@pytest.mark.parametrize(
    "place", ["parameters", "state", "sensitivity", "rates", "forcing", "times"]
)
def test_hostile_numbers(opened, place, value):
    given = stretch(EXPLOSION, [0.01], [1.0], (0.5, 2.0), rates=[0.1])
    hostile = np.full_like(getattr(given, place), value)
    if place == "times":
        if not value > 0:
            pytest.skip("before the start")
        hostile = np.array([0.5, value])
    solve = opened(EXPLOSION, rtol=1e-6, max_steps=1000).integrate
    states, slopes = solve(dataclasses.replace(given, **{place: hostile}))
    assert states.shape == (2, 1)
    assert slopes.shape == (2, 1, 1)
    if not np.isfinite(value):
        assert np.isnan(states).all()
        assert np.isnan(slopes).all()


@pytest.mark.parametrize("columns", [[], [0]])
def test_outside_the_domain(opened, columns):
    """The square root of a negative number, from the start and on the way."""
    equations = problem(y="-k - sqrt(y)")
    solve = opened(equations, method="auto").integrate
    for state, times, finite in (
        (-1.0, (0.5, 2.0), False),
        (1.0, (0.5, 2.0), False),
        (1.0, (0.2,), True),
    ):
        for found in solve(stretch(equations, [1.0], [state], times, columns=columns)):
            assert (np.isfinite(found) == finite).all()


def test_step_limit(opened):
    """Few steps for equations that are stiff, by methods for those that are not."""
    given = dataclasses.replace(ROBERTSON_STRETCH, times=np.array([40.0]))
    few = opened(ROBERTSON, method="tsit5", max_steps=20).integrate(given)
    assert all(np.isnan(each).all() for each in few)


def test_read_only_arrays(opened):
    given = full_oral()
    for each in dataclasses.fields(given):
        if each.name != "start":
            getattr(given, each.name).flags.writeable = False
    assert np.isfinite(opened(ORAL).integrate(given)[0]).all()


def test_threads_give_the_same_bits(opened):
    solve = opened(ORAL, rtol=1e-6).integrate
    several = [full_oral(parameters=[ka, 0.15, 3.0], times=[2.0]) for ka in (0.3, 0.7, 1.2)]
    alone = [solve(each) for each in several]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(solve, several * 4))
    for number, found in enumerate(together):
        for one, other in zip(found, alone[number % 3], strict=True):
            np.testing.assert_array_equal(one, other)


def test_pickled(opened):
    backend = opened(ORAL)
    again = pickle.loads(pickle.dumps(backend))  # noqa: S301  our own bytes
    given = full_oral()
    for one, other in zip(again.integrate(given), backend.integrate(given), strict=True):
        np.testing.assert_array_equal(one, other)
