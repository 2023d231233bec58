"""A model from plain values, each taken as what it should be or refused by its path."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, get_args

from bayesnlme.errors import ModelError
from bayesnlme.model import entries
from bayesnlme.model.entries import Read
from bayesnlme.model.model import Model
from bayesnlme.observation.continuous import Residual, residual_from_dict
from bayesnlme.population.covariates import Effect, effect_from_dict
from bayesnlme.population.parameters import Parameter, parameter_from_dict
from bayesnlme.population.priors import prior_from_value
from bayesnlme.structural.base import Structure
from bayesnlme.structural.custom import ode_from_dict
from bayesnlme.structural.one_compartment import one_compartment

_FIELDS = ("name", "parameters", "structure", "observations", "correlated", "lkj")
_DISTRIBUTIONS = {each.kind: each for each in get_args(Parameter.__value__)}
_EFFECTS = {each.kind: each for each in get_args(Effect.__value__)}
_RESIDUALS = {each.kind: each for each in get_args(Residual.__value__)}
_PRIOR_FORMS = (
    'Write a number, {fixed = x}, {typical = x, rse = y} or {prior = "Gamma", alpha = 2, beta = 1}.'
)


def model_from_dict(content: Mapping[str, Any]) -> Model:
    """Make the model that :meth:`Model.to_dict` described.

    Raises
    ------
    ModelError
        If an entry is unknown, missing, or not what it should be; the message gives its path.
    """
    entries.keys(content, "", _FIELDS, _FIELDS[:4])
    parameters = entries.tables(content["parameters"], "parameters")
    observations = entries.tables(content["observations"], "observations")
    return Model(
        name=entries.text(content["name"], "name"),
        parameters={name: _parameter(name, each) for name, each in parameters.items()},
        structure=_structure(entries.table(content["structure"], "structure")),
        observations={name: _residual(name, each) for name, each in observations.items()},
        correlated=[
            entries.texts(block, where)
            for where, block in entries.array(content.get("correlated", []), "correlated")
        ],
        lkj=entries.number(content.get("lkj", 2.0), "lkj"),
    )


def _parameter(name: str, given: Mapping[str, Any]) -> Parameter:
    where = entries.below("parameters", name)
    cls = entries.choice(
        given.get("distribution", "LogNormal"), _DISTRIBUTIONS, f"{where}.distribution"
    )
    allowed = ("distribution", *(each.name for each in fields(cls)))
    entries.keys(given, where, allowed, required=("typical",))
    read: dict[str, Read] = {
        "distribution": entries.text,
        "typical": _stated,
        "iiv": _stated,
        "unit": entries.text,
        "covariates": _effects,
        "lower": entries.number,
        "upper": entries.number,
    }
    taken = {key: read[key](value, f"{where}.{key}") for key, value in given.items()}
    with entries.at(where):
        return parameter_from_dict(name, taken)


def _effects(value: Any, where: str) -> list[dict[str, Any]]:
    return [
        _effect(entries.table(each, place), place) for place, each in entries.array(value, where)
    ]


def _effect(given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Take an effect's entries, refusing what :func:`effect_from_dict` would refuse."""
    entries.keys(given, where, _effect_keys(given, where), ("effect", "covariate", "reference"))
    if {"coefficient", "exponent"} <= set(given):
        raise ModelError(f"{where}: coefficient and exponent mean the same. Keep one.")
    categorical = given["effect"] == "categorical" and isinstance(given["reference"], str)
    read: dict[str, Read] = {
        "effect": entries.text,
        "covariate": entries.text,
        "reference": entries.text if categorical else entries.number,
        "coefficient": _stated,
        "exponent": _stated,
    }
    taken = {key: read[key](value, f"{where}.{key}") for key, value in given.items()}
    with entries.at(where):
        effect_from_dict(taken, "the parameter")
    return taken


def _effect_keys(given: Mapping[str, Any], where: str) -> tuple[str, ...]:
    if "effect" not in given:
        return ("effect", "covariate", "reference", "coefficient", "exponent")
    cls = entries.choice(given["effect"], _EFFECTS, f"{where}.effect")
    exponent = ("exponent",) if given["effect"] == "power" else ()
    return ("effect", *(each.name for each in fields(cls)), *exponent)


def _residual(name: str, given: Mapping[str, Any]) -> Residual:
    where = entries.below("observations", name)
    cls = entries.choice(given.get("error"), _RESIDUALS, f"{where}.error")
    magnitudes = tuple(each.name for each in fields(cls))
    entries.keys(given, where, ("error", *magnitudes), magnitudes)
    taken = {key: _stated(given[key], f"{where}.{key}") for key in magnitudes}
    with entries.at(where):
        return residual_from_dict(name, {"error": given["error"], **taken})


def _stated(value: Any, where: str) -> Any:
    """Take a number, or a table that states a prior."""
    if not isinstance(value, Mapping):
        return entries.number(value, where, _PRIOR_FORMS)
    if "prior" in value:
        entries.text(value["prior"], f"{where}.prior")
        arguments = {key: each for key, each in value.items() if key != "prior"}
    else:
        form = ("fixed",) if "fixed" in value else ("typical", "rse")
        if form[0] not in value:
            raise ModelError(f"{where}: this table states no prior. {_PRIOR_FORMS}")
        entries.keys(value, where, form, form)
        arguments = dict(value)
    for key, each in arguments.items():
        entries.number(each, entries.below(where, key))
    with entries.at(where):
        return prior_from_value(value, where)


def _structure(given: Mapping[str, Any]) -> Structure:
    make = entries.choice(given.get("kind"), _STRUCTURES, "structure.kind")
    return make({key: value for key, value in given.items() if key != "kind"}, "structure")


def _one_compartment(given: Mapping[str, Any], where: str) -> Structure:
    entries.keys(given, where, ("kind", "absorption", "output"))
    taken: dict[str, Any] = {
        key: entries.text(value, f"{where}.{key}") for key, value in given.items()
    }
    with entries.at(where):
        return one_compartment(**taken)


def _ode(given: Mapping[str, Any], where: str) -> Structure:
    read: dict[str, Read] = {
        "states": entries.texts,
        "parameters": entries.texts,
        "rhs": _equations,
        "initial": _equations,
        "outputs": _equations,
        "solver": _solver_options,
    }
    entries.keys(given, where, ("kind", *read), ("rhs", "outputs"))
    taken = {key: read[key](value, f"{where}.{key}") for key, value in given.items()}
    with entries.at(where):
        return ode_from_dict(taken)


def _equations(value: Any, where: str) -> dict[str, str]:
    """Take equations as text; a plain number is one as well."""
    given = entries.table(value, where)
    return {key: _equation(each, entries.below(where, key)) for key, each in given.items()}


def _equation(value: Any, where: str) -> str:
    if isinstance(value, str):
        return value
    return repr(entries.number(value, where, 'Write an equation in quotes, such as "-k * y".'))


def _solver_options(value: Any, where: str) -> dict[str, Any]:
    read: dict[str, Read] = {
        "method": entries.text,
        "rtol": entries.number,
        "atol": entries.number,
        "backend": entries.text,
        "max_steps": entries.whole,
    }
    given = entries.table(value, where)
    entries.keys(given, where, tuple(read))
    return {key: read[key](each, f"{where}.{key}") for key, each in given.items()}


_STRUCTURES: dict[str, Callable[[Mapping[str, Any], str], Structure]] = {
    "one_compartment": _one_compartment,
    "ode": _ode,
}
