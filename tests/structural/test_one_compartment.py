"""The closed form against textbook formulas in 80 digits, matrix exponentials and an ODE solver."""

import functools

import mpmath
import numpy as np
import pandas as pd
import pytensor
import pytensor.tensor as pt
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scipy import integrate, linalg

import bayesnlme as bn
from bayesnlme.errors import DataError, ModelError
from bayesnlme.structural.pk import one_compartment

FAST = "FAST_COMPILE"
COLUMNS = ["ID", "TIME", "EVID", "AMT", "CMT", "RATE", "II", "ADDL", "SS", "DV"]
ROUTES = ("depot_bolus", "depot_infusion", "central_bolus", "central_infusion")
PARAMETERS = ("ka", "CL", "V")


def dose(time, amount, cmt=1, rate=0.0, *, subject=1, evid=1, interval=0, additional=0, steady=0):
    return [subject, time, evid, amount, cmt, rate, interval, additional, steady, None]


def sample(time, subject=1):
    return [subject, time, 0, None, None, None, None, None, None, 1.0]


def data_of(*rows):
    return bn.read_data(pd.DataFrame(list(rows), columns=COLUMNS))


@functools.cache
def compiled(absorption, names):
    """Compile predictions and the gradients of their sum."""
    structure = one_compartment(absorption=absorption)
    parameters = {name: pt.dvector(name) for name in structure.parameters}
    whole = ("row", "offsets", "compartment")
    inputs = {name: (pt.lvector if name in whole else pt.dvector)(name) for name in names}
    prediction = structure.predict(parameters, inputs)
    gradients = pt.grad(prediction.sum(), list(parameters.values()))
    variables = [*parameters.values(), *inputs.values()]
    return pytensor.function(variables, [prediction, *gradients], mode=FAST)


def evaluate(absorption, inputs, **parameters):
    structure = one_compartment(absorption=absorption)
    given = [np.atleast_1d(np.asarray(parameters[p], dtype=float)) for p in structure.parameters]
    return compiled(absorption, tuple(inputs))(*given, *inputs.values())


@pytest.fixture(scope="module", autouse=True)
def _compiled_first():
    """Compile outside of Hypothesis, whose recursion limit PyTensor moves."""
    evaluate("first_order", one_dose("depot_bolus", 1.0), ka=1.0, CL=1.0, V=1.0)


def predict(data, absorption="first_order", **parameters):
    inputs = one_compartment(absorption=absorption).inputs(data)
    return evaluate(absorption, inputs, **parameters)[0]


def one_dose(route, elapsed, amount=1.0, duration=1.0):
    """Return the inputs of observations of one dose, some time after it."""
    compartment, kind = route.split("_")
    elapsed = np.atleast_1d(np.asarray(elapsed, dtype=float))
    n = len(elapsed)
    return {
        "row": np.zeros(n, dtype=np.int64),
        "offsets": np.arange(n + 1),
        "elapsed": elapsed,
        "amount": np.full(n, amount),
        "duration": np.full(n, duration if kind == "infusion" else 0.0),
        "compartment": np.full(n, ("depot", "central").index(compartment)),
    }


def textbook(route, elapsed, duration, ka, CL, V):
    """Gibaldi and Perrier's formulas, with as many digits as mpmath is set to."""
    exp, t, D = mpmath.exp, mpmath.mpf(elapsed), mpmath.mpf(duration)
    ka, k = mpmath.mpf(ka), mpmath.mpf(CL) / mpmath.mpf(V)
    if ka == k:
        ka *= 1 + mpmath.mpf(10) ** -30
    bateman = lambda s: (exp(-k * s) - exp(-ka * s)) / (ka - k)  # noqa: E731
    held = lambda rate, s: (1 - exp(-rate * s)) / rate  # noqa: E731
    given, after = min(t, D), max(t - D, mpmath.mpf(0))
    amount = {
        "central_bolus": lambda: exp(-k * t),
        "depot_bolus": lambda: ka * bateman(t),
        "central_infusion": lambda: held(k, given) * exp(-k * after) / D,
        "depot_infusion": lambda: (
            (
                (held(k, given) - bateman(given)) * exp(-k * after)
                + held(ka, given) * ka * bateman(after)
            )
            / D
        ),
    }[route]()
    return amount / mpmath.mpf(V)


def derivative(route, at, name, elapsed, duration):
    def moved(x):
        return textbook(route, elapsed, duration, **(at | {name: x}))

    h = mpmath.mpf(at[name]) * mpmath.mpf(10) ** -15
    return (moved(at[name] + h) - moved(at[name] - h)) / (2 * h)


