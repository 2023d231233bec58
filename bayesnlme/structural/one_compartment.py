"""One compartment with linear elimination: the sum over doses, where a table allows it.

Gibaldi and Perrier (1982), *Pharmacokinetics*, 2nd ed., chapter 1. Boluses and infusions of known
rate into a system whose parameters stay the same superpose, and one loop over pairs of observation
and dose (:mod:`bayesnlme.structural.superposition`) takes a fraction of the time of a walk through
the events. All else goes the general way.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields

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
from bayesnlme.data.rows import Rows
from bayesnlme.structural.custom import OdeStructure
from bayesnlme.structural.superposition import ARRAYS, superpose
from bayesnlme.structural.superposition_terms import CENTRAL, DEPOT

_MOST_PAIRS = 8
"""Doses for each observation, on average, beyond which the walk is the faster way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Superposed(OdeStructure):
    """One compartment with ``CL`` and ``V``, with ``ka`` before them where there is a depot."""

    def inputs(self, data: Dataset, rows: Rows | None = None) -> dict[str, np.ndarray]:
        """Return, for every observation, the doses before it; a `Schedule` where that will not do.

        Raises
        ------
        DataError
            As :meth:`OdeStructure.inputs` does.
        """
        walked = OdeStructure.inputs(self, data, rows)
        doses, observations = expand_doses(data), data.observations
        observation, dose = dose_observation_pairs(doses, observations)
        plain = rows is None and not (doses.steady_state.any() or (doses.rate < 0).any())
        ours = self.solver.backend == "numba" and self.solver.method in {"auto", "closed_form"}
        few = len(observation) <= _MOST_PAIRS * len(observations)
        if not (plain and ours and few and self.solver.threads == 1):
            return walked
        where = compartment_index(doses, self.compartments, data)
        rate = doses.rate[dose]
        duration = np.divide(doses.amount[dose], rate, out=np.zeros_like(rate), where=rate > 0)
        return {
            "row": observations.subject,
            "offsets": offsets(observation, len(observations)),
            "elapsed": observations.time[observation] - doses.time[dose],
            "amount": doses.amount[dose],
            "duration": duration,
            "compartment": where[dose] + (DEPOT if len(self.parameters) > 2 else CENTRAL),
        }

    def predict(self, parameters: Mapping[str, Tensor], inputs: Mapping[str, Tensor]) -> Tensor:
        """Predict the concentration at every observation, shape ``(n_observations,)``."""
        if set(inputs) != set(ARRAYS):
            return OdeStructure.predict(self, parameters, inputs)
        *absorbed, clearance, volume = (parameters[name] for name in self.parameters)
        ka = absorbed[0] if absorbed else pt.zeros_like(volume)
        return superpose(ka, clearance, volume, inputs)


def superposed(structure: OdeStructure) -> Superposed:
    """Let a structure with the parameters (ka,) CL and V be solved by superposition."""
    return Superposed(**{each.name: getattr(structure, each.name) for each in fields(structure)})
