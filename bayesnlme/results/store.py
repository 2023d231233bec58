"""Fits on disk: one netCDF file that holds draws, model, table and their hashes.

Nothing in the file is code. The model is its TOML text, the rest numbers and JSON;
a file whose content does not match its own fingerprint is refused.
"""

import hashlib
import json
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from bayesnlme._files import write_whole
from bayesnlme.data import Dataset
from bayesnlme.data.archive import dump_data, parse_data
from bayesnlme.errors import BayesNLMEError, StoreError
from bayesnlme.model.toml import parse_model, write_model
from bayesnlme.results.status import Status

FORMAT = 2
_SOURCE = "bayesnlme"
_TEXTS = ("model", "table", "manifest")


def write(fit: Any, path: str | Path) -> Path:
    """Write a fit to one netCDF file; the file is complete or, if writing fails, not there.

    Parameters
    ----------
    fit : Fit
        What to write.
    path : str or Path
        Where to, usually ending in ``.nc``. An existing file is replaced.

    Returns
    -------
    Path
        The file.
    """
    tree = fit.tree.copy()
    tree[_SOURCE] = xr.DataTree(_texts(fit))
    return write_whole(path, lambda part: tree.to_netcdf(part, engine="h5netcdf"))


def read(path: str | Path) -> dict[str, Any]:
    """Read the fields of a fit that :func:`write` wrote.

    Raises
    ------
    StoreError
        If there is no such file, or it is not a fit, was written in another format, or was changed
        since.
    """
    _require_file(path)
    try:
        tree = xr.load_datatree(path, engine="h5netcdf")
        texts = {
            name: tree[_SOURCE].to_dataset()[name].values.tobytes().decode() for name in _TEXTS
        }
        manifest = json.loads(texts["manifest"])
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as problem:
        raise StoreError(f"{path}: not a bayesnlme fit, or damaged: {problem}") from problem
    if manifest.get("format") != FORMAT:
        raise StoreError(
            f"{path}: written in format {manifest.get('format')}, but this version reads {FORMAT}."
        )
    del tree[_SOURCE]
    if _fingerprint(tree, texts["model"], texts["table"]) != manifest["fingerprint"]:
        raise StoreError(f"{path}: the content does not match its fingerprint; it was changed.")
    return _restore(path, tree, texts, manifest)


def _restore(
    path: str | Path, tree: xr.DataTree, texts: dict[str, str], manifest: dict[str, Any]
) -> dict[str, Any]:
    try:
        model = parse_model(texts["model"])
        data = parse_data(texts["table"])
    except (BayesNLMEError, KeyError, ValueError, TypeError, IndexError) as problem:
        raise StoreError(f"{path}: cannot be restored: {problem}") from problem
    _require_same_data(path, data, manifest["provenance"])
    return {
        "model": model,
        "data": data,
        "method": manifest["method"],
        "seed": manifest["seed"],
        "status": Status(manifest["status"]),
        "tree": tree,
        "provenance": manifest["provenance"],
    }


def _texts(fit: Any) -> xr.Dataset:
    model, table = write_model(fit.model), dump_data(fit.data)
    manifest = {
        "format": FORMAT,
        "method": dict(fit.method),
        "seed": fit.seed,
        "status": str(fit.status),
        "provenance": dict(fit.provenance),
        "fingerprint": _fingerprint(fit.tree, model, table),
    }
    texts = {"model": model, "table": table, "manifest": json.dumps(manifest)}
    return xr.Dataset(
        {
            name: (f"{name}_byte", np.frombuffer(text.encode(), dtype=np.uint8))
            for name, text in texts.items()
        }
    )


def _require_file(path: str | Path) -> None:
    if not isinstance(path, str | PathLike):
        raise StoreError(f"{path!r} is no path of a file.")
    if Path(path).is_dir():
        raise StoreError(f"{path}: this is a folder. Give the path of a fit, ending in .nc.")
    if not Path(path).exists():
        raise StoreError(f"{path}: there is no such file. Check the path.")


def _require_same_data(path: str | Path, data: Dataset, provenance: dict[str, Any]) -> None:
    if data.hash != provenance.get("data_hash"):
        raise StoreError(
            f"{path}: the table in the file is not the one that was fitted (its hash differs from "
            "the data_hash of the provenance). Fit the table again."
        )


def _fingerprint(tree: xr.DataTree, *texts: str) -> str:
    """Hash every number of the tree, in a fixed order, with the texts."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode())
    for group, node in sorted(tree.children.items()):
        for name, array in sorted(node.to_dataset(inherit=False).variables.items()):
            digest.update(f"{group}/{name}/{array.dims}/{array.shape}".encode())
            digest.update(_bytes(array.values))
    return digest.hexdigest()


def _bytes(values: np.ndarray) -> bytes:
    if values.dtype.kind in "OUS":
        return "\x00".join(str(each) for each in values.flat).encode()
    kind = np.float64 if values.dtype.kind == "f" else np.int64
    return np.ascontiguousarray(values, dtype=kind).tobytes()
