"""Fits on disk: one netCDF file that holds draws, model, table and their hashes.

Nothing in the file is code. The model is its TOML text, the table a CSV, the rest numbers and JSON;
a file whose content does not match its own fingerprint is refused.
"""

import hashlib
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayesnlme._files import write_whole
from bayesnlme.data import Dataset, read_data
from bayesnlme.errors import BayesNLMEError, StoreError
from bayesnlme.model.toml import parse_model, write_model
from bayesnlme.results.status import Status

FORMAT = 1
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
        If the file is not a fit, was written in a newer format, or was changed since.
    """
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
        data = _read_table(texts["table"], manifest)
    except BayesNLMEError as problem:
        raise StoreError(f"{path}: cannot be restored: {problem}") from problem
    return {
        "model": model,
        "data": replace(data, source=manifest["source"]),
        "method": manifest["method"],
        "seed": manifest["seed"],
        "status": Status(manifest["status"]),
        "tree": tree,
        "provenance": manifest["provenance"],
    }


def _texts(fit: Any) -> xr.Dataset:
    model, table = write_model(fit.model), _write_table(fit.data)
    manifest = {
        "format": FORMAT,
        "method": dict(fit.method),
        "seed": fit.seed,
        "status": str(fit.status),
        "provenance": dict(fit.provenance),
        "units": dict(fit.data.units),
        "source": fit.data.source,
        "covariates": list(fit.data.covariates),
        "fingerprint": _fingerprint(fit.tree, model, table),
    }
    texts = {"model": model, "table": table, "manifest": json.dumps(manifest)}
    return xr.Dataset(
        {
            name: (f"{name}_byte", np.frombuffer(text.encode(), dtype=np.uint8))
            for name, text in texts.items()
        }
    )


def _write_table(data: Dataset) -> str:
    return data.to_frame().to_csv(index=False, na_rep=".")


def _read_table(text: str, manifest: dict[str, Any]) -> Dataset:
    frame = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    return read_data(frame, units=manifest["units"], covariates=manifest["covariates"])


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
