"""Figures inside the page: SVG as data, with the words for those who cannot see them."""

import base64
import io
from dataclasses import dataclass

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from bayesnlme.diagnostics.categories import category_outputs
from bayesnlme.diagnostics.category_curves import category_probabilities
from bayesnlme.diagnostics.chains import population_draws, rank_counts
from bayesnlme.diagnostics.checks import predictive_checks
from bayesnlme.diagnostics.individual import individual_predictions, observed_vs_predicted
from bayesnlme.diagnostics.predictive import compared_outputs
from bayesnlme.diagnostics.residuals import residuals
from bayesnlme.diagnostics.search import search_trace
from bayesnlme.diagnostics.survival import without_curve
from bayesnlme.plots import individual, predictive, search, style, words
from bayesnlme.plots.category_curves import category_probabilities as probability_plot
from bayesnlme.plots.chains import rank, trace
from bayesnlme.plots.residuals import residuals as residual_plot
from bayesnlme.reports.numbers import listing, percent
from bayesnlme.results.fit import Fit

MOST_SUBJECTS = 24
POINTS = 100
DPI = 130


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A figure of the page.

    Attributes
    ----------
    source : str
        The image as a data URI.
    alt : str
        What it shows, in words.
    caption : str
        How to read it.
    """

    source: str
    alt: str
    caption: str


def picture(drawing: Figure, alt: str, caption: str) -> Picture:
    """Write a figure as SVG into a data URI."""
    buffer = io.BytesIO()
    with style.look():
        drawing.draw_without_rendering()  # lays out with the raster renderer, which is faster
        drawing.set_layout_engine("none")
        drawing.savefig(buffer, format="svg", dpi=DPI, metadata={"Date": None, "Creator": None})
    content = base64.b64encode(buffer.getvalue()).decode()
    return Picture(source=f"data:image/svg+xml;base64,{content}", alt=alt, caption=caption)


def chain_pictures(fit: Fit) -> list[Picture]:
    """Draw ranks and traces of the population parameters."""
    ranks, draws = rank_counts(fit), population_draws(fit)
    rank_caption = (
        "Ranks: how many draws of each chain (one colour each) fall in each twentieth of all "
        "draws. Chains that agree stay near the middle line; the grey band holds "
        f"{percent(ranks.attrs['interval'])} of the counts of well-mixed chains with this "
        "effective sample size."
    )
    trace_caption = "Traces: the draws of each chain after warm-up. They should look alike."
    return [
        picture(rank(ranks), words.rank(ranks), rank_caption),
        picture(trace(draws), words.trace(draws), trace_caption),
    ]


def search_pictures(fit: Fit) -> list[Picture]:
    """Draw the way of the search, where there was one."""
    if not fit.likelihood.maximised:
        return []
    table = search_trace(fit)
    caption = "OFV and estimates after each step."
    if "ofv" not in table:
        caption = "Estimates after each iteration; from the dotted line on they are averaged."
    elif fit.method["priors"]:
        caption = "OFV, with the priors' part, and estimates after each step."
    return [picture(search.search_trace(table), words.search_trace(table), caption)]


def residual_pictures(fit: Fit) -> list[Picture]:
    """Draw the weighted residuals, a figure for each output."""
    table = residuals(fit)
    if "CWRES" not in table:
        return []
    caption = (
        "CWRES: residuals around the model linear in the random effects at their modes, "
        "decorrelated; about standard normal where the model holds. IWRES: residuals of the "
        "individual prediction over the residual SD. Dashed lines hold 95 % of normal residuals."
    )
    return [
        picture(residual_plot(table, output=each), words.residuals(table, each), caption)
        for each in fit.data.outputs
    ]


def individual_pictures(fit: Fit) -> list[Picture]:
    """Draw the individual fits of at most some subjects, a figure for each output."""
    names = spread(fit.data.subjects, MOST_SUBJECTS)
    chosen = "All subjects" if len(names) == fit.data.n_subjects else (
        f"{len(names)} of the {fit.data.n_subjects} subjects, evenly spread over the table"
    )  # fmt: skip
    curves = _curves(fit, names, chosen) if compared_outputs(fit) else []
    return [*curves, *(_probabilities(fit, names, chosen) if category_outputs(fit) else [])]


def _probabilities(fit: Fit, names: list[str], chosen: str) -> list[Picture]:
    table = category_probabilities(fit, subjects=names, points=POINTS)
    lines = (
        f"posterior median with its {percent(table.attrs['interval'])} interval"
        if fit.has_draws
        else "at the mode of the subject's random effects, dashed without them"
    )
    caption = (
        f"{chosen}, on the same axes. Lines: probability of each category, {lines}. Points: what "
        "was observed, on the line of its category, so that the highest are the most probable; of "
        "two categories at 0 and 1."
    )
    return [
        picture(
            probability_plot(table, output=output),
            words.category_probabilities(table, output),
            caption,
        )
        for output in category_outputs(fit)
    ]


def _curves(fit: Fit, names: list[str], chosen: str) -> list[Picture]:
    table = individual_predictions(fit, subjects=names, points=POINTS)
    interval = percent(table.attrs["interval"])
    lines = (
        f"Line: posterior median of the individual prediction; dark band: its {interval} interval; "
        f"light band: the {interval} interval of a new observation of the same subject "
        "(equal-tailed, pointwise)."
        if fit.has_draws
        else "Line: prediction at the mode of the subject's random effects; dashed line: with its "
        f"doses and covariates and without random effects; band: {interval} interval of a new "
        "observation at the estimates and the mode, whose uncertainty it leaves out."
    )
    caption = f"{chosen}, on the same axes. {lines}"
    return [
        picture(
            individual.individual_fits(table, output=output),
            words.individual_fits(table, output),
            caption,
        )
        for output in compared_outputs(fit)
    ]


def agreement_pictures(fit: Fit) -> list[Picture]:
    """Draw observations against predictions, a figure for each output."""
    if not compared_outputs(fit):
        return []
    table = observed_vs_predicted(fit)
    left = (
        "its posterior median with the "
        f"{percent(table.attrs['interval'])} equal-tailed interval (IPRED)."
        if fit.has_draws
        else "at the mode of the random effects (IPRED)."
    )
    caption = (
        f"Left: against the individual prediction, {left} Right: against the typical prediction, "
        "with the subject's doses and covariates and every random effect at zero (PRED). The line "
        "is equality."
    )
    return [
        picture(
            individual.observed_vs_predicted(table, output=output),
            words.observed_vs_predicted(table, output),
            caption,
        )
        for output in compared_outputs(fit)
    ]


def predictive_pictures(fit: Fit) -> list[Picture]:
    """Draw the predictive check that fits each output."""
    return [
        picture(
            predictive.predictive_check(table, output=output),
            _words(table, output),
            _caption(fit, table, output),
        )
        for output, table in predictive_checks(fit, seed=fit.seed).items()
    ]


def _words(table: xr.Dataset, output: str) -> str:
    if "category" in table:
        return words.category_check(table, output)
    return words.event_check(table) if "at_risk" in table else words.predictive_check(table, output)


def _caption(fit: Fit, table: xr.Dataset, output: str) -> str:
    """Say how to read the predictive check of one output."""
    interval, failed = percent(table.attrs["interval"]), table.attrs["failed"]
    studies = (
        f"in {table.attrs['replicates']} simulated studies, each with new subjects from the "
        f"population{' and another posterior draw' * fit.has_draws}, with the doses, times and "
        "covariates of the table."
        + " All are drawn at the estimates, whose uncertainty they leave out."
        * (not fit.has_draws)
    )
    lost = f" A further {failed} could not be solved and were left out." * bool(failed)
    if "category" in table:
        inside, total = words.shares_inside(table, output)
        return (
            "Points: share of the observations in each category, in bins of time. Bands: "
            f"{interval} equal-tailed intervals of the same shares {studies} {inside} of {total} "
            f"observed shares lie in their band (all categories counted).{lost}"
        )
    if "at_risk" in table:
        line = (
            "the mean number of events of a subject"
            if table.attrs["repeated"]
            else "the share of subjects without the event (Kaplan-Meier)"
        )
        return (
            f"Solid line: {line}, estimated from the table. Band and dashed line: {interval} "
            f"equal-tailed, pointwise interval and median of the same {studies} Simulated subjects "
            "are followed as long as the observed ones; those whose follow-up the event ended, to "
            f"the last row of any subject.{lost}"
        )
    inside, total = words.quantiles_inside(table, output)
    return (
        "Lines: 5, 50 and 95 % quantiles of the observations in bins of time (ticks at the "
        f"top). Bands: {interval} equal-tailed intervals of the same quantiles {studies} {inside} "
        f"of {total} observed quantiles lie in their band.{_limits(fit, output)}{lost}"
    )


def _limits(fit: Fit, output: str) -> str:
    """Say how values beyond a limit are compared."""
    number, method = fit.data.outputs.index(output), fit.model.observations[output].blq
    mine = fit.data.observations.output == number
    if (fit.data.observations.censored & mine).any():
        return (
            " Observed and simulated values beyond a limit of quantification stand at the limit; "
            "the lower panel compares the shares beyond it."
        )
    if method == "M1" and not np.isfinite(fit.data.observations.limit[mine]).all():
        return (
            " Values below the limit of quantification were dropped from the table (M1), but not "
            "from the simulated studies, for the table does not give the limits."
        )
    return ""


def left_out(fit: Fit) -> str:
    """Say which outputs have no individual figures, and why."""
    sentences = []
    if categories := list(category_outputs(fit)):
        sentences.append(
            f"{listing(categories)} is not drawn against its prediction, which is no category but "
            "the logit or the probability of one."
        )
    if events := list(fit.model.events):
        sentences.append(
            f"No figures of {listing(events)}: a time to an event is not predicted, its hazard is."
        )
    return " ".join(sentences)


def unchecked(fit: Fit) -> str:
    """Say which outputs have no predictive check, and why."""
    reasons = [without_curve(fit, output) for output in fit.model.events]
    return " ".join(f"No predictive check: {each}" for each in reasons if each)


def spread(names: tuple[str, ...], most: int) -> list[str]:
    """Return at most so many of the names, evenly spread.

    Examples
    --------
    >>> spread(("a", "b", "c", "d", "e"), 3)
    ['a', 'c', 'e']
    """
    if len(names) <= most:
        return list(names)
    step = (len(names) - 1) / (most - 1)
    return [names[round(number * step)] for number in range(most)]
