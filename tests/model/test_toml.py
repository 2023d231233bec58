import copy
import datetime as dt
import json
import re
import tomllib

import pytest
import tomlkit
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bayesnlme import covariates, growth, pd, pk
from bayesnlme.data import read_data
from bayesnlme.data.datasets import theophylline
from bayesnlme.errors import ModelError
from bayesnlme.model.content import model_from_dict
from bayesnlme.model.examples import theophylline_model
from bayesnlme.model.model import Model
from bayesnlme.model.toml import parse_model, read_model, reading_options, write_model
from bayesnlme.observation.continuous import additive, combined, log_normal, proportional
from bayesnlme.odes.solver import Solver
from bayesnlme.population.parameters import LogitNormal, LogNormal, Normal
from bayesnlme.population.priors import Prior, fixed, typical
from bayesnlme.structural.custom import ode_from_dict

FIRST = """
name = "first"
correlated = [["CL", "V"]]
lkj = 1.5

[parameters.CL]
typical = 4.0
iiv = 0.3
unit = "L/h"
covariates = [
    {effect = "power", covariate = "WT", reference = 70, exponent = 0.75},
    {effect = "categorical", covariate = "SEX", reference = "f"},
]

[parameters.V]
distribution = "LogNormal"
typical = {typical = 70.0, rse = 0.5}
iiv = {prior = "Gamma", alpha = 2, beta = 4}

[structure]
kind = "one_compartment"

[observations.conc]
error = "combined"
additive = {fixed = 1.0}
proportional = 0.1

[data]
covariates = ["WT", "SEX"]

[data.columns]
id = "SUBJ"
cmt = 1

[data.units]
TIME = "h"
"""

SECOND = """
name = "second"

[parameters]
kin = {typical = 1.0}
kout = {typical = 0.1, iiv = 0.2}
F = {distribution = "LogitNormal", typical = 0.5, iiv = 0.4, lower = 0.1, upper = 0.9}
ka = {typical = 1.0}
CL = {typical = 3.0}
V = {typical = 30.0}
IC50 = {typical = 1.0}

[structure]
kind = "ode"
states = ["depot", "central", "pca"]

[structure.rhs]
depot = "-ka * depot"
central = "F * ka * depot - CL * central / V"
pca = "kin * (1 - central / V / (IC50 + central / V)) - kout * pca"

[structure.initial]
pca = "kin / kout"
central = 0.0

[structure.outputs]
conc = "central / V"
pca = "pca"

[structure.solver]
rtol = 1e-7
max_steps = 5000

[observations.conc]
error = "proportional"
proportional = 0.1

[observations.pca]
error = "additive"
additive = 4.0
"""

