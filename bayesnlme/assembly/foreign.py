"""Code of operations that are not written in this package."""

import math
from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
from numba import types
from pytensor.graph.basic import Constant
from pytensor.link.numba.dispatch.basic import numba_funcify_and_cache_key
from pytensor.link.utils import compile_function_src

from bayesnlme.assembly.program import Foreign, Shape


def foreign_code(
    operation: Any, node: Any, inputs: Sequence[Shape], outputs: Sequence[Shape]
) -> Foreign:
    """Compile a C function around what PyTensor has for numba.

    Where that raises, no result is a number.
    """
    function, _ = numba_funcify_and_cache_key(operation, node=node)
    pointer: Any = types.CPointer
    scope: dict[str, Any] = {"function": function, "carray": numba.carray, "nan": math.nan}
    kinds, arrays = [], []
    for k, (variable, shape) in enumerate(zip(node.inputs, inputs, strict=True)):
        kind = stored = np.dtype(variable.type.dtype)
        array = f"carray(a{k}, shape{k})"
        if kind != np.float64 and not isinstance(variable, Constant):
            array, stored = f"{array}.astype(kind{k})", np.dtype(np.float64)
        scope |= {f"shape{k}": shape, f"kind{k}": kind}
        kinds.append(pointer(numba.from_dtype(stored)))
        arrays.append(array)
    sizes = [math.prod(shape) for shape in outputs]
    results = ", ".join(f"r{k}" for k in range(len(sizes)))
    lines = ["    try:", f"        {results} = function({', '.join(arrays)})"]
    for k, size in enumerate(sizes):
        lines += [f"        f{k} = r{k}.flat", *_filled(k, size, f"f{k}[i]")]
    lines += ["    except Exception:"]
    for k, size in enumerate(sizes):
        lines += _filled(k, size, "nan")
    arguments = [*(f"a{k}" for k in range(len(inputs))), *(f"b{k}" for k in range(len(sizes)))]
    source = "\n".join([f"def call({', '.join(arguments)}):", *lines])
    signature = types.void(*kinds, *[pointer(types.float64)] * len(sizes))
    compiled: Any = numba.cfunc(signature)(compile_function_src(source, "call", scope))
    return Foreign(address=compiled.address, keep=compiled)


def _filled(k: int, size: int, value: str) -> list[str]:
    return [f"        for i in range({size}):", f"            b{k}[i] = {value}"]
