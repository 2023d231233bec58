"""From published rows to the priors of a model: each row finds its place or is refused."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from bayesnlme import names
from bayesnlme.data.units import check_units, unit_factor
from bayesnlme.errors import DataError, Finding, ModelError, did_you_mean
from bayesnlme.model.published import PublishedRow, problem
from bayesnlme.observation.kinds import Observed
from bayesnlme.population.effects import BoxCox
from bayesnlme.population.factors import Function, Maturation
from bayesnlme.population.parameters import Parameter
from bayesnlme.population.priors import (
    Fixed,
    Prior,
    Typical,
    finite_number,
    positive_prior,
    rounded,
    source_text,
)
from bayesnlme.population.sharing import Shared
from bayesnlme.population.spread import Scale, Spread


class _RefusedRowError(ModelError):
    """A row that has no place: what was seen in which column, and what to do."""

    def __init__(self, column: str, message: str, remedy: str) -> None:
        self.column, self.remedy = column, remedy
        super().__init__(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The parts of a model that published rows go into.

    Attributes
    ----------
    parameters : dict of str to parameter
        The individual parameters; they are replaced one row after the other.
    observations : dict of str to outcome
        The outcomes, likewise.
    units : mapping of str to str
        Units of the outputs.
    """

    parameters: dict[str, Parameter]
    observations: dict[str, Observed]
    units: Mapping[str, str]
    _seen: dict[tuple[str, str], int] = field(default_factory=dict)

    def take(self, rows: Sequence[PublishedRow], source: str) -> None:
        """Give every row its place.

        Raises
        ------
        DataError
            With every row that has none.
        """
        problems = [each for row in rows for each in self._problems(row)]
        if problems:
            raise DataError(problems, source)

    def _problems(self, row: PublishedRow) -> Iterator[Finding]:
        try:
            self._place(row)
        except _RefusedRowError as refused:
            yield problem(row.number, refused.column, str(refused), refused.remedy)
        except ModelError as refused:
            yield problem(row.number, "value", str(refused), "Correct the row, or leave it out.")

    def _place(self, row: PublishedRow) -> None:
        first = self._seen.setdefault((row.kind, row.parameter), row.number)
        if first != row.number:
            message = f"Row {first} gives the same."
            raise _RefusedRowError("parameter", message, "Keep one of them.")
        place: Mapping[str, Callable[[PublishedRow], None]] = {
            "typical": self._typical,
            "iiv": self._deviation,
            "iov": self._deviation,
            "shape": self._shape,
            "scale": self._scale,
            "covariate": self._covariate,
            "residual": self._residual,
        }
        place[row.kind](row)

    def _typical(self, row: PublishedRow) -> None:
        _refuse_form(row)
        parameter = self._parameter(row)
        moved = _converted(row, parameter.unit, f"parameter {row.parameter}")
        self.parameters[row.parameter] = replace(parameter, typical=_value(moved))

    def _deviation(self, row: PublishedRow) -> None:
        parameter = self._parameter(row)
        if getattr(parameter, row.kind) is None:
            effect = {"iiv": "random effect", "iov": "occasion effect"}[row.kind]
            raise _RefusedRowError(
                "kind",
                f"{row.parameter} has no {effect} in the model.",
                f"Give it {row.kind}=0.3, or leave the row out.",
            )
        given = getattr(parameter, row.kind)
        if isinstance(given, Shared):
            raise _RefusedRowError(
                "kind",
                f"{row.parameter} shares the effect of {given.parameter} in the model.",
                f"Give the row of {given.parameter}, or the kind 'scale'.",
            )
        _require_form(row)
        unit = parameter.unit if parameter.effect_scale == "own" else None
        unit = None if parameter.kind == "LogitNormal" else unit
        moved = _converted(row, unit, f"parameter {row.parameter}")
        spread: Any = _spread(moved, parameter.effect_scale)
        self.parameters[row.parameter] = replace(parameter, **{row.kind: spread})

    def _shape(self, row: PublishedRow) -> None:
        _refuse_form(row)
        parameter = self._parameter(row)
        if parameter.shape is None:
            raise _RefusedRowError(
                "kind",
                f"The random effect on {row.parameter} is normal in the model: it has no shape.",
                f"Give {row.parameter} shape=bn.effects.boxcox(...) or "
                "bn.effects.student_t(df=...), or leave the row out.",
            )
        _converted(row, None, "a shape")
        real = isinstance(parameter.shape, BoxCox)
        shape = replace(parameter.shape, value=_coefficient(row) if real else _value(row))
        self.parameters[row.parameter] = replace(parameter, shape=shape)

    def _scale(self, row: PublishedRow) -> None:
        _refuse_form(row)
        parameter = self._parameter(row)
        if not isinstance(parameter.iiv, Shared):
            raise _RefusedRowError(
                "kind",
                f"{row.parameter} shares no random effect in the model.",
                f"Give {row.parameter} iiv=bn.shared(...), or leave the row out.",
            )
        _converted(row, None, "a scale")
        share = replace(parameter.iiv, scale=_coefficient(row))
        self.parameters[row.parameter] = replace(parameter, iiv=share)

    def _covariate(self, row: PublishedRow) -> None:
        _refuse_form(row)
        known = {
            names.coefficient(name, effect.covariate, which): (name, number, which)
            for name, each in self.parameters.items()
            for number, effect in enumerate(each.covariates)
            for which in _coefficient_names(effect)
        }
        name, number, which = _found(row, known, "covariate coefficient")
        _converted(row, None, "a covariate coefficient, in the unit of the model's covariate,")
        effects = list(self.parameters[name].covariates)
        effects[number] = _with_coefficient(effects[number], which, row)
        self.parameters[name] = replace(self.parameters[name], covariates=tuple(effects))

    def _residual(self, row: PublishedRow) -> None:
        known = {
            names.magnitude(output, magnitude): (output, magnitude)
            for output, each in self.observations.items()
            for magnitude in each.priors()
        }
        output, magnitude = _found(row, known, "residual magnitude")
        outcome = self.observations[output]
        scale = getattr(outcome, "deviations", {}).get(magnitude)
        if scale is None:
            _refuse_form(row)
            _converted(row, None, row.parameter)
            given: Spread | Prior | Fixed = _magnitude(row, outcome.priors()[magnitude])
        else:
            _require_form(row)
            unit = self._output_unit(row, output) if magnitude == "additive" else None
            given = _spread(_converted(row, unit, f"output {output}"), scale)
        self.observations[output] = _with_magnitude(outcome, magnitude, given)

    def _output_unit(self, row: PublishedRow, output: str) -> str | None:
        if row.unit and output not in self.units:
            raise _RefusedRowError(
                "unit",
                f"The model does not know the unit of {output}.",
                f'Say which with with_priors(..., units={{"{output}": "..."}}).',
            )
        return self.units.get(output)

    def _parameter(self, row: PublishedRow) -> Parameter:
        return _found(row, self.parameters, "parameter")


