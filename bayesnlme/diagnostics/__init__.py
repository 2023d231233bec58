"""Checks of a fit, each a table; `bayesnlme.plots` draws them."""

from bayesnlme.diagnostics.categories import category_check
from bayesnlme.diagnostics.category_curves import category_probabilities
from bayesnlme.diagnostics.chains import population_draws, rank_counts
from bayesnlme.diagnostics.checks import predictive_checks
from bayesnlme.diagnostics.comparison import ConvergenceWarning, loo
from bayesnlme.diagnostics.forest import covariate_forest
from bayesnlme.diagnostics.individual import individual_predictions, observed_vs_predicted
from bayesnlme.diagnostics.predictive import posterior_predictive, predictive_check
from bayesnlme.diagnostics.prior import prior_predictive
from bayesnlme.diagnostics.prior_curves import implied_curves
from bayesnlme.diagnostics.residuals import residuals
from bayesnlme.diagnostics.search import search_trace
from bayesnlme.diagnostics.survival import event_check

__all__ = [
    "ConvergenceWarning",
    "category_check",
    "category_probabilities",
    "covariate_forest",
    "event_check",
    "implied_curves",
    "individual_predictions",
    "loo",
    "observed_vs_predicted",
    "population_draws",
    "posterior_predictive",
    "predictive_check",
    "predictive_checks",
    "prior_predictive",
    "rank_counts",
    "residuals",
    "search_trace",
]
