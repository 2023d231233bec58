"""The predictive check of every output, by what its values are."""

import xarray as xr

from bayesnlme.diagnostics.categories import category_check, category_outputs
from bayesnlme.diagnostics.predictive import compared_outputs, predictive_check
from bayesnlme.diagnostics.survival import event_check, without_curve
from bayesnlme.results.fit import Fit


def predictive_checks(
    fit: Fit, *, seed: int, draws: int = 500, interval: float = 0.9
) -> dict[str, xr.Dataset]:
    """Make the predictive check that fits each output.

    Quantiles through time of what is measured or counted (`predictive_check`), the shares of
    categories (`category_check`), the share of subjects without an event (`event_check`).

    Parameters
    ----------
    fit : Fit
        With draws, or with estimates, at which every replicate is then drawn.
    seed, draws, interval
        As in `predictive_check`.

    Returns
    -------
    dict of str to Dataset
        By output, for :func:`bayesnlme.plots.predictive_check`. An event whose observed curve
        cannot be estimated is left out.
    """
    found: dict[str, xr.Dataset] = {}
    for outputs, check in (
        (compared_outputs(fit), predictive_check),
        (category_outputs(fit), category_check),
    ):
        if outputs:
            found |= dict.fromkeys(outputs, check(fit, seed=seed, draws=draws, interval=interval))
    for output in fit.model.events:
        if not without_curve(fit, output):
            found[output] = event_check(
                fit, seed=seed, output=output, draws=draws, interval=interval
            )
    return {output: found[output] for output in fit.data.outputs if output in found}