LINES = [
    ("iiv = 0.3", "iiv = 'abc'", "parameters.CL.iiv: 'abc' is not a number"),
    ("iiv = 0.3", "iiv = true", "parameters.CL.iiv: true is not a number"),
    ("iiv = 0.3", "iiv = [0.3]", "parameters.CL.iiv: an array is not a number"),
    ("iiv = 0.3", "iiv = 2020-01-01", "parameters.CL.iiv: a date is not a number"),
    ("iiv = 0.3", "iiv = inf", "parameters.CL.iiv: inf is no finite number"),
    ("iiv = 0.3", "iiv = nan", "parameters.CL.iiv: nan is no finite number"),
    ("iiv = 0.3", f"iiv = 0x{'f' * 5000}", "this integer is no finite number"),
    ("iiv = 0.3", f"iiv = {'9' * 5000}", "not TOML"),
    ("iiv = 0.3", "iiv = -1", "parameters.CL: LogNormal iiv: a standard deviation must be"),
    ("iiv = 0.3", "iivv = 0.3", "parameters.CL.iivv: unknown entry 'iivv'. Did you mean 'iiv'?"),
    ("iiv = 0.3", "iiv = {fixd = 1}", "parameters.CL.iiv: this table states no prior"),
    ("iiv = 0.3", "iiv = {fixed = 1, rse = 2}", "parameters.CL.iiv.rse: unknown entry"),
    ("iiv = 0.3", "iiv = {fixed = 'x'}", "parameters.CL.iiv.fixed: 'x' is not a number"),
    ("iiv = 0.3", "lower = 0.0", "parameters.CL.lower: unknown entry"),
    ("typical = 4.0", "", "parameters.CL.typical: this entry is missing"),
    ("typical = 4.0", "typical = {typical = 4.0}", "parameters.CL.typical.rse: this entry is miss"),
    ("typical = 4.0", "typical = -4.0", "parameters.CL: "),
    ('"Gamma"', '"Gama"', "parameters.V.iiv: PyMC has no distribution 'Gama'. Did you mean"),
    ('"Gamma"', "3", "parameters.V.iiv.prior: 3 is not text"),
    (
        "alpha = 2",
        "alfa = 2",
        "parameters.V.iiv: Prior 'Gamma' takes no argument 'alfa'. Did you mean 'alpha'",
    ),
    ("alpha = 2", "alpha = '2'", "parameters.V.iiv.alpha: '2' is not a number"),
    (
        "alpha = 2",
        "alpha = 2, shape = 3",
        "parameters.V.iiv: Prior 'Gamma' takes no argument 'shape'",
    ),
    ("alpha = 2", "alpha = 2, rng = 3", "parameters.V.iiv: Prior 'Gamma' takes no argument 'rng'"),
    (
        "alpha = 2",
        "alpha = 2, dtype = 3",
        "parameters.V.iiv: Prior 'Gamma' takes no argument 'dtype'",
    ),
    ('"LogNormal"', '"lognormal"', "parameters.V.distribution: 'lognormal' is unknown here. Did"),
    ("'LogNormal'", "['LogNormal']", "parameters.V.distribution: an array is unknown here"),
    ('"L/h"', "3", "parameters.CL.unit: 3 is not text. Put it in quotes."),
    ('"power"', '"powr"', "parameters.CL.covariates[1].effect: 'powr' is unknown here. Did you me"),
    ('"WT"', "7", "parameters.CL.covariates[1].covariate: 7 is not text"),
    ("reference = 70", "refrence = 70", "covariates[1].refrence: unknown entry 'refrence'. Did"),
    ("reference = 70", "reference = 'x'", "covariates[1].reference: 'x' is not a number"),
    ("reference = 70", "reference = 0", "covariates[1]: power('WT'): reference 0 must be posit"),
    ("exponent = 0.75", "exponent = 1, coefficient = 1", "covariates[1]: coefficient and exponent"),
    (', reference = "f"', "", "parameters.CL.covariates[2].reference: this entry is missing"),
    ('reference = "f"', "reference = true", "covariates[2].reference: true is not a number"),
    ('reference = "f"', 'reference = "f", exponent = 1', "covariates[2].exponent: unknown entry"),
    ('name = "first"', "", "name: this entry is missing"),
    ('name = "first"', "name = 1", "name: 1 is not text"),
    ('name = "first"', 'name = "first"\nlkjj = 2', "lkjj: unknown entry 'lkjj'. Did you mean"),
    ('name = "first"', "name =", "not TOML"),
    ('[["CL", "V"]]', '["CL", "V"]', "correlated[1]: 'CL' stands where an array"),
    ('[["CL", "V"]]', '[["CL", "W"]]', "correlated: no parameter 'W'. "),
    ('[["CL", "V"]]', '[["CL", 2]]', "correlated[1][2]: 2 is not text"),
    ("lkj = 1.5", 'correlated_occasion = ["CL"]', "correlated_occasion[1]: 'CL' stands where an"),
    ("lkj = 1.5", 'correlated_occasion = [["CL", "V"]]', "correlated_occasion: CL has no random"),
    ("iiv = 0.3", "iiv = 0.3\niov = 'much'", "parameters.CL.iov: 'much' is not a number"),
    ("iiv = 0.3", "iiv = 0.3\niov = -0.1", "LogNormal iov: a standard deviation must be positive"),
    ("lkj = 1.5", "lkj = 'x'", "lkj: 'x' is not a number"),
    ("lkj = 1.5", "lkj = -1", "lkj"),
    ('"one_compartment"', '"one_compartmnt"', "structure.kind: 'one_compartmnt' is unknown"),
    ('kind = "one_compartment"', "", "structure.kind: this entry is missing"),
    ('kind = "one_compartment"', 'kind = "one_compartment"\nabsorbtion = 1', "Did you mean 'abso"),
    ('kind = "one_compartment"', 'kind = "one_compartment"\noutput = 1', "structure.output: 1 is"),
    ("[observations.conc]", "[observations.cons]", "the structure has no output 'cons'. Did you"),
    ('"combined"', '"combind"', "observations.conc.error: 'combind' is unknown here. Did you mean"),
    ("proportional = 0.1", "", "observations.conc.proportional: this entry is missing"),
    ("proportional = 0.1", "proportional = 0", "observations.conc: combined error, proportional"),
    ("[data.units]", "[data.unit]", "data.unit: unknown entry 'unit'. Did you mean 'units'?"),
    ('TIME = "h"', "TIME = 1", "data.units.TIME: 1 is not text"),
    ('id = "SUBJ"', 'idd = "SUBJ"', "data.columns.idd: unknown entry 'idd'. Did you mean 'id'?"),
    ('id = "SUBJ"', "id = 1", "data.columns.id: 1 is not text"),
    ("cmt = 1", "cmt = 1.5", "data.columns.cmt: 1.5 is not a whole number"),
    ("[data]", "[data]\nfill = {WT = [70]}", "data.fill.WT: an array is not a number"),
    ("[data]", '[data]\nfill = "median"', "data.fill: 'median' stands where a table should"),
    ("[data]", '[data]\ncovariate_interpolation = "nocf"', "'nocf' is unknown here. Did you mean"),
]

