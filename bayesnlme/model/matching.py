"""Fit a table to a model: which label is which output, which column which covariate."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from bayesnlme.data import Dataset
from bayesnlme.data.rows import subject_occasions
from bayesnlme.errors import DataError, Finding, ModelError, Severity, did_you_mean
from bayesnlme.model.model import Model
from bayesnlme.model.units import unit_findings
from bayesnlme.model.values import value_findings, without_dropped
from bayesnlme.population.covariates import Categorical, Continuous, Effect, level_label
from bayesnlme.population.factors import Factor
from bayesnlme.population.priors import Fixed


def match(model: Model, data: Dataset) -> Dataset:
    """Return the data with its outputs called as the model calls them.

    A label that is one of the model's outputs is that output; a whole number k is the model's
    k-th output; where table and model each have one output they are the same. Observations below
    the limit of quantification are left out where the model says so (M1 and M2).

    Raises
    ------
    DataError
        With every reason why this table cannot be used with this model.
    """
    findings = tuple(table_findings(model, data))
    errors = [each for each in findings if each.severity is Severity.ERROR]
    if errors:
        raise DataError(errors, data.source)
    called = {label: _output(model, data, label) or label for label in data.outputs}
    units = {called.get(key, key): unit for key, unit in data.units.items()}
    named = replace(data, outputs=tuple(called.values()), units=units)
    return without_dropped(model.observations, named)


def table_findings(model: Model, data: Dataset) -> Iterator[Finding]:
    """Yield what stands between a table and a model, in the order of the table's columns."""
    _require_model_and_data(model, data)
    yield from _output_findings(model, data)
    yield from unit_findings(model, data, _outputs(model, data))
    for number, label in enumerate(data.outputs):
        name = _output(model, data, label)
        if name is not None:
            yield from value_findings(model.observations[name], data, (number, name))
    yield from _occasion_findings(model, data)
    for parameter, each in model.parameters.items():
        for effect in each.covariates:
            yield from _covariate_findings(parameter, effect, data)


def level_codes(effect: Categorical, data: Dataset) -> tuple[tuple[str, ...], np.ndarray]:
    """Return a categorical covariate's levels, the reference first, and each record's code."""
    labels = [level_label(each) for each in data.covariates[effect.covariate].values]
    others = sorted(set(labels) - {effect.reference})
    levels = (effect.reference, *others)
    return levels, np.array([levels.index(each) for each in labels], dtype=np.int64)


def _require_model_and_data(model: object, data: object) -> None:
    if not isinstance(model, Model):
        raise ModelError(f"The model must be a bn.Model, not {type(model).__name__}.")
    if not isinstance(data, Dataset):
        raise ModelError(
            f"The data must be a Dataset, not {type(data).__name__}. Read it with bn.read_data(...)"
        )


def _outputs(model: Model, data: Dataset) -> dict[str, str]:
    """Return the model's name of each label that has one."""
    named = {label: _output(model, data, label) for label in data.outputs}
    return {label: name for label, name in named.items() if name is not None}


def _output(model: Model, data: Dataset, label: str) -> str | None:
    if label in model.outputs:
        return label
    if label.isdecimal() and 1 <= int(label) <= len(model.outputs):
        return model.outputs[int(label) - 1]
    if len(data.outputs) == len(model.outputs) == 1:
        return model.outputs[0]
    return None


def _output_findings(model: Model, data: Dataset) -> Iterator[Finding]:
    labels = [_output(model, data, label) for label in data.outputs]
    observations = data.observations
    for number, (label, name) in enumerate(zip(data.outputs, labels, strict=True)):
        first = int(np.flatnonzero(observations.output == number)[0])
        if name is None:
            yield Finding(
                code="E_OUTPUT_UNKNOWN",
                message=f"Output {label!r} is observed, but the model has no such output.",
                remedy=f"{did_you_mean(label, model.outputs)} Add it to observations=, rename it "
                "with read_data(..., outputs={...}), or leave it out with .subset(outputs=[...]).",
                subject=data.subjects[observations.subject[first]],
                row=int(observations.row[first]),
                column="DVID",
            )
        elif labels.index(name) != number:
            yield Finding(
                code="E_OUTPUT_TWICE",
                message=f"Outputs {data.outputs[labels.index(name)]!r} and {label!r} would both "
                f"be {name!r}.",
                remedy="Name them with read_data(..., outputs={...}).",
                column="DVID",
            )
    for name in model.outputs:
        if name not in labels:
            yield Finding(
                code="E_OUTPUT_UNOBSERVED",
                message=f"The model's output {name!r} is never observed; "
                f"the table has {', '.join(map(repr, data.outputs))}.",
                remedy="Take it out of observations=, or name the labels with "
                "read_data(..., outputs={...}).",
                column="DVID",
            )


