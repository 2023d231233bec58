"""The figure of a search for the largest likelihood."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bayesnlme.plots import style
from bayesnlme.plots.chains import small_panels


def search_trace(table: pd.DataFrame) -> Figure:
    """Draw the OFV and each estimate, step by step.

    Parameters
    ----------
    table : DataFrame
        From :func:`bayesnlme.diagnostics.search.search_trace`.

    Returns
    -------
    Figure
        A panel for each. Dotted line: where SAEM begins to average.
    """
    with style.look():
        drawing, panels = small_panels(table.shape[1], table.attrs)
        marker = "o" if len(table) < 60 else ""
        for panel, (name, values) in zip(panels, table.items(), strict=True):
            panel.plot(
                table.index, values, marker=marker, color=style.BLUE, markersize=2.2, linewidth=1.0
            )
            panel.set_title("OFV" if name == "ofv" else str(name), loc="left", pad=3)
            panel.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            if table.attrs["averaged_from"] is not None:
                panel.axvline(
                    table.attrs["averaged_from"], color=style.MUTED, linewidth=0.8, linestyle=":"
                )
        drawing.supxlabel("Step", fontsize=9)
    return drawing
