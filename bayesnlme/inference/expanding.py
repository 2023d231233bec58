"""Draws of a flat vector as the variables of the model, with their dims."""

import ctypes

import numpy as np
import xarray as xr

from bayesnlme._types import Floats
from bayesnlme.inference.density import Density

_SIGNATURE = ctypes.CFUNCTYPE(
    ctypes.c_int64, ctypes.c_uint64, ctypes.c_uint64, *[ctypes.c_void_p] * 3
)


def expanded(density: Density, points: Floats) -> xr.Dataset:
    """Return all variables at draws, on their natural scales.

    Parameters
    ----------
    density : Density
        Compiled density.
    points : array, shape (draw, size)
        Draws of its flat vector.

    Returns
    -------
    Dataset
        Dims (chain, draw, ...), one chain.
    """
    model = density.model
    values = _all_values(density, points)
    natural = {each.name for each in model.free_RVs}
    shown = [*(each for each in density.free if each.name in natural), *density.other]
    variables = {}
    for each in shown:
        own = model.named_vars_to_dims.get(each.name) or tuple(
            f"{each.name}_dim_{k}" for k in range(len(each.shape))
        )
        array = values[:, each.where].reshape((1, len(points), *each.shape))
        variables[each.name] = (("chain", "draw", *own), array)
    used = {dim for dims, _ in variables.values() for dim in dims}
    coords = {k: list(v) for k, v in model.coords.items() if k in used and v is not None}
    counted = {"chain": np.arange(1), "draw": np.arange(len(points))}
    return xr.Dataset(variables, coords=counted | coords)


def _all_values(density: Density, points: Floats) -> Floats:
    function = _SIGNATURE(density.expand.address)
    last = (*density.free, *density.other)[-1].where.stop
    found, read = np.zeros((len(points), last)), density.data.ctypes.data
    for point, row in zip(np.ascontiguousarray(points), found, strict=True):
        function(point.size, last, point.ctypes.data, row.ctypes.data, read)
    return found
