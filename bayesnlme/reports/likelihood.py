"""What the page says of a fit that has estimates instead of draws, as plain values."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from bayesnlme.diagnostics.residuals import without_residuals
from bayesnlme.inference.importance import PARETO_LIMIT
from bayesnlme.reports.content import (
    INTERVAL,
    Rows,
    estimates_in_words,
    grouped,
    subjects_in_words,
)
from bayesnlme.reports.numbers import MINUS, listing, number, percent, several
from bayesnlme.results.fit import Fit

WORST_CONDITION = 1000.0
STRONG = 0.9
_WAYS = {
    "FO": "the likelihood of the model made linear around the typical subject",
    "FOCE": "the likelihood of the model made linear around each subject's mode",
    "Laplace": "Laplace's approximation of the likelihood",
    "Quadrature": "the likelihood by adaptive Gauss-Hermite quadrature",
    "SAEM": "the likelihood by stochastic approximation of the EM algorithm",
}


def opening(fit: Fit, table: pd.DataFrame) -> str:
    """Say in a paragraph what was fitted and, if the fit is final, what came out."""
    data = fit.data
    text = (
        f"{fit.model.name} describes {several(data.n_observations, 'observation')} of "
        f"{listing(list(data.outputs))} in {several(data.n_subjects, 'subject')}. {_how(fit)}"
    )
    if not fit.converged:
        return f"{text} No estimate is quoted here, because the fit is not a final result."
    what = f"estimates with {percent(INTERVAL)} intervals" if "lower" in table else "estimates"
    sentences = [
        text,
        *estimates_in_words(fit, table, "estimate", what),
        *subjects_in_words(fit, table),
    ]
    return " ".join(sentences)


def _how(fit: Fit) -> str:
    name, title = fit.method["name"], fit.likelihood.title
    if name == "Mode":
        return "The mode of the joint posterior of parameters and random effects was sought."
    if not fit.likelihood.maximised:
        return "Its likelihood was evaluated at given estimates, by importance sampling."
    counted = ", with the priors of the population parameters counted" * fit.method["priors"]
    return f"{title} maximised {_WAYS[name]}{counted}."


def priors_count(fit: Fit) -> bool:
    """Say whether priors take part in the estimates."""
    return fit.method["name"] == "Mode" or bool(fit.method.get("priors"))


def check_table(fit: Fit) -> Rows:
    """List the numbers behind the verdict, each with its limit where it has one."""
    keys = ("what", "value", "limit", "passed", "where")
    found = [*_of_search(fit), *_of_maximum(fit), *_of_sampling(fit)]
    return [dict(zip(keys, each, strict=True)) for each in found]


type _Check = tuple[str, str, str, bool | None, str]


def _of_search(fit: Fit) -> Iterator[_Check]:
    attributes = fit.tree["likelihood"].attrs
    if "decrement" in attributes:
        limit = 100 * fit.method["tolerance"]
        decrement = float(attributes["decrement"])
        yield (
            "Half the Newton decrement",
            number(decrement, 2), f"at most {limit:.0e}".replace("-", MINUS),
            decrement <= limit, "",
        )  # fmt: skip
    if "iterations" in attributes:
        yield "Steps", str(attributes["iterations"]), "", None, ""
    if "evaluations" in attributes:
        yield (
            "Evaluations",
            str(attributes["evaluations"]),
            "",
            None,
            "",
        )


def _of_maximum(fit: Fit) -> Iterator[_Check]:
    if not fit.likelihood.maximised:
        return
    group = fit.tree["likelihood"].to_dataset()
    free = ~group["at_bound"].values.astype(bool)
    if not priors_count(fit) and free.any():
        gradient = np.abs(group["score"].values.sum(axis=0))[free]
        worst = str(group["parameter"].values[free][np.argmax(gradient)])
        yield (
            "Largest slope of the log likelihood",
            number(float(gradient.max()), 2), "", None, worst,
        )  # fmt: skip
    hessian = group["hessian"].values[np.ix_(free, free)]
    if free.any() and np.isfinite(hessian).all():
        least = float(np.linalg.eigvalsh(hessian)[0])
        yield "Smallest eigenvalue of the information", number(least), "above 0", least > 0, ""
    condition = fit.likelihood.condition_number()
    yield (
        "Condition number of the estimates",
        number(condition), f"below {WORST_CONDITION:.0f}", condition < WORST_CONDITION, "",
    )  # fmt: skip
    bounds = fit.likelihood.at_bound
    yield "Estimates at a bound", str(len(bounds)), "", None, ", ".join(bounds)


def _of_sampling(fit: Fit) -> Iterator[_Check]:
    group = fit.tree["likelihood"].to_dataset()
    if "monte_carlo_error" in group:
        errors = fit.likelihood.monte_carlo_errors
        yield (
            "Largest Monte-Carlo error over standard error",
            percent(float(errors.max())), "", None, str(errors.idxmax()),
        )  # fmt: skip
    if "pareto_k" in group:
        k = group["pareto_k"]
        yield (
            "Largest Pareto k of a subject's weights",
            f"{float(k.max()):.2f}", f"at most {PARETO_LIMIT}", bool(k.max() <= PARETO_LIMIT),
            f"subject {k.idxmax().item()}",
        )  # fmt: skip
        error = number(fit.likelihood.ofv_error, 2)
        yield "Monte-Carlo standard error of the OFV", error, "", None, ""


def parameter_groups(fit: Fit, table: pd.DataFrame) -> list[tuple[str, Rows]]:
    """Return the parameter table under headings, the numbers written out."""
    return grouped(fit.model, table, _row)


def _row(name: str, row: "pd.Series[Any]") -> dict[str, str]:
    found = {"name": name, "unit": str(row["unit"]), "estimate": number(row["estimate"], 4)}
    if "se" in row:
        found |= {"se": number(row["se"]), "rse": _share(row["rse_percent"], 2)}
        found["interval"] = (
            f"{number(row['lower'])} to {number(row['upper'])}" if np.isfinite(row["se"]) else ""
        )
    return found | {
        "cv": _share(row["cv_percent"]),
        "shrinkage": _share(row["shrinkage_percent"]),
    }


def _share(value: float, digits: int = 0) -> str:
    """Write a percentage: whole, or to a few significant digits."""
    if np.isnan(value):
        return ""
    return f"{number(value, digits)} %" if digits else f"{value:.0f} %".replace("-", MINUS)


def criteria(fit: Fit) -> list[tuple[str, str]]:
    """List the criteria with their values."""
    found = fit.likelihood
    error = f" ± {number(found.ofv_error, 2)}" * bool(found.ofv_error)
    rows = [
        (str(name).replace("n log 2 pi", "n log 2π"), f"{value:.3f}".replace("-", MINUS))
        for name, value in found.criteria().items()
    ]
    return [(rows[0][0], rows[0][1] + error), *rows[1:], ("Parameters", str(found.n_parameters))]


def shrinkage_table(fit: Fit) -> list[tuple[str, list[str]]]:
    """List the shrinkage of random effects and residuals: by SD, variance, and conditional."""
    return [
        (str(name), [_share(each) for each in row])
        for name, row in fit.likelihood.shrinkage.iterrows()
    ]


def correlation_table(fit: Fit) -> dict[str, Any]:
    """Return the lower triangle of the correlations of the estimates, strong ones marked."""
    if not fit.likelihood.maximised:
        return {}
    table = fit.likelihood.correlation()
    known = table.index[np.isfinite(np.diag(table))]
    table = table.loc[known, known]
    rows = [
        (
            str(name),
            [
                {"text": f"{round(r, 2) + 0.0:.2f}".replace("-", MINUS), "strong": abs(r) > STRONG}
                for r in table.iloc[k, :k]
            ]
            + [{"text": "", "strong": False}] * (len(table) - 1 - k),
        )
        for k, name in enumerate(table.index)
    ]
    return {"names": [str(each) for each in table.columns[:-1]], "rows": rows[1:]}


def unweighted(fit: Fit) -> str:
    """Say why there are no weighted residuals, or nothing."""
    reason = without_residuals(fit)
    return f"No weighted residuals: {reason}" if reason else ""
