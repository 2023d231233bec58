"""What the prior implies through time, beside the data."""

import numpy as np
import xarray as xr

from bayesnlme import names
from bayesnlme._types import Booleans, Floats
from bayesnlme.diagnostics.censoring import marks
from bayesnlme.diagnostics.labels import unit_of
from bayesnlme.diagnostics.predictive import Compared, at_limits, time_bins
from bayesnlme.diagnostics.prior import PriorPredictive
from bayesnlme.diagnostics.prior_conflict import COMPARED, study_values
from bayesnlme.errors import FitError

QUANTILES = (0.025, 0.25, 0.5, 0.75, 0.975)
MOST_BINS = 24


def implied_curves(prior: PriorPredictive, *, bins: int = MOST_BINS) -> xr.Dataset:
    """Tabulate the observations that the prior implies, through time.

    Parameters
    ----------
    prior : PriorPredictive
        From :func:`bayesnlme.prior_predictive`.
    bins : int
        At most so many bins of time for each output, of about equal counts.

    Returns
    -------
    Dataset
        By ``bin``: ``time`` (median), ``start``, ``end_time``, ``count``, the ``output`` it belongs
        to and its ``category``, empty but for outputs that are categories; by ``bin`` and
        ``quantile``: ``simulated``, quantiles of all drawn observations in the bin, or of the share
        of the category over the draws; by ``bin`` and ``end``: ``observed``, the least, the middle
        and the largest observation, or the observed share, three times. Values beyond a limit of
        quantification stand at the limit, simulated ones too. By ``observation``: ``value``,
        ``mark``, ``observation_time`` and ``observation_output``. ``.attrs`` holds the ``outputs``
        in it, their ``scales``, the numbers of draws and of failed ones, and units.

    Raises
    ------
    FitError
        If every draw failed, or no output can be tabulated.
    """
    model, data, complete = prior.model, prior.data, prior.complete
    outputs = [each for each in data.outputs if model.observations[each].scale in COMPARED]
    if not outputs or not complete.any():
        reason = "no output has quantiles or categories" if not outputs else "every draw failed"
        raise FitError(f"The prior implies no curves to tabulate: {reason}.")
    values = study_values(data, prior.tree, complete)
    parts = []
    for output in outputs:
        compared = at_limits(model, data, values, data.outputs.index(output))
        places = time_bins(compared.time, bins)
        for place in np.unique(places):
            category = model.observations[output].scale == "category"
            made = _shares if category else _band
            parts += [
                each.assign(output=output) for each in made(compared, places == place, values)
            ]
    table = xr.concat(parts, "bin").assign_coords(
        quantile=list(QUANTILES), end=["lower", "middle", "upper"]
    )
    seen = data.observations
    return table.assign(
        observation_time=(names.OBSERVATION, seen.time),
        observation_output=(names.OBSERVATION, np.array(data.outputs, dtype=object)[seen.output]),
        value=(names.OBSERVATION, seen.value),
        mark=(names.OBSERVATION, marks(data)),
    ).assign_attrs(
        model=model.name,
        outputs=tuple(outputs),
        scales={output: model.observations[output].scale for output in outputs},
        draws=prior.draws,
        failed=prior.failed,
        seed=prior.seed,
        time_unit=data.units.get("TIME", ""),
        units={output: unit_of(data, output) for output in outputs},
    )


def _band(compared: Compared, inside: Booleans, _: Floats) -> list[xr.Dataset]:
    drawn, seen = compared.simulated[:, inside], compared.value[inside]
    return [
        _row(
            compared, inside, category="",
            simulated=np.nanquantile(drawn, QUANTILES),
            observed=np.array([seen.min(), np.median(seen), seen.max()]),
        )
    ]  # fmt: skip


def _shares(compared: Compared, inside: Booleans, values: Floats) -> list[xr.Dataset]:
    drawn, seen = compared.simulated[:, inside], compared.value[inside]
    everywhere = np.unique(np.concatenate([compared.value, values[:, compared.chosen].ravel()]))
    return [
        _row(
            compared, inside, category=f"{category:g}",
            simulated=np.quantile((drawn == category).mean(axis=1), QUANTILES),
            observed=np.full(3, (seen == category).mean()),
        )
        for category in everywhere
    ]  # fmt: skip


def _row(
    compared: Compared, inside: Booleans, *, category: str, simulated: Floats, observed: Floats
) -> xr.Dataset:
    time = compared.time[inside]
    return xr.Dataset(
        {
            "time": np.median(time),
            "start": time.min(),
            "end_time": time.max(),
            "count": time.size,
            "category": category,
            "simulated": ("quantile", simulated),
            "observed": ("end", observed),
        }
    )
