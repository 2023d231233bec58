r"""The likelihood-ratio test of nested models, with variances at the edge of what is possible.

Under the small model twice the difference of the log likelihoods follows :math:`\chi^2` with as
many degrees of freedom as parameters were dropped [Wilks1938]_, unless one of them is a variance,
which cannot be negative: then it follows a mixture of such distributions [Self1987]_,
[Stram1994]_. For one variance dropped, with c covariances and q other parameters,

.. math:: \tfrac12 \chi^2_{q + c} + \tfrac12 \chi^2_{q + c + 1};

for k of them without covariances :math:`\sum_j \binom{k}{j} 2^{-k} \chi^2_{q + j}`, if their
estimates are uncorrelated. For several with covariances the weights have no closed form, and
:math:`\chi^2_{q + c + k}` is an upper bound of the probability.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from bayesnlme.errors import FitError
from bayesnlme.names import LAYERS
from bayesnlme.results.fit import Fit, require_fit

type Mixture = tuple[tuple[int, float], ...]
"""Degrees of freedom and the weight of each."""

_LEAST = -1e-3
_NESTED_ERRORS = {("additive", "combined"), ("proportional", "combined")}


@dataclass(frozen=True, slots=True, kw_only=True)
class LikelihoodRatioTest:
    """The result of a likelihood-ratio test.

    Attributes
    ----------
    statistic : float
        Difference of the objective function values.
    dropped : tuple of str
        Estimates that the small model lacks.
    mixture : tuple
        Degrees of freedom of the reference distribution, each with its weight.
    p_value : float
        Probability of a larger statistic under the small model.
    is_bound : bool
        Whether the probability is an upper bound.
    """

    statistic: float
    dropped: tuple[str, ...]
    mixture: Mixture
    p_value: float
    is_bound: bool

    def __str__(self) -> str:
        reference = " + ".join(
            f"chi2({df})" if weight == 1 else f"{weight:g} chi2({df})"
            for df, weight in self.mixture
        )
        sign = "<=" if self.is_bound else "="
        return (
            f"Likelihood ratio {self.statistic:.3f} against {reference}: p {sign} "
            f"{self.p_value:.3g}. The small model lacks {', '.join(self.dropped)}."
        )


def likelihood_ratio_test(small: Fit, large: Fit) -> LikelihoodRatioTest:
    """Test whether a model may be reduced to one nested in it.

    Parameters
    ----------
    small, large : Fit
        Fits of one table by one method; the estimates of the small model are among those of the
        large one.

    Returns
    -------
    LikelihoodRatioTest
        With the mixture of chi-squares where a variance was dropped.

    Raises
    ------
    FitError
        If the fits differ in table or method, have not converged, have draws, count priors, or are
        not nested, or if the large model's likelihood is smaller.
    """
    for each in (small, large):
        require_fit(each)
        _require_maximum(each)
    if small.data.hash != large.data.hash:
        raise FitError("The two fits are of different tables: their likelihoods do not compare.")
    if small.likelihood.title != large.likelihood.title:
        raise FitError(
            f"One fit is by {small.likelihood.title}, the other by {large.likelihood.title}: "
            "different approximations of the likelihood do not compare."
        )
    dropped = _dropped(small, large)
    _require_same_shape(small, large)
    statistic = small.ofv - large.ofv
    if statistic < _LEAST - 3 * np.hypot(small.likelihood.ofv_error, large.likelihood.ofv_error):
        raise FitError(
            f"The large model's OFV is {-statistic:.3g} higher than the small one's: its search "
            "ended at a lower top. Fit it again with more starts."
        )
    mixture, is_bound = reference(*_counts(dropped, small))
    tail = [weight * _tail(max(statistic, 0.0), df) for df, weight in mixture]
    return LikelihoodRatioTest(
        statistic=statistic,
        dropped=dropped,
        mixture=mixture,
        p_value=float(sum(tail)),
        is_bound=is_bound,
    )


def reference(variances: int, correlations: int, others: int) -> tuple[Mixture, bool]:
    """Return the reference distribution, and whether it is a bound.

    Parameters
    ----------
    variances : int
        Variances that the small model sets to zero, of random effects or residual errors.
    correlations : int
        Correlations that it lacks.
    others : int
        Parameters that it sets to values inside of what is possible.
    """
    inside = correlations + others
    if variances == 0:
        return ((inside, 1.0),), False
    if variances > 1 and correlations:
        return ((inside + variances, 1.0),), True
    weights = stats.binom.pmf(np.arange(variances + 1), variances, 0.5)
    return tuple((inside + j, float(weight)) for j, weight in enumerate(weights)), False


def _counts(dropped: tuple[str, ...], small: Fit) -> tuple[int, int, int]:
    """Count what was dropped: variances set to zero, correlations, and the rest."""
    layers = {layer.names.sd: layer for layer in small.model.layers}
    correlations = [
        each for each in dropped if each.startswith(tuple(f"{a.corr}[" for a in LAYERS))
    ]
    zero = 0
    for each in set(dropped) - set(correlations):
        sd, _, rest = each.partition("[")
        if sd in {layer.sd for layer in LAYERS}:
            zero += sd not in layers or rest.rstrip("]") not in layers[sd].effects
        else:
            zero += _is_missing_error(each, small)
    return zero, len(correlations), len(dropped) - zero - len(correlations)


def _is_missing_error(name: str, small: Fit) -> bool:
    """Say whether an estimate is a part of the residual error that the small model lacks."""
    for output, outcome in small.model.observations.items():
        prefix = f"{output}_"
        magnitude = name.removeprefix(prefix)
        if name.startswith(prefix) and magnitude in {"additive", "proportional"}:
            return magnitude not in outcome.priors()
    return False


def _require_same_shape(small: Fit, large: Fit) -> None:
    """Refuse models that differ in more than parameters set to values."""
    one, other = small.model, large.model
    differing = []
    if one.structure.to_dict() != other.structure.to_dict():
        differing.append("the structure")
    for name, parameter in one.parameters.items():
        twin = other.parameters.get(name)
        if twin is None or twin.kind != parameter.kind:
            differing.append(f"the kind of {name}")
            continue
        known = {(each.covariate, type(each)) for each in twin.covariates}
        foreign = [e for e in parameter.covariates if (e.covariate, type(e)) not in known]
        differing += [f"the effect of {each.covariate} on {name}" for each in foreign]
    for output, outcome in one.observations.items():
        kinds = (outcome.kind, other.observations[output].kind)
        if kinds[0] != kinds[1] and kinds not in _NESTED_ERRORS:
            differing.append(f"the outcome of {output}")
    if differing:
        raise FitError(
            f"The models are not nested: {', '.join(differing)} differs. Write the small model as "
            "the large one with parameters left out, or set by bn.fixed."
        )


def _tail(statistic: float, df: int) -> float:
    return float(stats.chi2.sf(statistic, df)) if df else float(statistic <= 0)


def _dropped(small: Fit, large: Fit) -> tuple[str, ...]:
    few, many = small.estimates.index, large.estimates.index
    foreign = [each for each in few if each not in many]
    if foreign:
        raise FitError(
            f"The models are not nested: the small one estimates {', '.join(foreign)}, which the "
            "large one does not."
        )
    dropped = tuple(each for each in many if each not in few)
    if not dropped:
        raise FitError("Both models estimate the same: there is nothing to test.")
    return dropped


def _require_maximum(fit: Fit) -> None:
    if fit.has_draws:
        raise FitError(
            f"{fit.method['name']} samples a posterior; a likelihood-ratio test needs largest "
            "likelihoods, as bn.FOCE(), bn.Laplace(), bn.Quadrature() or bn.SAEM() give them."
        )
    if not fit.likelihood.maximised:
        raise FitError(
            f"{fit.method['name']} evaluates given estimates; a likelihood-ratio test needs "
            "largest likelihoods."
        )
    if not fit.converged:
        raise FitError(f"The fit of {fit.model.name} is not final. {fit.verdict}")
    if fit.method.get("priors"):
        raise FitError(f"The fit of {fit.model.name} counts priors: it is no largest likelihood.")
