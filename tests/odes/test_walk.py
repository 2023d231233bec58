"""Lanes that do not disturb each other, failures that stay where they are, and no hanging."""

import itertools
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import mpmath
import numba
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from bayesnlme.odes.compiling import OPTIONS
from bayesnlme.odes.kernel import population_kernel
from bayesnlme.odes.op import compiled_kernel
from bayesnlme.odes.problem import problem_from_text
from bayesnlme.odes.solver import Solver

MOST = 3000
FLOWS = {
    "closed_form": ("oral", Solver(method="closed_form", max_steps=MOST)),
    "expm": ("oral", Solver(method="expm", max_steps=MOST)),
    "linear": ("oral", Solver(max_steps=MOST)),
    "tsit5": ("saturable", Solver(method="tsit5", max_steps=MOST)),
    "rodas5p": ("saturable", Solver(method="rodas5p", max_steps=MOST)),
    "auto": ("saturable", Solver(max_steps=MOST)),
}
PARAMETERS = {
    "oral": {"ka": 1.3, "CL": 2.7, "V": 31.0},
    "saturable": {"ka": 1.3, "V": 31.0, "Vmax": 14.0, "Km": 2.2},
}


@pytest.fixture(params=FLOWS)
def flow(request, oral, saturable):
    """Return a kernel and typical parameters."""
    name, solver = FLOWS[request.param]
    problem = {"oral": oral, "saturable": saturable}[name]
    typical = np.array([PARAMETERS[name][each] for each in problem.parameters])
    return compiled_kernel(problem, solver, sensitivities=True), typical


def subjects_of(count, *, steady=False):
    """Return histories of very different length."""
    rng = np.random.default_rng(7)
    found = []
    for number in range(count):
        rows = [("dose", 12.0 * k, 100.0 * (1 + number)) for k in range(1 + number % 5)]
        rows += [("dose", 5.5, 30.0, 10.0 + number, 1)] * (number % 3)
        if steady and number % 4 == 0:
            rows += [("steady", 0.0, 200.0, 0.0, 0, 8.0 + number), ("row", 13.0)]
        rows += [("see", t) for t in rng.uniform(0, 60.0, 1 + 3 * (number % 7))]
        rows += [("reset", 30.0)] * (number % 6 == 5)
        found.append(sorted(rows, key=lambda row: row[1]))
    return found


def rows_of(subject):
    return 1 + sum(row[0] == "row" for row in subject)


def split(result, arrays):
    """Return each subject's part of the results."""
    prediction, sensitivity = result
    offsets, pairs = arrays.observation_offsets, arrays.pair_offsets
    return [
        (prediction[a:b].tobytes(), sensitivity[pairs[a] : pairs[b]].tobytes())
        for a, b in itertools.pairwise(offsets)
    ]


def solve(kernel, schedule, subjects, parameters):
    arrays = schedule(*subjects)
    return split(kernel(np.vstack(parameters), *arrays), arrays)


def population(typical, *, steady=False, seed=3):
    subjects = subjects_of(20, steady=steady)
    rng = np.random.default_rng(seed)
    spread = [rng.normal(0, 0.8, (rows_of(each), len(typical))) for each in subjects]
    return subjects, [typical * np.exp(each) for each in spread]


@pytest.mark.parametrize("steady", [False, True])
def test_a_subject_does_not_depend_on_who_else_is_solved(flow, schedule, steady):
    """Bit by bit, whatever the others are, how many, and in which order."""
    kernel, typical = flow
    subjects, parameters = population(typical, steady=steady)
    if steady:  # the columns of the transition matrix are carried for all or for none
        subjects = [[*each, ("row", 70.0)] for each in subjects]
        parameters = [np.vstack([each, each[:1]]) for each in parameters]
    alone = [
        solve(kernel, schedule, [subject], [values])[0]
        for subject, values in zip(subjects, parameters, strict=True)
    ]
    rng = np.random.default_rng(0)
    for count in range(1, 21):
        chosen = rng.permutation(20)[:count]
        together = solve(
            kernel, schedule, [subjects[i] for i in chosen], [parameters[i] for i in chosen]
        )
        for i, found in zip(chosen, together, strict=True):
            assert found == alone[i], (count, i)


