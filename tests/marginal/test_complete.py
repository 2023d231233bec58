"""Complete-data scores against differences of the density that they are the slopes of."""

import numpy as np
import pytest

import bayesnlme as bn
from bayesnlme.marginal.complete import CompleteData
from bayesnlme.marginal.conditional import Conditional
from tests.conftest import frame

nan = np.nan
OCCASIONS = [
    (1, 0, 1, 100, 1, nan, 1, 60),
    (1, 2, 0, 0, 1, 8.0, 1, 60),
    (1, 5, 0, 0, 1, 6.0, 2, 65),
    (1, 9, 0, 0, 1, 4.0, 3, 65),
    (2, 0, 1, 80, 1, nan, 2, 80),
    (2, 3, 0, 0, 1, 5.0, 2, 80),
    (2, 7, 0, 0, 1, 4.0, 3, 90),
]
"""Subject 2 has an occasion less than subject 1."""


@pytest.fixture(scope="module")
def occasions():
    """Every kind of effect: of occasions, skewed, with long tails, a weight that changes."""
    weight = [bn.covariates.power("WT", reference=70)]
    model = bn.Model(
        name="occasions",
        parameters={
            "CL": bn.LogNormal(
                2.0, iiv=0.3, iov=0.2, shape=bn.effects.boxcox(0.3), covariates=weight
            ),
            "V": bn.LogNormal(10.0, iiv=0.4, iov=0.3, shape=bn.effects.student_t(df=4)),
        },
        correlated_occasion=[("V", "CL")],
        structure=bn.pk.one_compartment(),
        observations={"conc": bn.additive(0.5)},
    )
    table = frame(OCCASIONS, "ID TIME EVID AMT CMT DV OCC WT")
    return Conditional(bn.build(model, bn.read_data(table)))


@pytest.fixture(scope="module")
def theophylline(population):
    return Conditional(population)


@pytest.fixture(params=["theophylline", "occasions"])
def drawn(request):
    """Return a conditional, a point and the effects of two chains."""
    conditional = request.getfixturevalue(request.param)
    rng = np.random.default_rng(4)
    theta = conditional.start + 0.2 * rng.normal(size=conditional.start.size)
    return conditional, theta, rng.normal(size=(2, *conditional.no_effects.shape))


@pytest.mark.parametrize("centred", [True, False])
def test_scores_are_the_slopes_of_the_log_density(drawn, centred):
    conditional, theta, z = drawn
    complete = CompleteData(
        conditional, None if centred else np.ones(conditional.n_effects, dtype=bool)
    )
    placed = complete.placement(theta)
    scores = complete.scores(theta, z, complete.slopes(theta, placed))

    def log_density(step):
        beside = complete.placement(theta + step)
        moved = complete.moved(z, placed, beside)
        h = np.stack([conditional.density(theta + step, each)[0] for each in moved])
        return complete.log_density(h, beside)

    for k, step in enumerate(1e-5 * np.eye(theta.size)):
        slope = (log_density(step) - log_density(-step)) / 2e-5
        np.testing.assert_allclose(scores.total[:, :, k], slope, rtol=1e-6, atol=1e-5)


def test_typical_values_and_variances_concern_the_individual_parameters_alone(theophylline):
    conditional = theophylline
    complete = CompleteData(conditional)
    placed = complete.placement(conditional.start)
    z = np.random.default_rng(4).normal(size=(3, *conditional.no_effects.shape))
    slopes = complete.slopes(conditional.start, placed)
    concerned = complete.scores(conditional.start, z, slopes).concerned
    names = [each.name for each in conditional.parameters for _ in range(int(np.prod(each.shape)))]
    assert {names[k] for k in np.flatnonzero(concerned)} == {
        "conc_additive_log__", "conc_proportional_log__",
    }  # fmt: skip


def test_the_information_is_the_variance_of_the_scores(theophylline):
    """Of effects drawn from their distribution, by the information equality."""
    conditional = theophylline
    complete = CompleteData(conditional)
    slopes = complete.slopes(conditional.start, complete.placement(conditional.start))
    z = np.random.default_rng(4).normal(size=(4000, *conditional.no_effects.shape))
    scores = complete.scores(conditional.start, z, slopes).normal.sum(axis=1)
    information = complete.information(slopes)
    size = np.sqrt(np.maximum(np.diag(information), 1e-12))
    difference = (np.cov(scores.T) - information) / size / size[:, None]
    assert np.abs(difference).max() < 0.1  # 4000 draws: SD of a variance 0.022, of 81 entries


def test_effects_that_a_subject_lacks_stay(occasions):
    complete = CompleteData(occasions)
    z = np.random.default_rng(4).normal(size=(1, *occasions.no_effects.shape))
    assert not occasions.present.all()
    before, after = (complete.placement(occasions.start + step) for step in (0.0, 0.5))
    moved = complete.moved(z, before, after)
    np.testing.assert_array_equal(moved[0][~occasions.present], z[0][~occasions.present])
    assert (moved[0][occasions.present] != z[0][occasions.present]).all()
    np.testing.assert_allclose(complete.moved(moved, after, before), z, atol=1e-12)


def test_the_curvature_of_the_rest_is_that_of_the_observations(drawn):
    """And with Student's t effects, together with the normal part, that of everything."""
    conditional, theta, z = drawn
    complete = CompleteData(conditional)
    placed = complete.placement(theta)
    scores = complete.scores(theta, z, complete.slopes(theta, placed))
    found = complete.rest_information(theta, z, placed, scores)
    tails = any(layer.tails for layer in conditional.population.model.layers)
    if tails:
        found = found + complete.information(complete.slopes(theta, placed))
    step = 1e-3 * np.eye(theta.size)
    for k in np.flatnonzero(scores.concerned):
        sides = []
        for sign in (1, -1):
            at = theta + sign * step[k]
            beside = complete.placement(at)
            moved = complete.moved(z, placed, beside)
            beside = complete.scores(at, moved, complete.slopes(at, beside))
            sides.append(beside.total if tails else beside.rest)
        column = (sides[1] - sides[0]).sum(axis=1).mean(axis=0) / 2e-3
        wanted = found[k][scores.concerned]
        size = np.abs(column).max()
        np.testing.assert_allclose(wanted, column[scores.concerned], atol=2e-3 * size)