ODE_LINES = [
    ("-ka * depot", "-ka * dept()", "structure: d depot/dt"),
    ("-ka * depot", "__import__('os')", "structure: d depot/dt"),
    ('"-ka * depot"', "[1]", "structure.rhs.depot: an array is not a number. Write an equation"),
    ('pca = "kin / kout"', 'pcaa = "kin / kout"', "Did you mean 'pca'?"),
    ('["depot", "central", "pca"]', '["depot", "central"]', "names 'pca'"),
    ('["depot", "central", "pca"]', "3", "structure.states: 3 stands where an array"),
    (
        "[structure.rhs]",
        "[structure.rsh]",
        "structure.rsh: unknown entry 'rsh'. Did you mean 'rhs'",
    ),
    ("max_steps = 5000", "max_steps = 1.5", "structure.solver.max_steps: 1.5 is not a whole num"),
    ("max_steps = 5000", "maxsteps = 5", "structure.solver.maxsteps: unknown entry"),
    ("rtol = 1e-7", "rtol = 5", "structure: Solver: rtol must be"),
    ("lower = 0.1", "lower = 'x'", "parameters.F.lower: 'x' is not a number"),
    ("lower = 0.1", "lower = 0.95", "parameters.F: LogitNormal: lower 0.95 must be below 0.9"),
]


@pytest.mark.parametrize(("line", "changed", "message"), LINES)
def test_a_wrong_entry_is_refused_with_its_path(line, changed, message):
    text = FIRST.replace("'LogNormal'", '"LogNormal"')
    line = line.replace("'LogNormal'", '"LogNormal"')
    assert line in text
    with pytest.raises(ModelError) as refused:
        parse_model(text.replace(line, changed, 1), "m.toml")
    assert message in str(refused.value)
    assert str(refused.value).startswith("m.toml: ")


@pytest.mark.parametrize(("line", "changed", "message"), ODE_LINES)
def test_a_wrong_entry_of_an_ode_model_is_refused(line, changed, message):
    assert line in SECOND
    with pytest.raises(ModelError) as refused:
        parse_model(SECOND.replace(line, changed, 1))
    assert message in str(refused.value)


def test_a_model_reads_as_the_same_model_written_in_python():
    assert parse_model(FIRST) == Model(
        name="first",
        parameters={
            "CL": LogNormal(
                4.0,
                iiv=0.3,
                unit="L/h",
                covariates=(
                    covariates.power("WT", reference=70, exponent=0.75),
                    covariates.categorical("SEX", reference="f"),
                ),
            ),
            "V": LogNormal(typical(70.0, rse=0.5), iiv=Prior("Gamma", alpha=2, beta=4)),
        },
        correlated=[("CL", "V")],
        lkj=1.5,
        structure=pk.one_compartment(),
        observations={"conc": combined(additive=fixed(1.0), proportional=0.1)},
    )


CATALOGUE = """
name = "two stages"

[parameters]
ka = {typical = 1.0}
CL = {typical = 3.0, iiv = 0.3}
V1 = {typical = 30.0}
Q = {typical = 2.0}
V2 = {typical = 50.0}
late = {typical = 0.5}
R0 = {typical = 100.0}
kout = {typical = 0.05}
Imax = {distribution = "LogitNormal", typical = 0.8}
IC50 = {typical = 1.0}

[structure]
kind = "pd.indirect_response"
baseline = true
output = "pca"

[structure.pk]
kind = "pk.two_compartment"
absorption = "first_order"
lag = {depot = "late"}

[structure.pk.solver]
rtol = 1e-7

[observations.conc]
error = "proportional"
proportional = 0.1

[observations.pca]
error = "additive"
additive = 4.0
"""


