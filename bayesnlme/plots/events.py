"""The figure of the predictive check of a time to an event."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayesnlme.plots import style


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
        axes, below = drawing.subplots(
            2, 1, sharex=True, gridspec_kw={"height_ratios": [16, 1], "hspace": 0.02}
        )
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
        axes.set_xlabel(style.axis_label("Time", attrs["time_unit"]))
        what = "Mean number of" if attrs["repeated"] else "Share of subjects without"
        axes.set_ylabel(f"{what} {attrs['output']}")
        axes.set_ylim(0, None if attrs["repeated"] else 1.03)
        _risk(axes, below, table)
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


def _risk(axes: Axes, below: Axes, table: xr.Dataset) -> None:
    """Write the number of subjects at risk below the marks of the axis."""
    time, counts = table["time"].values, table["at_risk"].values
    below.set_axis_off()
    axes.tick_params(labelbottom=True)
    for mark in axes.get_xticks():
        if time[0] <= mark <= time[-1]:
            below.text(
                mark, 0.5, f"{counts[np.searchsorted(time, mark)]:.0f}",
                transform=below.get_xaxis_transform(), ha="center", va="center",
                fontsize=8, color=style.MUTED,
            )  # fmt: skip
    below.text(
        0.0, 0.5, "At risk ", transform=below.transAxes, ha="right", va="center",
        fontsize=8, color=style.MUTED,
    )  # fmt: skip
