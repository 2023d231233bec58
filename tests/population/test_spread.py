"""Standard deviations stated as CV, as variance, and with a standard error."""

import math

import numpy as np
import pytest
from scipy import stats

import bayesnlme as bn
from bayesnlme.errors import ModelError
from bayesnlme.model.toml import parse_model, write_model
from bayesnlme.population.spread import deviation_from_value


def lognormal(prior):
    assert prior.distribution == "LogNormal"
    return stats.lognorm(s=prior.keywords["sigma"], scale=math.exp(prior.keywords["mu"]))


@pytest.mark.parametrize("percent", [1.0, 30.0, 120.0])
def test_a_cv_is_that_of_the_individual_values(percent):
    omega = bn.LogNormal(3.0, iiv=bn.cv(percent)).iiv_prior().start
    values = stats.lognorm(s=omega, scale=3.0)
    assert 100 * values.std() / values.mean() == pytest.approx(percent, rel=1e-9)


def test_a_variance_is_the_square_and_a_number_alone_is_an_expectation():
    assert bn.LogNormal(3.0, iiv=bn.variance(0.09)) != bn.LogNormal(3.0, iiv=0.3)
    assert bn.LogNormal(3.0, iiv=bn.variance(0.09)).iiv_prior() == (
        bn.LogNormal(3.0, iiv=0.3).iiv_prior()
    )
    assert bn.Normal(3.0, iov=bn.variance(4.0)).iov_prior() == bn.Normal(3.0, iov=2.0).iov_prior()
    assert bn.Normal(3.0, iiv=bn.variance(4.0)).typical_prior() == (
        bn.Normal(3.0, iiv=2.0).typical_prior()
    )


@pytest.mark.parametrize("rse", [0.05, 0.3, 1.0])
def test_a_standard_error_belongs_to_what_was_stated(rse):
    omega = lognormal(bn.LogNormal(1.0, iiv=bn.sd(0.4, rse=rse)).iiv_prior())
    assert omega.median() == pytest.approx(0.4, rel=1e-9)
    assert omega.std() / omega.mean() == pytest.approx(rse, rel=1e-9)
    omega = lognormal(bn.LogNormal(1.0, iiv=bn.variance(0.16, rse=rse)).iiv_prior())
    squares = stats.lognorm(s=2 * omega.kwds["s"], scale=omega.kwds["scale"] ** 2)
    assert squares.median() == pytest.approx(0.16, rel=1e-9)
    assert squares.std() / squares.mean() == pytest.approx(rse, rel=1e-9)


@pytest.mark.parametrize("percent", [20.0, 80.0])
def test_the_standard_error_of_a_cv_follows_the_slope(percent):
    """The SD of log omega over that of log CV is the derivative of one in the other."""
    prior = bn.LogNormal(1.0, iiv=bn.cv(percent, rse=0.1)).iiv_prior()
    step = 1e-5
    logs = [
        0.5 * math.log(math.log1p((percent / 100 * math.exp(sign * step)) ** 2)) for sign in (-1, 1)
    ]
    slope = (logs[1] - logs[0]) / (2 * step)
    expected = slope * math.sqrt(math.log1p(0.1**2))
    assert prior.keywords["sigma"] == pytest.approx(expected, rel=1e-7)
    draws = lognormal(prior).rvs(200_000, random_state=np.random.default_rng(1))
    cvs = 100 * np.sqrt(np.expm1(draws**2))
    assert np.median(cvs) == pytest.approx(percent, rel=2e-3)
    assert cvs.std() / cvs.mean() == pytest.approx(0.1, abs=0.01)