def _occasion_findings(model: Model, data: Dataset) -> Iterator[Finding]:
    several = len(data.occasions) > 1
    listed = ", ".join(model.occasion_effects)
    if several and not listed:
        yield Finding(
            code="W_OCCASION_UNUSED",
            message=f"The table has {len(data.occasions)} occasions, but the model has no "
            "between-occasion variability: all of a subject's occasions share its parameters.",
            remedy="Read on if that is meant, or give parameters between-occasion variability with "
            "iov=....",
            severity=Severity.WARNING,
            column="OCC",
        )
    if listed and not several:
        yield Finding(
            code="E_OCCASION_ABSENT",
            message=f"{listed} varies between occasions (iov), but the table has one occasion.",
            remedy="Add a column OCC, say which column it is with read_data(..., occ=...), or "
            "leave iov out.",
            column="OCC",
        )
    elif listed and subject_occasions(data).alone:
        yield Finding(
            code="W_OCCASION_ALONE",
            message=f"{listed} varies between occasions (iov), but no subject has two of them: "
            "variability between occasions and between subjects cannot be told apart.",
            remedy="Read on if the prior shall tell them apart, or leave iov or iiv out.",
            severity=Severity.WARNING,
            column="OCC",
        )


def _covariate_findings(parameter: str, effect: Effect, data: Dataset) -> Iterator[Finding]:
    name = effect.covariate
    if name not in data.covariates:
        yield Finding(
            code="E_COVARIATE_ABSENT",
            message=f"The model's {effect.kind} effect on {parameter} needs covariate {name!r}, "
            "which the table lacks.",
            remedy=did_you_mean(name, data.covariates),
            column=name,
        )
        return
    covariate = data.covariates[name]
    holes = list(covariate.missing_rows)
    for row in holes:
        yield Finding(
            code="E_COVARIATE_MISSING",
            message=f"Covariate {name} is missing, but {parameter} depends on it.",
            remedy=f'Fill the cell, or all by a rule with .fill({name}="median"), or leave the '
            "subject out with .subset(subjects=[...]).",
            subject=_subject_of(data, int(row)),
            row=int(row),
            column=name,
        )
    if holes:
        return
    if isinstance(effect, Categorical):
        yield from _level_findings(effect, data)
    else:
        yield from _number_findings(effect, data)


def _level_findings(effect: Categorical, data: Dataset) -> Iterator[Finding]:
    labels = {level_label(each) for each in data.covariates[effect.covariate].levels}
    if effect.reference not in labels:
        yield Finding(
            code="E_COVARIATE_REFERENCE",
            message=f"The reference {effect.reference!r} of {effect.covariate} never occurs.",
            remedy=did_you_mean(effect.reference, sorted(labels)),
            column=effect.covariate,
        )
    elif len(labels) == 1 and not isinstance(effect.coefficient, Fixed):
        yield Finding(
            code="E_COVARIATE_ONE_LEVEL",
            message=f"{effect.covariate} is {effect.reference!r} on every record: "
            "its effect cannot be estimated.",
            remedy="Leave the effect out.",
            column=effect.covariate,
        )


def _number_findings(effect: Continuous | Factor, data: Dataset) -> Iterator[Finding]:
    covariate = data.covariates[effect.covariate]
    if not covariate.numeric:
        yield Finding(
            code="E_COVARIATE_TEXT",
            message=f"{effect.covariate} holds text, but a {effect.kind} effect needs numbers.",
            remedy=f"Use bn.covariates.categorical({effect.covariate!r}, reference=...).",
            column=effect.covariate,
        )
    elif effect.positive:
        records = data.records
        wrong = np.flatnonzero(covariate.values <= 0)
        _, first = np.unique(records.subject[wrong], return_index=True)
        for i in wrong[first]:
            yield Finding(
                code="E_COVARIATE_NOT_POSITIVE",
                message=f"{effect.covariate} is {covariate.values[i]:g}; "
                f"a {effect.kind} effect needs positive values.",
                remedy="Correct the value, or use an exponential or linear effect.",
                subject=data.subjects[records.subject[i]],
                row=int(records.row[i]),
                column=effect.covariate,
            )


def _subject_of(data: Dataset, row: int) -> str:
    record = int(np.flatnonzero(data.records.row == row)[0])
    return data.subjects[data.records.subject[record]]
