"""Linear models through any history of events: every method, and the plain simulator, agree.

Histories are generated: boluses and infusions into any compartment, modelled durations and rates,
lag and bioavailability, repeated doses, steady states that replace or add, resets, rows of
parameters that change, and all of these at the same time.
"""

from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytensor
import pytensor.tensor as pt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bayesnlme as bn
from bayesnlme.odes.solver import Solver
from tests.odes.bank_schedule import problem_of, schedule_of, solve
from tests.reference.equations import Model
from tests.reference.flows import exponential
from tests.reference.simulate import simulate

DOSING = {
    "lag": {"depot": "tlag", "central": "delay"},
    "bioavailability": {"depot": "F", "central": "share"},
    "duration": {"depot": "D", "central": "D"},
    "rate": {"depot": "R", "central": "R"},
}
SAID = ("tlag", "delay", "F", "share", "D", "R")
ONE = {"depot": "-ka*depot", "central": "ka*depot - CL/V*central"}
TWO = {
    "depot": "-ka*depot",
    "central": "ka*depot - (CL + Q)/V*central + Q/V2*shallow",
    "shallow": "Q/V*central - Q/V2*shallow",
}
THREE = {
    "depot": "-ka*depot",
    "central": "ka*depot - (CL + Q + Q3)/V*central + Q/V2*shallow + Q3/V3*deep",
    "shallow": "Q/V*central - Q/V2*shallow",
    "deep": "Q3/V*central - Q3/V3*deep",
}


def linear_model(rhs, parameters, **outputs):
    names = (*parameters.split(), *SAID)
    return Model(rhs=rhs, outputs=outputs, parameters=names, linear=True, **DOSING)


MODELS = {
    "one": linear_model(ONE, "ka CL V", conc="central/V", gut="depot"),
    "two": linear_model(TWO, "ka CL V Q V2", conc="central/V", tissue="shallow/V2"),
    "three": linear_model(THREE, "ka CL V Q V2 Q3 V3", conc="central/V", tissue="deep/V3"),
    "excreted": linear_model(
        {**TWO, "urine": "CL/V*central"},
        "ka CL V Q V2",
        **{name: name for name in ("depot", "central", "shallow", "urine")},
    ),
}
RANGES = {
    "ka": (0.2, 4.0),
    "CL": (1.0, 8.0),
    "V": (8.0, 40.0),
    "Q": (0.5, 9.0),
    "V2": (6.0, 60.0),
    "Q3": (0.5, 4.0),
    "V3": (6.0, 60.0),
    "tlag": (0.05, 15.0),
    "delay": (0.05, 15.0),
    "F": (0.2, 1.0),
    "share": (0.2, 1.0),
    "D": (0.3, 15.0),
    "R": (4.0, 60.0),
}
METHODS = ("closed_form", "expm", "tsit5", "rodas5p")
TIGHT = {"rtol": 1e-11, "atol": 1e-13}
AGREE = 1e-8
QUICK = settings(max_examples=40, deadline=None, derandomize=True)
LONG = settings(max_examples=400, deadline=None, derandomize=True)


@cache
def problem(name):
    model = MODELS[name]
    return problem_of({"parameters": model.parameters, **model.text()})


# -- generated histories -----------------------------------------------------------------------


def between(low, high):
    """Draw on a logarithmic scale, numbers that are never equal to a time by chance."""
    return st.integers(1, 10**6).map(lambda i: float(low * (high / low) ** (i / 1e6)))


eighths = st.integers(0, 8 * 30).map(lambda i: i / 8)
"""Times that a shift by a power of two leaves exact."""

intervals = st.sampled_from((4.0, 6.0, 8.0, 12.0))


@st.composite
def rows_of_parameters(draw, name, count):
    """Draw rows of which each differs from the one before in some of its parameters."""
    names = MODELS[name].parameters
    first = {each: draw(between(*RANGES[each])) for each in names}
    for each in draw(st.sets(st.sampled_from(("tlag", "delay")))):
        first[each] = 0.0
    rows = [first]
    for _ in range(count - 1):
        changed = draw(st.sets(st.sampled_from(names), max_size=4))
        rows.append({**rows[-1], **{each: draw(between(*RANGES[each])) for each in changed}})
    return rows


