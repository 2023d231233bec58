"""Predictions and residuals of a fit that has modes of the random effects."""

import pandas as pd

from bayesnlme.diagnostics.censoring import marks
from bayesnlme.diagnostics.labels import labels
from bayesnlme.errors import FitError
from bayesnlme.results.fit import Fit, require_fit


def residuals(fit: Fit) -> pd.DataFrame:
    """Tabulate every observation with its predictions and residuals.

    Parameters
    ----------
    fit : Fit
        By a method that gives modes of the random effects: any but NUTS.

    Returns
    -------
    DataFrame
        A row for each observation: ``subject``, ``output``, ``time``, ``value``, ``row``, ``mark``
        (``"below"`` or ``"above"`` a limit, which ``value`` then is), ``PRED`` and ``IPRED``, and
        where every outcome is normal and no value censored ``RES``, ``IRES``, ``IWRES``, ``WRES``
        and ``CWRES``; see :func:`bayesnlme.marginal.residuals.residuals`.

    Raises
    ------
    FitError
        If the fit has draws instead.
    """
    require_fit(fit)
    if fit.has_draws:
        raise FitError(
            f"{fit.method['name']} gives draws and no modes of the random effects, from which "
            "these residuals are made. Fit with method=bn.FOCE() or another of the likelihood."
        )
    found = fit.tree["residuals"].to_dataset()
    table = fit.observation_frame().assign(
        mark=marks(fit.data), **{str(name): each.values for name, each in found.items()}
    )
    table.attrs |= labels(fit)
    return table


def without_residuals(fit: Fit) -> str:
    """Say why a fit with modes has no weighted residuals, or nothing."""
    if "CWRES" in fit.tree["residuals"].to_dataset():
        return ""
    other = [name for name, each in fit.model.observations.items() if each.scale != "continuous"]
    if other:
        return f"{', '.join(other)} is not continuous, and these residuals are of normal outcomes."
    if fit.data.observations.censored.any():
        return "some observations are censored, and have no residual."
    return "the residual error is not normal, and these residuals are."
