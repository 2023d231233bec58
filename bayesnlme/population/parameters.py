r"""Individual parameters: a typical value, what covariates do to it, and how subjects differ.

================  ==================================================================
``LogNormal``     :math:`\phi_i = \theta \, g(x_i) \, e^{\eta_i}`, positive
``Normal``        :math:`\phi_i = \theta \, g(x_i) + h(x_i) + \eta_i`, on the line
``LogitNormal``   :math:`\mathrm{logit}\,\phi_i = \mathrm{logit}\,\theta + h(x_i) + \eta_i`,
                  between two bounds
================  ==================================================================

with :math:`\eta_i \sim N(0, \omega^2)`; without ``iiv`` the parameter is the same for all. With
``iov`` there is another random effect for each occasion k of a subject,
:math:`\kappa_{ik} \sim N(0, \pi^2)`, and :math:`\eta_i + \kappa_{ik}` stands for
:math:`\eta_i` [Karlsson1993]_.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import pytensor.tensor as pt

from bayesnlme import names
from bayesnlme._types import Tensor
from bayesnlme.errors import ModelError, did_you_mean
from bayesnlme.population.covariates import (
    Categorical,
    Continuous,
    Effect,
    effect_from_dict,
    term_latex,
    term_text,
)
from bayesnlme.population.effects import BoxCox, Shape, check_shape, shape_from_dict
from bayesnlme.population.factors import Function, Maturation, latex_name
from bayesnlme.population.priors import (
    Fixed,
    Prior,
    Stated,
    Typical,
    finite_number,
    positive_prior,
    prior_from_value,
    prior_to_value,
    real_prior,
    stated,
)
from bayesnlme.population.sharing import Shared, shared_from_dict
from bayesnlme.population.spread import (
    Deviation,
    Scale,
    deviation_from_value,
    deviation_prior,
    expected_deviation,
    stated_deviation,
)

type Moved = Sequence[tuple[Effect, Tensor, Any]]
"""Effects with the covariate's values, shape (subject,), and the coefficient or those by name."""


