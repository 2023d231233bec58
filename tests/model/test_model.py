import copy
import math
import os
import pickle
import subprocess
import sys

import pytest

import bayesnlme as bn
from bayesnlme.errors import ModelError
from bayesnlme.observation.continuous import AdditiveError
from bayesnlme.structural.custom import OdeStructure

WEIGHT = bn.covariates.power("WT", reference=70, exponent=0.75)
ORAL = bn.pk.one_compartment(absorption="first_order")
KA = bn.LogNormal(1.5, iiv=0.6, unit="1/h")
CL = bn.LogNormal(2.8, iiv=0.3, unit="L/h", covariates=[WEIGHT])
V = bn.LogNormal(32.0, iiv=0.2, unit="L")
PARAMETERS = {"ka": KA, "CL": CL, "V": V}
FIELDS = {
    "name": "theophylline",
    "parameters": PARAMETERS,
    "correlated": [("CL", "V")],
    "structure": ORAL,
    "observations": {"conc": bn.combined(additive=0.3, proportional=0.1)},
}
MODEL = bn.Model(**FIELDS)

MAKE = """
import bayesnlme as bn
print(bn.Model(
    name="theophylline",
    parameters={
        "ka": bn.LogNormal(1.5, iiv=0.6, unit="1/h"),
        "CL": bn.LogNormal(2.8, iiv=0.3, unit="L/h",
            covariates=[bn.covariates.power("WT", reference=70.0, exponent=0.75)]),
        "V": bn.LogNormal(32, iiv=0.2, unit="L"),
    },
    correlated=(["CL", "V"],),
    structure=bn.pk.one_compartment(absorption="first_order"),
    observations={"conc": bn.combined(additive=0.3, proportional=0.1)},
    lkj=2,
).hash)
"""


