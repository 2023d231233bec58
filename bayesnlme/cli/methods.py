"""The estimators as users of the field name them, and the options that each takes here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

_SEARCH = ("starts", "priors")


class MethodName(StrEnum):
    """What ``--method`` takes."""

    NUTS = "nuts"
    VARIATIONAL = "variational"
    FO = "fo"
    FOCE = "foce"
    FOCEI = "focei"
    LAPLACE = "laplace"
    QUADRATURE = "quadrature"
    SAEM = "saem"
    MODE = "mode"


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimator:
    """An estimator on the command line.

    Attributes
    ----------
    called : str
        Its name as a public class.
    options : tuple of str
        Options of the class that the command line has.
    settings : mapping
        Options that its name settles.
    """

    called: str
    options: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)


ESTIMATORS = {
    MethodName.NUTS: Estimator(
        called="NUTS",
        options=("draws", "tune", "chains", "target_accept", "cores", "parametrization", "start"),
    ),
    MethodName.VARIATIONAL: Estimator(called="Variational", options=("draws", "points")),
    MethodName.FO: Estimator(called="FO", options=_SEARCH),
    MethodName.FOCE: Estimator(called="FOCE", options=_SEARCH, settings={"interaction": False}),
    MethodName.FOCEI: Estimator(called="FOCE", options=_SEARCH, settings={"interaction": True}),
    MethodName.LAPLACE: Estimator(called="Laplace", options=_SEARCH),
    MethodName.QUADRATURE: Estimator(called="Quadrature", options=("points", *_SEARCH)),
    MethodName.SAEM: Estimator(called="SAEM", options=("burn_in", "smoothing", "chains", "priors")),
    MethodName.MODE: Estimator(called="Mode"),
}


def foreign(name: MethodName, given: Mapping[str, Any]) -> str:
    """Say which of the options that were given the method has not; empty where it has all.

    Examples
    --------
    >>> foreign(MethodName.MODE, {"draws": 10})
    '--draws is an option of nuts, variational; mode has no options.'
    """
    known = ESTIMATORS[name].options
    for option in given:
        if option not in known:
            owners = [each for each, its in ESTIMATORS.items() if option in its.options]
            mine = f"has {', '.join(map(flag, known))}" if known else "has no options"
            return f"{flag(option)} is an option of {', '.join(owners)}; {name} {mine}."
    return ""


def flag(option: str) -> str:
    """Write an option as on the command line.

    Examples
    --------
    >>> flag("target_accept")
    '--target-accept'
    """
    return f"--{option.replace('_', '-')}"
