"""The numbers of large tensors as JSON, a piece at a time.

msgspec and numpy hold the GIL for as long as they read or write, so a tensor of megabytes would
stop the event loop from whatever thread. Between two pieces others get it.
"""

import time
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np

from trtasync.model.arrays import Array, Shape

PIECE = 64 << 10
"""Bytes of JSON that are read at once: some tenths of a millisecond."""

LARGE_JSON = 128 << 10
"""Bytes of JSON that are read beside the event loop: it takes milliseconds."""

MOST_JSON = 8 << 20
"""Bytes of JSON that are read at all. Where its tensors end is looked for in one go, which stops
everybody for some hundredths of a second here."""

LARGE_ARRAY = 16 << 10
"""Elements that are written as JSON beside the event loop."""

ELEMENTS = 8 << 10
"""Elements that are written at once, likewise."""

_BRACKETS = b"[]"
_ALL_BUT_STRUCTURE = bytes(set(range(256)) - set(b"[],"))


def read(text: bytes, decoder: msgspec.json.Decoder[list[Any]], dtype: np.dtype[Any]) -> Array:
    """The elements of lists in lists, one after another.

    Args:
        text: a value that is known to be JSON.
        decoder: of a list of elements.
        dtype: of the array.

    Raises:
        msgspec.MsgspecError, OverflowError: one of them is no such element.
    """
    found = [
        np.array(decoder.decode(b"[" + piece.translate(None, _BRACKETS) + b"]"), dtype)
        for piece in _pieces(text)
    ]
    return np.concatenate(found)


def is_of_shape(text: bytes, shape: Shape) -> bool:
    """These are lists in lists of this shape, and not empty: `text` has the brackets and commas of
    such."""
    found = b",".join([piece.translate(None, _ALL_BUT_STRUCTURE) for piece in _pieces(text)])
    return 0 not in shape and len(found) == _size(shape) and found == _structure(shape)


def write(elements: Array) -> bytes:
    """An array of one dimension as a list."""
    pieces = []
    for start in range(0, len(elements), ELEMENTS):
        piece = msgspec.json.encode(elements[start : start + ELEMENTS].tolist())
        pieces.append(piece[1:-1])
        _let_others()
    return b"[" + b",".join(pieces) + b"]"


def _pieces(text: bytes) -> Iterator[bytes]:
    """`text`, cut at commas, without these."""
    start = 0
    while start >= 0:
        end = text.find(b",", start + PIECE)
        yield text[start:end] if end >= 0 else text[start:]
        start = end + 1 if end >= 0 else -1
        _let_others()


def _size(shape: Shape) -> int:
    """Of `_structure`: a shape is a client's, who may say anything."""
    size = 0
    for dim in reversed(shape):
        size = 1 + dim * (size + 1)
    return size


def _structure(shape: Shape) -> bytes:
    """The brackets and commas of lists of this shape."""
    inner = _structure(shape[1:]) if len(shape) > 1 else b""
    return b"[" + ((inner + b",") * shape[0])[:-1] + b"]"


def _let_others() -> None:
    """Whoever waits for the GIL has it now, and not in a switch interval."""
    time.sleep(0)
