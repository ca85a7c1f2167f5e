"""Arrays in the bodies of requests, whatever the framework that reads them."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from trtasync.errors import InvalidInput


def array_of(body: bytes, dtype: npt.DTypeLike, shape: Sequence[int]) -> npt.NDArray[Any]:
    """A view of a body as the row-major array that it is.

    Args:
        body: as `ndarray.tobytes` writes it.
        dtype: of the elements, with the byte order that clients send.
        shape: lengths of the axes; -1 for one that the body decides, which is at least 1.

    Raises:
        InvalidInput: the body has bytes too many or too few.
    """
    kind = np.dtype(dtype)
    step = kind.itemsize * math.prod(length for length in shape if length >= 0)
    fits = not len(body) % step and len(body) if -1 in shape else len(body) == step
    if not fits:
        wanted = str(list(shape)).replace("-1", "any")
        size = f"{step} bytes" + (", or a multiple of that" if -1 in shape else "")
        raise InvalidInput(f"the body must be {kind} {wanted}: {size}, not {len(body)}.")
    return np.frombuffer(body, kind).reshape(tuple(shape))
