"""The report of a fit: one HTML page that needs nothing but itself."""

from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from bayesnlme._files import write_whole
from bayesnlme.data.summary import as_html
from bayesnlme.reports import content, figures, likelihood
from bayesnlme.reports.equations import shown_sections
from bayesnlme.reports.numbers import percent
from bayesnlme.results.fit import Fit, require_fit
from bayesnlme.results.status import Status

_BANNERS = {
    Status.CONVERGED: ("sound", "Converged"),
    Status.AT_BOUND: ("sound", "Converged at a bound"),
    Status.NOT_CONVERGED: ("unsound", "Not converged"),
    Status.INTERRUPTED: ("unsound", "Interrupted"),
}


def report(fit: Fit, path: str | Path, *, title: str | None = None) -> Path:
    """Write the report of a fit: of its posterior, or of its likelihood.

    Parameters
    ----------
    fit : Fit
        What to report.
    path : str or Path
        The HTML file, replaced if it exists. It is complete or not there at all.
    title : str, optional
        Heading of the page; the model's name by default.

    Returns
    -------
    Path
        The file: one page without scripts that loads nothing from anywhere.

    Raises
    ------
    StoreError
        If the file cannot be written.
    """
    require_fit(fit)
    what = "posterior" if fit.has_draws else fit.likelihood.title
    page = render(fit, title or f"{fit.model.name}: {what} report")
    return write_whole(path, lambda part: part.write_text(page, encoding="utf-8"))


def render(fit: Fit, title: str) -> str:
    """Return the page as text; see :func:`report`."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("bayesnlme.reports", "template"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html").render(title=title, **_content(fit))


def _content(fit: Fit) -> dict[str, Any]:
    table = fit.summary(interval=content.INTERVAL)
    tone, word = _BANNERS[fit.status]
    return {
        "sampled": fit.has_draws,
        "tone": tone,
        "word": word,
        "final": fit.converged,
        "equations": shown_sections(fit.model),
        "model_text": repr(fit.model),
        "data": Markup(as_html(fit.data)),  # noqa: S704  escapes what it is given
        "findings": content.finding_table(fit),
        "interval": percent(content.INTERVAL),
        "known": content.known_values(fit.model),
        "individual": figures.individual_pictures(fit),
        "agreement": figures.agreement_pictures(fit),
        "left_out": figures.left_out(fit),
        "unchecked": figures.unchecked(fit),
        "predictive": figures.predictive_pictures(fit),
        "provenance": content.provenance(fit),
        "recipe": content.recipe(fit),
        **(_of_draws(fit, table) if fit.has_draws else _of_estimates(fit, table)),
    }


def _of_draws(fit: Fit, table: pd.DataFrame) -> dict[str, Any]:
    convergence = fit.convergence
    return {
        "verdict": content.verdict(convergence.verdict),
        "opening": content.opening(fit, table, convergence),
        "priors": content.prior_table(fit.model),
        "checks": content.check_table(convergence),
        "search": figures.chain_pictures(fit) if fit.has_chains else [],
        "no_chains": content.without_chains(fit),
        "chain_columns": content.chain_columns(table),
        "groups": content.parameter_groups(fit, table),
        "loo": content.loo_summary(fit),
    }


def _of_estimates(fit: Fit, table: pd.DataFrame) -> dict[str, Any]:
    return {
        "verdict": content.verdict(fit.verdict),
        "opening": likelihood.opening(fit, table),
        "priors": content.prior_table(fit.model) if likelihood.priors_count(fit) else [],
        "checks": likelihood.check_table(fit),
        "search": figures.search_pictures(fit),
        "no_chains": "",
        "chain_columns": [],
        "groups": likelihood.parameter_groups(fit, table),
        "maximised": fit.likelihood.maximised,
        "criteria": likelihood.criteria(fit),
        "shrinkage": likelihood.shrinkage_table(fit),
        "correlation": likelihood.correlation_table(fit),
        "residuals": figures.residual_pictures(fit),
        "unweighted": likelihood.unweighted(fit),
    }
