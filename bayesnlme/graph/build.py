"""From a model and a table to one PyMC model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayesnlme import names
from bayesnlme._types import Floats, Tensor
from bayesnlme.data import Dataset
from bayesnlme.data.events import offsets
from bayesnlme.data.rows import Rows, parameter_rows, subject_occasions
from bayesnlme.errors import ModelError
from bayesnlme.graph.effects import Centring, random_effects
from bayesnlme.graph.outcomes import observe
from bayesnlme.graph.questions import Questions, questions
from bayesnlme.graph.variables import variable_of
from bayesnlme.model.matching import level_codes, match
from bayesnlme.model.model import Model
from bayesnlme.names import Variability
from bayesnlme.population.covariates import Categorical, Effect
from bayesnlme.population.effects import BoxCox
from bayesnlme.population.factors import Function, Maturation
from bayesnlme.population.parameters import LogitNormal, Moved, Parameter
from bayesnlme.population.priors import Fixed, Prior
from bayesnlme.population.sharing import Shared

type FixedEffects = tuple[Tensor, Moved, Tensor | None]
"""A typical value, the covariate effects on it with values and coefficients, Box-Cox shape."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Population:
    """A model met with its data: the PyMC model and what it was made of.

    Attributes
    ----------
    model : Model
        The model.
    data : Dataset
        The table, its outputs called as the model calls them.
    pymc : pymc.Model
        The graph, a plain PyMC model to go on with by hand. Variables and dims are named as in
        :mod:`bayesnlme.names`; observations, covariates and events are ``pm.Data``.
    """

    model: Model
    data: Dataset
    pymc: pm.Model


def build(model: Model, data: Dataset, *, centring: Floats | None = None) -> Population:
    """Turn a model and a table into one PyMC model.

    The random effects are non-centred: ``eta = omega * eta_standard``. The prediction of all
    observations is one call of the structure, hence one solve for an ODE.

    An individual parameter has one value for each subject, dim ``subject``, unless it varies
    between occasions or a covariate that it depends on varies within a subject: then it has one for
    each stretch of a subject's time over which the occasion and all such covariates of the model
    stay the same, dim ``interval``, and the random effect of its subject in each.

    Parameters
    ----------
    model : Model
        The model.
    data : Dataset
        The table.
    centring : array, shape (subject, effect), optional
        Weights in [0, 1] by which the random effects between subjects are centred, see
        :mod:`bayesnlme.graph.effects`: 0 non-centred, 1 centred. What is sampled are then the
        variables ``eta_sampled_CL``, ...; the posterior is the same for all weights.

    Returns
    -------
    Population
        With the PyMC model as ``.pymc``.

    Raises
    ------
    DataError
        If the table cannot be used with the model; every reason is listed.
    ModelError
        If the weights are no such array.
    """
    matched = match(model, data)
    rows = model_rows(model, matched)
    weights = None if centring is None else _weights(model, matched, centring)
    with pm.Model(coords=_coords(model, matched, rows)) as graph:
        if not rows.constant:
            pm.Data(names.INTERVAL_SUBJECT, rows.subject, dims=names.INTERVAL)
        covariates = _covariates(model, matched, rows)
        fixed = {
            name: _fixed_effects(name, each, covariates) for name, each in model.parameters.items()
        }
        centred = None if weights is None else _centring(model, fixed, weights)
        effects = _effects(model, matched, rows, centred)
        individual = {
            name: _individual(name, each, fixed[name], effects[name])
            for name, each in model.parameters.items()
        }
        if not rows.constant:
            individual = {name: _by_interval(each) for name, each in individual.items()}
        asked = questions(model, matched)
        answers = _answers(model, asked, individual)
        prediction = pm.Deterministic(
            names.PREDICTION, asked.predictions(answers), dims=names.OBSERVATION
        )
        hazards = asked.hazards(answers)
        for number, output in enumerate(matched.outputs):
            observe(model, matched, (prediction, hazards.get(output)), (number, output))
    return Population(model=model, data=matched, pymc=graph)


def _answers(model: Model, asked: Questions, individual: Mapping[str, Tensor]) -> Tensor:
    """Return what the structure predicts, from one solve."""
    rows = model_rows(model, asked.data)
    arrays = asked.structure.inputs(asked.data, None if rows.constant else rows)
    inputs = {key: pm.Data(names.schedule(key), array) for key, array in arrays.items()}
    return asked.structure.predict(individual, inputs)


