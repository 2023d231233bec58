"""The control of the step in eight lanes against plain NumPy, one lane after the other."""

import math
from functools import cache

import numpy as np
import pytest

from bayesnlme.odes import control as controls
from bayesnlme.odes import places as at
from bayesnlme.odes import tsit5
from bayesnlme.odes.addresses import shift
from bayesnlme.odes.control import appraisal, control, count, first, only
from bayesnlme.odes.machine import Reals, operation, routine
from bayesnlme.odes.places import W
from bayesnlme.odes.vector import load, number, save
from tests.odes.test_machine import compiled

pytestmark = pytest.mark.usefixtures("own_cache")
FIELDS = at.WEIGHTS - at.T
SCRATCH = [at.FACTOR - at.T, at.STRETCH - at.T, at.MEMORY_NEXT - at.T]
ALL = 2**W - 1
STABLE = 2.5
_SMALLEST = np.finfo(float).tiny


def elementwise(write):
    """Return a function of vectors as an operation on memory: ``(target, source)``."""

    def body(builder, args):
        target, source = args
        save(builder, target, number(0), write(builder, load(builder, source, number(0))))

    return operation(Reals, Reals)(body)


log2 = elementwise(controls._log2)
exp2 = elementwise(controls._exp2)
appraise = appraisal(tsit5.E.tolist(), STABLE)


@routine
def run_log2(target: Reals, source: Reals) -> int:
    log2(target, source)
    return 0


@routine
def run_exp2(target: Reals, source: Reals) -> int:
    exp2(target, source)
    return 0


@routine
def run_control(lanes: Reals, users: int, signs: float, steps: float) -> int:
    return control(lanes, users, signs, steps)


@routine
def run_appraise(
    lanes: Reals, states: Reals, slopes: Reals, rtol: float, n_states: int, n: int
) -> int:
    after, late, tolerance = (
        shift(states, n * W),
        shift(states, 2 * n * W),
        shift(states, 3 * n * W),
    )
    appraise(lanes, states, after, late, slopes, tolerance, rtol, n_states, n)
    return 0


@routine
def run_only(target: Reals, source: Reals, lanes: int) -> int:
    only(target, source, lanes)
    return 0


@routine
def run_count(lanes: int) -> int:
    return count(lanes)


@routine
def run_first(lanes: int) -> int:
    return first(lanes)


def bits(values):
    return np.ascontiguousarray(values, np.float64).view(np.int64)


def members(users):
    return [lane for lane in range(W) if users >> lane & 1]


# -- logarithm and power -----------------------------------------------------------------------


