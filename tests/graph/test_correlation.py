"""LKJ correlations: their distribution, and the algebra of their factor."""

import functools

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.graph.replace import vectorize_graph
from scipy import stats

import bayesnlme as bn
from bayesnlme import names
from bayesnlme.graph.correlation import correlation_factor, times_transpose

DRAWS = 4000
STATES = ("a", "b", "c", "d")


@functools.cache
def structure():
    def decays(t, y, p):
        return {name: -getattr(p, f"k{name}") * getattr(y, name) for name in STATES}

    return bn.ode(decays, states=STATES, outputs={"conc": lambda t, y, p: y.a})


def model_of(blocks, lkj):
    return bn.Model(
        name="correlated",
        parameters={f"k{name}": bn.LogNormal(1.0, iiv=0.3) for name in STATES},
        structure=structure(),
        observations={"conc": bn.additive(1.0)},
        correlated=blocks,
        lkj=lkj,
    )


@functools.cache
def draws(blocks, lkj):
    """Draw correlation matrices and their factors from the prior."""
    model = model_of(blocks, lkj)
    n = len(STATES)
    with pm.Model() as graph:
        rows = correlation_factor(model.layers[0], model.lkj)
    matrix = times_transpose(rows)
    factor = pt.stack([pt.stack([pt.as_tensor(row.get(j, 0.0)) for j in range(n)]) for row in rows])
    partial = graph.free_RVs
    drawn = pm.draw(partial, draws=DRAWS, random_seed=8, mode="FAST_COMPILE")
    given = dict(zip(partial, map(pt.as_tensor, drawn), strict=True))
    outputs = vectorize_graph([matrix, factor], given)
    return pytensor.function([], outputs, mode="FAST_COMPILE")()


CASES = [
    (blocks, lkj)
    for blocks in ((("ka", "kc"),), (("ka", "kb", "kd"),), (("ka", "kb", "kc", "kd"),))
    for lkj in (1.0, 2.0)
]


@pytest.mark.parametrize(("blocks", "lkj"), CASES)
def test_marginals_are_those_of_lkj(blocks, lkj):
    (block,) = blocks
    matrix, _ = draws(blocks, lkj)
    at = [STATES.index(name[1]) for name in block]
    shape = lkj + (len(block) - 2) / 2
    for k, i in enumerate(at):
        for j in at[:k]:
            place = (matrix[:, i, j] + 1) / 2
            assert stats.kstest(place, stats.beta(shape, shape).cdf).pvalue > 1e-3


@pytest.mark.parametrize(("blocks", "lkj"), [CASES[1], CASES[3], CASES[5]])
def test_matrices_are_correlations_and_the_factor_is_their_root(blocks, lkj):
    matrix, factor = draws(blocks, lkj)
    assert matrix == pytest.approx(factor @ factor.transpose(0, 2, 1), abs=1e-14)
    assert matrix == pytest.approx(matrix.transpose(0, 2, 1))
    assert np.diagonal(matrix, axis1=1, axis2=2) == pytest.approx(1.0, abs=1e-14)
    assert np.linalg.eigvalsh(matrix).min() > 0
    assert np.all(np.diagonal(factor, axis1=1, axis2=2) > 0)


def test_the_determinant_has_the_density_of_lkj():
    """Under LKJ the determinant is a product of independent Beta variables."""
    matrix, _ = draws(CASES[5][0], 2.0)
    rng, n, shape = np.random.default_rng(9), 4, 2.0
    product = np.ones(DRAWS)
    for j in range(n - 1):
        a = shape + (n - 2 - j) / 2
        for _ in range(n - 1 - j):
            product *= 1 - (2 * rng.beta(a, a, DRAWS) - 1) ** 2
    assert stats.ks_2samp(np.linalg.det(matrix), product).pvalue > 1e-3


def test_parameters_in_no_block_or_in_different_blocks_are_independent():
    matrix, _ = draws((("kc", "ka"), ("kb", "kd")), 1.0)
    apart = [(0, 1), (0, 3), (2, 1), (2, 3)]
    assert all(np.all(matrix[:, i, j] == 0) for i, j in apart)
    for i, j in ((0, 2), (1, 3)):
        assert stats.kstest((matrix[:, i, j] + 1) / 2, "uniform").pvalue > 1e-3
    assert np.linalg.eigvalsh(matrix).min() > 0


def test_random_effects_have_the_stated_covariance(data):
    """Given omega and the correlations, eta is exactly omega times the factor times z."""
    model = bn.Model(
        name="oral",
        parameters={name: bn.LogNormal(1.0, iiv=0.3) for name in ("ka", "CL", "V")},
        structure=bn.pk.one_compartment(absorption="first_order"),
        observations={"conc": bn.additive(1.0)},
        correlated=[("V", "ka")],
    )
    graph = bn.build(model, data).pymc
    wanted = [graph[name] for name in (names.OMEGA, names.OMEGA_CORR, names.ETA)]
    standard = graph[names.ETA_STANDARD]
    omega, corr, eta, z = pm.draw([*wanted, standard], random_seed=3, mode="FAST_COMPILE")
    root = np.linalg.lstsq(z, eta, rcond=None)[0].T
    assert root @ root.T == pytest.approx(np.outer(omega, omega) * corr, abs=1e-12)
