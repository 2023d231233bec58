"""Ratios of gamma functions without the loss of digits of their difference."""

import pytensor.tensor as pt

from bayesnlme._types import Floats, Tensor

_LARGE = 20.0
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360)
"""log Γ(n) - (n - 1/2) log n + n - log(2π)/2 in powers n**-1, n**-3, ... [Abramowitz1964]_."""


def log_gamma_ratio(n: Tensor, y: Tensor | Floats | float) -> Tensor:
    """Return log(Γ(n + y) / Γ(n)) - y log n, which tends to 0 for large n.

    Below 20 it is the difference of two log-gamma functions, above that of their series, whose
    large terms cancel exactly.
    """
    large = n > _LARGE
    m = pt.switch(large, n, _LARGE)
    series = (m + y - 0.5) * pt.log1p(y / m) - y + _tail(m + y) - _tail(m)
    k = pt.switch(large, _LARGE, n)
    difference = pt.gammaln(k + y) - pt.gammaln(k) - y * pt.log(k)
    return pt.switch(large, series, difference)


def _tail(n: Tensor) -> Tensor:
    z, total = 1 / n**2, 0.0
    for term in reversed(_STIRLING):
        total = total * z + term
    return total / n
