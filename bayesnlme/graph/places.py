"""Where random effects stand: among those of their subject, and in a vector of all variables."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bayesnlme._types import Booleans, Integers
from bayesnlme.data.rows import subject_occasions
from bayesnlme.graph.build import Population
from bayesnlme.graph.flat import free_variables
from bayesnlme.names import SUBJECTS

type EffectPlaces = Mapping[str, tuple[Integers, Integers]]
"""By variable the columns of its effects, shape (unit, effect), and the subject of each unit."""


def effect_places(population: Population) -> EffectPlaces:
    """Return for each variable that effects are sampled as where its effects stand.

    A unit is a subject or an occasion of one. The columns of a subject count its effects between
    subjects, and behind these those of each occasion.
    """
    places: dict[str, tuple[Integers, Integers]] = {}
    n_before = 0
    for layer in population.model.layers:
        subject = np.arange(population.data.n_subjects)
        if layer.names is not SUBJECTS:
            subject = subject_occasions(population.data).subject
        first = np.searchsorted(subject, subject)
        number, count = np.arange(subject.size) - first, len(layer.effects)
        columns = n_before + number[:, None] * count + np.arange(count)
        if layer.names.standard in {each.name for each in population.pymc.free_RVs}:
            places[layer.names.standard] = columns, subject
        else:
            for k, name in enumerate(layer.effects):
                places[layer.names.sampled(name)] = columns[:, k : k + 1], subject
        n_before = int(columns.max()) + 1
    return places


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Places:
    """Where in one vector of all free variables each stands.

    Attributes
    ----------
    theta : array of int, shape (parameter,)
        The population parameters.
    effects : array of int, shape (subject, effect)
        Each subject's random effects, those of its occasions behind those between subjects; -1
        for one that a subject lacks.
    kinds : array of int, shape (effect,)
        Which of the model's effects each is, in the order of its layers; those of several
        occasions are the same.
    """

    theta: Integers
    effects: Integers
    kinds: Integers

    @property
    def size(self) -> int:
        """Length of the vector."""
        return int(self.theta.size + self.there.sum())

    @property
    def there(self) -> Booleans:
        """Which effects each subject has, shape (subject, effect)."""
        return self.effects >= 0


def in_vector(population: Population) -> Places:
    """Return where in one vector of all free variables each stands."""
    found = effect_places(population)
    most = max((int(columns.max()) + 1 for columns, _ in found.values()), default=0)
    effects = np.full((population.data.n_subjects, most), -1, dtype=np.int64)
    kinds = np.zeros(most, dtype=np.int64)
    free = {each.name: each for each in free_variables(population.pymc)}
    n_before = 0
    for name, (columns, subject) in found.items():
        where = np.arange(free[name].where.start, free[name].where.stop)
        effects[subject[:, None], columns] = where.reshape(columns.shape)
        kinds[columns] = n_before + np.arange(columns.shape[1])
        n_before += columns.shape[1]
    size = sum(each.where.stop - each.where.start for each in free.values())
    theta = np.setdiff1d(np.arange(size), effects)
    return Places(theta=theta, effects=effects, kinds=kinds)
