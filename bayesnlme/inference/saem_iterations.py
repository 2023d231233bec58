"""The iterations of SAEM; see :mod:`bayesnlme.inference.saem`."""

import math
from dataclasses import dataclass, field

import numpy as np

from bayesnlme import names
from bayesnlme._types import Floats
from bayesnlme.errors import DataError, FitError
from bayesnlme.graph.start import start_findings
from bayesnlme.inference.ascent import corrected_information, em_step, newton_step
from bayesnlme.inference.averages import Averages, controls_of
from bayesnlme.inference.saem_options import SAEM
from bayesnlme.marginal.complete import CompleteData, CompleteScores, Placement, Slopes
from bayesnlme.marginal.conditional import Conditional
from bayesnlme.marginal.transitions import States, Transitions
from bayesnlme.observation.residual import ResidualError

ENOUGH = 50
"""Subjects times chains, unless the chains are stated."""

_POWER, _LATER = 0.7, 4
"""The gain of the smoothing's iteration k is (k + 4) ** -0.7."""

_MEMORY = 0.02
"""Least weight of an iteration in the averages that steps are made from."""

_AIM_BURNING, _AIM_SMOOTHING, _REGRESS, _SELDOM = 10, 50, 10, 10
"""Iterations between updates of what costs much."""

_EVERY_TIME = 20
"""Iterations in the beginning that update the curvature each time."""

_ALONG = 5
"""Iterations of the burn-in between steps along which the individual parameters move."""

_HALVINGS = 8
_NOT_SDS = ("exponent", "df")


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
    """

    def __init__(self, conditional: Conditional, options: SAEM, seed: int) -> None:
        self.sums, self.averages = Sums(), Averages()
        self.trace: list[Floats] = []
        self.averaged_from = options.burn_in + options.smoothing // 4
        self.transitions = Transitions(conditional, np.random.default_rng(seed))
        self._options, self._conditional = options, conditional
        self._centred = CompleteData(conditional)
        self._standard = CompleteData(conditional, centred=False)
        self._theta = conditional.start.copy()
        chains = options.chains or math.ceil(ENOUGH / conditional.n_subjects)
        self._states = self.transitions.start(self._theta, chains)
        self._refuse_impossible()
        self._rest = np.zeros((self._theta.size, self._theta.size))
        self._recent = Averages()
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
        if burning:
            self._burn(number, self._centred, scores.total, information)
            if number % _ALONG == _ALONG - 1:
                placed, _, scores = self._drawn(self._standard)
                rest = self._rest_information(self._standard, placed, scores)
                self._burn(number, self._standard, scores.total, rest)
        else:
            self._smooth(number, scores.total, controls, information)
        self.trace.append(self._theta)

    def _drawn(self, complete: CompleteData) -> tuple[Placement, Slopes, CompleteScores]:
        placed = complete.placement(self._theta)
        slopes = complete.slopes(self._theta, placed)
        return placed, slopes, complete.scores(self._theta, self._states.z, slopes)

    def _rest_information(
        self, complete: CompleteData, placed: Placement, scores: CompleteScores
    ) -> Floats:
        return complete.rest_information(self._theta, self._states.z, placed, scores)

    def _burn(
        self, number: int, complete: CompleteData, scores: Floats, information: Floats
    ) -> None:
        slope, curvature = self._prior()
        annealing = number < self._options.burn_in // 2
        floor = self._floor if annealing else np.full_like(self._floor, -np.inf)
        gradient = scores.sum(axis=1).mean(axis=0) + slope
        self._move(complete, em_step(gradient, information + curvature, floor), growing=True)

    def _smooth(self, number: int, scores: Floats, controls: Floats, complete: Floats) -> None:
        slope, curvature = self._prior()
        known = self._recent.controlled(scores, controls)
        gradient = known.sum(axis=1).mean(axis=0) + slope
        if number >= self.averaged_from:
            self.averages.add(scores, controls)
            self._note(known.mean(axis=0), gradient, complete + curvature)
        left = corrected_information(complete + curvature, self._recent.missing)
        gain = (number - self._options.burn_in + 1 + _LATER) ** -_POWER
        self._move(self._centred, newton_step(gradient, left, gain), growing=False)

    def _note(self, scores: Floats, gradient: Floats, information: Floats) -> None:
        """Keep what is averaged at the end."""
        z, sums = self._states.z, self.sums
        sums.theta.append(self._theta)
        sums.gradient.append(gradient)
        sums.information.append(information)
        sums.scores.append(scores)
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
        if number >= _EVERY_TIME and number % _SELDOM:
            return
        found = self._rest_information(self._centred, placed, scores)
        times = max(number - self._options.burn_in, 0) // _SELDOM + 1
        self._rest = self._rest + (found - self._rest) / times

    def _move(self, complete: CompleteData, step: Floats, *, growing: bool) -> None:
        """Take a step, halved until the density exists, and does not fall if it is to grow."""
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
    model = conditional.population.model
    sds = {layer.names.sd for layer in model.layers}
    sds |= {layer.names.sd_of(name) for layer in model.layers for name in layer.effects}
    for output, outcome in model.observations.items():
        if isinstance(outcome, ResidualError):
            sds |= {names.magnitude(output, each) for each in outcome.priors()}
            sds -= {names.magnitude(output, each) for each in _NOT_SDS}
    floor = np.full(conditional.n_parameters, -np.inf)
    for each in conditional.parameters:
        if factor is not None and each.name in {f"{sd}_log__" for sd in sds}:
            floor[each.where] = 0.5 * math.log(factor)
    return floor
