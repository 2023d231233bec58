"""How well a fit would predict data it has not seen."""

import warnings

import arviz as az
import xarray as xr
from arviz import ELPDData

from bayesnlme import names
from bayesnlme.errors import FitError
from bayesnlme.results.fit import Fit

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
        If the fit has no log-likelihood.

    Warns
    -----
    ConvergenceWarning
        If the fit has not converged: the estimate is then as little to be trusted as the fit.
    """
    if _LIKELIHOOD not in fit.tree.children:
        raise FitError(
            "LOO needs the log-likelihood of every observation, which this fit's tree lacks. "
            "Fit again with bn.fit, which keeps it."
        )
    if not fit.converged:
        warnings.warn(
            f"LOO of a fit that is not final. {fit.verdict}", ConvergenceWarning, stacklevel=2
        )
    tree = {"posterior": fit.posterior, _LIKELIHOOD: joint_log_likelihood(fit).to_dataset()}
    return az.loo(xr.DataTree.from_dict(tree), var_name="observed", pointwise=True)


def joint_log_likelihood(fit: Fit) -> xr.DataArray:
    """Join the log-likelihoods of all outputs, dims (chain, draw, observation), in table order."""
    likelihoods = fit.tree[_LIKELIHOOD].to_dataset()
    parts = [
        likelihoods[output].rename(
            {names.observation_dim(output, fit.data.outputs): names.OBSERVATION}
        )
        for output in fit.data.outputs
    ]
    joint = xr.concat(parts, names.OBSERVATION) if len(parts) > 1 else parts[0]
    return joint.sortby(names.OBSERVATION).rename("observed")
