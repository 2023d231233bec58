"""The figure of what a prior implies, next to the data."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayesnlme.plots import style

_FAR = 30.0
"""How many times the data the band may reach before the axis is squeezed."""


def implied_curves(table: xr.Dataset, *, output: str | None = None) -> Figure:
    """Draw the observations that a prior implies through time, and the data's range.

    Parameters
    ----------
    table : Dataset
        From :func:`bayesnlme.diagnostics.implied_curves`.
    output : str, optional
        The output to draw; needed where there are several.

    Returns
    -------
    Figure
        Bands: 50 and 95 % of the observations drawn from the prior in each bin of time; line:
        their median. Points: observations, triangles censored ones at the limit; dashed lines: the
        least and the largest. The axis is logarithmic where all of the band is positive and spans
        more than two decades, and squeezed beyond the data where the band reaches far below zero
        and above. For categories one panel each: the share over the draws, points the observed
        share.
    """
    units = {each: table.attrs["units"][each] for each in table.attrs["outputs"]}
    name = style.chosen_output(output, units)
    bins = table.isel(bin=np.flatnonzero(table["output"] == name))
    with style.look():
        if table.attrs["scales"][name] == "category":
            return _categories(table, bins, name)
        drawing = style.figure(4.1)
        axes = drawing.subplots()
        _band(axes, bins)
        seen = table.isel(observation=np.flatnonzero(table["observation_output"] == name))
        style.draw_observed(
            axes, seen["observation_time"].values, seen["value"].values, seen["mark"].values,
            linestyle="none", color=style.INK, markersize=2.8, alpha=0.7, markeredgewidth=0,
        )  # fmt: skip
        for number, value in enumerate((seen["value"].values.min(), seen["value"].values.max())):
            label = None if number else "range of the data"
            axes.axhline(value, color=style.MUTED, linewidth=0.8, linestyle="--", label=label)
        _scale(axes, bins, seen["value"].values)
        axes.set_xlabel(style.axis_label("Time", table.attrs["time_unit"]))
        axes.set_ylabel(style.axis_label(name, units[name]))
        drawing.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=5)
    return drawing


def _categories(table: xr.Dataset, bins: xr.Dataset, name: str) -> Figure:
    categories = list(dict.fromkeys(bins["category"].values.tolist()))
    columns = min(len(categories), 3)
    rows = -(-len(categories) // columns)
    drawing = style.figure(0.8 + 2.4 * rows)
    panels = drawing.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axes in panels[len(categories) :]:
        axes.set_axis_off()
    for axes, category in zip(panels, categories, strict=False):
        mine = bins.isel(bin=np.flatnonzero(bins["category"] == category))
        _band(axes, mine)
        axes.plot(
            mine["time"].values, mine["observed"].sel(end="middle").values, "o",
            color=style.INK, markersize=3.5, label="observed",
        )  # fmt: skip
        axes.set_title(f"{name} = {category}", loc="left")
        axes.set_ylim(-0.03, 1.03)
    drawing.supxlabel(style.axis_label("Time", table.attrs["time_unit"]))
    drawing.supylabel("Share of observations")
    handles, words = panels[0].get_legend_handles_labels()
    drawing.legend(handles, words, loc="outside upper center", ncols=4)
    return drawing


def _band(axes: Axes, bins: xr.Dataset) -> None:
    bins = bins.sortby("time")
    time, drawn = bins["time"].values, bins["simulated"].values
    single: dict[str, Any] = {"marker": "_"} if time.size == 1 else {}
    for (lower, upper), alpha, share in (((0, 4), 0.16, 95), ((1, 3), 0.26, 50)):
        axes.fill_between(
            time, drawn[:, lower], drawn[:, upper],
            color=style.BLUE, alpha=alpha, linewidth=0, label=f"prior, {share} %",
        )  # fmt: skip
    axes.plot(time, drawn[:, 2], color=style.BLUE, linewidth=1.4, label="prior, median", **single)


def _scale(axes: Axes, bins: xr.Dataset, seen: np.ndarray) -> None:
    drawn = bins["simulated"].values
    largest = np.abs(seen).max()
    if min(drawn.min(), seen.min()) > 0 and drawn.max() > 100 * drawn.min():
        axes.set_yscale("log")
    elif largest > 0 and np.abs(drawn).max() > _FAR * largest:
        axes.set_yscale("symlog", linthresh=largest)
        axes.set_ylim(bottom=1.1 * min(drawn.min(), seen.min(), 0.0))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
