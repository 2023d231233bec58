"""The figure of the weighted residuals."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from bayesnlme.errors import FitError
from bayesnlme.plots import style

PANELS = (("CWRES", "PRED"), ("CWRES", "time"), ("IWRES", "IPRED"))
WORDS = {"PRED": "Typical prediction", "IPRED": "Individual prediction", "time": "Time"}
REACH = 1.96


def residuals(table: pd.DataFrame, *, output: str | None = None) -> Figure:
    """Draw conditional and individual weighted residuals.

    Parameters
    ----------
    table : DataFrame
        From :func:`bayesnlme.diagnostics.residuals.residuals`.
    output : str, optional
        The output to draw; needed where there are several.

    Returns
    -------
    Figure
        CWRES against the typical prediction and against time, IWRES against the individual
        prediction, and CWRES against the quantiles of the normal distribution. Dashed lines hold 95
        % of normal residuals; the line in the last panel is equality.

    Raises
    ------
    FitError
        If the table has no weighted residuals, or the output is not in it.
    """
    if "CWRES" not in table:
        raise FitError(
            "The table has no weighted residuals: they are of normal outcomes without censoring."
        )
    name = style.chosen_output(output, table.attrs["units"])
    rows = table[table["output"] == name]
    units = {"time": table.attrs["time_unit"]}
    with style.look():
        drawing = style.figure(5.4)
        *panels, last = drawing.subplots(2, 2).flat
        for panel, (residual, against) in zip(panels, PANELS, strict=True):
            for level, line in ((-REACH, "--"), (0.0, "-"), (REACH, "--")):
                panel.axhline(level, color=style.MUTED, linewidth=0.8, linestyle=line, zorder=1)
            _points(panel, rows[against].to_numpy(), rows[residual].to_numpy())
            unit = units.get(against, table.attrs["units"][name])
            panel.set_xlabel(style.axis_label(WORDS[against], unit))
            panel.set_ylabel(residual)
        _quantiles(last, rows["CWRES"].to_numpy())
        style.mark_status(drawing, table.attrs)
    return drawing


def _points(panel: Axes, x: np.ndarray, y: np.ndarray) -> None:
    panel.plot(x, y, "o", color=style.BLUE, markersize=3.2, alpha=0.7, markeredgewidth=0, zorder=3)


def _quantiles(panel: Axes, values: np.ndarray) -> None:
    found = np.sort(values[np.isfinite(values)])
    expected = stats.norm.ppf((np.arange(found.size) + 0.5) / found.size)
    panel.axline((0, 0), slope=1, color=style.MUTED, linewidth=0.9, zorder=1)
    _points(panel, expected, found)
    panel.set_xlabel("Quantile of the normal distribution")
    panel.set_ylabel("CWRES, in order")
