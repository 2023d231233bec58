"""Nonlinear mixed-effects modelling: one model, every Bayesian and classical answer.

The names below are the whole front door. Each is loaded when it is first used, so reading and
checking tables does not wait for the samplers.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "BayesNLMEError": "bayesnlme.errors",
    "DataError": "bayesnlme.errors",
    "Dataset": "bayesnlme.data",
    "FO": "bayesnlme.inference.likelihood",
    "FOCE": "bayesnlme.inference.likelihood",
    "Finding": "bayesnlme.errors",
    "Fit": "bayesnlme.results.fit",
    "FitError": "bayesnlme.errors",
    "ImportanceSampling": "bayesnlme.inference.importance",
    "Laplace": "bayesnlme.inference.likelihood",
    "LogNormal": "bayesnlme.population.parameters",
    "LogitNormal": "bayesnlme.population.parameters",
    "Mode": "bayesnlme.inference.mode",
    "Model": "bayesnlme.model.model",
    "ModelError": "bayesnlme.errors",
    "NUTS": "bayesnlme.inference.nuts",
    "Normal": "bayesnlme.population.parameters",
    "Population": "bayesnlme.graph.build",
    "Prior": "bayesnlme.population.priors",
    "PriorPredictive": "bayesnlme.diagnostics.prior",
    "Quadrature": "bayesnlme.inference.likelihood",
    "SAEM": "bayesnlme.inference.saem_options",
    "Solver": "bayesnlme.odes.solver",
    "Status": "bayesnlme.results.status",
    "StoreError": "bayesnlme.errors",
    "Variational": "bayesnlme.inference.variational",
    "additive": "bayesnlme.observation.continuous",
    "audit_solver": "bayesnlme.diagnostics.solver_audit",
    "binary": "bayesnlme.observation.categories",
    "bootstrap": "bayesnlme.inference.resampling",
    "build": "bayesnlme.graph.build",
    "check": "bayesnlme.marginal.check",
    "combined": "bayesnlme.observation.continuous",
    "compare_estimators": "bayesnlme.diagnostics.estimators",
    "covariate_forest": "bayesnlme.diagnostics.forest",
    "curve": "bayesnlme.structural.curve",
    "cv": "bayesnlme.population.spread",
    "fit": "bayesnlme.inference.fit",
    "fixed": "bayesnlme.population.priors",
    "likelihood_ratio_test": "bayesnlme.diagnostics.likelihood_ratio",
    "load": "bayesnlme.results.fit",
    "log_normal": "bayesnlme.observation.continuous",
    "loo": "bayesnlme.diagnostics.comparison",
    "negative_binomial": "bayesnlme.observation.counts",
    "ode": "bayesnlme.structural.custom",
    "ordered": "bayesnlme.observation.categories",
    "poisson": "bayesnlme.observation.counts",
    "posterior_predictive": "bayesnlme.diagnostics.predictive",
    "power_error": "bayesnlme.observation.continuous",
    "prior_predictive": "bayesnlme.diagnostics.prior",
    "profile": "bayesnlme.inference.resampling",
    "proportional": "bayesnlme.observation.continuous",
    "read_data": "bayesnlme.data",
    "read_model": "bayesnlme.model.toml",
    "report": "bayesnlme.reports.page",
    "sd": "bayesnlme.population.spread",
    "shared": "bayesnlme.population.sharing",
    "student_t": "bayesnlme.observation.continuous",
    "time_to_event": "bayesnlme.observation.events",
    "typical": "bayesnlme.population.priors",
    "variance": "bayesnlme.population.spread",
}
_MODULES = {
    "covariates": "bayesnlme.population.covariates",
    "datasets": "bayesnlme.data.datasets",
    "diagnostics": "bayesnlme.diagnostics",
    "disease": "bayesnlme.structural.disease",
    "effects": "bayesnlme.population.effects",
    "growth": "bayesnlme.structural.growth",
    "hazard": "bayesnlme.structural.hazard",
    "math": "bayesnlme.math",
    "pd": "bayesnlme.structural.pd",
    "pk": "bayesnlme.structural.pk",
    "plots": "bayesnlme.plots",
}

__version__ = "0.1.0"

__all__ = [*sorted([*_HOMES, *_MODULES])]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        found = import_module(_MODULES[name])
    elif name in _HOMES:
        found = getattr(import_module(_HOMES[name]), name)
    else:
        from bayesnlme.errors import did_you_mean  # noqa: PLC0415  only when something is wrong

        raise AttributeError(f"bayesnlme has no {name!r}. {did_you_mean(name, __all__)}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
