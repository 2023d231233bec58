import math
import sys
import types

import numpy as np
import pymc as pm
import pytest
from scipy import stats

import bayesnlme as bn
from bayesnlme.errors import ModelError
from bayesnlme.population.priors import (
    Fixed,
    Prior,
    Typical,
    finite_number,
    positive_prior,
    prior_from_value,
    prior_to_value,
    real_prior,
    standard_deviation_prior,
    stated,
)


def logp(prior, x):
    distribution = getattr(pm, prior.distribution).dist(**prior.keywords)
    return pm.logp(distribution, x).eval(mode="FAST_COMPILE")


def test_a_positive_number_is_the_median_of_a_lognormal():
    prior = positive_prior(32.0, "V")
    scipy = stats.lognorm(s=prior.keywords["sigma"], scale=math.exp(prior.keywords["mu"]))
    assert prior.distribution == "LogNormal"
    assert scipy.median() == pytest.approx(32.0, rel=1e-11)
    assert scipy.ppf([0.025, 0.975]) == pytest.approx([32 / 7.099, 32 * 7.099], rel=1e-3)
    assert prior.start == pytest.approx(32.0, rel=1e-11)


def test_a_real_number_is_the_mean_of_a_wide_normal():
    assert real_prior(250.0, 25.0, "E0") == Prior("Normal", mu=250, sigma=312.5)
    assert real_prior(-3.0, 0.0, "E0") == Prior("Normal", mu=-3, sigma=3)


@pytest.mark.parametrize("sd", [0.3, 1.0, 1234.5, 1e-9])
def test_a_standard_deviation_is_the_mean_of_a_half_normal(sd):
    prior = standard_deviation_prior(sd, "iiv")
    assert stats.halfnorm(scale=prior.keywords["sigma"]).mean() == pytest.approx(sd, rel=1e-11)
    assert prior.start == pytest.approx(sd, rel=1e-11)


def test_a_logit_normal_number_is_the_median_on_the_logit():
    prior = bn.LogitNormal(0.8, lower=0.5, upper=1.0).typical_prior()
    assert prior.keywords["mu"] == pytest.approx(math.log(0.6 / 0.4), rel=1e-11)
    assert prior.keywords["sigma"] == 1.5


@pytest.mark.parametrize("rse", [0.05, 0.5, 2.0])
def test_typical_has_the_stated_median_and_coefficient_of_variation(rse):
    prior = bn.LogNormal(bn.typical(3.0, rse=rse)).typical_prior()
    scipy = stats.lognorm(s=prior.keywords["sigma"], scale=math.exp(prior.keywords["mu"]))
    assert scipy.median() == pytest.approx(3.0)
    assert scipy.std() / scipy.mean() == pytest.approx(rse)
    normal = bn.Normal(bn.typical(-3.0, rse=rse)).typical_prior()
    assert normal.keywords == pytest.approx({"mu": -3.0, "sigma": 3 * rse})


def test_typical_of_a_logit_normal_has_the_stated_error_to_first_order():
    prior = bn.LogitNormal(bn.typical(0.2, rse=0.01)).typical_prior()
    logit = np.random.default_rng(1).normal(prior.keywords["mu"], prior.keywords["sigma"], 20_000)
    assert np.std(1 / (1 + np.exp(-logit))) / 0.2 == pytest.approx(0.01, rel=0.02)


def test_fixed_is_exact_and_not_a_prior():
    assert bn.LogNormal(bn.fixed(3.0)).typical_prior() == Fixed(3.0)
    assert standard_deviation_prior(Fixed(0.3), "iiv") == Fixed(0.3)
    assert repr(bn.fixed(0.75)) == "0.75 (fixed)"


def test_a_prior_names_pymc_exactly():
    assert logp(Prior("Gamma", alpha=2, beta=3), 0.7) == pytest.approx(
        stats.gamma(2, scale=1 / 3).logpdf(0.7)
    )
    assert Prior("Gamma", alpha=2, beta=1).keywords == {"alpha": 2.0, "beta": 1.0}
    assert repr(Prior("Gamma", alpha=2, beta=1)) == "Gamma(alpha=2, beta=1)"


def test_how_a_prior_was_written_does_not_matter():
    first, second = Prior("Gamma", alpha=2, beta=1), Prior("Gamma", beta=np.float32(1), alpha=2.0)
    assert first == second
    assert hash(first) == hash(second)
    assert repr(first.to_dict()) == repr(second.to_dict())


