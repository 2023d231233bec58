"""The pharmacokinetic catalogue against textbook solutions, and what it says of itself."""

import itertools
import math

import numpy as np
import pytest
import sympy
from scipy import integrate, optimize

import bayesnlme as bn
from bayesnlme.errors import ModelError
from bayesnlme.structural.base import Structure

TIMES = np.array([0.1, 0.5, 1.0, 3.0, 8.0, 24.0, 60.0])
MODELS = (bn.pk.one_compartment, bn.pk.two_compartment, bn.pk.three_compartment)
NAMES = [each.__name__ for each in MODELS]
MICRO = {"k": 0.31, "V": 12.0, "k12": 0.42, "k21": 0.17, "k13": 0.09, "k31": 0.023}
CLEARANCE = {
    "CL": 3.1,
    "V": 12.0,
    "V1": 12.0,
    "Q": 2.5,
    "V2": 31.0,
    "Q2": 2.5,
    "Q3": 0.7,
    "V3": 60.0,
}
LIVES = {
    "V": 12.0, "t_half": 3.3, "t_half_alpha": 0.9, "t_half_beta": 7.0, "t_half_gamma": 55.0,
    "f_beta": 0.35, "f_gamma": 0.2,
}  # fmt: skip
VALUES = MICRO | CLEARANCE | LIVES | {"ka": 1.3, "MTT": 2.1, "Tk0": 2.5, "Vmax": 9.0, "Km": 1.7}


def rates_and_shares(count, micro):
    """Rates of the phases and their shares of the concentration after a bolus.

    The transfer function of the central compartment has its poles at minus the rates, and the
    shares are its residues there (Gibaldi and Perrier, 1982).
    """
    out = [micro[f"k1{i}"] for i in range(2, count + 1)]
    back = [micro[f"k{i}1"] for i in range(2, count + 1)]
    below = np.poly([-(micro["k"] + sum(out)), *(-each for each in back)])
    for i in range(count - 1):
        rest = np.poly([-each for j, each in enumerate(back) if j != i])
        below = np.polysub(below, out[i] * back[i] * rest)
    above = np.poly([-each for each in back]) if back else np.array([1.0])
    poles = np.roots(below).real
    shares = [np.polyval(above, s) / np.polyval(np.polyder(below), s) for s in poles]
    return -poles, np.array(shares)


def micro_of(parametrization, count):
    """Rate constants by the definition of the parametrization, written a second time."""
    if parametrization == "micro":
        return MICRO
    v = CLEARANCE
    flows = [v["Q"]] if count == 2 else [v["Q2"], v["Q3"]]
    out = {f"k1{i}": Q / v["V1"] for i, Q in enumerate(flows, start=2)}
    back = {f"k{i}1": Q / v[f"V{i}"] for i, Q in enumerate(flows, start=2)}
    return {"k": v["CL"] / v["V1"], **out, **back}


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("parametrization", ["micro", "clearance"])
def test_a_bolus_falls_as_the_sum_of_its_phases(count, parametrization, exponential):
    structure = MODELS[count - 1](parametrization=parametrization)
    rates, shares = rates_and_shares(count, micro_of(parametrization, count))
    expected = 100 / VALUES["V"] * np.exp(-np.outer(TIMES, rates)) @ shares
    seen = exponential(structure, VALUES, TIMES, {"central": 100.0})[0]
    np.testing.assert_allclose(seen, expected, rtol=1e-9)


def phases(count):
    """Rates and shares that half-lives and f_beta, f_gamma stand for, by their definition."""
    if count == 1:
        return np.array([math.log(2) / LIVES["t_half"]]), np.array([1.0])
    names = ("alpha", "beta", "gamma")[:count]
    rates = np.array([math.log(2) / LIVES[f"t_half_{name}"] for name in names])
    back = [rates[i] + LIVES[f"f_{names[i]}"] * (rates[i - 1] - rates[i]) for i in range(1, count)]
    shares = [
        np.prod([each - rate for each in back])
        / np.prod([other - rate for other in rates if other != rate])
        for rate in rates
    ]
    return rates, np.array(shares)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_half_lives_are_those_of_the_phases(count, exponential):
    structure = MODELS[count - 1](parametrization="half_life")
    rates, shares = phases(count)
    expected = 100 / LIVES["V"] * np.exp(-np.outer(TIMES, rates)) @ shares
    seen = exponential(structure, VALUES, TIMES, {"central": 100.0})[0]
    np.testing.assert_allclose(seen, expected, rtol=1e-9)
    assert shares.sum() == pytest.approx(1, abs=1e-12)
    assert all(shares > 0)