@dataclass(frozen=True, slots=True)
class _Individual(ABC):
    """What the three kinds of parameter have in common."""

    typical: Stated
    _: KW_ONLY
    iiv: Deviation | Shared | None = None
    iov: Deviation | Shared | None = None
    shape: Shape | None = None
    unit: str | None = None
    covariates: tuple[Effect, ...] = ()

    kind: ClassVar[str]
    effect_scale: ClassVar[Scale] = "own"

    @abstractmethod
    def typical_prior(self) -> Prior | Fixed:
        """Return the prior of the typical value."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "typical", stated(self.typical, f"{self.kind} typical value"))
        for name in ("iiv", "iov"):
            given = getattr(self, name)
            if given is not None and not isinstance(given, Shared):
                object.__setattr__(self, name, stated_deviation(given, f"{self.kind} {name}"))
        object.__setattr__(self, "covariates", _effects(self.covariates))
        if self.unit is not None and (not isinstance(self.unit, str) or not self.unit.strip()):
            raise ModelError(f"unit={self.unit!r} must be text, such as 'L/h', or left out.")
        check_shape(self.kind, self.shape, self.iiv)
        self.iiv_prior()
        self.iov_prior()
        self.typical_prior()

    def iiv_prior(self) -> Prior | Fixed | None:
        """Return the prior of the SD between subjects, None without an effect of its own."""
        return self._sd_prior("iiv")

    def iov_prior(self) -> Prior | Fixed | None:
        """Return the prior of the SD between occasions, None without an effect of its own."""
        return self._sd_prior("iov")

    def _sd_prior(self, which: str) -> Prior | Fixed | None:
        value = getattr(self, which)
        if value is None or isinstance(value, Shared):
            return None
        return deviation_prior(value, f"{self.kind} {which}", self.effect_scale)

    def effect_text(self, name: str) -> str:
        """Write the sum of the random effects in plain text, empty without any."""
        eta, kappa = (
            given.text(layer.of_parameter(given.parameter), layer.scale_of(name))
            if isinstance(given, Shared)
            else layer.of_parameter(name)
            for given, layer in zip((self.iiv, self.iov), names.LAYERS, strict=True)
        )
        if isinstance(self.shape, BoxCox):
            eta = self.shape.text(eta, _number_or(self.shape, names.shape(name, "boxcox")))
        parts = [(self.iiv, eta), (self.iov, kappa)]
        return " + ".join(text for sd, text in parts if sd is not None)

    def effect_latex(self, name: str) -> str:
        """Write the sum of the random effects in LaTeX, empty without any."""
        eta, kappa = rf"\eta_{{{name},i}}", rf"\kappa_{{{name},ik}}"
        if isinstance(self.iiv, Shared):
            whose = latex_name(self.iiv.parameter)
            eta = self.iiv.latex(rf"\eta_{{{whose},i}}", rf"s_{{{name}}}")
        if isinstance(self.iov, Shared):
            whose = latex_name(self.iov.parameter)
            kappa = self.iov.latex(rf"\kappa_{{{whose},ik}}", rf"s_{{\mathrm{{iov}},{name}}}")
        if isinstance(self.shape, BoxCox):
            eta = self.shape.latex(eta, _number_or(self.shape, rf"\lambda_{{{name}}}"))
        parts = [(self.iiv, eta), (self.iov, kappa)]
        return " + ".join(text for sd, text in parts if sd is not None)

    def stays_within(self, lower: float, upper: float) -> bool:
        """Say whether no subject can have a value outside two bounds."""
        if self.iiv is not None or self.iov is not None or self.covariates:
            return False
        return _allows_none_outside(self.typical_prior(), lower, upper)

    def to_dict(self) -> dict[str, Any]:
        """Return plain TOML values."""
        entries: dict[str, Any] = {
            "distribution": self.kind,
            "typical": prior_to_value(self.typical),
        }
        for name in ("iiv", "iov"):
            value = getattr(self, name)
            if value is not None:
                entries[name] = prior_to_value(value)
        if self.shape is not None:
            entries["shape"] = self.shape.to_dict()
        if self.unit is not None:
            entries["unit"] = self.unit
        if self.covariates:
            entries["covariates"] = [effect.to_dict() for effect in self.covariates]
        return entries


@dataclass(frozen=True, slots=True)
class LogNormal(_Individual):
    """A positive parameter with a log-normal random effect.

    Parameters
    ----------
    typical : float, Prior, Typical or Fixed
        Typical value on the natural scale. A number is an expectation, the others are exact.
    iiv : float, Spread, Prior, Fixed, Shared or None
        SD of the random effect, on the log scale; ``bn.cv(30)`` and ``bn.variance(0.09)`` state
        it in other forms. ``bn.shared("CL")``: the random effect of CL. None: the same value for
        all subjects.
    iov : float, Spread, Prior, Fixed, Shared or None
        SD of a further random effect of each occasion of a subject, on the log scale. The
        occasions are those of the table's column OCC.
    shape : BoxCox, StudentT or None
        Distribution of the random effect between subjects where it is not normal, see
        :mod:`bayesnlme.population.effects`.
    unit : str or None
        Unit of the parameter, such as ``"L/h"``.
    covariates : iterable of Effect
        Covariate effects, see :mod:`bayesnlme.population.covariates`.

    Raises
    ------
    ModelError
        If a value cannot be what it is given for.

    Examples
    --------
    >>> LogNormal(2.8, iiv=0.3, unit="L/h").typical_prior()
    LogNormal(mu=1.02962, sigma=1)
    """

    kind: ClassVar[str] = "LogNormal"
    effect_scale: ClassVar[Scale] = "log"
    scale: ClassVar[float] = 1.0

    def typical_prior(self) -> Prior | Fixed:
        """Return the prior of the typical value."""
        return positive_prior(self.typical, "LogNormal typical value")

    def individual(self, typical: Tensor, moved: Moved, effect: Tensor | None) -> Tensor:
        """Return the individual values, shape (subject,) or () if all are the same.

        The random effects are given as their sum.
        """
        exponent = sum(each.log_factor(x, b) for each, x, b in moved)
        total = exponent if effect is None else exponent + effect
        return typical if isinstance(total, int) else typical * pt.exp(total)

    def location(self, value: Tensor) -> Tensor:
        """Move a value to the scale on which random effects are added."""
        return pt.log(value)

    def text(self, name: str, coefficients: Mapping[str, Any]) -> str:
        """Write the equation in plain text."""
        factors = [e.text(coefficients[e.covariate]) for e in self.covariates]
        noise = [f"exp({effect})"] if (effect := self.effect_text(name)) else []
        return " * ".join([f"{name}_pop", *factors, *noise])

    def latex(self, name: str, coefficients: Mapping[str, Any]) -> str:
        """Write the equation in LaTeX."""
        factors = [e.latex(coefficients[e.covariate]) for e in self.covariates]
        noise = [rf"e^{{{effect}}}"] if (effect := self.effect_latex(name)) else []
        return r" \, ".join([rf"{name}_{{\mathrm{{pop}}}}", *factors, *noise])


@dataclass(frozen=True, slots=True)
class Normal(_Individual):
    """A parameter on the real line with a normal random effect.

    Takes what :class:`LogNormal` takes; ``iiv`` and ``iov`` are SDs in the parameter's own unit.

    Examples
    --------
    >>> Normal(250.0, iiv=25.0).typical_prior()
    Normal(mu=250, sigma=312.5)
    """

    kind: ClassVar[str] = "Normal"

    @property
    def scale(self) -> float | None:
        """Scale of an additive effect: the SD that the typical value's prior names, if any."""
        prior = self.typical_prior()
        if isinstance(prior, Prior):
            return prior.keywords.get("sigma")
        return abs(prior.value) + 2.5 * self._expected_deviation() or None

    def _expected_deviation(self) -> float:
        return 0.0 if isinstance(self.iiv, Shared) else expected_deviation(self.iiv)

    def typical_prior(self) -> Prior | Fixed:
        """Return the prior of the typical value."""
        return real_prior(self.typical, self._expected_deviation(), "Normal typical value")

    def individual(self, typical: Tensor, moved: Moved, effect: Tensor | None) -> Tensor:
        """Return the individual values, shape (subject,) or () if all are the same."""
        value = typical
        for each, x, b in moved:
            if not each.additive_on_normal:
                value = value * pt.exp(each.log_factor(x, b))
        for each, x, b in moved:
            if each.additive_on_normal:
                value = value + each.shift(x, b)
        return value if effect is None else value + effect

    def location(self, value: Tensor) -> Tensor:
        """Move a value to the scale on which random effects are added."""
        return value

    def text(self, name: str, coefficients: Mapping[str, Any]) -> str:
        """Write the equation in plain text."""
        factors = [e for e in self.covariates if not e.additive_on_normal]
        terms = [e for e in self.covariates if e.additive_on_normal]
        product = " * ".join([f"{name}_pop", *(e.text(coefficients[e.covariate]) for e in factors)])
        added = [term_text(e, coefficients[e.covariate]) for e in terms]
        noise = [effect] if (effect := self.effect_text(name)) else []
        return " + ".join([product, *added, *noise])

    def latex(self, name: str, coefficients: Mapping[str, Any]) -> str:
        """Write the equation in LaTeX."""
        factors = [e for e in self.covariates if not e.additive_on_normal]
        terms = [e for e in self.covariates if e.additive_on_normal]
        product = r" \, ".join(
            [rf"{name}_{{\mathrm{{pop}}}}", *(e.latex(coefficients[e.covariate]) for e in factors)]
        )
        added = [term_latex(e, coefficients[e.covariate]) for e in terms]
        noise = [effect] if (effect := self.effect_latex(name)) else []
        return " + ".join([product, *added, *noise])


