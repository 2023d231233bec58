"""Priors of what outcomes need besides standard deviations: a number is an expectation.

==========================  ==============================================================
a number given as           becomes
==========================  ==============================================================
degrees of freedom x > 1    ``TruncatedNormal`` above 1 with mean x: x - 1 is the mean of a
                            half-normal above 1
an exponent x               ``Normal(x, 0.5)``
a dispersion x              ``HalfNormal`` with mean x
thresholds x1 < x2 < ...    the first ``Normal(x1, 2.5)``, on the logit scale; each increment d
                            ``LogNormal(log d, 1)``
==========================  ==============================================================
"""

import math

from bayesnlme.errors import ModelError
from bayesnlme.population.priors import Fixed, Prior, Stated, Typical

EXPONENT_SD = 0.5
THRESHOLD_SD = 2.5


def degrees_prior(value: Stated, what: str) -> Prior | Fixed:
    """Turn what was stated for degrees of freedom into its prior."""
    known = _known(value, what)
    if isinstance(known, Prior):
        return _require_positive(known, what)
    if isinstance(known, Fixed):
        if known.value <= 0:
            raise ModelError(f"{what}: degrees of freedom are positive, not {known.value:g}.")
        return known
    if known <= 1:
        raise ModelError(
            f"{what}: the default prior of degrees of freedom lies above 1, and so must its mean, "
            f"not {known:g}. State bn.fixed({known:g}) or a bn.Prior of your own."
        )
    spread = _round((known - 1) * math.sqrt(math.pi / 2))
    return Prior("TruncatedNormal", mu=1.0, sigma=spread, lower=1.0)


def exponent_prior(value: Stated, what: str) -> Prior | Fixed:
    """Turn what was stated for an exponent into its prior."""
    known = _known(value, what)
    if isinstance(known, Prior | Fixed):
        return known
    return Prior("Normal", mu=known, sigma=EXPONENT_SD)


def threshold_prior(value: float) -> Prior:
    """Turn the expected first threshold into its prior."""
    return Prior("Normal", mu=value, sigma=THRESHOLD_SD)


def increment_prior(value: float) -> Prior:
    """Turn the expected distance between two thresholds into its prior."""
    return Prior("LogNormal", mu=_round(math.log(value)), sigma=1.0)


def _known(value: Stated, what: str) -> Prior | Fixed | float:
    if isinstance(value, Typical):
        raise ModelError(
            f"{what}: bn.typical() is for typical values. Give a number (an expectation), "
            "bn.fixed(value) or bn.Prior(name, ...)."
        )
    return value


def _require_positive(prior: Prior, what: str) -> Prior:
    if not prior.positive:
        raise ModelError(f"{what} is positive, but {prior!r} allows negative values.")
    return prior


def _round(value: float) -> float:
    """Keep twelve significant digits, so that a default reads and hashes the same everywhere."""
    return float(f"{value:.12g}")