@pytest.mark.parametrize(
    ("name", "arguments", "fragment"),
    [
        ("Lognormal", {"mu": 0, "sigma": 1}, "Did you mean 'LogNormal'?"),
        ("gama", {}, "Did you mean 'Gamma'?"),
        ("MvNormal", {}, "no distribution 'MvNormal'"),
        ("Poisson", {"mu": 3}, "no distribution 'Poisson'"),
        ("Flat", {}, "no distribution 'Flat'"),
        ("sample", {}, "no distribution 'sample'"),
        (3, {}, "no distribution 3"),
        (None, {}, "no distribution None"),
        (["Normal"], {}, "no distribution"),
        ("Normal", {"mu": 0, "sd": 1}, "takes no argument 'sd'"),
        ("Normal", {"mu": 0, "sigm": 1}, "Did you mean 'sigma'?"),
        ("Normal", {"mu": 0, "sigma": 1, "shape": 2}, "takes no argument 'shape'"),
        ("Normal", {"mu": 0, "sigma": 1, "size": 2}, "takes no argument 'size'"),
        ("Normal", {"mu": 0, "sigma": 1, "observed": 2}, "takes no argument 'observed'"),
        ("Normal", {"mu": 0, "sigma": 1, "initval": 2}, "takes no argument 'initval'"),
        ("Normal", {"mu": 0, "sigma": 1, "rng": 2}, "takes no argument 'rng'"),
        ("Normal", {"mu": 0, "sigma": 1, "dims": 2}, "takes no argument 'dims'"),
        ("Gamma", {"alpha": 2}, "PyMC refuses it"),
        ("Normal", {"sigma": 1, "tau": 2}, "PyMC refuses it"),
        ("Normal", {"mu": 0, "sigma": -1}, "sigma > 0"),
        ("Normal", {"mu": 0, "sigma": 0}, "sigma > 0"),
        ("HalfNormal", {"sigma": -0.5}, "sigma > 0"),
        ("Gamma", {"alpha": -2, "beta": 1}, "alpha > 0"),
        ("Uniform", {"lower": 2, "upper": 1}, "PyMC refuses it"),
        ("Normal", {"mu": math.nan, "sigma": 1}, "not a finite number"),
        ("TruncatedNormal", {"mu": 0, "sigma": 1, "lower": 0, "upper": math.inf}, "not a finite"),
        ("Normal", {"mu": "0", "sigma": 1}, "not a finite number"),
        ("Normal", {"mu": True, "sigma": 1}, "not a finite number"),
        ("Normal", {"mu": [1.0], "sigma": 1}, "not a finite number"),
        ("Normal", {"mu": 1 + 0j, "sigma": 1}, "not a finite number"),
        ("Cauchy", {}, "PyMC refuses it"),
    ],
)
def test_a_wrong_prior_is_refused(name, arguments, fragment):
    with pytest.raises(ModelError) as refused:
        Prior(name, **arguments)
    assert fragment in str(refused.value)


@pytest.mark.parametrize(
    ("prior", "support"),
    [
        (Prior("LogNormal", mu=0, sigma=1), (0, math.inf)),
        (Prior("InverseGamma", alpha=2, beta=1), (0, math.inf)),
        (Prior("HalfStudentT", nu=3, sigma=1), (0, math.inf)),
        (Prior("Beta", alpha=1, beta=2), (0, 1)),
        (Prior("Kumaraswamy", a=1, b=2), (0, 1)),
        (Prior("Uniform", upper=2), (0, 2)),
        (Prior("Uniform", lower=-1, upper=2), (-1, 2)),
        (Prior("Triangular", lower=1, c=2, upper=3), (1, 3)),
        (Prior("TruncatedNormal", mu=0, sigma=1, lower=0), (0, math.inf)),
        (Prior("TruncatedNormal", mu=0, sigma=1, upper=1), (-math.inf, 1)),
        (Prior("Pareto", alpha=3, m=0.5), (0.5, math.inf)),
        (Prior("Normal"), (-math.inf, math.inf)),
        (Prior("StudentT", nu=3), (-math.inf, math.inf)),
    ],
)
def test_the_support_is_where_the_density_is(prior, support):
    assert prior.support == support
    assert prior.positive == (support[0] >= 0)
    for bound, step in zip(support, (-1e-6, 1e-6), strict=True):
        if math.isfinite(bound):
            assert logp(prior, bound + step) == -math.inf
    inside = float(np.clip(0.6, support[0] + 1e-3, support[1] - 1e-3))
    assert np.isfinite(logp(prior, inside))


@pytest.mark.parametrize(
    "make",
    [
        bn.LogNormal,
        lambda prior: bn.LogNormal(1.0, iiv=prior),
        lambda prior: bn.Normal(1.0, iiv=prior),
        bn.additive,
    ],
)
def test_what_is_positive_needs_a_positive_prior(make):
    with pytest.raises(ModelError, match="allows negative values"):
        make(Prior("Normal", mu=1, sigma=1))
    make(Prior("Gamma", alpha=2, beta=1))
    make(Prior("Uniform", upper=3))


