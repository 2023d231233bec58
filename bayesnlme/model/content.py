"""A model from plain values, each taken as what it should be or refused by its path."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from inspect import signature
from typing import Any, get_args

from bayesnlme.errors import ModelError
from bayesnlme.model import entries
from bayesnlme.model.entries import Read
from bayesnlme.model.model import Model
from bayesnlme.observation.kinds import (
    DISTRIBUTIONS,
    RESIDUALS,
    Observed,
    entries_of,
    outcome_from_dict,
)
from bayesnlme.odes.problem import DOSING
from bayesnlme.population.covariates import (
    Categorical,
    Exponential,
    Linear,
    Power,
    effect_from_dict,
)
from bayesnlme.population.effects import Shape, shape_from_dict
from bayesnlme.population.factors import Function, Maturation
from bayesnlme.population.parameters import Parameter, parameter_from_dict
from bayesnlme.population.priors import prior_from_value
from bayesnlme.population.sharing import shared_from_dict
from bayesnlme.population.spread import FORMS, deviation_from_value
from bayesnlme.structural import disease, growth, hazard, pd, pk
from bayesnlme.structural.base import Structure
from bayesnlme.structural.curve import CurveStructure, curve_from_dict
from bayesnlme.structural.custom import ode_from_dict, solver_from_dict

_BLOCKS = ("correlated", "correlated_occasion")
_FIELDS = ("name", "parameters", "structure", "observations", *_BLOCKS, "lkj")
_DISTRIBUTIONS = {each.kind: each for each in get_args(Parameter.__value__)}
_EFFECTS: dict[str, Any] = {each.kind: each for each in (Power, Exponential, Linear, Categorical)}
_FACTORS: dict[str, Any] = {each.kind: each for each in (Maturation, Function)}
_SHAPES = {each.kind: each for each in get_args(Shape.__value__)}
_PRIOR_FORMS = (
    'Write a number, {fixed = x}, {typical = x, rse = y} or {prior = "Gamma", alpha = 2, beta = 1}.'
)


def model_from_dict(content: Mapping[str, Any]) -> Model:
    """Make the model that :meth:`Model.to_dict` described.

    Raises
    ------
    ModelError
        If entries are unknown, missing, or not what they should be; the message gives the path of
        each.
    """
    read: dict[str, Read] = {
        "name": entries.text,
        "parameters": lambda value, where: entries.take_each(
            entries.tables(value, where).items(), _parameter
        ),
        "structure": _structure,
        "observations": lambda value, where: entries.take_each(
            entries.tables(value, where).items(), _outcome
        ),
        **dict.fromkeys(_BLOCKS, _blocks),
        "lkj": entries.number,
    }
    return Model(**entries.take(content, "", read, required=_FIELDS[:4]))


def _blocks(value: Any, where: str) -> list[list[str]]:
    return [entries.texts(block, place) for place, block in entries.array(value, where)]


def _parameter(name: str, given: Mapping[str, Any]) -> Parameter:
    where = entries.below("parameters", name)
    cls = entries.choice(
        given.get("distribution", "LogNormal"), _DISTRIBUTIONS, f"{where}.distribution"
    )
    allowed = ("distribution", *(each.name for each in fields(cls)))
    read: dict[str, Read] = {
        "distribution": entries.text,
        "typical": _stated,
        "iiv": _effect_size,
        "iov": _effect_size,
        "shape": _shape,
        "unit": entries.text,
        "covariates": _effects,
        "lower": entries.number,
        "upper": entries.number,
    }
    taken = entries.take(given, where, read, allowed, ("typical",))
    with entries.at(where):
        return parameter_from_dict(name, taken)


def _shape(value: Any, where: str) -> dict[str, Any]:
    given = entries.table(value, where)
    entries.keys(given, where, tuple(_SHAPES))
    if len(given) != 1:
        raise ModelError(f"{where}: write one of {{boxcox = 0.2}} and {{student_t = 5}}.")
    taken = {key: _stated(each, f"{where}.{key}") for key, each in given.items()}
    with entries.at(where):
        shape_from_dict(taken, "the parameter")
    return taken


def _effects(value: Any, where: str) -> list[dict[str, Any]]:
    taken = entries.take_each(
        entries.array(value, where), lambda place, each: _effect(entries.table(each, place), place)
    )
    return list(taken.values())


def _effect(given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Take an effect's entries, refusing what :func:`effect_from_dict` would refuse."""
    if given.get("effect") in _FACTORS:
        return _factor(given, where)
    allowed, required = _effect_keys(given, where), ("effect", "covariate", "reference")
    if {"coefficient", "exponent"} <= set(given):
        raise ModelError(f"{where}: coefficient and exponent mean the same. Keep one.")
    categorical = given.get("effect") == "categorical" and isinstance(given.get("reference"), str)
    read: dict[str, Read] = {
        "effect": entries.text,
        "covariate": entries.text,
        "reference": entries.text if categorical else entries.number,
        "coefficient": _stated,
        "exponent": _stated,
    }
    taken = entries.take(given, where, read, allowed, required)
    with entries.at(where):
        effect_from_dict(taken, "the parameter")
    return taken