@dataclass(frozen=True, slots=True)
class LogitNormal(_Individual):
    """A parameter between two bounds with a logit-normal random effect.

    Takes what :class:`LogNormal` takes, and two bounds, 0 and 1 unless stated; ``iiv`` and ``iov``
    are SDs on the logit scale.

    Examples
    --------
    >>> LogitNormal(0.5, iiv=0.4).typical_prior()
    Normal(mu=0, sigma=1.5)
    """

    lower: float = 0.0
    upper: float = 1.0

    kind: ClassVar[str] = "LogitNormal"
    scale: ClassVar[float] = 1.5

    def __post_init__(self) -> None:
        for name in ("lower", "upper"):
            bound = finite_number(getattr(self, name), f"LogitNormal: {name}")
            object.__setattr__(self, name, bound)
        if not self.lower < self.upper:
            raise ModelError(f"LogitNormal: lower {self.lower:g} must be below {self.upper:g}.")
        _Individual.__post_init__(self)

    def typical_prior(self) -> Prior | Fixed:
        """Return the prior: of the logit of the position between the bounds, unless exact."""
        value = self.typical
        if isinstance(value, Prior):
            return self._within(value)
        number = value if isinstance(value, float) else value.value
        share = (number - self.lower) / (self.upper - self.lower)
        if not 0 < share < 1:
            raise ModelError(
                f"LogitNormal typical value {number:g} must lie between "
                f"{self.lower:g} and {self.upper:g}."
            )
        if isinstance(value, Fixed):
            return value
        logit = math.log(share / (1 - share))
        sd = self.scale
        if isinstance(value, Typical):
            sd = value.rse * abs(number) / ((self.upper - self.lower) * share * (1 - share))
        return Prior("Normal", mu=float(f"{logit:.12g}"), sigma=float(f"{sd:.12g}"))

    def _within(self, prior: Prior) -> Prior:
        lower, upper = prior.support
        if lower < self.lower or upper > self.upper:
            raise ModelError(
                f"LogitNormal typical value lies between {self.lower:g} and {self.upper:g}, but "
                f"{prior!r} may leave them. Use Beta, or a prior with lower= and upper=."
            )
        return prior

    def stays_within(self, lower: float, upper: float) -> bool:
        """Say whether no subject can have a value outside two bounds."""
        return lower <= self.lower and self.upper <= upper

    def individual(self, typical: Tensor, moved: Moved, effect: Tensor | None) -> Tensor:
        """Return the individual values, shape (subject,) or () if all are the same."""
        total = sum(each.shift(x, b) for each, x, b in moved)
        total = total if effect is None else total + effect
        if isinstance(total, int):
            return typical
        span = self.upper - self.lower
        return self.lower + span * pt.sigmoid(self.location(typical) + total)

    def location(self, value: Tensor) -> Tensor:
        """Move a value to the scale on which random effects are added."""
        share = (value - self.lower) / (self.upper - self.lower)
        return pt.log(share) - pt.log1p(-share)

    def text(self, name: str, coefficients: Mapping[str, Any]) -> str:
        """Write the equation in plain text."""
        added = [term_text(e, coefficients[e.covariate]) for e in self.covariates]
        noise = [effect] if (effect := self.effect_text(name)) else []
        inside = " + ".join([f"logit({name}_pop)", *added, *noise])
        return f"logistic({inside}){self._between()}"

    def latex(self, name: str, coefficients: Mapping[str, Any]) -> str:
        """Write the equation in LaTeX."""
        added = [term_latex(e, coefficients[e.covariate]) for e in self.covariates]
        noise = [effect] if (effect := self.effect_latex(name)) else []
        bounds = f"_{{({self.lower:g},\\,{self.upper:g})}}" if self._between() else ""
        logit = rf"\mathrm{{logit}}{bounds}"
        inside = " + ".join([rf"{logit}({name}_{{\mathrm{{pop}}}})", *added, *noise])
        return rf"{logit}^{{-1}}\left({inside}\right)"

    def _between(self) -> str:
        """Say the bounds of logit and logistic where they are not 0 and 1."""
        if (self.lower, self.upper) == (0.0, 1.0):
            return ""
        return f" between {self.lower:g} and {self.upper:g}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain TOML values."""
        bounds = {"lower": self.lower, "upper": self.upper}
        return _Individual.to_dict(self) | bounds


