"""Linear equations: whether they are, and the eigenvalues of their matrix, as symbols.

A matrix is taken apart into its strongly connected components, whose eigenvalues together are its
own. Those of a component are looked for among its own terms first, so that rate constants that
were meant as eigenvalues (as half-lives are) come out as such; then come the formulas for up to
three states.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import mpmath  # type: ignore[import-untyped]
import sympy

from bayesnlme.odes.derivative import derivative
from bayesnlme.odes.text import TIME, symbol

type Matrix = Sequence[Sequence[sympy.Expr]]

_LARGEST = 3
_DIGITS = 50
_TRIALS = 3
_LONG = 100


@dataclass(frozen=True, slots=True)
class Block:
    """Some eigenvalues of a matrix, all real for positive parameters.

    Attributes
    ----------
    size : int
        How many: 1, 2 or 3.
    coefficients : tuple of expression
        One: ``(eigenvalue,)``. Two: ``(trace, determinant, discriminant)``, the roots of
        ``x**2 - trace*x + determinant``, where ``discriminant = trace**2 - 4*determinant`` is
        written without cancellation. Three: ``(c2, c1, c0)``, the roots of
        ``x**3 + c2*x**2 + c1*x + c0``.
    """

    size: int
    coefficients: tuple[sympy.Expr, ...]


def is_affine(rhs: Sequence[sympy.Expr], states: Sequence[sympy.Symbol]) -> bool:
    """Whether expressions are affine in the states, with coefficients free of them and of time.

    They are taken to be continuous.
    """
    varying = {symbol(TIME), *states}
    slopes = [derivative(flow, state) for flow in rhs for state in states]
    timeless = all(symbol(TIME) not in flow.free_symbols for flow in rhs)
    return timeless and all(not slope.free_symbols & varying for slope in slopes)


def spectrum(matrix: Matrix) -> tuple[Block, ...] | None:
    """Return the eigenvalues of a matrix of parameters, in blocks.

    Parameters
    ----------
    matrix : sequence of sequence of expression
        Square.

    Returns
    -------
    tuple of Block or None
        The sizes add to that of the matrix. None where a strongly connected component has more
        than three states, or where eigenvalues may be complex for positive parameters.
    """
    blocks: list[Block] = []
    for component in _components(matrix):
        found = _component([[matrix[i][j] for j in component] for i in component])
        if found is None:
            return None
        blocks += found
    return tuple(blocks)


def _components(matrix: Matrix) -> Iterator[list[int]]:
    """Yield the strongly connected components, by the smallest state of each."""
    size = range(len(matrix))
    reached = [{i} | {j for j in size if matrix[j][i] != 0} for i in size]
    for middle in size:
        for i in size:
            if middle in reached[i]:
                reached[i] |= reached[middle]
    for i in size:
        together = [j for j in size if j in reached[i] and i in reached[j]]
        if together[0] == i:
            yield together


def _component(matrix: Matrix) -> list[Block] | None:
    if len(matrix) == 1:
        return [Block(1, (matrix[0][0],))]
    if len(matrix) > _LARGEST:
        return None
    named = _named(matrix)
    if named is not None:
        return [Block(1, (each,)) for each in named]
    if not _reversible(matrix):
        return None
    polynomial = _characteristic(matrix)
    if len(matrix) == 3:
        return [Block(3, polynomial)]
    (a, b), (c, d) = matrix
    return [Block(2, (a + d, polynomial[1], (a - d) ** 2 + 4 * b * c))]


def _named(matrix: Matrix) -> list[sympy.Expr] | None:
    """Return the eigenvalues where the negative of each is a part of some entry.

    Such a part is a root of the characteristic polynomial in fifty digits wherever it is tried.
    """
    parts = sorted(_parts(matrix), key=sympy.default_sort_key)
    symbols = sorted(set().union(*(each.free_symbols for each in parts)), key=str)
    evaluate = sympy.lambdify(symbols, [parts, [list(row) for row in matrix]], "mpmath")
    draw = random.Random(1).random  # noqa: S311  any points will do
    roots: Sequence[int] = range(len(parts))
    with mpmath.workdps(_DIGITS):
        for _ in range(_TRIALS):
            values, numbers = evaluate(*(mpmath.mpf(0.1 + draw()) for _ in symbols))
            at_point = mpmath.matrix(numbers)
            roots = [k for k in roots if _is_eigenvalue(-values[k], at_point)]
        different = {mpmath.nstr(values[k], _DIGITS // 2): -parts[k] for k in reversed(roots)}
    return list(different.values()) if len(different) == len(matrix) else None


def _parts(matrix: Matrix) -> set[sympy.Expr]:
    """Return all expressions that the entries are made of, numbers left out."""
    nodes = {node for row in matrix for each in row for node in sympy.preorder_traversal(each)}
    return {node for node in nodes if isinstance(node, sympy.Expr) and node.free_symbols}


def _is_eigenvalue(value: mpmath.mpf, matrix: mpmath.matrix) -> bool:
    shifted = matrix - value * mpmath.eye(matrix.rows)
    scale = mpmath.mnorm(matrix, 1) + abs(value)
    return abs(mpmath.det(shifted)) < mpmath.mpf(10) ** (10 - _DIGITS) * scale**matrix.rows


def _characteristic(matrix: Matrix) -> tuple[sympy.Expr, ...]:
    """Return the characteristic polynomial without its leading 1, highest power first.

    What leaves a state is written as what goes to the others and what is lost besides, so that
    the terms of a compartmental model are all positive, whatever its rates are made of.
    """
    size = range(len(matrix))
    meaning: dict[sympy.Symbol, sympy.Expr] = {}

    def name(expression: sympy.Expr) -> sympy.Expr:
        if expression == 0:
            return sympy.Integer(0)
        word = sympy.Dummy()
        meaning[word] = expression
        return word

    flows = [[name(matrix[i][j]) if i != j else sympy.Integer(0) for j in size] for i in size]
    losses = [name(_difference(matrix, j)) for j in size]
    whole = sympy.Matrix(flows)
    for j in size:
        whole[j, j] = -losses[j] - sympy.Add(*(flows[i][j] for i in size))
    coefficients = whole.charpoly().all_coeffs()[1:]
    return tuple(sympy.expand(each).xreplace(meaning) for each in coefficients)


def _difference(matrix: Matrix, column: int) -> sympy.Expr:
    """Return what is lost from a state: minus the sum of its column."""
    lost = -sympy.Add(*(row[column] for row in matrix))
    return sympy.expand(lost) if sympy.count_ops(lost) < _LONG else lost


def _reversible(matrix: Matrix) -> bool:
    """Whether a positive diagonal scaling makes a matrix of two or three states symmetric.

    Its eigenvalues are then real. It is so where exchange between every two states has the same
    sign both ways, and where the product around a cycle of three is the same in both directions
    (Kolmogorov's criterion).
    """
    pairs = combinations(range(len(matrix)), 2)
    exchanges = all(_positive(matrix[i][j] * matrix[j][i]).is_nonnegative for i, j in pairs)
    if not exchanges or len(matrix) == 2:
        return exchanges
    (_, a, b), (c, _, d), (e, f, _) = matrix
    return bool(a * d * e - b * f * c == 0)


def _positive(expression: sympy.Expr) -> sympy.Expr:
    """Put positive symbols for all."""
    names = {each: sympy.Symbol(each.name, positive=True) for each in expression.free_symbols}
    return expression.xreplace(names)
