"""Covariate effects with several coefficients: maturation, and functions of the user's own.

Both give a factor: on log-normal and normal parameters the typical value is multiplied by it, on a
logit-normal one its log is added to the logit.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import pytensor.tensor as pt
import sympy

from bayesnlme._types import Tensor
from bayesnlme.errors import ModelError
from bayesnlme.odes.tensors import to_tensor
from bayesnlme.odes.text import parse, symbol, text
from bayesnlme.odes.trace import trace_curve
from bayesnlme.population.priors import (
    Fixed,
    Prior,
    Typical,
    positive_prior,
    prior_from_value,
    prior_to_value,
    stated,
)

ARGUMENT = "x"
"""What the covariate is called in the text of a function."""

type Words = Mapping[str, str]
"""Each coefficient written out: its variable's name, or its value where it is known."""


@dataclass(frozen=True, slots=True)
class Maturation:
    """x^hill / (x^hill + half^hill); see `bayesnlme.population.covariates.maturation`.

    Attributes
    ----------
    covariate : str
        Column of the table.
    half : Fixed or Prior
        Value of the covariate at half of the mature parameter.
    hill : Fixed or Prior
        Steepness.
    """

    covariate: str
    half: Fixed | Prior
    hill: Fixed | Prior

    kind: ClassVar[str] = "maturation"
    additive_on_normal: ClassVar[bool] = False
    positive: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_column(self.covariate)
        for name, value in self.coefficients.items():
            what = f"maturation({self.covariate!r}): {name}"
            if isinstance(value, Fixed) and value.value <= 0:
                raise ModelError(f"{what}={value.value:g} must be positive.")
            positive_prior(value, what)

    @property
    def coefficients(self) -> dict[str, Fixed | Prior]:
        """Its coefficients by name."""
        return {"half": self.half, "hill": self.hill}

    def log_factor(self, x: Tensor, b: Mapping[str, Tensor]) -> Tensor:
        """Log of the factor on a positive parameter."""
        return -pt.softplus(b["hill"] * (pt.log(b["half"]) - pt.log(x)))

    shift = log_factor

    def text(self, b: Words) -> str:
        """Write the factor in plain text."""
        x, half, hill = self.covariate, b["half"], b["hill"]
        return f"{x}^{hill} / ({x}^{hill} + {half}^{hill})"

    def latex(self, b: Words) -> str:
        """Write the factor in LaTeX."""
        x, half, hill = rf"\mathrm{{{latex_name(self.covariate)}}}_i", b["half"], b["hill"]
        return rf"\frac{{{x}^{{{hill}}}}}{{{x}^{{{hill}}} + {half}^{{{hill}}}}}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain TOML values."""
        values = {name: prior_to_value(each) for name, each in self.coefficients.items()}
        return {"effect": self.kind, "covariate": self.covariate, **_plain(values)}