def test_a_steady_state_elsewhere_does_not_matter(flow, schedule):
    kernel, typical = flow
    plain = [("dose", 0.0, 320.0), ("see", 3.0), ("see", 40.0)]
    steady = [("steady", 0.0, 320.0, 0.0, 0, 12.0), ("see", 3.0)]
    (alone,) = solve(kernel, schedule, [plain], [typical])
    first, _ = solve(kernel, schedule, [plain, steady], [typical, typical])
    assert first == alone


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, -1e300])
def test_a_failure_leaves_the_others_alone(flow, schedule, value):
    kernel, typical = flow
    subjects, parameters = population(typical)
    good = solve(kernel, schedule, subjects, parameters)
    for k in range(len(typical)):
        spoilt = [each.copy() for each in parameters]
        for number in range(1, 20, 3):
            spoilt[number][:, k] = value
        found = solve(kernel, schedule, subjects, spoilt)
        for number in range(20):
            if number % 3 != 1:
                assert found[number] == good[number], (k, number)
            elif np.isnan(value):
                assert np.isnan(np.frombuffer(found[number][0])).all()
                assert np.isnan(np.frombuffer(found[number][1])).all()


@pytest.mark.parametrize("method", ["auto", "tsit5", "rodas5p"])
def test_blow_up_in_finite_time_is_a_failure_of_its_subject(method, schedule):
    problem = problem_from_text(rhs={"y": "r*y**2"}, outputs={"y": "y"}, initial={"y": "y0"})
    kernel = compiled_kernel(problem, Solver(method=method, max_steps=MOST), sensitivities=True)
    rows = [("see", 0.5), ("see", 2.0)]
    parameters = np.array([[0.3, 1.0], [0.7, 1.0], [0.4, 1.0]])
    assert problem.parameters == ("r", "y0")
    kernel(parameters[:1], *schedule(rows, start=0.0))
    begin = time.process_time()
    prediction, sensitivity = kernel(parameters, *schedule(*[rows] * 3, start=0.0))
    assert time.process_time() - begin < 1.0
    assert np.isnan(prediction[2:4]).all()
    assert np.isnan(sensitivity[2:4]).all()
    r = parameters[[0, 0, 2, 2], 0]
    t = np.array([0.5, 2.0, 0.5, 2.0])
    rest = [0, 1, 4, 5]
    np.testing.assert_allclose(prediction[rest], 1 / (1 - r * t), rtol=1e-5)
    expected = np.stack([t, np.ones(4)], axis=1) / (1 - r * t)[:, None] ** 2
    np.testing.assert_allclose(sensitivity[rest], expected, rtol=2e-5)


def test_too_many_steps_are_counted_for_each_subject(schedule, saturable):
    """How many steps a subject takes does not depend on its neighbours."""
    typical = np.array([PARAMETERS["saturable"][each] for each in saturable.parameters])
    rows = [("dose", 0.0, 320.0), ("see", 96.0)]
    many = [*(("dose", 12.0 * k, 320.0) for k in range(40)), ("see", 480.0)]
    count = counting(saturable, Solver())
    _, needed = count(typical[None], *schedule(rows))
    enough, few = (
        compiled_kernel(saturable, Solver(max_steps=int(needed) + more), sensitivities=True)
        for more in (1, -3)
    )
    parameters = np.tile(typical, (9, 1))
    arrays = schedule(*[many] * 8, rows)
    assert np.isfinite(enough(parameters, *arrays)[0][-1])
    assert np.isnan(few(parameters, *arrays)[0]).all()


