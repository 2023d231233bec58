"""A chain in a mode with next to none of the mass goes on from the others; no other does."""

import numpy as np
import pytest

from bayesnlme.inference.lost import NEGLIGIBLE, log_masses, lost_chains, places_to_go_on

SIZE, DRAWS = 40, 300


@pytest.fixture
def rng():
    return np.random.default_rng(8)


def mode(rng, log_mass, width=1.0, centre=0.0):
    """Draw from a normal mode of given mass; return log densities and draws."""
    standard = rng.normal(size=(DRAWS, SIZE))
    peak = log_mass - SIZE * np.log(width) - SIZE / 2 * np.log(2 * np.pi)
    return peak - (standard**2).sum(axis=1) / 2, centre + width * standard


def together(*modes):
    densities, draws = zip(*modes, strict=True)
    return np.stack(densities), np.stack(draws)


def test_mass_is_that_of_normal_modes(rng):
    wanted = np.array([0.0, -3.0, -30.0])
    modes = [mode(rng, *each) for each in zip(wanted, (1.0, 3.0, 0.2), strict=True)]
    found = log_masses(*together(*modes))
    np.testing.assert_allclose(found - found[0], wanted, atol=1.5)


def test_a_narrow_peak_is_no_mass_and_a_wide_mode_is(rng):
    """The density of the narrow one is e^92 times higher, its mass the same."""
    densities, draws = together(mode(rng, 0.0, 0.1), mode(rng, 0.0, 1.0, 5.0))
    assert densities[0].mean() - densities[1].mean() > 50
    assert not lost_chains(log_masses(densities, draws)).any()


def test_modes_that_share_the_mass_keep_their_chains(rng):
    densities, draws = together(*(mode(rng, -each, centre=each) for each in (0.0, 4.0, 8.0)))
    masses = log_masses(densities, draws)
    assert not lost_chains(masses).any()
    np.testing.assert_array_equal(places_to_go_on(masses, draws), draws[:, -1])


def test_lost_chains_go_on_from_late_draws_of_the_heaviest(rng):
    masses_of = (0.0, -4 * NEGLIGIBLE, 2.0, -2 * NEGLIGIBLE)
    densities, draws = together(*(mode(rng, each, centre=each) for each in masses_of))
    masses = log_masses(densities, draws)
    lost = lost_chains(masses)
    np.testing.assert_array_equal(lost, [False, True, False, True])
    places = places_to_go_on(masses, draws)
    np.testing.assert_array_equal(places[~lost], draws[~lost, -1])
    late = draws[2, DRAWS // 2 : -1].tolist()
    assert all(each in late for each in places[lost].tolist())
    assert len(np.unique(places, axis=0)) == len(masses_of)


def test_a_chain_that_never_moved_is_lost_and_not_all_of_them(rng):
    densities, draws = together(mode(rng, 0.0), mode(rng, 0.0))
    draws[1] = draws[1, 0]
    assert lost_chains(log_masses(densities, draws)).tolist() == [False, True]
    draws[0] = draws[0, 0]
    assert not lost_chains(log_masses(densities, draws)).any()


def test_a_slow_chain_is_not_lost(rng):
    """In many dimensions its SDs are too small by chance; it is in the same mode."""
    size, draws = 1000, []
    for memory in (0.5, 0.85):
        noise = rng.normal(size=(DRAWS + 200, size)) * np.sqrt(1 - memory**2)
        chain = noise.copy()
        for k in range(1, len(chain)):
            chain[k] += memory * chain[k - 1]
        draws.append(chain[200:])
    draws = np.stack(draws)
    assert not lost_chains(log_masses(-(draws**2).sum(axis=2) / 2, draws)).any()