def test_a_model_of_the_catalogue_holds_the_one_that_drives_it():
    model = parse_model(CATALOGUE)
    driving = pk.two_compartment(absorption="first_order", lag={"depot": "late"})
    solver = Solver(rtol=1e-7)
    expected = pd.indirect_response(driving.with_solver(solver), baseline=True, output="pca")
    assert model.structure == expected
    again = parse_model(write_model(model))
    assert again == model
    assert again.hash == model.hash


@pytest.mark.parametrize(
    ("line", "changed", "message"),
    [
        (
            'absorption = "first_order"',
            'absorbtion = "x"',
            "structure.pk.absorbtion: unknown",
        ),
        (
            'absorption = "first_order"',
            'absorption = "x"',
            "structure.pk: two_compartment: no",
        ),
        ("rtol = 1e-7", "rtol = 7", "structure.pk: Solver: rtol must be"),
        ('{depot = "late"}', '{gut = "late"}', "structure.pk: lag names 'gut'"),
        ("baseline = true", "baseline = 1", "structure.baseline: 1 is neither true nor false"),
        (
            "[structure.pk]",
            "[structure.pkpd]",
            "structure.pkpd: unknown entry 'pkpd'.",
        ),
        ("late = {typical", "early = {typical", "parameter 'early' is not used by the structure"),
    ],
)
def test_a_wrong_entry_of_the_catalogue_is_refused(line, changed, message):
    assert line in CATALOGUE
    with pytest.raises(ModelError) as refused:
        parse_model(CATALOGUE.replace(line, changed))
    assert message in str(refused.value)


def test_all_wrong_entries_are_told_at_once():
    text = CATALOGUE
    for right, wrong in (
        ("ka = {typical = 1.0}", 'ka = {typical = "a", iiv = "b", unti = "1/h"}'),
        ("Q = {typical = 2.0}", "Q = {iiv = true}"),
        ("baseline = true", "baseline = 1"),
        ("proportional = 0.1", 'proportional = "0.1"'),
    ):
        assert right in text
        text = text.replace(right, wrong)
    with pytest.raises(ModelError) as refused:
        parse_model(text)
    words = str(refused.value).removeprefix("model: ")
    told = [line.split(": ")[0] for line in words.splitlines()]
    assert told == [
        "parameters.ka.unti", "parameters.ka.typical", "parameters.ka.iiv",
        "parameters.Q.typical", "parameters.Q.iiv",
        "structure.baseline", "observations.conc.proportional",
    ]  # fmt: skip


def test_equations_are_read_and_written():
    model = parse_model(SECOND)
    assert model.structure.compartments == ("depot", "central", "pca")
    assert model.structure.solver.rtol == 1e-7
    again = parse_model(write_model(model))
    assert again == model
    assert again.hash == model.hash
    assert again.outputs == ("conc", "pca")


def test_the_example_fits_its_data_and_survives_the_round_trip():
    model, units = theophylline_model(), dict(theophylline().units)
    text = write_model(model, {"units": units})
    assert parse_model(text) == model
    assert tomllib.loads(text)["data"] == {"units": units}


def test_reading_options_are_keywords_of_read_data(tmp_path):
    path = tmp_path / "first.toml"
    path.write_text(FIRST)
    options = reading_options(path)
    assert options == {
        "id": "SUBJ",
        "cmt": 1,
        "covariates": ["WT", "SEX"],
        "units": {"TIME": "h"},
    }
    table = tmp_path / "table.csv"
    table.write_text("SUBJ,TIME,DV,EVID,AMT,WT,SEX\n1,0,.,1,9,70,f\n1,1,2,0,0,70,f\n")
    assert read_data(table, **options).units == {"TIME": "h"}
    assert read_model(path).name == "first"


def test_reading_options_survive_the_round_trip(tmp_path):
    options = {
        "id": "SUBJ",
        "cmt": 2,
        "units": {"TIME": "h", "odd name": "kg"},
        "outputs": {"1": "conc"},
        "covariates": ["WT"],
        "covariate_interpolation": "nocb",
        "fill": {"WT": "median", "odd name": 70.0},
        "missing": ["-99"],
        "encoding": "latin-1",
    }
    path = tmp_path / "m.toml"
    path.write_text(write_model(theophylline_model(), options))
    assert reading_options(path) == options