@pytest.mark.parametrize(
    ("make", "fragment"),
    [
        (lambda: bn.fixed(math.nan), "bn.fixed: nan is not a finite number"),
        (lambda: bn.fixed("1"), "bn.fixed: '1' is not a finite number"),
        (lambda: bn.fixed(True), "bn.fixed: True is not"),
        (lambda: bn.typical(math.inf, rse=0.5), "bn.typical: inf"),
        (lambda: bn.typical(1.0, rse=0), "positive fraction"),
        (lambda: bn.typical(1.0, rse=-0.5), "positive fraction"),
        (lambda: bn.typical(1.0, rse=math.nan), "rse: nan"),
        (lambda: bn.typical(1.0, rse="50 %"), "rse: '50 %'"),
        (lambda: bn.LogNormal(0.0), "positive, not 0"),
        (lambda: bn.LogNormal(-1.0), "positive, not -1"),
        (lambda: bn.LogNormal(bn.fixed(0)), "positive, not 0"),
        (lambda: bn.LogNormal(bn.typical(-2, rse=1)), "positive, not -2"),
        (lambda: bn.LogNormal(math.inf), "not a finite number"),
        (lambda: bn.LogNormal("1.5"), "neither a number nor a prior"),
        (lambda: bn.LogNormal(None), "neither a number nor a prior"),
        (lambda: bn.LogNormal(np.array(1.5)), "neither a number nor a prior"),
        (lambda: bn.LogNormal(True), "neither a number nor a prior"),
        (lambda: bn.LogNormal(1.5, iiv=0), "must be positive, not 0"),
        (lambda: bn.LogNormal(1.5, iiv=-0.3), "must be positive, not -0.3"),
        (lambda: bn.LogNormal(1.5, iiv=bn.fixed(0)), "must be positive, not 0"),
        (lambda: bn.LogNormal(1.5, iiv=bn.typical(0.3, rse=1)), "is for typical values"),
        (lambda: bn.Normal(0.0), "says nothing about its scale"),
        (lambda: bn.Normal(bn.typical(0.0, rse=0.5)), "says nothing about its scale"),
        (lambda: bn.Normal(1.0, iiv=-1.0), "a standard deviation must be positive"),
    ],
)
def test_an_impossible_value_is_refused(make, fragment):
    with pytest.raises(ModelError) as refused:
        make()
    assert fragment in str(refused.value)


@pytest.mark.parametrize("value", [2, 2.0, np.int64(2), np.float32(2), np.float64(2)])
def test_every_kind_of_number_is_one_number(value):
    assert stated(value, "x") == 2.0
    assert type(stated(value, "x")) is float
    assert repr(bn.fixed(value).to_dict()) == "{'fixed': 2.0}"
    assert bn.LogNormal(value, iiv=value) == bn.LogNormal(2.0, iiv=2.0)


def test_minus_zero_is_zero():
    assert math.copysign(1, finite_number(-0.0, "x")) == 1


@pytest.mark.parametrize(
    "value",
    [1.5, Prior("Gamma", alpha=2, beta=1), Fixed(0.3), Typical(1.5, 0.5), Prior("Normal", mu=-0.0)],
)
def test_values_survive_a_round_trip(value):
    assert prior_from_value(prior_to_value(value), "x") == value


@pytest.mark.parametrize(
    "entries", [{}, {"fixed": 1, "rse": 1}, {"typical": 1}, {"alpha": 2}, {"mean": 2}]
)
def test_an_unreadable_entry_is_refused(entries):
    with pytest.raises(ModelError, match="is no prior"):
        prior_from_value(entries, "parameters.CL")


@pytest.mark.parametrize("entries", [{"fixed": "1"}, {"typical": 1, "rse": "x"}, {"prior": 3}])
def test_an_entry_with_a_wrong_value_is_refused(entries):
    with pytest.raises(ModelError):
        prior_from_value(entries, "parameters.CL")


def test_preliz_distributions_are_accepted():
    preliz = pytest.importorskip("preliz")
    assert stated(preliz.Gamma(2, 1), "x") == Prior("Gamma", alpha=2, beta=1)
    assert stated(preliz.Gamma(mu=2, sigma=1), "x") == Prior("Gamma", mu=2, sigma=1)
    assert bn.LogNormal(preliz.LogNormal(0, 1)).typical == Prior("LogNormal", mu=0, sigma=1)
    with pytest.raises(ModelError, match="has no values yet"):
        stated(preliz.Gamma(), "x")
    with pytest.raises(ModelError, match="no distribution 'Poisson'"):
        stated(preliz.Poisson(3), "x")


def test_what_preliz_distributions_look_like_is_enough(monkeypatch):
    module = types.ModuleType("preliz.distributions.gamma")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    kind = type("Gamma", (), {"param_names": ("alpha", "beta"), "params": (2.0, 1.0)})
    kind.__module__ = module.__name__
    assert stated(kind(), "x") == Prior("Gamma", alpha=2, beta=1)
    kind.params = (None, None)
    with pytest.raises(ModelError, match="The PreliZ distribution Gamma has no values yet"):
        stated(kind(), "x")


def test_priors_cannot_be_changed():
    for value in (Prior("Normal"), Fixed(1.0), Typical(1.0, 0.5)):
        with pytest.raises((AttributeError, TypeError)):
            value.value = 2.0
