"""How the solver is compiled: one set of options for every function of the kernel."""

from collections.abc import Callable
from typing import Any

import llvmlite.ir  # type: ignore[import-untyped]
import numba
import numba.core.cgutils
import numba.extending

OPTIONS: dict[str, Any] = {
    "error_model": "numpy",  # 1/0 is inf, as in array code
    "fastmath": False,  # the same bits from a cold and a warm cache
}
"""Options of a function that Python calls."""

_PART: dict[str, Any] = OPTIONS | {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}

njit: Callable[..., Any] = numba.njit(**_PART)
"""Compile a part of the kernel, called from compiled code alone."""

# numba and llvmlite ship no complete types
ir: Any = llvmlite.ir
types: Any = numba.types
cgutils: Any = numba.core.cgutils
intrinsic: Any = numba.extending.intrinsic
overload: Any = numba.extending.overload
