"""Densities of single subjects against the joint density and against differences."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesnlme as bn
from bayesnlme.marginal.conditional import Conditional
from tests.conftest import theophylline_equations, theophylline_model
from tests.marginal.points import standard_log_density, theta_of

VALUES = {
    "omega": np.array([0.6, 0.3, 0.2]),
    "corr_CL_V_partial": np.array([0.7]),
    "ka_pop": 1.5,
    "CL_pop": 2.8,
    "V_pop": 32.0,
    "conc_additive": 0.3,
    "conc_proportional": 0.1,
}


@pytest.fixture(scope="module")
def z():
    return np.random.default_rng(3).normal(0, 0.7, size=(12, 3))


@pytest.fixture(scope="module")
def theta(conditional):
    return theta_of(conditional, VALUES)


def differences(function, x, step=1e-6):
    """Central differences along each entry of a vector, the last axis of the result."""
    moves = step * np.eye(x.size)
    return np.stack([(function(x + e) - function(x - e)) / (2 * step) for e in moves], axis=-1)


def test_subjects_add_up_to_the_joint_density(conditional, population, theta, z):
    graph = population.pymc
    point = {each.name: theta[each.where].reshape(each.shape) for each in conditional.parameters}
    point["eta_standard"] = z
    wanted = [graph["conc"], graph["eta_standard"]]
    joint = graph.compile_logp(vars=wanted, mode="FAST_COMPILE")(point)
    assert conditional.density(theta, z)[0].sum() == pytest.approx(joint, rel=1e-12)


def test_one_subject_depends_on_its_own_effects_only(conditional, theta, z):
    moved = z.copy()
    moved[4] += 0.1
    before, after = (conditional.density(theta, each)[0] for each in (z, moved))
    assert np.flatnonzero(before != after).tolist() == [4]


def test_slopes_in_the_effects_equal_differences(conditional, theta, z):
    found = conditional.density(theta, z)[1]
    for k in range(3):
        step = 1e-6 * np.eye(3)[k]
        above, below = (conditional.density(theta, z + s * step)[0] for s in (1, -1))
        np.testing.assert_allclose(found[:, k], (above - below) / 2e-6, rtol=1e-6, atol=1e-6)


def test_scores_equal_differences(conditional, theta, z):
    h, by_z, scores = conditional.scores(theta, z)
    same = conditional.density(theta, z)
    np.testing.assert_allclose(h, same[0], rtol=1e-13)
    np.testing.assert_allclose(by_z, same[1], rtol=1e-11, atol=1e-11)
    expected = differences(lambda x: conditional.density(x, z)[0], theta)
    np.testing.assert_allclose(scores, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("interaction", [True, False])
def test_normals_and_their_slopes(conditional, without_interaction, theta, z, interaction):
    chosen = conditional if interaction else without_interaction
    found = chosen.normals(theta, z)
    subject = chosen.population.data.observations.subject
    expected = stats.norm.logpdf(chosen.normal_values, found.centre, np.sqrt(found.variance))
    h = np.bincount(subject, weights=expected) + standard_log_density(z)
    np.testing.assert_allclose(chosen.density(theta, z)[0], h, rtol=1e-12)
    for name in ("centre", "variance"):
        slopes = differences(lambda x, of=name: getattr(chosen.normals(x, z), of), theta)
        mine = getattr(found, f"{name}_by_theta").T
        np.testing.assert_allclose(mine, slopes, rtol=1e-5, atol=1e-7)
        for k in range(3):
            step = 1e-6 * np.eye(3)[k]
            above, below = (getattr(chosen.normals(theta, z + s * step), name) for s in (1, -1))
            mine = getattr(found, f"{name}_by_z")[k]
            np.testing.assert_allclose(mine, (above - below) / 2e-6, rtol=1e-5, atol=1e-7)


def test_without_interaction_the_variance_is_that_of_the_typical_subject(
    conditional, without_interaction, theta, z
):
    typical = conditional.normals(theta, np.zeros_like(z)).variance
    np.testing.assert_allclose(without_interaction.normals(theta, z).variance, typical, rtol=1e-12)


def test_steps_give_the_scores_of_the_closed_form(conditional, data, theta, z):
    """The scores are pushed forward through the sensitivities of the steps, too."""
    model = theophylline_model(theophylline_equations(method="tsit5"))
    stepped = Conditional(bn.build(model, data))
    expected, found = conditional.scores(theta, z), stepped.scores(theta, z)
    for mine, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, other, rtol=2e-5, atol=2e-5)
    assert stepped.roughness == 1e-6
    assert conditional.roughness < 1e-12


def test_natural_values_and_individual_ones(conditional, theta, z):
    natural = conditional.natural(theta).isel(chain=0, draw=0)
    for name, value in VALUES.items():
        np.testing.assert_allclose(natural[name], value, rtol=1e-12)
    corr = np.array([[1, 0, 0], [0, 1, 0.4], [0, 0.4, 1]])
    np.testing.assert_allclose(natural["omega_corr"], corr, atol=1e-12)
    found = conditional.individual(theta, z)
    eta = z @ np.linalg.cholesky(corr).T * VALUES["omega"]
    np.testing.assert_allclose(found["eta"], eta, rtol=1e-12)
    np.testing.assert_allclose(found["V"], 32 * np.exp(eta[:, 2]), rtol=1e-12)


def test_the_prior_is_on_the_natural_scale(conditional, population, theta):
    value, slope = conditional.log_prior(theta)
    graph = population.pymc
    free = [each for each in graph.free_RVs if each.name != "eta_standard"]
    point = {each.name: theta[each.where].reshape(each.shape) for each in conditional.parameters}
    point["eta_standard"] = np.zeros((12, 3))
    expected = graph.compile_logp(vars=free, jacobian=False, mode="FAST_COMPILE")(point)
    assert value == pytest.approx(expected, rel=1e-12)
    expected = differences(lambda x: conditional.log_prior(x)[0], theta)
    np.testing.assert_allclose(slope, expected, rtol=1e-6, atol=1e-7)


def occasions_model():
    return bn.Model(
        name="occasions",
        parameters={
            "CL": bn.LogNormal(2.0, iiv=0.3, iov=0.2),
            "V": bn.LogNormal(10.0, iov=0.2),
        },
        structure=bn.pk.one_compartment(),
        observations={"conc": bn.additive(0.5)},
    )


def occasions_table():
    """Subject 1 has two occasions, subject 2 three."""
    rows = []
    for subject, occasions in ((1, 2), (2, 3)):
        for occasion in range(occasions):
            start = 24.0 * occasion
            rows.append((subject, start, 1, 100.0, np.nan, occasion))
            rows += [(subject, start + t, 0, np.nan, 9.0 - t, occasion) for t in (1.0, 4.0)]
    columns = ["ID", "TIME", "EVID", "AMT", "DV", "OCC"]
    return bn.read_data(pd.DataFrame(rows, columns=columns), cmt=1)


def test_occasions_of_a_subject_are_among_its_effects():
    conditional = Conditional(bn.build(occasions_model(), occasions_table()))
    assert conditional.n_effects == 1 + 3 * 2
    assert conditional.present.sum(axis=1).tolist() == [5, 7]
    rng = np.random.default_rng(1)
    z = rng.normal(size=(2, 7))
    theta = conditional.start
    individual = conditional.individual(theta, z)
    sd = conditional.natural(theta)["omega_iov"].values[0, 0]
    expected = np.concatenate([z[0, 1:5], z[1, 1:7]]).reshape(5, 2) * sd
    np.testing.assert_allclose(individual["kappa"], expected, rtol=1e-12)
    density = conditional.density(theta, z)[0]
    y = conditional.population.data.observations
    f, error = individual["prediction"].values, conditional.natural(theta)["conc_additive"].item()
    terms = np.bincount(y.subject, weights=stats.norm.logpdf(y.value, f, error))
    np.testing.assert_allclose(density, terms + standard_log_density(z), rtol=1e-12)


def test_effects_that_a_subject_lacks_have_no_influence():
    conditional = Conditional(bn.build(occasions_model(), occasions_table()))
    z = np.random.default_rng(1).normal(size=(2, 7))
    moved = z.copy()
    moved[0, 5:] = 0.0
    before, after = (conditional.density(conditional.start, each)[0] for each in (z, moved))
    own = standard_log_density(z) - standard_log_density(moved)
    np.testing.assert_allclose(before - after, own, rtol=1e-10)


def test_a_model_without_effects_has_densities(data):
    parameters = {k: bn.LogNormal(v) for k, v in (("ka", 1.5), ("CL", 2.8), ("V", 32.0))}
    model = theophylline_model().replace(parameters=parameters, correlated=())
    conditional = Conditional(bn.build(model, data))
    h, by_z, scores = conditional.scores(conditional.start, conditional.no_effects)
    assert by_z.shape == (12, 0)
    expected = differences(
        lambda x: conditional.density(x, conditional.no_effects)[0], conditional.start
    )
    np.testing.assert_allclose(scores, expected, rtol=1e-6, atol=1e-6)
    assert np.isfinite(h).all()


@pytest.mark.parametrize(
    ("observed", "words"),
    [
        (bn.student_t(bn.additive(0.5), df=4), "conc is not normal"),
        (bn.additive(0.5, blq="M4"), "truncated by blq='M4'"),
    ],
)
def test_linearisation_refuses_what_is_not_normal(data, observed, words):
    model = theophylline_model().replace(observations={"conc": observed})
    later = data.subset(where=lambda row: row["TIME"] > 1)
    conditional = Conditional(bn.build(model, later))
    with pytest.raises(bn.ModelError, match=words):
        conditional.normals(conditional.start, conditional.no_effects)


def test_swapped_observations_equal_densities_compiled_anew(model, data, theta, z):
    table = data.to_frame()
    table["DV"] = table["DV"].where(table["EVID"] != 0, table["DV"] * 1.1 + 0.2)
    other = bn.read_data(table)
    for interaction in (True, False):
        swapped = Conditional(bn.build(model, data), interaction=interaction, swapped=["conc"])
        before = swapped.density(theta, z)[0]
        swapped.observe({"conc": other.observations.value})
        anew = Conditional(bn.build(model, other), interaction=interaction)
        np.testing.assert_allclose(swapped.density(theta, z)[0], anew.density(theta, z)[0])
        np.testing.assert_array_equal(swapped.normal_values, anew.normal_values)
        assert (swapped.density(theta, z)[0] != before).all()
    for values in ({"conc": np.zeros(3)}, {"other": np.zeros(132)}):
        with pytest.raises(bn.ModelError, match="cannot be swapped"):
            swapped.observe(values)
