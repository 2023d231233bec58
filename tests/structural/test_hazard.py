"""Hazards and their integrals: closed forms against the differential equations."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytensor.tensor as pt
import pytest
import sympy
from scipy import integrate

import bayesnlme as bn
from bayesnlme.errors import ModelError
from bayesnlme.odes.tensors import to_tensor
from bayesnlme.odes.text import symbol

TIGHT = bn.Solver(rtol=1e-12, atol=1e-12)
VALUES = {"h0": 0.05, "alpha": 0.2, "Te": 6.0, "shape": 1.6, "beta": -0.3}
NAMES = bn.hazard.__all__


def values_at(structure, expression, t, **changes):
    known = VALUES | changes
    given = {symbol(n): pt.constant(np.full(np.shape(t), known[n])) for n in structure.parameters}
    given[symbol("t")] = pt.constant(np.asarray(t, dtype=float))
    return to_tensor(expression, given).eval(mode="FAST_COMPILE") + np.zeros(np.shape(t))


@pytest.mark.parametrize("name", NAMES)
def test_the_integral_is_that_of_the_hazard(name):
    structure = getattr(bn.hazard, name)()
    slope = sympy.diff(structure.integral, symbol("t"))
    t = np.array([1e-3, 0.4, 3.0, 17.0])
    np.testing.assert_allclose(
        values_at(structure, slope, t), values_at(structure, structure.expression, t), rtol=1e-9
    )
    assert values_at(structure, structure.integral, np.zeros(1)) == 0
    found, _ = integrate.quad(
        lambda s: float(values_at(structure, structure.expression, np.array([s]))[0]), 1.0, 9.0
    )
    ends = values_at(structure, structure.integral, np.array([1.0, 9.0]))
    assert found == pytest.approx(ends[1] - ends[0], rel=1e-8)


@pytest.mark.parametrize("alpha", [0.0, 1e-9, -1e-9, 0.00999, 0.0101, -0.0101])
def test_the_gompertz_integral_is_exact_about_no_growth(alpha):
    structure = bn.hazard.gompertz()
    found = values_at(structure, structure.integral, np.ones(1), alpha=alpha)[0]
    expected = VALUES["h0"] * (np.expm1(alpha) / alpha if alpha else 1.0)
    assert found == pytest.approx(expected, rel=1e-13)


def test_the_log_logistic_integral_is_exact_at_early_times():
    structure = bn.hazard.log_logistic()
    t = np.array([1e-9, 1e-4, 0.02, 1.0])
    expected = np.log1p((t / VALUES["Te"]) ** VALUES["shape"])
    np.testing.assert_allclose(values_at(structure, structure.integral, t), expected, rtol=1e-11)


def table(times=(1.0, 4.0, 9.0), **columns):
    rows = [(i, t, float(t > 0)) for i in (1, 2) for t in (0.0, *times)]
    return pd.DataFrame(rows, columns=["ID", "TIME", "DV"]).assign(**columns)


def model_of(structure, **changes):
    return bn.Model(
        name="hazard",
        parameters={
            name: (bn.Normal if VALUES[name] < 0 else bn.LogNormal)(bn.fixed(VALUES[name]))
            for name in structure.parameters
        }
        | changes,
        structure=structure,
        observations={"event": bn.time_to_event(repeated=True)},
    )


def predictions(structure, data, **changes):
    graph = bn.build(model_of(structure, **changes), data).pymc
    wanted = graph.replace_rvs_by_values([graph["prediction"], graph["event_hazard"]])
    evaluate = graph.compile_fn(wanted, inputs=graph.value_vars, mode="FAST_COMPILE",
                                on_unused_input="ignore")  # fmt: skip
    return evaluate(graph.initial_point())


def as_equations(structure):
    """Return the same hazard without what is known of its integral."""
    return replace(structure, integral=None, entry=None)


@pytest.mark.parametrize("name", NAMES)
def test_closed_forms_equal_the_equations(name, monkeypatch):
    structure = getattr(bn.hazard, name)()
    data = bn.read_data(table())
    closed, hazard = predictions(structure, data)
    monkeypatch.setattr("bayesnlme.structural.cumulative.Solver", lambda: TIGHT)
    stepped, same = predictions(as_equations(structure), data)
    np.testing.assert_allclose(closed, stepped, atol=1e-8)
    np.testing.assert_allclose(hazard, same, rtol=1e-14)
    assert (hazard[[0, 4]] == 1).all()
    assert (closed[[0, 4]] == 0).all()


@pytest.mark.parametrize("name", ["constant", "weibull", "gompertz"])
@pytest.mark.parametrize("carried", ["locf", "nocb"])
def test_parameters_that_change_are_added_up_by_stretches(name, carried, monkeypatch):
    structure = getattr(bn.hazard, name)()
    frame = table(times=(1.0, 4.0, 6.0, 9.0)).assign(X=[0, 0, 1, 1, 3, 1, 1, 2, 0, 0])
    data = bn.read_data(frame, covariate_interpolation=carried)
    first = structure.parameters[0]
    effect = bn.covariates.exponential("X", reference=0, coefficient=bn.fixed(0.4))
    moved = {first: bn.LogNormal(bn.fixed(VALUES[first]), covariates=[effect])}
    closed, _ = predictions(structure, data, **moved)
    monkeypatch.setattr("bayesnlme.structural.cumulative.Solver", lambda: TIGHT)
    stepped, _ = predictions(as_equations(structure), data, **moved)
    np.testing.assert_allclose(closed, stepped, atol=1e-8)
    plain, _ = predictions(structure, data)
    assert np.abs(closed - plain).max() > 0.01


def test_a_drug_multiplies_the_hazard():
    """By hand: the concentration after a bolus, and the integral by quadrature."""
    pk = bn.pk.one_compartment()
    VALUES.update(CL=2.0, V=20.0)
    structure = bn.hazard.gompertz(pk).with_solver(TIGHT)
    dose = pd.DataFrame({"ID": [1, 2], "TIME": 0.0, "EVID": 1, "AMT": 100.0, "CMT": 1})
    rows = table().assign(EVID=0, AMT=0.0, CMT=1)
    frame = pd.concat([dose, rows]).sort_values(["ID", "TIME"], kind="stable")
    found, hazard = predictions(structure, bn.read_data(frame))

    def rate(t):
        return 0.05 * np.exp(0.2 * t - 0.3 * 5 * np.exp(-0.1 * t))

    expected = [integrate.quad(rate, a, b, epsabs=1e-13)[0] for a, b in ((0, 1), (1, 4), (4, 9))]
    np.testing.assert_allclose(found[1:4], expected, atol=1e-9)
    np.testing.assert_allclose(hazard[1:4], rate(np.array([1, 4, 9])), rtol=1e-9)


@pytest.mark.parametrize("shape", [0.4, 1.0, 1.8])
@pytest.mark.parametrize("name", ["weibull", "log_logistic"])
def test_a_driven_hazard_may_be_infinite_at_the_start(name, shape):
    """A dose of 0 leaves the hazard alone, so the closed form is what the steps must give."""
    VALUES.update(CL=2.0, V=20.0)
    pk, data = bn.pk.one_compartment(), bn.read_data(table().assign(CMT=1))
    changed = {"shape": bn.LogNormal(bn.fixed(shape))}
    closed, _ = predictions(getattr(bn.hazard, name)(), data, **changed)
    driven = getattr(bn.hazard, name)(pk).with_solver(bn.Solver(rtol=1e-9, atol=1e-11))
    stepped, _ = predictions(driven, data, **changed)
    np.testing.assert_allclose(stepped, closed, atol=1e-8)


def test_a_large_dose_does_not_loosen_the_tolerance_of_the_integral():
    structure = bn.ode(
        lambda t, y, p: {"central": -p.k * y.central},
        states=("central",),
        outputs={"event": lambda t, y, p: p.h0 * bn.math.exp(-y.central / 1e9)},
    )
    VALUES.update(k=0.3)
    rows = [(1, 0.0, 1, 1e9, np.nan), (1, 0.0, 0, 0, 0), (1, 10.0, 0, 0, 1)]
    frame = pd.DataFrame(rows, columns=["ID", "TIME", "EVID", "AMT", "DV"]).assign(CMT=1)
    (_, found), _ = predictions(structure, bn.read_data(frame))
    expected, _ = integrate.quad(lambda t: 0.05 * np.exp(-np.exp(-0.3 * t)), 0, 10, epsabs=1e-13)
    assert found == pytest.approx(expected, abs=1e-6)


def test_a_hazard_that_jumps_at_a_parameter_is_refused():
    step = bn.curve(lambda t, p: bn.math.where(t > p.tau, p.h0, 0), output="event")
    VALUES.update(tau=3.0)
    with pytest.raises(ModelError, match="output event"):
        model_of(step)


def test_names_that_both_models_have_are_refused():
    pk = bn.pk.one_compartment().renamed(V="h0")
    with pytest.raises(ModelError, match="Both models have 'h0'"):
        bn.hazard.constant(pk)
    with pytest.raises(ModelError, match="driver: no output 'cp'"):
        bn.hazard.weibull(bn.pk.one_compartment(), driver="cp")
