r"""Linear equations with constant coefficients: their exact solution, in all lanes at once.

States and sensitivities together obey :math:`u' = M u + b`, whose M is block triangular with the
matrix A of the states on the diagonal, so the eigenvalues of A, each twice, are nodes for
Newton's form of its exponential (`bayesnlme.odes.newton`); a constant b adds the node 0. The
vectors of that form are made once, at the start of a stretch, by the generated right-hand side
alone; each observation then costs one table of divided differences.

Where the eigenvalues have no closed form, `advance` applies the exponential by its Taylor series,
over steps that are short against the norm of A ([AlMohy2011]_).

References
----------
.. [AlMohy2011] A. H. Al-Mohy, N. J. Higham, Computing the action of the matrix exponential,
   SIAM J. Sci. Comput. 33 (2011) 488-511.
"""

import math

from bayesnlme.odes import places as at
from bayesnlme.odes.addresses import shift
from bayesnlme.odes.events import slope
from bayesnlme.odes.machine import Integers, Reals, routine
from bayesnlme.odes.newton import REACH
from bayesnlme.odes.places import W
from bayesnlme.odes.vector import add, blend_all, call, largest_row_sum

SERIES_REACH = 2.0
"""Norm times step of the Taylor series: up to here its terms cancel by two digits at most."""

_TERMS = 23
_MOST_SQUARINGS = 60


@routine
def prepare(w: Reals, s: Integers) -> None:
    """Make nodes and vectors for the stretches that begin at the states."""
    call(s[at.F_SPECTRUM], w, w, shift(w, s[at.CONSTANTS]), w, w, shift(w, s[at.TABLE]))
    for lane in range(W):
        _find_nodes(w, s, lane)
    size, vectors = s[at.N] * W, shift(w, s[at.VECTORS])
    constant, share = _constant(w, s), shift(w, s[at.MASK])
    any_constant = False
    for lane in range(W):
        there = False
        for i in range(s[at.N]):
            there = there or constant[i * W + lane] != 0.0
        share[lane] = 1.0 if there else 0.0
        any_constant = any_constant or there
    state = shift(w, s[at.STATE])
    for i in range(size):
        vectors[i] = state[i]
    factor = shift(w, s[at.FACTOR])
    for q in range(s[at.N_NODES] - 1):
        here, after = shift(vectors, q * size), shift(vectors, (q + 1) * size)
        slope(w, s, here, after)
        nodes = shift(w, s[at.NODES] + q * W)
        if any_constant:
            for lane in range(W):
                factor[lane] = share[lane] - 1.0
            add(after, after, factor, constant, size, s[at.N])
        for lane in range(W):
            factor[lane] = -nodes[lane]
            share[lane] *= -nodes[lane]
        add(after, after, factor, here, size, s[at.N])


@routine
def evaluate(w: Reals, s: Integers) -> None:
    """Write the state at STEP behind the start of the stretch to DENSE; NaN where that fails."""
    count, nodes, h = s[at.N_NODES], shift(w, s[at.NODES]), shift(w, s[at.STEP])
    scaled, table = shift(w, s[at.SCALED]), shift(w, s[at.TABLE])
    squarings, most = shift(w, s[at.FACTOR]), 0.0
    for lane in range(W):
        low, high = 0.0, -math.inf
        for q in range(count):
            low, high = min(low, nodes[q * W + lane]), max(high, nodes[q * W + lane])
        spread, turns = (high - low) * h[lane], 0.0
        while REACH < spread < math.inf and turns < _MOST_SQUARINGS:
            spread *= 0.5
            turns += 1.0
        scale = 0.5**turns
        for q in range(count):
            scaled[q * W + lane] = (nodes[q * W + lane] - low) * h[lane] * scale
        scaled[count * W + lane] = low * h[lane] * scale
        scaled[(count + 1) * W + lane] = scale
        squarings[lane] = turns
        most = max(most, turns)
    half = count * (count + 1) // 2 * W
    call(s[at.F_DIFFERENCES], w, scaled, w, w, w, table)
    weights = shift(w, s[at.WEIGHTS])
    for turn in range(int(most) + 1):
        here, after = shift(table, half * (turn % 2)), shift(table, half * ((turn + 1) % 2))
        for lane in range(W):
            if squarings[lane] == turn:
                power = 1.0
                for q in range(count):
                    weights[q * W + lane] = here[q * W + lane] * power
                    power *= h[lane]
        if turn < most:
            call(s[at.F_SQUARE], w, here, w, w, w, after)
    dense, size = shift(w, s[at.DENSE]), s[at.N] * W
    blend_all(dense, weights, shift(w, s[at.VECTORS]), size, s[at.N], count)


@routine
def fastest(w: Reals, s: Integers, lane: int) -> float:
    """Return the size of a lane's largest eigenvalue."""
    return abs(w[s[at.NODES] + lane])


