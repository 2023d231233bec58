"""Every kind of outcome in a file, and what is refused of it."""

import pytest

import bayesnlme as bn
from bayesnlme.errors import ModelError
from bayesnlme.model.toml import parse_model, write_model

FIRST = """
name = "first"
parameters.CL = {typical = 4.0, iiv = 0.3}
parameters.V = {typical = 70.0}
structure.kind = "one_compartment"
"""

OUTCOMES = [
    bn.combined(additive=0.3, proportional=0.1, convention="sd", blq="M4"),
    bn.power_error(coefficient=0.2, exponent=bn.fixed(0.5)),
    bn.student_t(bn.log_normal(0.2), df=4, blq="M1"),
    bn.poisson(),
    bn.negative_binomial(dispersion=bn.Prior("Exponential", lam=2)),
    bn.binary(link="identity"),
    bn.ordered(thresholds=[-1.0, 0.5], first=1),
    bn.ordered(thresholds=[bn.fixed(-1), bn.fixed(0.5)]),
    bn.time_to_event(),
    bn.time_to_event(repeated=True),
]


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda each: each.kind)
def test_every_outcome_survives_the_round_trip(outcome):
    model = parse_model(f"{FIRST}[observations]\nconc = {{distribution = 'poisson'}}\n")
    model = model.replace(observations={"conc": outcome})
    again = parse_model(write_model(model))
    assert again == model
    assert again.observations["conc"] == outcome
    assert again.priors == model.priors
    assert repr(again) == repr(model)
    assert model._repr_latex_()


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ('{error = "power", coefficient = 1}', "observations.conc.exponent: this entry is missing"),
        ('{error = "additive", additive = 1, blq = 3}', "observations.conc.blq: 3 is not text"),
        ('{error = "additive", additive = 1, blq = "M9"}', "Known: 'M1'"),
        ('{error = "student_t", df = 4, of = 1}', "observations.conc.of: 1 stands where a table"),
        (
            '{error = "student_t", df = 4, of = {error = "additive", additive = "x"}}',
            "observations.conc.of.additive: 'x' is not a number",
        ),
        ('{distribution = "poison"}', "observations.conc.distribution: 'poison' is unknown"),
        ('{distribution = "poisson", dispersion = 1}', "unknown entry 'dispersion'"),
        ('{distribution = "ordered", thresholds = 1}', "1 stands where an array"),
        ('{distribution = "ordered", thresholds = [1, "a"]}', "thresholds[2]: 'a' is not a number"),
        ('{distribution = "ordered", thresholds = [1, 0]}', "must ascend"),
        ('{distribution = "time_to_event", repeated = 1}', "1 is neither true nor false"),
        ('{distribution = "binary", link = "probit"}', "Known: 'logit'"),
    ],
)
def test_a_wrong_outcome_is_refused_with_its_path(entries, message):
    with pytest.raises(ModelError) as refused:
        parse_model(f"{FIRST}[observations]\nconc = {entries}\n")
    assert message in str(refused.value)
