"""The table of every prior a model implies."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bayesnlme import names
from bayesnlme.model.layers import Layer
from bayesnlme.names import OCCASIONS, SUBJECTS
from bayesnlme.observation.kinds import Observed
from bayesnlme.population.factors import Function, Maturation
from bayesnlme.population.parameters import LogitNormal, Parameter
from bayesnlme.population.priors import LKJ, Fixed, Prior
from bayesnlme.population.spread import by_default

_WORDS = {
    SUBJECTS: ("random effect", "random effects"),
    OCCASIONS: ("occasion effect", "occasion effects"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorRow:
    """One prior of a model.

    Attributes
    ----------
    name : str
        Name of the variable in the PyMC model and in every result.
    prior : Prior, Fixed or LKJ
        Its distribution, or its known value.
    meaning : str
        What the variable is, in words.
    unit : str or None
        Its unit, where the model states one.
    default : bool
        Whether the package chose the prior from a plain number.
    scale : str
        Empty, or ``"logit"`` where the prior is of the logit of the position between bounds.
    source : str
        Where it comes from, if that was said.
    """

    name: str
    prior: Prior | Fixed | LKJ
    meaning: str
    unit: str | None = None
    default: bool = False
    scale: str = ""
    source: str = ""

    @property
    def text(self) -> str:
        """Write the prior on one line: ``"ka_pop ~ LogNormal(mu=0.405465, sigma=1)"``."""
        if isinstance(self.prior, Fixed):
            return f"{self.name} = {self.prior.value:g} (fixed)"
        left = f"{self.scale}({self.name})" if self.scale else self.name
        return f"{left} ~ {self.prior!r}"


def prior_rows(
    parameters: Mapping[str, Parameter],
    observations: Mapping[str, Observed],
    layers: Sequence[Layer],
    lkj: float,
) -> tuple[PriorRow, ...]:
    """List the priors in the order of the equations."""
    return (
        *(_typical(name, each) for name, each in parameters.items()),
        *(row for name, each in parameters.items() for row in _coefficients(name, each)),
        *(row for layer in layers for row in _layer(parameters, layer, lkj)),
        *(row for name, each in observations.items() for row in _magnitudes(name, each)),
    )


def _typical(name: str, parameter: Parameter) -> PriorRow:
    prior = parameter.typical_prior()
    on_logit = isinstance(parameter, LogitNormal) and not isinstance(
        parameter.typical, Prior | Fixed
    )
    return PriorRow(
        name=names.typical(name),
        prior=prior,
        meaning=f"typical value of {name}",
        unit=parameter.unit,
        default=isinstance(parameter.typical, float),
        scale="logit" if on_logit else "",
        source=_source(parameter.typical),
    )


def _coefficients(name: str, parameter: Parameter) -> Iterator[PriorRow]:
    for effect in parameter.covariates:
        if isinstance(effect, Maturation | Function):
            for which, prior in effect.coefficients.items():
                yield PriorRow(
                    name=names.coefficient(name, effect.covariate, which),
                    prior=prior,
                    meaning=f"{which} in the {effect.kind} effect of {effect.covariate} on {name}",
                    source=prior.source,
                )
            continue
        yield PriorRow(
            name=names.coefficient(name, effect.covariate),
            prior=effect.prior(parameter.scale),
            meaning=f"{effect.kind} effect of {effect.covariate} on {name}",
            default=effect.coefficient is None,
            source=_source(effect.coefficient),
        )


def _layer(parameters: Mapping[str, Parameter], layer: Layer, lkj: float) -> Iterator[PriorRow]:
    effect = _WORDS[layer.names]
    for name, prior in layer.priors.items():
        given = parameters[name]
        stated = given.iiv if layer.names is SUBJECTS else given.iov
        yield PriorRow(
            name=layer.names.sd_entry(name),
            prior=prior,
            meaning=f"{'scale' if name in layer.tails else 'SD'} of the {effect[0]} on {name}",
            unit=given.unit if given.kind == "Normal" else None,
            default=by_default(stated),
            source=_source(stated),
        )
    for name, shape in layer.shapes.items():
        yield PriorRow(
            name=names.shape(name, shape.variable),
            prior=shape.prior(),
            meaning=f"{shape.meaning} on {name}",
            default=isinstance(shape.value, float),
            source=_source(shape.value),
        )
    for name, share in layer.shared.items():
        if share.scale is not None:
            yield PriorRow(
                name=layer.names.scale_of(name),
                prior=share.prior(),
                meaning=f"scale of the {effect[0]} that {name} shares with {share.parameter}",
                default=isinstance(share.scale, float),
                source=_source(share.scale),
            )
    for block in layer.blocks:
        yield PriorRow(
            name=layer.names.correlation(block),
            prior=LKJ(lkj),
            meaning=f"correlation of the {effect[1]} on {', '.join(block)}",
        )


def _magnitudes(output: str, outcome: Observed) -> Iterator[PriorRow]:
    stated = outcome.stated()
    for magnitude, prior in outcome.priors().items():
        yield PriorRow(
            name=names.magnitude(output, magnitude),
            prior=prior,
            meaning=f"{outcome.meaning(magnitude)} of {output}",
            default=by_default(stated[magnitude]),
            source=_source(stated[magnitude]),
        )


def _source(stated: object) -> str:
    return getattr(stated, "source", "")
