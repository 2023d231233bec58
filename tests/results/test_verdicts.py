"""What is said of fits that are not the usual ones."""

import dataclasses

import numpy as np
import pytest
import xarray as xr

import bayesnlme as bn
from bayesnlme.results import summary
from bayesnlme.results.convergence import assess
from tests.conftest import frame


def test_an_interrupted_fit_never_reads_as_converged(fit):
    stopped = dataclasses.replace(fit, status=bn.Status.INTERRUPTED)
    assert stopped.verdict.startswith("INTERRUPTED: 4 chains of 300 draws, where 4 of 300")
    assert "Converged" not in stopped.verdict
    assert not stopped.converged


def test_without_estimated_population_parameters_the_table_is_empty(data):
    known = bn.Model(
        name="individual fits",
        parameters={
            "CL": bn.LogNormal(bn.fixed(2.8), iiv=bn.fixed(0.3)),
            "V": bn.LogNormal(bn.fixed(32.0)),
        },
        structure=bn.pk.one_compartment(),
        observations={"conc": bn.additive(bn.fixed(0.5))},
    )
    eta = xr.DataArray(np.zeros((2, 5, 12, 1)), dims=("chain", "draw", "subject", "effect"))
    table = summary.tabulate(known, xr.Dataset({"eta": eta}), data.units, 0.95)
    assert table.empty
    assert list(table)[:2] == ["mean", "sd"]


def test_parameters_by_interval_are_not_judged():
    """An individual parameter follows from what was sampled, by subject or by interval."""
    rng = np.random.default_rng(2)
    over, still = ("chain", "draw"), np.zeros((2, 400), dtype=bool)
    drawn = {"CL_pop": (over, rng.normal(size=(2, 400)))}
    stuck = {"CL": ((*over, "interval"), np.ones((2, 400, 3)))}
    names = ("diverging", "failed", "maxdepth_reached")
    stats = dict.fromkeys(names, (over, still)) | {"energy": (over, rng.normal(size=(2, 400)))}
    found = assess(xr.Dataset(drawn | stuck), xr.Dataset(stats))
    assert found == assess(xr.Dataset(drawn), xr.Dataset(stats))
    assert found.rhat_worst == "CL_pop"


def test_a_constant_likelihood_is_named(fit):
    tree = fit.tree.copy(deep=True)
    tree["log_likelihood"]["conc"].values[:, :, 3] = -1.0
    with pytest.raises(bn.FitError, match="observations 3 "):
        bn.loo(dataclasses.replace(fit, status=bn.Status.CONVERGED, tree=tree))


@pytest.mark.parametrize("given", [None, "theophylline.nc", 3])
def test_what_is_no_fit_is_refused(given, tmp_path):
    with pytest.raises(bn.FitError, match="needs a Fit"):
        bn.loo(given)
    with pytest.raises(bn.FitError, match="needs a Fit"):
        bn.report(given, tmp_path / "page.html")


def test_the_unit_of_an_additive_error_is_that_of_its_output(fit):
    assert fit.summary().loc["conc_additive", "unit"] == "mg/L"
    assert fit.summary().loc["conc_proportional", "unit"] == ""


def test_unused_occasions_are_said():
    model = bn.Model(
        name="occasions",
        parameters={"CL": bn.LogNormal(1.0, iiv=0.3), "V": bn.LogNormal(10.0)},
        structure=bn.pk.one_compartment(),
        observations={"conc": bn.additive(1.0)},
    )
    rows = [(1, 0, 1, 100, 1, np.nan, 1), (1, 1, 0, 0, 1, 9.0, 1), (1, 2, 0, 0, 1, 8.0, 2)]
    data = bn.read_data(frame(rows, "ID TIME EVID AMT CMT DV OCC"))
    assert "W_OCCASION_UNUSED" in {each.code for each in bn.check(model, data)}
