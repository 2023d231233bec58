"""The catalogue as a whole: entries in files, equations as shown, names and solvers."""

import inspect
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
import tomlkit
from latex2mathml.converter import convert

import bayesnlme as bn
from bayesnlme.errors import ModelError
from bayesnlme.model.content import _STRUCTURES, _structure
from bayesnlme.model.toml import parse_model, write_model
from bayesnlme.odes.solver import Solver
from bayesnlme.odes.text import parse, symbol

ORAL = bn.pk.one_compartment(absorption="first_order")
EXAMPLES = [
    bn.pk.one_compartment(),
    bn.pk.one_compartment(output="cp", lag=True, bioavailability="Fo", rate={"central": 3.5}),
    bn.pk.two_compartment(absorption="first_order", lag={"depot": "t1", "central": 0.5}),
    bn.pk.two_compartment(absorption="zero_order", parametrization="half_life"),
    bn.pk.three_compartment(absorption="transit", transit=4, parametrization="micro"),
    bn.pk.three_compartment(elimination="parallel"),
    bn.pk.three_compartment(parametrization="half_life"),
    bn.pk.tmdd(peripheral=True, absorption="first_order"),
    bn.pk.tmdd(approximation="quasi_steady_state"),
    bn.pd.effect_compartment(ORAL),
    bn.pd.emax(bn.pd.effect_compartment(ORAL), driver="effect_site", sigmoid=True),
    bn.pd.emax(ORAL, effect="inhibition", output="bp"),
    bn.pd.indirect_response(ORAL, effect="stimulation", on="loss", baseline=True),
    bn.pd.friberg(bn.pk.one_compartment(absorption="transit", transit=2).renamed(MTT="MTTa")),
    bn.pd.friberg(ORAL, effect="emax").renamed(MTT="mean_time", cells="anc", circulating="anc"),
    bn.pd.emax(bn.ode(
        lambda t, y, p: {"x": -p.k * y.x},
        states=("x",),
        outputs={"conc": lambda t, y, p: y.x / p.V},
    )),
    bn.growth.exponential(),
    bn.growth.logistic(ORAL),
    bn.growth.gompertz(ORAL, output="volume"),
    bn.growth.simeoni(ORAL),
    bn.growth.simeoni(),
    bn.growth.logistic_curve(output="height"),
    bn.growth.four_parameter_logistic_curve(),
    bn.growth.gompertz_curve(),
    bn.growth.asymptotic_curve(),
    bn.disease.viral_dynamics(ORAL, efficacy="infection"),
    bn.disease.viral_dynamics(start="acute"),
    bn.disease.sir(),
    bn.disease.seir(output="cases"),
    bn.disease.lotka_volterra(),
    bn.hazard.constant(),
    bn.hazard.weibull(ORAL, output="death"),
    bn.hazard.gompertz(),
    bn.hazard.log_logistic(bn.pk.one_compartment(), driver="conc"),
    bn.curve(lambda t, p: p.a * bn.math.exp(-p.k * t)),
    bn.pk.two_compartment().with_solver(Solver(rtol=1e-9)),
]  # fmt: skip


def through_toml(structure):
    return _structure(tomllib.loads(tomlkit.dumps(structure.to_dict())), "structure")


@pytest.mark.parametrize("structure", EXAMPLES, ids=lambda each: each.to_dict()["kind"])
def test_every_model_survives_a_file(structure):
    again = through_toml(structure)
    assert again == structure
    assert again.to_dict() == structure.to_dict()
    assert again.equations() == structure.equations()
    assert again.balances == structure.balances


def test_the_examples_cover_the_catalogue():
    used = {each.to_dict()["kind"] for each in EXAMPLES} | {"ode", "one_compartment"}
    assert used == set(_STRUCTURES)


@pytest.mark.parametrize("structure", EXAMPLES, ids=lambda each: each.to_dict()["kind"])
def test_every_structure_makes_a_model_that_survives_a_file(structure):
    model = bn.Model(
        name="example",
        parameters={
            name: (bn.LogitNormal if name in structure.shares else bn.LogNormal)(0.5)
            for name in structure.parameters
        },
        structure=structure,
        observations={name: bn.additive(1.0) for name in structure.outputs},
    )
    again = parse_model(write_model(model))
    assert again == model
    assert again.hash == model.hash


def test_entries_are_short():
    assert bn.pk.one_compartment().to_dict() == {"kind": "pk.one_compartment"}
    effect = bn.pd.emax(bn.pk.one_compartment(output="cp"), driver="cp", sigmoid=False)
    assert effect.to_dict() == {
        "kind": "pd.emax",
        "pk": {"kind": "pk.one_compartment", "output": "cp"},
        "driver": "cp",
    }


