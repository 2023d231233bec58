import json
import subprocess
import sys

import pytest

from bayesnlme.errors import ModelError
from bayesnlme.odes.code import generate
from bayesnlme.odes.problem import problem_from_text
from bayesnlme.odes.text import symbol

RHS = {"depot": "-ka*depot", "central": "ka*depot - CL/V*central"}
OUTPUTS = {"conc": "central/V"}


def test_text_and_back(turnover):
    again = problem_from_text(**turnover.to_dict())
    assert again == turnover
    assert again.key == turnover.key
    assert hash(again) == hash(turnover)


def test_text_equals_trace(oral):
    problem = problem_from_text(rhs=RHS, outputs=OUTPUTS)
    assert problem.parameters == ("ka", "CL", "V")
    assert problem.key == oral.key


@pytest.mark.parametrize(
    "changed",
    [
        {"rhs": RHS | {"depot": "-ka*depot*1.0000000000000002"}},
        {"outputs": {"concentration": "central/V"}},
        {"initial": {"depot": "1"}},
        {"states": ("central", "depot")},
        {"parameters": ("V", "CL", "ka")},
    ],
)
def test_key_follows_every_change(oral, changed):
    assert problem_from_text(**({"rhs": RHS, "outputs": OUTPUTS} | changed)).key != oral.key


def test_sensitivities_that_cannot_arise_are_left_out(oral, turnover):
    assert oral.sensitive == ((0, 0), (1, 0), (1, 1), (1, 2))
    assert oral.reachable == ((0, 1), (1,))
    assert (0, turnover.parameters.index("kin")) not in turnover.sensitive


def test_jacobians(oral):
    ka, depot, central, volume = (symbol(n) for n in ("ka", "depot", "central", "V"))
    assert oral.dfdy[1][0] == ka
    assert oral.dfdp[0] == (-depot, 0, 0)
    assert oral.dreadout_dp[0][2] == -central / volume**2
    assert oral.dreadout_dy[0][1] == 1 / volume


@pytest.mark.parametrize(
    ("content", "advice"),
    [
        ({"rhs": RHS, "outputs": {"c": "centrl"}, "parameters": ("ka", "CL", "V")}, "central"),
        ({"rhs": RHS, "outputs": OUTPUTS, "states": ("depot",)}, "names 'central'"),
        ({"rhs": RHS, "outputs": OUTPUTS, "initial": {"depo": "1"}}, "Did you mean 'depot'"),
        ({"rhs": RHS, "outputs": OUTPUTS, "initial": {"depot": "central"}}, "may not depend"),
        ({"rhs": RHS, "outputs": OUTPUTS, "initial": {"depot": "t"}}, "may not depend"),
        ({"rhs": RHS | {"depot": [3]}, "outputs": OUTPUTS}, "expected an expression"),
    ],
)
def test_contradictions_are_refused(content, advice):
    with pytest.raises(ModelError, match=advice):
        problem_from_text(**content)


def test_code_is_the_same_in_every_process(turnover):
    program = (
        "import json, sys\n"
        "from bayesnlme.odes.code import generate\n"
        "from bayesnlme.odes.problem import problem_from_text\n"
        "content = json.loads(sys.stdin.read())\n"
        "print(generate(problem_from_text(**content), sensitivities=True).source, end='')\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps(turnover.to_dict()),
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == generate(turnover, sensitivities=True).source