@st.composite
def doses(draw, *, steady=(0, 1, 2)):
    """Draw a dose, perhaps repeated or at steady state, as a list of records."""
    time, amount = draw(eighths), draw(between(5.0, 200.0))
    kind = draw(st.sampled_from(("bolus", "infusion", "duration", "rate")))
    row = {"time": time, "kind": kind, "amount": amount}
    row["compartment"] = draw(st.sampled_from(("depot", "central")))
    if kind == "infusion":
        row["rate"] = amount / draw(between(0.3, 20.0))
    how = draw(st.sampled_from(steady))
    if how:
        row |= {"interval": draw(intervals), "steady_state": how}
    times = draw(st.integers(0, 3))
    interval = row.get("interval") or draw(intervals)
    plain = {key: row[key] for key in row if key not in {"interval", "steady_state"}}
    return [row, *({**plain, "time": time + interval * (k + 1)} for k in range(times))]


@st.composite
def constant_infusions(draw):
    """Draw an infusion that has gone on for ever."""
    how, state = draw(st.sampled_from((1, 2))), draw(st.sampled_from(("depot", "central")))
    row = {"time": draw(eighths), "kind": "infusion", "compartment": state, "amount": 0.0}
    return [{**row, "rate": draw(between(2.0, 20.0)), "interval": 0.0, "steady_state": how}]


def in_order(groups, changes, others):
    """Merge records into a table; a repeated dose has the parameters of the first one's row."""
    rows = sorted(changes, key=lambda row: row["time"])
    rows = [{**row, "row": number} for number, row in enumerate(rows, start=1)]
    for first, *repeats in groups:
        current = sum(row["time"] <= first["time"] for row in rows if row["kind"] == "row")
        others = [*others, first, *({**each, "row": current} for each in repeats)]
    return sorted([*rows, *others], key=lambda row: row["time"])


def samples(name, times):
    return [
        {"time": time, "kind": "observe", "output": output}
        for time, output in zip(times, [*MODELS[name].outputs] * len(times), strict=False)
    ]


@st.composite
def subjects(draw, name, *, steady=(0, 0, 1, 2)):
    """Draw a table and its rows of parameters."""
    groups = draw(st.lists(doses(steady=steady), min_size=1, max_size=4))
    if 1 in steady:
        groups += draw(st.lists(constant_infusions(), max_size=1))
    changes = [{"time": each, "kind": "row"} for each in draw(st.lists(eighths, max_size=2))]
    resets = [{"time": each, "kind": "reset"} for each in draw(st.lists(eighths, max_size=1))]
    seen = samples(name, draw(st.lists(eighths, min_size=4, max_size=8)))
    table = in_order(groups, changes, [*seen, *resets, *samples(name, [31.0, 40.0, 47.0])])
    return table, draw(rows_of_parameters(name, 1 + len(changes)))


# -- comparison --------------------------------------------------------------------------------


def by(method, name, population):
    """Solve; give for each subject its `Result`."""
    names = MODELS[name].parameters
    values = np.array([[row[each] for each in names] for _, rows in population for row in rows])
    schedule = schedule_of(problem(name), [(table, len(rows)) for table, rows in population])
    solved = solve(problem(name), Solver(method=method, **TIGHT), values, schedule)
    slopes = solved.sensitivity * values[schedule.pair_row]
    offsets, pairs = schedule.observation_offsets, schedule.pair_offsets
    return [
        Result(
            solved.prediction[a:b],
            slopes[pairs[a] : pairs[b]],
            schedule.observation_output[a:b],
            np.diff(pairs[a : b + 1]),
        )
        for a, b in pairwise(offsets)
    ]


class Result(NamedTuple):
    """Predictions, slopes by logarithms of parameters, outputs, and pairs of each prediction."""

    value: np.ndarray
    slopes: np.ndarray
    output: np.ndarray
    counts: np.ndarray


