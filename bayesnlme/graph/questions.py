"""What the structure is asked, so that every outcome has what its density is made of.

Most outcomes need the prediction at the observation. A time to event needs the hazard accumulated
since the subject's row before, and the hazard itself where the event was seen at a known time: the
structure predicts the integral of the hazard at every row, and the hazard at those.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pytensor.tensor as pt

from bayesnlme import names
from bayesnlme._types import Integers, Tensor
from bayesnlme.data import Dataset
from bayesnlme.data.records import make_covariate
from bayesnlme.model.event_rows import rows_before
from bayesnlme.model.model import Model
from bayesnlme.observation.events import EXACT
from bayesnlme.structural.base import Structure
from bayesnlme.structural.cumulative import with_cumulative


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Questions:
    """A structure, what it is asked to predict, and how its answers are read.

    Attributes
    ----------
    structure : Structure
        The model's, with integrals of hazards.
    data : Dataset
        The table with a record for every answer.
    answer, before : int64 array, shape (observation,)
        Which answers make the prediction of each observation: the first less the second; -1 is 0.
    hazard : mapping of str to int64 array
        By output, which answer is the hazard at each of its observations; -1 where none is needed.
    """

    structure: Structure
    data: Dataset
    answer: Integers
    before: Integers
    hazard: Mapping[str, Integers]

    def predictions(self, answers: Tensor) -> Tensor:
        """Return the prediction of every observation."""
        if not self.hazard:
            return answers
        extended = pt.concatenate([answers, np.zeros(1)])
        return extended[self.answer] - extended[self.before]

    def hazards(self, answers: Tensor) -> dict[str, Tensor]:
        """Return by output the hazard where it is needed, and 1 elsewhere."""
        extended = pt.concatenate([answers, np.ones(1)])
        return {output: extended[places] for output, places in self.hazard.items()}


def questions(model: Model, data: Dataset) -> Questions:
    """Say what a model's structure is asked for a table."""
    place = np.arange(data.n_observations)
    if not model.events:
        nowhere = np.full_like(place, -1)
        return Questions(
            structure=model.structure, data=data, answer=place, before=nowhere, hazard={}
        )
    numbers = [data.outputs.index(output) for output in model.events]
    seen = data.observations
    event = np.isin(seen.output, numbers)
    exact = event & (seen.value == EXACT)
    source = np.repeat(np.arange(len(data.records)), _copies(data, exact))
    second = np.diff(source, prepend=-1) == 0
    extended = _asked(data, source, second, numbers)
    answer = np.cumsum(1 + exact) - (1 + exact)
    previous = rows_before(data, numbers)
    earlier = np.where(previous < 0, answer, answer[previous])
    hazard = np.where(exact, answer + 1, -1)
    return Questions(
        structure=with_cumulative(model.structure, model.events),
        data=extended,
        answer=answer,
        before=np.where(event, earlier, -1),
        hazard={
            output: hazard[seen.output == number]
            for output, number in zip(model.events, numbers, strict=True)
        },
    )


def _copies(data: Dataset, exact: np.ndarray) -> Integers:
    copies = np.ones(len(data.records), dtype=np.int64)
    copies[data.observations.order[exact]] = 2
    return copies


def _asked(data: Dataset, source: Integers, second: np.ndarray, numbers: list[int]) -> Dataset:
    """Ask for the integral of every hazard, and at the second of two copies for the hazard."""
    records = data.records.take(source)
    integral = {number: len(data.outputs) + k for k, number in enumerate(numbers)}
    output = [
        integral.get(number, number) if not again else number
        for number, again in zip(records.output.tolist(), second.tolist(), strict=True)
    ]
    records = replace(records, output=np.array(output, dtype=np.int64))
    return replace(
        data,
        outputs=(*data.outputs, *(names.cumulative(data.outputs[number]) for number in numbers)),
        records=records,
        covariates={
            name: make_covariate(name, each.values[source], records)
            for name, each in data.covariates.items()
        },
    )
