"""Names for the types that cross package borders."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

type Tensor = Any
"""A symbolic PyTensor variable (PyTensor ships no complete types)."""

type Floats = NDArray[np.float64]
type Integers = NDArray[np.int64]
type Booleans = NDArray[np.bool_]
