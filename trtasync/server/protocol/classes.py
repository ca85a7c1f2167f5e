"""Classification: the highest values of an output and where they are, instead of the output."""

import math
import struct
from collections.abc import Iterable

import numpy as np

from trtasync.model.arrays import Array, Shape
from trtasync.server.protocol.tensors import Tensor


def classify(tensor: Tensor, array: Array, most: int) -> tuple[Shape, list[bytes]]:
    """The classes of every row of an output, or of the whole where it has no rows.

    Args:
        tensor: which output it is.
        array: its values.
        most: classes that are wanted per row, at most.

    Returns:
        the shape of the answer, and its elements: `value:index`, the highest first, equal ones by
        their index, NaN last.
    """
    has_rows = tensor.batch_axis == 0 and array.ndim == len(tensor.shape)
    shape = array.shape if has_rows else (1, *array.shape)
    rows = array.reshape(shape[0], math.prod(shape[1:]))
    count = min(most, rows.shape[1])
    elements = [
        f"{row[index]!s}:{index}".encode() for row in rows for index in _highest(row)[:count]
    ]
    return ((len(rows), count) if has_rows else (count,)), elements


def _highest(row: Array) -> Array:
    """The indices of a row's values in falling order."""
    keys = row
    if row.dtype.kind not in "iu":  # 16-bit floats too, some of which numpy cannot sort
        keys = row.astype(np.float64)
        keys[np.isnan(keys)] = -np.inf
    order: Array = len(row) - 1 - np.argsort(keys[::-1], kind="stable")[::-1]
    return order


def bytes_to_binary(elements: Iterable[bytes]) -> bytes:
    """Encode elements of BYTES: the length of each in four bytes, then the element."""
    return b"".join(struct.pack("<I", len(each)) + each for each in elements)