def counting(problem, solver, *, sensitivities=True):
    """Return a function that gives evaluations for all lanes, and steps of all subjects."""
    kernel = population_kernel(problem, solver, sensitivities=sensitivities, count=True)
    return numba.njit(**OPTIONS)(kernel)


# -- extreme parameters ------------------------------------------------------------------------

EXTREMES = [1.0, 1e-12, 1e-6, 1e6, 1e12, 0.0, -0.0, -1.0, -1e12, 1e-300, 1e300, np.nan, np.inf]


def test_extreme_parameters_neither_crash_nor_hang(flow, schedule):
    """All pairs of them; a subject is finite throughout, or not-a-number throughout."""
    kernel, typical = flow
    parameters = [
        typical * np.where(np.arange(len(typical)) == i, a, np.where(k == i, b, 1.0))
        for i, j in itertools.combinations(range(len(typical)), 2)
        for k in [np.where(np.arange(len(typical)) == j, i, -1)]
        for a, b in itertools.product(EXTREMES, EXTREMES)
    ]
    rows = [("dose", 0.0, 320.0), ("see", 1.0), ("dose", 2.0, 10.0, 5.0, 1), ("see", 24.0)]
    begin = time.process_time()
    prediction, sensitivity = kernel(np.array(parameters), *schedule(*[rows] * len(parameters)))
    assert time.process_time() - begin < 30.0
    lost = np.isnan(prediction.reshape(-1, 2))
    np.testing.assert_array_equal(lost[:, 0], lost[:, 1])
    not_numbers = np.isnan(sensitivity.reshape(-1, 2, len(typical))).all(axis=(1, 2))
    np.testing.assert_array_equal(lost[:, 0] & ~not_numbers, False)
    assert np.isfinite(prediction.reshape(-1, 2)[0]).all()


@pytest.mark.parametrize("size", [1e-300, 1e-12, 1e12, 1e300, np.inf, np.nan])
def test_extreme_doses_and_times(flow, schedule, size):
    kernel, typical = flow
    rows = [
        [("dose", 0.0, size), ("see", 1.0)],
        [("dose", 0.0, 320.0, size, 1), ("see", 1.0)],
        [("dose", 0.0, 320.0), ("see", size)],
        [("dose", 0.0, 320.0), ("see", 1.0)],
        [("dose", -1.0, 320.0), ("dose", size, 320.0), ("see", size)],
    ]
    begin = time.process_time()
    found = solve(kernel, schedule, rows, [typical] * len(rows))
    assert time.process_time() - begin < 5.0
    assert found[3] == solve(kernel, schedule, [rows[3]], [typical])[0]


@pytest.mark.parametrize("method", ["auto", "closed_form", "expm"])
def test_linear_results_are_right_or_not_a_number(method, schedule, oral):
    """Over 24 decades of both rates, against the formula with fifty digits."""
    kernel = compiled_kernel(oral, Solver(method=method, max_steps=MOST), sensitivities=True)
    rates = [*np.geomspace(1e-12, 1e12, 13), 3.0, 3.0 * (1 + 1e-9)]
    pairs = list(itertools.product(rates, rates))
    times = (0.5, 24.0)
    parameters = np.array([[ka, k, 1.0] for ka, k in pairs])
    assert oral.parameters == ("ka", "CL", "V")
    rows = [("dose", 0.0, 1.0), *(("see", t) for t in times)]
    prediction, _ = kernel(parameters, *schedule(*[rows] * len(pairs)))
    found = prediction.reshape(-1, len(times))
    with mpmath.workdps(50):
        expected = np.array([[formula(*pair, t) for t in times] for pair in pairs])
    known = np.isfinite(found).all(axis=1)
    allowed = 1e-5 * expected + 1e-7
    if method == "auto":
        assert known.all()
    if method == "closed_form":  # by itself it loses bits to fast modes; "auto" hands these over
        allowed += 20 * 2.0**-52 * parameters[:, :2].max(axis=1, keepdims=True) * times
    assert (abs(found - expected)[known] <= allowed[known]).all()
    assert known[(parameters[:, :2] * times[1] < 1e3).all(axis=1)].all()


