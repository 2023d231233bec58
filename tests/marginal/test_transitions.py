"""Chains of the random effects against distributions that are known."""

import numpy as np
import pandas as pd
import pytest

import bayesnlme as bn
from bayesnlme.marginal.conditional import Conditional
from bayesnlme.marginal.transitions import States, Transitions


@pytest.fixture(scope="module")
def counts():
    """Poisson counts with one effect of each subject: its distribution is a simple integral."""
    table = pd.DataFrame(
        [(1, 0, 0), (1, 1, 0), (2, 0, 9), (3, 0, 2), (3, 1, 30)], columns=["ID", "TIME", "DV"]
    )
    model = bn.Model(
        name="counts",
        parameters={"rate": bn.LogNormal(3.0, iiv=1.0)},
        structure=bn.curve(lambda t, p: p.rate + 0 * t, output="seizures"),
        observations={"seizures": bn.poisson()},
    )
    return Conditional(bn.build(model, bn.read_data(table)))


def moments(conditional):
    grid = np.linspace(-8, 8, 4001)
    h = np.array(
        [conditional.density(conditional.start, np.full((3, 1), each))[0] for each in grid]
    )
    weights = np.exp(h - h.max(axis=0))
    weights /= weights.sum(axis=0)
    mean = weights.T @ grid
    return mean, weights.T @ grid**2 - mean**2


def test_the_chains_keep_the_conditional_distribution(counts):
    transitions = Transitions(counts, np.random.default_rng(1))
    states = transitions.start(counts.start, 20)
    draws = []
    for _ in range(500):
        states = transitions.sweep(counts.start, states)
        draws.append(states.z[..., 0])
    found = np.concatenate(draws)
    mean, variance = moments(counts)
    np.testing.assert_allclose(found.mean(axis=0), mean, atol=0.03)
    np.testing.assert_allclose(found.var(axis=0), variance, rtol=0.05)
    np.testing.assert_allclose(
        states.h, [counts.density(counts.start, each)[0] for each in states.z], rtol=1e-12
    )


def test_walks_adapt_to_the_acceptance_wanted(counts):
    transitions = Transitions(counts, np.random.default_rng(1))
    states = transitions.start(counts.start, 20)
    for _ in range(300):
        states = transitions.sweep(counts.start, states)
    assert transitions.acceptance["one"] == pytest.approx(0.44, abs=0.05)
    assert transitions.acceptance["all"] == pytest.approx(0.3, abs=0.05)
    assert 0.6 < transitions.acceptance["mode"] < 1.0
    assert 0.0 < transitions.acceptance["population"] < 0.8


def test_modes_are_found_again_from_the_best_state_and_from_zero(counts):
    transitions = Transitions(counts, np.random.default_rng(1))
    states = transitions.start(counts.start, 2)
    centre = transitions.centre
    assert not transitions.aim(counts.start, states).any()
    np.testing.assert_allclose(transitions.centre, centre, atol=1e-5)


def test_a_state_without_density_is_left_at_the_next_chance(counts):
    transitions = Transitions(counts, np.random.default_rng(1))
    good = transitions.start(counts.start, 2)
    h = np.full_like(good.h, -np.inf)
    states = transitions.sweep(counts.start, States(z=good.z, h=h))
    assert np.isfinite(states.h).all()
