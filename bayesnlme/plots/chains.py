"""Figures of the chains of the population parameters."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayesnlme.plots import style

COLUMNS = 3


def rank(table: xr.Dataset) -> Figure:
    """Draw how many draws of each chain fall in each bin of the ranks of all draws.

    Parameters
    ----------
    table : Dataset
        From :func:`bayesnlme.diagnostics.chains.rank_counts`.

    Returns
    -------
    Figure
        A panel for each parameter. One line a chain; grey band: where the counts of well-mixed
        chains lie.
    """
    parameters = [str(name) for name in table["parameter"].values]
    with style.look():
        drawing, panels = small_panels(len(parameters), table.attrs)
        edges = np.linspace(0, 1, table.sizes["bin"] + 1)
        for panel, name in zip(panels, parameters, strict=True):
            _ranks(panel, table.sel(parameter=name), edges)
            panel.set_title(name, loc="left", pad=3)
        drawing.supxlabel("Rank among the draws of all chains, as a fraction", fontsize=9)
        drawing.supylabel("Draws", fontsize=9)
    return drawing


def _ranks(panel: Axes, table: xr.Dataset, edges: np.ndarray) -> None:
    panel.axhspan(
        float(table["lower"]), float(table["upper"]), color="#bbbbbb", alpha=0.35, linewidth=0
    )
    panel.axhline(float(table["expected"]), color=style.MUTED, linewidth=0.7)
    for number, counts in enumerate(table["count"].values):
        colour = style.CHAINS[number % len(style.CHAINS)]
        panel.stairs(counts, edges, baseline=None, color=colour, linewidth=1.0, alpha=0.9)
    panel.set_ylim(0, max(2 * float(table["expected"]), 1.1 * float(table["count"].max())))
    panel.set_xlim(0, 1)


def trace(table: xr.Dataset) -> Figure:
    """Draw the chains of each population parameter, draw by draw.

    Parameters
    ----------
    table : Dataset
        From :func:`bayesnlme.diagnostics.chains.population_draws`.

    Returns
    -------
    Figure
        A panel for each parameter, one line a chain. The lines are an image inside vector axes, so
        that many draws take little room.
    """
    with style.look():
        drawing, panels = small_panels(len(table.data_vars), table.attrs)
        for panel, (name, draws) in zip(panels, table.data_vars.items(), strict=True):
            for number, chain in enumerate(draws.values):
                colour = style.CHAINS[number % len(style.CHAINS)]
                panel.plot(chain, color=colour, linewidth=0.4, alpha=0.75, rasterized=True)
            panel.set_title(str(name), loc="left", pad=3)
            panel.set_xlim(0, draws.sizes["draw"])
        drawing.supxlabel("Draw after warm-up", fontsize=9)
    return drawing


def small_panels(count: int, attrs: Mapping[Any, Any]) -> tuple[Figure, list[Axes]]:
    """Make a figure with so many panels that share their horizontal axis."""
    columns = min(COLUMNS, count)
    rows = math.ceil(count / columns)
    drawing = style.figure(0.55 + 1.3 * rows)
    grid = drawing.subplots(rows, columns, sharex=True, squeeze=False)
    panels = list(grid.flat)
    for panel in panels[count:]:
        panel.set_axis_off()
    for panel in _lowest(panels, count, columns):
        panel.tick_params(labelbottom=True)
    style.mark_status(drawing, attrs)
    return drawing, panels[:count]


def _lowest(panels: list[Axes], count: int, columns: int) -> Iterator[Axes]:
    """Yield the lowest panel of each column."""
    yield from panels[max(count - columns, 0) : count]
