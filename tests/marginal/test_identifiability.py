"""What a design can tell apart, and the information that says so."""

import numpy as np
import pandas as pd
import pytest

import bayesnlme as bn
from bayesnlme.marginal.conditional import Conditional
from bayesnlme.marginal.information import expected_information
from bayesnlme.marginal.linearised import FirstOrder
from tests.conftest import theophylline_model


def table(**columns):
    return bn.read_data(pd.DataFrame(columns))


def line(function, **parameters):
    return bn.Model(
        name="line",
        parameters=parameters,
        structure=bn.curve(function),
        observations={"value": bn.additive(1.0)},
    )


def warnings_of(model, data):
    return [each for each in bn.check(model, data) if each.severity == "warning"]


ONCE = table(ID=[1, 2, 3, 4], TIME=[0.0] * 4, DV=[4.0, 5, 6, 7])
REPEATED = table(ID=np.repeat([1, 2, 3, 4], 4), TIME=np.tile([0.0, 1, 2, 4], 4), DV=np.arange(16.0))


def test_nothing_is_said_of_a_sound_design(data):
    assert warnings_of(theophylline_model(), data) == []


def test_one_observation_of_each_subject():
    model = line(lambda t, p: p.a + 0 * t, a=bn.Normal(5.0, iiv=2.0))
    (found,) = warnings_of(model, ONCE)
    assert found.code == "W_NOT_IDENTIFIED"
    assert "omega[a] and value_additive apart" in found.message
    assert "one observation" in found.message
    assert warnings_of(model, REPEATED) == []


def test_parameters_that_only_a_product_knows():
    model = line(
        lambda t, p: p.a + p.b * p.c * t,
        a=bn.Normal(5.0, iiv=2.0), b=bn.LogNormal(2.0), c=bn.LogNormal(0.5),
    )  # fmt: skip
    (found,) = warnings_of(model, REPEATED)
    assert found.code == "W_NOT_IDENTIFIED"
    assert {"b_pop", "c_pop"} <= set(found.message.replace(",", " ").split())
    assert "one observation" not in found.message


def test_a_flat_space_of_several_directions_is_told_once():
    """Of a product of three, two can change freely; another pair is told apart from them."""
    model = line(
        lambda t, p: p.a + p.b * p.c * p.d * t + p.e * p.f * t**2,
        a=bn.Normal(5.0, iiv=2.0), b=bn.LogNormal(2.0), c=bn.LogNormal(0.5), d=bn.LogNormal(1.0),
        e=bn.LogNormal(1.0), f=bn.LogNormal(1.0),
    )  # fmt: skip
    found = warnings_of(model, REPEATED)
    assert [each.code for each in found] == ["W_NOT_IDENTIFIED"] * 2
    told = {each.message.split(" tell ")[1].split(" apart: ")[0]: each for each in found}
    assert set(told) == {"b_pop, c_pop and d_pop", "e_pop and f_pop"}
    three = told["b_pop, c_pop and d_pop"]
    assert "change together in 2 ways" in three.message
    assert three.remedy.startswith("Fix 2 of them")
    assert told["e_pop and f_pop"].remedy.startswith("Fix one of them")


def test_variability_between_subjects_cannot_be_learnt_from_one():
    model = line(lambda t, p: p.a + p.b * t, a=bn.Normal(5.0, iiv=2.0), b=bn.LogNormal(2.0))
    alone = table(ID=[1] * 6, TIME=np.arange(6.0), DV=np.arange(6.0))
    found = [each for each in warnings_of(model, alone) if each.code == "W_ONE_SUBJECT"]
    assert len(found) == 1
    assert "(omega[a])" in found[0].message
    known = model.replace(parameters={"a": bn.Normal(5.0, iiv=bn.fixed(2.0)), "b": bn.Normal(2.0)})
    assert not [each for each in warnings_of(known, alone) if each.code == "W_ONE_SUBJECT"]


def test_a_parameter_that_nothing_depends_on():
    model = line(lambda t, p: p.a + p.b * t, a=bn.Normal(5.0, iiv=2.0), b=bn.LogNormal(2.0))
    early = table(ID=np.repeat([1, 2], 2), TIME=[0.0] * 4, DV=[4.0, 5, 6, 7])
    (found,) = warnings_of(model, early)
    assert found.code == "W_NO_INFORMATION"
    assert "b_pop" in found.message