def checked_options(
    source: object, inflate: object, units: Mapping[str, str] | None, outputs: Sequence[str]
) -> Mapping[str, str]:
    """Check the options of :meth:`bayesnlme.model.model.Model.with_priors`; return the units.

    Raises
    ------
    ModelError
        If one is not of the right kind.
    """
    source_text(source, "with_priors")
    if finite_number(inflate, "with_priors: inflate") <= 0:
        raise ModelError(f"with_priors: inflate={inflate!r} must be positive, such as 2.")
    given = units or {}
    for finding in check_units(given, outputs, dosed=False):
        raise ModelError(f"with_priors: units of {finding.column}: {finding.message}")
    return given


def _found[Found](row: PublishedRow, known: Mapping[str, Found], what: str) -> Found:
    if row.parameter not in known:
        raise _RefusedRowError(
            "parameter",
            f"The model has no {what} {row.parameter!r}.",
            f"{did_you_mean(row.parameter, known)} Rename it or leave the row out.",
        )
    return known[row.parameter]


def _require_form(row: PublishedRow) -> None:
    if not row.form and row.unit != "%":
        raise _RefusedRowError(
            "as",
            f"{row.value:g} may be a standard deviation, a variance or a CV.",
            "Say which in a column 'as': sd, variance or cv_percent.",
        )


