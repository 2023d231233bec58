r"""One compartment with linear elimination, in closed form.

Amounts A after one unit of drug, with :math:`k = CL/V` and time :math:`t` since the dose:

* into the central compartment: :math:`A(t) = e^{-kt}`;
* into the depot, absorbed at rate ka: :math:`A(t) = k_a B(t)` with the Bateman function
  :math:`B(t) = (e^{-kt} - e^{-k_a t}) / (k_a - k)`;
* infused over a duration D into either: the amounts at :math:`T = \min(t, D)`, which then decline
  like a bolus given at T.

Repeated doses superpose. Every expression is written with :math:`\varphi(x) = (1 - e^{-x})/x`, so
nothing is lost where ka and k meet or where k goes to zero. Gibaldi and Perrier (1982),
*Pharmacokinetics*, 2nd ed., chapter 1, gives the same formulas in their usual form.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pytensor.tensor as pt

from bayesnlme._types import Tensor
from bayesnlme.data import Dataset
from bayesnlme.data.events import compartment_index, dose_observation_pairs, expand_doses
from bayesnlme.errors import DataError, Finding, ModelError
from bayesnlme.structural.base import Equation

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
        """Return doses paired with the later observations, apart by route.

        Returns
        -------
        dict
            ``observation_subject``, shape (observation,), and for each route that the doses use
            ``<route>_observation``, ``_subject``, ``_elapsed``, ``_amount`` and, for infusions,
            ``_duration``, shape (pair,).
        """
        refuse_beyond_bolus_and_infusion(data)
        doses = expand_doses(data)
        where = compartment_index(doses, self.compartments)
        observation, dose = dose_observation_pairs(doses, data.observations)
        arrays = {"observation_subject": data.observations.subject}
        infused = doses.rate > 0
        for number, compartment in enumerate(self.compartments):
            for word, given in (("bolus", ~infused), ("infusion", infused)):
                chosen = (where[dose] == number) & given[dose] & (doses.amount[dose] > 0)
                if chosen.any():
                    route = f"{compartment}_{word}"
                    arrays |= _pair_arrays(route, data, doses, observation[chosen], dose[chosen])
        return arrays

    def predict(self, parameters: Mapping[str, Tensor], inputs: Mapping[str, Tensor]) -> Tensor:
        """Predict the concentration at every observation, shape (observation,)."""
        k = parameters["CL"] / parameters["V"]
        ka = parameters.get("ka")
        subject = inputs["observation_subject"]
        amount = pt.zeros(subject.shape[0])
        for route in (f"{c}_{w}" for c in self.compartments for w in ("bolus", "infusion")):
            if f"{route}_amount" in inputs:
                response = _response(route, k, ka, inputs)
                amount = pt.inc_subtensor(amount[inputs[f"{route}_observation"]], response)
        return amount / parameters["V"][subject]

    def equations(self) -> tuple[Equation, ...]:
        """Return its equations."""
        elimination = Equation(
            left=r"\frac{d\,\mathrm{central}}{dt}",
            right=r"-\frac{CL}{V}\,\mathrm{central}",
            text="d central/dt = -CL/V * central",
        )
        concentration = Equation(
            left=rf"\mathrm{{{self.output}}}",
            right=r"\frac{\mathrm{central}}{V}",
            text=f"{self.output} = central/V",
        )
        if self.absorption is None:
            return (elimination, concentration)
        absorption = Equation(
            left=r"\frac{d\,\mathrm{depot}}{dt}",
            right=r"-k_a\,\mathrm{depot}",
            text="d depot/dt = -ka * depot",
        )
        both = Equation(
            left=r"\frac{d\,\mathrm{central}}{dt}",
            right=r"k_a\,\mathrm{depot} - \frac{CL}{V}\,\mathrm{central}",
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
    if not output.isidentifier():
        raise ModelError(f"one_compartment: output {output!r} is not a valid name.")
    return OneCompartment(absorption=absorption, output=output)


def refuse_beyond_bolus_and_infusion(data: Dataset) -> None:
    """Refuse dose records whose meaning needs more than a bolus or a known infusion.

    Raises
    ------
    DataError
        Naming every record with a modelled rate or duration or a steady state.
    """
    doses = data.doses
    kinds = (
        (doses.rate < 0, "E_RATE_UNMODELLED", "RATE", "a modelled rate or duration (RATE -1, -2)"),
        (doses.steady_state != 0, "E_STEADY_STATE", "SS", "a steady-state dose"),
    )
    findings = [
        Finding(
            code=code,
            message=f"This record asks for {words}, which the structural model cannot express.",
            remedy="Write the doses out as boluses (RATE 0) or infusions of known rate.",
            subject=data.subjects[doses.subject[i]],
            row=int(doses.row[i]),
            column=column,
        )
        for mask, code, column, words in kinds
        for i in np.flatnonzero(mask)
    ]
    if findings:
        raise DataError(findings, data.source)


def _pair_arrays(
    route: str, data: Dataset, doses: Any, observation: np.ndarray, dose: np.ndarray
) -> dict[str, np.ndarray]:
    arrays = {
        f"{route}_observation": observation,
        f"{route}_subject": doses.subject[dose],
        f"{route}_elapsed": data.observations.time[observation] - doses.time[dose],
        f"{route}_amount": doses.amount[dose],
    }
    if route.endswith("infusion"):
        arrays[f"{route}_duration"] = doses.amount[dose] / doses.rate[dose]
    return arrays


def _response(route: str, k: Tensor, ka: Tensor | None, inputs: Mapping[str, Tensor]) -> Tensor:
    """Amount in the central compartment that each dose leaves at its observation."""
    subject = inputs[f"{route}_subject"]
    elapsed = inputs[f"{route}_elapsed"]
    amount = inputs[f"{route}_amount"]
    if route == "central_bolus":
        return amount * pt.exp(-k[subject] * elapsed)
    if route == "central_infusion":
        duration = inputs[f"{route}_duration"]
        given = pt.minimum(elapsed, duration)
        reached = given * phi(k[subject] * given) / duration
        return amount * reached * pt.exp(-k[subject] * (elapsed - given))
    slow, gap = _slow_and_gap(k, ka)
    if route == "depot_bolus":
        return amount * ka[subject] * bateman(slow[subject], gap[subject], elapsed)
    return amount * _depot_infusion(
        (k[subject], ka[subject], slow[subject], gap[subject]),
        elapsed,
        inputs[f"{route}_duration"],
    )


def _depot_infusion(
    rates: tuple[Tensor, Tensor, Tensor, Tensor], elapsed: Tensor, duration: Tensor
) -> Tensor:
    """Central amount per unit infused into the depot over ``duration``.

    While the infusion runs the depot holds psi(ka) = T phi(ka T) per unit rate; the central
    compartment receives 1 - d depot/dt, hence holds psi(k) - B(T).
    """
    k, ka, slow, gap = rates
    given = pt.minimum(elapsed, duration)
    after = elapsed - given
    depot = given * phi(ka * given)
    central = given * phi(k * given) - bateman(slow, gap, given)
    return (central * pt.exp(-k * after) + depot * ka * bateman(slow, gap, after)) / duration


def _slow_and_gap(k: Tensor, ka: Tensor) -> tuple[Tensor, Tensor]:
    """Return the smaller rate and the distance to the larger: B is symmetric in k and ka."""
    absorbs_faster = pt.ge(ka, k)
    return pt.switch(absorbs_faster, k, ka), pt.switch(absorbs_faster, ka - k, k - ka)


def bateman(slow: Tensor, gap: Tensor, t: Tensor) -> Tensor:
    r""":math:`B(t) = t e^{-at} \varphi(dt)` with a the smaller rate, d >= 0 the distance."""
    return t * pt.exp(-slow * t) * phi(gap * t)


def phi(x: Tensor) -> Tensor:
    r""":math:`\varphi(x) = (1 - e^{-x})/x`, 1 at 0; by its series where x < 0.01."""
    small = pt.lt(x, 0.01)
    series = 1 - x / 2 * (1 - x / 3 * (1 - x / 4 * (1 - x / 5 * (1 - x / 6))))
    far = pt.switch(small, 1.0, x)
    return pt.switch(small, series, -pt.expm1(-far) / far)