def decades(low, high):
    return st.floats(low, high, allow_nan=False).map(lambda exponent: 10.0**exponent)


def check_value_and_gradient(route, elapsed, duration, at):
    with mpmath.workdps(80):
        expected = textbook(route, elapsed, duration, **at)
        assume(expected > 1e-280)
        slopes = [derivative(route, at, name, elapsed, duration) for name in PARAMETERS]
        value, *found = evaluate("first_order", one_dose(route, elapsed, 1.0, duration), **at)
        assert abs(value[0] - expected) <= 1e-12 * expected
        for name, slope, gradient in zip(PARAMETERS, slopes, found, strict=True):
            size = abs(slope) + mpmath.mpf(1e-5) * expected / mpmath.mpf(at[name])
            assert abs(gradient[0] - slope) <= 1e-7 * size + 1e-290, name


SETTINGS = settings(max_examples=60, deadline=None, derandomize=True)


@SETTINGS
@given(
    route=st.sampled_from(ROUTES),
    ka=decades(-8, 4),
    CL=decades(-8, 3),
    V=decades(-3, 3),
    elapsed=decades(-5, 5),
    duration=decades(-4, 4),
)
@example(route="depot_infusion", ka=1e-8, CL=1e-8, V=1.0, elapsed=1e-3, duration=1.0)
@example(route="depot_infusion", ka=1e-6, CL=1.0, V=1.0, elapsed=0.5, duration=1.0)
@example(route="depot_infusion", ka=1.0, CL=1e-9, V=1.0, elapsed=1e-4, duration=1.0)
@example(route="depot_infusion", ka=0.1, CL=0.1, V=1.0, elapsed=1.0, duration=1.0)
@example(route="depot_infusion", ka=0.0999, CL=1e-6, V=1.0, elapsed=1.0, duration=2.0)
@example(route="depot_bolus", ka=1e4, CL=1e-8, V=1e3, elapsed=1e5, duration=1.0)
@example(route="central_infusion", ka=1.0, CL=1e-8, V=1e3, elapsed=1e-5, duration=1e4)
def test_everywhere_equals_the_textbook(route, ka, CL, V, elapsed, duration):
    check_value_and_gradient(route, elapsed, duration, {"ka": ka, "CL": CL, "V": V})


@SETTINGS
@given(
    route=st.sampled_from(("depot_bolus", "depot_infusion")),
    gap=st.one_of(st.just(0.0), decades(-15, -2)),
    sign=st.sampled_from((1, -1)),
    k=decades(-3, 2),
    elapsed=decades(-3, 2),
)
@example(route="depot_bolus", gap=0.0, sign=1, k=0.1, elapsed=10.0)
@example(route="depot_infusion", gap=0.0, sign=1, k=0.1, elapsed=10.0)
@example(route="depot_infusion", gap=1e-12, sign=-1, k=1.0, elapsed=0.5)
def test_where_absorption_and_elimination_meet(route, gap, sign, k, elapsed):
    at = {"ka": k * (1 + sign * gap), "CL": k * 8.0, "V": 8.0}
    check_value_and_gradient(route, elapsed, 3.0, at)


@pytest.mark.parametrize("route", ROUTES)
def test_extreme_parameters_give_no_nan(route):
    for ka in (1e-200, 1e-30, 1.0, 1e30, 1e200):
        for CL in (1e-200, 1e-30, 1.0, 1e30, 1e200):
            for elapsed in (0.0, 1e-12, 1.0, 1e6):
                found = evaluate("first_order", one_dose(route, elapsed), ka=ka, CL=CL, V=1.0)
                assert np.all(np.isfinite(np.concatenate(found))), (ka, CL, elapsed)


def test_a_negative_clearance_follows_the_formula_or_is_nan():
    at = {"ka": 0.7, "CL": -30.0, "V": 2.0}
    for route in ROUTES:
        value = evaluate("first_order", one_dose(route, 2.0), **at)[0]
        expected = np.nan if route == "depot_infusion" else float(textbook(route, 2.0, 1.0, **at))
        assert value == pytest.approx(expected, rel=1e-12, nan_ok=True)


def state_space(ka, CL, V):
    if ka is None:
        return np.array([[-CL / V]])
    return np.array([[-ka, 0.0], [ka, -CL / V]])


