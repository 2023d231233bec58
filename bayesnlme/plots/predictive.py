"""The figure of a visual predictive check."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayesnlme.plots import style


def predictive_check(table: xr.Dataset, *, output: str | None = None) -> Figure:
    """Draw the observed quantiles through time over those of simulated studies.

    Parameters
    ----------
    table : Dataset
        From :func:`bayesnlme.diagnostics.predictive.predictive_check`.
    output : str, optional
        The output to draw; needed where there are several.

    Returns
    -------
    Figure
        Points: observations. Lines: their quantiles in each bin of time. Bands: the interval of
        the same quantile in simulated studies of new subjects.
    """
    name = style.chosen_output(output, table.attrs["units"])
    bins = table.isel(bin=np.flatnonzero(table["output"] == name))
    seen = table.isel(observation=np.flatnonzero(table["observation_output"] == name))
    with style.look():
        drawing = style.figure(4.1)
        axes = drawing.subplots()
        for number, quantile in enumerate(table["quantile"].values):
            _quantile(axes, bins.isel(quantile=number), float(quantile))
        axes.plot(
            seen["observation_time"].values, seen["value"].values,
            "o", color=style.MUTED, markersize=2.6, alpha=0.6, markeredgewidth=0, label="observed",
        )  # fmt: skip
        for start in np.unique(bins["start"].values)[1:]:
            axes.plot(
                [start], [1.0], "|", color=style.MUTED, markersize=5,
                transform=axes.get_xaxis_transform(), clip_on=False,
            )  # fmt: skip
        axes.set_xlabel(style.axis_label("Time", table.attrs["time_unit"]))
        axes.set_ylabel(style.axis_label(name, table.attrs["units"][name]))
        handles, words = axes.get_legend_handles_labels()
        drawing.legend(handles, words, loc="outside upper center", ncols=4)
        style.mark_status(drawing, table.attrs)
    return drawing


def _quantile(axes: Axes, bins: xr.Dataset, quantile: float) -> None:
    middle = quantile == 0.5
    colour = style.ORANGE if middle else style.BLUE
    percent = f"{100 * quantile:g} %"
    time = bins["time"].values
    lower, upper = (bins["simulated"].sel(band=end).values for end in ("lower", "upper"))
    axes.fill_between(
        time, lower, upper, color=colour, alpha=0.22, linewidth=0, label=f"simulated {percent}"
    )
    axes.plot(
        time, bins["observed"].values,
        color=colour, linewidth=1.4, linestyle="-" if middle else "--", label=f"observed {percent}",
    )  # fmt: skip
