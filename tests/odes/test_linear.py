"""Whether equations are linear, and their eigenvalues, against NumPy and fifty digits."""

import mpmath
import numpy as np
import pytest
import sympy

from bayesnlme.odes.problem import problem_from_text

ONE = {"central": "-CL/V*central"}
ORAL = {"depot": "-ka*depot", "central": "ka*depot - CL/V*central"}
TWO = {
    "central": "-CL/V1*central - Q/V1*central + Q/V2*peripheral",
    "peripheral": "Q/V1*central - Q/V2*peripheral",
}
TWO_FACTORED = {
    "central": "-(CL + Q)/V1*central + Q*peripheral/V2",
    "peripheral": "Q*(central/V1 - peripheral/V2)",
}
THREE = {
    "depot": "-ka*depot",
    "central": "ka*depot - (k + k12 + k13)*central + k21*a + k31*b",
    "a": "k12*central - k21*a",
    "b": "k13*central - k31*b",
}
CATENARY = {"a": "-k12*a + k21*b", "b": "k12*a - (k21 + k23)*b + k32*c", "c": "k23*b - (k32 + k)*c"}
CHAIN = {"a": "-3*a/MTT", "b": "3*(a - b)/MTT", "c": "3*b/MTT - k*c"}
BALANCED = {  # a cycle of three whose products agree in both directions
    "a": "-(p + q)*a + p*b + q*c",
    "b": "p*a - (p + r)*b + r*c",
    "c": "q*a + r*b - (q + r + k)*c",
}
MACRO = {  # the return rate between alpha and beta, at the share f of the way
    "central": "-(alpha*beta/(beta + f*(alpha - beta)) + f*(1 - f)*(alpha - beta)**2"
    "/(beta + f*(alpha - beta)))*central + (beta + f*(alpha - beta))*peripheral",
    "peripheral": "f*(1 - f)*(alpha - beta)**2/(beta + f*(alpha - beta))*central"
    " - (beta + f*(alpha - beta))*peripheral",
}
DRIVEN = {"central": "-CL/V*central", "site": "ke0*(central/V - site)"}
SOLVED = {
    "one": ONE, "oral": ORAL, "two": TWO, "factored": TWO_FACTORED, "three": THREE,
    "catenary": CATENARY, "chain": CHAIN, "balanced": BALANCED, "macro": MACRO, "driven": DRIVEN,
}  # fmt: skip


def problem(rhs):
    return problem_from_text(rhs=rhs, outputs={"seen": next(iter(rhs))})


def roots(block, values):
    """Eigenvalues of one block, in the arithmetic of the values."""
    numbers = [each.subs(values) for each in block.coefficients]
    if block.size == 1:
        return [float(numbers[0])]
    if block.size == 2:
        trace, determinant, discriminant = map(float, numbers)
        larger = (trace - np.sqrt(discriminant)) / 2
        return [larger, determinant / larger]
    with mpmath.workdps(60):
        cubic = [1, *(mpmath.mpf(str(sympy.N(each, 50))) for each in numbers)]
        return [
            float(mpmath.re(each)) for each in mpmath.polyroots(cubic, maxsteps=500, extraprec=500)
        ]


def draws(names, spread, count=20):
    rng = np.random.default_rng(1)
    for _ in range(count):
        yield {
            sympy.Symbol(n, real=True): float(np.exp(rng.uniform(-spread, spread))) for n in names
        }


@pytest.mark.parametrize("name", SOLVED)
def test_eigenvalues_are_those_of_the_matrix(name):
    stated = problem(SOLVED[name])
    blocks, size = stated.spectrum, len(stated.states)
    assert sum(block.size for block in blocks) == size
    for values in draws(stated.parameters, 2.0):
        entries = [float(e.subs(values)) for row in stated.dfdy for e in row]
        expected = np.sort(np.linalg.eigvals(np.array(entries).reshape(size, size)).real)
        seen = np.sort([root for block in blocks for root in roots(block, values)])
        np.testing.assert_allclose(seen, expected, rtol=1e-8)


@pytest.mark.parametrize("name", ["two", "factored", "three", "catenary"])
def test_no_digits_are_lost_at_extreme_rates(name):
    """In double precision the coefficients keep all digits, whatever the rates (1e-9 to 1e9)."""
    stated = problem(SOLVED[name])
    coefficients = [e for block in stated.spectrum for e in block.coefficients]
    evaluate = sympy.lambdify(stated.parameter_symbols, coefficients, "math")
    for values in draws(stated.parameters, 20.0, 50):
        exact = {each: sympy.Rational(value) for each, value in values.items()}
        expected = [each.subs(exact) for each in coefficients]
        seen = evaluate(*(values[each] for each in stated.parameter_symbols))
        for one, other in zip(seen, expected, strict=True):
            assert abs(one / sympy.N(other, 40) - 1) < 1e-14