def by_exponentials(data, ka, CL, V):
    """March through one subject's records, one matrix exponential between two events."""
    A = state_space(ka, CL, V)
    n = len(A)
    moments = [(t, 1, int(o), None) for t, o in zip(data.doses.time, data.doses.order, strict=True)]
    moments += [(t, 2, int(o), i) for i, (t, o) in enumerate(
        zip(data.observations.time, data.observations.order, strict=True))]  # fmt: skip
    state, now, running, found = np.zeros(n), 0.0, [], {}
    records = sorted(moments, key=lambda each: (each[0], each[2]))

    def advance(until):
        nonlocal state, now, running
        while now < until:
            stop = min([until, *(end for _, _, end in running)])
            flow = np.zeros(n)
            for target, rate, _ in running:
                flow[target] += rate
            whole = np.zeros((n + 1, n + 1))
            whole[:n, :n], whole[:n, n] = A, flow
            state = (linalg.expm(whole * (stop - now)) @ np.append(state, 1.0))[:n]
            now = stop
            running = [each for each in running if each[2] > now]

    for time, kind, order, i in records:
        advance(time)
        if kind == 2:
            found[i] = state[-1] / V
            continue
        k = int(np.flatnonzero(data.doses.order == order)[0])
        target = int(data.doses.compartment[k]) - 1
        if data.doses.rate[k] > 0:
            end = time + data.doses.amount[k] / data.doses.rate[k]
            running.append((target, data.doses.rate[k], end))
        else:
            state = state + np.eye(n)[target] * data.doses.amount[k]
    return np.array([found[i] for i in range(len(found))])


def random_history(rng, n_compartments):
    """Boluses and overlapping infusions into any compartment, samples at any time, ties too."""
    times = np.sort(np.round(rng.uniform(0, 24, 22), 1))
    times[5] = times[4]
    times[12:14] = times[11]
    rows = [dose(times[0], 100.0)]
    for time in times[1:]:
        if rng.uniform() < 0.6:
            rows.append([*sample(time)[:-1], float(len(rows))])
        else:
            amount, cmt = rng.uniform(10, 200), int(rng.integers(n_compartments)) + 1
            rate = amount / rng.uniform(0.3, 9) if rng.uniform() < 0.6 else 0.0
            rows.append(dose(time, amount, cmt, rate))
    return data_of(*rows, sample(30.0))


@pytest.mark.parametrize("absorption", [None, "first_order"])
@pytest.mark.parametrize("seed", range(4))
def test_random_histories_equal_matrix_exponentials(absorption, seed):
    rng = np.random.default_rng(seed)
    structure = one_compartment(absorption=absorption)
    data = random_history(rng, len(structure.compartments))
    at = dict(zip(PARAMETERS, np.exp(rng.normal([0.0, 1.0, 3.0], 0.7)), strict=True))
    expected = by_exponentials(data, **(at if absorption else at | {"ka": None}))
    assert predict(data, absorption, **at) == pytest.approx(expected, rel=1e-10, abs=1e-14)


def test_a_history_equals_an_ode_solver():
    data = data_of(
        dose(0, 100.0), dose(0, 50.0, 2, 20.0), sample(1.0), sample(2.5), dose(3.0, 80.0, 1, 16.0),
        sample(4.0), sample(8.0), sample(20.0),
    )  # fmt: skip
    A = state_space(0.9, 2.0, 12.0)

    def rhs(t, y):
        into = [16.0 * (3 <= t < 8), 20.0 * (t < 2.5)]
        return A @ y + into

    state, expected, now = np.array([100.0, 0.0]), [], 0.0
    for until, seen in ((1, 1), (2.5, 1), (3, 0), (4, 1), (8, 1), (20, 1)):
        middle = (now + until) / 2
        flow = rhs(middle, np.zeros(2))
        solution = integrate.solve_ivp(
            lambda t, y, flow=flow: A @ y + flow, (now, until), state,
            method="DOP853", rtol=1e-12, atol=1e-14,
        )  # fmt: skip
        state, now = solution.y[:, -1], until
        expected += [state[1] / 12.0] * seen
    assert predict(data, ka=0.9, CL=2.0, V=12.0) == pytest.approx(expected, rel=1e-10)


AT = {"ka": 1.3, "CL": 2.5, "V": 20.0}
TIMES = (0.5, 3.0, 11.0, 30.0)
DOSES = (
    dose(0.0, 100.0),
    dose(1.0, 60.0, 1, 12.0),
    dose(1.0, 30.0, 2),
    dose(2.0, 500.0, 2, 40.0),
)


def with_samples(*doses):
    rows = sorted([*doses, *(sample(t) for t in TIMES)], key=lambda row: row[1])
    return data_of(*rows)


def test_doses_superpose():
    together = predict(with_samples(*DOSES), **AT)
    apart = sum(predict(with_samples(each), **AT) for each in DOSES)
    assert together == pytest.approx(apart, rel=1e-13)