def check_equal(found, expected, tolerance=AGREE):
    """Compare values and slopes, relative to the largest of both of the same output."""
    for one, other in zip(found, expected, strict=True):
        of_pair = np.repeat(other.output, other.counts)
        assert np.all(np.isfinite(other.value))
        for each in np.unique(other.output):
            here, pairs = other.output == each, of_pair == each
            scale = np.max(np.abs(np.append(other.slopes[pairs], other.value[here])))
            allowed = {"rtol": 0, "atol": tolerance * scale + 1e-12}
            np.testing.assert_allclose(one.value[here], other.value[here], **allowed)
            np.testing.assert_allclose(one.slopes[pairs], other.slopes[pairs], **allowed)


def simulated(name, table, rows):
    """Solve for one subject by the simulator of `tests/reference`."""
    model = MODELS[name]
    found = simulate(model, table, rows, flow=exponential)
    gradient = found.gradient * np.array([[row[each] for each in model.parameters] for row in rows])
    counts, outputs = rows_of_pairs(table), list(model.outputs)
    seen = np.array([outputs.index(row["output"]) for row in table if row["kind"] == "observe"])
    pairs = [gradient[j, row] for j, count in enumerate(counts) for row in range(count)]
    return Result(found.value, np.array(pairs), seen, np.array(counts))


def rows_of_pairs(table):
    """Count for every observation the rows of parameters in force up to then."""
    current, counts = 1, []
    for row in table:
        current = row["row"] + 1 if row["kind"] == "row" else current
        counts += [current] if row["kind"] == "observe" else []
    return counts


# -- every route agrees ------------------------------------------------------------------------


def populations(name, **options):
    return st.lists(subjects(name, **options), min_size=1, max_size=3)


def check_methods(name, population):
    exact = by("expm", name, population)
    for method in ("closed_form", "tsit5", "rodas5p"):
        check_equal(by(method, name, population), exact)


LINEAR = pytest.mark.parametrize("name", ["one", "two", "three"])


@LINEAR
@QUICK
@given(data=st.data())
def test_all_methods_agree(name, data):
    check_methods(name, data.draw(populations(name)))


@LINEAR
@pytest.mark.slow
@LONG
@given(data=st.data())
def test_all_methods_agree_at_length(name, data):
    check_methods(name, data.draw(populations(name)))


def check_simulator(name, subject):
    check_equal(by("expm", name, [subject]), [simulated(name, *subject)])


@LINEAR
@settings(QUICK, max_examples=10)
@given(data=st.data())
def test_the_plain_simulator_agrees(name, data):
    check_simulator(name, data.draw(subjects(name)))


@LINEAR
@pytest.mark.slow
@settings(LONG, max_examples=200)
@given(data=st.data())
def test_the_plain_simulator_agrees_at_length(name, data):
    check_simulator(name, data.draw(subjects(name)))


# -- properties --------------------------------------------------------------------------------

METHOD = pytest.mark.parametrize("method", ["closed_form", "expm", "tsit5", "rodas5p"])


@METHOD
@settings(QUICK, max_examples=20)
@given(data=st.data())
def test_doses_superpose(method, data):
    """Doses, and steady states that are added, taken together and one by one."""
    table, rows = data.draw(subjects("two", steady=(0, 0, 2)))
    given = [row for row in table if "amount" in row]
    rest = [row for row in table if "amount" not in row]
    chosen = data.draw(st.lists(st.booleans(), min_size=len(given), max_size=len(given)))
    parts = [
        [row for row in table if row in rest or chosen[given.index(row)] == part]
        for part in (True, False)
    ]
    whole, *parts = by(method, "two", [(each, rows) for each in (table, *parts)])
    total = whole._replace(
        value=parts[0].value + parts[1].value, slopes=parts[0].slopes + parts[1].slopes
    )
    check_equal([whole], [total])


@METHOD
@settings(QUICK, max_examples=20)
@given(data=st.data(), shift=st.sampled_from((-64.0, 1024.0)))
def test_a_shift_of_time_changes_nothing(method, data, shift):
    table, rows = data.draw(subjects("two"))
    moved = [{**row, "time": row["time"] + shift} for row in table]
    check_equal(by(method, "two", [(moved, rows)]), by(method, "two", [(table, rows)]))


