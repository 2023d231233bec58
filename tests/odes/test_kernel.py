from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from bayesnlme.odes.op import compiled_kernel
from bayesnlme.odes.solver import Solver

KA, CL, V = 1.3, 2.7, 31.0
TIMES = (0.0, 0.2, 0.7, 1.0, 1.5, 2.0, 2.5, 3.1, 5.0, 8.0, 12.0, 13.0, 24.0, 48.0)


def after_bolus(t, ka, k):
    """Central amount per unit in the depot; complex arguments give derivatives."""
    return np.where(t.real < 0, 0, ka / (ka - k) * (np.exp(-k * t) - np.exp(-ka * t)))


def after_iv_bolus(t, k):
    return np.where(t < 0, 0, np.exp(-k * t))


def after_infusion(t, k, duration):
    given = np.clip(t, 0, duration)
    return (1 - np.exp(-k * given)) / (k * duration) * np.exp(-k * (t - given))


def after_depot_infusion(t, ka, k, duration):
    """Integral of the response to a bolus over the infusion."""
    since = [np.maximum(t, 0), np.maximum(t - duration, 0)]
    total = [ka / (ka - k) * ((1 - np.exp(-k * s)) / k - (1 - np.exp(-ka * s)) / ka) for s in since]
    return (total[0] - total[1]) / duration


REGIMENS = {
    "oral": (
        [("dose", 0.0, 320.0)],
        lambda t, ka, k: 320 * after_bolus(t, ka, k),
    ),
    "bolus": (
        [("dose", 0.0, 100.0, 0.0, 1)],
        lambda t, ka, k: 100 * after_iv_bolus(t, k),
    ),
    "infusion": (
        [("dose", 0.0, 100.0, 40.0, 1)],
        lambda t, ka, k: 100 * after_infusion(t, k, 2.5),
    ),
    "depot infusion": (
        [("dose", 1.0, 100.0, 40.0, 0)],
        lambda t, ka, k: 100 * after_depot_infusion(t - 1, ka, k, 2.5),
    ),
    "everything at once": (
        [
            ("dose", 0.0, 320.0),
            ("dose", 0.0, 60.0, 10.0, 1),
            ("dose", 2.0, 80.0, 10.0, 1),
            ("dose", 2.0, 50.0, 0.0, 1),
            ("dose", 12.0, 320.0),
        ],
        lambda t, ka, k: (
            320 * after_bolus(t, ka, k)
            + 60 * after_infusion(t, k, 6.0)
            + 80 * after_infusion(t - 2, k, 8.0)
            + 50 * after_iv_bolus(t - 2, k)
            + 320 * after_bolus(t - 12, ka, k)
        ),
    ),
}


def concentration(response, t, ka, cl, v):
    return response(t, ka, cl / v) / v


EXACT = {"rtol": 1e-12, "atol": 1e-13}
ACCURACY = {
    "closed_form": (EXACT, EXACT),
    "expm": (EXACT, EXACT),
    "tsit5": ({"rtol": 1e-7, "atol": 1e-9}, {"rtol": 1e-6, "atol": 2e-8}),
    "rodas5p": ({"rtol": 1e-7, "atol": 1e-8}, {"rtol": 1e-6, "atol": 1e-7}),
}


@pytest.mark.parametrize("method", ACCURACY)
@pytest.mark.parametrize("name", REGIMENS)
def test_closed_form(name, method, schedule, oral):
    doses, response = REGIMENS[name]
    kernel = compiled_kernel(oral, Solver(method=method, rtol=1e-8, atol=1e-10), sensitivities=True)
    rows = sorted([*doses, *(("see", t) for t in TIMES)], key=lambda row: (row[1], row[0] == "see"))
    prediction, sensitivity = kernel(np.array([[KA, CL, V]]), *schedule(rows))
    t = np.array(TIMES)
    expected = concentration(response, t, KA, CL, V)
    of_values, of_slopes = ACCURACY[method]
    np.testing.assert_allclose(prediction, expected, **of_values)
    for k, parameter in enumerate((KA, CL, V)):
        arguments = [complex(each) for each in (KA, CL, V)]
        arguments[k] += 1e-30j
        slope = concentration(response, t, *arguments).imag / 1e-30 * parameter
        np.testing.assert_allclose(sensitivity[:, k] * parameter, slope, **of_slopes)


