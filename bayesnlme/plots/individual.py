"""Figures of each subject's fit and of observations against predictions."""

import math

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayesnlme.plots import style

COLUMNS = 4


def individual_fits(table: xr.Dataset, *, output: str | None = None) -> Figure:
    """Draw every subject of the table in a panel of its own, all with the same axes.

    Parameters
    ----------
    table : Dataset
        From :func:`bayesnlme.diagnostics.individual.individual_predictions`.
    output : str, optional
        The output to draw; needed where there are several.

    Returns
    -------
    Figure
        Points: observations; triangles: censored ones, at the limit. Line: median of the
        individual prediction; dark band: its interval; light band: interval of a new observation;
        ticks on the time axis: doses. Of a fit without draws, line: the prediction at the mode of
        the random effects; dashed line: without them.
    """
    name = style.chosen_output(output, dict.fromkeys(table.attrs["outputs"], ""))
    subjects = table.attrs["subjects"]
    columns = min(COLUMNS, len(subjects))
    rows = math.ceil(len(subjects) / columns)
    with style.look():
        drawing = style.figure(0.9 + 1.45 * rows)
        panels = drawing.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for panel, subject in zip(panels.flat, subjects, strict=False):
            _subject(panel, table, subject, name)
        for panel in panels.flat[len(subjects) :]:
            panel.set_axis_off()
        for panel in panels.flat[len(subjects) - columns : len(subjects)]:
            panel.tick_params(labelbottom=True)
        labelled = [panel.get_legend_handles_labels() for panel in panels.flat]
        known = {word: handle for each in labelled for handle, word in zip(*each, strict=True)}
        drawing.legend(
            list(known.values()), list(known), loc="outside upper center", ncols=min(len(known), 5)
        )
        drawing.supxlabel(style.axis_label("Time", table.attrs["time_unit"]), fontsize=9)
        drawing.supylabel(style.axis_label(name, table.attrs["units"][name]), fontsize=9)
        style.mark_status(drawing, table.attrs)
    return drawing


def _subject(panel: Axes, table: xr.Dataset, subject: str, output: str) -> None:
    at = (table["subject"] == subject) & (table["output"] == output)
    curve = table.isel(point=np.flatnonzero(at))
    seen = (table["observation_subject"] == subject) & (table["observation_output"] == output)
    observed = table.isel(observation=np.flatnonzero(seen))
    percent = f"{table.attrs['interval']:.0%}".replace("%", " %")
    time = curve["time"].values
    panel.fill_between(
        time, curve["new_lower"].values, curve["new_upper"].values,
        color=style.SKY, alpha=0.28, linewidth=0, label=f"new observation, {percent}",
    )  # fmt: skip
    if "median" in curve:
        panel.fill_between(
            time, curve["lower"].values, curve["upper"].values,
            color=style.BLUE, alpha=0.38, linewidth=0, label=f"prediction, {percent}",
        )  # fmt: skip
        panel.plot(time, curve["median"].values, color=style.BLUE, linewidth=1.1, label="median")
    else:
        panel.plot(
            time, curve["typical"].values, color=style.ORANGE, linewidth=0.9, linestyle="--",
            label="typical prediction",
        )  # fmt: skip
        panel.plot(
            time,
            curve["mode"].values,
            color=style.BLUE,
            linewidth=1.1,
            label="individual prediction",
        )
    style.draw_observed(
        panel, observed["observation_time"].values, observed["value"].values,
        observed["mark"].values, linestyle="none", color=style.INK, markersize=2.8,
    )  # fmt: skip
    mark_doses(panel, table, subject)
    name_subject(panel, subject)


def mark_doses(panel: Axes, table: xr.Dataset, subject: str) -> None:
    """Mark a subject's doses on the time axis."""
    doses = table["dose_time"].values[table["dose_subject"].values == subject]
    if doses.size:  # an empty line that is not clipped spoils the layout
        panel.plot(
            doses, np.zeros(doses.size), "|", color=style.ORANGE, markersize=6,
            markeredgewidth=1.3, transform=panel.get_xaxis_transform(), clip_on=False,
            label="dose",
        )  # fmt: skip


def name_subject(panel: Axes, subject: str) -> None:
    """Write a subject's name above its panel."""
    panel.set_title(f"Subject {_short(subject)}", loc="left", pad=3)


def _short(name: str, most: int = 16) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


def observed_vs_predicted(table: pd.DataFrame, *, output: str | None = None) -> Figure:
    """Draw observations against the individual and the typical prediction.

    Parameters
    ----------
    table : DataFrame
        From :func:`bayesnlme.diagnostics.individual.observed_vs_predicted`.
    output : str, optional
        The output to draw; needed where there are several.

    Returns
    -------
    Figure
        Left: against the individual prediction, of draws with its interval. Right: against the
        prediction with the subject's doses and covariates and no random effects. The line is
        equality. Triangles: censored observations, at the limit.
    """
    name = style.chosen_output(output, table.attrs["units"])
    rows = table[table["output"] == name]
    with style.look():
        drawing = style.figure(3.7)
        left, right = drawing.subplots(1, 2, sharex=True, sharey=True)
        if "lower" in rows:
            left.hlines(
                rows["value"], rows["lower"], rows["upper"],
                color=style.SKY, linewidth=1.2, alpha=0.7, zorder=1,
            )  # fmt: skip
        ends = _ends(rows)
        for panel, column in ((left, "individual"), (right, "typical")):
            panel.plot(ends, ends, color=style.MUTED, linewidth=0.9, zorder=2)
            style.draw_observed(
                panel, rows[column].to_numpy(), rows["value"].to_numpy(), rows["mark"].to_numpy(),
                linestyle="none", color=style.BLUE, markersize=3.2, alpha=0.75, markeredgewidth=0,
                zorder=3,
            )  # fmt: skip
            unit = table.attrs["units"][name]
            panel.set_xlabel(style.axis_label(f"{column.capitalize()} prediction", unit))
        left.set_ylabel(style.axis_label(f"Observed {name}", table.attrs["units"][name]))
        style.mark_status(drawing, table.attrs)
    return drawing


def _ends(rows: pd.DataFrame) -> list[float]:
    columns = rows[["value", "individual", "typical"]]
    return [float(columns.min().min()), float(columns.max().max())]
