"""Figure of what covariates do to each parameter."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bayesnlme.plots import style


def covariate_forest(table: pd.DataFrame) -> Figure:
    """Draw the ratios of parameters at covariate values.

    Parameters
    ----------
    table : DataFrame
        From :func:`bayesnlme.diagnostics.forest.covariate_forest`.

    Returns
    -------
    Figure
        A panel for each parameter. Points: medians; lines: intervals; band: the range in which a
        ratio is held to be without consequence.
    """
    groups = list(table.groupby("parameter", sort=False))
    low, high = table.attrs["inside"]
    percent = f"{table.attrs['interval']:.0%}".replace("%", " %")
    with style.look():
        drawing = style.figure(0.8 + 0.5 * len(groups) + 0.25 * len(table))
        heights = [len(rows) + 1 for _, rows in groups]
        panels = drawing.subplots(len(groups), 1, sharex=True, squeeze=False, height_ratios=heights)
        for panel, (name, rows) in zip(panels[:, 0], groups, strict=True):
            place = np.arange(len(rows))[::-1]
            panel.axvspan(low, high, color="0.9", lw=0, label=f"{low:g} to {high:g}")
            panel.axvline(1.0, color="0.6", lw=0.8)
            panel.hlines(place, rows["lower"], rows["upper"], lw=1.2, label=f"{percent} interval")
            panel.plot(rows["median"], place, "o", ms=4, label="median")
            words = rows["covariate"] + " = " + rows["value"]
            panel.set_yticks(place, list(words))
            panel.set_ylim(-0.7, len(rows) - 0.3)
            panel.set_title(str(name), loc="left", fontsize=9)
            panel.set_xscale("log")
        handles, words = panels[0, 0].get_legend_handles_labels()
        drawing.legend(handles, words, loc="outside upper center", ncols=len(words))
        drawing.supxlabel("Ratio to the parameter at the reference", fontsize=9)
        style.mark_status(drawing, table.attrs)
    return drawing