type Parameter = LogNormal | Normal | LogitNormal

_KINDS: dict[str, type[LogNormal] | type[Normal] | type[LogitNormal]] = {
    "LogNormal": LogNormal,
    "Normal": Normal,
    "LogitNormal": LogitNormal,
}


def check_shares(parameters: Mapping[str, Parameter], shares: Iterable[str]) -> None:
    """Refuse parameters that may leave 0 to 1 where nothing else makes sense.

    Parameters
    ----------
    parameters : mapping of str to LogNormal, Normal or LogitNormal
        The parameters of a model.
    shares : iterable of str
        Names of those that are shares.

    Raises
    ------
    ModelError
        For the first that some subject may have outside.
    """
    for name in shares:
        if not parameters[name].stays_within(0.0, 1.0):
            raise ModelError(
                f"parameter {name} is a share between 0 and 1, and this {parameters[name].kind} "
                f"may leave these bounds. Use {name}=bn.LogitNormal(0.5, iiv=...)."
            )


def _allows_none_outside(prior: Prior | Fixed, lower: float, upper: float) -> bool:
    if isinstance(prior, Fixed):
        return lower < prior.value < upper
    return lower <= prior.support[0] and prior.support[1] <= upper


def parameter_from_dict(name: str, entries: Mapping[str, Any]) -> Parameter:
    """Read back a parameter's ``to_dict``, or what a user wrote in TOML."""
    given = dict(entries)
    kind = given.pop("distribution", "LogNormal")
    if not isinstance(kind, str) or kind not in _KINDS:
        near = did_you_mean(str(kind), _KINDS)
        raise ModelError(f"parameter {name}: no distribution {kind!r}. {near}")
    if "typical" not in given:
        raise ModelError(f"parameter {name}: 'typical' is missing.")
    allowed = {"typical", "iiv", "iov", "shape", "unit", "covariates"}
    allowed |= {"lower", "upper"} if kind == "LogitNormal" else set()
    for key in given:
        if key not in allowed:
            raise ModelError(f"parameter {name}: unknown {key!r}. {did_you_mean(key, allowed)}")
    given["typical"] = prior_from_value(given["typical"], f"{name} typical")
    for each in ("iiv", "iov"):
        value: Any = given.get(each)
        share = isinstance(value, Mapping) and "shared" in value
        read = shared_from_dict if share else deviation_from_value
        given[each] = read(value, f"{name} {each}")
    if "shape" in given:
        given["shape"] = shape_from_dict(given["shape"], name)
    effects: Iterable[Mapping[str, Any]] = given.pop("covariates", ())
    given["covariates"] = tuple(effect_from_dict(each, name) for each in effects)
    return _KINDS[kind](given.pop("typical"), **given)


def _number_or(shape: BoxCox, name: str) -> str:
    return f"{shape.value.value:g}" if isinstance(shape.value, Fixed) else name


def _effects(given: Any) -> tuple[Effect, ...]:
    """Return covariate effects as a tuple, refusing what is none and two of one covariate."""
    kinds = Continuous | Categorical | Maturation | Function
    listed = list(given) if isinstance(given, Iterable) else [given]
    if isinstance(given, str | kinds) or not all(isinstance(each, kinds) for each in listed):
        raise ModelError(
            f"covariates={given!r} must be a list of effects, such as "
            "[bn.covariates.power('WT', reference=70)]."
        )
    seen = [effect.covariate for effect in listed]
    for name in seen:
        if seen.count(name) > 1:
            raise ModelError(f"covariate {name!r} acts twice on one parameter. Keep one.")
    return tuple(listed)
