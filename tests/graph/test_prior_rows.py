"""The list of priors is the graph's: each free variable has one row, with the same density."""

import math

import numpy as np
import pymc as pm
import pytest
from scipy import special, stats

import bayesnlme as bn
from bayesnlme import names
from bayesnlme.graph.effects import effect_variables
from bayesnlme.population.priors import LKJ, Fixed
from bayesnlme.reports.content import prior_table
from tests import features

SCIPY = {
    "Normal": lambda mu, sigma: stats.norm(loc=mu, scale=sigma),
    "LogNormal": lambda mu, sigma: stats.lognorm(s=sigma, scale=math.exp(mu)),
    "HalfNormal": lambda sigma: stats.halfnorm(scale=sigma),
    "Gamma": lambda alpha, beta: stats.gamma(alpha, scale=1 / beta),
    "Beta": lambda alpha, beta: stats.beta(a=alpha, b=beta),
    "Uniform": lambda lower, upper: stats.uniform(lower, upper - lower),
    "TruncatedNormal": lambda mu, sigma, lower: stats.truncnorm(
        (lower - mu) / sigma, np.inf, mu, sigma
    ),
}


@pytest.fixture(scope="module", params=features.MODELS)
def population(request):
    return bn.build(features.MODELS[request.param](), features.table())


@pytest.fixture(scope="module")
def points(population):
    """Draw values of the free variables from their priors, on their natural scales."""
    graph = population.pymc
    drawn = pm.draw(graph.free_RVs, 5, random_seed=7, mode="FAST_COMPILE")
    return [
        {rv.name: values[i] for rv, values in zip(graph.free_RVs, drawn, strict=True)}
        for i in range(5)
    ]


def variable_and_entry(model, graph, row):
    """Find the free variable of a row, and which entry of it; None for all."""
    name = names.logit(row.name) if row.scale == "logit" else row.name
    for layer in model.layers:
        called = layer.names
        for number, effect in enumerate(layer.effects):
            if row.name == called.sd_entry(effect):
                free = {each.name for each in graph.free_RVs}
                return (called.sd, number) if called.sd in free else (called.sd_of(effect), None)
        for block in layer.blocks:
            if row.name == called.correlation(block):
                return called.partial(block), None
    return name, None


def test_every_free_variable_has_exactly_one_row(population, points):
    model, graph = population.model, population.pymc
    effects = effect_variables(model)
    listed = [
        variable_and_entry(model, graph, row)
        for row in model.priors
        if not isinstance(row.prior, Fixed)
    ]
    assert len(set(listed)) == len(listed)
    free = {each.name for each in graph.free_RVs} - effects
    assert {name for name, _ in listed} == free
    for name in free:
        entries = [entry for each, entry in listed if each == name]
        assert entries == [None] or sorted(entries) == list(range(points[0][name].size))


def test_what_is_known_is_no_variable(population):
    for row in population.model.priors:
        if isinstance(row.prior, Fixed):
            assert row.name not in {each.name for each in population.pymc.free_RVs}


def test_each_row_is_the_density_of_the_graph(population, points):
    model, graph = population.model, population.pymc
    rows = [row for row in model.priors if not isinstance(row.prior, Fixed | LKJ)]
    for row in rows:
        name, entry = variable_and_entry(model, graph, row)
        value = graph[name].type(name)
        density = pm.logp(graph[name], value)
        function = pm.compile([value], density, on_unused_input="ignore", mode="FAST_COMPILE")
        expected = SCIPY[row.prior.distribution](**row.prior.keywords)
        for point in points:
            found = np.asarray(function(point[name]))
            at = point[name] if entry is None else point[name][entry]
            found = found if entry is None else found[entry]
            np.testing.assert_allclose(found, expected.logpdf(at), rtol=1e-10, err_msg=row.text)


def correlation(partial, n):
    """Make a correlation matrix of partial correlations; see `bayesnlme.graph.correlation`."""
    factor, place = np.zeros((n, n)), 0
    factor[0, 0] = 1.0
    for k in range(1, n):
        left = 1.0
        for j in range(k):
            factor[k, j] = partial[place] * left
            left *= np.sqrt(1 - partial[place] ** 2)
            place += 1
        factor[k, k] = left
    matrix = factor @ factor.T
    return matrix[np.tril_indices(n, -1)], matrix


def lkj(matrix, shape):
    """Log density of a correlation matrix, Lewandowski et al. (2009), eq. 16."""
    n = len(matrix)
    constant = sum(
        (2 * shape - 2 + n - k) * (n - k) * math.log(2)
        + (n - k) * special.betaln(shape + (n - k - 1) / 2, shape + (n - k - 1) / 2)
        for k in range(1, n)
    )
    return (shape - 1) * np.linalg.slogdet(matrix)[1] - constant


def test_correlations_have_the_lkj_density_they_say(population, points):
    """The density of the sampled variables is that of the matrix times the slope between them."""
    model, graph = population.model, population.pymc
    for layer in model.layers:
        for block in layer.blocks:
            row = next(r for r in model.priors if r.name == layer.names.correlation(block))
            name, n = layer.names.partial(block), len(block)
            for point in points[:3]:
                u = point[name]
                _, matrix = correlation(2 * u - 1, n)
                steps = 1e-6 * np.eye(u.size)
                slopes = [
                    (correlation(2 * (u + h) - 1, n)[0] - correlation(2 * (u - h) - 1, n)[0]) / 2e-6
                    for h in steps
                ]
                expected = lkj(matrix, row.prior.shape)
                expected += np.linalg.slogdet(np.array(slopes))[1]
                found = pm.logp(graph[name], u).sum().eval(mode="FAST_COMPILE")
                assert found == pytest.approx(expected, abs=1e-6)


def test_every_row_is_listed_wherever_priors_are(population):
    model = population.model
    written, reported = repr(model), [each["text"] for each in prior_table(model)]
    for row in model.priors:
        line = next(each for each in written.splitlines() if each.strip().startswith(row.text))
        assert line.endswith(" *") == row.default
        assert row.text in reported
        assert row.meaning


def test_the_default_model_has_nothing_but_defaults():
    rows = features.defaults().priors
    assert all(row.default for row in rows if not isinstance(row.prior, LKJ))
    assert not any(row.default for row in features.stated().priors if row.name != "E0_df")
