"""The case bootstrap and likelihood profiles of a fit that maximised a likelihood."""

import re
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from scipy import optimize, stats

from bayesnlme._types import Floats
from bayesnlme.errors import FitError, did_you_mean
from bayesnlme.inference.likelihood import method_of
from bayesnlme.inference.maximise import Maximum, best
from bayesnlme.inference.options import require_count, require_share
from bayesnlme.inference.refit import Refitter
from bayesnlme.results.fit import Fit, require_fit

FURTHEST = 50.0
"""So many standard errors away a profile's end is given up."""

_TRANSFORMED = re.compile(r"__(\[\d+\])?$")
_CHUNKS = 8
_FAR, _HUGE = 700.0, 1e300
"""So far out on an unconstrained scale, whose exponential no float exceeds by much."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bootstrap:
    """Estimates of resampled subjects.

    Attributes
    ----------
    replicates : DataFrame
        A row for each replicate, a column for each estimate, and ``converged``.
    estimates : Series
        The fit's own.
    """

    replicates: pd.DataFrame
    estimates: pd.Series

    def summary(self, *, interval: float = 0.95) -> pd.DataFrame:
        """Tabulate the replicates that converged.

        Returns
        -------
        DataFrame
            A row for each estimate; columns ``estimate`` (the fit's), ``mean``, ``se`` (SD of the
            replicates), ``bias``, ``lower``, ``upper`` (percentiles). ``.attrs`` says how many
            converged.
        """
        require_share("summary", "interval", interval)
        sound = self.replicates["converged"].to_numpy(dtype=bool)
        kept = self.replicates.loc[sound].drop(columns="converged")
        tail = (1 - interval) / 2
        table = pd.DataFrame(
            {
                "estimate": self.estimates,
                "mean": kept.mean(),
                "se": kept.std(),
                "bias": kept.mean() - self.estimates,
                "lower": kept.quantile(tail),
                "upper": kept.quantile(1 - tail),
            }
        )
        table.attrs["converged"] = f"{sound.sum()} of {sound.size}"
        return table

    def __repr__(self) -> str:
        table = self.summary()
        numbers = table.to_string(float_format="{:.4g}".format)
        return (
            f"Case bootstrap: {table.attrs['converged']} replicates converged; lower and upper are "
            f"95 % percentiles\n{numbers}"
        )


def bootstrap(fit: Fit, *, n: int = 200, seed: int, executor: Executor | None = None) -> Bootstrap:
    """Fit again to subjects drawn with replacement.

    A subject drawn twice counts twice in the likelihood, so one compiled model does for all
    replicates; each search starts at the fit's estimates.

    Parameters
    ----------
    fit : Fit
        A fit that maximised a likelihood.
    n : int
        Replicates.
    seed : int
        Seed of the draws. The result does not depend on the executor.
    executor : concurrent.futures.Executor, optional
        What runs the replicates, Dask's included; one after the other unless given. Each of its
        processes compiles the model once.

    Raises
    ------
    FitError
        If the fit has draws.
    """
    require_fit(fit)
    require_count("bootstrap", "n", n)
    require_count("bootstrap", "seed", seed, least=0)
    count = fit.data.n_subjects
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(count, np.full(count, 1 / count), size=n).astype(float)
    if executor is None:
        found = _replicates(Refitter.of(fit), weights)
    else:
        parts = np.array_split(weights, min(n, _CHUNKS * _workers(executor)))
        recipe = _Recipe(fit)
        found = [each for part in executor.map(recipe, parts) for each in part]
    return Bootstrap(replicates=pd.DataFrame(found), estimates=fit.estimates)


def _workers(executor: Executor) -> int:
    return int(getattr(executor, "_max_workers", 4))


class _Recipe:
    """Refits in another process, from the fit's model, table and parameters."""

    def __init__(self, fit: Fit) -> None:
        self._fit = fit

    def __call__(self, weights: Floats) -> list[dict[str, Any]]:
        return _replicates(_compiled_once(self._fit), weights)


