"""An ONNX model without its weights, read quickly however large it is.

`onnx` takes half a second to read a model of half a gigabyte, during which no other thread runs,
and keeps a second copy of it. The few kilobytes that describe its graph are found by walking
protobuf's wire format (protobuf.dev/programming-guides/encoding) and skipping everything long.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Self, overload

LONG = 16 << 10
"""Bytes from which on numbers are left out: lengths and axes, which tell shapes, are shorter, and
so is whatever a proof computes with."""

ELSEWHERE = b"\x70\x01"
"""A tensor's field `data_location`, EXTERNAL."""

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5


WINDOW = 4096
"""Bytes of a file that are read at once, where lengths are looked for."""


class FileBytes:
    """A file, or a part of it, as a memoryview would show it.

    Only what is looked at is read: freeing hundreds of megabytes takes the GIL as well.
    """

    def __init__(self, file: BinaryIO, start: int = 0, stop: int | None = None):
        """From byte `start` to `stop`; None: to the end of the file."""
        self._file = file
        self._start = start
        self._stop = file.seek(0, os.SEEK_END) if stop is None else stop
        self._window = b""
        self._at = 0  # of the window, counted from `start`

    def __len__(self) -> int:
        return self._stop - self._start

    @overload
    def __getitem__(self, place: int) -> int: ...
    @overload
    def __getitem__(self, place: slice) -> Self: ...
    def __getitem__(self, place: int | slice) -> int | Self:
        if isinstance(place, slice):
            start, stop, _ = place.indices(len(self))
            return type(self)(self._file, self._start + start, self._start + stop)
        if not 0 <= place - self._at < len(self._window):
            self._window, self._at = self[place : place + WINDOW].tobytes(), place
        return self._window[place - self._at]

    def tobytes(self) -> bytes:
        """All of it. Raises IndexError if the file has become shorter."""
        self._file.seek(self._start)
        content = self._file.read(len(self))
        if len(content) < len(self):
            raise IndexError
        return content


Data = memoryview | FileBytes


@dataclass(frozen=True, slots=True)
class Kind:
    """A message type of onnx.proto, as far as it may contain weights.

    Attributes:
        name: its name in onnx.proto.
        numbers: fields that hold a tensor's numbers.
        parts: field -> the type of message in it.
    """

    name: str
    numbers: frozenset[int] = frozenset()
    parts: dict[int, "Kind"] = field(default_factory=dict)


TENSOR = Kind("TensorProto", frozenset({4, 5, 6, 7, 9, 10, 11}))
SPARSE = Kind("SparseTensorProto", parts={1: TENSOR, 2: TENSOR})
GRAPH = Kind("GraphProto")
ATTRIBUTE = Kind(
    "AttributeProto", parts={5: TENSOR, 6: GRAPH, 10: TENSOR, 11: GRAPH, 22: SPARSE, 23: SPARSE}
)
NODE = Kind("NodeProto", parts={5: ATTRIBUTE})
GRAPH.parts.update({1: NODE, 5: TENSOR, 15: SPARSE})
FUNCTION = Kind("FunctionProto", parts={7: NODE, 11: ATTRIBUTE})
MODEL = Kind("ModelProto", parts={7: GRAPH, 25: FUNCTION})


def outline(data: Data, mark: bytes = b"") -> bytes:
    """Strip the numbers of long tensors from a serialized `onnx.ModelProto`.

    Args:
        data: the whole one.
        mark: a field that tensors get whose numbers are left out, such as `ELSEWHERE`.

    Raises:
        ValueError: it is not one, or it is truncated.
    """
    try:
        return b"".join(_message(data, MODEL, mark))
    except (IndexError, RecursionError):
        raise ValueError("it ends in the middle of a field, or is nested deeply") from None


def _message(data: Data, kind: Kind, mark: bytes) -> Iterator[bytes]:
    """Its fields unchanged, except long ones."""
    position = copied = 0
    is_whole = True
    while position < len(data):
        tag, content, end = _field(data, position)
        number, long = tag >> 3, tag & 7 == _LENGTH and end - content > LONG
        if long and (number in kind.numbers or number in kind.parts):
            yield data[copied:position].tobytes()
            if number in kind.parts:
                part = b"".join(_message(data[content:end], kind.parts[number], mark))
                yield _varint(tag) + _varint(len(part)) + part
            else:
                is_whole = False
            copied = end
        position = end
    yield data[copied:].tobytes()
    if not is_whole:
        yield mark


def _field(data: Data, position: int) -> tuple[int, int, int]:
    """Return (tag, start of its content, end of it)."""
    tag, content = _read_varint(data, position)
    wire = tag & 7
    if wire == _LENGTH:
        length, content = _read_varint(data, content)
    elif wire in (_FIXED32, _FIXED64):
        length = 8 if wire == _FIXED64 else 4
    elif wire == _VARINT:
        length = _read_varint(data, content)[1] - content
    else:
        raise ValueError(f"a field of the unknown wire type {wire}")
    end = content + length
    if end > len(data):
        raise IndexError
    return tag, content, end


def _read_varint(data: Data, position: int) -> tuple[int, int]:
    """Return (number, position after it)."""
    number = shift = 0
    while True:
        byte = data[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than ten bytes")


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)