def test_the_share_of_two_phases_is_that_of_the_slower_one():
    _, shares = phases(2)
    np.testing.assert_allclose(shares, [1 - LIVES["f_beta"], LIVES["f_beta"]], rtol=1e-12)


@pytest.mark.parametrize("count", [2, 3])
def test_half_lives_give_positive_rate_constants(count):
    """Also with shares near their ends: no difference of nearly equal numbers is left."""
    rng = np.random.default_rng(3)
    problem = MODELS[count - 1](parametrization="half_life").problem
    entries = sympy.lambdify(problem.parameter_symbols, problem.dfdy)
    for _ in range(100):
        lives = np.sort(np.exp(rng.uniform(-4, 8, count)))
        shares = 1 / (1 + np.exp(rng.normal(0, 8, count - 1)))
        matrix = np.array(entries(1.0, *lives, *shares))
        off = matrix - np.diag(np.diag(matrix))
        assert (off >= 0).all()
        assert (matrix.sum(axis=0) <= 1e-12 * np.abs(np.diag(matrix))).all()


def jacobian(problem, values):
    size = len(problem.states)
    here = {symbol: values[symbol.name] for symbol in problem.parameter_symbols}
    entries = [float(each.subs(here)) for row in problem.dfdy for each in row]
    return np.array(entries).reshape(size, size)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_absorption_is_a_convolution(count, exponential):
    """Of the input ka*exp(-ka*t) with the response to a bolus, phase by phase."""
    structure = MODELS[count - 1](absorption="first_order", parametrization="micro")
    rates, shares = rates_and_shares(count, MICRO)
    ka = VALUES["ka"]
    response = [
        sum(
            s * ka * (math.exp(-r * t) - math.exp(-ka * t)) / (ka - r)
            for r, s in zip(rates, shares, strict=True)
        )
        for t in TIMES
    ]
    seen = exponential(structure, VALUES, TIMES, {"depot": 100.0})[0]
    np.testing.assert_allclose(seen, 100 / MICRO["V"] * np.array(response), rtol=1e-8)
    assert structure.compartments[:2] == ("depot", "central")


@pytest.mark.parametrize("n", [1, 4, 9])
def test_transit_compartments_are_a_gamma_density(n, exponential):
    """Savic et al. (2007): input dose*ktr*(ktr*t)^n*exp(-ktr*t)/n! into the last compartment."""
    structure = bn.pk.one_compartment(absorption="transit", transit=n)
    ktr, ka, k = (n + 1) / VALUES["MTT"], VALUES["ka"], VALUES["CL"] / VALUES["V"]

    def expected(t):
        def arriving(s):
            late = ka * (math.exp(-k * (t - s)) - math.exp(-ka * (t - s))) / (ka - k)
            return ktr * (ktr * s) ** n * math.exp(-ktr * s) / math.factorial(n) * late

        return integrate.quad(arriving, 0, t, epsabs=1e-13, epsrel=1e-11)[0]

    times = TIMES[:5]
    seen = exponential(structure, VALUES, times, {"depot": 100.0})[0]
    np.testing.assert_allclose(seen, [100 / VALUES["V"] * expected(t) for t in times], rtol=1e-8)
    assert len(structure.compartments) == n + 3
    assert structure.problem.linear


def test_the_mean_transit_time_is_the_mean_of_the_chain():
    structure = bn.pk.one_compartment(absorption="transit", transit=3)
    matrix = jacobian(structure.problem, VALUES)
    before_central = -np.linalg.inv(matrix)[:-1, 0].sum()
    assert before_central == pytest.approx(VALUES["MTT"] + 1 / VALUES["ka"], rel=1e-12)


