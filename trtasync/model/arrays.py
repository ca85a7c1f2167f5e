"""Arrays and shapes, as all floors name them."""

from typing import Any, TypeAlias

import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]

Shape: TypeAlias = tuple[int, ...]
"""In elements per axis."""
