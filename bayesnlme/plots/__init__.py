"""Figures that draw a table and compute nothing; each has its words in `bayesnlme.plots.words`."""

from bayesnlme.plots.categories import category_check
from bayesnlme.plots.category_curves import category_probabilities
from bayesnlme.plots.chains import rank, trace
from bayesnlme.plots.events import event_check
from bayesnlme.plots.forest import covariate_forest
from bayesnlme.plots.individual import individual_fits, observed_vs_predicted
from bayesnlme.plots.predictive import predictive_check
from bayesnlme.plots.prior import implied_curves
from bayesnlme.plots.residuals import residuals
from bayesnlme.plots.search import search_trace

__all__ = [
    "category_check",
    "category_probabilities",
    "covariate_forest",
    "event_check",
    "implied_curves",
    "individual_fits",
    "observed_vs_predicted",
    "predictive_check",
    "rank",
    "residuals",
    "search_trace",
    "trace",
]