def test_michaelis_menten_solves_its_implicit_equation(solve):
    """Km*log(C0/C) + C0 - C = Vmax*t/V (Beal, 1983)."""
    structure = bn.pk.one_compartment(elimination="michaelis_menten")
    values = {"V": 12.0, "Vmax": 9.0, "Km": 1.7}
    start, times = 100 / 12.0, np.array([0.5, 3.0, 8.0, 15.0])

    def gap(log_c, t):
        c = math.exp(log_c)
        return 1.7 * (math.log(start) - log_c) + start - c - 9.0 / 12.0 * t

    expected = [
        math.exp(optimize.brentq(gap, -60, math.log(start), (t,), xtol=1e-14)) for t in times
    ]
    seen = solve(structure, values, times, dose={"central": 100.0})[0]
    np.testing.assert_allclose(seen, expected, rtol=1e-8)
    assert structure.parameters == ("V", "Vmax", "Km")


@pytest.mark.parametrize("model", MODELS, ids=NAMES)
@pytest.mark.parametrize("parametrization", ["clearance", "micro"])
def test_parallel_elimination_has_both_as_limits(model, parametrization, solve):
    """Without Vmax it is linear; without CL (or k) it is Michaelis-Menten."""
    both = model(elimination="parallel", parametrization=parametrization)
    linear = model(parametrization=parametrization)
    saturable = model(elimination="michaelis_menten", parametrization=parametrization)
    times, dose = np.array([1.0, 8.0]), {"central": 100.0}
    np.testing.assert_allclose(
        solve(both, VALUES | {"Vmax": 0.0}, times, dose=dose),
        solve(linear, VALUES, times, dose=dose),
        rtol=1e-9,
    )
    np.testing.assert_allclose(
        solve(both, VALUES | {"CL": 0.0, "k": 0.0}, times, dose=dose),
        solve(saturable, VALUES, times, dose=dose),
        rtol=1e-9,
    )


@pytest.mark.parametrize("model", MODELS, ids=NAMES)
def test_nothing_is_lost_but_by_elimination(model):
    for absorption in (None, "first_order", "transit"):
        structure = model(
            absorption=absorption,
            transit=2 if absorption == "transit" else None,
            elimination="parallel",
        )
        total = sum(structure.problem.rhs)
        conc = structure.problem.readouts[0]
        values = {each: VALUES[each.name] for each in structure.problem.parameter_symbols}
        lost = VALUES["CL"] * conc + VALUES["Vmax"] * conc / (VALUES["Km"] + conc)
        at = {each: 3.0 + i for i, each in enumerate(structure.problem.state_symbols)}
        assert float((total + lost).subs(values).subs(at)) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("options", "parameters", "compartments"),
    [
        ({}, ("CL", "V"), ("central",)),
        ({"absorption": "first_order"}, ("ka", "CL", "V"), ("depot", "central")),
        ({"absorption": "zero_order"}, ("CL", "V", "Tk0"), ("central",)),
        ({"parametrization": "micro"}, ("k", "V"), ("central",)),
        ({"parametrization": "half_life"}, ("V", "t_half"), ("central",)),
        ({"lag": True, "bioavailability": True}, ("CL", "V", "Tlag", "F"), ("central",)),
        ({"duration": True, "rate": True}, ("CL", "V", "D1", "R1"), ("central",)),
        (
            {"absorption": "first_order", "lag": "tl", "bioavailability": {"central": "Fc"}},
            ("ka", "CL", "V", "tl", "Fc"),
            ("depot", "central"),
        ),
    ],
)  # fmt: skip
def test_names_of_one_compartment(options, parameters, compartments):
    structure = bn.pk.one_compartment(**options)
    assert isinstance(structure, Structure)
    assert structure.parameters == parameters
    assert structure.compartments == compartments
    assert structure.outputs == ("conc",)


def test_names_of_more_compartments():
    two = bn.pk.two_compartment(absorption="first_order", output="cp")
    assert two.parameters == ("ka", "CL", "V1", "Q", "V2")
    assert two.compartments == ("depot", "central", "peripheral")
    assert two.outputs == ("cp",)
    assert bn.pk.two_compartment(parametrization="micro").parameters == ("k", "V", "k12", "k21")
    three = bn.pk.three_compartment()
    assert three.parameters == ("CL", "V1", "Q2", "V2", "Q3", "V3")
    assert three.compartments == ("central", "peripheral_1", "peripheral_2")
    assert bn.pk.three_compartment(parametrization="half_life").parameters == (
        "V", "t_half_alpha", "t_half_beta", "t_half_gamma", "f_beta", "f_gamma",
    )  # fmt: skip