def test_a_file_without_data_has_no_reading_options(tmp_path):
    path = tmp_path / "m.toml"
    path.write_text(write_model(theophylline_model()))
    assert reading_options(path) == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no such file"),
        (b"name = \xff\xfe", "text in UTF-8"),
        (b"CDF\x02\x00", "not TOML"),
        (b"", "name: this entry is missing"),
        (b"a = " + b"[" * 5000, "not TOML"),
    ],
)
def test_a_file_that_is_no_model_is_refused(tmp_path, content, message):
    path = tmp_path / "m.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError) as refused:
        read_model(path)
    assert message in str(refused.value)
    assert "m.toml: " in str(refused.value)


def test_a_folder_is_no_model(tmp_path):
    with pytest.raises(ModelError, match="cannot be read"):
        read_model(tmp_path)
    with pytest.raises(ModelError, match="cannot be read"):
        read_model("a\0b.toml")


def test_a_byte_order_mark_is_accepted(tmp_path):
    path = tmp_path / "m.toml"
    path.write_text(FIRST, encoding="utf-8-sig")
    assert read_model(path).name == "first"


# Round trips of random models

numbers = st.floats(0.01, 100, allow_nan=False)
priors = st.one_of(
    numbers,
    numbers.map(fixed),
    st.builds(lambda a, b: Prior("Gamma", alpha=a, beta=b), numbers, numbers),
    st.just(Prior("LogNormal", mu=0, sigma=0.5)),
)
errors = st.floats(0.01, 2)
typicals = st.one_of(priors, st.builds(lambda v, r: typical(v, rse=r), numbers, errors))
names = st.text(min_size=1, max_size=8).filter(str.strip)
coefficients = st.one_of(
    st.none(), st.floats(-3, 3), st.just(Prior("Normal", mu=0, sigma=1)), numbers.map(fixed)
)


@st.composite
def effects(draw):
    covariate = draw(names)
    kind = draw(st.sampled_from(["power", "exponential", "linear", "categorical"]))
    coefficient = draw(coefficients)
    if kind == "power":
        return covariates.power(covariate, reference=draw(numbers), exponent=coefficient)
    if kind == "categorical":
        level = draw(st.one_of(names, st.integers(0, 9)))
        return covariates.categorical(covariate, reference=level, coefficient=coefficient)
    reference = draw(st.one_of(st.integers(-5, 5), st.floats(-100, 100).map(lambda x: round(x, 3))))
    known = draw(numbers) if coefficient is None and reference == 0 else coefficient
    return getattr(covariates, kind)(covariate, reference=reference, coefficient=known)


@st.composite
def parameters(draw):
    options = {
        "iiv": draw(st.one_of(st.none(), priors)),
        "iov": draw(st.one_of(st.none(), priors)),
        "unit": draw(st.sampled_from([None, "L/h", "1/h", "kg"])),
        "covariates": tuple(
            {each.covariate: each for each in draw(st.lists(effects(), max_size=2))}.values()
        ),
    }
    kind = draw(st.sampled_from([LogNormal, Normal, LogitNormal]))
    if kind is LogitNormal:
        lower, upper = -draw(numbers), 100 + draw(numbers)
        return LogitNormal(draw(numbers), lower=lower, upper=upper, **options)
    return kind(draw(typicals), **options)


def _has_scale(parameter):
    """Say whether the default priors of additive effects have a scale to go by."""
    effects = (each for each in parameter.covariates if each.additive_on_normal)
    return parameter.scale is not None or all(each.coefficient is not None for each in effects)


