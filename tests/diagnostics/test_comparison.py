import warnings
from dataclasses import replace

import arviz as az
import numpy as np
import pytest
import xarray as xr

from bayesnlme.diagnostics.comparison import ConvergenceWarning, joint_log_likelihood, loo
from bayesnlme.errors import FitError
from bayesnlme.results.status import Status


def quiet(function, *given, **options):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Estimated shape parameter")
        return function(*given, **options)


def test_is_arviz_loo_of_the_only_output(fit):
    ours, theirs = quiet(loo, fit), quiet(az.loo, fit.tree, var_name="conc", pointwise=True)
    assert ours.elpd == pytest.approx(theirs.elpd, rel=1e-12)
    assert ours.se == pytest.approx(theirs.se, rel=1e-12)
    np.testing.assert_allclose(ours.pareto_k.values, theirs.pareto_k.values)


def test_joins_all_outputs_in_the_order_of_the_table(fit):
    whole = fit.tree["log_likelihood"]["conc"]
    places = {"conc": np.arange(0, 12, 2), "effect": np.arange(1, 12, 2)}
    parts = {
        name: whole.isel(observation=where)
        .rename(observation=f"{name}_observation")
        .assign_coords({f"{name}_observation": where})
        for name, where in places.items()
    }
    tree = fit.tree.copy()
    tree["log_likelihood"] = xr.DataTree(xr.Dataset(parts))
    data = replace(fit.data, outputs=("conc", "effect"))
    joint = joint_log_likelihood(replace(fit, tree=tree, data=data))
    np.testing.assert_array_equal(joint.values, whole.values)
    np.testing.assert_array_equal(joint["observation"], np.arange(12))


def test_refuses_a_fit_without_likelihood(fit):
    tree = fit.tree.copy()
    del tree["log_likelihood"]
    with pytest.raises(FitError, match="LOO needs the log-likelihood"):
        loo(replace(fit, tree=tree))


def test_warns_of_a_fit_that_is_not_final(fit):
    with pytest.warns(ConvergenceWarning, match="not final"):
        quiet(loo, replace(fit, status=Status.INTERRUPTED))


def test_refuses_a_handful_of_draws(fit):
    few = xr.DataTree.from_dict(
        {name: fit.tree[name].to_dataset().isel(chain=[0], draw=slice(24))
         for name in ("posterior", "sample_stats", "log_likelihood")}
    )  # fmt: skip
    with pytest.raises(FitError, match="at least 25 draws, and the fit has 24"):
        quiet(loo, replace(fit, tree=few))
