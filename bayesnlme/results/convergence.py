"""The verdict on a sampler's draws, in numbers and in words.

Thresholds: rank-normalised split R-hat below 1.01 and bulk and tail effective sample sizes of at
least 100 a chain [Vehtari2021]_, no divergent transition and E-BFMI of at least 0.3
[Betancourt2016]_.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import arviz as az
import numpy as np
import xarray as xr

from bayesnlme import names

RHAT_LIMIT = 1.01
ESS_PER_CHAIN = 100
BFMI_LIMIT = 0.3

LOST = "lost_chains"
"""Attribute of ``sample_stats``: of how many chains `Convergence.lost` tells."""


class Check(NamedTuple):
    """One number behind a verdict.

    Attributes
    ----------
    what, value, limit : str
        What it is, the number as written, and what is wanted.
    passed : bool or None
        None for what is told and not judged.
    where : str
        What it belongs to, if that is not the whole fit.
    """

    what: str
    value: str
    limit: str
    passed: bool | None
    where: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Convergence:
    """What the draws say about themselves.

    Attributes
    ----------
    chains, draws : int
        Number of chains and of draws in each.
    rhat_max : float
        Largest rank-normalised split R-hat.
    rhat_worst : str
        The variable it belongs to.
    ess_bulk_min, ess_tail_min : float
        Smallest bulk and tail effective sample size.
    ess_worst : str
        The variable with the smallest of the two.
    divergences : int
        Divergent transitions after warm-up, failed evaluations left out.
    failures : int
        Transitions after warm-up that ended because the log density could not be evaluated, such
        as a failed ODE solve. The proposals were rejected.
    depth_hits : int
        Transitions that reached the greatest tree depth.
    bfmi_min : float
        Smallest estimated Bayesian fraction of missing information of a chain.
    lost : int
        Chains that were in a mode with next to none of the mass when the warm-up had found the
        posterior, and went on from draws of the others.
    """

    chains: int
    draws: int
    rhat_max: float
    rhat_worst: str
    ess_bulk_min: float
    ess_tail_min: float
    ess_worst: str
    divergences: int
    failures: int
    depth_hits: int
    bfmi_min: float
    lost: int = 0

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong, in words with what to do; empty for a sound fit."""
        return tuple(self._problems())

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    @property
    def verdict(self) -> str:
        """The verdict in words and numbers."""
        if self.problems:
            return "NOT CONVERGED. " + " ".join(self.problems) + self._moved
        return (
            f"Converged: {self.chains} chains of {self.draws} draws, no divergences, "
            f"R-hat at most {self.rhat_max:.3f}, effective sample size at least "
            f"{self.ess_bulk_min:.0f} (bulk) and {self.ess_tail_min:.0f} (tail), "
            f"E-BFMI at least {self.bfmi_min:.2f}.{self._moved}"
        )

    @property
    def _moved(self) -> str:
        if not self.lost:
            return ""
        many = f"{self.lost} chains were" if self.lost > 1 else "1 chain was"
        return (
            f" In the warm-up {many} in a mode with less than a millionth of the mass found, and "
            "went on from the others."
        )

    @property
    def source(self) -> str:
        """Where the draws come from, to go on with "Its posterior distribution was"."""
        return (
            f"sampled with {_several(self.chains, 'chain')} of {_several(self.draws, 'draw')} "
            "after warm-up"
        )

    @property
    def checks(self) -> tuple[Check, ...]:
        """The numbers behind the verdict, each with its limit."""
        wanted = ESS_PER_CHAIN * self.chains
        enough = f"at least {wanted}"
        return (
            Check("Largest R-hat", f"{self.rhat_max:.4f}", f"below {RHAT_LIMIT}",
                  self.rhat_max < RHAT_LIMIT, self.rhat_worst),
            Check("Smallest effective sample size, bulk", f"{self.ess_bulk_min:.0f}", enough,
                  self.ess_bulk_min >= wanted, self.ess_worst),
            Check("Smallest effective sample size, tail", f"{self.ess_tail_min:.0f}", enough,
                  self.ess_tail_min >= wanted),
            Check("Divergent transitions", str(self.divergences), "none", self.divergences == 0),
            Check("Transitions with a failed solve", str(self.failures), "none",
                  self.failures == 0),
            Check("Smallest E-BFMI", f"{self.bfmi_min:.2f}", f"at least {BFMI_LIMIT}",
                  self.bfmi_min >= BFMI_LIMIT),
            Check("Transitions at the greatest tree depth", str(self.depth_hits),
                  "few (costs time only)", None),
        )  # fmt: skip

    def interrupted(self, asked: Mapping[str, Any]) -> str:
        """Return the verdict on a run that was stopped before all that was asked for."""
        words = " ".join(self.problems) or "Nothing is wrong with them so far."
        return (
            f"INTERRUPTED: {self.chains} chains of {self.draws} draws, where "
            f"{asked['chains']} of {asked['draws']} were asked for. {words}"
        )

    def _problems(self) -> Iterator[str]:
        if self.chains < 2:
            yield "One chain cannot show that it mixed: use at least 2, better 4."
        elif not self.rhat_max < RHAT_LIMIT:
            yield (
                f"R-hat of {self.rhat_worst} is {self.rhat_max:.3f} (limit {RHAT_LIMIT}): the "
                "chains disagree. Run longer (draws=, tune=) or look for a second mode."
            )
        if self.divergences:
            yield (
                f"{self.divergences} divergent transition{'s' * (self.divergences > 1)}: part of "
                "the posterior may be missing. Raise target_accept, or state tighter priors."
            )
        if self.failures:
            yield (
                f"{self.failures} transition{'s' * (self.failures > 1)} met a point where the log "
                "density could not be evaluated (a failed solve, or a linear covariate effect "
                "that made a parameter negative). The proposals were rejected; tighter priors help."
            )
        wanted = ESS_PER_CHAIN * self.chains
        if not (self.ess_bulk_min >= wanted and self.ess_tail_min >= wanted):
            yield (
                f"The effective sample size of {self.ess_worst} is {self.ess_bulk_min:.0f} (bulk) "
                f"or {self.ess_tail_min:.0f} (tail) at the least, below {wanted}. Run longer."
            )
        if not self.bfmi_min >= BFMI_LIMIT:
            yield (
                f"E-BFMI is {self.bfmi_min:.2f} (limit {BFMI_LIMIT}): the energy is explored too "
                "slowly. A prior with lighter tails may help."
            )