def test_what_a_cv_says_of_a_residual_error():
    assert bn.proportional(bn.cv(10)).priors() == bn.proportional(0.1).priors()
    log_sd = bn.log_normal(bn.cv(10)).priors()["log_sd"].start
    assert log_sd == pytest.approx(math.sqrt(math.log(1.01)), rel=1e-9)
    combined = bn.combined(additive=bn.sd(0.5, rse=0.1), proportional=bn.cv(10, rse=0.2)).priors()
    assert lognormal(combined["additive"]).median() == pytest.approx(0.5)
    fraction = lognormal(combined["proportional"])
    assert fraction.std() / fraction.mean() == pytest.approx(0.2, rel=1e-9)


def model(**iiv):
    return bn.Model(
        name="published",
        parameters={"CL": bn.LogNormal(4.0, **iiv), "V": bn.LogNormal(70.0)},
        structure=bn.pk.one_compartment(),
        observations={"conc": bn.combined(additive=bn.variance(0.25), proportional=bn.cv(10))},
    )


@pytest.mark.parametrize(
    "iiv", [bn.cv(30), bn.cv(30, rse=0.2), bn.variance(0.09), bn.sd(0.3, rse=0.1)]
)
def test_every_form_survives_a_file(iiv):
    written = model(iiv=iiv, iov=iiv)
    read = parse_model(write_model(written))
    assert read == written
    assert read.parameters["CL"].iiv == iiv
    row = {each.name: each for each in read.priors}["omega[CL]"]
    assert row.default == (iiv.rse is None)


@pytest.mark.parametrize(
    ("make", "fragment"),
    [
        (lambda: bn.cv(0), "bn.cv: 0 must be positive"),
        (lambda: bn.cv(30, rse=0), "rse=0 must be a positive fraction"),
        (lambda: bn.cv(30, rse=20), "bn.cv: rse=20 is a relative standard error of 2000 %. Write "),
        (lambda: bn.sd(0.3, rse=5), "Write rse=0.05 for 5 %"),
        (lambda: bn.typical(2.8, rse=20), "bn.typical: rse=20 is a relative standard error of 2"),
        (lambda: bn.variance(-0.1), "bn.variance: -0.1 must be positive"),
        (lambda: bn.sd(math.nan, rse=0.1), "bn.sd: nan is not a finite number"),
        (lambda: bn.Normal(250.0, iiv=bn.cv(30)), "Normal iiv: a CV of 30 % says nothing"),
        (lambda: bn.LogitNormal(0.5, iov=bn.cv(30)), "LogitNormal iov: a CV of 30 %"),
        (lambda: bn.additive(bn.cv(10)), "additive error, additive: a CV of 10 %"),
        (lambda: bn.LogNormal(bn.cv(10)), "bn.cv(10) is neither a number nor a prior"),
        (lambda: bn.student_t(bn.additive(1.0), df=bn.sd(4, rse=0.1)), "bn.sd(4, rse=0.1) is"),
        (
            lambda: bn.LogNormal(1.0, iiv=bn.cv(30), shape=bn.effects.boxcox(0.2)),
            "a CV says nothing of omega",
        ),
        (lambda: bn.LogNormal(1.0, iiv=bn.typical(0.3, rse=1)), "bn.sd(value, rse=...)"),
        (lambda: deviation_from_value({"cv_percent": 3, "sd": 1}, "iiv"), "is no standard devia"),
    ],
)
def test_what_says_nothing_is_refused(make, fragment):
    with pytest.raises(ModelError) as refused:
        make()
    assert fragment in str(refused.value)


@pytest.mark.parametrize(
    ("line", "fragment"),
    [
        ("{cv_percent = 30, of = 1}", "parameters.CL.iiv.of: unknown entry 'of'"),
        ('{cv_percent = "30"}', "parameters.CL.iiv.cv_percent: '30' is not a number"),
        ("{variance = 0}", "parameters.CL.iiv: bn.variance: 0 must be positive"),
    ],
)
def test_a_file_is_refused_by_its_path(line, fragment):
    text = write_model(model(iiv=bn.cv(30))).replace("{cv_percent = 30.0}", line)
    with pytest.raises(ModelError) as refused:
        parse_model(text)
    assert fragment in str(refused.value)
