"""Every backend through every event, against the bank of `tests/reference`."""

from concurrent.futures import ThreadPoolExecutor
from io import StringIO

import numpy as np
import pandas as pd
import pytest

import bayesnlme as bn
from bayesnlme.data.rows import parameter_rows
from bayesnlme.odes.schedule import Schedule
from bayesnlme.odes.solver import Solver
from tests.odes.backends.populations import (
    CASES,
    FEW,
    above,
    errors,
    few,
    inputs,
    problem,
    solve,
)

EXPLICIT = {"method": "tsit5", "rtol": 1e-9, "atol": 1e-11}
STIFF = {"method": "rodas5p", "rtol": 1e-8, "atol": 1e-10}
STIFF_CASES = ("constant infusion at steady state", "an earlier row", "a dose pends")
LIMITS = {"tsit5": (1e-8, 1e-7), "rodas5p": (1e-7, 1e-6)}
"""Of predictions and of derivatives, whose errors of many steps add up to 10 and 100 tolerances."""


def check(model, cases, solver):
    parameters, schedule = inputs(model, cases)
    found = solve(problem(model), solver, parameters, schedule)
    assert not above(errors(found, schedule, cases), *LIMITS[solver.method])


@pytest.mark.parametrize("model", ["oral", "michaelis_menten"])
def test_every_event(any_backend, model):
    """A linear model and one that is not; several subjects in one solve."""
    check(model, few(model), Solver(**EXPLICIT, backend=any_backend))


@pytest.mark.slow
@pytest.mark.parametrize("model", ["oral", "michaelis_menten", "endogenous", "two_compartments"])
def test_every_case(any_backend, model):
    check(model, CASES[model], Solver(**EXPLICIT, backend=any_backend))


@pytest.mark.slow
@pytest.mark.parametrize("model", ["oral", "endogenous"])
def test_every_case_by_the_stiff_method(integrator, model):
    check(model, CASES[model], Solver(**STIFF, backend=integrator))


def test_the_stiff_method(integrator):
    """Steady state, reset, change of parameters."""
    cases = [case for case in few("michaelis_menten") if case["name"].endswith(STIFF_CASES)]
    assert len(cases) == len(STIFF_CASES)
    check("michaelis_menten", cases, Solver(**STIFF, backend=integrator))


def test_binding_to_a_target(integrator):
    """Stiff equations, infusions, three outputs; the backend chooses the method."""
    cases = [case for case in CASES["tmdd"] if case["name"] == "tmdd: weekly infusions"]
    parameters, schedule = inputs("tmdd", cases)
    solver = Solver(rtol=1e-8, atol=1e-10, backend=integrator)
    found = solve(problem("tmdd"), solver, parameters, schedule)
    assert not above(errors(found, schedule, cases), *LIMITS["rodas5p"])


def test_the_few_have_every_event():
    cases = few("oral")
    assert len(cases) == len(FEW)
    rows = [row for case in cases for row in case["table"]]
    kinds = {"bolus", "infusion", "duration", "rate", "reset", "row", "observe"}
    assert {row["kind"] for row in rows} == kinds
    assert {row.get("steady_state", 0) for row in rows} == {0, 1, 2}
    assert {row.get("compartment", "depot") for row in rows} == {"depot", "central"}
    values = dict(zip(problem("oral").parameters, cases[0]["parameters"][0], strict=True))
    assert values["tlag"] > 0
    assert values["F"] != 1
    assert any(
        row["amount"] * values["share"] / row["rate"] > row["interval"] > 0
        for row in rows
        if row["kind"] == "infusion" and row.get("steady_state") == 2
    )


def test_values_alone(any_backend):
    cases = few("michaelis_menten")
    parameters, schedule = inputs("michaelis_menten", cases)
    solver = Solver(**EXPLICIT, backend=any_backend)
    found = solve(problem("michaelis_menten"), solver, parameters, schedule, sensitivities=False)
    assert len(found) == 1
    assert not above(errors(found, schedule, cases), LIMITS["tsit5"][0])


def test_a_subject_that_fails_stands_alone(any_backend):
    """The others give what they give without it."""
    cases = few("michaelis_menten")[:3]
    parameters, schedule = inputs("michaelis_menten", cases)
    hopeless = parameters.copy()
    hopeless[1, 1] = np.nan
    solver = Solver(**EXPLICIT, backend=any_backend)
    good = solve(problem("michaelis_menten"), solver, parameters, schedule)
    found = solve(problem("michaelis_menten"), solver, hopeless, schedule)
    offsets = schedule.observation_offsets
    lost = np.repeat([False, True, False], np.diff(offsets))
    for each, whole in zip(found, good, strict=True):  # one row in force: pairs are observations
        assert np.isnan(each[lost]).all()
        np.testing.assert_array_equal(each[~lost], whole[~lost])


