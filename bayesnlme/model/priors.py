"""The table of every prior a model implies."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bayesnlme import names
from bayesnlme.observation.kinds import Observed
from bayesnlme.population.parameters import LogitNormal, Parameter
from bayesnlme.population.priors import LKJ, Fixed, Prior


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
    """

    name: str
    prior: Prior | Fixed | LKJ
    meaning: str
    unit: str | None = None
    default: bool = False
    scale: str = ""

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
    correlated: Sequence[Sequence[str]],
    lkj: float,
) -> tuple[PriorRow, ...]:
    """List the priors in the order of the equations."""
    return (
        *(_typical(name, each) for name, each in parameters.items()),
        *(row for name, each in parameters.items() for row in _coefficients(name, each)),
        *(row for name, each in parameters.items() for row in _random_effect(name, each)),
        *(_correlation(tuple(block), lkj) for block in correlated),
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
    )


def _coefficients(name: str, parameter: Parameter) -> Iterator[PriorRow]:
    for effect in parameter.covariates:
        yield PriorRow(
            name=names.coefficient(name, effect.covariate),
            prior=effect.prior(parameter.scale),
            meaning=f"{effect.kind} effect of {effect.covariate} on {name}",
            default=effect.coefficient is None,
        )


def _random_effect(name: str, parameter: Parameter) -> Iterator[PriorRow]:
    prior = parameter.iiv_prior()
    if prior is not None:
        yield PriorRow(
            name=f"{names.OMEGA}[{name}]",
            prior=prior,
            meaning=f"SD of the random effect on {name}",
            unit=parameter.unit if parameter.kind == "Normal" else None,
            default=isinstance(parameter.iiv, float),
        )


def _correlation(block: tuple[str, ...], lkj: float) -> PriorRow:
    return PriorRow(
        name=names.correlation(block),
        prior=LKJ(lkj),
        meaning=f"correlation of the random effects on {', '.join(block)}",
    )


def _magnitudes(output: str, outcome: Observed) -> Iterator[PriorRow]:
    stated = outcome.stated()
    for magnitude, prior in outcome.priors().items():
        yield PriorRow(
            name=names.magnitude(output, magnitude),
            prior=prior,
            meaning=f"{outcome.meaning(magnitude)} of {output}",
            default=isinstance(stated[magnitude], float),
        )
