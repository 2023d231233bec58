import numpy as np
import pytest

from bayesnlme import math
from bayesnlme.errors import ModelError
from bayesnlme.odes.op import compiled_kernel
from bayesnlme.odes.problem import problem_from_text
from bayesnlme.odes.solver import Solver
from bayesnlme.odes.text import FUNCTIONS
from bayesnlme.odes.trace import trace

CONTINUOUS = [
    "minimum(x, c)",
    "maximum(k*x/V, c)",
    "minimum(k*x/(V + x), c)",
    "minimum(maximum(x, c), k)",
    "minimum(maximum(x, 1), 2) + k",
    "minimum(c, minimum(x, k))",
    "maximum(x, 0)**k",
    "k*maximum(x - 1, 0)",
    "abs(x - c)",
    "where(x < c, x, c)",
    "where(x/V < c, k*x/V, k*c)",
    "where(x < 0.3, 0.1*x, 0.03) + k",
    "where(x < c, exp(x), exp(c))",
    "where(x < c, x**k, c**k)",
    "where(k*(x - c) > 0, k*(x - c), 0)",
    "where(x < 1, 1, where(x < 2, x, 2)) + k",
    "where(t < 2, 0, k)",
    "where(t < 2, where(t < 1, x, k), where(x < c, x, c))",
    "where(t < c, 0, k*(t - c))",
]
JUMPS = [
    "where(t < c, 0, k)",
    "where(x > c, k, 0)",
    "where(x > 0.5, k*x, 0)",
    "where(c > 0, k, 2*k)",
    "where(t < 1, 0, where(t < c, 0, k))",
    "where(x < c, where(x < k, 1, 2), 2)",
    "where(x < 0, 0, where(x < c, x, c))",
    "where(k*(x - c) > 0, x - c, 0)",
    "where(1/x > 0, k, 0)",
    "where((x - c)/x > 0, k*(x - c), 0)",
    "where(exp(-k*t) > 0.5, 0, c)",
    "exp(where(t < c, 0, k))",
]


def by_text(equation, *, initial="0", output="x"):
    return problem_from_text(
        rhs={"x": f"{equation} - k*x"}, initial={"x": initial}, outputs={"signal": output}
    )


def by_trace(equation):
    """Trace the same text, called as Python with the functions of `bayesnlme.math`."""
    functions = {name: function for name, (function, _) in FUNCTIONS.items()}

    def rhs(t, y, p):
        names = functions | {"t": t, "x": y.x, "c": p.c, "k": p.k, "V": p.V}
        return {"x": eval(equation, names) - p.k * y.x}  # noqa: S307

    return trace(rhs, states=("x",), initial=None, outputs={"signal": lambda t, y, p: y.x})


@pytest.mark.parametrize("make", [by_text, by_trace])
@pytest.mark.parametrize("equation", CONTINUOUS)
def test_continuous_switches_are_taken(make, equation):
    assert make(equation).states == ("x",)


@pytest.mark.parametrize("make", [by_text, by_trace])
@pytest.mark.parametrize("equation", JUMPS)
def test_moving_jumps_are_refused(make, equation):
    with pytest.raises(ModelError, match=r"d x/dt: .*where.* may jump where .* depends on .*tanh"):
        make(equation)


def test_the_message_names_equation_place_and_parameter():
    with pytest.raises(ModelError, match=r"where start = t, which depends on 'start'"):
        problem_from_text(rhs={"x": "where(t < start, 0, k)"}, outputs={"signal": "x"})


def test_initial_values_follow_the_same_rule():
    assert by_text("0", initial="minimum(c, k)").parameters == ("k", "c")
    with pytest.raises(ModelError, match=r"initial x: .* may jump where"):
        by_text("0", initial="where(c < k, c, 0)")


def test_outputs_may_jump():
    assert by_text("0", output="where(x < c, 0, where(t < c, 1, k))").parameters == ("k", "c")


def test_sensitivities_of_what_is_taken_equal_differences(schedule):
    problem = trace(
        lambda t, y, p: {
            "a": math.where(t < 2, 0, p.input) - math.minimum(p.k * y.a, p.most),
            "b": math.where(t < p.start, 0, p.slope * (t - p.start)) - p.k * y.b,
        },
        states=("a", "b"),
        initial={"a": lambda p: math.maximum(p.k, p.a0)},
        outputs={
            "a": lambda t, y, p: y.a,
            "b": lambda t, y, p: math.where(y.b < p.start, y.b, 2 * y.b),
        },
    )
    named = {"input": 1.2, "k": 0.4, "most": 0.7, "start": 3.3, "slope": 0.9, "a0": 2.0}
    values = np.array([named[name] for name in problem.parameters])
    rows = [("see", t, output) for t in (1.0, 2.5, 4.0, 6.0, 11.0) for output in (0, 1)]
    kernel = compiled_kernel(problem, Solver(rtol=1e-10, atol=1e-12), sensitivities=True)
    arrays = schedule(rows, start=0.0)
    _, found = kernel(values[None], *arrays)
    for k, size in enumerate(values):
        step = np.zeros_like(values)
        step[k] = 1e-4 * size
        above, below = (kernel((values + s * step)[None], *arrays)[0] for s in (1, -1))
        np.testing.assert_allclose(
            found[:, k], (above - below) / (2 * step[k]), rtol=1e-5, atol=1e-5
        )
