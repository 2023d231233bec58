"""Times to events recover the truth, and give what maximum likelihood gives on real data."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesnlme as bn

TABLES = Path(__file__).parents[3] / "shared" / "data"
WEIBULL = bn.Model(
    name="weibull",
    parameters={"Te": bn.LogNormal(6.0), "shape": bn.LogNormal(1.0)},
    structure=bn.hazard.weibull(),
    observations={"event": bn.time_to_event()},
)
TRUTH = {"Te_pop": 8.0, "shape_pop": 1.5}


def simulated(seed, count=150):
    """Simulate times: two thirds seen exactly, a third between visits; all followed to 10."""
    rng = np.random.default_rng(seed)
    visits, rows = np.array([0.0, 2.0, 4.0, 6.0, 8.0, 10.0]), []
    for i, t in enumerate(TRUTH["Te_pop"] * rng.weibull(TRUTH["shape_pop"], count)):
        if i % 3:
            rows += [(i, 0.0, 0), (i, min(t, 10.0), int(t < 10))]
        else:
            k = np.searchsorted(visits, t)
            rows += [(i, v, 0) for v in visits[:k]] + [(i, v, 2) for v in visits[k : k + 1]]
    return bn.read_data(pd.DataFrame(rows, columns=["ID", "TIME", "DV"]))


def test_a_weibull_fit_holds_the_truth():
    fit = bn.fit(WEIBULL, simulated(3), method=bn.NUTS(draws=400, tune=300, chains=2), seed=1,
                 progress=False)  # fmt: skip
    table = fit.summary(interval=0.99)
    for name, value in TRUTH.items():
        assert table.loc[name, "lower"] < value < table.loc[name, "upper"]
    assert fit.convergence.divergences == 0


@pytest.mark.slow
def test_intervals_cover_the_truth_at_their_rate():
    hits = []
    method = bn.NUTS(draws=400, tune=300, chains=2)
    for seed in range(30):
        fit = bn.fit(WEIBULL, simulated(100 + seed, 90), method=method, seed=seed, progress=False)
        table = fit.summary(interval=0.9)
        hits += [table.loc[n, "lower"] < v < table.loc[n, "upper"] for n, v in TRUTH.items()]
    low, high = stats.binom(len(hits), 0.9).ppf([0.005, 0.995])
    assert low <= sum(hits) <= high


def joint_study(seed=5, count=60):
    """Simulate a concentration that lowers a constant hazard."""
    rng, rows = np.random.default_rng(seed), []
    for i in range(count):
        dose, k = 100.0 * (i % 3), 0.1 * np.exp(0.3 * rng.normal())
        rows.append((i, 0.0, 1, dose, np.nan, 1))
        rows += [(i, t, 0, 0, dose / 20 * np.exp(-k * t) + 0.3 * rng.normal(), 1)
                 for t in (1.0, 4.0, 12.0, 24.0)]  # fmt: skip
        grid = np.linspace(0, 24, 4001)
        hazard = 0.1 * np.exp(-0.3 * dose / 20 * np.exp(-k * grid))
        grown = np.concatenate([[0], np.cumsum((hazard[1:] + hazard[:-1]) / 2 * np.diff(grid))])
        happened = np.interp(rng.exponential(), grown, grid, right=np.inf)
        rows += [(i, 0.0, 0, 0, 0, 2), (i, min(happened, 24.0), 0, 0, float(happened < 24), 2)]
    frame = pd.DataFrame(rows, columns=["ID", "TIME", "EVID", "AMT", "DV", "DVID"])
    frame = frame.assign(CMT=1, MDV=frame["EVID"])
    order = ["ID", "TIME", "EVID"]
    return frame.sort_values(order, ascending=[True, True, False], kind="stable")


@pytest.mark.slow
def test_a_joint_model_of_concentration_and_event_holds_the_truth():
    model = bn.Model(
        name="joint",
        parameters={
            "CL": bn.LogNormal(2.0, iiv=0.3),
            "V": bn.LogNormal(20.0),
            "h0": bn.LogNormal(0.1),
            "beta": bn.Normal(bn.Prior("Normal", mu=0.0, sigma=0.5)),
        },
        structure=bn.hazard.constant(bn.pk.one_compartment()),
        observations={"conc": bn.additive(0.3), "event": bn.time_to_event()},
    )
    fit = bn.fit(model, bn.read_data(joint_study()), seed=1, progress=False)
    assert fit.converged, fit.verdict
    table = fit.summary(interval=0.99)
    truth = {"CL_pop": 2.0, "V_pop": 20.0, "h0_pop": 0.1, "beta_pop": -0.3, "omega[CL]": 0.3}
    for name, value in truth.items():
        assert table.loc[name, "lower"] < value < table.loc[name, "upper"], name
    assert bn.audit_solver(fit, draws=100).ok


@pytest.mark.slow
@pytest.mark.skipif(not TABLES.exists(), reason="the development tables are not here")
def test_lung_cancer_survival_equals_maximum_likelihood():
    """225 patients, 63 of them censored; SciPy maximises the same likelihood."""
    frame = pd.read_csv(TABLES / "lung_tte.csv").drop(columns="CENS")
    data = bn.read_data(frame, dv="STATUS", covariates=["SEX"], units={"TIME": "day"})
    model = WEIBULL.replace(
        parameters={"Te": bn.LogNormal(300.0, unit="day"), "shape": bn.LogNormal(1.0)}
    )
    fit = bn.fit(model, data, seed=1, progress=False)
    assert fit.converged, fit.verdict
    last = frame[frame["TIME"] > 0]
    died = last["STATUS"] == 1
    known = stats.CensoredData(uncensored=last["TIME"][died], right=last["TIME"][~died])
    shape, _, scale = stats.weibull_min.fit(known, floc=0)
    table = fit.summary()
    for name, value in {"Te_pop": scale, "shape_pop": shape}.items():
        assert abs(table.loc[name, "mean"] - value) < 0.25 * table.loc[name, "sd"], name
    check = bn.diagnostics.event_check(fit, seed=1)
    lower, upper = (check["simulated"].sel(band=each) for each in ("lower", "upper"))
    inside = (check["observed"] >= lower) & (check["observed"] <= upper)
    assert inside.mean() > 0.8
