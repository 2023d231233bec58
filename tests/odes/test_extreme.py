"""Parameters from 1e-12 to 1e12, none, negative or no numbers, through every kind of event.

`test_walk.py` tries pairs of them with plain doses; here they meet lags, durations, steady states,
resets and rows that change, and models that are stiff, know the time, or take powers of their
states. A subject is solved, or all of it is not-a-number; whoever else is solved does not notice.
"""

import time
from itertools import pairwise

import numpy as np
import pytest

from bayesnlme.odes.solver import Solver
from tests.odes.bank_schedule import bank, problem_of, schedule_of, solve

MODELS, CASES = bank()
LINEAR = ("auto", "closed_form", "expm", "tsit5", "rodas5p")
NONLINEAR = ("auto", "tsit5", "rodas5p")
TRIED = {
    "oral": LINEAR,
    "three_compartments": LINEAR,
    "endogenous": LINEAR,
    "michaelis_menten": NONLINEAR,
    "tmdd": NONLINEAR,
    "turnover": NONLINEAR,
    "friberg": NONLINEAR,
    "circadian": NONLINEAR,
}
SOLVES = [(name, method) for name in TRIED for method in TRIED[name]]
MOST = 4000
EXTREMES = [1e-12, 1e-6, 1e6, 1e12, 0.0, -0.0, -1.0, -1e-12, -1e12, np.nan, np.inf, -np.inf]
SECONDS = 10.0
"""The longest of 432 subjects takes 0.6 s of CPU; without a limit of the steps it would not end."""


def one_by_one(typical, rng):
    """Let every parameter take every extreme value, alone."""
    for place in np.ndindex(typical.shape):
        for value in EXTREMES:
            spoilt = typical.copy()
            spoilt[place] = value
            yield spoilt


def in_twos_and_threes(typical, rng):
    """Let some take extreme values, or their own times such a value."""
    for _ in range(60):
        spoilt, count = typical.copy(), min(rng.integers(2, 4), typical.size)
        places = rng.choice(typical.size, count, replace=False)
        own = np.where(typical.flat[places] > 0, typical.flat[places], 1.0)
        factors = np.where(rng.random(count) < 0.5, own, 1.0)
        spoilt.flat[places] = factors * rng.choice(EXTREMES, count)
        yield spoilt


def all_over_the_range(typical, rng):
    """Let all be anywhere from 1e-12 to 1e12, or times their own size."""
    for power in (12.0, 12.0, 6.0, 3.0):
        for own in (typical, np.ones_like(typical)):
            yield own * 10 ** rng.uniform(-power, power, typical.shape)


WAYS = {
    "one by one": one_by_one,
    "in twos and threes": in_twos_and_threes,
    "all over the range": all_over_the_range,
}


def spoilt_population(name, way):
    """Put two subjects with spoilt parameters after each one without, for every case of a model."""
    rng, subjects = np.random.default_rng(0), []
    for case in CASES[name]:
        typical = np.array(case["parameters"])
        some = list(WAYS[way](typical, rng))
        some = [some[i] for i in rng.permutation(len(some))[: max(40, 300 // len(CASES[name]))]]
        for number, values in enumerate(some):
            if number % 2 == 0:
                subjects.append((case["table"], typical, True))
            subjects.append((case["table"], values, False))
    return subjects


def parts(problem, method, subjects):
    """Solve; give each subject's predictions and sensitivities."""
    schedule = schedule_of(problem, [(table, len(values)) for table, values, _ in subjects])
    values = np.concatenate([values for _, values, _ in subjects])
    found = solve(problem, Solver(method=method, max_steps=MOST), values, schedule)
    seen, pairs = schedule.observation_offsets, schedule.pair_offsets
    return [
        (found.prediction[a:b], found.sensitivity[pairs[a] : pairs[b]]) for a, b in pairwise(seen)
    ]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("name", "method"), SOLVES)
def test_solved_or_not_a_number_and_nobody_else_is_touched(name, method, way):
    problem, subjects = problem_of(MODELS[name]), spoilt_population(name, way)
    typical = {id(each[0]): each for each in subjects if each[2]}
    alone = {place: parts(problem, method, [each])[0] for place, each in typical.items()}
    begin = time.process_time()
    found = parts(problem, method, subjects)
    assert time.process_time() - begin < SECONDS
    for (table, values, good), (prediction, sensitivity) in zip(subjects, found, strict=True):
        if good:
            assert prediction.tobytes() == alone[id(table)][0].tobytes()
            assert sensitivity.tobytes() == alone[id(table)][1].tobytes()
            assert np.isfinite(prediction).all() or (name, method) == ("tmdd", "tsit5")
        if "V" in problem.parameters and 0 in values[:, problem.parameters.index("V")]:
            continue  # amounts may be finite, but concentrations are not
        lost = np.isnan(prediction).all() and np.isnan(sensitivity).all()
        solved = np.isfinite(prediction).all() and np.isfinite(sensitivity).all()
        assert lost or solved, values.tolist()