def _factor(given: Mapping[str, Any], where: str) -> dict[str, Any]:
    needed = {"maturation": ("half", "hill"), "function": ("equation",)}[given["effect"]]
    further = ("coefficients",) if given["effect"] == "function" else ()
    allowed = ("effect", "covariate", *needed, *further)
    read: dict[str, Read] = {
        "effect": entries.text,
        "covariate": entries.text,
        "half": _stated,
        "hill": _stated,
        "equation": entries.text,
        "coefficients": _coefficients,
    }
    taken = entries.take(given, where, read, allowed, ("covariate", *needed))
    with entries.at(where):
        effect_from_dict(taken, "the parameter")
    return taken


def _coefficients(value: Any, where: str) -> dict[str, Any]:
    given = entries.table(value, where)
    return {name: _stated(each, entries.below(where, name)) for name, each in given.items()}


def _effect_keys(given: Mapping[str, Any], where: str) -> tuple[str, ...]:
    if "effect" not in given:
        return ("effect", "covariate", "reference", "coefficient", "exponent")
    cls = entries.choice(given["effect"], _EFFECTS | _FACTORS, f"{where}.effect")
    exponent = ("exponent",) if given["effect"] == "power" else ()
    return ("effect", *(each.name for each in fields(cls)), *exponent)


def _outcome(name: str, given: Mapping[str, Any]) -> Observed:
    where = entries.below("observations", name)
    taken = _outcome_entries(given, where)
    with entries.at(where):
        return outcome_from_dict(name, taken)


