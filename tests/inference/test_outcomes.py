"""Every kind of outcome recovers the truth it was simulated with."""

import numpy as np
import pandas as pd
import pytest
from scipy import optimize

import bayesnlme as bn
from bayesnlme.inference.density import compile_density
from bayesnlme.observation.outcome import Bounds

SUBJECTS, TIMES = 80, np.array([0.0, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0])
TIME = np.tile(TIMES, SUBJECTS)
A, K = 6.0, 0.4
CURVE = bn.curve(lambda t, p: p.a * bn.math.exp(-p.k * t), output="z")
LINE = bn.curve(lambda t, p: p.a - p.k * t, output="z")
DECAY, STRAIGHT = A * np.exp(-K * TIME), 1.5 - 0.6 * TIME
ADDITIVE = {"z_additive": 0.7}
CASES = {
    "sd": (bn.combined(additive=0.5, proportional=0.2, convention="sd"),
           {"z_additive": 0.3, "z_proportional": 0.2}),
    "power": (bn.power_error(coefficient=0.3, exponent=1.0),
              {"z_coefficient": 0.3, "z_exponent": 0.6}),
    "student": (bn.student_t(bn.additive(1.0), df=6), {"z_additive": 0.5, "z_df": 4.0}),
    "log_normal": (bn.log_normal(0.3), {"z_log_sd": 0.3}),
    "poisson": (bn.poisson(), {}),
    "negative_binomial": (bn.negative_binomial(dispersion=0.3), {"z_dispersion": 0.5}),
    "binary": (bn.binary(), {}),
    "ordered": (bn.ordered(thresholds=[bn.fixed(-0.5), bn.fixed(0.5), bn.fixed(1.5)]), {}),
    "M2": (bn.additive(1.0, blq="M2"), ADDITIVE),
    "M3": (bn.additive(1.0), ADDITIVE),
    "M4": (bn.additive(1.0, blq="M4"), ADDITIVE),
    "interval": (bn.additive(1.0), ADDITIVE),
}  # fmt: skip


def simulated(kind):
    outcome, truth = CASES[kind]
    f = STRAIGHT if outcome.scale == "category" else DECAY
    exact = {name: prior.value for name, prior in outcome.priors().items() if name not in ADDITIVE
             and isinstance(prior, type(bn.fixed(1)))}  # fmt: skip
    magnitudes = exact | {name.removeprefix("z_"): value for name, value in truth.items()}
    if kind == "M2":
        outcome = bn.additive(1.0)
    rng = np.random.default_rng(11)
    values = outcome.draw(f, magnitudes, Bounds.none(f.size), rng)
    table = pd.DataFrame({"ID": np.repeat(np.arange(SUBJECTS), TIMES.size), "TIME": TIME})
    return censored(kind, table.assign(DV=values))


def censored(kind, table):
    low = table.DV < 1.5
    if kind in ("M2", "M3", "M4"):
        return table.assign(CENS=low.astype(int), LLOQ=1.5, DV=table.DV.clip(lower=1.5))
    if kind == "interval":
        edges = np.array([1.0, 2.0, 3.0, 4.5])
        place = np.searchsorted(edges, table.DV)
        ends = np.array([np.nan, *edges, np.nan])
        return table.assign(
            CENS=np.where(place == edges.size, -1, 1),
            DV=np.where(place == edges.size, ends[place], ends[place + 1]),
            LIMIT=np.where(place == edges.size, np.nan, ends[place]),
        )
    return table


def mode(model, table):
    """Return the mode and its standard errors on the unconstrained scale."""
    population = bn.build(model, bn.read_data(table))
    density = compile_density(population.pymc)
    evaluate = density.function
    start = population.pymc.initial_point()
    x = np.concatenate([np.ravel(start[each.name]) for each in density.free])

    def negative(x):
        value, gradient = evaluate(x)
        return -value, -gradient

    found = optimize.minimize(negative, x, jac=True, method="BFGS", options={"gtol": 1e-3})
    steps = 1e-4 * np.eye(x.size)
    slopes = [(negative(found.x + s)[1] - negative(found.x - s)[1]) / 2e-4 for s in steps]
    error = np.sqrt(np.diag(np.linalg.inv(np.array(slopes))))
    names = [each.name for each in density.free]
    return dict(zip(names, zip(found.x, error, strict=True), strict=True))


def model_of(outcome):
    category = outcome.scale == "category"
    return bn.Model(
        name="recovery",
        parameters={
            "a": bn.LogNormal(1.0 if category else 4.0),
            "k": bn.LogNormal(0.5),
        },
        structure=LINE if category else CURVE,
        observations={"z": outcome},
    )


@pytest.mark.parametrize("kind", CASES)
def test_the_mode_is_near_the_truth(kind):
    """Without random effects the mode is the estimate; five standard errors are far."""
    outcome, truth = CASES[kind]
    a, k = (1.5, 0.6) if outcome.scale == "category" else (A, K)
    found = mode(model_of(outcome), simulated(kind))
    expected = {"a_pop_log__": np.log(a), "k_pop_log__": np.log(k)}
    expected |= {f"{name}_log__": np.log(value) for name, value in truth.items()}
    if kind == "student":  # above 1, on the log of the distance from it
        expected["z_df_interval__"] = np.log(truth["z_df"] - 1)
        del expected["z_df_log__"]
    if kind == "power":
        expected["z_exponent"] = truth["z_exponent"]
        del expected["z_exponent_log__"]
    assert set(found) == set(expected)
    for name, value in expected.items():
        estimate, error = found[name]
        assert abs(estimate - value) < 5 * error, name
        assert error < 0.5


def test_dropping_values_below_the_limit_biases_and_m3_does_not():
    table = simulated("M3")
    rates = {
        blq: mode(model_of(bn.additive(1.0, blq=blq)), table)["k_pop_log__"] for blq in ("M1", "M3")
    }
    assert abs(rates["M3"][0] - np.log(K)) < 4 * rates["M3"][1]
    assert abs(rates["M1"][0] - np.log(K)) > 4 * rates["M1"][1]
