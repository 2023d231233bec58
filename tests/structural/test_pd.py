"""The pharmacodynamic catalogue: equations of the papers, written a second time, and limits."""

import numpy as np
import pytest

import bayesnlme as bn
from bayesnlme.errors import ModelError

PK = bn.pk.one_compartment()
DOSE = {"central": 100.0}
TIMES = np.array([0.5, 2.0, 6.0, 15.0, 40.0])
VALUES = {
    "CL": 2.0, "V": 10.0, "ke0": 0.4, "E0": 50.0, "Emax": 2.5, "EC50": 3.0, "Imax": 0.9,
    "IC50": 3.0, "gamma": 1.7, "kin": 12.0, "kout": 0.3, "R0": 40.0, "slope": 0.02,
    "Circ0": 5.0, "MTT": 90.0,
}  # fmt: skip
CONC = 100 / 10.0 * np.exp(-0.2 * TIMES)


def at(problem, values, states):
    """Return the derivatives at a state, by name."""
    here = {each: values[each.name] for each in problem.parameter_symbols}
    here |= dict(zip(problem.state_symbols, states, strict=True))
    return {n: float(e.subs(here)) for n, e in zip(problem.states, problem.rhs, strict=True)}


def test_the_site_of_effect_follows(exponential):
    structure = bn.pd.effect_compartment(PK)
    seen = exponential(structure, VALUES, TIMES, DOSE)
    k, ke0 = 0.2, 0.4
    expected = 10 * ke0 / (ke0 - k) * (np.exp(-k * TIMES) - np.exp(-ke0 * TIMES))
    np.testing.assert_allclose(seen[1], expected, rtol=1e-10)
    assert structure.outputs == ("conc", "effect_site")
    assert structure.problem.linear
    assert structure.parameters == ("CL", "V", "ke0")


@pytest.mark.parametrize("effect", ["stimulation", "inhibition"])
@pytest.mark.parametrize("sigmoid", [False, True])
def test_the_effect_follows_at_once(effect, sigmoid, exponential):
    structure = bn.pd.emax(PK, effect=effect, sigmoid=sigmoid)
    g = VALUES["gamma"] if sigmoid else 1.0
    reached = CONC**g / (3.0**g + CONC**g)
    expected = 50 + 2.5 * reached if effect == "stimulation" else 50 * (1 - 0.9 * reached)
    seen = exponential(structure, VALUES, TIMES, DOSE)
    np.testing.assert_allclose(seen, [CONC, expected], rtol=1e-12)


def test_an_effect_without_baseline(exponential):
    structure = bn.pd.emax(PK, baseline=False)
    assert structure.parameters == ("CL", "V", "Emax", "EC50")
    seen = exponential(structure, VALUES, TIMES, DOSE)[1]
    np.testing.assert_allclose(seen, 2.5 * CONC / (3.0 + CONC), rtol=1e-12)


def test_effects_are_chained(exponential):
    """The effect is driven by the concentration at its site."""
    site = bn.pd.effect_compartment(PK, output="ce")
    structure = bn.pd.emax(site, driver="ce", sigmoid=True)
    assert structure.outputs == ("conc", "ce", "E")
    assert structure.parameters == ("CL", "V", "ke0", "E0", "Emax", "EC50", "gamma")
    ce = exponential(site, VALUES, TIMES, DOSE)[1]
    seen = exponential(structure, VALUES, TIMES, DOSE)
    np.testing.assert_allclose(seen[2], 50 + 2.5 * ce**1.7 / (3.0**1.7 + ce**1.7), rtol=1e-12)


def test_a_concentration_below_zero_is_zero_to_a_power():
    problem = bn.pd.emax(PK, sigmoid=True).problem
    slopes = problem.dreadout_dp[1]
    for central, expected in ((-1e-12, 50.0), (0.0, 50.0)):
        here = {each: VALUES[each.name] for each in problem.parameter_symbols}
        here |= {problem.state_symbols[0]: central}
        assert float(problem.readouts[1].subs(here)) == expected
        found = [float(each.subs(here)) for each in slopes]
        assert np.isfinite(found).all()
        assert found[problem.parameters.index("gamma")] == 0