def test_threads_of_python(any_backend):
    """Two at once, with parameters of their own, give what each gives alone."""
    equations, cases = problem("michaelis_menten"), few("michaelis_menten")[:2]
    parameters, schedule = inputs("michaelis_menten", cases)
    solver = Solver(**EXPLICIT, backend=any_backend)
    given = [parameters, 1.1 * parameters]
    alone = [solve(equations, solver, each, schedule) for each in given]
    with ThreadPoolExecutor(2) as pool:
        together = list(
            pool.map(lambda i: solve(equations, solver, given[i % 2], schedule), range(4))
        )
    for i, found in enumerate(together):
        for one, other in zip(found, alone[i % 2], strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("model", ["oral", "michaelis_menten"])
def test_threads_of_numba(model):
    parameters, schedule = inputs(model, CASES[model])
    one, two = (
        solve(problem(model), Solver(threads=threads), parameters, schedule) for threads in (1, 2)
    )
    for each, other in zip(one, two, strict=True):
        np.testing.assert_array_equal(each, other)


TABLE = """
ID TIME  AMT RATE CMT EVID ADDL II SS WT  DV
1   0   100    0   1    1    3 12  0 60   .
1   2     .    .   .    0    .  .  . 60 1.0
1  12     .    .   .    0    .  .  . 60 1.0
1  15    80   20   2    1    0  0  0 75   .
1  20     .    .   .    0    .  .  . 75 1.0
1  30     .    .   .    3    .  .  . 75   .
1  31    90   -2   2    1    0  0  0 75   .
1  34     .    .   .    0    .  .  . 75 1.0
1  50    70    0   1    4    1  8  0 75   .
1  60     .    .   .    0    .  .  . 75 1.0
2   0   100    0   1    1    2 24  1 90   .
2   6     .    .   .    0    .  .  . 90 1.0
2  30    60    0   1    1    0 12  2 90   .
2  33     .    .   .    0    .  .  . 82 1.0
2  60     .    .   .    0    .  .  . 82 1.0
3   1    50   -1   2    1    1 10  0 70   .
3   3     .    .   .    0    .  .  . 70 1.0
3  12     .    .   .    0    .  .  . 70 1.0
3  20     0    5   2    1    0  0  1 70   .
3  20     .    .   .    0    .  .  . 70 1.0
3  24     .    .   .    0    .  .  . 70 1.0
"""
"""A dose repeated, resets, a dose with reset, steady states, observations at the time of a dose."""


VALUES = {
    "ka": 0.9, "CL": 3.1, "Vmax": 14.0, "Km": 1.3, "V": 28.0, "Tlag": 1.7, "F": 0.7,
    "D1": 4.3, "R1": 23.0,
}  # fmt: skip


@pytest.mark.parametrize("elimination", ["linear", "michaelis_menten"])
def test_a_table(any_backend, elimination):
    """ADDL, EVID 3 and 4, steady states and weights that change, against our stiff method."""
    structure = bn.pk.one_compartment(
        absorption="first_order",
        elimination=elimination,
        lag={"depot": "Tlag", "central": 0.3},
        bioavailability={"depot": "F"},
        duration={"central": "D1"},
        rate={"central": "R1"},
    )
    frame = pd.read_csv(StringIO(TABLE), sep=r"\s+", na_values=".")
    data = bn.read_data(frame, covariates=["WT"])
    rows = parameter_rows(data, ["WT"])
    weight = data.covariates["WT"].values[rows.record]
    names = structure.problem.parameters
    parameters = np.array([VALUES[name] for name in names]) * np.ones((len(rows), 1))
    parameters[:, names.index("V")] *= weight / 70
    schedule = Schedule(**structure.inputs(data, rows))
    assert len(rows) > data.n_subjects
    assert len(schedule.record_time) > len(data.doses)
    tight = Solver(method="rodas5p", rtol=1e-11, atol=1e-13)
    exact, slopes = solve(structure.problem, tight, parameters, schedule)
    found = solve(structure.problem, Solver(**EXPLICIT, backend=any_backend), parameters, schedule)
    np.testing.assert_allclose(found[0], exact, rtol=0, atol=1e-8 * exact.max())
    np.testing.assert_allclose(
        found[1] / np.abs(slopes).max(axis=0), slopes / np.abs(slopes).max(axis=0), atol=1e-7
    )
