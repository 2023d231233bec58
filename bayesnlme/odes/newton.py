r"""The exponential of a matrix in Newton's form, from its eigenvalues.

For nodes :math:`\mu_0, \mu_1, \dots` that hold every eigenvalue of A as often as its largest
Jordan block is wide,

.. math::

    e^{A h} v = \sum_q h^q [\mu_0 h, \dots, \mu_q h]\exp \; (A - \mu_{q-1}) \cdots (A - \mu_0) v

where :math:`[x_0, \dots, x_q]\exp` is a divided difference ([Higham2008]_, section 10.1). These are
the first row of the exponential of the bidiagonal matrix with diagonal x and ones beside it. It
is computed by its Taylor series on nodes divided by :math:`2^s` and shifted by the smallest one,
then squared s times: all terms are positive, so nothing cancels, and nodes may coincide.

References
----------
.. [Higham2008] N. J. Higham, Functions of Matrices, SIAM (2008).
"""

import math
from collections.abc import Sequence

import sympy

from bayesnlme.odes.emit import Code as Lines
from bayesnlme.odes.emit import slot

NODES_AT_MOST = 9
"""Four states with sensitivities and a constant input."""

REACH = 1.0
"""Largest distance of scaled nodes that the series is summed for."""

_TERMS = 18
"""Of the series of an exponential: the next one is below the last bit."""


def table_lines(n_nodes: int) -> Lines:
    """Return ``y = (z_0, ..., shift, scale)`` -> the table of the scaled, shifted nodes z >= 0.

    Entry (i, j) of the exponential, i <= j, by rows; `scale` is what stands beside the diagonal.
    """
    nodes = [slot("y", q) for q in range(n_nodes)]
    if not nodes:
        return [], []
    shift, scale = slot("y", n_nodes), slot("y", n_nodes + 1)
    lines: list[tuple[sympy.Symbol, sympy.Expr]] = []

    def name(expression: sympy.Expr) -> sympy.Symbol:
        lines.append((sympy.Symbol(f"x{len(lines)}", real=True), expression))
        return lines[-1][0]

    base = name(sympy.exp(shift))
    factors = [base]
    for _ in nodes[1:]:
        factors.append(name(factors[-1] * scale))
    results: dict[tuple[int, int], sympy.Expr] = {}
    for i in range(n_nodes):
        powers: list[sympy.Expr] = [sympy.Integer(1)]
        for _ in range(1, _TERMS):
            powers.append(name(powers[-1] * nodes[i]))
        for j in range(i, n_nodes):
            if j > i:
                sums: list[sympy.Expr] = [sympy.Integer(1)]
                for k in range(1, _TERMS):
                    sums.append(name(nodes[j] * sums[-1] + powers[k]))
                powers = sums
            total: sympy.Expr = sympy.Integer(0)
            for k in reversed(range(_TERMS)):
                weight = sympy.Float(1 / math.factorial(k + j - i))
                total = name(weight * powers[k] + total) if k else weight + total
            results[i, j] = factors[j - i] * total
    return lines, [results[i, j] for i, j in _entries(n_nodes)]


def square_lines(n_nodes: int) -> Lines:
    """Return ``y`` = a triangular table -> its square."""
    place = {entry: slot("y", at) for at, entry in enumerate(_entries(n_nodes))}
    squares = [
        sympy.Add(*(place[i, k] * place[k, j] for k in range(i, j + 1)))
        for i, j in _entries(n_nodes)
    ]
    return [], squares


def _entries(n_nodes: int) -> Sequence[tuple[int, int]]:
    return [(i, j) for i in range(n_nodes) for j in range(i, n_nodes)]
