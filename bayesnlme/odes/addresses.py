"""Addresses in compiled code: one further on, and numbers as addresses."""

from collections.abc import Sequence
from typing import Any

from bayesnlme.odes.machine import INTEGER, REAL, ir, operation


@operation(None, int)
def shift(builder: Any, arguments: Sequence[Any]) -> Any:
    """Return the address so many numbers further on."""
    return builder.gep(arguments[0], [arguments[1]])


@operation(int)
def reals(builder: Any, arguments: Sequence[Any]) -> Any:
    """Return a number as the address of real numbers."""
    return builder.inttoptr(arguments[0], ir.PointerType(REAL))


@operation(int)
def integers(builder: Any, arguments: Sequence[Any]) -> Any:
    """Return a number as the address of integers."""
    return builder.inttoptr(arguments[0], ir.PointerType(INTEGER))