@st.composite
def models(draw):
    structure = draw(
        st.sampled_from(
            [
                pk.one_compartment(),
                pk.one_compartment(absorption="first_order", output="cp"),
                pk.two_compartment(absorption="transit", transit=2, lag={"depot": "tl"}),
                pd.emax(pk.one_compartment(output="cp"), driver="cp"),
                growth.logistic_curve(output="height"),
                ode_from_dict(
                    {
                        "rhs": {"A": "-k * A", "B": "maximum(k * A - 0.5, 0) - exp(m) * B"},
                        "initial": {"B": "m / 3"},
                        "outputs": {"y1": "B / 7", "y2": "log(A + 1)"},
                        "solver": {"rtol": 1e-5},
                    }
                ),
            ]
        )
    )
    parts = {name: draw(parameters()) for name in structure.parameters}
    random = [name for name, each in parts.items() if each.iiv is not None]
    occasional = [name for name, each in parts.items() if each.iov is not None]
    error = st.one_of(
        priors.map(additive),
        priors.map(proportional),
        priors.map(log_normal),
        st.builds(lambda a, b: combined(additive=a, proportional=b), priors, priors),
    )
    assume(all(_has_scale(each) for each in parts.values()))
    return Model(
        name=draw(names),
        parameters=parts,
        structure=structure,
        observations={name: draw(error) for name in structure.outputs},
        correlated=[tuple(random)] if len(random) > 1 and draw(st.booleans()) else [],
        correlated_occasion=[tuple(occasional)]
        if len(occasional) > 1 and draw(st.booleans())
        else [],
        lkj=draw(numbers),
    )


@settings(max_examples=60, deadline=None)
@given(models())
def test_every_model_survives_the_round_trip(model):
    again = parse_model(write_model(model))
    assert again == model
    assert again.hash == model.hash
    assert again.outputs == model.outputs
    assert write_model(again) == write_model(model)


# Anything that is not a model is refused, never with another error

WORDS = sorted(set(re.findall(r"\w+", FIRST + SECOND)))
scalars = st.one_of(
    st.booleans(),
    st.integers(),
    st.just(10**400),
    st.floats(),
    st.text(max_size=10),
    st.dates(),
    st.sampled_from(["LogNormal", "power", "combined", "ode", "one_compartment", "CL", "Flat"]),
    st.just(dt.time(1, 2)),
)
keys = st.one_of(
    st.text(max_size=5),
    st.sampled_from(WORDS),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=4)),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(keys, values, max_size=6))
def test_random_tables_are_models_or_refused(content):
    _model_or_refused(content)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([FIRST, SECOND]), st.data())
def test_mutated_models_are_models_or_refused(text, data):
    content = tomllib.loads(text)
    content.pop("data", None)
    for _ in range(data.draw(st.integers(1, 3))):
        content = _mutated(content, data)
    _model_or_refused(content)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([FIRST, SECOND]), st.data())
def test_damaged_text_is_a_model_or_refused(text, data):
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(start + 12, len(text))))
    damaged = text[:start] + data.draw(st.text(max_size=6)) + text[end:]
    try:
        assert isinstance(parse_model(damaged), Model)
    except ModelError as problem:
        assert str(problem).startswith("model: ")  # noqa: PT017


PIECES = re.findall(
    r"\S+",
    "y k t 2 0 1e9 + - * / ** ( ) exp( log( sqrt( where( < , . pi lambda [ ' 1j abs( 10**9",
)
pieces = st.sampled_from(PIECES)


@settings(max_examples=200, deadline=None)
@given(st.lists(pieces, max_size=9).map("".join))
def test_random_equations_are_models_or_refused(equation):
    _model_or_refused(
        {
            "name": "m",
            "parameters": {"k": {"typical": 1.0}},
            "structure": {"kind": "ode", "rhs": {"y": equation}, "outputs": {"z": "k * y"}},
            "observations": {"z": {"error": "additive", "additive": 1.0}},
        }
    )


def _model_or_refused(content):
    try:
        model = model_from_dict(content)
    except ModelError as problem:
        assert str(problem)  # noqa: PT017
        return
    assert model_from_dict(tomllib.loads(write_model(model))) == model
    json.dumps(model.to_dict(), allow_nan=False)


def _mutated(content, data):
    """Change, rename, drop or add one entry somewhere in a table."""
    content = copy.deepcopy(content)
    place = content
    while True:
        steps = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not steps:
            break
        step = data.draw(st.sampled_from(steps))
        if not isinstance(place[step], dict | list) or data.draw(st.integers(0, 3)) == 0:
            break
        place = place[step]
    action = data.draw(st.sampled_from(["change", "drop", "rename", "add"]))
    if steps and action == "change":
        place[step] = data.draw(values)
    elif steps and action == "drop":
        del place[step]
    elif isinstance(place, dict):
        value = place.pop(step) if steps and action == "rename" else data.draw(values)
        place[data.draw(keys)] = value
    else:
        place.append(data.draw(values))
    return content


def test_the_text_is_toml_that_other_readers_read():
    text = write_model(parse_model(SECOND))
    assert tomlkit.parse(text).unwrap() == tomllib.loads(text)
