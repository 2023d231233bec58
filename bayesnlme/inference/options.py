"""What the options of the estimators must be."""

from numbers import Integral, Real
from typing import Any

import numpy as np

from bayesnlme.errors import ModelError


def require_number(method: str, option: str, value: Any, above: float = 0.0) -> None:
    """Refuse an option that is no finite number above a limit.

    Raises
    ------
    ModelError
        Saying which.
    """
    fine = isinstance(value, Real) and not isinstance(value, bool) and np.isfinite(float(value))
    if not fine or float(value) <= above:
        raise ModelError(f"{method}: {option}={value!r} must be a number above {above:g}.")


def require_count(method: str, option: str, value: Any, least: int = 1) -> None:
    """Refuse an option that is no whole number.

    Raises
    ------
    ModelError
        Saying which.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ModelError(
            f"{method}: {option}={value!r} must be a whole number of at least {least}."
        )


def require_flag(method: str, option: str, value: Any) -> None:
    """Refuse an option that is neither True nor False.

    Raises
    ------
    ModelError
        Saying which.
    """
    if not isinstance(value, bool):
        raise ModelError(f"{method}: {option}={value!r} must be True or False.")


def require_share(method: str, option: str, value: Any) -> None:
    """Refuse an option that is no number between 0 and 1.

    Raises
    ------
    ModelError
        Saying which.
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < 1:
        raise ModelError(f"{method}: {option}={value!r} must be a number in (0, 1).")
