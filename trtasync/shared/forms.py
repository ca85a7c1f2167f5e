"""The layout of arrays in a slot: one after another, each aligned to cache lines."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trtasync.model.arrays import Array, Shape

ALIGNMENT = 64
"""Bytes: of a cache line, and what runtimes want of an array."""

MOST_BYTES = 1 << 40
"""Of all arrays of one request: more than any memory, so what is announced beyond is wrong."""


def aligned(size: int) -> int:
    """`size` rounded up to the alignment."""
    return -(-size // ALIGNMENT) * ALIGNMENT


@dataclass(frozen=True, slots=True)
class Place:
    """The place of one array.

    Attributes:
        start: bytes from the beginning.
        size: bytes.
        shape: of the array.
        dtype: of the array.
    """

    start: int
    size: int
    shape: Shape
    dtype: np.dtype[Any]

    def view(self, memory: Array, at: int = 0) -> Array:
        """The array, on memory of bytes.

        Args:
            memory: one-dimensional, uint8.
            at: the offset at which the places begin.
        """
        begin = at + self.start
        return memory[begin : begin + self.size].view(self.dtype).reshape(self.shape)


@dataclass(frozen=True, slots=True)
class Places:
    """The places of several arrays, one after another.

    Attributes:
        each: in order.
        size: bytes of all of them, rounded up; what follows begins there.
    """

    each: tuple[Place, ...]
    size: int

    def views(self, memory: Array, at: int = 0) -> list[Array]:
        """The arrays; see `Place.view`."""
        return [place.view(memory, at) for place in self.each]


def place(shapes: Sequence[Shape], dtypes: Sequence[np.dtype[Any]]) -> Places:
    """Lay out arrays; client and host compute the same layout.

    Raises:
        ValueError: a length is negative, or no memory is that large.
    """
    each, start = [], 0
    for shape, dtype in zip(shapes, dtypes, strict=True):
        if any(length < 0 for length in shape):
            raise ValueError(f"an array of shape {shape} has a negative length.")
        size = math.prod(shape) * dtype.itemsize
        each.append(Place(start, size, tuple(shape), dtype))
        start += aligned(size)
        if start > MOST_BYTES:
            raise ValueError(f"arrays of {start} bytes and more are larger than any memory.")
    return Places(tuple(each), start)
