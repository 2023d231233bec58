r"""The verdict on an approximation of a posterior, in numbers and in words.

Thresholds: Pareto's k of the importance weights at most :math:`\min(1 - 1/\log_{10} S, 0.7)` for
S points [Vehtari2024]_, and an effective sample size of at least 400, which the verdict on four
chains asks for too.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from bayesnlme import names
from bayesnlme.results.convergence import Check, Convergence

K_LIMIT = 0.7
ESS_LIMIT = 400
SECOND_LIMIT = 0.01
"""Share of a subject's mass in another mode that may be left out."""

_REMEDY = 'use bn.NUTS(start="laplace")'


@dataclass(frozen=True, slots=True, kw_only=True)
class Approximation:
    """What importance weights say about an approximation of a posterior.

    Attributes
    ----------
    draws : int
        Draws kept.
    points : int
        Points of the population parameters that were weighed.
    pareto_k : float
        Pareto's k of their weights: whether the population parameters may be believed.
    subject_k : mapping of str to float
        The same of each subject's random effects; empty without any.
    second_mode : mapping of str to float
        Share of the mass of each subject's random effects that lies in another mode than the one
        approximated, at the mode of the population parameters; empty without any.
    ess : float
        Effective sample size of the weighted points.
    failed : int
        Points without density, whose weight is zero.
    joint_k : float
        Pareto's k of the approximation as it is, all parameters and effects weighed at once. It
        says why draws are weighted and decides nothing.
    elbo, elbo_error : float
        Evidence lower bound and its Monte-Carlo error.
    log_evidence, log_evidence_error : float
        Log of the probability of the data by the weights, and its Monte-Carlo error.
    fixed_draws : int
        Draws of the objective.
    fixed_error : float
        What of the approximation is due to these draws, in SDs of the population parameters.
    """

    draws: int
    points: int
    pareto_k: float
    subject_k: dict[str, float]
    second_mode: dict[str, float]
    ess: float
    failed: int
    joint_k: float
    elbo: float
    elbo_error: float
    log_evidence: float
    log_evidence_error: float
    fixed_draws: int
    fixed_error: float

    @property
    def good_k(self) -> float:
        """Largest k at which weights of so many points are reliable."""
        return float(min(1.0 - 1.0 / np.log10(self.points), K_LIMIT))

    @property
    def heavy_subjects(self) -> tuple[str, ...]:
        """Subjects whose random effects may not be believed."""
        return tuple(name for name, k in self.subject_k.items() if not k <= self.good_k)

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong, in words with what to do; empty for sound weights."""
        return tuple(self._problems())

    @property
    def passed(self) -> bool:
        """Whether the draws are weighted ones that stand for the posterior."""
        return not self.problems

    @property
    def verdict(self) -> str:
        """The verdict in words and numbers."""
        if self.problems:
            return (
                f"NOT CONVERGED. {' '.join(self.problems)} The draws are those of the normal "
                f"approximation and not of the posterior: {_REMEDY}."
            )
        of_subjects = f", of subjects at most {self._worst[1]:.2f}" if self.subject_k else ""
        return (
            f"Converged: {self.draws} draws from {self.points} weighted points, Pareto k "
            f"{self.pareto_k:.2f}{of_subjects} (limit {self.good_k:.2f}), effective sample size "
            f"{self.ess:.0f}.{self._failures}"
        )

    @property
    def source(self) -> str:
        """Where the draws come from, to go on with "Its posterior distribution was"."""
        if not self.passed:
            return f"approximated by a normal distribution, of which there are {self.draws} draws"
        return (
            f"approximated by a normal distribution, {self.points} points around it weighted by "
            f"importance, and {self.draws} drawn by their weights"
        )

    @property
    def checks(self) -> tuple[Check, ...]:
        """The numbers behind the verdict, each with its limit."""
        limit, where = f"at most {self.good_k:.2f}", ""
        subjects: tuple[Check, ...] = ()
        if self.subject_k:
            where, worst = self._worst
            most = max(self.second_mode.values())
            subjects = (
                Check("Largest Pareto k of a subject's effects", f"{worst:.2f}", limit,
                      worst <= self.good_k, where),
                Check("Largest share of a second mode of a subject's effects", f"{most:.2f}",
                      f"at most {SECOND_LIMIT}", most <= SECOND_LIMIT),
            )  # fmt: skip
        return (
            Check("Pareto k of the population parameters", f"{self.pareto_k:.2f}", limit,
                  self.pareto_k <= self.good_k),
            *subjects,
            Check("Effective sample size of the weights", f"{self.ess:.0f}",
                  f"at least {ESS_LIMIT}", self.ess >= ESS_LIMIT),
            Check("Points without density", str(self.failed), "few (they weigh nothing)", None),
            Check("Pareto k of the unweighted approximation", f"{self.joint_k:.2f}",
                  "any (told for comparison)", None),
            Check("Evidence lower bound", _with_error(self.elbo, self.elbo_error),
                  "at most the log evidence", None),
            Check("Log evidence by the weights",
                  _with_error(self.log_evidence, self.log_evidence_error), "any", None),
            Check("Error of the approximation by its fixed draws", f"{self.fixed_error:.3f} SD",
                  "small", None),
        )  # fmt: skip

    @property
    def _worst(self) -> tuple[str, float]:
        return max(self.subject_k.items(), key=lambda each: (np.isnan(each[1]), each[1]))

    @property
    def _failures(self) -> str:
        if not self.failed:
            return ""
        return f" {self.failed} points had no density and weigh nothing."

    def _problems(self) -> Iterator[str]:
        if not self.pareto_k <= self.good_k:
            yield (
                f"Pareto k of the population parameters is {self.pareto_k:.2f} (limit "
                f"{self.good_k:.2f}): the approximation misses too much of the posterior for "
                "weights to mend."
            )
        heavy = self.heavy_subjects
        if heavy:
            listed = ", ".join(heavy[:10]) + " and others" * (len(heavy) > 10)
            yield (
                f"Pareto k of the random effects of subject {listed} is above {self.good_k:.2f}, "
                f"at most {self._worst[1]:.2f}: they are misplaced."
            )
        divided = [name for name, share in self.second_mode.items() if share > SECOND_LIMIT]
        if divided:
            listed = ", ".join(divided[:10]) + " and others" * (len(divided) > 10)
            share = max(self.second_mode.values())
            yield (
                f"The random effects of subject {listed} have a second mode, with up to "
                f"{100 * share:.0f} % of their mass, which a normal distribution leaves out."
            )
        if not self.ess >= ESS_LIMIT:
            yield (
                f"The effective sample size of the weights is {self.ess:.0f}, below {ESS_LIMIT}: "
                "a few points stand for all. More of them (points=) may help."
            )


type Judgement = Convergence | Approximation
"""The verdict on draws."""


def judge_weights(group: xr.Dataset, draws: int) -> Approximation:
    """Read the verdict from a fit's group ``approximation``."""
    numbers = {
        name: float(group[name])
        for name in (
            "pareto_k", "ess", "joint_k", "elbo", "elbo_error", "log_evidence",
            "log_evidence_error", "fixed_error",
        )
    }  # fmt: skip
    counts = {name: int(group[name]) for name in ("points", "failed", "fixed_draws")}
    of_subjects: dict[str, dict[str, float]] = {"subject_k": {}, "second_mode": {}}
    for name, found in of_subjects.items():
        if name in group:
            labels = map(str, group[names.SUBJECT].values)
            found.update(zip(labels, map(float, group[name].values), strict=True))
    values: dict[str, Any] = {**numbers, **counts}
    return Approximation(
        draws=draws,
        subject_k=of_subjects["subject_k"],
        second_mode=of_subjects["second_mode"],
        **values,
    )


def _with_error(value: float, error: float) -> str:
    return f"{value:.2f} (error {error:.2f})"