def test_concentrations_are_proportional_to_the_dose():
    double = [[*row[:3], 2 * row[3], row[4], 2 * row[5], *row[6:]] for row in DOSES]
    expected = 2 * predict(with_samples(*DOSES), **AT)
    assert predict(with_samples(*double), **AT) == pytest.approx(expected, rel=1e-13)


def test_a_shift_in_time_changes_nothing():
    rows = sorted([*DOSES, *(sample(t) for t in TIMES)], key=lambda row: row[1])
    moved = data_of(*([row[0], row[1] + 64.0, *row[2:]] for row in rows))
    expected = predict(with_samples(*DOSES), **AT)
    assert predict(moved, **AT) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("scale", [1e-6, 1e3, 24.0])
def test_units_of_time_and_volume_rescale(scale):
    moved = [[row[0], row[1] * scale, *row[2:5], row[5] / scale, *row[6:]] for row in DOSES]
    rows = sorted([*moved, *(sample(t * scale) for t in TIMES)], key=lambda row: row[1])
    at = {"ka": AT["ka"] / scale, "CL": AT["CL"] * 1000 / scale, "V": AT["V"] * 1000}
    expected = predict(with_samples(*DOSES), **AT) / 1000
    assert predict(data_of(*rows), **at) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("route", ROUTES)
def test_all_that_is_given_is_eliminated(route):
    times = np.concatenate([np.linspace(0, 5, 4001), np.linspace(5, 300, 40001)[1:]])
    inputs = one_dose(route, times, 100.0, 5.0)
    concentration = evaluate("first_order", inputs, **AT)[0]
    split = 4001
    area = integrate.simpson(concentration[:split], x=times[:split])
    area += integrate.simpson(concentration[split - 1 :], x=times[split - 1 :])
    assert AT["CL"] * area == pytest.approx(100.0, rel=1e-8)


@pytest.mark.parametrize("route", ROUTES)
def test_an_infusion_becomes_a_bolus_as_it_shortens(route):
    compartment = route.split("_")[0]
    bolus = evaluate("first_order", one_dose(f"{compartment}_bolus", 2.0), **AT)[0]
    short = evaluate("first_order", one_dose(f"{compartment}_infusion", 2.0, 1.0, 1e-9), **AT)[0]
    assert short == pytest.approx(bolus, rel=1e-8)


def test_before_any_dose_there_is_nothing():
    data = data_of(sample(-1.0), sample(0.0), dose(1.0, 100.0), sample(2.0))
    found = predict(data, **AT)
    assert found[:2].tolist() == [0.0, 0.0]
    assert found[2] > 0


def test_a_table_without_doses_predicts_nothing_everywhere():
    data = bn.read_data(pd.DataFrame({"ID": [1, 1, 2], "TIME": [0, 1, 1], "DV": [1.0, 2, 3]}))
    at = {name: [value] * 2 for name, value in AT.items()}
    assert predict(data, **at).tolist() == [0.0, 0.0, 0.0]


def test_a_dose_of_zero_is_a_placebo():
    data = data_of(dose(0.0, 0.0), sample(1.0))
    assert predict(data, **AT).tolist() == [0.0]


def test_at_the_time_of_a_bolus_the_order_of_the_records_counts():
    before = data_of(dose(0.0, 100.0, 2), sample(4.0), dose(4.0, 50.0, 2))
    after = data_of(dose(0.0, 100.0, 2), dose(4.0, 50.0, 2), sample(4.0))
    trough, peak = predict(before, **AT)[0], predict(after, **AT)[0]
    assert peak - trough == pytest.approx(50.0 / AT["V"])


def test_subjects_have_their_own_doses_and_parameters():
    a, b = {"ka": 1.0, "CL": 2.0, "V": 20.0}, {"ka": 2.0, "CL": 4.0, "V": 10.0}
    both = data_of(
        dose(0.0, 100.0, subject="A"), sample(2.0, "A"), sample(5.0, "A"),
        dose(1.0, 10.0, 2, 5.0, subject="B"), sample(2.0, "B"),
    )  # fmt: skip
    found = predict(both, **{name: [a[name], b[name]] for name in PARAMETERS})
    first = predict(data_of(dose(0.0, 100.0), sample(2.0), sample(5.0)), **a)
    second = predict(data_of(dose(1.0, 10.0, 2, 5.0), sample(2.0)), **b)
    assert found == pytest.approx([*first, *second], rel=1e-14)


