"""Markov chains of the random effects of all subjects at once, given the population parameters.

Each chain has a state for every subject, and one evaluation of :class:`Conditional` serves all
subjects of a chain. A sweep is made of four kinds of transitions, each of which leaves the
conditional distribution as it is:

===================  ==========================================================================
from the mode        an independent proposal from Student's t with the mode and spread of Laplace's
                     approximation of each subject [Karimi2020]_
along one direction  a random walk along one column of its spread, in turn
along all            a random walk in all directions at once
from the population  an independent proposal from the distribution of the effects given no data
===================  ==========================================================================

The sizes of the walks follow each subject's acceptance.
"""

from dataclasses import dataclass, fields

import numpy as np

from bayesnlme._types import Booleans, Floats
from bayesnlme.marginal.conditional import Conditional
from bayesnlme.marginal.modes import Modes, find_modes

WANTED = {"one": 0.44, "all": 0.3}
"""Acceptance that a walk's size is adapted to."""

DF = 5
"""Degrees of freedom of the proposals from the mode, whose tails must be the longer ones."""

MOST_DIRECTIONS = 4
"""Walks along one direction in a sweep."""

_GAIN = 0.4


@dataclass(slots=True, kw_only=True, eq=False)
class States:
    """Where the chains are.

    Attributes
    ----------
    z : array, shape (chain, subject, effect)
        Random effects at SD 1.
    h : array, shape (chain, subject)
        Their log densities; minus infinity where there is none.
    """

    z: Floats
    h: Floats


