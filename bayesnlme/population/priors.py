"""Priors: a number is an expectation, an object is exact.

Where a parameter is given as a plain number, the defaults of this module turn it into a prior.
Every default is stated once, here, and listed by the model that uses it:

======================  =====================================================================
a number given as       becomes
======================  =====================================================================
a positive typical x    ``LogNormal(log x, 1)``: median x, 95 % between x/7 and 7x
a typical on the line   ``Normal(x, |x| + 2.5 iiv)``
a typical in (a, b)     its logit is ``Normal(logit x, 1.5)``
a standard deviation s  ``HalfNormal`` with mean s
a covariate effect      ``Normal(0, scale)``, see :mod:`bayesnlme.population.covariates`
======================  =====================================================================
"""

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from numbers import Real
from typing import Any

import pymc as pm
from pymc.distributions.continuous import PositiveContinuous, UnitContinuous

from bayesnlme.errors import ModelError, did_you_mean

DEFAULT_LOG_SD = 1.0
"""SD of the log of a positive typical value that was given as a number."""

WIDEST_RSE = 2.0
"""A relative standard error above it, 200 %, was meant in percent."""


@dataclass(frozen=True, slots=True, init=False)
class Prior:
    """Name a PyMC distribution and its arguments, exactly.

    Parameters
    ----------
    distribution : str
        Name of a univariate continuous distribution of PyMC.
    source : str
        Where it comes from, such as ``"Upton 2004, table 2"``; listed with the prior.
    **arguments : float
        Its arguments, by PyMC's names.

    Raises
    ------
    ModelError
        If PyMC has no such distribution or it refuses the arguments.

    Examples
    --------
    >>> Prior("Gamma", alpha=2, beta=1)
    Gamma(alpha=2, beta=1)
    """

    distribution: str
    arguments: tuple[tuple[str, float], ...]
    """Names and values, in the order of the names: how they were written does not matter."""
    source: str

    def __init__(self, distribution: str, /, *, source: str = "", **arguments: float) -> None:
        _check_distribution(distribution, arguments)
        numbers = {
            name: finite_number(value, f"Prior {distribution!r}: {name}")
            for name, value in sorted(arguments.items())
        }
        object.__setattr__(self, "distribution", distribution)
        object.__setattr__(self, "arguments", tuple(numbers.items()))
        object.__setattr__(self, "source", source_text(source, f"Prior {distribution!r}"))
        _check_arguments(distribution, self.arguments)

    @property
    def keywords(self) -> dict[str, float]:
        """The arguments as keywords for PyMC."""
        return dict(self.arguments)

    @property
    def positive(self) -> bool:
        """Whether every value it allows is at least zero."""
        return self.support[0] >= 0

    @property
    def support(self) -> tuple[float, float]:
        """The bounds of the values it allows."""
        distribution, arguments = getattr(pm, self.distribution), self.keywords
        if issubclass(distribution, UnitContinuous):
            return 0.0, 1.0
        if issubclass(distribution, PositiveContinuous):
            return 0.0, math.inf
        if self.distribution == "Pareto":
            return arguments["m"], math.inf
        lower, upper = _BOUNDS.get(self.distribution, (-math.inf, math.inf))
        return arguments.get("lower", lower), arguments.get("upper", upper)

    @property
    def start(self) -> float | None:
        """Where the number it came from lies: the median or mean; None leaves it to PyMC."""
        arguments = self.keywords
        if self.distribution == "LogNormal" and "mu" in arguments:
            return math.exp(arguments["mu"])
        if self.distribution == "HalfNormal" and "sigma" in arguments:
            return arguments["sigma"] * math.sqrt(2 / math.pi)
        return None

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={value:g}" for name, value in self.arguments)
        return f"{self.distribution}({inside})"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that :func:`prior_from_dict` reads back."""
        return {"prior": self.distribution, **self.keywords, **source_entry(self.source)}


@dataclass(frozen=True, slots=True)
class Fixed:
    """State a value that is known and not estimated.

    Parameters
    ----------
    value : float
        The value, on the natural scale of the parameter.
    source : str
        Where it comes from.
    """

    value: float
    source: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", finite_number(self.value, "bn.fixed"))
        source_text(self.source, "bn.fixed")

    def __repr__(self) -> str:
        return f"{self.value:g} (fixed)"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that :func:`prior_from_dict` reads back."""
        return {"fixed": self.value, **source_entry(self.source)}


def relative_error(rse: object, what: str) -> float:
    """Take a relative standard error, a fraction; refuse what can only be meant in percent.

    Raises
    ------
    ModelError
        If it is not positive, or above 2.
    """
    value = finite_number(rse, f"{what}: rse")
    if value <= 0:
        raise ModelError(
            f"{what}: rse={value:g} must be a positive fraction, such as 0.2 for 20 %. What is "
            "known exactly is bn.fixed(value)."
        )
    if value > WIDEST_RSE:
        raise ModelError(
            f"{what}: rse={value:g} is a relative standard error of {100 * value:g} %. Write "
            f"rse={value / 100:g} for {value:g} %; a prior so wide is stated by bn.Prior."
        )
    return value


