"""What a likelihood says besides the estimates: its value, criteria, standard errors, shrinkage."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats

from bayesnlme import names
from bayesnlme._types import Floats
from bayesnlme.data import Dataset
from bayesnlme.errors import FitError, did_you_mean
from bayesnlme.model.model import Model
from bayesnlme.results.summary import cv_percent

type CovarianceKind = Literal["hessian", "scores", "sandwich"]

LOG_2PI = float(np.log(2 * np.pi))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Likelihood:
    """The likelihood part of a fit.

    Attributes
    ----------
    model : Model
        The model.
    data : Dataset
        The table.
    tree : xarray.DataTree
        The fit's, with the groups ``estimates``, ``likelihood``, ``individual`` and ``residuals``.
    """

    model: Model
    data: Dataset
    tree: xr.DataTree

    def _group(self, name: str) -> xr.Dataset:
        return self.tree[name].to_dataset()

    @property
    def by_subject(self) -> xr.DataArray:
        """Log marginal likelihood of each subject, dim ``subject``, constants included."""
        return self._group("likelihood")["log_likelihood"]

    @property
    def log_likelihood(self) -> float:
        """Log likelihood, all constants included."""
        return float(self.by_subject.sum())

    @property
    def n_parameters(self) -> int:
        """Number of estimated population parameters."""
        return int(self._group("likelihood").sizes["parameter"])

    @property
    def ofv(self) -> float:
        """Objective function value: -2 log likelihood, all constants included."""
        return -2.0 * self.log_likelihood

    @property
    def monte_carlo_errors(self) -> pd.Series:
        """Monte-Carlo errors of the estimates of SAEM, as shares of their standard errors.

        Raises
        ------
        FitError
            If no random numbers are in the estimates.
        """
        group = self._group("likelihood")
        if "monte_carlo_error" not in group:
            raise FitError(f"{self.title} draws no random numbers on its way to its estimates.")
        errors = np.abs(group["jacobian"].values) @ group["monte_carlo_error"].fillna(0.0).values
        return pd.Series(errors, self.estimates().index) / self.standard_errors()

    @property
    def ofv_error(self) -> float:
        """Monte-Carlo standard error of the OFV; zero where no random numbers are in it."""
        group = self._group("likelihood")
        if "log_likelihood_error" not in group:
            return 0.0
        return 2.0 * float(np.sqrt((group["log_likelihood_error"] ** 2).sum()))

    @property
    def pareto_k(self) -> xr.DataArray:
        """Tail index of each subject's weights, dim ``subject``; above 0.7 the OFV is no guide.

        Raises
        ------
        FitError
            If the likelihood was not sampled.
        """
        group = self._group("likelihood")
        if "pareto_k" not in group:
            raise FitError(f"{self.title} weighs no draws: there is no Pareto k.")
        return group["pareto_k"]

    @property
    def maximised(self) -> bool:
        """Whether the estimates are those of this likelihood's top, not given to it."""
        return "hessian" in self._group("likelihood")

    @property
    def ofv_without_constant(self) -> float:
        r"""The objective function value less :math:`n \log 2\pi`, as NONMEM prints it.

        n counts the observations of continuous outcomes that are not censored.
        """
        observed = self.data.observations
        continuous = np.array(
            [self.model.observations[each].scale == "continuous" for each in self.data.outputs]
        )
        exact = continuous[observed.output] & ~observed.censored
        return self.ofv - float(exact.sum()) * LOG_2PI

    @property
    def has_criteria(self) -> bool:
        """Whether AIC and BIC mean something: not where another density was maximised."""
        return self.maximised or "pareto_k" in self._group("likelihood")

    @property
    def aic(self) -> float:
        """Akaike's criterion: OFV + 2 p.

        Raises
        ------
        FitError
            Like the other criteria, where another density was maximised than the likelihood.
        """
        self._require_criteria()
        return self.ofv + 2.0 * self.n_parameters

    @property
    def aicc(self) -> float:
        """Akaike's criterion corrected for few subjects N: AIC + 2 p (p + 1) / (N - p - 1).

        Infinite where there are not more subjects than parameters and one.
        """
        p, left = self.n_parameters, self.data.n_subjects - self.n_parameters - 1
        return self.aic + 2.0 * p * (p + 1) / left if left > 0 else np.inf

    @property
    def bic(self) -> float:
        """Schwarz's criterion with the number of subjects: OFV + p log N."""
        self._require_criteria()
        return self.ofv + self.n_parameters * float(np.log(self.data.n_subjects))

    @property
    def bicc(self) -> float:
        """Schwarz's criterion corrected for mixed effects [Delattre2014]_.

        Parameters of individual parameters that have random effects cost log N (subjects), the
        others log n (observations).
        """
        self._require_criteria()
        random = sum(self._is_random(each) for each in self.parameter_names)
        fixed = self.n_parameters - random
        counted = random * np.log(self.data.n_subjects) + fixed * np.log(self.data.n_observations)
        return self.ofv + float(counted)

    def criteria(self) -> pd.Series:
        """Return OFV, AIC and BIC by name, with their variants; OFV alone of a joint mode."""
        found = {"OFV": self.ofv, "OFV without n log 2 pi": self.ofv_without_constant}
        if self.has_criteria:
            found |= {"AIC": self.aic, "AICc": self.aicc, "BIC": self.bic, "BICc": self.bicc}
        return pd.Series(found)

    def _require_criteria(self) -> None:
        if not self.has_criteria:
            raise FitError(
                f"{self.title} maximises another density than the likelihood, so there is no AIC "
                "or BIC: use bn.FOCE(), bn.Laplace(), bn.Quadrature() or bn.SAEM()."
            )

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names of the entries of the vector of parameters, on their unconstrained scales."""
        return tuple(self._group("likelihood")["parameter"].values.tolist())

    def estimates(self) -> pd.Series:
        """Return the estimates by name, on their natural scales."""
        values = self._group("likelihood")["estimate_value"]
        return pd.Series(values.values, index=list(values["estimate"].values), name="estimate")

    def covariance(self, kind: CovarianceKind = "hessian") -> pd.DataFrame:
        r"""Return the covariance matrix of the estimates, on their natural scales.

        Parameters
        ----------
        kind : "hessian", "scores" or "sandwich"
            The inverse of the negative Hessian R of the log likelihood, of the sum S of the outer
            products of the subjects' scores, or :math:`R^{-1} S R^{-1}`, which holds where the
            model is not true. Those of the unconstrained scales are carried over by the delta
            method. Not a number for an estimate at a bound.

        Raises
        ------
        FitError
            If there is no such kind, or the likelihood was evaluated at given estimates.
        """
        require_kind(kind)
        self._require_maximum("standard errors")
        if kind != "hessian" and self.data.n_subjects <= self.n_parameters:
            raise FitError(
                f"The covariance {kind!r} needs more subjects than parameters, and there are "
                f"{self.data.n_subjects} and {self.n_parameters}: use 'hessian'."
            )
        group = self._group("likelihood")
        jacobian = group["jacobian"].values
        inner = self._unconstrained(kind)
        at_bound = group["at_bound"].values.astype(bool)
        kept = np.where(at_bound, 0.0, jacobian)
        natural = kept @ np.nan_to_num(inner) @ kept.T
        lost = (np.abs(jacobian[:, at_bound]) > 0).any(axis=1) | ~np.isfinite(natural.diagonal())
        if not np.isfinite(inner[np.ix_(~at_bound, ~at_bound)]).all():
            lost[:] = True
        natural[lost] = natural[:, lost] = np.nan
        labels = list(group["estimate"].values)
        return pd.DataFrame(natural, index=labels, columns=labels)

    def standard_errors(self, kind: CovarianceKind = "hessian") -> pd.Series:
        """Return the standard errors of the estimates; see :meth:`covariance`."""
        variances = self.covariance(kind)
        with np.errstate(invalid="ignore"):
            found = np.sqrt(np.diag(variances))
        return pd.Series(found, index=variances.index, name="se")

    def correlation(self, kind: CovarianceKind = "hessian") -> pd.DataFrame:
        """Return the correlations between the estimates; see :meth:`covariance`."""
        covariance = self.covariance(kind)
        size = self.standard_errors(kind).to_numpy()
        return covariance.div(size, axis=0).div(size, axis=1)

    def condition_number(self, kind: CovarianceKind = "hessian") -> float:
        """Return the largest over the smallest eigenvalue of the correlations of the estimates.

        Estimates at a bound are left out; above 1000 the model asks for more than the data say.
        """
        correlation = self.correlation(kind)
        known = correlation.index[np.isfinite(np.diag(correlation))]
        if known.empty:
            return np.nan
        values = np.linalg.eigvalsh(correlation.loc[known, known])
        return float(values[-1] / values[0]) if values[0] > 0 else np.inf

    @property
    def title(self) -> str:
        """The method in words: ``"FOCEI"``."""
        return str(self._group("likelihood").attrs["title"])

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong, in words with what to do; empty for a sound fit."""
        return tuple(self._group("likelihood").attrs["problems"].splitlines())

    @property
    def at_bound(self) -> tuple[str, ...]:
        """Estimates whose likelihood has no top, only an approach to a bound, where they are."""
        group = self._group("likelihood")
        if not self.maximised:
            return ()
        bound = group["at_bound"].values.astype(bool)
        moved = (np.abs(group["jacobian"].values[:, bound]) > 0).any(axis=1)
        return tuple(group["estimate"].values[moved].tolist())

    @property
    def verdict(self) -> str:
        """How the search ended, in words and numbers."""
        attributes = self._group("likelihood").attrs
        if self.problems:
            return "NOT CONVERGED. " + " ".join(self.problems)
        error = f" +- {self.ofv_error:.2g}" if self.ofv_error else ""
        if not self.maximised:
            return (
                f"{attributes['words']} OFV {self.ofv:.3f}{error} ({self.ofv_without_constant:.3f} "
                "without n log 2 pi). No standard errors belong to these estimates."
            )
        words = (
            f"Converged: {self.title} in {attributes['iterations']} steps, OFV "
            f"{self.ofv:.3f}{error} ({self.ofv_without_constant:.3f} without n log 2 pi), "
            f"condition number {self.condition_number():.3g}."
        )
        if self.at_bound:
            words += f" At a bound: {', '.join(self.at_bound)}; no standard errors there."
        return " ".join([words, attributes.get("notes", "")]).strip()

    @property
    def trace(self) -> pd.DataFrame:
        """Estimates after each step, and the OFV (with the prior's part, where priors count).

        SAEM knows no OFV on its way.

        Raises
        ------
        FitError
            If the likelihood was evaluated at given estimates.
        """
        self._require_maximum("steps")
        group = self._group("likelihood")
        table = pd.DataFrame(group["trace"].values, columns=list(group["estimate"].values))
        if "trace_ofv" in group:
            table.insert(0, "ofv", group["trace_ofv"].values)
        table.index.name = "iteration"
        return table

    @property
    def shrinkage(self) -> pd.DataFrame:
        r"""Shrinkage of the modes, in percent, a row for each random effect and each output.

        ``sd``: :math:`1 - \mathrm{SD}(\hat\eta)/\omega`, ``variance``: :math:`1 -
        \mathrm{var}(\hat\eta)/\omega^2`, ``conditional``: the mean conditional variance over
        :math:`\omega^2`. For outputs :math:`1 - \mathrm{SD}(\mathrm{IWRES})` [Savic2009]_.
        """
        rows = {}
        individual, estimates = self._group("individual"), self._group("estimates")
        for layer in self.model.layers:
            for name in layer.effects:
                where = {layer.names.effect: name}
                modes = individual[layer.names.effects].sel(where).values
                sd = float(estimates[layer.names.sd].sel(where))
                spread = _spread(modes) / sd if sd > 0 else np.nan
                width = np.nan
                if f"{layer.names.effects}_variance" in individual:
                    width = float(
                        individual[f"{layer.names.effects}_variance"].sel(where).mean() / sd**2
                    )
                rows[layer.names.of_parameter(name)] = (1 - spread, 1 - spread**2, width)
        residuals = self._group("residuals")
        for number, output in enumerate(self.data.outputs):
            if "IWRES" in residuals:
                at = self.data.observations.output == number
                spread = _spread(residuals["IWRES"].values[at])
                rows[output] = (1 - spread, 1 - spread**2, np.nan)
        columns = ["sd", "variance", "conditional"]
        return 100.0 * pd.DataFrame.from_dict(rows, orient="index", columns=columns)

    def table(self, interval: float, kind: CovarianceKind) -> pd.DataFrame:
        """Tabulate the estimates; see :meth:`bayesnlme.results.fit.Fit.summary`."""
        if kind != "hessian":
            self._require_maximum("standard errors")
        estimates = self.estimates()
        columns: dict[str, Any] = {"estimate": estimates}
        if self.maximised:
            errors = self.standard_errors(kind)
            lower, upper = self._interval(estimates, errors, interval)
            columns |= {"se": errors, "rse_percent": 100.0 * errors / estimates.abs()}
            columns |= {"lower": lower, "upper": upper}
        columns |= {"cv_percent": np.nan, "shrinkage_percent": np.nan}
        columns["unit"] = self._group("likelihood")["unit"].values.astype(str)
        table = pd.DataFrame(columns, index=estimates.index)
        shrinkage = self.shrinkage["sd"]
        for layer in self.model.layers:
            for name in layer.effects:
                row = layer.names.sd_entry(name)
                if row not in table.index:
                    continue
                table.loc[row, "shrinkage_percent"] = shrinkage[layer.names.of_parameter(name)]
                if self.model.parameters[name].kind == "LogNormal" and name not in layer.shapes:
                    omega = xr.DataArray(estimates[row])
                    table.loc[row, "cv_percent"] = float(cv_percent(omega))
        table.attrs["interval"] = f"Wald {interval:.0%}, by {kind}" if self.maximised else "none"
        return table

    def _require_maximum(self, what: str) -> None:
        if not self.maximised:
            raise FitError(f"{self.title} maximises no likelihood: there are no {what}.")

    def _interval(
        self, estimates: pd.Series, errors: pd.Series, interval: float
    ) -> tuple[Floats, Floats]:
        """Return Wald's interval: on the log scale, Fisher's z or the natural scale."""
        scale = self._group("likelihood")["scale"].values.astype(str)
        at, se = estimates.to_numpy(), errors.to_numpy()
        reach = float(stats.norm.ppf(0.5 + interval / 2))
        lower, upper = at - reach * se, at + reach * se
        with np.errstate(all="ignore"):
            factor = np.exp(reach * se / np.abs(at))
            lower = np.where(scale == "log", at / factor, lower)
            upper = np.where(scale == "log", at * factor, upper)
            z, width = np.arctanh(at), reach * se / (1 - at**2)
            lower = np.where(scale == "correlation", np.tanh(z - width), lower)
            upper = np.where(scale == "correlation", np.tanh(z + width), upper)
        return lower, upper

    def _unconstrained(self, kind: CovarianceKind) -> Floats:
        """Return the covariance on the unconstrained scales; not a number at bounds."""
        group = self._group("likelihood")
        free = ~group["at_bound"].values.astype(bool)
        where = np.ix_(free, free)
        hessian = group["hessian"].values[where]
        scores = group["score"].values[:, free]
        crossed = scores.T @ scores
        found = np.full((free.size, free.size), np.nan)
        try:
            if kind == "scores":
                found[where] = np.linalg.inv(crossed)
            elif (np.linalg.eigvalsh(hessian) > 0).all():
                inverse = np.linalg.inv(hessian)
                found[where] = inverse if kind == "hessian" else inverse @ crossed @ inverse
        except np.linalg.LinAlgError:
            pass
        return found

    def _is_random(self, parameter: str) -> bool:
        """Say whether a population parameter belongs to one that has random effects."""
        layers = self.model.layers
        owners = {name for layer in layers for name in layer.effects}
        if parameter.startswith(tuple(layer.names.sd for layer in layers)):
            return True
        if any(
            parameter.startswith(layer.names.partial(b)) for layer in layers for b in layer.blocks
        ):
            return True
        typical = {names.typical(each) for each in owners}
        moved = {
            names.coefficient(owner, effect.covariate)
            for owner in owners
            for effect in self.model.parameters[owner].covariates
        }
        return parameter.startswith(tuple(typical | moved))


def require_kind(kind: object) -> None:
    """Refuse what is no kind of covariance.

    Raises
    ------
    FitError
        Saying what there is.
    """
    known = get_args(CovarianceKind.__value__)
    if kind not in known:
        raise FitError(f"There is no covariance {kind!r}. {did_you_mean(str(kind), known)}")


def _spread(values: Floats) -> float:
    """Return the SD; not a number of fewer than two."""
    return float(values.std(ddof=1)) if len(values) > 1 else np.nan