def test_many_subjects_have_their_own_rows(schedule, oral_kernel):
    doses, response = REGIMENS["oral"]
    counts = (3, 0, 14, 1)
    parameters = np.array([[KA, CL, V], [1.0, 2.0, 20.0], [2.0, 5.0, 45.0], [0.5, 1.0, 10.0]])
    subjects = [[*doses, *(("see", t) for t in TIMES[:count])] for count in counts]
    prediction, sensitivity = oral_kernel(parameters, *schedule(*subjects))
    expected = np.concatenate(
        [
            concentration(response, np.array(TIMES[:count]), *row)
            for count, row in zip(counts, parameters, strict=True)
        ]
    )
    np.testing.assert_allclose(prediction, expected, rtol=1e-7, atol=1e-9)
    assert sensitivity.shape == (sum(counts), 3)


def test_order_of_the_table_decides_at_one_time(schedule, oral_kernel):
    rows = [
        ("see", 0.0),
        ("dose", 0.0, 31.0, 0.0, 1),
        ("see", 0.0),
        ("see", 4.0),
        ("dose", 4.0, 31.0, 0.0, 1),
        ("see", 4.0),
    ]
    prediction, sensitivity = oral_kernel(np.array([[KA, CL, V]]), *schedule(rows))
    left = np.exp(-CL / V * 4)
    np.testing.assert_allclose(prediction, [0, 1, left, left + 1], rtol=1e-8)
    np.testing.assert_allclose(sensitivity[1], [0, 0, -1 / V], atol=1e-12)
    np.testing.assert_allclose(sensitivity[3] - sensitivity[2], [0, 0, -1 / V], atol=1e-12)


def test_reset_empties_and_cancels_infusions(schedule, oral_kernel):
    rows = [
        ("dose", 0.0, 100.0, 10.0, 1),
        ("reset", 3.0),
        ("see", 3.0),
        ("see", 5.0),
        ("dose", 6.0, 50.0, 10.0, 1),
        ("see", 10.5),
        ("see", 20.0),
    ]
    prediction, sensitivity = oral_kernel(np.array([[KA, CL, V]]), *schedule(rows))
    expected = 50 * after_infusion(np.array([4.5, 14.0]), CL / V, 5.0) / V
    np.testing.assert_allclose(prediction, [0, 0, *expected], rtol=1e-7)
    np.testing.assert_array_equal(sensitivity[:2], 0)


def test_odd_records(schedule, oral_kernel):
    """No dose at all, a dose of nothing, an infusion of no length, a dose after the last sample."""
    parameters = np.tile([KA, CL, V], (4, 1))
    see = [("see", 1.0), ("see", 2.0)]
    prediction, _ = oral_kernel(
        parameters,
        *schedule(
            see,
            [("dose", 0.0, 0.0, 5.0, 1), *see],
            [("dose", 1e6, 1e-12, 1e3, 1), ("see", 1e6)],
            [*see, ("dose", 5.0, 100.0)],
        ),
    )
    np.testing.assert_allclose(prediction, [0, 0, 0, 0, 1e-12 / V, 0, 0])


def test_shifted_time_shifts_the_curve(schedule, oral_kernel):
    curves = [
        oral_kernel(
            np.array([[KA, CL, V]]),
            *schedule([("dose", shift, 320.0), *(("see", t + shift) for t in TIMES)]),
        )[0]
        for shift in (0.0, -64.0)
    ]
    np.testing.assert_allclose(curves[0], curves[1], rtol=1e-7, atol=1e-9)


def test_units_of_amount_do_not_matter(schedule, oral_kernel):
    mg, grams = (
        oral_kernel(
            np.array([[KA, CL, V]]),
            *schedule([("dose", 0.0, 320.0 * unit), *(("see", t) for t in TIMES)]),
        )[0]
        for unit in (1.0, 1e-3)
    )
    np.testing.assert_allclose(grams * 1e3, mg, rtol=1e-10)


