r"""Weights by which random effects are centred, from a quick Laplace pass.

Where a subject's data say much about an effect, its conditional variance V given the population is
small against :math:`\omega^2`, and the centred form is the easy one to sample; where they say
nothing, V is :math:`\omega^2` and the non-centred form is. For normal data the best weight between
the two is :math:`w = 1 - V / \omega^2` [Papaspiliopoulos2007]_, section 3.

V comes from the Hessian of each subject's joint density in its effects, at their mode, for
population values that a few rounds of maximising and of the EM step :math:`\omega^2 \leftarrow
\mathrm{mean}(\eta^2 + V)` lead to. An SD that is estimated is taken one standard error lower, about
:math:`1/\sqrt{2n}` on the log scale with n subjects' worth of information: the centred form fails
where it is small. Every weight gives the same posterior, so the pass need not be exact.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from bayesnlme._types import Booleans, Floats, Integers
from bayesnlme.graph.build import Population
from bayesnlme.graph.flat import starting_vector
from bayesnlme.graph.places import Places, in_vector
from bayesnlme.inference.density import Density, compile_density
from bayesnlme.inference.native import LogDensity, climb
from bayesnlme.population.priors import Prior

ROUNDS = 3
MOST_STEPS = 100
_STEP = np.finfo(float).eps ** (1 / 3)


def laplace_weights(population: Population) -> Floats:
    """Return 1 - V / omega^2 of every effect between subjects.

    Parameters
    ----------
    population : Population
        Non-centred.

    Returns
    -------
    array, shape (subject, effect)
        0 where the density has no curvature to go by.
    """
    density = compile_density(population.pymc)
    function = density.function
    x = starting_vector(population.pymc, density.free)
    places = in_vector(population)
    for _ in range(ROUNDS):
        x, _ = climb(function, x, ~_kept(population, density), maxiter=MOST_STEPS)
        variance = _conditional_variances(function, x, places.effects)
        if not np.isfinite(variance).all():
            break
        x = _em_step(_sd_places(population, density, places), x, variance)
    layer = population.model.layers[0]
    of_subjects = np.clip(variance[places.effects[:, : len(layer.effects)]], 0.0, 1.0)
    estimated = np.array([isinstance(each, Prior) for each in layer.priors.values()])
    return 1.0 - _with_lower_sds(np.nan_to_num(of_subjects, nan=1.0), estimated)


def _with_lower_sds(variance: Floats, estimated: Booleans) -> Floats:
    """Move V / omega^2 to where each estimated omega is lower by its standard error."""
    information = np.maximum((1.0 - variance).sum(axis=0), 0.5)
    factor = np.where(estimated, np.exp(2.0 / np.sqrt(2.0 * information)), 1.0)
    return factor * variance / (factor * variance + 1.0 - variance)


def _place(density: Density, name: str) -> Integers:
    """Say where a variable stands in the vector; nowhere if it is not free."""
    found = [each.where for each in density.free if each.name == name]
    return np.concatenate(
        [np.arange(each.start, each.stop) for each in found] or [np.empty(0, int)]
    )


def _sd_places(
    population: Population, density: Density, places: Places
) -> Iterator[tuple[int, Integers]]:
    """Yield where the log of each SD stands that is sampled so, and where its effects do."""
    n_before = 0
    for layer in population.model.layers:
        called = layer.names
        together = _place(density, f"{called.sd}_log__")
        for number, name in enumerate(layer.effects):
            effects = places.effects[:, places.kinds == n_before + number]
            alone = _place(density, f"{called.sd_of(name)}_log__")
            for place in (*together[number : number + 1], *alone):
                yield int(place), effects[effects >= 0]
        n_before += len(layer.effects)


def _kept(population: Population, density: Density) -> Booleans:
    """Mark what a maximum says nothing of: the SDs and correlations of the effects."""
    kept = np.zeros(density.size, dtype=bool)
    for layer in population.model.layers:
        wanted = [f"{layer.names.sd}_"] + [layer.names.partial(block) for block in layer.blocks]
        for each in density.free:
            if each.name.startswith(tuple(wanted)) and each.name != layer.names.standard:
                kept[each.where] = True
    return kept


def _conditional_variances(function: LogDensity, x: Floats, places: Integers) -> Floats:
    """Return the variance of every effect given the population, at its place in the vector.

    Subjects are independent given the population, so one difference of gradients gives a column of
    every subject's Hessian.
    """
    n_subjects, most = places.shape
    blocks = np.tile(np.eye(most), (n_subjects, 1, 1))
    there = places >= 0
    both = there[:, :, None] & there[:, None, :]
    for k in range(most):
        step = np.zeros_like(x)
        step[places[there[:, k], k]] = _STEP
        slope = -(function(x + step)[1] - function(x - step)[1]) / (2 * _STEP)
        column = np.where(both[:, :, k], slope[places], blocks[:, :, k])
        blocks[:, :, k] = column
    variance = np.full(x.size, np.nan)
    if np.isfinite(blocks).all():
        values, vectors = np.linalg.eigh((blocks + blocks.transpose(0, 2, 1)) / 2)
        inverse = np.einsum("sik,sk,sik->si", vectors, 1 / np.maximum(values, 1.0), vectors)
        variance[places[there]] = inverse[there]
    return variance


def _em_step(sds: Iterable[tuple[int, Integers]], x: Floats, variance: Floats) -> Floats:
    """Move each SD to what the effects' modes and variances say, the effects staying."""
    moved = x.copy()
    for sd, effects in sds:
        ratio = np.sqrt(np.mean(x[effects] ** 2 + variance[effects]))
        moved[sd] += np.log(ratio)
        moved[effects] /= ratio
    return moved
