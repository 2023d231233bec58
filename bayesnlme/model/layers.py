"""The layers of random effects of a model: between subjects, between occasions of a subject."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bayesnlme.names import OCCASIONS, SUBJECTS, Variability
from bayesnlme.population.effects import Shape, StudentT
from bayesnlme.population.parameters import Parameter
from bayesnlme.population.priors import Fixed, Prior
from bayesnlme.population.sharing import Shared


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """The random effects of one layer, and what is assumed of them.

    Attributes
    ----------
    names : Variability
        What its variables are called.
    priors : mapping of str to Prior or Fixed
        Of the SD of each parameter's effect, in the order of the parameters.
    blocks : tuple of tuples of str
        Parameters whose effects are correlated.
    shapes : mapping of str to Shape
        Of effects that are not normal.
    shared : mapping of str to Shared
        Parameters that share the effect of another.
    """

    names: Variability
    priors: Mapping[str, Prior | Fixed]
    blocks: tuple[tuple[str, ...], ...]
    shapes: Mapping[str, Shape]
    shared: Mapping[str, Shared]

    @property
    def effects(self) -> tuple[str, ...]:
        """Parameters that have an effect of their own, in order."""
        return tuple(self.priors)

    @property
    def tails(self) -> dict[str, Prior | Fixed]:
        """Prior of the degrees of freedom of each effect that has Student's t distribution."""
        return {k: each.prior() for k, each in self.shapes.items() if isinstance(each, StudentT)}

    @property
    def alone(self) -> tuple[str, ...]:
        """Parameters whose effect is correlated with no other."""
        within = {name for block in self.blocks for name in block}
        return tuple(name for name in self.effects if name not in within)


def subject_layer(
    parameters: Mapping[str, Parameter], blocks: Sequence[Sequence[str]] = ()
) -> Layer:
    """Return the random effects between subjects."""
    found = {name: each.iiv_prior() for name, each in parameters.items()}
    shapes = {name: each.shape for name, each in parameters.items() if each.shape is not None}
    shared = {name: each.iiv for name, each in parameters.items() if isinstance(each.iiv, Shared)}
    return _layer(SUBJECTS, found, blocks, shapes, shared)


def occasion_layer(
    parameters: Mapping[str, Parameter], blocks: Sequence[Sequence[str]] = ()
) -> Layer:
    """Return the random effects between the occasions of a subject."""
    found = {name: each.iov_prior() for name, each in parameters.items()}
    shared = {name: each.iov for name, each in parameters.items() if isinstance(each.iov, Shared)}
    return _layer(OCCASIONS, found, blocks, {}, shared)


def _layer(
    called: Variability,
    priors: Mapping[str, Prior | Fixed | None],
    blocks: Sequence[Sequence[str]],
    shapes: Mapping[str, Shape],
    shared: Mapping[str, Shared],
) -> Layer:
    return Layer(
        names=called,
        priors={name: prior for name, prior in priors.items() if prior is not None},
        blocks=tuple(tuple(block) for block in blocks),
        shapes=shapes,
        shared=shared,
    )