def test_additional_doses_are_doses():
    short = data_of(dose(0.0, 100.0, interval=8, additional=3), sample(7.0), sample(40.0))
    written = data_of(
        dose(0.0, 100.0), sample(7.0), *(dose(t, 100.0) for t in (8.0, 16.0, 24.0)), sample(40.0)
    )
    assert predict(short, **AT) == pytest.approx(predict(written, **AT), rel=1e-14)


def test_a_reset_empties_everything():
    rows = (dose(0.0, 100.0), sample(3.0), dose(5.0, 50.0, evid=4), sample(7.0))
    found = predict(data_of(*rows), **AT)
    alone = predict(data_of(dose(5.0, 50.0), sample(7.0)), **AT)
    assert found[1] == pytest.approx(alone[0], rel=1e-14)


def test_compartments_may_be_named():
    frame = pd.DataFrame(
        [dose(0.0, 100.0, "central"), dose(0.0, 10.0, "depot"), sample(1.0)], columns=COLUMNS
    )
    numbered = data_of(dose(0.0, 100.0, 2), dose(0.0, 10.0, 1), sample(1.0))
    assert predict(bn.read_data(frame), **AT) == pytest.approx(predict(numbered, **AT), rel=1e-15)


def test_without_absorption_compartment_one_is_central():
    data = data_of(dose(0.0, 100.0), sample(2.0))
    expected = 100 / 20 * np.exp(-2.5 / 20 * 2)
    assert predict(data, None, **AT) == pytest.approx([expected], rel=1e-14)


@pytest.mark.parametrize(
    ("record", "code", "column"),
    [
        (dose(1.0, 50.0, rate=-1), "E_RATE_UNMODELLED", "RATE"),
        (dose(1.0, 50.0, rate=-2), "E_DURATION_UNMODELLED", "RATE"),
        (dose(1.0, 50.0, 3), "E_COMPARTMENT_UNKNOWN", "CMT"),
    ],
)
def test_what_the_model_does_not_give_is_refused(record, code, column):
    data = data_of(dose(0.0, 100.0), record, sample(2.0))
    with pytest.raises(DataError) as refused:
        one_compartment(absorption="first_order").inputs(data)
    (finding,) = refused.value.findings
    assert (finding.code, finding.row, finding.column) == (code, 2, column)
    assert finding.remedy


@pytest.mark.parametrize(
    ("records", "walked"),
    [
        ([dose(0.0, 100.0), dose(3.0, 50.0, 2, rate=10.0)], False),
        ([dose(0.0, 100.0, interval=6, additional=3)], False),
        ([dose(0.0, 100.0, interval=12, steady=1)], True),
        ([dose(0.0, 100.0, interval=1, additional=30)], True),
    ],
)
def test_superposition_and_the_walk_through_events_agree(records, walked):
    rows = [*records, *(sample(time) for time in (2.0, 5.0, 24.0, 31.0))]
    data = data_of(*sorted(rows, key=lambda row: row[1]))
    structure = one_compartment(absorption="first_order")
    assert ("record_time" in structure.inputs(data)) == walked
    routes = [
        structure.with_solver(bn.Solver(method=method))
        for method in ("auto", "closed_form", "expm")
    ]
    found = []
    for each in routes:
        parameters = {n: pt.constant(np.array([v])) for n, v in AT.items()} | {
            "ka": pt.constant(np.array([1.5]))
        }
        inputs = {name: pt.constant(array) for name, array in each.inputs(data).items()}
        found.append(each.predict(parameters, inputs).eval(mode=FAST))
    np.testing.assert_allclose(found[0], found[2], rtol=1e-12)
    np.testing.assert_allclose(found[1], found[2], rtol=1e-12)


@pytest.mark.parametrize(
    ("options", "fragment"),
    [
        ({"absorption": "first-order"}, "no absorption 'first-order'. Known: None, 'first_order'"),
        ({"absorption": ["first_order"]}, "no absorption"),
        ({"output": "1conc"}, "'1conc' is not a valid name"),
        ({"output": ""}, "'' is not a valid name"),
        ({"output": 3}, "3 is not a valid name"),
    ],
)
def test_impossible_options_are_refused(options, fragment):
    with pytest.raises(ModelError) as refused:
        one_compartment(**options)
    assert fragment in str(refused.value)


def test_what_it_says_of_itself():
    oral = one_compartment(absorption="first_order", output="c_total")
    assert oral.parameters == ("ka", "CL", "V")
    assert oral.compartments == ("depot", "central")
    assert oral.outputs == ("c_total",)
    assert oral.equations()[-1].left == r"\mathrm{c\_total}"
    assert one_compartment().parameters == ("CL", "V")
    with pytest.raises(AttributeError):
        oral.problem = "conc"
