"""Figures that draw a table and compute nothing; each has its words in `bayesnlme.plots.words`."""

from bayesnlme.plots.chains import rank, trace
from bayesnlme.plots.forest import covariate_forest
from bayesnlme.plots.individual import individual_fits, observed_vs_predicted
from bayesnlme.plots.predictive import predictive_check
from bayesnlme.plots.prior import implied_curves

__all__ = [
    "covariate_forest",
    "implied_curves",
    "individual_fits",
    "observed_vs_predicted",
    "predictive_check",
    "rank",
    "trace",
]
