"""Fits on disk."""

import h5py
import numpy as np
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
    with pytest.raises(bn.StoreError):
        bn.load(tmp_path / "absent.nc")


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