def reference(f, start, doses, times):
    """Solve with scipy, dose by dose; doses are (time, amount, state)."""
    values, y, now = [], np.array(start, float), 0.0
    for (moment, amount, state), until in zip(
        doses, [*(d[0] for d in doses[1:]), max(times)], strict=True
    ):
        y[state] += amount
        inside = [t for t in times if moment <= t < until or t == until == max(times)]
        at = np.unique([*inside, until])
        result = solve_ivp(f, (now, until), y, method="DOP853", rtol=1e-12, atol=1e-13, t_eval=at)
        values += result.y.T[: len(inside)].tolist()
        y, now = result.y[:, -1], until
    return np.array(values)


def by_differences(solve, parameters):
    """Return derivatives by the logarithm of each parameter, by central differences of order 4."""
    slopes = []
    for k in range(len(parameters)):
        values = []
        for step in (-2, -1, 1, 2):
            moved = np.array(parameters, float)
            moved[k] *= np.exp(step * 2e-3)
            values.append(solve(moved))
        slopes.append((values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * 2e-3))
    return np.stack(slopes, axis=-1)


def test_saturable_elimination(schedule, saturable):
    times = [0.5, 1.0, 3.0, 8.0, 12.5, 20.0, 36.0]
    named = dict(zip(("ka", "V", "Vmax", "Km"), (1.1, 33.0, 14.0, 2.2), strict=True))
    parameters = np.array([named[name] for name in saturable.parameters])

    def solve(values):
        p = dict(zip(saturable.parameters, values, strict=True))

        def f(t, y):
            conc = y[1] / p["V"]
            return [-p["ka"] * y[0], p["ka"] * y[0] - p["Vmax"] * conc / (p["Km"] + conc)]

        return reference(f, [0, 0], [(0.0, 250.0, 0), (12.0, 250.0, 0)], times)[:, 1] / p["V"]

    kernel = compiled_kernel(saturable, Solver(), sensitivities=True)
    rows = [("dose", 0.0, 250.0), *(("see", t) for t in times[:4]), ("dose", 12.0, 250.0)]
    rows += [("see", t) for t in times[4:]]
    prediction, sensitivity = kernel(parameters[None], *schedule(rows))
    np.testing.assert_allclose(prediction, solve(parameters), rtol=2e-6, atol=1e-7)
    np.testing.assert_allclose(
        sensitivity * parameters, by_differences(solve, parameters), rtol=1e-5, atol=1e-5
    )


TURNOVER = {"CL": 0.3, "V": 9.0, "IC50": 1.4, "gamma": 1.7, "kin": 5.0, "kout": 0.06}


def test_turnover_with_two_outputs(schedule, turnover, turnover_kernel):
    """An effect on a response that starts where its parameters say, with a power of zero."""
    times = [0.0, 1.0, 10.0, 30.0, 72.0, 120.0]
    parameters = np.array([TURNOVER[name] for name in turnover.parameters])

    def solve(values):
        p = dict(zip(turnover.parameters, values, strict=True))

        def f(t, y):
            conc = y[0] / p["V"]
            effect = conc ** p["gamma"] / (p["IC50"] ** p["gamma"] + conc ** p["gamma"])
            forcing = 1 + 0.1 * np.exp(-t)
            return [-p["CL"] * conc, p["kin"] * (1 - effect) * forcing - p["kout"] * y[1]]

        states = reference(f, [0, p["kin"] / p["kout"]], [(0.0, 80.0, 0)], times)
        return np.concatenate([states[:, 0] / p["V"], states[:, 1]])

    rows = [("see", 0.0, 0), ("dose", 0.0, 80.0)]
    rows += [("see", t, output) for t in times for output in (0, 1)]
    prediction, sensitivity = turnover_kernel(parameters[None], *schedule(rows))
    assert prediction[0] == 0
    order = np.r_[1:13:2, 2:13:2]
    np.testing.assert_allclose(prediction[order], solve(parameters), rtol=2e-6)
    slopes = by_differences(solve, parameters)
    np.testing.assert_allclose(
        sensitivity[order] * parameters, slopes, rtol=1e-5, atol=1e-5 * abs(slopes).max()
    )


