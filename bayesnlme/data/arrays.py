"""Frozen records whose fields are columns of equal length."""

from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

type Floats = NDArray[np.float64]
type Integers = NDArray[np.int64]
type Booleans = NDArray[np.bool_]
type Values = Floats | NDArray[np.object_]  # numbers, or text with None for holes


def frozen[Scalar: np.generic](array: NDArray[Scalar]) -> NDArray[Scalar]:
    """Copy an array and lock the copy against writing."""
    copy = np.array(array)
    copy.flags.writeable = False
    return copy


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Columns:
    """A record of columns of one length; arrays are copied and locked."""

    def __post_init__(self) -> None:
        for field in fields(self):
            column = getattr(self, field.name)
            if isinstance(column, np.ndarray):
                object.__setattr__(self, field.name, frozen(column))

    def __len__(self) -> int:
        return len(getattr(self, fields(self)[0].name))

    def __repr__(self) -> str:
        names = ", ".join(field.name for field in fields(self))
        return f"{type(self).__name__}({len(self)} x [{names}])"

    def __reduce__(self) -> tuple[Any, ...]:
        return _remake, (type(self), self._columns())

    def _columns(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def take(self, index: ArrayLike) -> Self:
        """Pick entries by position.

        Parameters
        ----------
        index : array_like of int
            Positions to keep, in the order wanted.

        Returns
        -------
        Columns
            A record of the same kind.
        """
        positions = np.asarray(index, dtype=np.int64)
        return type(self)(
            **{name: _pick(column, positions) for name, column in self._columns().items()}
        )


def _remake(kind: type[Columns], columns: dict[str, Any]) -> Columns:
    return kind(**columns)


def _pick(column: Any, positions: Integers) -> Any:
    if isinstance(column, tuple):
        return tuple(column[i] for i in positions)
    return column[positions]
