"""The iterations of SAEM; see :mod:`bayesnlme.inference.saem`."""

import math
from dataclasses import dataclass, field

import numpy as np

from bayesnlme._types import Floats
from bayesnlme.errors import DataError, FitError
from bayesnlme.graph.start import start_findings
from bayesnlme.inference.ascent import corrected_information, em_step, newton_step
from bayesnlme.inference.averages import Averages, controls_of
from bayesnlme.inference.saem_bounds import LikelihoodRatios, standard_deviations, ways_to_bounds
from bayesnlme.inference.saem_options import SAEM
from bayesnlme.marginal.complete import CompleteData, CompleteScores, Placement, Slopes
from bayesnlme.marginal.conditional import Conditional
from bayesnlme.marginal.transitions import States, Transitions

ENOUGH = 120
"""Subjects times chains, unless the chains are stated."""

_POWER, _LATER = 0.7, 4
"""The gain of the smoothing's iteration k is (k + 4) ** -0.7."""

_MEMORY = 0.02
"""Least weight of an iteration in the averages that steps are made from."""

_AIM_BURNING, _AIM_SMOOTHING, _REGRESS, _SELDOM = 10, 50, 10, 10
"""Iterations between updates of what costs much."""

_EVERY_TIME = 20
"""Iterations in the beginning that update the curvature each time."""

_LOOKS = 8
"""How often bounds would be looked for in the whole burn-in. It is done from its middle on, and in
the first eighth of the smoothing."""

_ALONG = 5
"""Iterations of the burn-in between steps along which the individual parameters move."""

_MOST_OF_SD = 0.9
"""Largest share of the information on the log of an SD that a step is corrected for: towards zero
its likelihood is no parabola."""

_KNOWN = 10
"""Iterations that the missing information must come from before a step is corrected for it."""

_HALVINGS = 8

_LOST = math.exp(-3.0)
"""Share of its SD below which an effect has lost it on the way to a bound."""


@dataclass(slots=True, eq=False)
class Sums:
    """What is averaged at the end, one entry for each iteration that counts."""

    theta: list[Floats] = field(default_factory=list)
    gradient: list[Floats] = field(default_factory=list)
    information: list[Floats] = field(default_factory=list)
    scores: list[Floats] = field(default_factory=list)
    mean: list[Floats] = field(default_factory=list)
    square: list[Floats] = field(default_factory=list)


