"""The figure of each subject's probabilities of categories."""

import math

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayesnlme.plots import style
from bayesnlme.plots.individual import COLUMNS, mark_doses, name_subject


def category_probabilities(table: xr.Dataset, *, output: str | None = None) -> Figure:
    """Draw the probability of each category for every subject of the table.

    Parameters
    ----------
    table : Dataset
        From :func:`bayesnlme.diagnostics.category_curves.category_probabilities`.
    output : str, optional
        The output to draw; needed where there are several.

    Returns
    -------
    Figure
        A panel for each subject. Lines: the probability of each category, with its interval where
        the fit has draws, else dashed that without random effects. Points: what was observed, each
        on the line of its category: the higher, the more probable it was. Of two categories the
        line of the second alone, and the observations at 0 and 1.
    """
    name = style.chosen_output(output, dict.fromkeys(table.attrs["outputs"], ""))
    points = table.isel(point=np.flatnonzero(table["output"] == name))
    categories = np.unique(points["category"].values)
    colours = mpl.colormaps["viridis"](np.linspace(0.0, 0.88, categories.size))
    shown = dict(zip(categories.tolist(), colours, strict=True))
    if categories.size == 2:
        shown = {categories[1].item(): style.BLUE}
    subjects = table.attrs["subjects"]
    columns = min(COLUMNS, len(subjects))
    rows = math.ceil(len(subjects) / columns)
    with style.look():
        drawing = style.figure(0.9 + 1.45 * rows)
        panels = drawing.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for panel, subject in zip(panels.flat, subjects, strict=False):
            curves = points.isel(point=np.flatnonzero(points["subject"] == subject))
            for category, colour in shown.items():
                one = curves.isel(point=np.flatnonzero(curves["category"] == category))
                _curve(panel, one, f"P({name} = {category:g})", colour)
            mine = (table["observation_subject"] == subject) & (table["observation_output"] == name)
            _observed(panel, table.isel(observation=np.flatnonzero(mine)), shown)
            mark_doses(panel, table, subject)
            name_subject(panel, subject)
        for panel in panels.flat[len(subjects) :]:
            panel.set_axis_off()
        for panel in panels.flat[len(subjects) - columns : len(subjects)]:
            panel.tick_params(labelbottom=True)
        panels.flat[0].set_ylim(-0.05, 1.05)
        labelled = [panel.get_legend_handles_labels() for panel in panels.flat]
        known = {word: handle for each in labelled for handle, word in zip(*each, strict=True)}
        drawing.legend(
            list(known.values()), list(known), loc="outside upper center", ncols=min(len(known), 5)
        )
        drawing.supxlabel(style.axis_label("Time", table.attrs["time_unit"]), fontsize=9)
        drawing.supylabel("Probability", fontsize=9)
        style.mark_status(drawing, table.attrs)
    return drawing


def _curve(panel: Axes, curve: xr.Dataset, label: str, colour: object) -> None:
    time = curve["time"].values
    if "median" in curve:
        panel.fill_between(
            time, curve["lower"].values, curve["upper"].values,
            color=colour, alpha=0.2, linewidth=0,
        )  # fmt: skip
    else:
        panel.plot(
            time, curve["typical"].values, color=colour, linewidth=0.8, linestyle="--", alpha=0.6
        )
    middle = "median" if "median" in curve else "mode"
    panel.plot(time, curve[middle].values, color=colour, linewidth=1.2, label=label)


def _observed(panel: Axes, seen: xr.Dataset, shown: dict[float, object]) -> None:
    """Draw observations at 0 and 1 of two categories, of more on the lines of theirs."""
    time, value = seen["observation_time"].values, seen["value"].values
    if len(shown) == 1:
        panel.plot(
            time, value == next(iter(shown)), "o", color=style.INK, markersize=2.8, label="observed"
        )
        return
    for category, colour in shown.items():
        mine = value == category
        panel.plot(
            time[mine], seen["probability"].values[mine], "o", color=colour, markersize=4.0,
            markeredgecolor=style.INK, markeredgewidth=0.5,
        )  # fmt: skip