def model_rows(model: Model, data: Dataset) -> Rows:
    """Cut each subject's records where the model's parameters change."""
    return parameter_rows(data, model.covariates, occasions=bool(model.occasion_effects))


def _weights(model: Model, data: Dataset, centring: Floats) -> Floats:
    weights = np.asarray(centring, dtype=np.float64)
    shape = (data.n_subjects, len(model.effects))
    if weights.shape != shape or not ((weights >= 0) & (weights <= 1)).all():
        raise ModelError(
            f"centring must hold weights in [0, 1], one for each of {shape[0]} subjects and "
            f"{shape[1]} random effects; it has shape {weights.shape}."
        )
    return weights


def _coords(model: Model, data: Dataset, rows: Rows) -> dict[str, list[str] | np.ndarray]:
    coords: dict[str, list[str] | np.ndarray] = {
        names.SUBJECT: list(data.subjects),
        names.OBSERVATION: np.arange(data.n_observations),
    }
    if not rows.constant:
        coords[names.INTERVAL] = _interval_labels(data, rows)
    for layer in model.layers:
        listed = list(layer.effects)
        coords |= {layer.names.effect: listed, layer.names.effect_bis: listed}
    if model.occasion_effects:
        known = subject_occasions(data)
        coords[names.SUBJECT_OCCASION] = [
            names.subject_occasion(data.subjects[subject], data.occasions[occasion])
            for subject, occasion in zip(known.subject, known.occasion, strict=True)
        ]
    for name, parameter in model.parameters.items():
        for effect in parameter.covariates:
            if isinstance(effect, Categorical):
                levels, _ = level_codes(effect, data)
                coords[names.levels(name, effect.covariate)] = list(levels[1:])
    if len(data.outputs) > 1:
        for number, output in enumerate(data.outputs):
            chosen = np.flatnonzero(data.observations.output == number)
            coords[names.observation_dim(output, data.outputs)] = chosen
    return coords


def _interval_labels(data: Dataset, rows: Rows) -> list[str]:
    """Name each row by its subject and the time from which it holds."""
    seen: dict[tuple[int, float], int] = {}
    labels = []
    for subject, start in zip(rows.subject.tolist(), rows.start.tolist(), strict=True):
        seen[subject, start] = seen.get((subject, start), 0) + 1
        labels.append(names.interval(data.subjects[subject], start, seen[subject, start]))
    return labels


def _covariates(model: Model, data: Dataset, rows: Rows) -> dict[tuple[str, str], Tensor]:
    """Return each effect's values, numbers or codes of levels.

    Per subject, or per interval where the covariate varies within a subject.
    """
    values: dict[tuple[str, str], Tensor] = {}
    first = offsets(data.records.subject, data.n_subjects)[:-1]
    for name, parameter in model.parameters.items():
        for effect in parameter.covariates:
            covariate = data.covariates[effect.covariate]
            if isinstance(effect, Categorical):
                key = names.level_codes(name, effect.covariate)
                _, column = level_codes(effect, data)
            else:
                key = names.covariate(effect.covariate)
                column = covariate.values
            dim = names.SUBJECT if covariate.constant else names.INTERVAL
            chosen = first if covariate.constant else rows.record
            values[name, effect.covariate] = _container(key, column[chosen], dim)
    return values


def _container(key: str, column: np.ndarray, dim: str) -> Tensor:
    graph = pm.modelcontext(None)
    return graph[key] if key in graph.named_vars else pm.Data(key, column, dims=dim)


def _effects(
    model: Model, data: Dataset, rows: Rows, centring: Centring | None
) -> dict[str, dict[Variability, Tensor]]:
    """Return each parameter's random effects: between subjects, and per interval."""
    found: dict[str, dict[Variability, Tensor]] = {name: {} for name in model.parameters}
    for layer in model.layers:
        between_subjects = layer.names is names.SUBJECTS
        effects = random_effects(layer, model.lkj, centring if between_subjects else None)
        if not between_subjects and not rows.constant:
            places = subject_occasions(data).of_record[rows.record]
            of_interval = pm.Data(names.INTERVAL_OCCASION, places, dims=names.INTERVAL)
            effects = {name: each[of_interval] for name, each in effects.items()}
        for name, each in effects.items():
            found[name][layer.names] = each
        for name, share in layer.shared.items():
            found[name][layer.names] = _shared(layer.names.scale_of(name), share, effects)
    return found


