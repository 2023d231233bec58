"""The figure of a visual predictive check."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayesnlme.plots import style
from bayesnlme.plots.categories import category_check
from bayesnlme.plots.events import event_check


def predictive_check(table: xr.Dataset, *, output: str | None = None) -> Figure:
    """Draw what was observed through time over the same of simulated studies.

    Parameters
    ----------
    table : Dataset
        From one of :func:`bayesnlme.diagnostics.checks.predictive_checks`. Quantiles are drawn
        here, shares of categories as by :func:`bayesnlme.plots.categories.category_check`, events
        as by :func:`bayesnlme.plots.events.event_check`.
    output : str, optional
        The output to draw; needed where there are several.

    Returns
    -------
    Figure
        Points: observations; triangles: censored ones, at the limit. Lines: their quantiles in each
        bin of time. Bands: the interval of the same quantile in simulated studies of new subjects.
        Below, where observations are censored: the share beyond the limit.
    """
    if "category" in table:
        return category_check(table, output=output)
    if "at_risk" in table:
        return event_check(table)
    units = {each: table.attrs["units"][each] for each in table.attrs["outputs"]}
    name = style.chosen_output(output, units)
    bins = table.isel(bin=np.flatnonzero(table["output"] == name))
    seen = table.isel(observation=np.flatnonzero(table["observation_output"] == name))
    with style.look():
        axes, *lower = _panels(drawing := style.figure(4.1), bins)
        for number, quantile in enumerate(table["quantile"].values):
            _quantile(axes, bins.isel(quantile=number), float(quantile))
        style.draw_observed(
            axes, seen["observation_time"].values, seen["value"].values, seen["mark"].values,
            linestyle="none", color=style.MUTED, markersize=2.6, alpha=0.6, markeredgewidth=0,
        )  # fmt: skip
        for start in np.unique(bins["start"].values)[1:]:
            axes.plot(
                [start], [1.0], "|", color=style.MUTED, markersize=5,
                transform=axes.get_xaxis_transform(), clip_on=False,
            )  # fmt: skip
        for panel, side in lower:
            _share(panel, bins, side)
        [axes, *(panel for panel, _ in lower)][-1].set_xlabel(
            style.axis_label("Time", table.attrs["time_unit"])
        )
        axes.set_ylabel(style.axis_label(name, table.attrs["units"][name]))
        handles, words = axes.get_legend_handles_labels()
        drawing.legend(handles, words, loc="outside upper center", ncols=4)
        style.mark_status(drawing, table.attrs)
    return drawing


def _panels(drawing: Figure, bins: xr.Dataset) -> list[Any]:
    """Return the axes, and below them an axes with its side for each limit that was passed."""
    sides = [each for each in ("below", "above") if np.isfinite(bins[f"{each}_observed"]).any()]
    if not sides:
        return [drawing.subplots()]
    drawing.set_figheight(4.1 + 1.2 * len(sides))
    ratios = [3.4, *[1.0] * len(sides)]
    axes, *lower = drawing.subplots(
        len(ratios), 1, sharex=True, gridspec_kw={"height_ratios": ratios}
    )
    return [axes, *zip(lower, sides, strict=True)]


def _share(panel: Axes, bins: xr.Dataset, side: str) -> None:
    """Draw the observed share beyond a limit over the band of the simulated ones."""
    time, simulated = bins["time"].values, bins[f"{side}_simulated"]
    lower, upper = (simulated.sel(band=end).values for end in ("lower", "upper"))
    panel.fill_between(time, lower, upper, color=style.GREEN, alpha=0.22, linewidth=0)
    panel.plot(time, bins[f"{side}_observed"].values, color=style.GREEN, linewidth=1.4)
    panel.set_ylim(-0.03, 1.03)
    panel.set_ylabel(f"Share {side}\nthe limit")


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