def _outcome_entries(given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Take the entries of a residual error, or of an outcome that has a distribution."""
    key, known = (
        ("distribution", DISTRIBUTIONS) if "distribution" in given else ("error", RESIDUALS)
    )
    cls = entries.choice(given.get(key), known, f"{where}.{key}")
    required, allowed = entries_of(cls)
    read: dict[str, Read] = {
        key: entries.text,
        **dict.fromkeys(("blq", "convention", "link"), entries.text),
        "first": entries.whole,
        "repeated": entries.flag,
        "thresholds": _thresholds,
        "of": lambda value, place: _outcome_entries(entries.table(value, place), place),
    }
    read = dict.fromkeys(allowed, _deviation) | read
    return entries.take(given, where, read, (key, *allowed), required)


def _thresholds(value: Any, where: str) -> list[Any]:
    return [_stated(each, place) for place, each in entries.array(value, where)]


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
        entries.keys(value, where, (*form, "source"), form)
        arguments = dict(value)
    _numbers_and_source(arguments, where)
    with entries.at(where):
        return prior_from_value(value, where)


def _deviation(value: Any, where: str) -> Any:
    """Take what states a standard deviation: besides a prior, a CV or a variance."""
    forms = [form for form in FORMS if isinstance(value, Mapping) and form in value]
    if not forms:
        return _stated(value, where)
    entries.keys(value, where, (forms[0], "rse", "source"))
    _numbers_and_source(value, where)
    with entries.at(where):
        return deviation_from_value(value, where)


def _effect_size(value: Any, where: str) -> Any:
    """Take a standard deviation, or the name of the parameter whose effect is shared."""
    if not isinstance(value, Mapping) or "shared" not in value:
        return _deviation(value, where)
    entries.keys(value, where, ("shared", "scale"))
    entries.text(value["shared"], f"{where}.shared")
    if "scale" in value:
        _stated(value["scale"], f"{where}.scale")
    with entries.at(where):
        return shared_from_dict(value, where)


def _numbers_and_source(given: Mapping[str, Any], where: str) -> None:
    for key, each in given.items():
        read = entries.text if key == "source" else entries.number
        read(each, entries.below(where, key))


def _structure(value: Any, where: str) -> Structure:
    given = entries.table(value, where)
    read = entries.choice(given.get("kind"), _STRUCTURES, f"{where}.kind")
    return read({key: each for key, each in given.items() if key != "kind"}, where)


def _catalogued(make: Callable[..., Structure]) -> Callable[[Mapping[str, Any], str], Structure]:
    """Return what takes the arguments of a function of the catalogue."""
    arguments = signature(make).parameters
    required = [name for name, each in arguments.items() if each.default is each.empty]
    further = () if signature(make).return_annotation is CurveStructure else ("names", "solver")

    def read(given: Mapping[str, Any], where: str) -> Structure:
        allowed = ("kind", *arguments, *further)
        taken = entries.take(given, where, _ARGUMENTS, allowed, required)
        names, options = taken.pop("names", None), taken.pop("solver", None)
        with entries.at(where):
            made: Any = make(**taken)
            if isinstance(made, CurveStructure) and (names or options):
                raise ModelError("a function of time has no other names and no solver.")
            made = made if names is None else made.renamed(**names)
            return made if options is None else made.with_solver(solver_from_dict(options))

    return read


def _said_of_doses(value: Any, where: str) -> Any:
    """Take true, a name, or names and numbers by compartment."""
    if isinstance(value, bool | str):
        return value
    return {
        key: each if isinstance(each, str) else entries.number(each, entries.below(where, key))
        for key, each in entries.table(value, where).items()
    }


def _names(value: Any, where: str) -> dict[str, str]:
    given = entries.table(value, where)
    return {key: entries.text(each, entries.below(where, key)) for key, each in given.items()}


def _curve(given: Mapping[str, Any], where: str) -> Structure:
    read: dict[str, Read] = {
        "equation": _equation,
        "parameters": entries.texts,
        "output": entries.text,
    }
    taken = entries.take(given, where, read, ("kind", *read), ("equation",))
    with entries.at(where):
        return curve_from_dict(taken)


def _ode(given: Mapping[str, Any], where: str) -> Structure:
    read: dict[str, Read] = {
        "states": entries.texts,
        "parameters": entries.texts,
        "rhs": _equations,
        "initial": _equations,
        "outputs": _equations,
        **dict.fromkeys(DOSING, _equations),
        "zero_order": entries.texts,
        "solver": _solver_options,
    }
    taken = entries.take(given, where, read, ("kind", *read), ("rhs", "outputs"))
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
        "threads": entries.whole,
    }
    return entries.take(entries.table(value, where), where, read)


_ARGUMENTS: dict[str, Read] = {
    **dict.fromkeys(
        ("absorption", "elimination", "parametrization", "approximation", "output"), entries.text
    ),
    **dict.fromkeys(("driver", "effect", "on", "efficacy", "start"), entries.text),
    **dict.fromkeys(("sigmoid", "baseline", "peripheral"), entries.flag),
    **dict.fromkeys(DOSING, _said_of_doses),
    "transit": entries.whole,
    "pk": _structure,
    "names": _names,
    "solver": _solver_options,
}
"""How each argument of the catalogue is taken; a name means the same in all models."""

_CATALOGUE = {"pk": pk, "pd": pd, "growth": growth, "disease": disease, "hazard": hazard}

_STRUCTURES: dict[str, Callable[[Mapping[str, Any], str], Structure]] = {
    **{
        f"{home}.{name}": _catalogued(getattr(models, name))
        for home, models in _CATALOGUE.items()
        for name in models.__all__
    },
    "one_compartment": _catalogued(pk.one_compartment),
    "curve": _curve,
    "ode": _ode,
}
"""By kind, what takes the other entries; "one_compartment" is the older name of a model."""
