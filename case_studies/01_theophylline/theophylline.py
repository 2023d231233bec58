# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Theophylline: where do twelve people differ?
#
# How much of the difference between these twelve adults is in absorption, how much in clearance,
# and does body weight explain any of it?

# %%
# %matplotlib inline
import arviz as az
import numpy as np
import pandas as pd

import bayesnlme as bn

data = bn.datasets.theophylline()
data


# %% [markdown]
# ## Two models
#
# They differ in one thing: whether clearance and volume may depend on weight. The exponents are
# estimated; allometry would say 0.75 and 1.


# %%
def theophylline(name, effects=()):
    return bn.Model(
        name=name,
        parameters={
            "ka": bn.LogNormal(1.5, iiv=0.6, unit="1/h"),
            "CL": bn.LogNormal(2.8, iiv=0.3, unit="L/h", covariates=effects),
            "V": bn.LogNormal(32.0, iiv=0.2, unit="L", covariates=effects),
        },
        structure=bn.pk.one_compartment(absorption="first_order"),
        observations={"conc": bn.combined(additive=0.3, proportional=0.1)},
    )


base = bn.fit(theophylline("without weight"), data, seed=1, progress=False)
weight = bn.fit(
    theophylline("with weight", [bn.covariates.power("WT", reference=70)]),
    data,
    seed=2,
    progress=False,
)
print(base.verdict)
print(weight.verdict)

# %% [markdown]
# ## Is the model any good?

# %%
bn.plots.predictive_check(bn.diagnostics.predictive_check(base, seed=3))

# %% [markdown]
# ## Where people differ
#
# The standard deviations of the random effects, as coefficients of variation.

# %%
columns = ["median", "lower", "upper", "cv_percent"]
base.summary().loc[["omega[ka]", "omega[CL]", "omega[V]"], columns].round(2)

# %% [markdown]
# A rate that varies more need not matter more. What a patient meets is an exposure (the area
# under the curve, dose / CL) and a peak. For the same dose in everybody, how much of the spread of
# each comes from which parameter? For each draw of the population, simulate people who differ in
# everything, then in one parameter alone.

# %%
rng = np.random.default_rng(4)
chosen = base.posterior.isel(draw=slice(None, None, 10))
omega = chosen["omega"].stack(sample=("chain", "draw"))
typical = {name: chosen[f"{name}_pop"].values.reshape(-1, 1) for name in ("ka", "CL", "V")}
noise = rng.standard_normal((3, omega.sizes["sample"], 400))


def people(differ_in):
    """Individual parameters, shape (sample, person), of people who differ in these alone."""
    return {
        name: typical[name]
        * np.exp((name in differ_in) * omega.sel(effect=name).values[:, None] * noise[number])
        for number, name in enumerate(typical)
    }


def log_exposure(ka, CL, V):
    return -np.log(CL)


def log_peak(ka, CL, V):
    """Height of the peak of the Bateman function, per unit of dose."""
    k = CL / V
    time = np.log(ka / k) / (ka - k)
    return np.log(ka / V / (ka - k) * (np.exp(-k * time) - np.exp(-ka * time)))


def log_time_of_peak(ka, CL, V):
    k = CL / V
    return np.log(np.log(ka / k) / (ka - k))


def spread(quantity, differ_in):
    """SD over people on the log scale, its median over the posterior, in percent."""
    return 100 * float(np.median(quantity(**people(differ_in)).std(axis=1)))


quantities = {
    "exposure": log_exposure,
    "peak": log_peak,
    "time of peak": log_time_of_peak,
}
pd.DataFrame(
    {
        words: {
            "all": spread(quantity, ("ka", "CL", "V")),
            **{f"{name} alone": spread(quantity, (name,)) for name in typical},
        }
        for words, quantity in quantities.items()
    }
).round(0)

# %% [markdown]
# ## Does weight explain any of it?
#
# First what the data say of the exponents, and what is left to the random effects.

# %%
exponents = weight.summary().loc[["CL_WT", "V_WT"], ["median", "lower", "upper"]]
exponents.round(2)

# %%
pd.DataFrame(
    {
        fit.model.name: fit.summary()["median"].loc[["omega[ka]", "omega[CL]", "omega[V]"]]
        for fit in (base, weight)
    }
).round(3)

# %% [markdown]
# Then leave-one-out, one observation at a time. It is conditional on each person's random effects,
# which know the person's clearance whether or not weight explains it; so it can say little here.
# Some of the Pareto diagnostics are above their limit as well, so not even the small difference is
# to be relied on.

# %%
import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", UserWarning)  # what it would say is counted below
    criteria = {fit.model.name: bn.loo(fit) for fit in (base, weight)}
unreliable = {name: int((each.pareto_k > each.good_k).sum()) for name, each in criteria.items()}
print("observations with an unreliable estimate:", unreliable)
az.compare(criteria)

# %%
difference = float(criteria["with weight"].elpd - criteria["without weight"].elpd)
results = {
    "converged": float(base.converged and weight.converged),
    "ka_pop": base.estimates["ka_pop"],
    "CL_pop": base.estimates["CL_pop"],
    "V_pop": base.estimates["V_pop"],
    "cv_percent_ka": base.summary().loc["omega[ka]", "cv_percent"],
    "cv_percent_CL": base.summary().loc["omega[CL]", "cv_percent"],
    "cv_percent_V": base.summary().loc["omega[V]", "cv_percent"],
    "exposure_spread": spread(log_exposure, ("ka", "CL", "V")),
    "peak_spread": spread(log_peak, ("ka", "CL", "V")),
    "peak_spread_from_ka": spread(log_peak, ("ka",)),
    "peak_spread_from_CL": spread(log_peak, ("CL",)),
    "peak_spread_from_V": spread(log_peak, ("V",)),
    "time_of_peak_spread": spread(log_time_of_peak, ("ka", "CL", "V")),
    "time_of_peak_spread_from_ka": spread(log_time_of_peak, ("ka",)),
    "CL_WT_lower": exponents.loc["CL_WT", "lower"],
    "CL_WT_upper": exponents.loc["CL_WT", "upper"],
    "V_WT_lower": exponents.loc["V_WT", "lower"],
    "V_WT_upper": exponents.loc["V_WT", "upper"],
    "elpd_difference": difference,
    "unreliable_without_weight": float(unreliable["without weight"]),
}
pd.Series(results).round(3)
