"""A population model that is ready to be sampled, as often as wanted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from bayesnlme import names
from bayesnlme._types import Floats
from bayesnlme.graph.build import Population
from bayesnlme.graph.chart import Chart, identity
from bayesnlme.inference.density import Density, compile_density


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CompiledModel:
    """A population model and its compiled log density.

    Attributes
    ----------
    population : Population
        The model and its data.
    density : Density
        Its log density.
    scaled : bool
        Whether the posterior is nearly standard normal in the density's coordinates.
    """

    population: Population
    density: Density
    scaled: bool

    def with_observed(self, values: Mapping[str, Floats]) -> Self:
        """Return it with other values observed; nothing is compiled.

        Parameters
        ----------
        values : mapping of str to array
            By output, in the order of the table. What is censored stays so.

        Raises
        ------
        ModelError
            If an output was not to be swapped or has another number of observations.
        """
        swapped = {names.observed(output): each for output, each in values.items()}
        return replace(self, density=self.density.with_data(swapped))


def compile_model(
    population: Population, chart: Chart | None = None, *, swapped: Sequence[str] = ()
) -> CompiledModel:
    """Compile the log density and its gradient.

    Parameters
    ----------
    population : Population
        The model and its data.
    chart : Chart, optional
        Coordinates in which the posterior is nearly standard normal. Without them, and with random
        effects, those of the model can be exchanged for better ones without compiling again.
    swapped : sequence of str
        Outputs whose observed values can be exchanged by :meth:`CompiledModel.with_observed`.
    """
    start = identity(population) if chart is None and population.model.layers else chart
    observed = [names.observed(output) for output in swapped]
    density = compile_density(population.pymc, start, swapped=observed)
    return CompiledModel(population=population, density=density, scaled=chart is not None)