@pytest.mark.parametrize("name", ["CL", "V", "IC50", "gamma"])
def test_a_failed_solve_is_nan_for_its_subject_alone(name, schedule, turnover, turnover_kernel):
    good = np.array([TURNOVER[each] for each in turnover.parameters])
    bad = good.copy()
    bad[turnover.parameters.index(name)] = np.nan
    rows = [("dose", 0.0, 80.0), ("see", 1.0, 0), ("see", 5.0, 1)]
    prediction, sensitivity = turnover_kernel(
        np.stack([good, bad, good]), *schedule(rows, rows, rows)
    )
    assert np.isnan(prediction[2:4]).all()
    assert np.isnan(sensitivity[2:4]).all()
    rest = [0, 1, 4, 5]
    assert np.isfinite(prediction[rest]).all()
    assert np.isfinite(sensitivity[rest]).all()


def test_too_many_steps_and_overflow_are_nan(schedule, oral):
    kernel = compiled_kernel(oral, Solver(method="tsit5", max_steps=200), sensitivities=False)
    rows = [("dose", 0.0, 320.0), ("see", 24.0)]
    parameters = np.array([[KA, CL, V], [1e6, CL, V], [-1e300, CL, V], [KA, CL, 0.0]])
    prediction = kernel(parameters, *schedule(rows, rows, rows, rows))
    assert np.isfinite(prediction[0])
    assert np.isnan(prediction[1:]).all()


def test_threads_agree(schedule, oral_kernel):
    doses, _ = REGIMENS["everything at once"]
    rows = [*doses, *(("see", t) for t in (13.0, 20.0, 48.0))]
    rng = np.random.default_rng(1)
    parameters = np.exp(rng.normal(0, 0.3, (40, 3))) * [KA, CL, V]
    arrays = schedule(*[rows] * 40)
    alone = [oral_kernel(parameters * scale, *arrays) for scale in (1.0, 1.1)] * 20
    with ThreadPoolExecutor(2) as pool:
        together = list(
            pool.map(lambda scale: oral_kernel(parameters * scale, *arrays), [1.0, 1.1] * 20)
        )
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])


@pytest.mark.parametrize(
    "change",
    [
        {"start_row": np.array([1])},
        {"start_row": np.array([-1])},
        {"start_time": np.zeros(2)},
        {"record_compartment": np.array([2])},
        {"record_compartment": np.array([-1])},
        {"record_kind": np.array([6])},
        {"record_kind": np.array([-1])},
        {"record_steady_state": np.array([3])},
        {"record_row": np.array([1])},
        {"record_row": np.array([-1])},
        {"record_offsets": np.array([0, 2])},
        {"record_rate": np.empty(0)},
        {"observation_output": np.array([0, 1])},
        {"observation_order": np.arange(3)},
        {"observation_offsets": np.array([0, 1, 2])},
        {"observation_offsets": np.array([1, 2])},
        {"pair_offsets": np.array([0, 1])},
        {"pair_offsets": np.array([0, 2, 1])},
        {"pair_offsets": np.array([0, 1, 3])},
        {"pair_offsets": np.array([0, 1, 1]), "pair_row": np.array([0])},
        {"pair_row": np.array([0, 1])},
        {"pair_row": np.array([-1, 0])},
    ],
    ids=lambda change: " ".join(f"{name} {array.tolist()}" for name, array in change.items()),
)
def test_arrays_that_do_not_fit_are_refused(change, schedule, oral_kernel):
    arrays = schedule([("dose", 0.0, 320.0), ("see", 1.0), ("see", 2.0)])._replace(**change)
    with pytest.raises(ValueError, match="do not fit"):
        oral_kernel(np.array([[KA, CL, V]]), *arrays)