def test_what_is_said_of_doses_goes_to_the_first_compartment():
    problem = bn.pk.two_compartment(
        absorption="first_order", lag=True, bioavailability="Fo"
    ).problem
    assert [str(each) for each in problem.lag] == ["Tlag", "None", "None"]
    assert [str(each) for each in problem.bioavailability] == ["Fo", "None", "None"]
    chain = bn.pk.one_compartment(absorption="transit", transit=1, lag=True).problem
    assert chain.to_dict()["lag"] == {"depot": "Tlag"}
    named = bn.pk.two_compartment(absorption="first_order", rate={"central": "R2"}).problem
    assert named.to_dict()["rate"] == {"central": "R2"}


def test_zero_order_absorption_spreads_plain_doses():
    structure = bn.pk.two_compartment(absorption="zero_order", lag=True)
    assert structure.zero_order == ("central",)
    assert structure.problem.to_dict()["duration"] == {"central": "Tk0"}
    assert structure.problem.to_dict()["lag"] == {"central": "Tlag"}
    assert bn.pk.two_compartment(absorption="first_order").zero_order == ()


@pytest.mark.parametrize("model", MODELS, ids=NAMES)
def test_linear_models_have_a_closed_form(model):
    for absorption, parametrization in itertools.product(
        (None, "first_order", "zero_order", "transit"), ("clearance", "micro", "half_life")
    ):
        transit = 3 if absorption == "transit" else None
        problem = model(
            absorption=absorption, transit=transit, parametrization=parametrization
        ).problem
        assert problem.linear
        assert sum(block.size for block in problem.spectrum) == len(problem.states)
    assert not model(elimination="parallel").problem.linear


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"absorption": "oral"}, "no absorption 'oral'. Known: None, 'first_order'"),
        ({"elimination": "mm"}, "no elimination 'mm'. Known: 'linear'"),
        ({"parametrization": "macro"}, "no parametrization 'macro'. Known: 'clearance'"),
        ({"parametrization": "half_life", "elimination": "parallel"}, "half-lives need linear"),
        ({"absorption": "transit"}, "such as transit=3, not None"),
        ({"absorption": "transit", "transit": 0}, "from 1 to 50"),
        ({"absorption": "transit", "transit": 2.0}, "from 1 to 50"),
        ({"absorption": "transit", "transit": True}, "from 1 to 50"),
        ({"transit": 3}, "transit=3 needs absorption='transit'"),
        ({"output": "c p"}, "'c p' is not a valid name"),
        ({"output": 3}, "not a valid name"),
        ({"lag": 2.0}, "lag must be True, the name of a parameter, or a dict"),
        ({"lag": {"depot": "Tlag"}}, "lag names 'depot'. Known: 'central'"),
        ({"lag": {"central": -1.0}}, "lag of 'central' must be at least 0"),
        ({"rate": {"central": 0}}, "rate of 'central' must be above 0"),
        ({"bioavailability": "F 1"}, "'F 1' is no name of a parameter"),
        ({"absorption": "zero_order", "duration": True}, "gives doses into 'central' the duration"),
        ({"lag": "V", "output": "V"}, None),
    ],
)
def test_what_contradicts_itself_is_refused(options, message):
    if message is None:  # a parameter may be used twice, and an output be called like one
        assert bn.pk.one_compartment(**options).parameters == ("CL", "V")
        return
    with pytest.raises(ModelError) as refused:
        bn.pk.one_compartment(**options)
    assert message in str(refused.value)


def test_free_drug_is_not_called_like_another_output_of_binding():
    with pytest.raises(ModelError, match="output='total' is the name of another output"):
        bn.pk.tmdd(output="total")


