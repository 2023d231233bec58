"""Every operation on numbers, in lanes, against PyTensor's definition of it in NumPy."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest

from bayesnlme.assembly import scalars
from tests.assembly.test_operations import native, run

SPECIAL = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 5e-324, -1e-310, 1e300, -1e300, 1e-300]
GRID = np.concatenate([SPECIAL, np.linspace(-40, 40, 41), np.geomspace(1e-18, 700, 30)])
UNARY = {
    "Neg": pt.neg, "Sqr": pt.sqr, "Sqrt": pt.sqrt, "Reciprocal": pt.reciprocal, "Abs": pt.abs,
    "Sign": pt.sign, "Exp": pt.exp, "Log": pt.log, "Log1p": pt.log1p, "Expm1": pt.expm1,
    "Tanh": pt.tanh, "Sin": pt.sin, "Cos": pt.cos, "Erf": pt.erf, "Erfc": pt.erfc,
    "Erfcx": pt.erfcx, "GammaLn": pt.gammaln, "Psi": pt.psi,
    "Sigmoid": pt.sigmoid, "Softplus": pt.softplus,
    "Invert": lambda x: pt.switch(pt.invert(x > 0), 1.0, 0.0),
    "IsNan": lambda x: pt.switch(pt.isnan(x), 1.0, 0.0),
    "IsInf": lambda x: pt.switch(pt.isinf(x), 1.0, 0.0),
    "Cast": lambda x: pt.switch(pt.cast(x, "bool"), 1.0, 0.0),
    "Identity": pt.tensor_copy,
}  # fmt: skip
BINARY = {
    "Add": pt.add, "Mul": pt.mul, "Sub": pt.sub, "TrueDiv": pt.true_div, "Pow": pt.pow,
    "Maximum": pt.maximum, "Minimum": pt.minimum, "Second": pt.second,
    "ScalarMaximum": pt.maximum, "ScalarMinimum": pt.minimum,
    "Switch": lambda x, y: pt.switch(x, y, 3.0),
    **{
        name: lambda x, y, compare=compare: pt.switch(compare(x, y), 1.0, 0.0)
        for name, compare in {
            "LT": pt.lt, "GT": pt.gt, "LE": pt.le, "GE": pt.ge, "EQ": pt.eq, "NEQ": pt.neq
        }.items()
    },
    "AND": lambda x, y: pt.switch(pt.and_(x > 0, y > 0), 1.0, 0.0),
    "OR": lambda x, y: pt.switch(pt.or_(x > 0, y > 0), 1.0, 0.0),
}  # fmt: skip


WITHIN = {
    "Sin": (-100, 100),
    "Cos": (-100, 100),
    "Erfc": (-100, 20),
    "GammaLn": (1e-307, 1e305),
    "Psi": (1e-300, 1e305),
}
"""Where the C library and SciPy, which the reference calls, mean the same to the last digits."""


def assert_same(build, grid):
    x = pt.tensor("x", dtype="float64", shape=(grid.size,))
    output = build(x)
    with np.errstate(all="ignore"):
        expected = pytensor.function([x], output, mode="FAST_COMPILE")(grid)
    _, (found,) = run(native(x, [output], fused=False), grid)
    np.testing.assert_allclose(found, expected, rtol=5e-15, atol=1e-307)


@pytest.mark.parametrize("name", UNARY)
def test_of_one_number(name):
    within = WITHIN.get(name)
    grid = GRID if within is None else GRID[(within[0] < GRID) & (within[1] > GRID)]
    assert_same(UNARY[name], grid)


@pytest.mark.parametrize("name", BINARY)
def test_of_two_numbers(name):
    left, right = (each.ravel() for each in np.meshgrid(GRID, GRID[:40]))
    both = np.concatenate([left, right])
    assert_same(lambda x: BINARY[name](x[: left.size], x[left.size :]), both)


def test_no_operation_is_left_out():
    assert {*UNARY, *BINARY} == {*scalars._WRITERS, "Cast"} - {"Sgn"}