def test_two_states_give_all_digits_of_both_eigenvalues():
    """Also of one that is 1e-18 of the other."""
    stated = problem(TWO)
    (block,) = stated.spectrum
    for values in draws(stated.parameters, 12.0, 50):
        exact = {each: sympy.Rational(value) for each, value in values.items()}
        trace, determinant, _ = (each.subs(exact) for each in block.coefficients)
        with mpmath.workdps(80):
            half = mpmath.mpf(str(sympy.N(trace, 70))) / 2
            root = mpmath.sqrt(half**2 - mpmath.mpf(str(sympy.N(determinant, 70))))
            for one, other in zip(roots(block, values), (half - root, half + root), strict=True):
                assert abs(one / other - 1) < 1e-14


def test_the_discriminant_is_a_sum_of_squares_and_products():
    (block,) = problem(TWO).spectrum
    positive = {s: sympy.Symbol(s.name, positive=True) for s in block.coefficients[2].free_symbols}
    assert block.size == 2
    assert block.coefficients[2].xreplace(positive).is_nonnegative
    trace, determinant, discriminant = block.coefficients
    assert sympy.expand(trace**2 - 4 * determinant - discriminant) == 0


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("one", {"-CL/V"}),
        ("oral", {"-ka", "-CL/V"}),
        ("chain", {"-3/MTT", "-k"}),
        ("macro", {"-alpha", "-beta"}),
        ("driven", {"-CL/V", "-ke0"}),
    ],
)
def test_eigenvalues_that_stand_in_the_matrix_are_found(name, expected):
    blocks = problem(SOLVED[name]).spectrum
    assert {str(block.coefficients[0]) for block in blocks} == expected
    assert {block.size for block in blocks} == {1}


def test_three_states_are_their_characteristic_polynomial():
    depot, rest = problem(THREE).spectrum
    x = sympy.Symbol("x")
    c2, c1, c0 = rest.coefficients
    matrix = sympy.Matrix(problem(THREE).dfdy)[1:, 1:]
    assert sympy.expand(matrix.charpoly(x).as_expr() - (x**3 + c2 * x**2 + c1 * x + c0)) == 0
    assert depot.size == 1
    assert "-" not in str((c2, c1, c0))


@pytest.mark.parametrize(
    "rhs",
    [
        {"a": "k*b", "b": "-k*a"},  # turns for ever
        {"a": "-k*a + j*c", "b": "k*a - l*b", "c": "l*b - (j + m)*c"},  # recirculation
        {"a": "-p*a + q*b + r*c", "b": "2*p*a - (q + r)*b + q*c", "c": "p*a + r*b - (q + r)*c"},
        {f"x{i}": f"-k{i}*x{i} + j*x{(i + 1) % 4} + j*x{(i - 1) % 4}" for i in range(4)},
    ],
)
def test_spectra_that_may_be_complex_or_large_are_left_open(rhs):
    stated = problem(rhs)
    assert stated.linear
    assert stated.spectrum is None


@pytest.mark.parametrize(
    ("rhs", "linear"),
    [
        ({"y": "kin - kout*y"}, True),
        ({"y": "exp(k)*y/(1 + exp(m)) - where(k > m, k - m, 0)"}, True),
        ({"y": "-k*abs(y)"}, False),
        ({"y": "-minimum(k*y, m)"}, False),
        ({"y": "-k*y**2"}, False),
        ({"y": "-Vmax*y/(Km + y)"}, False),
        ({"y": "-k*t*y"}, False),
        ({"y": "k*sin(t) - m*y"}, False),
        ({"y": "where(t < 3, k, 0) - m*y"}, False),
        ({"y": "-k*y", "z": "k*y*z"}, False),
    ],
)
def test_linear_means_affine_by_the_parameters_alone(rhs, linear):
    stated = problem(rhs)
    assert stated.linear is linear
    assert (stated.spectrum is not None) is linear


def test_outputs_of_a_linear_problem_may_be_anything():
    stated = problem_from_text(rhs=ONE, outputs={"effect": "Emax*central**g*t/(E50 + central**g)"})
    assert stated.linear
