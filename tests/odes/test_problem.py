import json
import subprocess
import sys

import pytest

from bayesnlme.errors import ModelError
from bayesnlme.odes.code import generate
from bayesnlme.odes.problem import DOSING, problem_from_text, renamed
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


DOSED = {
    "rhs": RHS,
    "outputs": OUTPUTS,
    "lag": {"depot": "tlag"},
    "bioavailability": {"depot": "F", "central": "0.8"},
    "duration": {"central": "2*D2"},
    "rate": {"central": "R2"},
}


def test_what_is_said_of_doses_is_kept_by_state():
    problem = problem_from_text(**DOSED)
    assert problem.parameters == ("ka", "CL", "V", "tlag", "F", "D2", "R2")
    assert problem.lag == (symbol("tlag"), None)
    assert problem.bioavailability == (symbol("F"), 0.8)
    assert problem.duration == (None, 2 * symbol("D2"))
    assert problem.rate == (None, symbol("R2"))
    assert problem.to_dict() == {
        **problem_from_text(rhs=RHS, outputs=OUTPUTS).to_dict(),
        "parameters": list(problem.parameters),
        **{name: DOSED[name] for name in DOSING},
    }
    assert problem_from_text(**problem.to_dict()) == problem


def test_problems_that_say_nothing_of_doses_keep_their_key(oral):
    assert not oral.to_dict().keys() & set(DOSING)
    assert oral.lag == (None, None)


@pytest.mark.parametrize("name", DOSING)
def test_key_follows_what_is_said_of_doses(name):
    without = {key: value for key, value in DOSED.items() if key != name}
    keys = {
        problem_from_text(**each).key for each in (DOSED, without, DOSED | {name: {"depot": "x"}})
    }
    assert len(keys) == 3


@pytest.mark.parametrize("name", DOSING)
def test_sensitivities_arise_from_doses_and_spread(name):
    """From the dosed state to all that it reaches, and no further."""
    into_depot = problem_from_text(rhs=RHS, outputs=OUTPUTS, **{name: {"depot": "x"}})
    assert {state for state, k in into_depot.sensitive if into_depot.parameters[k] == "x"} == {0, 1}
    into_central = problem_from_text(rhs=RHS, outputs=OUTPUTS, **{name: {"central": "x*CL"}})
    of_x = {state for state, k in into_central.sensitive if into_central.parameters[k] == "x"}
    assert of_x == {1}
    assert (0, into_central.parameters.index("CL")) not in into_central.sensitive


@pytest.mark.parametrize("name", DOSING)
@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ({"dept": "x"}, "names 'dept'. Did you mean 'depot'"),
        ({"depot": "x*central"}, "of 'depot' may not depend on 'central': it is a function of"),
        ({"depot": "x*t"}, "of 'depot' may not depend on 't'"),
        ({"depot": "-1"}, "of 'depot' must be"),
        ({"depot": "x +"}, "depot: cannot read"),
        ({"depot": "where(x > 1, x, 2)"}, "depot: .* may jump where x = 1"),
    ],
)
def test_what_cannot_be_said_of_doses_is_refused(name, said, advice):
    with pytest.raises(ModelError, match=rf"{name}.*{advice}"):
        problem_from_text(rhs=RHS, outputs=OUTPUTS, **{name: said})


@pytest.mark.parametrize("name", DOSING)
def test_only_a_lag_and_a_bioavailability_may_be_zero(name):
    given = {"rhs": RHS, "outputs": OUTPUTS, name: {"depot": "0"}}
    if name in {"lag", "bioavailability"}:
        assert problem_from_text(**given).to_dict()[name] == {"depot": "0"}
    else:
        with pytest.raises(ModelError, match=f"The {name} of 'depot' must be above 0, not 0"):
            problem_from_text(**given)


def test_renaming_is_at_once_and_everywhere():
    problem = problem_from_text(**DOSED, initial={"central": "V*CL"})
    changed = renamed(problem, {"V": "CL", "CL": "V", "depot": "gut", "conc": "cp"})
    assert changed.states == ("gut", "central")
    assert changed.outputs == ("cp",)
    assert changed.parameters == ("ka", "V", "CL", "tlag", "F", "D2", "R2")
    assert changed.to_dict()["rhs"]["central"] == "gut*ka - V*central/CL"
    assert changed.to_dict()["lag"] == {"gut": "tlag"}
    back = renamed(changed, {"V": "CL", "CL": "V", "gut": "depot", "cp": "conc"})
    assert back == problem


@pytest.mark.parametrize(
    ("names", "advice"),
    [
        ({"VV": "W"}, "names 'VV'. Did you mean 'V'"),
        ({"V": "CL"}, "'CL' is used twice"),
        ({"V": "central"}, "'central' is used twice"),
        ({"V": "exp"}, "reserved"),
        ({"V": "a b"}, "no name"),
    ],
)
def test_names_that_contradict_are_refused(names, advice):
    with pytest.raises(ModelError, match=advice):
        renamed(problem_from_text(**DOSED), names)


def test_code_is_the_same_in_every_process(turnover):
    program = (
        "import json, sys\n"
        "from bayesnlme.odes.code import generate\n"
        "from bayesnlme.odes.problem import problem_from_text\n"
        "content = json.loads(sys.stdin.read())\n"
        "print(generate(problem_from_text(**content), sensitivities=True).lines, end='')\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps(turnover.to_dict()),
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == str(generate(turnover, sensitivities=True).lines)
