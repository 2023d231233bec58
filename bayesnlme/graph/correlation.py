r"""LKJ correlations through partial correlations.

Row k of the Cholesky factor of a correlation matrix is, in the partial correlations
:math:`\rho_{kj}` of effects k and j given the effects before j,

.. math:: L_{kj} = \rho_{kj} \prod_{i<j} \sqrt{1 - \rho_{ki}^2}, \qquad
          L_{kk} = \prod_{i<k} \sqrt{1 - \rho_{ki}^2},

and under LKJ(shape) they are independent with :math:`(\rho_{kj} + 1)/2 \sim
\mathrm{Beta}(a_j, a_j)`, :math:`a_j = \mathrm{shape} + (n - 2 - j)/2` for j counted from 0
[Lewandowski2009]_, section 2.4. PyMC's ``LKJCorr`` is the same prior; its transform multiplied the
compile time of a three-parameter model by four (``docs/decisions``).
"""

from collections.abc import Sequence

import pymc as pm
import pytensor.tensor as pt

from bayesnlme._types import Tensor
from bayesnlme.model.layers import Layer

type Factor = Sequence[dict[int, Tensor]]
"""A lower triangular matrix: for each row its entries by column, zeros left out."""


def correlation_factor(layer: Layer, lkj: float) -> list[dict[int, Tensor]]:
    """Return the Cholesky factor of the correlation matrix of all effects of a layer.

    Within a block it is triangular in the order of the block.
    """
    factor: list[dict[int, Tensor]] = [{k: 1.0} for k in range(len(layer.effects))]
    for block in layer.blocks:
        places = [layer.effects.index(name) for name in block]
        for k, row in enumerate(_block_factor(layer.names.partial(block), len(block), lkj)):
            factor[places[k]] = {places[j]: entry for j, entry in row.items()}
    return factor


def times_transpose(factor: Factor) -> Tensor:
    """Return the matrix whose Cholesky factor is given."""
    entries = [
        [
            sum((row[j] * other[j] for j in row if j in other), start=pt.zeros(()))
            for other in factor
        ]
        for row in factor
    ]
    return pt.stack([pt.stack(row) for row in entries])


def _block_factor(name: str, n: int, shape: float) -> list[dict[int, Tensor]]:
    pairs = [(k, j) for k in range(1, n) for j in range(k)]
    concentration = [shape + (n - 2 - j) / 2 for _, j in pairs]
    place = pm.Beta(name, concentration, concentration, shape=len(pairs))
    partial = {pair: 2 * place[number] - 1 for number, pair in enumerate(pairs)}
    rows: list[dict[int, Tensor]] = []
    for k in range(n):
        left, row = pt.constant(1.0), {}
        for j in range(k):
            row[j] = partial[k, j] * left
            left = left * pt.sqrt(1 - partial[k, j] ** 2)
        rows.append(row | {k: left})
    return rows