def test_parameters_of_another_problem_are_refused(schedule, oral_kernel):
    with pytest.raises(ValueError, match="do not fit"):
        oral_kernel(np.array([[KA, CL]]), *schedule([("see", 1.0)]))


def test_nobody_and_nothing_to_see(schedule, oral_kernel):
    for subjects in ([], [[("dose", 0.0, 320.0)]]):
        prediction, sensitivity = oral_kernel(np.array([[KA, CL, V]]), *schedule(*subjects))
        assert prediction.shape == (0,)
        assert sensitivity.shape == (0, 3)


def test_parameters_in_either_layout(schedule, oral_kernel):
    rows = [("dose", 0.0, 320.0), ("see", 1.0), ("see", 2.0)]
    arrays = schedule(rows, rows)
    parameters = np.array([[KA, CL, V], [1.0, 2.0, 20.0]])
    plain = oral_kernel(parameters, *arrays)
    turned = oral_kernel(np.asfortranarray(parameters), *arrays)
    for one, other in zip(plain, turned, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("method", ["closed_form", "expm", "tsit5", "rodas5p"])
def test_rows_of_one_subject(method, schedule, oral):
    """Each row of parameters holds between its changes; the gradient is told apart by row."""
    kernel = compiled_kernel(oral, Solver(method=method, rtol=1e-8, atol=1e-10), sensitivities=True)
    rows = [("dose", 0.0, 31.0, 0.0, 1), ("see", 2.0), ("row", 3.0), ("see", 5.0)]
    rows += [("row", 6.0), ("see", 6.0), ("see", 9.0)]
    values = np.array([[KA, 2.7, 31.0], [KA, 4.1, 40.0], [KA, 1.5, 25.0]])
    spent = np.array([[2.0, 0, 0], [3.0, 2.0, 0], [3.0, 3.0, 0], [3.0, 3.0, 3.0]])
    last = np.array([0, 1, 2, 2])

    def formula(p):
        return 31.0 * np.exp(-(spent * (p[:, 1] / p[:, 2])).sum(axis=1)) / p[last, 2]

    arrays = schedule(rows)
    prediction, sensitivity = kernel(values, *arrays)
    np.testing.assert_allclose(prediction, formula(values), rtol=1e-7)
    np.testing.assert_array_equal(arrays.pair_row, [0, 0, 1, 0, 1, 2, 0, 1, 2])
    observations = np.repeat(range(4), np.diff(arrays.pair_offsets))
    for k in range(3):
        for pair, (row, j) in enumerate(zip(arrays.pair_row, observations, strict=True)):
            moved = values.astype(complex)
            moved[row, k] += 1e-30j
            slope = formula(moved)[j].imag / 1e-30
            assert sensitivity[pair, k] == pytest.approx(slope, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("method", ["closed_form", "expm", "tsit5", "rodas5p"])
def test_steady_state(method, schedule, oral):
    """A dose repeated for ever is a geometric series."""
    kernel = compiled_kernel(oral, Solver(method=method, rtol=1e-8, atol=1e-10), sensitivities=True)
    rows = [("steady", 0.0, 31.0, 0.0, 1, 8.0), *(("see", t) for t in (0.0, 3.0, 8.0, 20.0))]
    prediction, sensitivity = kernel(np.array([[KA, CL, V]]), *schedule(rows))
    t = np.array([0.0, 3.0, 8.0, 20.0])

    def formula(cl, v):
        return 31.0 * np.exp(-cl / v * t) / (1 - np.exp(-cl / v * 8.0)) / v

    np.testing.assert_allclose(prediction, formula(CL, V), rtol=1e-7)
    by_clearance = formula(CL + 1e-30j, V).imag / 1e-30
    by_volume = formula(CL, V + 1e-30j).imag / 1e-30
    np.testing.assert_allclose(sensitivity[:, 1], by_clearance, rtol=1e-6)
    np.testing.assert_allclose(sensitivity[:, 2], by_volume, rtol=1e-6)
    np.testing.assert_array_equal(sensitivity[:, 0], 0)