class Iterations:
    """The state of the algorithm, and an iteration of it.

    Parameters
    ----------
    conditional : Conditional
        Densities given the random effects.
    options : SAEM
        How long, and with how many chains.
    seed : int
        Of every random number.

    Attributes
    ----------
    sums : Sums
        What is averaged.
    averages : Averages
        Moments of the scores over the same iterations.
    trace : list of array
        Parameters after each iteration.
    averaged_from : int
        The first iteration that is averaged.
    transitions : Transitions
        What moves the chains.
    at_bound : array of bool, shape (parameter,)
        Parameters that were put at a bound.
    """

    def __init__(self, conditional: Conditional, options: SAEM, seed: int) -> None:
        self.sums, self.averages = Sums(), Averages()
        self.trace: list[Floats] = []
        self.averaged_from = options.burn_in + options.smoothing // 4
        self._corrected_from = options.burn_in - options.burn_in // 4
        self._looked_until = options.burn_in + options.smoothing // 8
        self.transitions = Transitions(conditional, np.random.default_rng(seed))
        self._options, self._conditional = options, conditional
        self._fixed = np.zeros(conditional.n_effects, dtype=bool)
        self._all_centred = self._centred = CompleteData(conditional)
        self._standard = CompleteData(conditional, ~self._fixed)
        self._theta = conditional.start.copy()
        self.at_bound = np.zeros(self._theta.size, dtype=bool)
        self._ratios = LikelihoodRatios(np.empty((0, self._theta.size)))
        chains = options.chains or math.ceil(ENOUGH / conditional.n_subjects)
        self._states = self.transitions.start(self._theta, chains)
        self._refuse_impossible()
        self._rest = np.zeros((self._theta.size, self._theta.size))
        self._recent, self._stale = Averages(), True
        self._sds = standard_deviations(conditional)
        self._floor = _annealing_floor(conditional, options.simulated_annealing)

    def iterate(self, number: int) -> None:
        """Draw random effects, and move the parameters.

        Parameters
        ----------
        number : int
            Of the iteration, from 0.
        """
        burning = number < self._options.burn_in
        if number % (_AIM_BURNING if burning else _AIM_SMOOTHING) == 0:
            better = self.transitions.aim(self._theta, self._states)
            if burning and better.any():
                self._states = self.transitions.redrawn(self._theta, self._states, better)
        self._states = self.transitions.sweep(self._theta, self._states)
        placed, slopes, scores = self._drawn(self._centred)
        self._update_rest(number, placed, scores)
        information = self._centred.information(slopes) + self._rest
        controls = controls_of(self._states.z, scores.by_z)
        if number >= self._options.burn_in // 2:
            self._recent.add(scores.total, controls, _MEMORY)
            if number % _REGRESS == 0:
                self._recent.regress()
        half = self._options.burn_in // 2
        if half <= number < self._looked_until:
            self._ratios.add(self.transitions, self._theta, self._states, controls)
        if number >= self.averaged_from:
            self._note(scores.total, controls, information)
        if number >= self._corrected_from and self._recent.count >= _KNOWN:
            self._approach(number, scores.total, controls, information)
        else:
            self._climb(number, self._centred, scores.total, information)
            if number % _ALONG == _ALONG - 1:
                placed, _, scores = self._drawn(self._standard)
                rest = self._rest_information(self._standard, placed, scores)
                self._climb(number, self._standard, scores.total, rest)
        self._look_for_bounds(number + 1)
        self.trace.append(self._theta)

    def _look_for_bounds(self, number: int) -> None:
        """Now and then put at its bound what only approaches one."""
        half, between = self._options.burn_in // 2, max(self._options.burn_in // _LOOKS, 1)
        if not half <= number <= self._looked_until or (number - half) % between:
            return
        ratios = self._ratios.log_ratios()
        if self._options.priors:
            log_prior = self._conditional.log_prior
            moved = [log_prior(self._theta + move)[0] for move in self._ratios.moves]
            ratios = ratios + np.array(moved) - log_prior(self._theta)[0]
        if ratios.max(initial=-np.inf) > 0:
            self._put_at_bound(self._ratios.moves[ratios.argmax()])
        self._ratios = LikelihoodRatios(ways_to_bounds(self._conditional, ~self.at_bound))

    def _put_at_bound(self, move: Floats) -> None:
        """Move there, and hold the effect that has lost its variance at SD 1 from now on."""
        before = self._complete_root()
        self._theta = self._theta + move
        self.at_bound = self.at_bound | (move != 0)
        self._fixed = self._fixed | (self._complete_root() < _LOST * before)
        self._centred = self._all_centred.holding(self._fixed)
        self._states = States(
            z=self._states.z, h=self.transitions.densities(self._theta, self._states.z)
        )
        self._recent, self._stale = Averages(), True

    def _complete_root(self) -> Floats:
        """Return the SDs of the effects given those before them."""
        return np.diag(self._all_centred.placement(self._theta).root)

    def _drawn(self, complete: CompleteData) -> tuple[Placement, Slopes, CompleteScores]:
        placed = complete.placement(self._theta)
        slopes = complete.slopes(self._theta, placed)
        return placed, slopes, complete.scores(self._theta, self._states.z, slopes)

    def _rest_information(
        self, complete: CompleteData, placed: Placement, scores: CompleteScores
    ) -> Floats:
        return complete.rest_information(self._theta, self._states.z, placed, scores)

    def _climb(
        self, number: int, complete: CompleteData, scores: Floats, information: Floats
    ) -> None:
        """Take EM's step."""
        slope, curvature = self._prior()
        annealing = number < self._options.burn_in // 2
        floor = self._floor if annealing else np.full_like(self._floor, -np.inf)
        gradient = scores.sum(axis=1).mean(axis=0) + slope
        free = ~self.at_bound
        known = (information + curvature)[np.ix_(free, free)]
        self._move(complete, em_step(gradient[free], known, floor[free]), growing=True)

    def _approach(self, number: int, scores: Floats, controls: Floats, complete: Floats) -> None:
        """Take part of Newton's step on the likelihood."""
        slope, curvature = self._prior()
        known = self._recent.controlled(scores, controls)
        gradient = known.sum(axis=1).mean(axis=0) + slope
        free = ~self.at_bound
        where = np.ix_(free, free)
        complete = complete + curvature
        missing = self._limited(complete, self._recent.missing)
        left = corrected_information(complete[where], missing[where])
        gain = (max(number - self._options.burn_in, 0) + 1 + _LATER) ** -_POWER
        self._move(self._centred, newton_step(gradient[free], left, gain), growing=False)

    def _limited(self, complete: Floats, missing: Floats) -> Floats:
        """Return the missing information with at most nine tenths of each SD's own."""
        share = np.diag(missing) / np.maximum(np.diag(complete), np.finfo(float).tiny)
        above = self._sds & (share > _MOST_OF_SD)
        factor = np.where(above, np.sqrt(_MOST_OF_SD / np.where(above, share, 1.0)), 1.0)
        return missing * factor * factor[:, None]

    def _note(self, scores: Floats, controls: Floats, information: Floats) -> None:
        """Keep what is averaged at the end."""
        self.averages.add(scores, controls)
        slope, curvature = self._prior()
        known = self._recent.controlled(scores, controls).mean(axis=0)
        z, sums = self._states.z, self.sums
        sums.theta.append(self._theta)
        sums.gradient.append(known.sum(axis=0) + slope)
        sums.information.append(information + curvature)
        sums.scores.append(known)
        sums.mean.append(z.mean(axis=0))
        sums.square.append(np.einsum("cnj,cnk->njk", z, z) / len(z))

    def _prior(self) -> tuple[Floats, Floats]:
        """Return the slope of the log prior, and minus its Hessian by differences."""
        size = self._theta.size
        if not self._options.priors:
            return np.zeros(size), np.zeros((size, size))
        steps = np.diag(1e-4 * self._centred.scales)
        slope = self._conditional.log_prior(self._theta)[1]
        moved = [self._conditional.log_prior(self._theta + step)[1] for step in steps]
        curvature = (slope - np.array(moved)) / np.diag(steps)[:, None]
        return slope, (curvature + curvature.T) / 2

    def _update_rest(self, number: int, placed: Placement, scores: CompleteScores) -> None:
        """Follow the curvature of the observations' density, which costs more than its slopes."""
        if number >= _EVERY_TIME and number % _SELDOM and not self._stale:
            return
        self._stale = False
        found = self._rest_information(self._centred, placed, scores)
        times = max(number - self._options.burn_in, 0) // _SELDOM + 1
        self._rest = self._rest + (found - self._rest) / times

    def _move(self, complete: CompleteData, of_free: Floats, *, growing: bool) -> None:
        """Take a step, halved until the density exists, and does not fall if it is to grow."""
        step = np.zeros_like(self._theta)
        step[~self.at_bound] = of_free
        step = step / max(1.0, float(np.max(np.abs(step) / complete.scales)))
        placed = complete.placement(self._theta)
        before = self._density(self._theta, complete.log_density(self._states.h, placed))
        for _ in range(_HALVINGS):
            theta = self._theta + step
            beside = complete.placement(theta)
            z = complete.moved(self._states.z, placed, beside)
            h = self.transitions.densities(theta, z)
            density = self._density(theta, complete.log_density(h, beside))
            if density >= before or (not growing and np.isfinite(density)):
                self._theta, self._states = theta, States(z=z, h=h)
                return
            step = step / 2

    def _density(self, theta: Floats, log_density: Floats) -> float:
        """Return the log density of all subjects with the prior, a mean over chains."""
        prior = self._conditional.log_prior(theta)[0] if self._options.priors else 0.0
        return float(log_density.sum(axis=1).mean()) + prior

    def _refuse_impossible(self) -> None:
        bad = np.flatnonzero(~np.isfinite(self._states.h).all(axis=0))
        if not bad.size:
            return
        population = self._conditional.population
        findings = list(start_findings(population))
        if findings:
            raise DataError(findings, population.data.source)
        listed = ", ".join(population.data.subjects[k] for k in bad[:10])
        raise FitError(
            f"The density of subject {listed} cannot be evaluated around the starting values. Move "
            "the numbers of the model nearer to the data."
        )


def _annealing_floor(conditional: Conditional, factor: float | None) -> Floats:
    """Return the least step of each parameter: of log SDs half the log of the least factor."""
    if factor is None:
        return np.full(conditional.n_parameters, -np.inf)
    return np.where(standard_deviations(conditional), 0.5 * math.log(factor), -np.inf)
