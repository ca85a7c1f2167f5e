"""The numbers of large tensors as JSON, a piece at a time.

msgspec and numpy hold the GIL for as long as they read or write, so a tensor of megabytes would
stop the event loop from any thread. Between two pieces other threads get the GIL.
"""

import time
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np

from trtasync.model.arrays import Array, Shape

PIECE = 64 << 10
"""Bytes of JSON that are read at once, which takes some tenths of a millisecond."""

LARGE_JSON = 128 << 10
"""Longer JSON (in bytes) is read beside the event loop: it takes milliseconds."""

MOST_JSON = 8 << 20
"""Most bytes of JSON. The ends of its tensors are looked for in one go, which stops all threads for
some hundredths of a second at this length."""

LARGE_ARRAY = 16 << 10
"""Larger arrays (in elements) are written as JSON beside the event loop."""

ELEMENTS = 8 << 10
"""Elements that are written at once, which takes as long."""

_BRACKETS = b"[]"
_ALL_BUT_STRUCTURE = bytes(set(range(256)) - set(b"[],"))


def read(text: bytes, decoder: msgspec.json.Decoder[list[Any]], dtype: np.dtype[Any]) -> Array:
    """The elements of nested lists, as a flat array.

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
    """Whether `text` has the brackets and commas of nested lists of this shape, none of them
    empty."""
    found = b",".join([piece.translate(None, _ALL_BUT_STRUCTURE) for piece in _pieces(text)])
    return 0 not in shape and len(found) == _size(shape) and found == _structure(shape)


def write(elements: Array) -> bytes:
    """Write an array of one dimension as a list."""
    pieces = []
    for start in range(0, len(elements), ELEMENTS):
        piece = msgspec.json.encode(elements[start : start + ELEMENTS].tolist())
        pieces.append(piece[1:-1])
        _let_others()
    return b"[" + b",".join(pieces) + b"]"


def _pieces(text: bytes) -> Iterator[bytes]:
    """Cut `text` at commas, which are left out."""
    start = 0
    while start >= 0:
        end = text.find(b",", start + PIECE)
        yield text[start:end] if end >= 0 else text[start:]
        start = end + 1 if end >= 0 else -1
        _let_others()


def _size(shape: Shape) -> int:
    """The length of `_structure`, known before that is built: clients may claim any shape."""
    size = 0
    for dim in reversed(shape):
        size = 1 + dim * (size + 1)
    return size


def _structure(shape: Shape) -> bytes:
    """The brackets and commas of lists of this shape."""
    inner = _structure(shape[1:]) if len(shape) > 1 else b""
    return b"[" + ((inner + b",") * shape[0])[:-1] + b"]"


def _let_others() -> None:
    """Let a thread that waits for the GIL have it now, not after a switch interval."""
    time.sleep(0)
