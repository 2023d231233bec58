"""The result of a fit: draws, verdict, tables, and everything needed to repeat it."""

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayesnlme import names
from bayesnlme.data import Dataset
from bayesnlme.errors import FitError, did_you_mean
from bayesnlme.model.model import Model
from bayesnlme.results import store, summary
from bayesnlme.results.approximation import Judgement, judge_weights
from bayesnlme.results.convergence import Convergence, assess
from bayesnlme.results.likelihood import CovarianceKind, Likelihood, require_kind
from bayesnlme.results.status import Status


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fit:
    """What a method found for a model and a table.

    Attributes
    ----------
    model : Model
        The model.
    data : Dataset
        The table, its outputs called as the model calls them.
    method : mapping
        The method's name and options.
    seed : int
        Seed of every random number in it.
    status : Status
        How it ended.
    tree : xarray.DataTree
        ArviZ's tree: posterior, sample_stats, log_likelihood, posterior_predictive,
        observed_data, constant_data. Of draws by weights ``approximation`` stands for
        ``sample_stats``. Of a likelihood: estimates, likelihood, individual, residuals,
        observed_data, constant_data.
    provenance : mapping
        Hashes of model and data, versions, flags, times.
    """

    model: Model
    data: Dataset
    method: Mapping[str, Any]
    seed: int
    status: Status
    tree: xr.DataTree
    provenance: Mapping[str, Any]

    def __post_init__(self) -> None:
        object.__setattr__(self, "method", MappingProxyType(dict(self.method)))
        object.__setattr__(self, "provenance", MappingProxyType(dict(self.provenance)))

    @property
    def has_draws(self) -> bool:
        """Whether there are draws of a posterior; otherwise a likelihood was maximised."""
        return "posterior" in self.tree.children

    @property
    def has_chains(self) -> bool:
        """Whether the draws come from chains; otherwise, if there are any, from weights."""
        return "sample_stats" in self.tree.children

    @property
    def posterior(self) -> xr.Dataset:
        """The draws, dims (chain, draw, ...).

        Raises
        ------
        FitError
            If there are none, because a likelihood was maximised.
        """
        require_draws(self)
        return self.tree["posterior"].to_dataset()

    @property
    def likelihood(self) -> Likelihood:
        """The likelihood's part: OFV, criteria, standard errors, shrinkage, trace.

        Raises
        ------
        FitError
            If a posterior was sampled instead.
        """
        if self.has_draws:
            raise FitError(
                f"{self.method['name']} samples a posterior, which has no largest likelihood. Fit "
                "with method=bn.FOCE(), bn.Laplace(), bn.Quadrature() or bn.SAEM()."
            )
        return Likelihood(model=self.model, data=self.data, tree=self.tree)

    @property
    def ofv(self) -> float:
        """Objective function value, -2 log likelihood with all constants."""
        return self.likelihood.ofv

    @property
    def aic(self) -> float:
        """Akaike's criterion, OFV + 2 p."""
        return self.likelihood.aic

    @property
    def bic(self) -> float:
        """Schwarz's criterion with the number of subjects, OFV + p log N."""
        return self.likelihood.bic

    @property
    def convergence(self) -> Judgement:
        """The verdict on the draws: on chains, or on an approximation by its weights.

        Both have ``passed``, ``problems``, ``verdict`` and ``checks``.
        """
        posterior = self.posterior
        if self.has_chains:
            return assess(posterior, self.tree["sample_stats"].to_dataset())
        return judge_weights(self.tree["approximation"].to_dataset(), posterior.sizes["draw"])

    @property
    def converged(self) -> bool:
        """Whether the fit may be read as a final result."""
        return self.status in {Status.CONVERGED, Status.AT_BOUND}

    @property
    def estimates(self) -> pd.Series:
        """Estimates of the population parameters by name: of a posterior its means."""
        return self.summary()["mean"] if self.has_draws else self.likelihood.estimates()

    def summary(
        self, *, interval: float = 0.95, covariance: CovarianceKind = "hessian"
    ) -> pd.DataFrame:
        """Tabulate the population parameters.

        Parameters
        ----------
        interval : float
            Probability of the interval.
        covariance : "hessian", "scores" or "sandwich"
            What the standard errors of a likelihood's estimates are made from, see
            :meth:`Likelihood.covariance`.

        Returns
        -------
        DataFrame
            A row for each typical value, covariate coefficient, random-effect SD, correlation and
            residual magnitude. Of a posterior the columns ``mean``, ``sd``, ``median``, ``lower``,
            ``upper`` (equal-tailed), ``cv_percent`` (the coefficient of variation that an SD on the
            log scale stands for), ``unit``, ``rhat``, ``ess_bulk``, ``ess_tail``, ``mcse_mean``;
            without ``rhat`` and ``ess`` where the draws are no chains, and without ``mcse_mean``
            where their weights may not be believed.
            Of a likelihood ``estimate``, ``se``, ``rse_percent``, ``lower``, ``upper`` (Wald's, of
            positive ones on the log scale, of correlations on Fisher's), ``cv_percent``,
            ``shrinkage_percent``, ``unit``; without ``se`` to ``upper`` where the likelihood was
            evaluated at given estimates. ``.attrs`` holds the interval and the status.

        Raises
        ------
        FitError
            If the interval or the covariance is impossible.
        """
        require_kind(covariance)
        if isinstance(interval, bool) or not isinstance(interval, Real) or not 0 < interval < 1:
            raise FitError(f"interval={interval!r} must be a number between 0 and 1.")
        if self.has_draws and covariance != "hessian":
            raise FitError(f"covariance={covariance!r} is of estimates, and this fit has draws.")
        if self.has_draws:
            table = self._table_of_draws(interval)
        else:
            table = self.likelihood.table(interval, covariance)
        table.attrs["status"] = str(self.status)
        return table

    def _table_of_draws(self, interval: float) -> pd.DataFrame:
        posterior, units = self.posterior, self.data.units
        if self.has_chains:
            return summary.tabulate(self.model, posterior, units, interval)
        found = judge_weights(self.tree["approximation"].to_dataset(), posterior.sizes["draw"])
        table = summary.tabulate(
            self.model, posterior, units, interval, ess=found.ess if found.passed else np.nan
        )
        table.attrs["pareto_k"], table.attrs["verdict"] = found.pareto_k, found.verdict
        return table

    def __repr__(self) -> str:
        counts = f"{self.data.n_subjects} subjects, {self.data.n_observations} observations"
        table = self.summary().drop(columns="mcse_mean", errors="ignore")
        numbers = table.to_string(float_format="{:.4g}".format)
        return (
            f"Fit of {self.model.name} by {self.method['name']} ({counts}), seed {self.seed}\n"
            f"{self.verdict}\n\n{numbers}"
        )

    @property
    def verdict(self) -> str:
        """How the fit ended, in words and numbers."""
        if not self.has_draws:
            return self.likelihood.verdict
        found = self.convergence
        if self.status is Status.INTERRUPTED and isinstance(found, Convergence):
            return found.interrupted(self.method)
        return found.verdict

    def save(self, path: str | Path) -> Path:
        """Write the fit to one netCDF file, whole or not at all; :func:`load` reads it back.

        Parameters
        ----------
        path : str or Path
            Where to, usually ending in ``.nc``. An existing file is replaced.
        """
        return store.write(self, path)

    def individual(self, parameter: str) -> xr.DataArray:
        """Return the draws of an individual parameter, dims (chain, draw, subject).

        Of a likelihood its values at the modes of the random effects, dim ``subject``.

        Where it depends on a covariate that varies within a subject, the last dim is ``interval``,
        labelled by subject and start such as ``"7@24"``.

        Raises
        ------
        FitError
            If the model has no such parameter.
        """
        if parameter not in self.model.parameters:
            near = did_you_mean(str(parameter), self.model.parameters)
            raise FitError(f"The model has no parameter {parameter!r}. {near}")
        return self.tree["posterior" if self.has_draws else "individual"].to_dataset()[parameter]

    @property
    def predictions(self) -> xr.DataArray:
        """Individual predictions at the observations, dims (chain, draw, observation).

        Of a likelihood those at the modes of the random effects, dim ``observation``.
        """
        if not self.has_draws:
            return self.tree["individual"].to_dataset()[names.PREDICTION]
        return self.posterior[names.PREDICTION]

    def observation_frame(self) -> pd.DataFrame:
        """Tabulate the observations: subject, output, time, value and row of the table."""
        observed = self.data.observations
        return pd.DataFrame(
            {
                "subject": np.array(self.data.subjects, dtype=object)[observed.subject],
                "output": np.array(self.data.outputs, dtype=object)[observed.output],
                "time": observed.time,
                "value": observed.value,
                "row": observed.row,
            }
        )


