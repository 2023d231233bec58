"""Each figure in words: what a reader who cannot see it should know."""

import numpy as np
import pandas as pd
import xarray as xr


def individual_fits(table: xr.Dataset, output: str) -> str:
    """Describe the figure of the individual fits."""
    mine = table["observation_output"].values == output
    values, marked = table["value"].values[mine], table["mark"].values[mine]
    interval = percent(table.attrs["interval"])
    lines = (
        f"the median individual prediction as a line, with the {interval} intervals of the "
        "prediction and of a new observation as bands."
        if "median" in table
        else "the prediction at the mode of the random effects as a line, that without them dashed,"
        f" and the {interval} interval of a new observation as a band."
    )
    return (
        f"Small multiples of {output} against time, one panel for each of "
        f"{len(table.attrs['subjects'])} subjects: {values.size} observations as points "
        f"({_range(values, table.attrs['units'][output])}), {lines}"
        f"{_apart(int((marked != '').sum()))}"
    )


def category_probabilities(table: xr.Dataset, output: str) -> str:
    """Describe the figure of each subject's probabilities of categories."""
    mine = table["observation_output"].values == output
    points = table["output"].values == output
    categories = np.unique(table["category"].values[points])
    mean = float(table["probability"].values[mine].mean())
    return (
        f"Small multiples of the probability of {categories.size} categories of {output} against "
        f"time, one panel for each of {len(table.attrs['subjects'])} subjects, with "
        f"{int(mine.sum())} observations as points; what was observed had a probability of "
        f"{mean:.2f} on average."
    )


def observed_vs_predicted(table: pd.DataFrame, output: str) -> str:
    """Describe the figure of observations against predictions."""
    rows = table[table["output"] == output]
    exact = rows[rows["mark"] == ""]
    individual, typical = (
        np.corrcoef(exact["value"], exact[column])[0, 1] if len(exact) > 2 else np.nan
        for column in ("individual", "typical")
    )
    return (
        f"Two scatter plots of {len(rows)} observations of {output}: against the individual "
        f"prediction (correlation {individual:.2f}) and against the typical prediction "
        f"(correlation {typical:.2f}), each with the line of equality."
        f"{_apart(len(rows) - len(exact))}"
    )


def residuals(table: pd.DataFrame, output: str) -> str:
    """Describe the figure of the weighted residuals."""
    values = table.loc[table["output"] == output, "CWRES"].dropna()
    beyond = int((values.abs() > 1.96).sum())
    return (
        f"Scatter plots of conditional weighted residuals of {output} against the typical "
        "prediction and against time, of individual weighted residuals against the individual "
        f"prediction, and of the former against normal quantiles. {beyond} of {len(values)} "
        f"conditional weighted residuals lie beyond 1.96; their mean is {values.mean():.2f} and "
        f"their SD {values.std():.2f}."
    )


def search_trace(table: pd.DataFrame) -> str:
    """Describe the figure of a search."""
    lines = f"{table.shape[1]} panels with lines against {len(table) - 1} steps"
    if "ofv" not in table:
        return f"{lines}: each estimate after each iteration."
    first, last = table["ofv"].iloc[[0, -1]]
    return f"{lines}: the OFV, from {first:.1f} to {last:.1f}, and each estimate."


def predictive_check(table: xr.Dataset, output: str) -> str:
    """Describe the figure of the predictive check, with how many quantiles lie in their bands."""
    inside, total = quantiles_inside(table, output)
    return (
        f"Observed 5, 50 and 95 % quantiles of {output} through time over bands of the same "
        f"quantiles in {table.attrs['replicates']} simulated studies; {inside} of {total} observed "
        f"quantiles lie in their {percent(table.attrs['interval'])} band.{_shares(table, output)}"
    )


def category_check(table: xr.Dataset, output: str) -> str:
    """Describe the figure of the shares of categories, with how many lie in their bands."""
    inside, total = shares_inside(table, output)
    return (
        f"Observed shares of the categories of {output} through time over bands of the same "
        f"shares in {table.attrs['replicates']} simulated studies; {inside} of {total} observed "
        f"shares lie in their {percent(table.attrs['interval'])} band."
    )


