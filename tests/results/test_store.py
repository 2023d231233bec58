"""Fits on disk."""

from dataclasses import replace

import h5py
import numpy as np
import pandas as pd
import pytest

import bayesnlme as bn


@pytest.fixture(scope="module")
def stored(fit, tmp_path_factory):
    return fit.save(tmp_path_factory.mktemp("fits") / "theophylline.nc")


def test_round_trip(fit, stored):
    again = bn.load(stored)
    assert again.model == fit.model
    assert again.data.hash == fit.data.hash
    assert (again.seed, again.status, dict(again.method)) == (
        fit.seed,
        fit.status,
        dict(fit.method),
    )
    assert dict(again.provenance) == dict(fit.provenance)
    for group, node in fit.tree.children.items():
        for name, array in node.to_dataset().data_vars.items():
            np.testing.assert_array_equal(again.tree[group][name].values, array.values)
    assert repr(again) == repr(fit)


def test_a_fit_of_equations_loads_without_its_functions(ode_fit, tmp_path):
    again = bn.load(ode_fit.save(tmp_path / "ode.nc"))
    assert again.model == ode_fit.model
    assert again.model.structure.key == ode_fit.model.structure.key


def test_a_changed_number_is_noticed(stored, tmp_path):
    copy = tmp_path / "changed.nc"
    copy.write_bytes(stored.read_bytes())
    with h5py.File(copy, "r+") as file:
        file["posterior"]["ka_pop"][0, 0] += 1e-9
    with pytest.raises(bn.StoreError, match="fingerprint"):
        bn.load(copy)


def test_a_truncated_file_is_refused(stored, tmp_path):
    copy = tmp_path / "short.nc"
    copy.write_bytes(stored.read_bytes()[:5000])
    with pytest.raises(bn.StoreError, match="not a bayesnlme fit"):
        bn.load(copy)


def test_other_files_are_refused(tmp_path):
    text = tmp_path / "fit.nc"
    text.write_text("nothing of the kind")
    with pytest.raises(bn.StoreError):
        bn.load(text)
    with pytest.raises(bn.StoreError, match=r"absent\.nc: there is no such file"):
        bn.load(tmp_path / "absent.nc")
    with pytest.raises(bn.StoreError, match="this is a folder"):
        bn.load(tmp_path)
    with pytest.raises(bn.StoreError, match="3 is no path"):
        bn.load(3)


def test_a_table_that_is_not_the_fitted_one_is_refused(fit, tmp_path):
    other = replace(fit, data=fit.data.subset(subjects=fit.data.subjects[:-1]))
    with pytest.raises(bn.StoreError, match="not the one that was fitted"):
        bn.load(other.save(tmp_path / "other.nc"))


def test_labels_that_look_like_holes_survive(fit, tmp_path):
    frame = pd.DataFrame(
        {
            "ID": ["NA", "NA", "", ""],
            "TIME": [0.0, 1.0, 0.0, 1.0],
            "DV": [1.5, 2.5, 1.0, -7.0],
            "SEX": ["NA", "NA", ".", "-7"],
        }
    )
    data = bn.read_data(frame, missing=["-7"])
    data = replace(data, outputs=(".",))
    again = _stored_with(fit, data, tmp_path)
    assert again.subjects == ("NA", "")
    assert again.outputs == (".",)
    assert again.covariates["SEX"].values.tolist() == ["NA", "NA", ".", None]


def test_a_part_of_a_table_survives_with_its_rows_and_kinds(fit, tmp_path):
    frame = pd.DataFrame(
        {
            "ID": [1, 1, 2, 2],
            "TIME": [0.0, 0.0, 0.0, 1.0],
            "DV": [5.0, 5.0, 3.0, 9.0],
            "DVID": [1, 1, 2, 1],
            "LEVEL": ["x", "x", "1", "1"],
            "REPLICATE": [1, 2, 1, 1],
        }
    )
    named = {1: "pca", 2: "conc"}
    data = bn.read_data(frame, outputs=named, covariates=["LEVEL"], units={"pca": "%"})
    again = _stored_with(fit, data, tmp_path)
    assert again.outputs == ("pca", "conc")
    assert again.findings == data.findings
    part = data.subset(subjects=[2])
    again = _stored_with(fit, part, tmp_path)
    assert again.covariates["LEVEL"].levels == ("1",)
    assert again.observations.row.tolist() == [3, 4]
    assert dict(again.units) == {"pca": "%"}


def _stored_with(fit, data, folder):
    stored = replace(fit, data=data, provenance={**fit.provenance, "data_hash": data.hash})
    again = bn.load(stored.save(folder / "fit.nc")).data
    assert again.hash == data.hash
    assert repr(again) == repr(data)
    return again


def test_saving_leaves_no_half_written_file(fit, tmp_path, monkeypatch):
    target = tmp_path / "fit.nc"
    target.write_text("old")

    def fail(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(type(fit.tree), "to_netcdf", fail)
    with pytest.raises(bn.StoreError, match="disk full"):
        fit.save(target)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]
