"""One look for all figures: colours that colour-blind readers can tell apart [Okabe2008]_."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayesnlme.errors import FitError, did_you_mean

INK = "#222222"
MUTED = "#6b6b6b"
BLUE = "#0072B2"
ORANGE = "#D55E00"
SKY = "#56B4E9"
GREEN = "#009E73"
PURPLE = "#CC79A7"
CHAINS = (BLUE, ORANGE, GREEN, PURPLE, SKY, "#E69F00")
MARKERS = {"": "o", "below": "v", "above": "^"}
"""How observations are drawn: exact, below a limit, above one."""

WIDTH = 7.6
"""Width of a figure in inches."""

_RC: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "axes.edgecolor": "#8a8a8a",
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "xtick.color": "#8a8a8a",
    "ytick.color": "#8a8a8a",
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "text.color": INK,
    "text.parse_math": False,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.fonttype": "path",
    "svg.hashsalt": "bayesnlme",
}


def look() -> AbstractContextManager[None]:
    """Return a context in which figures are drawn and written in the house style."""
    return mpl.rc_context(_RC)


def figure(height: float) -> Figure:
    """Make an empty figure of the common width, apart from pyplot's list of open figures."""
    return Figure(figsize=(WIDTH, height), layout="constrained")


def axis_label(name: str, unit: str) -> str:
    """Write a quantity with its unit: ``"Time (h)"``."""
    return f"{name} ({unit})" if unit else name


def chosen_output(given: str | None, known: Mapping[str, str]) -> str:
    """Return the output to draw; it must be named where there are several.

    Raises
    ------
    FitError
        If it is not there, or there are several and none is named.
    """
    if given is None and len(known) == 1:
        return next(iter(known))
    if given is None:
        raise FitError(f"The table has several outputs: name one of {', '.join(known)}.")
    if given not in known:
        raise FitError(f"The table has no output {given!r}. {did_you_mean(given, known)}")
    return given


def draw_observed(axes: Axes, x: np.ndarray, y: np.ndarray, mark: np.ndarray, **look: Any) -> None:
    """Draw exact observations as points and censored ones apart, at the limit they passed."""
    for kind, marker in MARKERS.items():
        chosen = mark == kind
        if chosen.any() or not kind:
            label = f"{kind} a limit" if kind else "observed"
            hollow = {"markerfacecolor": "none", "markeredgewidth": 0.8} if kind else {}
            axes.plot(x[chosen], y[chosen], marker, label=label, **(look | hollow))


def mark_status(drawing: Figure, attrs: Mapping[Any, Any]) -> None:
    """Write across a figure that its fit is not a final result, where that is so."""
    if not attrs["converged"]:
        drawing.text(
            0.5, 0.5, str(attrs["status"]).upper(),
            color="#b00020", alpha=0.3, fontsize=38, fontweight="bold", rotation=18,
            ha="center", va="center", zorder=10,
        )  # fmt: skip
