"""A model written out as equations, in plain text and in LaTeX."""

from collections.abc import Iterator
from typing import Any

from bayesnlme import names
from bayesnlme.model.layers import Layer
from bayesnlme.model.priors import PriorRow
from bayesnlme.population.factors import Function, Maturation, latex_name
from bayesnlme.population.parameters import Parameter
from bayesnlme.population.priors import Fixed, Prior
from bayesnlme.structural.base import Equation

type Section = tuple[str, tuple[Equation, ...]]


def sections(model: Any) -> tuple[Section, ...]:
    """Return the model's equations under headings, in the order a modeller thinks."""
    return (
        ("Individual parameters", tuple(_individual(model))),
        ("Random effects", tuple(_random_effects(model))),
        ("Structure", model.structure.equations()),
        ("Observations, around the prediction f", tuple(_observations(model))),
    )


def as_text(model: Any) -> str:
    """Write the model in plain text."""
    lines = [f"Model {model.name}"]
    for heading, equations in sections(model):
        if equations:
            lines += ["", heading, *(f"  {each.text}" for each in equations)]
    lines += ["", "Priors (* chosen by default from a number)"]
    lines += [f"  {_prior(row)}" for row in model.priors]
    return "\n".join(lines)


def _prior(row: PriorRow) -> str:
    source = f"  (from {row.source})" if row.source else ""
    return f"{row.text}{' *' if row.default else ''}{source}"


def as_latex(model: Any) -> str:
    """Write the model as one aligned LaTeX display."""
    body = " \\\\\n".join(aligned(each) for _, equations in sections(model) for each in equations)
    return f"$$\\begin{{aligned}}\n{body}\n\\end{{aligned}}$$"


def aligned(equation: Equation) -> str:
    r"""Join an equation's sides at an alignment mark: ``=`` or the opening ``\sim``."""
    if equation.right.startswith(r"\sim"):
        return f"{equation.left} &{equation.right}"
    return f"{equation.left} &= {equation.right}"


def _individual(model: Any) -> Iterator[Equation]:
    for name, parameter in model.parameters.items():
        unit = f"    [{parameter.unit}]" if parameter.unit else ""
        coefficients = _coefficient_words(name, parameter, latex=False)
        in_latex = _coefficient_words(name, parameter, latex=True)
        yield Equation(
            left=rf"{latex_name(name)}_i",
            right=parameter.latex(latex_name(name), in_latex),
            text=f"{name} = {parameter.text(name, coefficients)}{unit}",
        )


def _coefficient_words(name: str, parameter: Parameter, *, latex: bool) -> dict[str, Any]:
    """Write each covariate's coefficient: its name, or its value where it is known."""
    words: dict[str, Any] = {}
    for effect in parameter.covariates:
        if isinstance(effect, Maturation | Function):
            words[effect.covariate] = {
                which: _word(names.coefficient(name, effect.covariate, which), each, latex=latex)
                for which, each in effect.coefficients.items()
            }
        else:
            variable = names.coefficient(name, effect.covariate)
            words[effect.covariate] = _word(variable, effect.coefficient, latex=latex)
    return words


def _word(variable: str, value: Prior | Fixed | None, *, latex: bool) -> str:
    if isinstance(value, Fixed):
        return f"{value.value:g}"
    return rf"\beta_{{\mathrm{{{latex_name(variable)}}}}}" if latex else variable


def _random_effects(model: Any) -> Iterator[Equation]:
    for layer in model.layers:
        for name in layer.alone:
            yield _alone(layer, name)
        for block in layer.blocks:
            yield _block(layer, block, model.lkj)


def _alone(layer: Layer, name: str) -> Equation:
    effect, sd = _symbols(layer, name)
    written, sd_text = layer.names.of_parameter(name), layer.names.sd_entry(name)
    tails = layer.tails.get(name)
    if tails is None:
        text, right = f"{written} ~ Normal(0, {sd_text})", rf"\sim \mathcal{{N}}(0,\; {sd}^2)"
        return Equation(left=effect, right=right, text=text)
    known = f"{tails.value:g}" if isinstance(tails, Fixed) else ""
    return Equation(
        left=effect,
        right=rf"\sim t_{{{known or rf'\nu_{{{latex_name(name)}}}'}}}(0,\; {sd}^2)",
        text=f"{written} ~ StudentT({known or names.shape(name, 'df')}, 0, {sd_text})",
    )


def _symbols(layer: Layer, name: str) -> tuple[str, str]:
    """Write an effect and its SD in LaTeX."""
    called = latex_name(name)
    if layer.names is names.OCCASIONS:
        return rf"\kappa_{{{called},ik}}", rf"\omega_{{\mathrm{{iov}},{called}}}"
    return rf"\eta_{{{called},i}}", rf"\omega_{{{called}}}"


def _block(layer: Layer, block: tuple[str, ...], lkj: float) -> Equation:
    effects, sds = zip(*(_symbols(layer, name) for name in block), strict=True)
    vector, scales = r",\; ".join(effects), r",\; ".join(sds)
    listed = ", ".join(layer.names.of_parameter(name) for name in block)
    return Equation(
        left=rf"({vector})",
        right=rf"\sim \mathcal{{N}}(0,\; S R S),\quad S = \mathrm{{diag}}({scales}),"
        rf"\quad R \sim \mathrm{{LKJ}}({lkj:g})",
        text=f"({listed}) ~ MvNormal(0, {layer.names.sd}, {layer.names.correlation(block)})",
    )


def _observations(model: Any) -> Iterator[Equation]:
    for output, residual in model.observations.items():
        yield Equation(
            left=rf"\mathrm{{{latex_name(output)}}}",
            right=rf"\sim {residual.latex(latex_name(output))}",
            text=residual.text(output),
        )
