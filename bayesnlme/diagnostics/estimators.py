"""Every estimator on one model and table: what they say, and where linearisation fails."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd

from bayesnlme.data import Dataset
from bayesnlme.errors import BayesNLMEError, InterruptedFitError, ModelError
from bayesnlme.graph.build import Population, build
from bayesnlme.inference.fit import Method, fit, require_method
from bayesnlme.inference.likelihood import FO, FOCE, Laplace, Quadrature
from bayesnlme.inference.nuts import NUTS
from bayesnlme.inference.saem_options import SAEM
from bayesnlme.inference.variational import Variational
from bayesnlme.marginal.conditional import Conditional
from bayesnlme.model.model import Model
from bayesnlme.results.fit import Fit
from bayesnlme.results.status import Status

SHARE = 0.2
"""So many standard errors apart an approximation has failed."""

MOST_NODES = 1000
POINTS = (7, 5, 3)
REFERENCES = ("Quadrature", "Laplace")
APPROXIMATIONS = ("FO", "FOCE", "FOCEI", "Laplace")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EstimatorComparison:
    """What several estimators say of one model and table.

    Attributes
    ----------
    fits : mapping of str to Fit
        By the title of the method.
    refused : mapping of str to str
        Why a method gave nothing, by its title.
    seconds : mapping of str to float
        Wall time of each, compilation included.
    """

    fits: Mapping[str, Fit]
    refused: Mapping[str, str]
    seconds: Mapping[str, float]

    def __post_init__(self) -> None:
        for name in ("fits", "refused", "seconds"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    @property
    def table(self) -> pd.DataFrame:
        """A row for each estimate; columns ``estimate`` and ``se`` of each method.

        Of draws the mean and the SD. Not a number where a method has no standard error.
        """
        columns = {}
        for title, each in self.fits.items():
            estimates, errors = _lined_up(each)
            columns[title, "estimate"], columns[title, "se"] = estimates, errors
        if not columns:
            return pd.DataFrame()
        rows = max((each.estimates.index for each in self.fits.values()), key=len)
        return pd.DataFrame(columns).reindex(rows)

    @property
    def overview(self) -> pd.DataFrame:
        """A row for each method: ``ofv``, ``ofv_error``, ``seconds``, ``status``, ``reason``."""
        rows = {}
        for title, each in self.fits.items():
            ofv = (np.nan, np.nan)
            if not each.has_draws:
                ofv = (each.ofv, each.likelihood.ofv_error)
            words = "" if each.converged else each.verdict
            rows[title] = (*ofv, self.seconds[title], str(each.status), words)
        for title, reason in self.refused.items():
            rows[title] = (np.nan, np.nan, np.nan, "refused", reason)
        columns = ["ofv", "ofv_error", "seconds", "status", "reason"]
        return pd.DataFrame.from_dict(rows, orient="index", columns=columns)

    @property
    def reference(self) -> str | None:
        """The method that the approximations are held against: quadrature, else Laplace."""
        sound = [name for name in REFERENCES if name in self.fits and self.fits[name].converged]
        return sound[0] if sound else None

    @property
    def distances(self) -> pd.DataFrame:
        """How far each approximation's estimates are from the reference's, in standard errors.

        Signed; a row for each estimate and a column for each approximation that converged. Not a
        number where the reference has no standard error.
        """
        if self.reference is None:
            return pd.DataFrame()
        centre, errors = _lined_up(self.fits[self.reference])
        found = {}
        for title in APPROXIMATIONS:
            known = title in self.fits and self.fits[title].converged
            if known and title != self.reference:
                found[title] = (_lined_up(self.fits[title])[0] - centre) / errors
        return pd.DataFrame(found)

    @property
    def failing(self) -> tuple[str, ...]:
        """The approximations with an estimate more than 0.2 standard errors from the reference."""
        return tuple(
            str(title) for title, each in self.distances.items() if (each.abs() > SHARE).any()
        )

    @property
    def verdict(self) -> str:
        """Where approximations fail, in words and numbers."""
        return " ".join([*self._on_approximations(), *self._on_the_rest()])

    def __repr__(self) -> str:
        kept = self.overview.drop(columns="reason")
        numbers = (each.to_string(float_format="{:.4g}".format) for each in (kept, self.table))
        return "\n\n".join([self.verdict, *numbers])

    def _on_approximations(self) -> list[str]:
        if self.reference is None:
            return [
                "Nothing to hold the approximations against: neither quadrature nor Laplace "
                "gave a final result."
            ]
        words = []
        for title, apart in self.distances.items():
            name = str(title)
            worst = str(apart.abs().idxmax()) if apart.notna().any() else ""
            told = f"{apart[worst]:+.2f} standard errors in {worst}" if worst else "unknown"
            off = self.fits[name].ofv - self.fits[self.reference].ofv
            lead = f"{name} is {told} from {self.reference} at the most, its OFV {off:+.3f}"
            if name in self.failing:
                what = "Laplace's expansion" if name == "Laplace" else "linearisation"
                words.append(f"{lead}: {what} fails here.")
            else:
                words.append(f"{lead}.")
        if self.reference == "Laplace" and words:
            words.append("Laplace is an approximation itself; there is no quadrature to judge it.")
        return words

    def _on_the_rest(self) -> list[str]:
        words = [
            f"{title} is no final result and is not compared."
            for title, each in self.fits.items()
            if not each.converged
        ]
        return words + [f"{title} gave nothing: {why}" for title, why in self.refused.items()]


def compare_estimators(
    model: Model,
    data: Dataset,
    methods: Sequence[Method] | None = None,
    *,
    seed: int,
    progress: bool = True,
) -> EstimatorComparison:
    """Fit one model by every method and line the answers up.

    Linearisation fails where an estimate of FO or FOCE is more than 0.2 standard errors from that
    of quadrature (of Laplace where there is no quadrature): a bias that repeating the study would
    not show.

    Parameters
    ----------
    model : Model
        The model.
    data : Dataset
        The table.
    methods : sequence of methods, optional
        Unless given: FO, FOCE with and without interaction, Laplace, quadrature with as many points
        as 1000 nodes allow (none above six random effects of a subject), SAEM, the variational
        approximation and NUTS.
    seed : int
        Seed of every fit.
    progress : bool
        Whether to show progress bars on standard error.

    Returns
    -------
    EstimatorComparison
        With ``verdict``, ``table``, ``overview`` and the fits. A method that refuses the model, or
        fails, is listed with its reason. Ctrl-C keeps what there is.

    Raises
    ------
    DataError
        If the table cannot be used with the model.
    ModelError
        If something among the methods is none.
    """
    population = build(model, data)
    if methods is not None and (not isinstance(methods, Sequence) or not methods):
        raise ModelError(f"methods={methods!r} must be a list of estimators, such as [bn.FOCE()].")
    chosen = _all_methods(population) if methods is None else list(methods)
    for each in chosen:
        require_method(each)
    fits: dict[str, Fit] = {}
    refused: dict[str, str] = {}
    seconds: dict[str, float] = {}
    for method in chosen:
        title = _unused(method.title, {*fits, *refused})
        began = time.perf_counter()
        try:
            fits[title] = fit(model, data, method=method, seed=seed, progress=progress)
        except KeyboardInterrupt:
            refused[title], interrupted = "It was interrupted.", True
        except (BayesNLMEError, ArithmeticError, ValueError, RuntimeError) as problem:
            refused[title] = str(problem)
            interrupted = isinstance(problem, InterruptedFitError)
        else:
            interrupted = fits[title].status is Status.INTERRUPTED
        seconds[title] = time.perf_counter() - began
        if interrupted:
            break
    return EstimatorComparison(fits=fits, refused=refused, seconds=seconds)


def _all_methods(population: Population) -> list[Method]:
    dimensions = Conditional(population).n_effects
    points = [each for each in POINTS if each**dimensions <= MOST_NODES]
    exact = [Quadrature(points=points[0])] if points else []
    return [FO(), FOCE(interaction=False), FOCE(), Laplace(), *exact, SAEM(), Variational(), NUTS()]


def _unused(title: str, taken: set[str]) -> str:
    """Return a title with a number where it is taken: ``"FOCEI (2)"``."""
    count, found = 1, title
    while found in taken:
        count += 1
        found = f"{title} ({count})"
    return found


def _lined_up(fit: Fit) -> tuple["pd.Series[float]", "pd.Series[float]"]:
    """Return estimates and standard errors."""
    if fit.has_draws:
        table = fit.summary()
        return table["mean"], table["sd"]
    estimates = fit.likelihood.estimates()
    if fit.likelihood.maximised:
        return estimates, fit.likelihood.standard_errors()
    return estimates, pd.Series(np.nan, index=estimates.index)