def evaluated(function, values):
    """Return the function of any number of values, eight at a time."""
    run, flat = compiled(function), np.resize(values, -(-len(values) // W) * W)
    found = np.empty_like(flat)
    for place in range(0, len(flat), W):
        run(found[place : place + W], flat[place : place + W])
    return found[: len(values)]


def test_logarithms_of_all_positive_numbers():
    rng = np.random.default_rng(0)
    lowest, infinite = bits([_SMALLEST, np.inf])
    any_ = rng.integers(lowest, infinite, 50_000).view(np.float64)
    powers = 2.0 ** np.arange(-1022, 1024)
    edges = math.sqrt(0.5) * powers[1:]  # where the exponent is counted on
    beside = [np.nextafter(each, way) for each in (edges, powers[1:]) for way in (0.0, np.inf)]
    values = np.concatenate([any_, powers, edges, *beside, rng.uniform(0.1, 10, 10_000)])
    assert np.abs(evaluated(run_log2, values) - np.log2(values)).max() < 5e-6


def test_logarithms_near_one_keep_their_relative_error():
    gaps = np.concatenate([sign * np.logspace(-15, -1, 400) for sign in (1, -1)])
    values = 1 + gaps
    np.testing.assert_allclose(evaluated(run_log2, values), np.log2(values), rtol=1e-5)
    assert evaluated(run_log2, np.ones(W))[0] == 0.0


def test_logarithms_where_there_is_none():
    """Too small for a normal number: very small; infinite: the first power beyond all numbers."""
    values = np.array([0.0, 5e-324, 1e-310, np.nextafter(_SMALLEST, 0.0), np.inf])
    found = evaluated(run_log2, values)
    assert np.all((found[:-1] >= -1023) & (found[:-1] < -1000))
    assert found[-1] == 1024.0
    assert np.isfinite(evaluated(run_log2, np.array([np.nan, -np.nan]))).all()


def test_powers_over_the_whole_range():
    rng = np.random.default_rng(1)
    halves = np.arange(-1999, 2000) / 2
    beside = [np.nextafter(halves, way) for way in (-np.inf, np.inf)]
    values = np.concatenate([rng.uniform(-1000, 1000, 50_000), halves, *beside])
    found = evaluated(run_exp2, values)
    np.testing.assert_allclose(found, 2.0**values, rtol=7e-6)
    whole = np.arange(-999.0, 1000.0)
    np.testing.assert_array_equal(evaluated(run_exp2, whole), 2.0**whole)


# -- control -----------------------------------------------------------------------------------

ERRORS = (0.0, 5e-324, _SMALLEST, 1e-300, 1e-8, 1.0, np.nextafter(1.0, 2.0), 1e300, np.inf)
NOT_ERRORS = (np.nan, -np.nan)
STRAINS = (0.0, 1.0, np.nextafter(1.0, 2.0), np.inf, np.nan, 1e-12, 1e12)


def some_lanes(rng):
    """Return the numbers of all lanes, shape (FIELDS, W), as a solve may meet them."""
    lanes = rng.normal(size=(FIELDS, W))

    def put(field, values):
        lanes[field - at.T] = values

    usual = np.exp(rng.normal(-1, 2, W))
    start, step = rng.uniform(-5, 5, W), np.exp(rng.normal(0, 2, W))
    end = start + step * rng.choice([1.0, 1.5, 3.0, 11.0, 1e4], W)
    put(at.T, start)
    put(at.STEP, step)
    put(at.H, step)
    put(at.END, end)
    put(at.SIGHT, np.where(rng.random(W) < 0.5, end, start + step * rng.uniform(0, 4, W)))
    odd = rng.choice([*ERRORS, *NOT_ERRORS], W)
    put(at.ERROR, np.where(rng.random(W) < 0.6, usual, odd))
    put(at.STRAIN, np.where(rng.random(W) < 0.6, usual, rng.choice(STRAINS, W)))
    put(at.STIFF, rng.integers(0, 16, W))
    put(at.STEPS, rng.integers(0, 100, W))
    put(at.MEMORY, 0.04 * np.log2(rng.uniform(1e-4, 1.0, W)))
    put(at.GROWTH, rng.choice([1.0, 10.0], W))
    return lanes


def one_lane(lane=0, **values):
    """Return lanes of a quiet step from 0 to 1 of a stretch to 100, but for what is said."""
    lanes = some_lanes(np.random.default_rng(2))
    quiet = {"T": 0.0, "STEP": 1.0, "H": 1.0, "END": 100.0, "SIGHT": 100.0, "ERROR": 1.0}
    quiet |= {"STRAIN": 0.5, "STIFF": 0.0, "STEPS": 0.0, "MEMORY": 0.0, "GROWTH": 10.0}
    for name, value in (quiet | values).items():
        lanes[getattr(at, name) - at.T, lane] = value
    return lanes


def controlled(lanes, users, signs=15.0, steps=50.0):
    """Return the numbers of the lanes afterwards, and the lanes that do not simply go on."""
    found = lanes.copy()
    noisy = compiled_control()(found, users, signs, steps)
    return found, noisy


@cache
def compiled_control():
    return compiled(run_control)


def of(lanes, field, lane):
    return lanes[field - at.T, lane]


def factor(squared, memory):
    """Return the factor of the step by Hairer's formula, from the squared error."""
    with np.errstate(divide="ignore"):
        return 0.9 * np.sqrt(squared) ** -0.17 * 2.0**memory


def test_factors_follow_the_formula_within_their_bounds():
    rng = np.random.default_rng(3)
    for _ in range(300):
        lanes = some_lanes(rng)
        found, _ = controlled(lanes, int(rng.integers(0, ALL + 1)))
        for lane in range(W):
            squared, growth = of(lanes, at.ERROR, lane), of(lanes, at.GROWTH, lane)
            if np.isnan(squared):
                continue
            wanted = factor(squared, of(lanes, at.MEMORY, lane))
            bounded = min(max(wanted, 0.2), growth)
            assert of(found, at.STRETCH, lane) == pytest.approx(bounded, rel=1e-5)
            if _SMALLEST <= squared < np.inf:
                assert of(found, at.FACTOR, lane) == pytest.approx(wanted, rel=1e-5)
                memory = 0.04 * math.log2(max(math.sqrt(squared), 1e-4))
                assert of(found, at.MEMORY_NEXT, lane) == pytest.approx(memory, abs=1e-7)


def test_memory_is_the_power_of_the_error_before():
    """Two steps in a row give Hairer's formula of both errors."""
    before, now = 0.04, 0.3
    found, _ = controlled(one_lane(ERROR=before**2), 1)
    found[at.ERROR - at.T, 0] = now**2
    again, _ = controlled(found, 1)
    expected = 0.9 * now**-0.17 * before**0.04
    assert of(again, at.FACTOR, 0) == pytest.approx(expected, rel=1e-5)


def expected_after(lane, stretch, memory, signs, steps):
    """Return what one lane holds after its step, given how it may stretch, and whether it goes on.

    All of it is arithmetic rounded once at a time, so it is the same to the last bit.
    """
    after = dict(lane)
    sign = 1.0 if lane["STRAIN"] > 1.0 else -1.0
    after["STIFF"] = max(lane["STIFF"] + sign, 0.0)
    after["STEPS"] = lane["STEPS"] + 1.0
    now, following = lane["T"] + lane["STEP"], lane["STEP"] * stretch
    goes_on = (
        lane["ERROR"] <= 1.0
        and now < lane["SIGHT"]
        and after["STIFF"] < signs
        and after["STEPS"] <= steps
    )
    if goes_on:
        near = now + 1.01 * following >= lane["END"]
        after |= {"T": now, "H": lane["END"] - now if near else following}
        after |= {"MEMORY": memory, "GROWTH": 10.0}
    return after, goes_on


NAMES = ("T", "H", "END", "STEP", "ERROR", "MEMORY", "GROWTH", "SIGHT", "STEPS", "STIFF", "STRAIN")


@pytest.mark.parametrize("signs", [15.0, math.inf])
def test_every_lane_goes_on_or_is_returned(signs):
    rng, seen = np.random.default_rng(4), set()
    for _ in range(500):
        lanes, users, steps = some_lanes(rng), int(rng.integers(0, ALL + 1)), 80.0
        found, noisy = controlled(lanes, users, signs, steps)
        assert noisy & ~users == 0
        for lane in members(users):
            given = {name: of(lanes, getattr(at, name), lane) for name in NAMES}
            stretch, memory = of(found, at.STRETCH, lane), of(found, at.MEMORY_NEXT, lane)
            after, goes_on = expected_after(given, stretch, memory, signs, steps)
            assert noisy >> lane & 1 == (not goes_on)
            for name in NAMES:
                assert bits(of(found, getattr(at, name), lane)) == bits(after[name]), name
            seen.add((goes_on, bool(after["H"] == given["END"] - after["T"])))
    assert len(seen) == 4


def test_other_numbers_and_lanes_are_untouched():
    """Bit for bit, but for FACTOR, STRETCH and MEMORY_NEXT, which nobody reads there."""
    rng = np.random.default_rng(5)
    written = [getattr(at, name) - at.T for name in NAMES] + SCRATCH
    others = [row for row in range(FIELDS) if row not in written]
    assert len(others) > 4
    for users in range(ALL + 1):
        lanes = some_lanes(rng)
        lanes[rng.integers(0, FIELDS), :] = np.array([np.nan, -np.nan, -0.0, 5e-324] * 2)
        found, _ = controlled(lanes, users)
        idle = [lane for lane in range(W) if lane not in members(users)]
        kept = [row for row in range(FIELDS) if row not in SCRATCH]
        np.testing.assert_array_equal(
            bits(found)[np.ix_(kept, idle)], bits(lanes)[np.ix_(kept, idle)]
        )
        np.testing.assert_array_equal(bits(found)[others], bits(lanes)[others])


@pytest.mark.parametrize("error", [np.nextafter(1.0, 2.0), 4.0, 1e300, np.inf, np.nan, -np.nan])
@pytest.mark.parametrize("lane", [0, 3, W - 1])
def test_refused_steps_are_returned_and_stay_where_they_are(error, lane):
    lanes = one_lane(lane, ERROR=error)
    found, noisy = controlled(lanes, 1 << lane)
    assert noisy == 1 << lane
    for field in (at.T, at.H, at.MEMORY, at.GROWTH):
        assert of(found, field, lane) == of(lanes, field, lane)
    assert of(found, at.STEPS, lane) == 1.0


def test_a_refused_step_says_by_how_much_it_was_too_long():
    found, _ = controlled(one_lane(ERROR=16.0, GROWTH=1.0), 1)
    assert of(found, at.FACTOR, 0) == pytest.approx(0.9 * 4.0**-0.17, rel=1e-5)


@pytest.mark.parametrize(
    "reached",
    [{"SIGHT": 1.0}, {"SIGHT": 0.5}, {"STEPS": 50.0}, {"STIFF": 14.0, "STRAIN": 2.0}],
    ids=" ".join,
)
def test_accepted_steps_with_something_to_do_are_returned(reached):
    assert controlled(one_lane(), 1)[1] == 0
    found, noisy = controlled(one_lane(**reached), 1)
    assert noisy == 1
    assert of(found, at.T, 0) == 0.0


def test_infinitely_many_signs_never_change_the_method():
    found, noisy = controlled(one_lane(STIFF=1e6, STRAIN=np.inf), 1, math.inf, math.inf)
    assert noisy == 0
    assert of(found, at.STIFF, 0) == 1e6 + 1


def test_signs_do_not_fall_below_zero():
    for strain in (1.0, 0.0, np.nan):
        found, _ = controlled(one_lane(STRAIN=strain, STIFF=0.0), 1)
        assert of(found, at.STIFF, 0) == 0.0


@pytest.mark.parametrize("beyond", [-0.5, 0.0, 0.009])
@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_a_step_that_nearly_reaches_the_end_goes_to_the_end(beyond, scale):
    ahead, _ = _ahead(beyond, scale)
    found, _ = controlled(one_lane(STEP=scale, H=scale, END=ahead, SIGHT=ahead), 1)
    assert of(found, at.H, 0) == ahead - scale
    assert of(found, at.T, 0) == scale


def test_a_step_that_leaves_just_a_hundredth_goes_to_the_end():
    still = {"ERROR": 0.01, "GROWTH": 1.0}  # a stretch of 1 without a rounding
    for end, following in ((1 + 1.01, 1 + 1.01 - 1), (np.nextafter(1 + 1.01, 3.0), 1.0)):
        found, _ = controlled(one_lane(END=end, SIGHT=end, **still), 1)
        assert of(found, at.STRETCH, 0) == 1.0
        assert of(found, at.H, 0) == following


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_a_step_that_leaves_more_than_a_hundredth_is_not_fitted(scale):
    ahead, stretch = _ahead(0.011, scale)
    found, _ = controlled(one_lane(STEP=scale, H=scale, END=ahead, SIGHT=ahead), 1)
    assert of(found, at.H, 0) == scale * stretch < ahead - scale


def _ahead(beyond, scale):
    """Return an end so far behind the next step, in its lengths, and the stretch of the step."""
    found, _ = controlled(one_lane(), 1)
    stretch = of(found, at.STRETCH, 0)
    return scale + scale * stretch * (1 + beyond), stretch


# -- appraisal ---------------------------------------------------------------------------------

BEFORE, AFTER, LATE, TOLERANCE = range(4)
RESULTS = [at.ERROR - at.T, at.STRAIN - at.T]


@cache
def compiled_appraisal():
    return compiled(run_appraise)


def appraised(step, rtol, n_states):
    """Return the numbers of all lanes after an appraisal."""
    lanes, states, slopes = step
    found = lanes.copy()
    compiled_appraisal()(found, states, slopes, rtol, n_states, states.shape[1])
    return found


def some_step(rng, n):
    """Return lanes, the states before, after and at stage six with tolerances, and slopes."""
    lanes = some_lanes(rng)
    lanes[at.STEP - at.T, rng.integers(0, W)] = 0.0  # a lane of no subject
    states = rng.normal(size=(4, n, W)) * 10.0 ** rng.integers(-6, 7, (n, 1))
    states[TOLERANCE] = rng.uniform(0.01, 1, (n, W))
    return lanes, states, rng.normal(size=(7, n, W))


def expected_appraisal(step, rtol, n_states):
    """Return the errors and strains of all lanes."""
    lanes, (before, after, late, tolerance), slopes = step
    h = lanes[at.STEP - at.T]
    scale = tolerance + rtol * np.maximum(np.abs(before), np.abs(after))
    error = h * np.einsum("s,snw->nw", tsit5.E, slopes) / scale
    speed = np.sum(((slopes[6] - slopes[5]) / scale)[:n_states] ** 2, axis=0)
    gap = np.sum(((after - late) / scale)[:n_states] ** 2, axis=0)
    moved = np.where(gap > 0, gap, np.inf)
    return np.mean(error**2, axis=0), (h / STABLE) ** 2 * speed / moved


@pytest.mark.parametrize(("n_states", "n"), [(1, 1), (1, 4), (2, 2), (3, 7), (5, 20)])
@pytest.mark.parametrize("rtol", [0.0, 1e-6, 0.5])
def test_errors_and_strains_are_those_of_numpy(n_states, n, rtol):
    rng = np.random.default_rng(n)
    for _ in range(20):
        step = some_step(rng, n)
        found, expected = appraised(step, rtol, n_states), expected_appraisal(step, rtol, n_states)
        # the error is a sum of terms of either sign, so a thousandth of them may be left
        np.testing.assert_allclose(found[RESULTS[0]], expected[0], rtol=1e-11)
        np.testing.assert_allclose(found[RESULTS[1]], expected[1], rtol=1e-14 * (4 + n))
        others = [row for row in range(FIELDS) if row not in RESULTS]
        np.testing.assert_array_equal(bits(found)[others], bits(step[0])[others])


def test_derivatives_count_for_the_error_alone():
    lanes, states, slopes = step = some_step(np.random.default_rng(6), 5)
    error, strain = appraised(step, 1e-3, 2)[RESULTS]
    slopes[:, 2:] *= 3.0
    states[LATE, 2:] += 1.0
    larger, same = appraised(step, 1e-3, 2)[RESULTS]
    np.testing.assert_array_equal(same, strain)
    busy = lanes[at.STEP - at.T] > 0
    assert np.all(larger[busy] > error[busy])


@pytest.mark.parametrize("still", [[0], [2, 5], list(range(W))])
def test_states_that_do_not_move_show_no_strain(still):
    step = some_step(np.random.default_rng(7), 4)
    states = step[1]
    states[LATE, :2, still] = states[AFTER, :2, still]
    strain = appraised(step, 1e-3, 2)[at.STRAIN - at.T]
    np.testing.assert_array_equal(strain[still], 0.0)
    np.testing.assert_allclose(strain, expected_appraisal(step, 1e-3, 2)[1], rtol=1e-13)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_what_is_not_finite_is_refused_in_its_lane_alone(bad):
    lanes, _, slopes = step = some_step(np.random.default_rng(8), 3)
    lanes[at.STEP - at.T] = 1.0
    clean = appraised(step, 1e-3, 2)
    slopes[3, 1, 4] = bad
    found = appraised(step, 1e-3, 2)
    assert not found[at.ERROR - at.T, 4] <= 1.0
    assert compiled_control()(found, 1 << 4, 15.0, 1e9) == 1 << 4
    others = np.ix_(RESULTS, [lane for lane in range(W) if lane != 4])
    np.testing.assert_array_equal(appraised(step, 1e-3, 2)[others], clean[others])


def test_the_strain_of_a_linear_equation_is_its_rate():
    """With the stages of y' = -rate y; each lane has a rate of its own."""
    h, rate = 0.25, np.linspace(0.5, 40.0, W)
    slopes, inside = np.zeros((7, 1, W)), np.zeros((7, 1, W))
    for stage in range(7):
        inside[stage] = 1.0 + h * np.einsum("s,snw->nw", tsit5.A[stage], slopes)
        slopes[stage] = -rate * inside[stage]
    lanes = some_lanes(np.random.default_rng(9))
    lanes[at.STEP - at.T] = h
    states = np.stack([inside[0], inside[6], inside[5], np.ones((1, W))])
    strain = appraised((lanes, states, slopes), 1e-3, 1)[at.STRAIN - at.T]
    np.testing.assert_allclose(strain, (h * rate / STABLE) ** 2, rtol=1e-10)


# -- lanes as bits -----------------------------------------------------------------------------


def test_lanes_are_chosen_counted_and_found():
    choose, how_many, lowest = compiled(run_only), compiled(run_count), compiled(run_first)
    source = np.array([1.5, -0.0, np.nan, np.inf, 5e-324, -np.inf, -2.0, 1e300])
    for lanes in range(ALL + 1):
        target = np.full(W, np.nan)
        choose(target, source, lanes)
        chosen = np.isin(np.arange(W), members(lanes))
        np.testing.assert_array_equal(bits(target)[chosen], bits(source)[chosen])
        np.testing.assert_array_equal(bits(target)[~chosen], 0)
        assert how_many(lanes) == len(members(lanes))
        if lanes:
            assert lowest(lanes) == members(lanes)[0]
