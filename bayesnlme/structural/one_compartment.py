"""One compartment with linear elimination, in closed form; repeated doses superpose.

Gibaldi and Perrier (1982), *Pharmacokinetics*, 2nd ed., chapter 1. The formulas, in the form that
is computed, stand in :mod:`bayesnlme.structural.superposition`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pytensor.tensor as pt

from bayesnlme._types import Tensor
from bayesnlme.data import Dataset
from bayesnlme.data.events import (
    compartment_index,
    dose_observation_pairs,
    expand_doses,
    offsets,
)
from bayesnlme.errors import ModelError
from bayesnlme.population.covariates import latex_name
from bayesnlme.structural.base import Equation
from bayesnlme.structural.doses import refuse_beyond_bolus_and_infusion
from bayesnlme.structural.superposition import CENTRAL, DEPOT, superpose

type Absorption = Literal["first_order"] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OneCompartment:
    """One compartment with clearance CL and volume V; made by :func:`one_compartment`.

    Attributes
    ----------
    absorption : "first_order" or None
        With first-order absorption compartment 1 is the depot and compartment 2 the central one.
    output : str
        Name of the predicted concentration.
    """

    absorption: Absorption = None
    output: str = "conc"

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the individual parameters it needs."""
        return ("CL", "V") if self.absorption is None else ("ka", "CL", "V")

    @property
    def compartments(self) -> tuple[str, ...]:
        """Compartments that may be dosed, in the order of CMT."""
        return ("central",) if self.absorption is None else ("depot", "central")

    @property
    def outputs(self) -> tuple[str, ...]:
        """Name of the concentration."""
        return (self.output,)

    @property
    def balances(self) -> tuple[dict[str, int], ...]:
        """Products of units, by power, that must be the number 1."""
        concentration = {"AMT": 1, "V": -1, self.output: -1}
        elimination = {"CL": 1, "V": -1, "TIME": 1}
        rates = () if self.absorption is None else ({"ka": 1, "TIME": 1},)
        return (concentration, elimination, *rates)

    def inputs(self, data: Dataset) -> dict[str, np.ndarray]:
        """Return, for every observation, the doses before it.

        Returns
        -------
        dict
            What :class:`~bayesnlme.structural.superposition.Superpose` takes, by name.

        Raises
        ------
        DataError
            If a dose has a modelled rate or duration, is at steady state, or goes to a compartment
            that is not there.
        """
        refuse_beyond_bolus_and_infusion(data)
        doses, observations = expand_doses(data), data.observations
        where = compartment_index(doses, self.compartments, data)
        observation, dose = dose_observation_pairs(doses, observations)
        rate = doses.rate[dose]
        duration = np.divide(doses.amount[dose], rate, out=np.zeros_like(rate), where=rate > 0)
        first = CENTRAL if self.absorption is None else DEPOT
        return {
            "row": observations.subject,
            "offsets": offsets(observation, len(observations)),
            "elapsed": observations.time[observation] - doses.time[dose],
            "amount": doses.amount[dose],
            "duration": duration,
            "compartment": where[dose] + first,
        }

    def predict(self, parameters: Mapping[str, Tensor], inputs: Mapping[str, Tensor]) -> Tensor:
        """Predict the concentration at every observation, shape (observation,)."""
        CL, V = parameters["CL"], parameters["V"]
        ka = parameters["ka"] if self.absorption else pt.zeros_like(V)
        return superpose(ka, CL, V, inputs)

    def equations(self) -> tuple[Equation, ...]:
        """Return its equations."""
        elimination = Equation(
            left=r"\frac{d\,\mathrm{central}}{dt}",
            right=r"-\frac{CL}{V}\,\mathrm{central}",
            text="d central/dt = -CL/V * central",
        )
        concentration = Equation(
            left=rf"\mathrm{{{latex_name(self.output)}}}",
            right=r"\frac{\mathrm{central}}{V}",
            text=f"{self.output} = central/V",
        )
        if self.absorption is None:
            return (elimination, concentration)
        absorption = Equation(
            left=r"\frac{d\,\mathrm{depot}}{dt}",
            right=r"-ka\,\mathrm{depot}",
            text="d depot/dt = -ka * depot",
        )
        both = Equation(
            left=r"\frac{d\,\mathrm{central}}{dt}",
            right=r"ka\,\mathrm{depot} - \frac{CL}{V}\,\mathrm{central}",
            text="d central/dt = ka * depot - CL/V * central",
        )
        return (absorption, both, concentration)

    def to_dict(self) -> dict[str, Any]:
        """Return plain TOML values."""
        entries: dict[str, Any] = {"kind": "one_compartment", "output": self.output}
        return entries if self.absorption is None else entries | {"absorption": self.absorption}


def one_compartment(*, absorption: Absorption = None, output: str = "conc") -> OneCompartment:
    """One compartment with clearance ``CL`` and volume ``V``, in closed form.

    Parameters
    ----------
    absorption : "first_order" or None
        None: doses go into the central compartment (CMT 1), as a bolus or an infusion. First
        order: doses into the depot (CMT 1) are absorbed at rate ``ka``; doses into the central
        compartment (CMT 2) are still possible.
    output : str
        Name of the concentration, amount over volume.

    Examples
    --------
    >>> one_compartment(absorption="first_order").parameters
    ('ka', 'CL', 'V')
    """
    if absorption not in (None, "first_order"):
        raise ModelError(
            f"one_compartment: no absorption {absorption!r}. Known: None, 'first_order'."
        )
    if not isinstance(output, str) or not output.isidentifier():
        raise ModelError(f"one_compartment: output {output!r} is not a valid name.")
    return OneCompartment(absorption=absorption, output=output)
