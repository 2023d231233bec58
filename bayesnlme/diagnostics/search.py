"""The way of a search for the largest likelihood."""

import pandas as pd

from bayesnlme.diagnostics.labels import labels
from bayesnlme.results.fit import Fit, require_fit


def search_trace(fit: Fit) -> pd.DataFrame:
    """Tabulate the estimates after each step of a search.

    Parameters
    ----------
    fit : Fit
        That maximised a likelihood.

    Returns
    -------
    DataFrame
        :attr:`Likelihood.trace`, a row for each step. ``.attrs`` says from which step on SAEM
        averages (``averaged_from``, else None).

    Raises
    ------
    FitError
        If no likelihood was maximised.
    """
    require_fit(fit)
    table = fit.likelihood.trace.copy()
    table.attrs |= labels(fit) | {"averaged_from": fit.method.get("burn_in")}
    return table