@pytest.mark.parametrize("effect", ["inhibition", "stimulation"])
@pytest.mark.parametrize("on", ["production", "loss"])
@pytest.mark.parametrize("sigmoid", [False, True])
def test_the_four_turnover_models(effect, on, sigmoid):
    """Dayneka et al. (1993), models I to IV."""
    structure = bn.pd.indirect_response(PK, effect=effect, on=on, sigmoid=sigmoid)
    g = 1.7 if sigmoid else 1.0
    reached = 4.0**g / (3.0**g + 4.0**g)
    factor = 1 - 0.9 * reached if effect == "inhibition" else 1 + 2.5 * reached
    made, lost = (12 * factor, 0.3) if on == "production" else (12, 0.3 * factor)
    flows = at(structure.problem, VALUES, (40.0, 33.0))
    assert flows["response"] == pytest.approx(made - lost * 33.0, rel=1e-12)
    quiet = at(structure.problem, VALUES, (0.0, 12 / 0.3))
    assert quiet["response"] == pytest.approx(0, abs=1e-12)


def test_a_constant_concentration_has_the_exponential_response(solve):
    """Without elimination, towards kin*(1 - I)/kout at rate kout."""
    structure = bn.pd.indirect_response(PK)
    values = VALUES | {"CL": 0.0}
    inhibited = 1 - 0.9 * 10 / 13
    level = 12 / 0.3
    expected = level * (inhibited + (1 - inhibited) * np.exp(-0.3 * TIMES))
    seen = solve(structure, values, TIMES, dose=DOSE)[1]
    np.testing.assert_allclose(seen, expected, rtol=1e-8)


def test_the_baseline_may_be_the_parameter(solve):
    by_rate = bn.pd.indirect_response(PK, effect="stimulation", on="loss")
    by_level = bn.pd.indirect_response(PK, effect="stimulation", on="loss", baseline=True)
    assert by_level.parameters == ("CL", "V", "R0", "kout", "Emax", "EC50")
    assert by_level.problem.to_dict()["initial"] == {"response": "R0"}
    np.testing.assert_allclose(
        solve(by_level, VALUES | {"R0": 40.0}, TIMES, dose=DOSE),
        solve(by_rate, VALUES | {"kin": 40.0 * 0.3}, TIMES, dose=DOSE),
        rtol=1e-9,
    )


@pytest.mark.parametrize("effect", ["linear", "emax"])
def test_friberg_is_its_equations(effect):
    """Friberg et al. (2002), figure 1, with kprol = ktr = kcirc = 4/MTT."""
    structure = bn.pd.friberg(PK, effect=effect)
    values = VALUES | {"Emax": 0.8, "gamma": 0.17}
    flows = at(structure.problem, values, (40.0, 4.0, 3.0, 2.5, 2.0, 1.5))
    ktr, drug = 4 / 90, 0.02 * 4 if effect == "linear" else 0.8 * 4 / (3 + 4)
    expected = [
        ktr * 4.0 * (1 - drug) * (5 / 1.5) ** 0.17 - ktr * 4.0,
        ktr * (4.0 - 3.0), ktr * (3.0 - 2.5), ktr * (2.5 - 2.0), ktr * (2.0 - 1.5),
    ]  # fmt: skip
    np.testing.assert_allclose(list(flows.values())[1:], expected, rtol=1e-12)


def test_without_drug_cells_stay_at_their_baseline():
    problem = bn.pd.friberg(PK).problem
    assert set(problem.to_dict()["initial"].values()) == {"Circ0"}
    flows = at(problem, VALUES, (0.0, *5 * (5.0,)))
    np.testing.assert_allclose(list(flows.values()), 0, atol=1e-15)