def load(path: str | Path) -> Fit:
    """Read a fit that :meth:`Fit.save` wrote; nothing in the file is run.

    Raises
    ------
    StoreError
        If the file is not a fit, was written in a newer format, or was changed since.
    """
    return Fit(**store.read(path))


def require_fit(given: object) -> None:
    """Refuse what is no fit.

    Raises
    ------
    FitError
        Saying what was given.
    """
    if not isinstance(given, Fit):
        raise FitError(
            "This needs a Fit, as bn.fit(...) or bn.load(...) gives it, "
            f"not {type(given).__name__}."
        )


def require_draws(given: object) -> None:
    """Refuse what is no fit, and a fit without draws of a posterior.

    Raises
    ------
    FitError
        Saying what was given.
    """
    require_fit(given)
    if isinstance(given, Fit) and not given.has_draws:
        raise FitError(
            f"{given.method['name']} gives estimates and no draws of a posterior; use "
            "method=bn.NUTS() for these."
        )


def require_chains(given: object) -> None:
    """Refuse what is no fit, and a fit whose draws do not come from chains.

    Raises
    ------
    FitError
        Saying what was given.
    """
    require_draws(given)
    if isinstance(given, Fit) and not given.has_chains:
        raise FitError(
            f"The draws of {given.method['name']} do not come from chains: there are none to "
            "compare. Read fit.convergence instead."
        )