@lru_cache(maxsize=4)
def _compiled_once(fit: Fit) -> Refitter:
    return Refitter.of(fit)


def _replicates(refitter: Refitter, weights: Floats) -> list[dict[str, Any]]:
    found = []
    for each in weights:
        maximum = refitter.maximum(weights=each, start=refitter.inside)
        estimates = refitter.estimates(maximum.theta[None])
        row: dict[str, Any] = {name: float(values[0]) for name, values in estimates.items()}
        found.append(row | {"converged": maximum.converged})
    return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Profile:
    """The profile of the likelihood along one estimate.

    Attributes
    ----------
    name : str
        The estimate.
    lower, upper : float
        Ends of the interval; infinite, or what bounds the parameter, where the likelihood does not
        fall enough.
    unlimited : tuple of str
        Which of ``"lower"`` and ``"upper"`` is no limit for that reason.
    interval : float
        Its nominal coverage.
    table : DataFrame
        Points of the profile: ``value`` of the estimate and ``ofv``, in order of the value.
    """

    name: str
    lower: float
    upper: float
    unlimited: tuple[str, ...] = ()
    interval: float
    table: pd.DataFrame

    @property
    def verdict(self) -> str:
        """The interval in words, and where it has no end."""
        words = (
            f"{self.name}: {self.lower:.4g} to {self.upper:.4g} by its profile likelihood "
            f"({100 * self.interval:g} %)."
        )
        return " ".join([words, *map(self._no_limit, self.unlimited)])

    def __repr__(self) -> str:
        numbers = self.table.to_string(index=False, float_format="{:.4f}".format)
        return f"{self.verdict}\n{numbers}"

    def _no_limit(self, side: str) -> str:
        rises = self.table["ofv"].iloc[[0, -1]] - self.table["ofv"].min()
        rise, asked = rises.iloc[0 if side == "lower" else 1], stats.chi2.ppf(self.interval, 1)
        end = self.lower if side == "lower" else self.upper
        return (
            f"There is no {side} limit: towards {end:g} the OFV rises by {rise:.2f} and not by the "
            f"{asked:.2f} that would end the interval."
        )


def profile(fit: Fit, name: str, *, interval: float = 0.95) -> Profile:
    """Profile the likelihood along one estimate, all others maximised again at each point.

    Parameters
    ----------
    fit : Fit
        A fit that maximised a likelihood and converged.
    name : str
        An estimate, as in ``fit.estimates``.
    interval : float
        Nominal coverage of the interval, where the OFV has risen by the quantile of chi-square with
        one degree of freedom.

    Raises
    ------
    FitError
        If the fit has draws or no top, or the estimate is made of several parameters.
    """
    require_fit(fit)
    require_share("profile", "interval", interval)
    method_of(fit.method)
    if not fit.converged:
        raise FitError(f"A profile needs the largest likelihood. {fit.verdict}")
    return _Profiler(fit, name, _parameter_of(fit, name)).profile(interval)