@dataclass(frozen=True, slots=True)
class Typical:
    """State a typical value with its relative standard error.

    Parameters
    ----------
    value : float
        Typical value, on the natural scale of the parameter.
    rse : float
        Relative standard error as a fraction: 0.5 is 50 %.
    source : str
        Where it comes from.
    """

    value: float
    rse: float
    source: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", finite_number(self.value, "bn.typical"))
        object.__setattr__(self, "rse", relative_error(self.rse, "bn.typical"))
        source_text(self.source, "bn.typical")

    def __repr__(self) -> str:
        return f"bn.typical({self.value:g}, rse={self.rse:g})"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that :func:`prior_from_dict` reads back."""
        return {"typical": self.value, "rse": self.rse, **source_entry(self.source)}


@dataclass(frozen=True, slots=True)
class LKJ:
    """The LKJ prior of a correlation matrix [Lewandowski2009].

    Parameters
    ----------
    shape : float
        1 is flat over correlation matrices; larger values lean to no correlation.
    """

    shape: float

    def __repr__(self) -> str:
        return f"LKJ({self.shape:g})"


type Stated = float | Prior | Fixed | Typical
"""What a user may write where the model needs a prior."""


def typical(value: float, *, rse: float, source: str = "") -> Typical:
    """State a typical value with its relative standard error.

    On a log-normal parameter this is a log-normal prior with median ``value`` and coefficient of
    variation ``rse``; on a normal one a normal prior with SD ``|value| * rse``. ``source`` says
    where it comes from, and is listed with the prior.

    Examples
    --------
    >>> typical(1.5, rse=0.5)
    bn.typical(1.5, rse=0.5)
    """
    return Typical(value, rse, source)


def fixed(value: float, *, source: str = "") -> Fixed:
    """State a value that is known and not estimated; ``source`` says where it comes from.

    Examples
    --------
    >>> fixed(0.75)
    0.75 (fixed)
    """
    return Fixed(value, source)


def stated(value: object, what: str) -> Stated:
    """Accept what a user wrote for ``what``: a number, a prior record or a PreliZ distribution."""
    if isinstance(value, Prior | Fixed | Typical):
        return value
    if type(value).__module__.split(".")[0] == "preliz":
        return _from_preliz(value)
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ModelError(
            f"{what}: {value!r} is neither a number nor a prior. Give a number (an expectation), "
            "bn.typical(value, rse=...), bn.fixed(value) or bn.Prior(name, ...)."
        )
    return finite_number(value, what)


def standard_deviation_prior(value: Stated, what: str) -> Prior | Fixed:
    """Turn what was stated for a standard deviation into its prior: a number is its mean."""
    if isinstance(value, Prior):
        return _require_positive(value, what)
    if isinstance(value, Typical):
        raise ModelError(
            f"{what}: bn.typical() is for typical values. Give a number (the prior's mean), "
            "bn.fixed(value) or bn.Prior(name, ...)."
        )
    number = value.value if isinstance(value, Fixed) else value
    if number <= 0:
        raise ModelError(f"{what}: a standard deviation must be positive, not {number:g}.")
    if isinstance(value, Fixed):
        return value
    return Prior("HalfNormal", sigma=rounded(value * math.sqrt(math.pi / 2)))


def positive_prior(value: Stated, what: str) -> Prior | Fixed:
    """Turn what was stated for a positive typical value into its prior."""
    if isinstance(value, Prior):
        return _require_positive(value, what)
    number = value if isinstance(value, float) else value.value
    if number <= 0:
        raise ModelError(f"{what}: a log-normal parameter is positive, not {number:g}.")
    if isinstance(value, Fixed):
        return value
    sd = math.sqrt(math.log1p(value.rse**2)) if isinstance(value, Typical) else DEFAULT_LOG_SD
    source = value.source if isinstance(value, Typical) else ""
    return Prior("LogNormal", mu=rounded(math.log(number)), sigma=rounded(sd), source=source)


def real_prior(value: Stated, iiv: float, what: str) -> Prior | Fixed:
    """Turn what was stated for a typical value on the real line into its prior."""
    if isinstance(value, Prior | Fixed):
        return value
    if isinstance(value, Typical):
        centre, sd = value.value, abs(value.value) * value.rse
    else:
        centre, sd = value, abs(value) + 2.5 * iiv
    if sd <= 0:
        raise ModelError(
            f"{what}: a typical value of 0 says nothing about its scale. "
            "Give bn.Prior('Normal', mu=0, sigma=...)."
        )
    return Prior("Normal", mu=centre, sigma=rounded(sd))


def prior_to_value(value: Stated) -> Any:
    """Return what was stated as plain TOML values."""
    return value if isinstance(value, float | int) else value.to_dict()


def prior_from_value(value: Any, what: str) -> Any:
    """Read back what :func:`prior_to_value` wrote, or what a user wrote in TOML."""
    if not isinstance(value, Mapping):
        return value
    entries = dict(value)
    if "prior" in entries:
        return Prior(entries.pop("prior"), **entries)
    source = entries.pop("source", "")
    if set(entries) == {"fixed"}:
        return Fixed(entries["fixed"], source)
    if set(entries) == {"typical", "rse"}:
        return Typical(entries["typical"], entries["rse"], source)
    raise ModelError(
        f"{what}: {entries!r} is no prior. Write a number, {{fixed = x}}, "
        '{typical = x, rse = y} or {prior = "Gamma", alpha = 2, beta = 1}.'
    )


def finite_number(value: object, what: str) -> float:
    """Return a finite number as a float, so that 70 and 70.0 are one model with one hash."""
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise ModelError(f"{what}: {value!r} is not a finite number.")
    return float(value) + 0.0  # -0.0 becomes 0.0


def source_text(source: object, what: str) -> str:
    """Accept where a value comes from: text on one line."""
    if not isinstance(source, str) or not source.isprintable():
        raise ModelError(f"{what}: source={source!r} must be text on one line.")
    return source


def source_entry(source: str) -> dict[str, str]:
    """Return the entry of a file that says where a value comes from, if that was said."""
    return {"source": source} if source else {}


def _check_distribution(name: str, arguments: Mapping[str, object]) -> None:
    """Refuse an unknown distribution or argument; PyMC lets some unknown arguments pass."""
    known = _distributions()
    if name not in known:
        raise ModelError(f"PyMC has no distribution {name!r}. {did_you_mean(str(name), known)}")
    taken = [
        each.name
        for each in inspect.signature(getattr(pm, name).dist).parameters.values()
        if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    ]
    for argument in arguments:
        if argument not in taken:
            near = did_you_mean(argument, taken)
            raise ModelError(f"Prior {name!r} takes no argument {argument!r}. {near}")


@cache
def _check_arguments(name: str, arguments: tuple[tuple[str, float], ...]) -> None:
    """Let PyMC judge the values; the defaults of this package it need not."""
    given = dict(arguments)
    if name in _PLAIN and set(given) <= {"mu", "sigma"} and given.get("sigma", 1.0) > 0:
        return
    try:
        pm.logp(getattr(pm, name).dist(**given), 0.5).eval(mode="FAST_COMPILE")
    except (TypeError, ValueError, NotImplementedError) as problem:
        raise ModelError(f"Prior {name!r} {given}: PyMC refuses it: {problem}") from problem


_PLAIN = ("Normal", "LogNormal", "HalfNormal")
_BOUNDS = {"Uniform": (0.0, 1.0), "Triangular": (0.0, 1.0)}
"""What PyMC takes where ``lower`` and ``upper`` are left out."""


@cache
def _distributions() -> list[str]:
    continuous = pm.distributions.Continuous
    return sorted(
        name
        for name in pm.distributions.__all__
        if isinstance(cls := getattr(pm.distributions, name), type)
        and issubclass(cls, continuous)
        and name not in _NOT_UNIVARIATE
    )


_NOT_UNIVARIATE = {
    "Continuous", "CAR", "ICAR", "Dirichlet", "KroneckerNormal", "LKJCorr", "LKJCholeskyCov",
    "MatrixNormal", "MvNormal", "MvStudentT", "StickBreakingWeights", "Wishart", "WishartBartlett",
    "ZeroSumNormal", "DirichletMultinomial", "Flat", "HalfFlat", "AR", "GARCH11", "EulerMaruyama",
    "GaussianRandomWalk", "MvGaussianRandomWalk", "MvStudentTRandomWalk", "Simulator", "PolyaGamma",
    "Interpolated", "Lognormal",
}  # fmt: skip


def _require_positive(prior: Prior, what: str) -> Prior:
    if not prior.positive:
        raise ModelError(
            f"{what} is positive, but {prior!r} allows negative values. Use a prior on the "
            "positive numbers, such as LogNormal, Gamma or HalfNormal."
        )
    return prior


def _from_preliz(value: Any) -> Prior:
    name = type(value).__name__
    names, numbers = value.param_names, value.params
    arguments = {n: x for n, x in zip(names, numbers, strict=True) if x is not None}
    if not arguments:
        raise ModelError(f"The PreliZ distribution {name} has no values yet. Fit or state them.")
    taken: dict[str, Any] = {n: float(x) for n, x in arguments.items()}
    return Prior(name, **taken)


def rounded(value: float) -> float:
    """Keep twelve significant digits, so that a default reads and hashes the same everywhere."""
    return float(f"{value:.12g}")
