r"""Superposed doses in one linear compartment, with their sensitivities, in machine code.

The amount in the central compartment at an observation is a sum over the doses before it. Per
unit of drug, with :math:`k = CL/V`, times since the dose t, :math:`\varphi(x) = (1 - e^{-x})/x` and
the Bateman function :math:`B(t) = (e^{-kt} - e^{-k_a t})/(k_a - k) = t e^{-at}\varphi(dt)`, where a
is the smaller rate and d the distance to the larger:

* bolus into the central compartment: :math:`e^{-kt}`; into the depot: :math:`k_a B(t)`;
* infusion over D, with :math:`T = \min(t, D)` and :math:`\tau = t - T`. At T the central
  compartment holds, per unit rate, :math:`T\varphi(kT)` if it was infused itself, and
  :math:`k_a T^2 \Delta(kT, k_a T)` if the depot was, which then holds :math:`T\varphi(k_a T)`. From
  there both decline like boluses given at T.

Here :math:`\Delta(a, b) = (\varphi(a) - \varphi(b))/(b - a)`. In these forms nothing is lost where
ka and k meet or where either goes to zero. One operation of one loop: as separate array operations
the same formulas took several times as long (``docs/decisions``).
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytensor.tensor as pt
from pytensor.gradient import DisconnectedType, disconnected_type, grad_not_implemented
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.link.numba.dispatch.basic import numba_njit, register_funcify_and_cache_key

from bayesnlme._types import Floats, Integers, Tensor
from bayesnlme.assembly.operations import Find
from bayesnlme.assembly.program import Places, Program
from bayesnlme.odes import compiling
from bayesnlme.odes.digest import sources_digest
from bayesnlme.structural import superposition_terms as terms
from bayesnlme.structural.superposition_lanes import write_add_up, write_superpose

ARRAYS = ("row", "offsets", "elapsed", "amount", "duration", "compartment")
_WHOLE = ("row", "offsets", "compartment")
_SOURCE = sources_digest(Path(each) for each in (__file__, terms.__file__, compiling.__file__))
_TERMS = len(terms.PHI_SERIES)


class Superpose(Op):
    """Concentrations from superposed doses.

    Inputs are the parameters ka, CL and V, each of shape (rows,) (ka is not read unless a depot was
    dosed), and

    * ``row``, shape (observation,): row of the parameters;
    * ``offsets``, shape (observation + 1,): the doses before observation j are the entries
      ``offsets[j]:offsets[j + 1]`` of the arrays that follow;
    * ``elapsed``, ``amount``, ``duration`` (0 for a bolus), ``compartment`` (0 depot, 1 central).

    Outputs are the concentrations, shape (observation,), and their derivatives by the three
    parameters, shape (observation, 3), from one pass.
    """

    __props__ = ("source",)
    default_output = 0

    def __init__(self) -> None:
        self.source = _SOURCE

    def make_node(self, *inputs: Tensor) -> Apply[Any]:
        """Bring the inputs to their types."""
        checked = [pt.as_tensor(each, dtype="float64", ndim=1) for each in inputs[:3]]
        for name, array in zip(ARRAYS, inputs[3:], strict=True):
            dtype = "int64" if name in _WHOLE else "float64"
            checked.append(pt.as_tensor(array, dtype=dtype, ndim=1))
        outputs = [pt.vector(dtype="float64"), pt.tensor(dtype="float64", shape=(None, 3))]
        return Apply(self, checked, outputs)

    def perform(
        self, node: Apply[Any], inputs: Sequence[Any], output_storage: Sequence[list[Any]]
    ) -> None:
        """Run the kernel from Python."""
        del node
        output_storage[0][0], output_storage[1][0] = _kernel_from_python(*inputs)

    def infer_shape(
        self, node: Apply[Any], shapes: Sequence[tuple[Any, ...]]
    ) -> list[tuple[Any, ...]]:
        """Give the shapes of the outputs without computing them."""
        del node
        (count,) = shapes[3]
        return [(count,), (count, 3)]

    def connection_pattern(self, node: Apply[Any]) -> list[list[bool]]:
        """Connect the outputs with the parameters alone."""
        del node
        return [[True, True]] * 3 + [[False, False]] * len(ARRAYS)

    def write_machine_code(
        self, program: Program, node: Apply[Any], find: Find
    ) -> Sequence[Places]:
        """Write the sums for all lanes at once."""
        return write_superpose(program, node, find)

    def pullback(
        self, inputs: Sequence[Tensor], outputs: Sequence[Tensor], cotangents: Sequence[Tensor]
    ) -> list[Tensor]:
        """Multiply with the sensitivities of the same pass and add up by row."""
        if not isinstance(cotangents[1].type, DisconnectedType):
            raise NotImplementedError(
                "Second derivatives of a closed form are not available: "
                "differentiate its predictions once."
            )
        gradients: Any = _AddUp()(cotangents[0], outputs[1], inputs[3], inputs[0])
        return [*gradients, *(disconnected_type() for _ in ARRAYS)]


class _AddUp(Op):
    """Multiply cotangents with sensitivities and add up by row of the parameters.

    Inputs are the cotangents, shape (observation,), the sensitivities, shape (observation, 3), the
    rows, shape (observation,), and any array of shape (rows,); outputs three arrays of that shape.
    """

    __props__ = ("source",)

    def __init__(self) -> None:
        self.source = _SOURCE

    def make_node(self, *inputs: Tensor) -> Apply[Any]:
        """Bring the inputs to their types."""
        return Apply(self, [pt.as_tensor(each) for each in inputs], [pt.dvector() for _ in "123"])

    def perform(
        self, node: Apply[Any], inputs: Sequence[Any], output_storage: Sequence[list[Any]]
    ) -> None:
        """Run the kernel from Python."""
        del node
        for storage, result in zip(output_storage, _add_up_from_python(*inputs), strict=True):
            storage[0] = result

    def infer_shape(
        self, node: Apply[Any], shapes: Sequence[tuple[Any, ...]]
    ) -> list[tuple[Any, ...]]:
        """Give the shapes of the outputs without computing them."""
        del node
        return [shapes[3]] * 3

    def connection_pattern(self, node: Apply[Any]) -> list[list[bool]]:
        """Connect the outputs with what is multiplied."""
        del node
        return [[True] * 3, [True] * 3, [False] * 3, [False] * 3]

    def pullback(
        self, inputs: Sequence[Tensor], outputs: Sequence[Tensor], cotangents: Sequence[Tensor]
    ) -> list[Tensor]:
        """Go back to the cotangents alone, of which the product is linear: a push-forward."""
        del outputs
        _, sensitivities, row, _ = inputs
        changes = [
            sensitivities[:, k] * each[row]
            for k, each in enumerate(cotangents)
            if not isinstance(each.type, DisconnectedType)
        ]
        refused = grad_not_implemented(self, 1, sensitivities, "there are no second derivatives")
        return [sum(changes[1:], start=changes[0]), refused, *(disconnected_type() for _ in "23")]

    def write_machine_code(
        self, program: Program, node: Apply[Any], find: Find
    ) -> Sequence[Places]:
        """Write the sums for all lanes at once."""
        return write_add_up(program, node, find)


def superpose(ka: Tensor, CL: Tensor, V: Tensor, inputs: Mapping[str, Tensor]) -> Tensor:
    """Return the concentrations, shape (observation,); see :class:`Superpose` for the inputs."""
    return Superpose()(ka, CL, V, *(inputs[name] for name in ARRAYS))


def _kernel(  # noqa: PLR0913, PLR0917  the inputs of the operation
    ka_by_row: Floats,
    CL_by_row: Floats,
    V_by_row: Floats,
    row: Integers,
    offsets: Integers,
    elapsed: Floats,
    amount: Floats,
    duration: Floats,
    compartment: Integers,
) -> tuple[Floats, Floats]:
    """Sum the doses of every observation."""
    concentrations = np.empty(row.size)
    sensitivities = np.empty((row.size, 3))
    last, ka, k, per_volume = -1, 0.0, 0.0, 0.0
    for j in range(row.size):
        if row[j] != last:
            last = row[j]
            ka, per_volume = ka_by_row[last], 1 / V_by_row[last]
            k = CL_by_row[last] * per_volume
        total, by_k, by_ka = 0.0, 0.0, 0.0
        for i in range(offsets[j], offsets[j + 1]):
            if compartment[i] == terms.CENTRAL:
                held, held_by_k = _into_central(k, elapsed[i], duration[i])
                held_by_ka = 0.0
            else:
                held, held_by_k, held_by_ka = _into_depot(k, ka, elapsed[i], duration[i])
            total += amount[i] * held
            by_k += amount[i] * held_by_k
            by_ka += amount[i] * held_by_ka
        concentrations[j] = total * per_volume
        sensitivities[j, 0] = by_ka * per_volume
        sensitivities[j, 1] = by_k * per_volume * per_volume
        sensitivities[j, 2] = -(total + k * by_k) * per_volume * per_volume
    return concentrations, sensitivities


def _add_up(
    cotangents: Floats, sensitivities: Floats, row: Integers, like: Floats
) -> tuple[Floats, Floats, Floats]:
    """Add up what each observation contributes to the gradient of its row."""
    ka, CL, V = np.zeros(like.size), np.zeros(like.size), np.zeros(like.size)
    for j in range(row.size):
        ka[row[j]] += cotangents[j] * sensitivities[j, 0]
        CL[row[j]] += cotangents[j] * sensitivities[j, 1]
        V[row[j]] += cotangents[j] * sensitivities[j, 2]
    return ka, CL, V


@compiling.njit
def _into_central(k: float, t: float, duration: float) -> tuple[float, float]:
    """Amount left of one unit given into the central compartment, and its derivative by k."""
    given = min(t, duration)
    after = t - given
    decay = math.exp(-k * after)
    if duration == 0:
        return decay, -after * decay
    held, slope = _phi(k * given)
    share = given / duration * decay
    return share * held, share * (given * slope - after * held)


@compiling.njit
def _into_depot(k: float, ka: float, t: float, duration: float) -> tuple[float, float, float]:
    """Central amount from one unit given into the depot, and its derivatives by k and ka."""
    if duration == 0:
        b, b_k, b_ka = _bateman(k, ka, t)
        return ka * b, ka * b_k, b + ka * b_ka
    given = min(t, duration)
    after = t - given
    central, central_k, central_ka = _central_while_infused(k, ka, given)
    depot, slope = _phi(ka * given)
    depot, depot_ka = given * depot, given * given * slope
    b, b_k, b_ka = _bateman(k, ka, after)
    decay = math.exp(-k * after)
    value = central * decay + depot * ka * b
    by_k = (central_k - after * central) * decay + depot * ka * b_k
    by_ka = central_ka * decay + depot_ka * ka * b + depot * (b + ka * b_ka)
    return value / duration, by_k / duration, by_ka / duration


@compiling.njit
def _bateman(k: float, ka: float, t: float) -> tuple[float, float, float]:
    """B(t) and its derivatives by k and ka; symmetric, so written in the smaller rate."""
    slow, gap = min(k, ka), abs(ka - k)
    decay = t * math.exp(-slow * t)
    height, slope = _phi(gap * t)
    value = decay * height
    by_fast = t * decay * slope
    by_slow = -t * value - by_fast
    return (value, by_slow, by_fast) if ka >= k else (value, by_fast, by_slow)


@compiling.njit
def _central_while_infused(k: float, ka: float, t: float) -> tuple[float, float, float]:
    """Central amount after infusing the depot at unit rate for t; derivatives by k and ka."""
    slow, fast = min(k, ka), max(k, ka)
    if slow < 0:  # no model of a body, and the forms below would lose digits
        return math.nan, math.nan, math.nan
    delta, by_slow, by_fast = _second_difference(slow * t, fast * t)
    scale = ka * t * t
    by_slow, by_fast = scale * t * by_slow, scale * t * by_fast
    by_k, by_ka = (by_slow, by_fast) if ka >= k else (by_fast, by_slow)
    return scale * delta, by_k, t * t * delta + by_ka


@compiling.njit
def _phi(x: float) -> tuple[float, float]:
    """(1 - exp(-x))/x and its derivative; by the series where x is small."""
    if abs(x) < terms.SMALL:
        value, slope = 0.0, 0.0
        for n in range(_TERMS - 1, -1, -1):
            value, slope = terms.PHI_SERIES[n] + x * value, value + x * slope
        return value, slope
    decay, inverse = math.exp(-x), 1 / x
    value = (1 - decay) * inverse
    return value, (decay - value) * inverse


@compiling.njit
def _second_difference(a: float, b: float) -> tuple[float, float, float]:
    """(phi(a) - phi(b))/(b - a) for 0 <= a <= b, and its derivatives.

    By (phi(a) - exp(-a) phi(b - a))/b, and where b is small by the series in the complete
    symmetric polynomials h_m = a^m + b h_(m-1) with coefficients (-1)^m / (m + 2)!.
    """
    if b >= terms.SMALL:
        left, left_slope = _phi(a)
        right, right_slope = _phi(b - a)
        decay = math.exp(-a)
        value = (left - decay * right) / b
        by_a = (left_slope + decay * (right + right_slope)) / b
        return value, by_a, -(decay * right_slope + value) / b
    value, by_a, by_b = 0.0, 0.0, 0.0
    h, h_a, h_b = 0.0, 0.0, 0.0
    power, coefficient = 1.0, 0.5
    power_slope = 0.0
    for m in range(_TERMS):
        h, h_a, h_b = power + b * h, power_slope + b * h_a, h + b * h_b
        value += coefficient * h
        by_a += coefficient * h_a
        by_b += coefficient * h_b
        power, power_slope = power * a, power + power_slope * a
        coefficient *= -1 / (m + 3)
    return value, by_a, by_b


_kernel_from_python = numba.njit(**compiling.OPTIONS)(_kernel)
_add_up_from_python = numba.njit(**compiling.OPTIONS)(_add_up)


@register_funcify_and_cache_key(Superpose)
def _funcify_superpose(op: Superpose, node: Apply[Any], **_: Any) -> tuple[Any, str]:
    """Hand the kernel to PyTensor's compiler, under a key that covers its source."""
    del node
    return numba_njit(**compiling.OPTIONS)(_kernel), f"superpose {op.source}"


@register_funcify_and_cache_key(_AddUp)
def _funcify_add_up(op: _AddUp, node: Apply[Any], **_: Any) -> tuple[Any, str]:
    """Hand the product's kernel to PyTensor's compiler, likewise."""
    del node
    return numba_njit(**compiling.OPTIONS)(_add_up), f"add up {op.source}"