def test_equations_are_shown_by_the_name_of_the_driver():
    lines = [each.text for each in bn.pd.friberg(PK).equations()]
    assert "d stem/dt = ktr*stem*(Circ0/circulating)**gamma*(-slope*conc + 1) - ktr*stem" in lines
    assert "conc = central/V" in lines
    assert lines[-1] == "ktr = 4/MTT"
    sigmoid = bn.pd.emax(PK, sigmoid=True, baseline=False).equations()[-1]
    assert sigmoid.text == (
        "E = Emax*maximum(conc, 0)**gamma/(EC50**gamma + maximum(conc, 0)**gamma)"
    )
    assert r"\max\left(0, \mathrm{conc}\right)^{\gamma}" in sigmoid.right


def test_units_are_those_of_driver_and_response():
    structure = bn.pd.indirect_response(
        bn.pk.one_compartment(output="cp"), driver="cp", output="pca"
    )
    assert {"AMT": 1, "V": -1, "cp": -1} in structure.balances
    assert {"IC50": 1, "cp": -1} in structure.balances
    assert {"kin": 1, "TIME": 1, "pca": -1} in structure.balances
    assert {"Imax": 1} in structure.balances
    assert {"slope": 1, "conc": 1} in bn.pd.friberg(PK).balances


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: bn.pd.emax(PK, driver="con"), "driver: no output 'con'. Did you mean 'conc'?"),
        (
            lambda: bn.pd.emax(bn.pk.one_compartment(output="central"), driver="central"),
            "y.central may mean the state 'central' or the output",
        ),
        (lambda: bn.pd.emax(PK, effect="inhibitory"), "emax: no effect 'inhibitory'. Known"),
        (lambda: bn.pd.emax(PK, effect="inhibition", baseline=False), "needs the baseline"),
        (lambda: bn.pd.emax(PK, output="2"), "emax: output '2' is not a valid name"),
        (lambda: bn.pd.emax("pk"), "pk must be a structure such as bn.pk.one_compartment(), not"),
        (lambda: bn.pd.emax(None), "pk must be a structure"),
        (lambda: bn.pd.emax(PK, output="conc"), "'conc' is used twice"),
        (lambda: bn.pd.indirect_response(PK, on="input"), "indirect_response: no on 'input'"),
        (lambda: bn.pd.friberg(PK, effect="log"), "friberg: no effect 'log'"),
        (
            lambda: bn.pd.friberg(bn.pk.one_compartment(absorption="transit", transit=2)),
            "Both models have 'MTT'. Rename that of the first, as in pk.renamed(MTT=...).",
        ),
        (
            lambda: bn.pd.indirect_response(bn.pd.indirect_response(PK), output="second"),
            "Both models have 'response'",
        ),
    ],
)
def test_what_contradicts_itself_is_refused(make, message):
    with pytest.raises(ModelError) as refused:
        make()
    assert message in str(refused.value)


def test_two_responses_to_one_drug():
    first = bn.pd.indirect_response(PK).renamed(
        response="clotting", kin="kin_1", kout="kout_1", Imax="Imax_1", IC50="IC50_1"
    )
    both = bn.pd.indirect_response(first, effect="stimulation", on="loss")
    assert both.outputs == ("conc", "clotting", "response")
    values = VALUES | {"kin_1": 1.0, "kout_1": 0.5, "Imax_1": 1.0, "IC50_1": 4.0}
    flows = at(both.problem, values, (40.0, 1.0, 40.0))
    assert flows["clotting"] == pytest.approx(1 - 4 / 8 - 0.5)
    assert flows["response"] == pytest.approx(12 - 0.3 * (1 + 2.5 * 4 / 7) * 40)


def test_what_is_said_of_doses_stays():
    pk = bn.pk.two_compartment(absorption="zero_order", lag=True)
    structure = bn.pd.effect_compartment(pk)
    assert structure.zero_order == ("central",)
    assert structure.problem.to_dict()["lag"] == {"central": "Tlag"}