@dataclass(frozen=True, slots=True)
class Function:
    """A factor by a function of the user; see `bayesnlme.population.covariates.function`.

    Attributes
    ----------
    covariate : str
        Column of the table.
    equation : str
        The function as text, of ``x`` and the coefficients.
    stated : tuple of (str, Fixed or Prior)
        The coefficients.
    """

    covariate: str
    equation: str
    stated: tuple[tuple[str, Fixed | Prior], ...]

    kind: ClassVar[str] = "function"
    additive_on_normal: ClassVar[bool] = False
    positive: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_column(self.covariate)
        label = f"function({self.covariate!r})"
        expression = parse(self.equation, label=label)
        used = {each.name for each in expression.free_symbols}
        known = {ARGUMENT, *self.coefficients}
        if ARGUMENT in self.coefficients:
            raise ModelError(f"{label}: {ARGUMENT} is the covariate. Rename the coefficient.")
        if ARGUMENT not in used:
            raise ModelError(f"{label}: the covariate has no part in {self.equation!r}.")
        for name in sorted(used ^ known):
            said = "is in no place used" if name in known else "is not stated: give it too"
            raise ModelError(f"{label}: the coefficient {name} {said}.")
        object.__setattr__(self, "equation", text(expression))

    @property
    def coefficients(self) -> dict[str, Fixed | Prior]:
        """Its coefficients by name."""
        return dict(self.stated)

    def log_factor(self, x: Tensor, b: Mapping[str, Tensor]) -> Tensor:
        """Log of the factor; NaN (a rejected proposal) where it is below zero."""
        values = {symbol(name): pt.broadcast_to(each, x.shape) for name, each in b.items()}
        expression = parse(self.equation, label=self.kind)
        return pt.log(to_tensor(expression, {symbol(ARGUMENT): x, **values}))

    shift = log_factor

    def text(self, b: Words) -> str:
        """Write the factor in plain text."""
        names = {symbol(ARGUMENT): symbol(self.covariate)}
        names |= {symbol(name): parse(word, label=name) for name, word in b.items()}
        return f"({text(parse(self.equation, label=self.kind).xreplace(names))})"

    def latex(self, b: Words) -> str:
        """Write the factor in LaTeX."""
        called = {symbol(name): word for name, word in b.items()}
        called[symbol(ARGUMENT)] = rf"\mathrm{{{latex_name(self.covariate)}}}_i"
        written = sympy.latex(parse(self.equation, label=self.kind), symbol_names=called)
        return rf"\left({written}\right)"

    def to_dict(self) -> dict[str, Any]:
        """Return plain TOML values."""
        values = {name: prior_to_value(each) for name, each in self.stated}
        entries = {"effect": self.kind, "covariate": self.covariate, "equation": self.equation}
        return entries | ({"coefficients": _plain(values)} if values else {})


type Factor = Maturation | Function


def maturation_of(covariate: str, half: object, hill: object) -> Maturation:
    """Make a maturation of what a user stated; a number is known."""
    what = f"maturation({covariate!r})"
    return Maturation(covariate, _known(half, f"{what}: half"), _known(hill, f"{what}: hill"))


def function_of(
    covariate: str, function: Callable[[Any, Any], Any] | str, coefficients: Mapping[str, object]
) -> Function:
    """Make a factor from a function or its text; a number among the coefficients is known."""
    label = f"function({covariate!r})"
    if not callable(function) and not isinstance(function, str):
        raise ModelError(f"{label}: expected a function of (x, b), not {function!r}.")
    if callable(function):
        expression, _ = trace_curve(function, label=label, argument=ARGUMENT)
        function = text(expression)
    given = tuple((name, _known(each, f"{label}: {name}")) for name, each in coefficients.items())
    return Function(covariate, function, given)


def factor_from_dict(entries: Mapping[str, Any], what: str) -> Factor:
    """Read back what ``to_dict`` wrote, without its key ``effect``."""
    covariate = entries["covariate"]
    read = {
        name: prior_from_value(each, f"{what}: {name}")
        for name, each in (entries.get("coefficients", {}) or entries).items()
        if name not in ("covariate", "equation", "coefficients")
    }
    if "equation" in entries:
        return function_of(covariate, entries["equation"], read)
    return maturation_of(covariate, read["half"], read["hill"])


def check_column(name: object) -> None:
    """Refuse what names no column."""
    if not isinstance(name, str) or not name:
        raise ModelError(f"A covariate is named by its column, not {name!r}.")


def latex_name(name: str) -> str:
    """Escape a name for LaTeX."""
    return name.replace("_", r"\_")


def _known(value: object, what: str) -> Fixed | Prior:
    read = stated(value, what)
    if isinstance(read, Typical):
        raise ModelError(f"{what}: give a number (known) or bn.Prior(...) (estimated).")
    return Fixed(read) if isinstance(read, float) else read


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Write a known value as a plain number, as it was most likely written."""
    return {
        name: each["fixed"] if isinstance(each, Mapping) and set(each) == {"fixed"} else each
        for name, each in values.items()
    }