@METHOD
@settings(QUICK, max_examples=20)
@given(data=st.data())
def test_what_is_given_is_in_the_body_or_excreted(method, data):
    """And parameters that move it from place to place do not change the total."""
    groups = data.draw(st.lists(doses(steady=(0,)), min_size=1, max_size=4))
    rows = data.draw(rows_of_parameters("excreted", 1))
    seen = [
        {"time": time, "kind": "observe", "output": output}
        for time in (3.3, 11.7, 29.9, 60.1)
        for output in MODELS["excreted"].outputs
    ]
    (found,) = by(method, "excreted", [(in_order(groups, [], seen), rows)])
    total = found.value.reshape(4, -1).sum(axis=1)
    entered = [
        sum(amount_entered(row, rows[0], time) for group in groups for row in group)
        for time in (3.3, 11.7, 29.9, 60.1)
    ]
    scale = max(entered[-1], 1.0)
    np.testing.assert_allclose(total, entered, rtol=0, atol=AGREE * scale)
    slopes = found.slopes.reshape(4, -1, len(rows[0])).sum(axis=1)
    np.testing.assert_allclose(slopes[:, :5], 0, atol=AGREE * scale)


def amount_entered(row, p, time):
    """Say how much of a dose has entered at a time."""
    lag, share = ("tlag", "F") if row["compartment"] == "depot" else ("delay", "share")
    amount, since = p[share] * row["amount"], time - row["time"] - p[lag]
    if row["kind"] == "bolus":
        return amount if since > 0 else 0.0
    rate = {"infusion": row.get("rate"), "duration": amount / p["D"], "rate": p["R"]}[row["kind"]]
    return min(max(since, 0.0) * rate, amount)


# -- the sum over doses ------------------------------------------------------------------------


@cache
def compartment(method):
    """Compile one compartment with absorption: predictions, and the gradients of their sum."""
    structure = bn.pk.one_compartment(absorption="first_order")
    structure = structure.with_solver(bn.Solver(method=method, **TIGHT))
    arrays = structure.inputs(plain_table([(0.0, 1, 10.0, 0.0)], [1.0]))
    inputs = {
        name: (pt.lvector if array.dtype.kind == "i" else pt.dvector)(name)
        for name, array in arrays.items()
    }
    parameters = {name: pt.dvector(name) for name in structure.parameters}
    prediction = structure.predict(parameters, inputs)
    found = [prediction, *pt.grad(prediction.sum(), list(parameters.values()))]
    variables = [*parameters.values(), *inputs.values()]
    return structure, pytensor.function(variables, found, mode="FAST_COMPILE")


def plain_table(given_doses, times):
    rows = [[1, time, 1, amount, cmt, rate, None] for time, cmt, amount, rate in given_doses]
    rows += [[1, time, 0, None, None, None, 1.0] for time in times]
    rows.sort(key=lambda row: (row[1], row[2]))
    columns = ["ID", "TIME", "EVID", "AMT", "CMT", "RATE", "DV"]
    return bn.read_data(pd.DataFrame(rows, columns=columns))


@pytest.fixture(scope="module")
def _compiled_first():
    """Compile outside of Hypothesis, whose recursion limit PyTensor moves."""
    for method in ("auto", "expm"):
        compartment(method)


plain_doses = st.tuples(
    eighths,
    st.sampled_from((1, 2)),
    between(5.0, 200.0),
    st.one_of(st.just(0.0), between(3.0, 90.0)),
)


@pytest.mark.usefixtures("_compiled_first")
@settings(QUICK, max_examples=25)
@given(
    given_doses=st.lists(plain_doses, min_size=1, max_size=5, unique=True),
    times=st.lists(eighths, min_size=1, max_size=8, unique=True),
    at=rows_of_parameters("one", 1),
)
def test_the_sum_over_doses_equals_the_walk(given_doses, times, at):
    data, found = plain_table(given_doses, [*times, 40.0]), []
    for method in ("auto", "expm"):
        structure, function = compartment(method)
        inputs = structure.inputs(data)
        assert ("record_time" in inputs) == (method == "expm")
        found.append(function(*([at[0][name]] for name in ("ka", "CL", "V")), *inputs.values()))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-11 * np.max(np.abs(found[0][0])))
