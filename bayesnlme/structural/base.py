"""What every structural model offers: names, inputs, predictions, equations."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from bayesnlme._types import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Equation:
    r"""One equation of a model, for people.

    Attributes
    ----------
    left : str
        What is defined, as LaTeX: ``r"\frac{d\,depot}{dt}"``.
    right : str
        What it equals, as LaTeX.
    text : str
        The whole equation on one line of plain text: ``"d depot/dt = -ka*depot"``.
    """

    left: str
    right: str
    text: str


@runtime_checkable
class Structure(Protocol):
    """A structural model: individual parameters and a schedule give predictions.

    Attributes
    ----------
    parameters : tuple of str
        Names of the individual parameters it needs.
    compartments : tuple of str
        Compartments that may be dosed, in the order that CMT counts them (from 1).
    outputs : tuple of str
        Names of what it predicts.
    shares : tuple of str
        Parameters that make sense between 0 and 1 alone.
    """

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the individual parameters it needs."""
        ...

    @property
    def compartments(self) -> tuple[str, ...]:
        """Compartments that may be dosed, in the order that CMT counts them (from 1)."""
        ...

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of what it predicts."""
        ...

    @property
    def balances(self) -> tuple[dict[str, int], ...]:
        """Products of units, by power, that must be the number 1; names as in the table or model.

        Empty where nothing is known of the units.
        """
        ...

    @property
    def shares(self) -> tuple[str, ...]:
        """Parameters that make sense between 0 and 1 alone."""
        ...

    def inputs(self, data: Any, rows: Any = None) -> dict[str, np.ndarray]:
        """Return the flat arrays it needs from a `Dataset`, by name.

        Parameters
        ----------
        data : Dataset
            The table.
        rows : Rows, optional
            Rows of individual parameters, where they change within a subject; one row for each
            subject if not given.

        Raises
        ------
        DataError
            If the table holds an event that the structure cannot express.
        """
        ...

    def predict(
        self,
        parameters: Mapping[str, Tensor],
        inputs: Mapping[str, Tensor],
    ) -> Tensor:
        """Predict every observation.

        Parameters
        ----------
        parameters : mapping of str to tensor
            Individual parameters, each of shape ``(n_rows,)``: one for each row that `inputs`
            was given, or for each subject.
        inputs : mapping of str to tensor
            What `inputs` returned, as (possibly shared) tensors.

        Returns
        -------
        tensor
            Predictions, shape ``(n_observations,)``, in the order of the observations.
        """
        ...

    def equations(self) -> tuple[Equation, ...]:
        """Return its equations, in the order a modeller writes them."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that TOML can hold, with a ``"kind"``."""
        ...
