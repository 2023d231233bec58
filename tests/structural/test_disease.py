"""Disease and population dynamics against what they keep."""

import math

import numpy as np
import pytest

import bayesnlme as bn
from bayesnlme.errors import ModelError

PK = bn.pk.one_compartment()
DISEASE = {"s": 1e4, "d": 0.01, "beta": 2e-7, "delta": 0.5, "rho": 100.0, "c": 6.0, "epsilon": 0.9,
           "V0": 1e3, "N": 1000.0, "gamma": 0.2, "sigma": 0.4, "I0": 3.0}  # fmt: skip


def test_chronic_infection_is_in_balance():
    problem = bn.disease.viral_dynamics().problem
    here = {each: DISEASE[each.name] for each in problem.parameter_symbols}
    start = {
        n: each.subs(here) for n, each in zip(problem.state_symbols, problem.initial, strict=True)
    }
    assert all(float(value) > 0 for value in start.values())
    for flow, scale in zip(problem.rhs, (1e4, 1e4, 1e6), strict=True):
        assert abs(float(flow.subs(here).subs(start))) < 1e-9 * scale


@pytest.mark.parametrize("efficacy", ["production", "infection"])
def test_a_drug_lowers_production_or_infection(efficacy):
    """At a concentration of EC50, as an efficacy of one half."""
    alone = bn.disease.viral_dynamics(efficacy=efficacy).problem
    driven = bn.disease.viral_dynamics(PK, efficacy=efficacy).problem
    values = DISEASE | {"epsilon": 0.5, "EC50": 4.0, "CL": 2.0, "V": 10.0}
    states = {"target": 1e6, "infected": 2e4, "virus": 3e5, "central": 40.0}

    def flows(problem):
        here = {each: values[each.name] for each in problem.parameter_symbols}
        here |= {each: states[each.name] for each in problem.state_symbols}
        return [float(each.subs(here)) for each in problem.rhs][-3:]

    half = [0.5 if efficacy == name else 1.0 for name in ("infection", "production")]
    infected = half[0] * 2e-7 * 1e6 * 3e5
    expected = [1e4 - 0.01 * 1e6 - infected, infected - 0.5 * 2e4, half[1] * 100 * 2e4 - 6 * 3e5]
    np.testing.assert_allclose(flows(alone), expected, rtol=1e-12)
    np.testing.assert_allclose(flows(driven), expected, rtol=1e-12)


def test_viral_load_falls_in_two_phases(solve):
    """Neumann et al. (1998): first at rate c, then at rate epsilon*delta for constant targets."""
    structure = bn.disease.viral_dynamics(efficacy="production")
    values = DISEASE | {"epsilon": 0.999}
    times = np.array([0.01, 0.02, 20.0, 21.0])
    load = np.log(solve(structure, values, times)[0])
    assert (load[0] - load[1]) / 0.01 == pytest.approx(0.999 * 6, rel=0.01)
    assert load[2] - load[3] == pytest.approx(0.5, rel=0.05)


def test_acute_infection_starts_from_health():
    problem = bn.disease.viral_dynamics(start="acute").problem
    assert problem.to_dict()["initial"] == {"target": "s/d", "virus": "V0"}
    with pytest.raises(ModelError, match="say what the drug lowers"):
        bn.disease.viral_dynamics(PK)
    with pytest.raises(ModelError, match="no start 'late'"):
        bn.disease.viral_dynamics(start="late")


@pytest.mark.parametrize("model", [bn.disease.sir, bn.disease.seir])
def test_nobody_is_lost(model):
    problem = model().problem
    assert sum(problem.rhs).expand() == 0
    assert str(sum(problem.initial).expand()) == "N"


def test_the_final_size_of_an_epidemic(solve):
    """Kermack and McKendrick (1927): log(S0/S) = (beta/gamma)*(N - S)/N in the end."""
    values = DISEASE | {"beta": 0.5}
    structure = bn.disease.sir()
    susceptible = type(structure.problem)  # outputs hold the infected; states are seen below
    assert susceptible is not None
    more = bn.ode(
        lambda t, y, p: {},
        states=(),
        outputs={"left": lambda t, y, p: y.susceptible},
        onto=structure,
    )
    left = solve(more, values, np.array([100.0, 400.0]))[1, -1]
    assert math.log(997 / left) == pytest.approx(0.5 / 0.2 * (1000 - left) / 1000, rel=1e-6)


def test_exposed_people_delay_the_epidemic(solve):
    values = DISEASE | {"beta": 0.5}
    early = np.array([10.0])
    plain = solve(bn.disease.sir(), values, early)[0, 0]
    slow = solve(bn.disease.seir(), values, early)[0, 0]
    quick = solve(bn.disease.seir(), values | {"sigma": 1e5}, early)[0, 0]
    assert slow < 0.7 * plain
    assert quick == pytest.approx(plain, rel=1e-3)


def test_predators_and_prey_keep_their_integral(solve):
    """delta*prey - gamma*log(prey) + beta*predator - alpha*log(predator) does not change."""
    values = {
        "alpha": 1.1,
        "beta": 0.4,
        "gamma": 0.4,
        "delta": 0.1,
        "prey0": 10.0,
        "predator0": 10.0,
    }
    prey, predator = solve(bn.disease.lotka_volterra(), values, np.array([0.1, 5.0, 20.0]))
    kept = 0.1 * prey - 0.4 * np.log(prey) + 0.4 * predator - 1.1 * np.log(predator)
    np.testing.assert_allclose(
        kept, 0.1 * 10 - 0.4 * math.log(10) + 4 - 1.1 * math.log(10), rtol=1e-8
    )