def event_check(table: xr.Dataset) -> str:
    """Describe the figure of an event, with how long the observed curve is in its band."""
    what = "Mean number of" if table.attrs["repeated"] else "Share of subjects without"
    return (
        f"{what} {table.attrs['output']} through time, observed, over the band of the same in "
        f"{table.attrs['replicates']} simulated studies; the observed curve lies in its "
        f"{percent(table.attrs['interval'])} band for {percent(curve_inside(table))} of the time."
    )


def shares_inside(table: xr.Dataset, output: str) -> tuple[int, int]:
    """Count the observed shares within their simulated interval, and all of them."""
    shares = table.isel(share=np.flatnonzero(table["output"] == output))
    inside = _within(shares)
    return int(inside.sum()), inside.size


def curve_inside(table: xr.Dataset) -> float:
    """Return the share of the times at which the observed curve lies in its interval."""
    return round(float(_within(table).mean()), 2)


def _within(table: xr.Dataset) -> xr.DataArray:
    lower, upper = (table["simulated"].sel(band=each) for each in ("lower", "upper"))
    return (table["observed"] >= lower) & (table["observed"] <= upper)


def implied_curves(table: xr.Dataset, output: str) -> str:
    """Describe the figure of what a prior implies."""
    bins = table.isel(bin=np.flatnonzero(table["output"] == output))
    drawn = f"{table.attrs['draws'] - table.attrs['failed']} draws from the prior"
    if table.attrs["scales"][output] == "category":
        panels = len(set(bins["category"].values.tolist()))
        return (
            f"Shares of {panels} categories of {output} through time, one panel each: bands of 50 "
            f"and 95 % of {drawn}, and the observed shares as points."
        )
    mine = table["observation_output"].values == output
    values, marked = table["value"].values[mine], table["mark"].values[mine]
    unit = table.attrs["units"][output]
    return (
        f"{output} through time: bands of 50 and 95 % of the observations in {drawn} "
        f"({_range(bins['simulated'].values, unit)}), and {values.size} observations as points "
        f"({_range(values, unit)}).{_apart(int((marked != '').sum()))}"
    )


def _apart(count: int) -> str:
    return f" {count} censored observations are triangles at their limit." if count else ""


def _shares(table: xr.Dataset, output: str) -> str:
    """Say how often the observed share beyond a limit lies in its simulated interval."""
    bins = table.isel(bin=np.flatnonzero(table["output"] == output))
    words = ""
    for side in ("below", "above"):
        seen, drawn = bins[f"{side}_observed"], bins[f"{side}_simulated"]
        if np.isfinite(seen).any():
            inside = (seen >= drawn.sel(band="lower")) & (seen <= drawn.sel(band="upper"))
            words += (
                f" The share of values {side} the limit lies in its band in {int(inside.sum())} of "
                f"{inside.size} bins."
            )
    return words


def quantiles_inside(table: xr.Dataset, output: str) -> tuple[int, int]:
    """Count the observed quantiles within their simulated interval, and all of them."""
    bins = table.isel(bin=np.flatnonzero(table["output"] == output))
    simulated = bins["simulated"]
    lower, upper = simulated.sel(band="lower"), simulated.sel(band="upper")
    inside = (bins["observed"] >= lower) & (bins["observed"] <= upper)
    return int(inside.sum()), inside.size


def rank(table: xr.Dataset) -> str:
    """Describe the figure of the ranks, with how many counts lie in their band."""
    inside = (table["count"] >= table["lower"]) & (table["count"] <= table["upper"])
    return (
        f"Rank plots of {table.sizes['parameter']} population parameters, "
        f"{table.sizes['chain']} chains each: {percent(float(inside.mean()))} of the counts lie in "
        f"the {percent(table.attrs['interval'])} band of well-mixed chains."
    )


def trace(table: xr.Dataset) -> str:
    """Describe the figure of the traces."""
    return (
        f"Traces of {len(table.data_vars)} population parameters: {table.sizes['chain']} chains of "
        f"{table.sizes['draw']} draws after warm-up, laid over each other."
    )


def percent(share: float) -> str:
    """Write a probability as a percentage: ``"90 %"``."""
    return f"{100 * share:.3g} %"


def _range(values: np.ndarray, unit: str) -> str:
    if not values.size:
        return "none"
    return f"{values.min():.4g} to {values.max():.4g} {unit}".strip()