def assess(posterior: xr.Dataset, sample_stats: xr.Dataset) -> Convergence:
    """Judge the draws of every variable that was sampled.

    Parameters
    ----------
    posterior : Dataset
        Draws, dims (chain, draw, ...).
    sample_stats : Dataset
        With ``diverging``, ``failed``, ``maxdepth_reached`` and ``energy``, dims (chain, draw).
    """
    sampled = _sampled(posterior)
    rhat, bulk, tail = (
        _flat(each) for each in (az.rhat(sampled), az.ess(sampled), az.ess(sampled, method="tail"))
    )
    rhat_worst = _worst(rhat, largest=True)
    bulk_worst, tail_worst = _worst(bulk, largest=False), _worst(tail, largest=False)
    failed = sample_stats["failed"].values
    return Convergence(
        chains=posterior.sizes["chain"],
        draws=posterior.sizes["draw"],
        rhat_max=rhat[rhat_worst],
        rhat_worst=rhat_worst,
        ess_bulk_min=bulk[bulk_worst],
        ess_tail_min=tail[tail_worst],
        ess_worst=bulk_worst if bulk[bulk_worst] <= tail[tail_worst] else tail_worst,
        divergences=int((sample_stats["diverging"].values & ~failed).sum()),
        failures=int(failed.sum()),
        depth_hits=int(sample_stats["maxdepth_reached"].values.sum()),
        bfmi_min=float(
            az.bfmi(xr.DataTree.from_dict({"sample_stats": sample_stats}))["energy"].min()
        ),
        lost=int(sample_stats.attrs.get(LOST, 0)),
    )


def _sampled(posterior: xr.Dataset) -> xr.Dataset:
    """Leave out what follows from the rest, and random-effect SDs that are known.

    A known SD is the same in every draw of every chain; its R-hat would be 0/0.
    """
    effects = {each.effects for each in names.LAYERS}
    derived = {n for each in names.LAYERS for n in (each.corr, each.standard)}
    units = {names.SUBJECT, names.SUBJECT_OCCASION, names.INTERVAL}
    sampled = posterior.drop_vars(
        [
            name
            for name, array in posterior.data_vars.items()
            if name in derived
            or (name not in effects and units & set(array.dims))
            or any(names.of_observations(str(dim)) for dim in array.dims)
        ]
    )
    for layer in names.LAYERS:
        if layer.sd not in sampled:
            continue
        sds = sampled[layer.sd]
        estimated = (sds != sds.isel(chain=0, draw=0)).any(("chain", "draw")).values
        sampled = sampled.drop_vars(layer.sd)
        if estimated.any():
            dims = {layer.effect: f"estimated_{layer.effect}"}
            sampled = sampled.assign({layer.sd: sds.isel({layer.effect: estimated}).rename(dims)})
    return sampled


def _flat(table: xr.Dataset) -> dict[str, float]:
    """Name every entry: ``{"omega[CL]": 1.002, ...}``."""
    found = {}
    for name, array in table.data_vars.items():
        if not array.dims:
            found[str(name)] = float(array)
            continue
        stacked = array.stack(entry=array.dims)
        for label, value in zip(stacked["entry"].values, stacked.values, strict=True):
            found[f"{name}[{', '.join(str(each) for each in label)}]"] = float(value)
    return found


def _worst(found: dict[str, float], *, largest: bool) -> str:
    """Return the name of the worst entry; NaN is the worst of all."""
    sign = 1 if largest else -1
    return max(found, key=lambda name: (np.isnan(found[name]), sign * found[name]))


def _several(count: int, thing: str) -> str:
    return f"{count} {thing}{'s' * (count != 1)}"
