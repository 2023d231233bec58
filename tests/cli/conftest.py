"""A fit made by hand, so that no command has to sample."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from bayesnlme.cli import fitting, reporting
from bayesnlme.cli.app import app
from bayesnlme.data.datasets import theophylline
from bayesnlme.model.examples import theophylline_model
from bayesnlme.model.matching import match
from bayesnlme.model.toml import write_model
from bayesnlme.results.fit import Fit
from bayesnlme.results.status import Status


@pytest.fixture
def run():
    def invoke(*arguments):
        return CliRunner().invoke(app, [str(each) for each in arguments])

    return invoke


@pytest.fixture(scope="session")
def made_fit():
    """Make a converged fit of theophylline, its draws noise around plausible values."""
    model = theophylline_model()
    data = match(model, theophylline())
    return Fit(
        model=model,
        data=data,
        method={"name": "NUTS", "draws": 200, "chains": 4},
        seed=1,
        status=Status.CONVERGED,
        tree=xr.DataTree.from_dict({"posterior": _posterior(data), "sample_stats": _stats()}),
        provenance={
            "model_hash": model.hash,
            "data_hash": data.hash,
            "seconds": {"compile": 1.0, "sample": 2.0},
        },
    )


def _posterior(data):
    rng = np.random.default_rng(3)
    effects = ["ka", "CL", "V"]
    sizes = {"chain": 4, "draw": 200}
    places = {"subject": list(data.subjects), "effect": effects, "effect_bis": effects}

    def around(value, *dims):
        shape = [*sizes.values(), *(len(places[dim]) for dim in dims)]
        return (*sizes, *dims), value * np.exp(rng.normal(0, 0.05, shape))

    names = {"ka_pop": 1.5, "CL_pop": 2.8, "V_pop": 32.0}
    names |= {"conc_additive": 0.3, "conc_proportional": 0.1}
    variables = {name: around(value) for name, value in names.items()}
    variables |= {name: around(1.0, "subject") for name in effects}
    variables["omega"] = around(0.3, "effect")
    variables["omega_corr"] = around(0.5, "effect", "effect_bis")
    return xr.Dataset(variables, coords=places)


def _stats():
    rng = np.random.default_rng(4)
    shape = (4, 200)
    stats = {name: np.zeros(shape, dtype=bool) for name in ("diverging", "failed")}
    stats["maxdepth_reached"] = np.zeros(shape, dtype=bool)
    stats["energy"] = rng.normal(size=shape)
    return xr.Dataset({name: (("chain", "draw"), each) for name, each in stats.items()})


@pytest.fixture
def calls(monkeypatch, made_fit):
    """Replace fit and report; the list of what they were asked, and the status to answer with."""
    asked = Calls()

    def fit(model, data, *, method, seed):
        asked.append({"model": model, "data": data, "method": method, "seed": seed})
        if isinstance(asked.answer, BaseException):
            raise asked.answer
        return replace(asked.made or made_fit, status=asked.answer)

    def report(found, page):
        page.write_text(f"<p>{found.verdict}</p>")
        return page

    monkeypatch.setattr(fitting, "fit", fit)
    monkeypatch.setattr(fitting, "report", report)
    monkeypatch.setattr(reporting, "report", report)
    return asked


class Calls(list):
    answer, made = Status.CONVERGED, None


@pytest.fixture
def files(tmp_path):
    """Write a model and its table to disk."""
    model, table = tmp_path / "theo.toml", tmp_path / "theo.csv"
    model.write_text(write_model(theophylline_model(), {"units": dict(theophylline().units)}))
    theophylline().to_frame().to_csv(table, index=False, na_rep=".")
    return model, table