def test_little_information_is_told_from_none():
    model = line(lambda t, p: p.a + p.b * t, a=bn.Normal(5.0, iiv=2.0), b=bn.LogNormal(1e-3))
    (found,) = warnings_of(model, REPEATED)
    assert found.code == "W_LITTLE_INFORMATION"
    assert "b_pop" in found.message


def test_counts_are_judged_by_their_scores():
    model = bn.Model(
        name="counts",
        parameters={"a": bn.LogNormal(5.0, iiv=0.2), "b": bn.LogNormal(2.0)},
        structure=bn.curve(lambda t, p: p.a * p.b + 0 * t),
        observations={"value": bn.poisson()},
    )
    (found,) = warnings_of(model, REPEATED)
    assert found.code == "W_NOT_IDENTIFIED"
    assert "a_pop" in found.message
    assert "b_pop" in found.message


def test_the_check_can_be_left_out():
    model = line(lambda t, p: p.a + 0 * t, a=bn.Normal(5.0, iiv=2.0))
    assert not [
        each for each in bn.check(model, ONCE, identifiability=False) if each.code[0] == "W"
    ]


def test_the_information_of_a_linear_model():
    """For lines: X' V^-1 X of the mean, and half a trace for each pair of variances."""
    model = bn.Model(
        name="lines",
        parameters={"a": bn.Normal(5.0, iiv=2.0), "b": bn.Normal(1.0, iiv=0.5)},
        structure=bn.curve(lambda t, p: p.a + p.b * t),
        observations={"value": bn.additive(0.7)},
    )
    conditional = Conditional(bn.build(model, REPEATED), interaction=False)
    names = [each.name for each in conditional.parameters]
    X = np.stack([np.ones(4), [0.0, 1, 2, 4]], axis=1)
    V = X @ np.diag([4.0, 0.25]) @ X.T + 0.49 * np.eye(4)
    inverse = np.linalg.inv(V)
    slopes = {  # by the logs of the SDs
        "a": 2 * 4.0 * np.outer(X[:, 0], X[:, 0]),
        "b": 2 * 0.25 * np.outer(X[:, 1], X[:, 1]),
        "error": 2 * 0.49 * np.eye(4),
    }
    expected = {("a_pop", "a_pop"): X[:, 0] @ inverse @ X[:, 0]}
    expected["a_pop", "b_pop"] = X[:, 0] @ inverse @ X[:, 1]
    pairs = {"omega[a]": "a", "omega[b]": "b", "value_additive": "error"}
    for first, one in pairs.items():
        for second, other in pairs.items():
            product = inverse @ slopes[one] @ inverse @ slopes[other]
            expected[first, second] = 0.5 * np.trace(product)
    labels = []
    for name in names:
        plain = name.removesuffix("_log__")
        labels += ["omega[a]", "omega[b]"] if plain == "omega" else [plain]
    found = expected_information(conditional, conditional.start)
    sds = {"omega[a]": 2.0, "omega[b]": 0.5, "value_additive": 0.7}
    start = conditional.natural(conditional.start)
    assert start["omega"].values.ravel().tolist() == pytest.approx([2.0, 0.5])
    assert start["value_additive"].item() == pytest.approx(sds["value_additive"])
    for (first, second), value in expected.items():
        i, j = labels.index(first), labels.index(second)
        assert found[i, j] == pytest.approx(4 * value, rel=1e-7)
        assert found[labels.index("a_pop"), labels.index("omega[a]")] == pytest.approx(0, abs=1e-9)


def test_the_information_is_the_variance_of_the_score(population):
    """Scores of the FO likelihood at data simulated from the linearised model."""
    conditional = Conditional(population, interaction=False, swapped=["conc"])
    theta = conditional.start
    normals = conditional.normals(theta, conditional.no_effects)
    information = expected_information(conditional, theta)
    rng = np.random.default_rng(2)
    approximation = FirstOrder(conditional)
    subject = population.data.observations.subject
    scores = []
    for _ in range(1500):
        z = rng.standard_normal((12, 3))[subject].T
        y = normals.centre + (normals.centre_by_z * z).sum(axis=0)
        conditional.observe({"conc": y + np.sqrt(normals.variance) * rng.standard_normal(y.size)})
        scores.append(approximation.at(theta).slope.sum(axis=0))
    scores = np.array(scores)
    size = np.sqrt(np.diag(information))
    assert (np.abs(scores.mean(axis=0)) < 4 * size / np.sqrt(1500)).all()
    empirical = np.cov(scores.T) / np.outer(size, size)
    np.testing.assert_allclose(empirical, information / np.outer(size, size), atol=0.15)
