"""A fit made by hand: its draws, predictions and likelihoods come from formulas, not from PyMC."""

from dataclasses import replace

import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats

from bayesnlme.data import read_data
from bayesnlme.model.model import Model
from bayesnlme.observation.continuous import additive
from bayesnlme.population import covariates
from bayesnlme.population.parameters import LogNormal
from bayesnlme.results.fit import Fit
from bayesnlme.results.status import Status
from bayesnlme.structural import pk

DOSE, SD, OMEGA, CL, V = 100.0, 0.3, 0.25, 2.0, 20.0
TIMES = (0.5, 2.0, 6.0, 12.0)


def table(subjects=("1", "2", "3"), second_dose=None):
    rows = []
    for number, name in enumerate(subjects):
        doses = [0.0] if second_dose is None else [0.0, second_dose]
        events = [(t, 1, DOSE, np.nan) for t in doses]
        events += [(t, 0, 0.0, 4.0 * np.exp(-0.1 * t) + 0.1 * number) for t in TIMES]
        rows += [(name, *event, 50 + 10 * number) for event in sorted(events)]
    columns = ["ID", "TIME", "EVID", "AMT", "DV", "WT"]
    return pd.DataFrame(rows, columns=columns).assign(CMT=1)


def model():
    return Model(
        name="handmade",
        parameters={
            "CL": LogNormal(
                CL,
                iiv=OMEGA,
                unit="L/h",
                covariates=[covariates.power("WT", reference=70, exponent=0.75)],
            ),
            "V": LogNormal(V, unit="L"),
        },
        structure=pk.one_compartment(),
        observations={"conc": additive(SD)},
    )


def concentration(time, clearance, volume, doses=(0.0,)):
    rate = clearance / volume
    return sum(np.where(time >= t, DOSE / volume * np.exp(-rate * (time - t)), 0.0) for t in doses)


def fit(
    *,
    chains=2,
    draws=100,
    spread=0.05,
    shift=0.0,
    subjects=("1", "2", "3"),
    second_dose=None,
    status=Status.CONVERGED,
):
    """Make the fit; ``spread`` is the posterior SD on the log scale, ``shift`` moves chain 1."""
    rng = np.random.default_rng(5)
    units = {"TIME": "h", "AMT": "mg", "DV": "mg/L", "WT": "kg"}
    data = read_data(table(subjects, second_dose), units=units)
    shape, n = (chains, draws), len(subjects)
    over = ("chain", "draw")
    population = {
        name: value * np.exp(spread * rng.standard_normal(shape))
        for name, value in {"CL_pop": CL, "V_pop": V, "conc_additive": SD}.items()
    }
    population["CL_pop"][0] *= np.exp(shift)
    omega = OMEGA * np.exp(spread * rng.standard_normal(shape))
    standard = rng.standard_normal((1, 1, n)) + spread * rng.standard_normal((*shape, n))
    eta = omega[..., None] * standard
    weight = data.covariates["WT"].by_subject
    clearance = population["CL_pop"][..., None] * (weight / 70) ** 0.75 * np.exp(eta)
    volume = np.broadcast_to(population["V_pop"][..., None], clearance.shape)
    seen = data.observations
    doses = (0.0,) if second_dose is None else (0.0, second_dose)
    prediction = concentration(
        seen.time, clearance[..., seen.subject], volume[..., seen.subject], doses
    )
    posterior = xr.Dataset(
        {name: (over, values) for name, values in population.items()}
        | {
            "omega": ((*over, "effect"), omega[..., None]),
            "eta_standard": ((*over, "subject", "effect"), standard[..., None]),
            "eta": ((*over, "subject", "effect"), eta[..., None]),
            "CL": ((*over, "subject"), clearance),
            "V": ((*over, "subject"), volume),
            "prediction": ((*over, "observation"), prediction),
        },
        coords={
            "chain": np.arange(chains),
            "draw": np.arange(draws),
            "subject": list(subjects),
            "effect": ["CL"],
            "observation": np.arange(len(seen)),
        },
    )
    density = stats.norm(prediction, population["conc_additive"][..., None])
    likelihood = xr.Dataset({"conc": ((*over, "observation"), density.logpdf(seen.value))})
    return Fit(
        model=model(),
        data=data_called(data),
        method={"name": "NUTS", "draws": draws, "tune": 10, "chains": chains},
        seed=3,
        status=status,
        tree=xr.DataTree.from_dict(
            {
                "posterior": posterior,
                "sample_stats": _stats(shape, rng),
                "log_likelihood": likelihood.assign_coords(posterior.coords),
            }
        ),
        provenance={
            "model_hash": model().hash,
            "data_hash": data_called(data).hash,
            "source": "handmade.csv",
            "created": "2026-01-01T00:00:00+00:00",
            "python": "3.12",
            "versions": {"bayesnlme": "0.1.0"},
            "seconds": {"compile": 1.0, "sample": 2.0},
        },
    )


def data_called(data):
    """Call the only output as the model calls it."""
    return read_data(data.to_frame(), units=dict(data.units), outputs={"1": "conc"})


def _stats(shape, rng):
    over = ("chain", "draw")
    never = (over, np.zeros(shape, dtype=bool))
    return xr.Dataset(
        {"diverging": never, "failed": never, "maxdepth_reached": never}
        | {"energy": (over, rng.normal(size=shape))},
        coords={"chain": np.arange(shape[0]), "draw": np.arange(shape[1])},
    )


def observed_as(made, outcome, **columns):
    """Return a fit whose table has other columns at the same observations, of another outcome."""
    frame = made.data.to_frame().drop(columns=["CENS", "LLOQ", "LIMIT"], errors="ignore")
    scored = frame["MDV"] == 0
    for name, values in columns.items():
        frame[name] = 0.0 if name == "CENS" else np.nan
        frame.loc[scored, name] = values
    return replace(
        made,
        model=made.model.replace(observations={"conc": outcome}),
        data=read_data(frame, units=made.data.units),
    )