def _shared(scale: str, share: Shared, effects: Mapping[str, Tensor]) -> Tensor:
    """Return the effect of another parameter, times its scale where there is one."""
    effect = effects[share.parameter]
    return effect if share.scale is None else variable_of(scale, share.prior()) * effect


def _dim(variable: Tensor) -> str:
    """Return the dim of a variable of the graph: subject or interval."""
    (dim,) = pm.modelcontext(None).named_vars_to_dims[variable.name]
    return dim


def _by_interval(variable: Tensor) -> Tensor:
    """Give every interval what its subject has."""
    if _dim(variable) == names.INTERVAL:
        return variable
    return variable[pm.modelcontext(None)[names.INTERVAL_SUBJECT]]


def _fixed_effects(
    name: str, parameter: Parameter, covariates: Mapping[tuple[str, str], Tensor]
) -> FixedEffects:
    """Make what all subjects share of a parameter."""
    typical = _typical(name, parameter)
    moved = tuple(
        (effect, covariates[name, effect.covariate], _effect_coefficient(name, parameter, effect))
        for effect in parameter.covariates
    )
    shape = None
    if isinstance(parameter.shape, BoxCox):
        shape = variable_of(names.shape(name, parameter.shape.variable), parameter.shape.prior())
    return typical, moved, shape


def _centring(model: Model, fixed: Mapping[str, FixedEffects], weights: Floats) -> Centring:
    locations = {}
    for name in model.effects:
        parameter, (typical, moved, _) = model.parameters[name], fixed[name]
        of_subject = [each for each in moved if _dim(each[1]) == names.SUBJECT]
        locations[name] = parameter.location(parameter.individual(typical, of_subject, None))
    return Centring(weights=weights, locations=locations)


def _individual(
    name: str,
    parameter: Parameter,
    fixed: FixedEffects,
    effects: Mapping[Variability, Tensor],
) -> Tensor:
    """Return a parameter's individual values, shape (subject,) or (interval,)."""
    graph, (typical, moved, shape) = pm.modelcontext(None), fixed
    eta, kappa = effects.get(names.SUBJECTS), effects.get(names.OCCASIONS)
    varies = any(_dim(values) == names.INTERVAL for _, values, _ in moved)
    varies |= kappa is not None and names.INTERVAL in graph.coords
    if varies:
        moved = tuple((each, _by_interval(values), b) for each, values, b in moved)
        eta = eta if eta is None else eta[graph[names.INTERVAL_SUBJECT]]
    if isinstance(parameter.shape, BoxCox) and eta is not None:
        eta = parameter.shape.transformed(eta, shape)
    effect = eta if kappa is None else kappa if eta is None else eta + kappa
    value = parameter.individual(typical, moved, effect)
    dim = names.INTERVAL if varies else names.SUBJECT
    return pm.Deterministic(name, pt.broadcast_to(value, (graph.dim_lengths[dim],)), dims=dim)


def _typical(name: str, parameter: Parameter) -> Tensor:
    prior, variable = parameter.typical_prior(), names.typical(name)
    if not isinstance(parameter, LogitNormal) or isinstance(parameter.typical, Prior | Fixed):
        return variable_of(variable, prior)
    share = pm.math.sigmoid(variable_of(names.logit(variable), prior))
    return pm.Deterministic(variable, parameter.lower + (parameter.upper - parameter.lower) * share)


def _effect_coefficient(name: str, parameter: Parameter, effect: Effect) -> Any:
    """Return an effect's coefficient, or all of them by name."""
    if isinstance(effect, Maturation | Function):
        return {
            which: variable_of(names.coefficient(name, effect.covariate, which), prior)
            for which, prior in effect.coefficients.items()
        }
    prior = effect.prior(parameter.scale)
    variable = names.coefficient(name, effect.covariate)
    if not isinstance(effect, Categorical):
        return variable_of(variable, prior)
    dim = names.levels(name, effect.covariate)
    if isinstance(prior, Fixed):
        return pt.full((pm.modelcontext(None).dim_lengths[dim],), prior.value)
    return getattr(pm, prior.distribution)(variable, **prior.keywords, dims=dim)
