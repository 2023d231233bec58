"""Parameters that make sense between 0 and 1 alone, as the shares of phases."""

import pytest

import bayesnlme as bn
from bayesnlme.population.parameters import check_shares

WEIGHT = bn.covariates.power("WT", reference=70)


@pytest.mark.parametrize(
    "parameter",
    [
        bn.LogitNormal(0.3, iiv=0.4),
        bn.LogitNormal(0.3, iiv=0.4, covariates=[WEIGHT]),
        bn.LogitNormal(0.3, lower=0.1, upper=0.5),
        bn.LogNormal(bn.Prior("Beta", alpha=2.0, beta=3.0)),
        bn.LogNormal(bn.fixed(0.3)),
        bn.Normal(bn.Prior("Uniform", lower=0.0, upper=0.8)),
    ],
    ids=repr,
)
def test_shares_within(parameter):
    check_shares({"f_beta": parameter}, ["f_beta"])


@pytest.mark.parametrize(
    "parameter",
    [
        bn.LogNormal(0.3),
        bn.LogNormal(0.3, iiv=0.2),
        bn.LogNormal(bn.fixed(0.3), iiv=0.2),
        bn.LogNormal(bn.fixed(0.3), covariates=[WEIGHT]),
        bn.LogNormal(bn.fixed(1.3)),
        bn.Normal(0.3),
        bn.Normal(bn.Prior("Uniform", lower=-0.1, upper=0.8)),
        bn.LogitNormal(0.3, upper=2.0),
    ],
    ids=repr,
)
def test_shares_that_may_leave_their_bounds(parameter):
    with pytest.raises(
        bn.ModelError, match=f"f_beta is a share between 0 and 1, and this {parameter.kind} may"
    ):
        check_shares({"f_beta": parameter}, ["f_beta"])


def test_shares_of_structures():
    assert bn.pk.one_compartment(parametrization="half_life").shares == ()
    assert bn.pk.two_compartment().shares == ()
    three = bn.pk.three_compartment(parametrization="half_life")
    assert three.shares == ("f_beta", "f_gamma")
    assert three.renamed(f_beta="share").shares == ("share", "f_gamma")
    assert bn.pd.emax(three, driver="conc").shares == three.shares
    assert bn.growth.gompertz_curve().shares == ()


def test_a_model_refuses_a_share_that_may_leave_its_bounds():
    given = {
        "name": "phases",
        "structure": bn.pk.two_compartment(parametrization="half_life").renamed(f_beta="share"),
        "observations": {"conc": bn.proportional(0.1)},
    }
    others = {name: bn.LogNormal(2.0) for name in ("V", "t_half_alpha", "t_half_beta")}
    with pytest.raises(bn.ModelError, match="parameter share is a share between 0 and 1, and this"):
        bn.Model(parameters=others | {"share": bn.LogNormal(0.3, iiv=0.2)}, **given)
    assert bn.Model(parameters=others | {"share": bn.LogitNormal(0.3, iiv=0.2)}, **given)
