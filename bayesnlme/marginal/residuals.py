"""Predictions and residuals of the observations at the modes of the random effects."""

import numpy as np
import xarray as xr

from bayesnlme import names
from bayesnlme._types import Floats
from bayesnlme.errors import ModelError
from bayesnlme.marginal.conditional import Conditional, Normals


def residuals(conditional: Conditional, theta: Floats, z: Floats) -> xr.Dataset:
    r"""Return predictions and residuals, dim ``observation``.

    Parameters
    ----------
    conditional : Conditional
        Densities, with interaction.
    theta : array, shape (parameter,)
        Population parameters.
    z : array, shape (subject, effect)
        Modes of the random effects.

    Returns
    -------
    Dataset
        ``PRED`` and ``IPRED``, the prediction without random effects and with them. Where all
        outcomes are normal and none is censored, with c the centre of the observations and v their
        variance, also ``RES`` :math:`y - c(0)`, ``IRES`` :math:`y - c(z)`, ``IWRES``
        :math:`(y - c(z)) / \sqrt{v(z)}`, and, decorrelated by the Cholesky factor of the covariance
        of the model linear in the effects, ``WRES`` around 0 and ``CWRES`` around the modes
        [Hooker2007]_; those of log y where the error is log-normal.
    """
    without, within = (
        conditional.individual(theta, each)[names.PREDICTION].values
        for each in (np.zeros_like(z), z)
    )
    found = {"PRED": without, "IPRED": within}
    try:
        typical, individual = (conditional.normals(theta, each) for each in (np.zeros_like(z), z))
    except ModelError:
        return _labelled(found)
    y = conditional.normal_values
    found["RES"], found["IRES"] = y - typical.centre, y - individual.centre
    found["IWRES"] = found["IRES"] / np.sqrt(individual.variance)
    found["WRES"] = _decorrelated(conditional, typical, np.zeros_like(z))
    found["CWRES"] = _decorrelated(conditional, individual, z)
    return _labelled(found)


def _decorrelated(conditional: Conditional, normals: Normals, z: Floats) -> Floats:
    subject = conditional.population.data.observations.subject
    expected = normals.centre - np.einsum("dj,jd->j", normals.centre_by_z, z[subject])
    residual = conditional.normal_values - expected
    found = np.full(residual.size, np.nan)
    for i in range(conditional.n_subjects):
        at = np.flatnonzero(subject == i)
        slopes = normals.centre_by_z[:, at]
        covariance = slopes.T @ slopes + np.diag(normals.variance[at])
        if np.isfinite(covariance).all():
            found[at] = np.linalg.solve(np.linalg.cholesky(covariance), residual[at])
    return found


def _labelled(found: dict[str, Floats]) -> xr.Dataset:
    (count,) = found["PRED"].shape
    coords = {names.OBSERVATION: np.arange(count)}
    return xr.Dataset({k: (names.OBSERVATION, v) for k, v in found.items()}, coords)