@routine
def measure(w: Reals, s: Integers) -> None:
    """Write a bound of the rates of all modes to BOUND."""
    c, matrix = shift(w, s[at.CONSTANTS]), shift(w, s[at.MATRIX])
    call(s[at.F_JACOBIAN], shift(w, s[at.T]), shift(w, s[at.STATE]), c, w, w, matrix)
    largest_row_sum(matrix, s[at.N_STATES], shift(w, s[at.BOUND]))


@routine
def advance(w: Reals, s: Integers) -> None:
    """Write the state one STEP on, by the Taylor series, to TRIAL."""
    n, size = s[at.N], s[at.N] * W
    state, trial, constant = shift(w, s[at.STATE]), shift(w, s[at.TRIAL]), _constant(w, s)
    here, after = shift(w, s[at.SLOPES]), shift(w, s[at.SLOPES] + size)
    factor, one = shift(w, s[at.FACTOR]), shift(w, s[at.ONE])
    for i in range(size):
        trial[i] = here[i] = state[i]
    for term in range(1, _TERMS + 1):
        slope(w, s, here, after)
        if term > 1:
            for lane in range(W):
                factor[lane] = -1.0
            add(after, after, factor, constant, size, n)
        for lane in range(W):
            factor[lane] = w[s[at.STEP] + lane] / term
        for i in range(n):
            for lane in range(W):
                here[i * W + lane] = after[i * W + lane] * factor[lane]
        add(trial, trial, one, here, size, n)


@routine
def _constant(w: Reals, s: Integers) -> Reals:
    """Evaluate the derivative of states and columns that are zero."""
    zeros, out = shift(w, s[at.SCRATCH]), shift(w, s[at.LATE])
    for i in range(s[at.N] * W):
        zeros[i] = 0.0
    slope(w, s, zeros, out)
    return out


@routine
def _find_nodes(w: Reals, s: Integers, lane: int) -> None:
    """Write a lane's eigenvalues, fastest first, each as often as needed, and the node 0.

    Not-a-number where they are not real.
    """
    given, nodes = shift(w, s[at.TABLE] + lane), shift(w, s[at.NODES] + lane)
    count = 0
    for i in range(s[at.N_BLOCKS]):
        size = s[s[at.SIZES] + i]
        first, second, third = given[0], 0.0, 0.0
        if size == 2:
            first, second = _roots(given[0], given[W], given[2 * W])
        elif size == 3:
            first, second, third = _cubic_roots(given[0], given[W], given[2 * W])
        _sort_in(nodes, count, first)
        if size > 1:
            _sort_in(nodes, count + 1, second)
        if size > 2:
            _sort_in(nodes, count + 2, third)
        count += size
        given = shift(given, W if size == 1 else 3 * W)
    copies = 1 + s[at.SENSITIVE]
    for back in range(count * copies):
        place = count * copies - 1 - back
        nodes[place * W] = nodes[place // copies * W]
    nodes[count * copies * W] = 0.0


@routine
def _sort_in(nodes: Reals, count: int, value: float) -> None:
    place = count
    while place > 0 and abs(nodes[(place - 1) * W]) < abs(value):
        nodes[place * W] = nodes[(place - 1) * W]
        place -= 1
    nodes[place * W] = value


@routine
def _roots(total: float, product: float, discriminant: float) -> tuple[float, float]:
    """Return two numbers of known sum and product, without cancellation."""
    root = math.sqrt(discriminant) if discriminant >= 0.0 else math.nan
    large = 0.5 * (total - root) if total < 0.0 else 0.5 * (total + root)
    return large, product / large if large != 0.0 else 0.0


@routine
def _cubic_roots(c2: float, c1: float, c0: float) -> tuple[float, float, float]:
    """Return the real roots of x^3 + c2 x^2 + c1 x + c0.

    The one of largest size by the trigonometric formula and two steps of Newton's method; the
    others from their sum and product, which it leaves without cancellation.
    """
    centre = -c2 / 3.0
    p = max(c2 * c2 / 9.0 - c1 / 3.0, 0.0)
    q = (2.0 * c2 * c2 * c2 - 9.0 * c2 * c1 + 27.0 * c0) / 54.0
    size = math.sqrt(p)
    if size > 0.0:
        cosine = max(-1.0, min(1.0, -q / (p * size)))
        angle = math.acos(cosine) / 3.0
        shift_ = 2.0 * math.pi / 3.0
        low, high = (
            centre + 2.0 * size * math.cos(angle + shift_),
            centre + 2.0 * size * math.cos(angle),
        )
        large = low if abs(low) > abs(high) else high
        for _ in range(2):
            slope = (3.0 * large + 2.0 * c2) * large + c1
            if slope != 0.0:
                large -= (((large + c2) * large + c1) * large + c0) / slope
    else:
        large = centre
    if large == 0.0:
        return 0.0, 0.0, 0.0
    product = -c0 / large
    total = (c1 - product) / large
    first, second = _roots(total, product, max(total * total - 4.0 * product, 0.0))
    return large, first, second