def formula(ka, k, t):
    ka, k = mpmath.mpf(float(ka)), mpmath.mpf(float(k))
    if ka == k:
        return float(ka * t * mpmath.exp(-k * t))
    return float(ka / (ka - k) * (mpmath.exp(-k * t) - mpmath.exp(-ka * t)))


# -- change of method --------------------------------------------------------------------------

ROBERTSON = {
    "a": "-k1*a + k3*b*c",
    "b": "k1*a - k3*b*c - k2*b**2",
    "c": "k2*b**2",
}


def test_robertson_is_handed_to_the_stiff_method(schedule):
    problem = problem_from_text(
        rhs=ROBERTSON, outputs={n: n for n in "abc"}, initial={"a": "a0", "b": "0", "c": "0"}
    )
    values = {"k1": 0.04, "k2": 3e7, "k3": 1e4, "a0": 1.0}
    parameters = np.array([[values[name] for name in problem.parameters]])
    times = 4.0 * 10.0 ** np.arange(6)
    rows = [("see", t, j) for t in times for j in range(3)]
    arrays = schedule(rows, start=0.0)
    solver = Solver(rtol=1e-7, atol=1e-11)
    prediction, sensitivity = compiled_kernel(problem, solver, sensitivities=True)(
        parameters, *arrays
    )

    def f(t, y):
        fast = 1e4 * y[1] * y[2]
        return [-0.04 * y[0] + fast, 0.04 * y[0] - fast - 3e7 * y[1] ** 2, 3e7 * y[1] ** 2]

    reference = solve_ivp(
        f, (0, times[-1]), [1, 0, 0], method="Radau", rtol=1e-11, atol=1e-15, t_eval=times
    )
    found = prediction.reshape(-1, 3)
    np.testing.assert_allclose(found, reference.y.T, rtol=1e-5, atol=1e-10)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-10)
    assert np.isfinite(sensitivity).all()
    _, taken = counting(problem, solver)(parameters, *arrays)
    assert taken < 1000
    explicit = Solver(method="tsit5", max_steps=MOST)
    assert np.isnan(
        compiled_kernel(problem, explicit, sensitivities=False)(parameters, *arrays)
    ).all()


def test_van_der_pol_around_its_corners(schedule):
    """Long stiff stretches, which the explicit method cannot afford, between fast ones."""
    problem = problem_from_text(
        rhs={"x": "v", "v": "mu*(1 - x**2)*v - x"},
        outputs={"x": "x"},
        initial={"x": "x0", "v": "0"},
    )
    values = {"mu": 1e3, "x0": 2.0}
    parameters = np.array([[values[name] for name in problem.parameters]])
    times = np.array([1.0, 400.0, 800.0, 1000.0, 1500.0, 2000.0])
    arrays = schedule([("see", t) for t in times], start=0.0)
    solver = Solver(rtol=1e-8, atol=1e-10)
    prediction = compiled_kernel(problem, solver, sensitivities=False)(parameters, *arrays)

    def f(t, y):
        return [y[1], 1e3 * (1 - y[0] ** 2) * y[1] - y[0]]

    reference = solve_ivp(
        f, (0, 2000), [2, 0], method="Radau", rtol=1e-10, atol=1e-12, t_eval=times
    )
    np.testing.assert_allclose(prediction, reference.y[0], rtol=1e-4)
    _, taken = counting(problem, solver, sensitivities=False)(parameters, *arrays)
    assert taken < 3000