class Transitions:
    """What moves the chains.

    Parameters
    ----------
    conditional : Conditional
        Densities given the random effects.
    rng : Generator
        Source of random numbers.

    Attributes
    ----------
    centre : array, shape (subject, effect)
        The modes that proposals are made around.
    acceptance : mapping of str to float
        Share of the proposals accepted by kind: "mode", "one", "all", "population".
    """

    def __init__(self, conditional: Conditional, rng: np.random.Generator) -> None:
        self._conditional, self._rng = conditional, rng
        n_subjects, n_effects = conditional.no_effects.shape
        self.centre = conditional.no_effects
        self._root = np.tile(np.eye(n_effects), (n_subjects, 1, 1))
        self._inverse = self._root.copy()
        self._sizes = {
            "one": np.full((n_effects, n_subjects), 2.0),
            "all": np.full((1, n_subjects), 2.0 / max(n_effects, 1) ** 0.5),
        }
        self._turn = self._sweeps = 0
        self._counts = {kind: [0.0, 0.0] for kind in ("mode", "one", "all", "population")}

    @property
    def acceptance(self) -> dict[str, float]:
        """Share of the proposals accepted, by kind."""
        return {kind: taken / max(tried, 1.0) for kind, (taken, tried) in self._counts.items()}

    def start(self, theta: Floats, chains: int) -> States:
        """Find the modes, and draw the first states around them."""
        self._centre_on(find_modes(self._conditional, theta))
        drawn = self._around_modes(chains)
        possible = np.isfinite(self.densities(theta, drawn))
        z = np.where(possible[..., None], drawn, self.centre)
        return States(z=z, h=self.densities(theta, z))

    def aim(self, theta: Floats, states: States) -> Booleans:
        """Find the modes anew that proposals are made around.

        From the modes before, or where a chain has found a larger density, from there; and from
        the typical subject.

        Returns
        -------
        array, shape (subject,)
            Marks subjects for which the last led to another mode with more mass.
        """
        best = states.h.argmax(axis=0)
        each = np.arange(len(best))
        lower = self.densities(theta, self.centre[None])[0] < states.h[best, each]
        start = np.where(lower[:, None], states.z[best, each], self.centre)
        modes, others = (find_modes(self._conditional, theta, from_) for from_ in (start, None))
        mass = np.where(modes.found, _log_mass(modes), -np.inf)
        better = others.found & (_log_mass(others) > mass + 0.1)
        self._centre_on(_either(better, others, modes))
        return better

    def redrawn(self, theta: Floats, states: States, which: Booleans) -> States:
        """Return states around the modes for some subjects, where that is possible."""
        drawn = np.where(which[:, None], self._around_modes(len(states.z)), states.z)
        h = self.densities(theta, drawn)
        possible = np.isfinite(h)
        return States(
            z=np.where(possible[..., None], drawn, states.z), h=np.where(possible, h, states.h)
        )

    def _centre_on(self, modes: Modes) -> None:
        usable = np.isfinite(modes.h) & np.isfinite(modes.spread).all(axis=(1, 2))
        identity = np.eye(self._conditional.n_effects)
        self.centre = np.where(usable[:, None], modes.z, 0.0)
        self._root = np.where(usable[:, None, None], modes.spread, identity)
        self._inverse = np.linalg.inv(self._root)

    def densities(self, theta: Floats, z: Floats) -> Floats:
        """Return h, shape (chain, subject); minus infinity where it cannot be evaluated."""
        h = np.stack([self._conditional.density(theta, each)[0] for each in z])
        return np.where(np.isfinite(h), h, -np.inf)

    def sweep(self, theta: Floats, states: States) -> States:
        """Return the states after one transition of each kind.

        Parameters
        ----------
        theta : array, shape (parameter,)
            Population parameters.
        states : States
            Where the chains are; ``h`` is that of theta.
        """
        chains = len(states.z)
        self._sweeps += 1
        states = self._independent(theta, states, "mode", self._around_modes(chains))
        for _ in range(min(self._conditional.n_effects, MOST_DIRECTIONS)):
            self._turn = (self._turn + 1) % self._conditional.n_effects
            along = (
                self._rng.standard_normal(states.h.shape)[..., None] * self._root[..., self._turn]
            )
            states = self._walk(theta, states, ("one", self._turn), along)
        noise = self._rng.standard_normal(states.z.shape)
        along = np.einsum("njk,cnk->cnj", self._root, noise)
        states = self._walk(theta, states, ("all", 0), along)
        proposed = self._rng.standard_normal(states.z.shape)
        return self._independent(theta, states, "population", proposed)

    def _around_modes(self, chains: int) -> Floats:
        shape = (chains, *self.centre.shape)
        normal = np.einsum("njk,cnk->cnj", self._root, self._rng.standard_normal(shape))
        return self.centre + normal * np.sqrt(DF / self._rng.chisquare(DF, shape[:2]))[..., None]

    def _log_proposal(self, kind: str, z: Floats) -> Floats:
        """Return the log density of an independent proposal, up to a constant."""
        if kind == "population":
            return np.asarray(-0.5 * (z**2).sum(axis=-1))
        whitened = np.einsum("njk,cnk->cnj", self._inverse, z - self.centre)
        squares = (whitened**2).sum(axis=-1)
        return np.asarray(-0.5 * (DF + z.shape[-1]) * np.log1p(squares / DF))

    def _independent(self, theta: Floats, states: States, kind: str, proposed: Floats) -> States:
        correction = self._log_proposal(kind, states.z) - self._log_proposal(kind, proposed)
        moved, accepted = self._chosen(theta, states, proposed, correction)
        self._count(kind, accepted)
        return moved

    def _walk(self, theta: Floats, states: States, which: tuple[str, int], along: Floats) -> States:
        kind, number = which
        size = self._sizes[kind][number]
        proposed = states.z + size[:, None] * along
        moved, accepted = self._chosen(theta, states, proposed, 0.0)
        gain = min(_GAIN, 4.0 / self._sweeps**0.5)
        self._sizes[kind][number] = size * np.exp(gain * (accepted.mean(axis=0) - WANTED[kind]))
        self._count(kind, accepted)
        return moved

    def _chosen(
        self, theta: Floats, states: States, proposed: Floats, correction: Floats | float
    ) -> tuple[States, Booleans]:
        """Accept or refuse proposals [Hastings1970]_."""
        h = self.densities(theta, proposed)
        with np.errstate(invalid="ignore"):
            gain = h - states.h + correction
        accepted = np.log(self._rng.random(h.shape)) < np.where(np.isnan(gain), -np.inf, gain)
        z = np.where(accepted[..., None], proposed, states.z)
        return States(z=z, h=np.where(accepted, h, states.h)), accepted

    def _count(self, kind: str, accepted: Booleans) -> None:
        self._counts[kind][0] += float(accepted.sum())
        self._counts[kind][1] += accepted.size


def _log_mass(modes: Modes) -> Floats:
    """Return Laplace's masses around the modes, up to a constant."""
    return modes.h - 0.5 * modes.log_det


def _either(which: Booleans, one: Modes, other: Modes) -> Modes:
    """Return the modes of one for the subjects marked, and of the other for the rest."""
    found = {}
    for each in fields(Modes):
        first, second = getattr(one, each.name), getattr(other, each.name)
        found[each.name] = np.where(which.reshape(-1, *[1] * (first.ndim - 1)), first, second)
    return Modes(**found)