def test_the_older_name_is_read():
    old = _structure({"kind": "one_compartment", "absorption": "first_order"}, "structure")
    assert old == ORAL


@pytest.mark.parametrize("structure", [e for e in EXAMPLES if hasattr(e, "problem")],
                         ids=lambda each: each.to_dict()["kind"])  # fmt: skip
def test_equations_as_shown_are_those_that_are_solved(structure):
    """Shorthand put back in, every line equals the expression it stands for, in numbers."""
    problem = structure.problem
    lines = dict(each.text.split(" = ", 1) for each in structure.equations())
    names = (*problem.parameters, *problem.states, "t")
    known = {symbol(name): 0.3 + 0.1 * i for i, name in enumerate(names)}

    def value(expression):
        free = expression.free_symbols - known.keys()
        inner = {each: value(parse(lines[each.name], label="x")) for each in free}
        return float(expression.subs(inner).subs(known))

    for name, flow in zip(problem.states, problem.rhs, strict=True):
        shown = parse(lines[f"d {name}/dt"], label=name)
        assert value(shown) == pytest.approx(value(flow), rel=1e-12, abs=1e-12)
    for name, readout in zip(problem.outputs, problem.readouts, strict=True):
        shown = parse(lines[name], label=name)
        assert value(shown) == pytest.approx(value(readout), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("structure", EXAMPLES, ids=lambda each: each.to_dict()["kind"])
def test_latex_names_every_symbol(structure):
    for each in structure.equations():
        assert "~" not in each.left + each.right + each.text
        tree = ET.fromstring(convert(f"{each.left} = {each.right}"))  # noqa: S314  our own text
        assert "\\" not in "".join(tree.itertext()).replace(r"\_", "_"), each.right


@pytest.mark.parametrize("home", ["pk", "pd", "growth", "disease", "hazard"])
def test_every_function_is_documented_with_its_keywords(home):
    module = getattr(bn, home)
    for name in module.__all__:
        function = getattr(module, name)
        assert function.__module__.startswith("bayesnlme.structural")
        for parameter in inspect.signature(function).parameters:
            assert parameter in inspect.getdoc(function)


PAGE = Path(__file__).parents[2] / "docs/reference/catalogue.md"


def test_the_reference_has_every_model_and_parameter():
    page = PAGE.read_text(encoding="utf-8")
    for kind in set(_STRUCTURES) - {"ode", "curve", "one_compartment"}:
        assert f"`bn.{kind}`" in page
    usual = [each for each in EXAMPLES if not getattr(each, "names", {}) and each.entry]
    for structure in usual:
        if not {"lag", "bioavailability", "rate"} & structure.entry.keys():
            for name in set(structure.parameters) - {"MTTa"}:  # renamed
                assert f"`{name}`" in page, (structure.entry["kind"], name)


def test_renaming_keeps_the_model(exponential):
    plain = bn.pk.two_compartment(absorption="first_order", lag=True)
    changed = plain.renamed(V1="Vc", central="blood", conc="cp", Tlag="late")
    assert changed.parameters == ("ka", "CL", "Vc", "Q", "V2", "late")
    assert changed.compartments == ("depot", "blood", "peripheral")
    assert {"AMT": 1, "Vc": -1, "cp": -1} in changed.balances
    values = {"ka": 1.0, "CL": 2.0, "V1": 9.0, "Vc": 9.0, "Q": 1.0, "V2": 20.0}
    values |= {"Tlag": 0.0, "late": 0.0}
    times = np.array([1.0, 5.0])
    np.testing.assert_array_equal(
        exponential(changed, values, times, {"blood": 1.0}),
        exponential(plain, values, times, {"central": 1.0}),
    )
    assert (
        changed.renamed(Vc="V1", blood="central", cp="conc", late="Tlag").problem == plain.problem
    )
    assert changed.renamed(Vc="Vb").to_dict()["names"]["V1"] == "Vb"


def test_zero_order_follows_its_new_name():
    structure = bn.pk.one_compartment(absorption="zero_order").renamed(central="blood")
    assert structure.zero_order == ("blood",)
    assert through_toml(structure).zero_order == ("blood",)


def test_a_name_that_is_not_there_cannot_be_changed():
    with pytest.raises(ModelError, match=r"renamed names 'Vc'\. Did you mean 'V'"):
        bn.pk.one_compartment().renamed(Vc="V")
    with pytest.raises(ModelError, match="'CL' is used twice"):
        bn.pk.one_compartment().renamed(V="CL")


def test_the_solver_of_the_pk_solves_the_whole():
    solver = Solver(rtol=1e-9)
    structure = bn.pd.indirect_response(ORAL.with_solver(solver))
    assert structure.solver == solver
    assert through_toml(structure).solver == solver
    with pytest.raises(ModelError, match="must be a Solver"):
        ORAL.with_solver("tsit5")


def test_a_users_equations_take_a_catalogue_model_further():
    structure = bn.ode(
        lambda t, y, p: {"response": p.kin / (1 + y.conc / p.IC50) - p.kout * y.response},
        states=("response",),
        initial={"response": lambda p: p.kin / p.kout},
        outputs={"response": lambda t, y, p: y.response, "auc_rate": lambda t, y, p: p.CL * y.conc},
        onto=bn.pk.one_compartment(absorption="zero_order"),
    )
    assert structure.parameters == ("CL", "V", "Tk0", "kin", "IC50", "kout")
    assert structure.outputs == ("conc", "response", "auc_rate")
    assert structure.zero_order == ("central",)
    content = structure.to_dict()
    assert content["kind"] == "ode"
    assert content["zero_order"] == ["central"]
    again = through_toml(structure)
    assert again.problem == structure.problem
    assert again.zero_order == ("central",)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"zero_order": "x"}, r"zero_order must be a tuple of names, such as \('x',\)"),
        ({"zero_order": ("z",)}, "zero_order names 'z'. Known: 'x'"),
        ({"zero_order": ("x",)}, "zero_order names 'x', which has no duration"),
        ({"onto": "pk"}, "onto must be a structure of equations, not 'pk'"),
    ],
)
def test_other_options_of_ode_are_refused(options, message):
    with pytest.raises(ModelError, match=message):
        bn.ode(
            lambda t, y, p: {"x": -p.k * y.x},
            states=("x",),
            outputs={"x": lambda t, y, p: y.x},
            **options,
        )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"kind": "pk.two_compartmnt"}, "structure.kind: 'pk.two_compartmnt' is unknown here. Did"),
        ({"kind": "pk.one_compartment", "lags": True}, "structure.lags: unknown entry 'lags'. Did"),
        ({"kind": "pk.one_compartment", "absorption": 3}, "structure.absorption: 3 is not text"),
        (
            {"kind": "pk.one_compartment", "absorption": "oral"},
            "structure: one_compartment: no",
        ),
        (
            {"kind": "pk.one_compartment", "transit": "3"},
            "structure.transit: '3' is not a",
        ),
        ({"kind": "pk.one_compartment", "lag": 3}, "structure.lag: 3 stands where a table should"),
        (
            {"kind": "pk.one_compartment", "lag": {"central": [1]}},
            "structure.lag.central: an arr",
        ),
        ({"kind": "pk.one_compartment", "names": {"V": 3}}, "structure.names.V: 3 is not text"),
        ({"kind": "pk.one_compartment", "names": {"W": "x"}}, "structure: renamed names 'W'"),
        ({"kind": "pk.one_compartment", "solver": {"rtol": "x"}}, "structure.solver.rtol: 'x' is"),
        ({"kind": "pd.emax"}, "structure.pk: this entry is missing"),
        ({"kind": "pd.emax", "pk": "oral"}, "structure.pk: 'oral' stands where a table should"),
        ({"kind": "pd.emax", "pk": {"kind": "pk.one"}}, "structure.pk.kind: 'pk.one' is unknown"),
        (
            {"kind": "pd.emax", "pk": {"kind": "pk.tmdd", "peripheral": 1}},
            "structure.pk.periph",
        ),
        (
            {"kind": "pd.emax", "pk": {"kind": "growth.gompertz_curve"}},
            "structure: pk must be a s",
        ),
        ({"kind": "growth.logistic_curve", "names": {}}, "structure.names: unknown entry 'names'"),
        ({"kind": "curve", "output": "y"}, "structure.equation: this entry is missing"),
        ({"kind": "curve", "equation": "a*q()"}, "structure: equation: 'q()' at position 3"),
        ({"kind": "curve", "equation": [1]}, "structure.equation: an array is not a number"),
    ],
)
def test_wrong_entries_are_refused_with_their_path(content, message):
    with pytest.raises(ModelError) as refused:
        _structure(content, "structure")
    assert str(refused.value).startswith(message)
