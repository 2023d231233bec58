r"""What the scalar and the lane-wise form of superposed doses share.

The function :math:`\varphi(x) = (1 - e^{-x})/x` is taken by its series where x is small, for there
the formula loses digits.
"""

import math

DEPOT, CENTRAL = 0, 1
"""Compartments that a dose may enter."""

SMALL = 0.1
"""Below it, what the series leaves out of the function or its slope is a bit or two."""

PHI_SERIES = tuple((-1.0) ** n / math.factorial(n + 1) for n in range(10))
"""Coefficients of the powers of x."""
