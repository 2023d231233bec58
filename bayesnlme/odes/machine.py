"""The language of the loop over subjects: a typed subset of Python, for `bayesnlme.odes.compiler`.

Numbers, truth values, addresses of reals and of integers, assignments, ``if``, ``while``, ``for``
over ranges, calls. Arguments and results are typed by their annotations; a variable has the type
that it is first given. Arithmetic is that of numpy: a division by zero is infinite.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

import llvmlite.ir  # type: ignore[import-untyped]

ir: Any = llvmlite.ir


class Reals:
    """The address of real numbers."""

    def __getitem__(self, index: int) -> float:
        """Read a number."""
        raise NotImplementedError("for compiled code only")

    def __setitem__(self, index: int, value: float) -> None:
        """Write a number."""
        raise NotImplementedError("for compiled code only")


class Integers:
    """The address of integers."""

    def __getitem__(self, index: int) -> int:
        """Read a number."""
        raise NotImplementedError("for compiled code only")

    def __setitem__(self, index: int, value: int) -> None:
        """Write a number."""
        raise NotImplementedError("for compiled code only")


REAL, INTEGER, TRUTH = ir.DoubleType(), ir.IntType(64), ir.IntType(1)
_TYPES = {
    float: REAL,
    int: INTEGER,
    bool: TRUTH,
    Reals: ir.PointerType(REAL),
    Integers: ir.PointerType(INTEGER),
    None: ir.VoidType(),
    type(None): ir.VoidType(),
}


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """Something that is written into the code wherever it is called.

    Attributes
    ----------
    write : callable
        ``(builder, arguments)`` writes the instructions and returns the result, if any.
    arguments : tuple
        Types of the arguments, None where the type does not matter.
    """

    write: Callable[[Any, Sequence[Any]], Any]
    arguments: tuple[Any, ...]

    def __call__(self, *arguments: Any) -> Any:
        """Stand for the call in compiled code."""
        raise NotImplementedError("for compiled code only")


@dataclass(slots=True, eq=False)
class Routine:
    """A function of the subset; calls to it are calls in machine code."""

    function: Callable[..., Any]
    name: str = field(init=False)

    def __post_init__(self) -> None:
        self.name = f"{self.function.__module__}.{self.function.__qualname__}"

    def __call__(self, *arguments: Any) -> Any:
        """Stand for the call in compiled code."""
        raise NotImplementedError("for compiled code only")

    @property
    def kind(self) -> Any:
        """The type of the function in LLVM."""
        said = inspect.get_annotations(self.function)
        result = type_of(said.pop("return"))
        return ir.FunctionType(result, [type_of(each) for each in said.values()])


def routine[F: Callable[..., Any]](function: F) -> F:
    """Mark a function as one of the subset, to be compiled where it is used."""
    return Routine(function)  # type: ignore[return-value]


def operation(*arguments: Any) -> Callable[[Callable[[Any, Sequence[Any]], Any]], Operation]:
    """Make an `Operation` of a function that writes instructions."""
    return lambda write: Operation(
        write, tuple(None if t is None else type_of(t) for t in arguments)
    )


def type_of(annotation: Any) -> Any:
    """Return the type in LLVM of what an annotation says."""
    parts = get_args(annotation)
    if parts:
        return ir.LiteralStructType([type_of(each) for each in parts])
    return _TYPES[annotation]
