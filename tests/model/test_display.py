import xml.etree.ElementTree as ET

import pytest
from latex2mathml.converter import convert

import bayesnlme as bn
from bayesnlme.model.display import aligned, as_latex, sections

EFFECTS = [
    bn.covariates.power("WT", reference=70, exponent=0.75),
    bn.covariates.exponential("AGE_years", reference=40),
    bn.covariates.linear("HT", reference=-5, coefficient=-0.01),
    bn.covariates.categorical("SEX", reference="F"),
]
KINDS = {
    "log_normal": lambda effects: bn.LogNormal(2.8, iiv=0.3, unit="L/h", covariates=effects),
    "normal": lambda effects: bn.Normal(2.8, iiv=0.3, covariates=effects),
    "logit_normal": lambda effects: bn.LogitNormal(2.8, iiv=0.3, upper=9, covariates=effects),
    "alone": lambda effects: bn.LogNormal(bn.fixed(2.8)),
}
ERRORS = {
    "additive": bn.additive(0.3),
    "proportional": bn.proportional(0.1),
    "combined": bn.combined(additive=0.3, proportional=0.1),
    "log_normal": bn.log_normal(0.2),
}


def model_of(kind="log_normal", error="combined", output="conc", absorption="first_order"):
    parameters = {"CL": KINDS[kind](EFFECTS), "V": bn.LogNormal(32.0, iiv=0.2, unit="L")}
    if absorption:
        parameters = {"ka": bn.LogNormal(1.5, iiv=0.6, unit="1/h")} | parameters
    return bn.Model(
        name="theophylline",
        parameters=parameters,
        correlated=[("CL", "V")] if parameters["CL"].iiv is not None else [],
        structure=bn.pk.one_compartment(absorption=absorption, output=output),
        observations={output: ERRORS[error]},
    )


def test_the_repr_reads_as_the_equations():
    text = repr(model_of())
    for line in (
        "Model theophylline",
        "  ka = ka_pop * exp(eta_ka)    [1/h]",
        "  CL = CL_pop * (WT/70)^0.75 * exp(CL_AGE_years (AGE_years - 40))"
        " * (1 + -0.01 (HT + 5)) * exp(CL_SEX[SEX]) * exp(eta_CL)    [L/h]",
        "  eta_ka ~ Normal(0, omega[ka])",
        "  (eta_CL, eta_V) ~ MvNormal(0, omega, omega_corr[CL, V])",
        "  d depot/dt = -ka*depot",
        "  conc = central/V",
        "  conc ~ Normal(f, sqrt(conc_additive^2 + (conc_proportional * f)^2))",
        "  ka_pop ~ LogNormal(mu=0.405465, sigma=1) *",
        "  CL_WT = 0.75 (fixed)",
        "  omega_corr[CL, V] ~ LKJ(2)",
    ):
        assert line in text.splitlines()


def test_every_prior_stands_in_the_repr_and_defaults_are_marked():
    model = model_of()
    lines = repr(model).splitlines()
    for row in model.priors:
        assert f"  {row.text}{' *' if row.default else ''}" in lines


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("absorption", [None, "first_order"])
def test_latex_converts_to_mathml(kind, error, absorption):
    model = model_of(kind, error, "c_total_free", absorption)
    for _, equations in sections(model):
        for equation in equations:
            source = aligned(equation).replace("&", "")
            tree = ET.fromstring(convert(source))  # noqa: S314  our own text
            shown = "".join(tree.itertext())
            assert "\\" not in shown.replace(r"\_", "_"), source
    assert convert(as_latex(model).strip("$"))


def test_the_notebook_shows_one_display_with_every_equation():
    model = model_of()
    latex = model._repr_latex_()
    count = sum(len(equations) for _, equations in sections(model))
    assert latex.startswith("$$\\begin{aligned}")
    assert latex.endswith("\\end{aligned}$$")
    assert latex.count("&") == count
    assert latex.count("{") == latex.count("}")


def test_underscores_are_escaped_in_latex():
    model = model_of(output="c_total")
    assert r"\mathrm{c\_total}" in as_latex(model)
    assert r"\mathrm{c_total}" not in as_latex(model)
    assert r"AGE\_years" in as_latex(model)


def test_headings_come_in_the_order_of_thought():
    headings = [heading for heading, _ in sections(model_of())]
    assert headings == [
        "Individual parameters",
        "Random effects",
        "Structure",
        "Observations, around the prediction f",
    ]
    fixed = model_of().replace(
        parameters={name: bn.LogNormal(1.0) for name in ("ka", "CL", "V")}, correlated=()
    )
    assert "Random effects" not in repr(fixed)


def test_a_known_coefficient_is_shown_as_its_value():
    assert "0.75" in as_latex(model_of())
    assert r"\beta_{\mathrm{CL\_WT}}" not in as_latex(model_of())
    assert r"\beta_{\mathrm{CL\_SEX}}" in as_latex(model_of())


def test_occasion_effects_stand_beside_the_random_effects():
    parameters = {
        "ka": bn.LogNormal(1.5, iov=0.6),
        "CL": bn.LogNormal(2.8, iiv=0.3, iov=0.1),
        "V": bn.LogNormal(32.0, iiv=0.2, iov=0.1),
    }
    model = model_of().replace(
        parameters=parameters, correlated=[], correlated_occasion=[("CL", "V")]
    )
    text, latex = repr(model), as_latex(model)
    for line in (
        "ka = ka_pop * exp(kappa_ka)",
        "CL = CL_pop * exp(eta_CL + kappa_CL)",
        "eta_CL ~ Normal(0, omega[CL])",
        "kappa_ka ~ Normal(0, omega_iov[ka])",
        "(kappa_CL, kappa_V) ~ MvNormal(0, omega_iov, omega_iov_corr[CL, V])",
    ):
        assert f"  {line}\n" in text
    assert r"e^{\eta_{CL,i} + \kappa_{CL,ik}}" in latex
    assert r"\kappa_{ka,ik} &\sim \mathcal{N}(0,\; \omega_{\mathrm{iov},ka}^2)" in latex
