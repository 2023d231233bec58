"""The figure of the predictive check of categories."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayesnlme.plots import style

_COLUMNS = 3


def category_check(table: xr.Dataset, *, output: str | None = None) -> Figure:
    """Draw the observed shares of categories through time over those of simulated studies.

    Parameters
    ----------
    table : Dataset
        From :func:`bayesnlme.diagnostics.categories.category_check`.
    output : str, optional
        The output to draw; needed where there are several.

    Returns
    -------
    Figure
        One panel for each category, of two categories for the second alone. Points and line: the
        observed share in each bin of time. Band: the interval of the same share in simulated
        studies of new subjects; dashed line: its median.
    """
    name = style.chosen_output(output, dict.fromkeys(table.attrs["outputs"], ""))
    mine = table.isel(share=np.flatnonzero(table["output"] == name))
    categories = np.unique(mine["category"].values)
    shown = categories[1:] if categories.size == 2 else categories
    columns = min(_COLUMNS, shown.size)
    rows = -(-shown.size // columns)
    with style.look():
        drawing = style.figure(3.4 if rows == 1 else 2.4 * rows)
        panels = drawing.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for axes, category in zip(panels, shown, strict=False):
            _shares(axes, mine.isel(share=np.flatnonzero(mine["category"] == category)), table)
            axes.set_title(f"{name} = {category:g}", loc="left")
        for axes in panels[shown.size :]:
            axes.set_axis_off()
        panels[0].set_ylim(-0.03, 1.03)
        drawing.supxlabel(style.axis_label("Time", table.attrs["time_unit"]), fontsize=9)
        drawing.supylabel("Share of observations", fontsize=9)
        handles, words = panels[0].get_legend_handles_labels()
        drawing.legend(handles, words, loc="outside upper center", ncols=3)
        style.mark_status(drawing, table.attrs)
    return drawing


def _shares(axes: Axes, shares: xr.Dataset, table: xr.Dataset) -> None:
    time = shares["time"].values
    lower, middle, upper = (shares["simulated"].sel(band=each).values for each in shares["band"])
    interval = f"{100 * table.attrs['interval']:g} %"
    axes.fill_between(
        time, lower, upper,
        color=style.BLUE, alpha=0.22, linewidth=0, label=f"simulated, {interval} interval",
    )  # fmt: skip
    axes.plot(
        time, middle, color=style.BLUE, linewidth=1.2, linestyle="--", label="simulated, median"
    )
    axes.plot(
        time, shares["observed"].values, "o-",
        color=style.ORANGE, linewidth=1.4, markersize=3.5, label="observed",
    )  # fmt: skip