@pytest.mark.parametrize("peripheral", [False, True])
def test_binding_conserves_drug_and_target(peripheral):
    problem = bn.pk.tmdd(peripheral=peripheral, absorption="first_order").problem
    values = {"ka": 1.0, "CL": 0.3, "V": 3.0, "V1": 3.0, "Q": 0.2, "V2": 2.0, "kon": 0.9,
              "koff": 0.2, "kint": 0.04, "ksyn": 0.1, "kdeg": 0.03}  # fmt: skip
    here = {each: values[each.name] for each in problem.parameter_symbols}
    state = dict(zip(problem.states, (5.0, 7.0, 2.0, 1.5, 0.4), strict=False))
    if not peripheral:
        state = {"depot": 5.0, "central": 7.0, "target": 1.5, "bound": 0.4}
    at = here | {each: state[each.name] for each in problem.state_symbols}
    flows = {n: float(e.subs(at)) for n, e in zip(problem.states, problem.rhs, strict=True)}
    conc = state["central"] / 3.0
    drug = sum(flows[n] for n in flows if n not in {"target", "bound"}) + 3.0 * flows["bound"]
    assert drug == pytest.approx(-0.3 * conc - 3.0 * 0.04 * 0.4, rel=1e-12)
    target = flows["target"] + flows["bound"]
    assert target == pytest.approx(0.1 - 0.03 * 1.5 - 0.04 * 0.4, rel=1e-12)


def test_fast_binding_approaches_the_quasi_steady_state(solve):
    """Gibiansky et al. (2008): the error falls as binding gets faster at the same Kss."""
    values = {"CL": 0.3, "V": 3.0, "kint": 0.04, "ksyn": 0.1, "kdeg": 0.03, "Kss": 0.5}
    times = np.array([2.0, 10.0, 40.0, 100.0])
    quick = solve(
        bn.pk.tmdd(approximation="quasi_steady_state"), values, times, dose={"central": 30.0}
    )
    errors = []
    for kon in (20.0, 200.0):
        full = values | {"kon": kon, "koff": kon * 0.5 - 0.04}
        seen = solve(bn.pk.tmdd(), full, times, dose={"central": 30.0})
        errors.append(np.abs(seen / quick - 1).max())
    assert errors[1] < 0.2 * errors[0] < 0.02


def test_free_drug_solves_its_quadratic_at_both_ends(solve):
    problem = bn.pk.tmdd(approximation="quasi_steady_state").problem
    values = {"CL": 0.3, "V": 3.0, "kint": 0.04, "ksyn": 0.1, "kdeg": 0.03, "Kss": 0.5}
    here = {each: values[each.name] for each in problem.parameter_symbols}
    for central, target in itertools.product((1e-9, 1.0, 1e9), (1e-9, 1.0, 1e9)):
        at = here | dict(zip(problem.state_symbols, (central, target), strict=True))
        free, total, unbound, bound = (float(each.subs(at)) for each in problem.readouts)
        assert free + target * free / (0.5 + free) == pytest.approx(total, rel=1e-12)
        assert unbound * free == pytest.approx(0.5 * bound, rel=1e-12)


def test_balances_follow_the_parametrization():
    two = bn.pk.two_compartment(absorption="first_order", lag="tl", output="cp").balances
    assert {"AMT": 1, "V1": -1, "cp": -1} in two
    assert {"Q": 1, "V1": -1, "TIME": 1} in two
    assert {"V2": 1, "V1": -1} in two
    assert {"ka": 1, "TIME": 1} in two
    assert {"tl": 1, "TIME": -1} in two
    saturable = bn.pk.one_compartment(elimination="michaelis_menten", absorption="zero_order")
    assert {"Vmax": 1, "TIME": 1, "AMT": -1} in saturable.balances
    assert {"Km": 1, "conc": -1} in saturable.balances
    assert {"Tk0": 1, "TIME": -1} in saturable.balances
    assert not any("CL" in each for each in saturable.balances)


@pytest.mark.parametrize("model", MODELS, ids=NAMES)
def test_every_parameter_has_a_unit_that_is_checked(model):
    for parametrization in ("clearance", "micro", "half_life"):
        structure = model(
            absorption="first_order", parametrization=parametrization, lag=True,
            bioavailability=True, duration={"central": "D2"}, rate={"central": "R2"},
        )  # fmt: skip
        named = set().union(*structure.balances)
        assert set(structure.parameters) <= named
