"""The figure of the predictive check of a time to an event."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayesnlme.plots import style

_COUNTS = 7
"""Times at which the subjects at risk are written out."""


def event_check(table: xr.Dataset) -> Figure:
    """Draw the observed share without an event over that of simulated studies.

    Parameters
    ----------
    table : Dataset
        From :func:`bayesnlme.diagnostics.survival.event_check`.

    Returns
    -------
    Figure
        Line: the estimate of Kaplan and Meier, or of a repeated event the mean number; ticks on it
        where follow-up ended without an event. Band and dashed line: interval and median of the
        same in simulated studies of new subjects. Below: the number of subjects at risk.
    """
    time, attrs = table["time"].values, table.attrs
    lower, middle, upper = (table["simulated"].sel(band=each).values for each in table["band"])
    interval = f"{100 * attrs['interval']:g} %"
    with style.look():
        drawing = style.figure(4.1)
        axes = drawing.subplots()
        axes.fill_between(
            time, lower, upper, step="post",
            color=style.BLUE, alpha=0.22, linewidth=0, label=f"simulated, {interval} interval",
        )  # fmt: skip
        axes.step(
            time, middle, where="post",
            color=style.BLUE, linewidth=1.2, linestyle="--", label="simulated, median",
        )  # fmt: skip
        axes.step(
            time, table["observed"].values, where="post",
            color=style.ORANGE, linewidth=1.6, label="observed",
        )  # fmt: skip
        _censored(axes, table)
        _risk(axes, table)
        axes.set_xlabel(style.axis_label("Time", attrs["time_unit"]), labelpad=18)
        what = "Mean number of" if attrs["repeated"] else "Share of subjects without"
        axes.set_ylabel(f"{what} {attrs['output']}")
        axes.set_ylim(0, None if attrs["repeated"] else 1.03)
        drawing.legend(loc="outside upper center", ncols=4)
        style.mark_status(drawing, attrs)
    return drawing


def _censored(axes: Axes, table: xr.Dataset) -> None:
    """Mark where follow-up ended without an event, at the height of the observed curve."""
    ended = table["censored_time"].values
    if not ended.size or table.attrs["repeated"]:
        return
    place = np.searchsorted(table["time"].values, ended, side="right") - 1
    height = table["observed"].values[np.maximum(place, 0)]
    axes.plot(
        ended, height, "|", color=style.ORANGE, markersize=7, label="follow-up ended",
    )  # fmt: skip


def _risk(axes: Axes, table: xr.Dataset) -> None:
    """Write the number of subjects at risk below the axis."""
    counts = table["at_risk"].values
    places = np.linspace(0, len(counts) - 1, _COUNTS).round().astype(int)
    across = axes.get_xaxis_transform()
    for place in places:
        shown = counts[max(place, 1)]
        axes.text(
            table["time"].values[place], -0.15, f"{shown:.0f}",
            transform=across, ha="center", va="top", fontsize=8, color=style.MUTED,
        )  # fmt: skip
    axes.text(
        -0.02, -0.15, "At risk",
        transform=axes.transAxes, ha="right", va="top", fontsize=8, color=style.MUTED,
    )  # fmt: skip