class _Profiler:
    """Walks along one parameter, on its unconstrained scale."""

    def __init__(self, fit: Fit, name: str, k: int) -> None:
        self._refitter = Refitter.of(fit)
        self._name, self._k = name, k
        group = fit.tree["likelihood"].to_dataset()
        self._bounded = bool(_TRANSFORMED.search(str(group["parameter"].values[k])))
        curved = group["hessian"].values
        free = np.isfinite(np.diag(curved))
        inverse = np.linalg.inv(curved[np.ix_(free, free)])
        place = int(np.flatnonzero(np.flatnonzero(free) == self._k)[0])
        self._slope = inverse[:, place] / inverse[place, place]
        self._free, self._se = free, float(np.sqrt(inverse[place, place]))
        self._top = -float(fit.likelihood.log_likelihood)
        self._points = {0.0: (0.0, self._refitter.theta)}

    def profile(self, interval: float) -> Profile:
        """Find both ends."""
        target = float(np.sqrt(stats.chi2.ppf(interval, 1)))
        ends = {side: self._end(side, target) for side in (-1, 1)}
        offsets = sorted(self._points)
        thetas = np.stack([self._points[each][1] for each in offsets])
        values = self._refitter.estimates(thetas)[self._name]
        ofv = [2 * self._top + self._points[each][0] ** 2 for each in offsets]
        table = pd.DataFrame({"value": values, "ofv": ofv}).sort_values("value", ignore_index=True)
        found = sorted((self._value_at(end), bool(np.isinf(end))) for end in ends.values())
        return Profile(
            name=self._name,
            lower=found[0][0],
            upper=found[1][0],
            unlimited=tuple(
                side for side, (_, open_) in zip(("lower", "upper"), found, strict=True) if open_
            ),
            interval=interval,
            table=table,
        )

    def _end(self, side: int, target: float) -> float:
        """Return how many standard errors away the root of the deviance is as large as asked."""
        reach = target
        while abs(self._root(side * reach)) < target:
            reach *= 1.5
            if reach > FURTHEST:
                return side * np.inf
        return float(
            optimize.brentq(lambda t: abs(self._root(t)) - target, 0.0, side * reach, xtol=1e-3)
        )

    def _root(self, offset: float) -> float:
        """Return the signed root of the rise in OFV, so many standard errors away."""
        if offset not in self._points:
            maximum = self._maximum(offset)
            rise = 2 * (maximum.trace[-1][0] - self._top)
            self._points[offset] = float(np.sqrt(max(rise, 0.0))) * np.sign(offset), maximum.theta
        return self._points[offset][0]

    def _maximum(self, offset: float) -> Maximum:
        """Maximise there: from the nearest point, along the top's ridge or straight."""
        nearest = min(self._points, key=lambda each: abs(each - offset))
        held = np.arange(self._refitter.theta.size) == self._k
        far = (offset - nearest) * self._se
        along = np.where(held, far, 0.0)
        along[self._free] = self._slope * far
        found = self._refitter.maximum(held=held, start=self._points[nearest][1] + along)
        if found.converged:
            return found
        straight = np.where(held, far, 0.0)
        other = self._refitter.maximum(held=held, start=self._points[nearest][1] + straight)
        return best([found, other])

    def _value_at(self, offset: float) -> float:
        if np.isinf(offset):
            return self._bound(np.sign(offset))
        theta = self._refitter.theta.copy()
        theta[self._k] += offset * self._se
        return float(self._refitter.estimates(theta[None])[self._name][0])

    def _bound(self, side: float) -> float:
        """Return what the estimate approaches where its parameter goes to infinity."""
        if not self._bounded:
            return float(side * np.inf)
        theta = self._refitter.theta.copy()
        theta[self._k] = side * _FAR
        value = float(self._refitter.estimates(theta[None])[self._name][0])
        if abs(value) > _HUGE:
            return float(np.copysign(np.inf, value))
        return 0.0 if abs(value) < 1 / _HUGE else value


def _parameter_of(fit: Fit, name: str) -> int:
    """Return the place of the one parameter that an estimate is made of."""
    group = fit.tree["likelihood"].to_dataset()
    known = group["estimate"].values.tolist()
    if name not in known:
        raise FitError(f"There is no estimate {name!r}. {did_you_mean(name, known)}")
    slopes = group["jacobian"].values[known.index(name)]
    places = np.flatnonzero(np.abs(slopes) > 1e-7 * np.abs(slopes).max())
    if places.size != 1:
        raise FitError(
            f"{name} is made of several parameters: profile one that is made of one, or use the "
            "bootstrap."
        )
    if group["at_bound"].values[places[0]]:
        raise FitError(f"{name} is at a bound: there is no top to profile.")
    return int(places[0])