def test_the_explicit_method_takes_over_again(schedule):
    """Stiff until the rate has died down, then fast waves: counted by evaluations per step.

    Tsit5 takes 6 of a step, Rodas5P 8, and each start of a stretch or change back 2.
    """
    problem = problem_from_text(
        rhs={"y": "-rate*exp(-4*t)*(y - cos(t)) + wave*cos(wave*t)"}, outputs={"y": "y"}
    )
    values = {"rate": 1e7, "wave": 40.0}
    parameters = np.array([[values[name] for name in problem.parameters]])
    arrays = schedule([("see", 12.0)], start=0.0)
    shares = {}
    for method in ("auto", "rodas5p", "tsit5"):
        solver = Solver(method=method, max_steps=10**6)
        calls, taken = counting(problem, solver, sensitivities=False)(parameters, *arrays)
        shares[method] = (calls - 6 * taken) / (2 * taken)
    assert shares["rodas5p"] == pytest.approx(1, abs=0.02)
    assert shares["tsit5"] == pytest.approx(0, abs=0.02)
    assert 0.05 < shares["auto"] < 0.8
    few = Solver(method="tsit5", max_steps=MOST)
    many = compiled_kernel(problem, few, sensitivities=False)(parameters, *arrays)
    assert np.isnan(many).all()
    switched, stiff = (
        compiled_kernel(problem, each, sensitivities=False)(parameters, *arrays)
        for each in (Solver(max_steps=MOST), Solver(method="rodas5p", rtol=1e-9, atol=1e-11))
    )
    np.testing.assert_allclose(switched, stiff, rtol=1e-4, atol=1e-4)


# -- threads -----------------------------------------------------------------------------------


def test_threads_that_solve_at_once_do_not_disturb_each_other(flow, schedule):
    kernel, typical = flow
    subjects, parameters = population(typical, steady=True)
    arrays = schedule(*subjects)
    both = [np.vstack(parameters) * scale for scale in (1.0, 1.1)]
    alone = [split(kernel(each, *arrays), arrays) for each in both]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda i: split(kernel(both[i % 2], *arrays), arrays), range(20)))
    for i, found in enumerate(together):
        assert found == alone[i % 2]


def test_any_number_of_threads_gives_the_same_bits(schedule, saturable):
    typical = np.array([PARAMETERS["saturable"][each] for each in saturable.parameters])
    subjects, parameters = population(typical)
    one, two = (
        compiled_kernel(saturable, Solver(threads=threads, max_steps=MOST), sensitivities=True)
        for threads in (1, 2)
    )
    for count in (1, 2, 5, 20):
        given = schedule, subjects[:count], parameters[:count]
        assert solve(one, *given) == solve(two, *given)


PROGRAM = """
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from bayesnlme.odes.op import compiled_kernel
from bayesnlme.odes.problem import problem_from_text
from bayesnlme.odes.schedule import Schedule
from bayesnlme.odes.solver import Solver
problem = problem_from_text(
    rhs={"y": "-Vmax*y/(Km + y)"}, outputs={"y": "y"}, initial={"y": "y0"}
)
n = 200
none = np.zeros(0)
fields = dict.fromkeys(Schedule._fields, none.astype(np.int64))
fields |= {f"record_{name}": none for name in ("time", "amount", "rate", "interval")}
fields |= {
    "start_time": np.zeros(n), "start_row": np.arange(n), "record_offsets": np.zeros(n + 1, int),
    "observation_offsets": np.arange(n + 1), "observation_time": np.full(n, 50.0),
    "observation_output": np.zeros(n, int), "observation_order": np.zeros(n, int),
    "pair_offsets": np.arange(n + 1), "pair_row": np.arange(n),
}
kernel = compiled_kernel(problem, Solver(threads=2), sensitivities=True)
values = np.random.default_rng(0).uniform(1.0, 2.0, (n, 3))
expected = kernel(values, *Schedule(**fields))
with ThreadPoolExecutor(4) as pool:
    for found in pool.map(lambda _: kernel(values, *Schedule(**fields)), range(200)):
        assert (found[0] == expected[0]).all() and (found[1] == expected[1]).all()
print("same")
"""


def test_chains_in_threads_may_use_several_threads_each():
    """In a process of its own: a clash inside numba's thread pool ends the process."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False
    )
    assert done.stdout == "same\n", done.stderr