@pytest.mark.parametrize("seed", ["4711"])
def test_the_hash_is_the_same_in_every_process(seed):
    done = subprocess.run(
        [sys.executable, "-c", MAKE],
        env=os.environ | {"PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == MODEL.hash


def with_parameter(**changed):
    return {"parameters": PARAMETERS | changed}


CHANGES = [
    {"name": "other"},
    {"correlated": []},
    {"correlated": [("ka", "V")]},
    {"correlated": [("V", "CL")]},
    {"lkj": 1.0},
    {"observations": {"conc": bn.combined(additive=0.3, proportional=0.2)}},
    {"observations": {"conc": bn.additive(0.3)}},
    {"observations": {"conc": bn.combined(additive=bn.fixed(0.3), proportional=0.1)}},
    with_parameter(ka=bn.LogNormal(1.6, iiv=0.6, unit="1/h")),
    with_parameter(ka=bn.LogNormal(1.5, iiv=0.7, unit="1/h")),
    with_parameter(ka=bn.LogNormal(1.5, unit="1/h")),
    with_parameter(ka=bn.LogNormal(1.5, iiv=0.6, iov=0.6, unit="1/h")),
    with_parameter(ka=bn.LogNormal(1.5, iov=0.6, unit="1/h")),
    with_parameter(ka=bn.LogNormal(1.5, iiv=0.6, unit="1/min")),
    with_parameter(ka=bn.LogNormal(1.5, iiv=0.6)),
    with_parameter(ka=bn.LogNormal(1.5, iiv=bn.fixed(0.6), unit="1/h")),
    with_parameter(ka=bn.LogNormal(bn.fixed(1.5), iiv=0.6, unit="1/h")),
    with_parameter(ka=bn.LogNormal(bn.typical(1.5, rse=1), iiv=0.6, unit="1/h")),
    with_parameter(ka=bn.Normal(1.5, iiv=0.6, unit="1/h")),
    with_parameter(ka=bn.LogitNormal(1.5, iiv=0.6, unit="1/h", upper=9)),
    with_parameter(ka=bn.LogitNormal(1.5, iiv=0.6, unit="1/h", upper=8)),
    with_parameter(
        CL=bn.LogNormal(
            2.8, iiv=0.3, unit="L/h", covariates=[bn.covariates.power("WT", reference=70)]
        )
    ),
    with_parameter(
        CL=bn.LogNormal(
            2.8, iiv=0.3, unit="L/h", covariates=[bn.covariates.linear("WT", reference=70)]
        )
    ),
]


def test_every_change_changes_the_hash():
    hashes = [MODEL.replace(**change).hash for change in CHANGES]
    assert len({MODEL.hash, *hashes}) == len(CHANGES) + 1


@pytest.mark.parametrize("change", CHANGES)
def test_replace_gives_another_model_and_leaves_the_first(change):
    before = MODEL.hash
    other = MODEL.replace(**change)
    assert other != MODEL
    assert MODEL.hash == before
    assert other.replace(**{name: FIELDS.get(name, 2.0) for name in change}) == MODEL


def test_equal_models_are_equal_however_they_were_written():
    other = bn.Model(**(FIELDS | {"correlated": (["CL", "V"],), "lkj": 2}))
    assert other == MODEL
    assert hash(other) == hash(MODEL)
    assert other.hash == MODEL.hash
    assert MODEL != "theophylline"


def test_copies_are_equal():
    for other in (copy.copy(MODEL), copy.deepcopy(MODEL), pickle.loads(pickle.dumps(MODEL))):  # noqa: S301
        assert other == MODEL
        assert other.hash == MODEL.hash


def test_nothing_in_a_model_can_be_changed():
    given = dict(PARAMETERS)
    blocks = [["CL", "V"]]
    model = MODEL.replace(parameters=given, correlated=blocks)
    with pytest.raises(AttributeError):
        model.name = "other"
    with pytest.raises(AttributeError):
        del model.name
    with pytest.raises(TypeError):
        model.parameters["ka"] = V
    with pytest.raises(TypeError):
        model.observations["conc"] = bn.additive(1.0)
    given["ka"] = V
    blocks[0].append("ka")
    assert model == MODEL
    assert model.correlated == (("CL", "V"),)


def test_what_it_is_made_of():
    assert MODEL.effects == ("ka", "CL", "V")
    assert MODEL.covariates == ("WT",)
    assert MODEL.outputs == ("conc",)
    assert MODEL.replace(**with_parameter(ka=bn.LogNormal(1.5))).effects == ("CL", "V")


def test_every_prior_is_listed():
    rows = {row.name: row for row in MODEL.priors}
    assert list(rows) == [
        "ka_pop", "CL_pop", "V_pop", "CL_WT", "omega[ka]", "omega[CL]", "omega[V]",
        "omega_corr[CL, V]", "conc_additive", "conc_proportional",
    ]  # fmt: skip
    assert rows["CL_pop"].unit == "L/h"
    assert rows["CL_pop"].default
    assert not rows["CL_WT"].default
    assert rows["CL_WT"].text == "CL_WT = 0.75 (fixed)"
    assert rows["omega_corr[CL, V]"].text == "omega_corr[CL, V] ~ LKJ(2)"
    assert rows["omega[CL]"].unit is None


def test_stated_priors_are_listed_as_stated():
    rows = {
        row.name: row
        for row in MODEL.replace(
            parameters={
                "ka": bn.LogitNormal(1.0, lower=0.5, upper=5, iiv=bn.Prior("Exponential", lam=2)),
                "CL": bn.LogNormal(bn.Prior("Gamma", alpha=2, beta=1)),
                "V": bn.Normal(bn.typical(32, rse=0.1), iiv=3, unit="L"),
            },
            correlated=(),
        ).priors
    }
    assert rows["ka_pop"].scale == "logit"
    assert rows["ka_pop"].text.startswith("logit(ka_pop) ~ Normal(")
    assert rows["omega[ka]"].prior == bn.Prior("Exponential", lam=2)
    assert not rows["omega[ka]"].default
    assert rows["CL_pop"].text == "CL_pop ~ Gamma(alpha=2, beta=1)"
    assert "omega[CL]" not in rows
    assert rows["omega[V]"].unit == "L"
    assert not rows["V_pop"].default


def two_outputs():
    return bn.ode(
        lambda t, y, p: {"central": -p.CL / p.V * y.central},
        states=("central",),
        outputs={"conc": lambda t, y, p: y.central / p.V, "V_pop": lambda t, y, p: p.V + y.central},
    )


REFUSED = [
    ({"name": ""}, "needs a name"),
    ({"name": "  "}, "needs a name"),
    ({"name": None}, "needs a name"),
    ({"structure": "one_compartment"}, "'one_compartment' is no structural model"),
    ({"structure": bn.pk.one_compartment}, "is no structural model"),
    ({"structure": OdeStructure}, "is no structural model"),
    ({"structure": None}, "None is no structural model"),
    ({"parameters": {}}, "parameters must be a mapping"),
    ({"parameters": [KA, CL, V]}, "parameters must be a mapping"),
    ({"observations": {}}, "observations must be a mapping"),
    ({"observations": bn.additive(1.0)}, "observations must be a mapping"),
    ({"parameters": {"KA": KA, "CL": CL, "V": V}}, "Did you mean 'ka'?"),
    ({"parameters": {"ka": KA, "Cl": CL, "V": V}}, "Did you mean 'CL'?"),
    (with_parameter(F=KA), "'F' is not used by the structure"),
    ({"parameters": {"ka": KA, "CL": CL}}, "the structure needs V"),
    ({"parameters": {"ka": KA}}, "the structure needs CL, V"),
    (with_parameter(V=32.0), "32.0 is no parameter"),
    (with_parameter(V=bn.LogNormal), "is no parameter"),
    (with_parameter(V=bn.additive(1.0)), "is no parameter"),
    (with_parameter(V=bn.LogNormal(32.0, unit="Lobster")), "parameter V: The unit 'Lobster'"),
    (with_parameter(V=bn.LogNormal(32.0, unit="2 L")), "parameter V: The unit '2 L'"),
    (with_parameter(**{"1x": KA}), "'1x' is not a valid name"),
    (with_parameter(**{"my CL": KA}), "'my CL' is not a valid name"),
    (with_parameter(**{"lambda": KA}), "'lambda' is not a valid name"),
    ({"parameters": PARAMETERS | {3: KA}}, "3 is not a valid name"),
    (with_parameter(eta=KA), "'eta' is a name the package itself uses"),
    ({"observations": {"subject": bn.additive(1.0)}}, "'subject' is a name the package"),
    ({"observations": {"cnc": bn.additive(1.0)}}, "Did you mean 'conc'?"),
    ({"observations": {"conc": 0.3}}, "0.3 is no residual error"),
    ({"observations": {"conc": bn.additive}}, "is no residual error"),
    ({"observations": {"conc": AdditiveError}}, "is no residual error"),
    ({"observations": {"conc": None}}, "None is no residual error"),
    (
        {"observations": {"CL": bn.additive(1)}, "structure": bn.curve(
            lambda t, p: p.ka * p.V * bn.math.exp(-p.CL * t), output="CL")},
        "names both a parameter and an output",
    ),
    ({"observations": {"V_pop": bn.additive(1)}, "structure": bn.pk.one_compartment(
        absorption="first_order", output="V_pop")}, "['V_pop'] would name two variables"),
    ({"observations": {"omega_CL": bn.additive(1)}, "structure": bn.pk.one_compartment(
        absorption="first_order", output="omega_CL")}, "['omega_CL'] would name two variables"),
    ({"observations": {"covariate_WT": bn.additive(1)}, "structure": bn.pk.one_compartment(
        absorption="first_order", output="covariate_WT")}, "would name two variables"),
    ({"correlated_occasion": [("CL", "V")]}, "CL has no random effect of its own. Give it iov="),
    ({"correlated_occasion": [("CL",)]}, "correlated_occasion: ('CL',) needs at least two"),
    ({"correlated": "CL"}, "is no block"),
    ({"correlated": ["CL", "V"]}, "'CL' is no block"),
    ({"correlated": None}, "must be a list of blocks"),
    ({"correlated": [3]}, "3 is no block"),
    ({"correlated": [("CL", 3)]}, "no parameter '3'"),
    ({"correlated": [("CL",)]}, "needs at least two parameters"),
    ({"correlated": [()]}, "needs at least two parameters"),
    ({"correlated": [("CL", "v")]}, "Did you mean 'V'?"),
    ({"correlated": [("CL", "CL")]}, "CL stands twice"),
    ({"correlated": [("CL", "V"), ("V", "ka")]}, "V stands twice"),
    (with_parameter(V=bn.LogNormal(32.0)), "V has no random effect"),
    ({"lkj": 0}, "lkj=0.0 must be positive"),
    ({"lkj": -1}, "must be positive"),
    ({"lkj": math.nan}, "lkj: nan is not a finite number"),
    ({"lkj": math.inf}, "lkj: inf is not a finite number"),
    ({"lkj": "2"}, "lkj: '2' is not a finite number"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "fragment"), REFUSED)
def test_a_wrong_model_is_refused_when_it_is_made(change, fragment):
    with pytest.raises(ModelError) as refused:
        bn.Model(**(FIELDS | change))
    assert fragment in str(refused.value)


def test_names_of_different_origin_may_not_meet():
    with pytest.raises(ModelError, match="would name two variables"):
        bn.Model(
            name="twice",
            parameters={"CL": bn.LogNormal(1.0), "V": bn.LogNormal(1.0)},
            structure=two_outputs(),
            observations={"conc": bn.additive(1.0), "V_pop": bn.additive(1.0)},
        )


def test_an_output_may_be_called_like_a_dosing_quantity():
    for name in ("amount", "duration", "row", "compartment", "time"):
        structure = bn.pk.one_compartment(absorption="first_order", output=name)
        model = MODEL.replace(structure=structure, observations={name: bn.additive(1.0)})
        graph = bn.build(model, bn.datasets.theophylline()).pymc
        assert [each.name for each in graph.observed_RVs] == [name]


def test_the_order_of_the_outputs_is_part_of_the_model():
    """It decides which DVID is which output."""
    structure = bn.ode(
        lambda t, y, p: {"a": -p.k * y.a},
        states=("a",),
        outputs={"left": lambda t, y, p: y.a, "gone": lambda t, y, p: 1 - y.a},
    )
    errors = {"left": bn.additive(1.0), "gone": bn.additive(1.0)}
    one = bn.Model(
        name="two", parameters={"k": bn.LogNormal(1.0)}, structure=structure, observations=errors
    )
    other = one.replace(observations=dict(reversed(errors.items())))
    assert one != other
    assert one.hash != other.hash


def test_occasion_effects_are_a_layer_of_their_own():
    changed = with_parameter(
        CL=bn.Normal(2.8, iiv=0.3, iov=0.1, unit="L/h"), V=bn.LogNormal(32.0, iov=bn.fixed(0.2))
    )
    model = MODEL.replace(**changed, correlated=[], correlated_occasion=[("V", "CL")])
    assert model.effects == ("ka", "CL")
    assert model.occasion_effects == ("CL", "V")
    rows = {row.name: row for row in model.priors}
    assert rows["omega_iov[CL]"].meaning == "SD of the occasion effect on CL"
    assert rows["omega_iov[CL]"].unit == "L/h"
    assert rows["omega_iov[CL]"].default
    assert rows["omega_iov[V]"].text == "omega_iov[V] = 0.2 (fixed)"
    assert rows["omega_iov_corr[V, CL]"].text == "omega_iov_corr[V, CL] ~ LKJ(2)"
    assert MODEL.replace(correlated_occasion=[]).hash == MODEL.hash