def _refuse_form(row: PublishedRow) -> None:
    if row.form:
        raise _RefusedRowError(
            "as",
            f"as = {row.form} means nothing here: this is no standard deviation.",
            "Leave the cell empty.",
        )


def _converted(row: PublishedRow, unit: str | None, what: str) -> PublishedRow:
    """Move a row to the model's unit; a table without a column of units is in the model's."""
    form = row.form or ("cv_percent" if row.unit == "%" and row.kind in _SPREADS else "")
    row = replace(row, form=form)
    if row.unit is None or row.unit == (unit or "") or (form, row.unit) == ("cv_percent", "%"):
        return row
    if form == "cv_percent":
        message = f"A CV in percent has no unit {row.unit!r}."
        raise _RefusedRowError("unit", message, "Write % or leave the cell empty.")
    for finding in check_units({"unit": row.unit or "1"}, ["unit"], dosed=False):
        raise _RefusedRowError("unit", finding.message, finding.remedy)
    power = -2 if form == "variance" else -1
    powers = [*([(row.unit, 1)] if row.unit else []), *([(unit, power)] if unit else [])]
    factor = unit_factor(powers)
    if factor is None:
        wanted = f"{unit!r}{' squared' if power == -2 else ''}" if unit else "no unit"
        raise _RefusedRowError(
            "unit",
            f"{f'The unit {row.unit!r}' if row.unit else 'No unit'} is not what the model has: "
            f"{what} has {wanted}.",
            "Correct the cell, or the unit in the model.",
        )
    error = None if row.error is None else row.error * factor
    return replace(row, value=row.value * factor, error=error, unit=unit)


_SPREADS = ("iiv", "iov", "residual")


def _value(row: PublishedRow) -> Prior | Fixed | Typical:
    if row.error is None:
        return Fixed(row.value, row.source)
    if row.value == 0:
        return _coefficient(row)
    return Typical(row.value, row.error / abs(row.value), row.source)


def _coefficient(row: PublishedRow) -> Prior | Fixed:
    """Return the prior of a number on the line."""
    if row.error is None:
        return Fixed(row.value, row.source)
    return Prior("Normal", mu=row.value, sigma=rounded(row.error), source=row.source)


def _spread(row: PublishedRow, scale: Scale) -> Spread | Fixed:
    rse = 1.0 if row.error is None else row.error / abs(row.value or 1.0)
    spread = Spread(row.form, row.value, rse, row.source)
    if row.error is None:
        return Fixed(spread.deviation(scale, row.parameter), row.source)
    return spread


def _magnitude(row: PublishedRow, default: Prior | Fixed) -> Prior | Fixed:
    """Return the prior of a magnitude that is no standard deviation."""
    if isinstance(default, Prior) and default.positive:
        return positive_prior(_value(row), row.parameter)
    return _coefficient(row)


def _coefficient_names(effect: Any) -> tuple[str, ...]:
    return tuple(effect.coefficients) if isinstance(effect, Maturation | Function) else ("",)


def _with_coefficient(effect: Any, which: str, row: PublishedRow) -> Any:
    if isinstance(effect, Maturation):
        given: Any = positive_prior(_value(row), row.parameter)
        return replace(effect, **{which: given})
    if isinstance(effect, Function):
        given = dict(effect.stated) | {which: _coefficient(row)}
        return replace(effect, stated=tuple(given.items()))
    return replace(effect, coefficient=_coefficient(row))


def _with_magnitude(outcome: Any, magnitude: str, given: Spread | Prior | Fixed) -> Any:
    if magnitude in {each.name for each in fields(outcome)}:
        return replace(outcome, **{magnitude: given})
    if hasattr(outcome, "error"):
        return replace(outcome, error=_with_magnitude(outcome.error, magnitude, given))
    raise _RefusedRowError(
        "parameter",
        "Thresholds hold together and cannot come one by one from a table.",
        "State them in the model: bn.ordered(thresholds=[bn.Prior(...), ...]).",
    )
