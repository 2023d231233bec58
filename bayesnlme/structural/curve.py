"""Functions of time alone, for tables without doses: ``bn.curve``."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sympy

from bayesnlme._types import Tensor
from bayesnlme.data import Dataset
from bayesnlme.data.rows import Rows
from bayesnlme.errors import DataError, Finding, ModelError
from bayesnlme.odes.problem import check_identifiers, ordered_names
from bayesnlme.odes.tensors import to_tensor
from bayesnlme.odes.text import TIME, parse, symbol, text
from bayesnlme.odes.trace import trace_curve
from bayesnlme.structural.base import Equation
from bayesnlme.structural.writing import equation, latex_word


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveStructure:
    """A structure that is a function of time and the parameters; made by `curve`.

    Attributes
    ----------
    expression : expression
        The function.
    parameters : tuple of str
        Names of the individual parameters it needs.
    output : str
        Name of what it predicts.
    balances : tuple of dict
        Products of units, by power, that must be the number 1.
    integral : expression, optional
        Its integral over time from 0, where that is known.
    entry : mapping, optional
        Of a curve of the catalogue, its kind and the arguments it was called with.
    """

    expression: sympy.Expr
    parameters: tuple[str, ...]
    output: str
    balances: tuple[dict[str, int], ...] = field(default=(), hash=False)
    integral: sympy.Expr | None = None
    entry: Mapping[str, Any] | None = field(default=None, hash=False)

    @property
    def compartments(self) -> tuple[str, ...]:
        """Nothing can be dosed."""
        return ()

    @property
    def shares(self) -> tuple[str, ...]:
        """Nothing is known of the parameters."""
        return ()

    @property
    def outputs(self) -> tuple[str, ...]:
        """Name of what it predicts."""
        return (self.output,)

    def inputs(self, data: Dataset, rows: Rows | None = None) -> dict[str, np.ndarray]:
        """Return time and row of every observation.

        Raises
        ------
        DataError
            If the table holds doses, or an output that is not predicted.
        """
        _refuse_doses(data)
        _refuse_other_outputs(data, self.output)
        seen = data.observations
        return {"time": seen.time, "row": seen.subject if rows is None else rows.observation}

    def predict(self, parameters: Mapping[str, Tensor], inputs: Mapping[str, Tensor]) -> Tensor:
        """Predict every observation, shape ``(n_observations,)``."""
        values = {symbol(name): parameters[name][inputs["row"]] for name in self.parameters}
        return to_tensor(self.expression, {symbol(TIME): inputs["time"], **values})

    def equations(self) -> tuple[Equation, ...]:
        """Return the function."""
        return (equation(latex_word(self.output), self.output, self.expression),)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that TOML can hold; `curve_from_dict` reads those of a function."""
        if self.entry is not None:
            return dict(self.entry)
        return {
            "kind": "curve",
            "equation": text(self.expression),
            "parameters": list(self.parameters),
            "output": self.output,
        }


def curve(function: Callable[[Any, Any], Any], *, output: str = "value") -> CurveStructure:
    """Make a structure from a function of time, for tables without doses.

    Parameters
    ----------
    function : callable
        ``function(t, p)`` returns what is predicted. It is called once, with symbols:
        parameters are attributes, as in ``p.rate``, and `bayesnlme.math` has the functions that
        it may use.
    output : str
        Name of what is predicted.

    Raises
    ------
    ModelError
        If the function cannot be traced, or has no parameter.

    Examples
    --------
    >>> from bayesnlme.math import exp
    >>> growth = curve(lambda t, p: p.size * (1 - exp(-p.rate * t)), output="height")
    >>> growth.parameters
    ('size', 'rate')
    >>> print(growth.equations()[0].text)
    height = size*(1 - exp(-rate*t))
    """
    if not callable(function):
        raise ModelError(f"curve: expected a function of (t, p), not {function!r}.")
    expression, parameters = trace_curve(function)
    return _checked(expression, parameters, output)


def curve_from_dict(content: Mapping[str, Any]) -> CurveStructure:
    """Make a structure from a function of time as text, as `CurveStructure.to_dict` writes it.

    Parameters
    ----------
    content : mapping
        ``equation``, and where wanted ``parameters`` in their order, and ``output``.

    Raises
    ------
    ModelError
        If the function cannot be read.

    Examples
    --------
    >>> curve_from_dict({"equation": "a*exp(-k*t)"}).parameters
    ('a', 'k')
    """
    given = content.get("parameters")
    known = None if given is None else (*given, TIME)
    expression = parse(content["equation"], label="equation", names=known)
    names = ordered_names([expression]) if given is None else tuple(given)
    return _checked(expression, names, content.get("output", "value"))


def _checked(expression: sympy.Expr, parameters: Sequence[str], output: str) -> CurveStructure:
    canonical = parse(text(expression), label="equation")
    used = {each.name for each in canonical.free_symbols}
    check_identifiers(parameters, (output,))
    for name in sorted(used - {*parameters, TIME}):
        raise ModelError(f"{name!r} is no parameter of this function: write p.{name}.")
    kept = tuple(name for name in parameters if name in used)
    if not kept:
        raise ModelError("This function has no parameter, so there is nothing to estimate.")
    return CurveStructure(expression=canonical, parameters=kept, output=output)


def _refuse_doses(data: Dataset) -> None:
    doses = data.doses
    findings = [
        Finding(
            code="E_DOSE_UNUSED",
            message="The table holds a dose, but the model is a function of time alone.",
            remedy="Take the record out, or use a model with compartments.",
            subject=data.subjects[doses.subject[i]],
            row=int(doses.row[i]),
            column="AMT",
        )
        for i in range(len(doses))
    ]
    if findings:
        raise DataError(findings, data.source)


def _refuse_other_outputs(data: Dataset, output: str) -> None:
    if len(data.outputs) == 1 or set(data.outputs) == {output}:
        return
    findings = [
        Finding(
            code="E_OUTPUT_UNKNOWN",
            message=f"The table has the output {label!r}, which the function does not predict.",
            remedy=f"Keep one output, as in .subset(outputs=[...]), called {output!r}.",
            column="DVID",
        )
        for label in data.outputs
        if label != output
    ]
    raise DataError(findings, data.source)
