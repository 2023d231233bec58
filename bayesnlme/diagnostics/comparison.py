"""How well a fit would predict data it has not seen."""

import warnings

import arviz as az
import xarray as xr
from arviz import ELPDData

from bayesnlme import names
from bayesnlme.errors import FitError
from bayesnlme.model.event_rows import risk_starts
from bayesnlme.results.fit import Fit, require_draws

FEWEST_DRAWS = 25

_LIKELIHOOD = "log_likelihood"


class ConvergenceWarning(UserWarning):
    """A number was computed from a fit that is not a final result."""


def loo(fit: Fit) -> ELPDData:
    """Estimate the expected log predictive density of leaving out one observation at a time.

    Pareto-smoothed importance sampling [Vehtari2017]_ on the draws, the observations of all
    outputs together. The likelihood is conditional on the subjects' random effects: the question
    answered is how well a further observation *of these subjects* would be predicted, not how well
    a new subject would be.

    Parameters
    ----------
    fit : Fit
        With ``log_likelihood`` in its tree.

    Returns
    -------
    arviz ELPDData
        ``elpd``, ``se`` and ``p`` (effective number of parameters) on the log scale; ``elpd_i``
        and ``pareto_k`` for each observation, dim ``observation``, in the order of the table. An
        estimate with ``pareto_k`` above ``good_k`` is not to be relied on.

    Raises
    ------
    FitError
        If the fit has no log-likelihood, or an observation's is the same in every draw, so that
        importance sampling has nothing to go by.

    Warns
    -----
    ConvergenceWarning
        If the fit has not converged: the estimate is then as little to be trusted as the fit.
    """
    require_draws(fit)
    if _LIKELIHOOD not in fit.tree.children:
        raise FitError(
            "LOO needs the log-likelihood of every observation, which this fit's tree lacks. "
            "Fit again with bn.fit, which keeps it."
        )
    if not fit.converged:
        warnings.warn(
            f"LOO of a fit that is not final. {fit.verdict}", ConvergenceWarning, stacklevel=2
        )
    likelihood = joint_log_likelihood(fit)
    _refuse_few(likelihood.sizes["chain"] * likelihood.sizes["draw"])
    _refuse_constant(likelihood)
    tree = {"posterior": fit.posterior, _LIKELIHOOD: likelihood.to_dataset()}
    return az.loo(xr.DataTree.from_dict(tree), var_name="observed", pointwise=True)


def _refuse_few(count: int) -> None:
    if count < FEWEST_DRAWS:
        raise FitError(
            f"LOO smooths the tail of the weights of at least {FEWEST_DRAWS} draws, and the fit "
            f"has {count}: draw more."
        )


def _refuse_constant(likelihood: xr.DataArray) -> None:
    constant = (likelihood == likelihood.isel(chain=0, draw=0)).all(("chain", "draw"))
    if constant.any():
        which = likelihood[names.OBSERVATION].values[constant.values]
        listed = ", ".join(str(each) for each in which[:10])
        raise FitError(
            f"LOO: the likelihood of observations {listed} (counted from 0) is the same in every "
            "draw, because neither their prediction nor their residual error was estimated. Leave "
            "them out with .subset(where=...), or estimate the residual error."
        )


def joint_log_likelihood(fit: Fit) -> xr.DataArray:
    """Join the log-likelihoods of all outputs, dims (chain, draw, observation), in table order.

    Rows that only say when the risk of an event starts have none and are left out.
    """
    likelihoods = fit.tree[_LIKELIHOOD].to_dataset()
    parts = [
        likelihoods[output].rename(
            {names.observation_dim(output, fit.data.outputs): names.OBSERVATION}
        )
        for output in fit.data.outputs
    ]
    joint = xr.concat(parts, names.OBSERVATION) if len(parts) > 1 else parts[0]
    joint = joint.sortby(names.OBSERVATION).rename("observed")
    silent = risk_starts(fit.data, fit.model.events)
    return joint.isel({names.OBSERVATION: ~silent}) if silent.any() else joint
