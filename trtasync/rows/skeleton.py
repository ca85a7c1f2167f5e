"""An ONNX file without its weights.

protobuf reads a file in one go and holds the GIL meanwhile: 256 MB stop an event loop for half a
second, from whatever thread. Of large tensors only the shapes are asked for here, so their data are
passed over in the file, field by field (https://protobuf.dev/programming-guides/encoding).
"""

from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

LARGE = 64 << 10
"""Bytes of a tensor from which on its data are left out."""

MOST_FIELDS = 1 << 20
"""Fields of the model, its graph or a tensor that are looked at one by one."""

GRAPH, INITIALIZER = 7, 5
"""Fields of ModelProto and of GraphProto."""

DATA = frozenset({4, 5, 6, 7, 9, 10, 11})
"""Fields of TensorProto that hold elements."""

EXTERNAL = b"\x70\x01"
"""The field of TensorProto that says that its elements are elsewhere: `data_location`, EXTERNAL."""

_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5
_LONGEST_VARINT = 10


class _Unusual(Exception):
    """These are no fields, or more than anybody writes."""


class _Field(NamedTuple):
    """Of a message; places in the file.

    Attributes:
        number: of the field.
        begin: of all of it.
        content: begins here.
        end: of all of it.
    """

    number: int
    begin: int
    content: int
    end: int


def read_skeleton(file: BinaryIO) -> bytes:
    """The model in `file` with tensors that say, if they are large, that their data are elsewhere.

    What is no model, or an unusual one, comes back as it is.
    """
    size = file.seek(0, 2)
    try:
        return _rewritten(file, 0, size, GRAPH, _graph)
    except _Unusual:
        return _read(file, 0, size)


def _graph(file: BinaryIO, start: int, end: int) -> bytes:
    return _rewritten(file, start, end, INITIALIZER, _tensor)


def _tensor(file: BinaryIO, start: int, end: int) -> bytes:
    kept = [
        _read(file, field.begin, field.end)
        for field in _fields(file, start, end)
        if field.number not in DATA
    ]
    return b"".join((*kept, EXTERNAL))


def _rewritten(
    file: BinaryIO,
    start: int,
    end: int,
    number: int,
    rewrite: Callable[[BinaryIO, int, int], bytes],
) -> bytes:
    """A message whose large fields of this number are rewritten, and all else is as it was."""
    parts, kept = [], start
    for field in _fields(file, start, end):
        if field.number == number and field.end - field.content > LARGE:
            content = rewrite(file, field.content, field.end)
            tag = bytes((number << 3 | _LENGTH,))
            parts += [_read(file, kept, field.begin), tag, _varint(len(content)), content]
            kept = field.end
    return b"".join((*parts, _read(file, kept, end)))


def _fields(file: BinaryIO, start: int, end: int) -> Iterator[_Field]:
    at = start
    for _ in range(MOST_FIELDS):
        if at == end:
            return
        file.seek(at)
        tag = _read_varint(file)
        kind = tag & 7
        if kind == _LENGTH:
            size = _read_varint(file)
        elif kind == _VARINT:
            _read_varint(file)
            size = 0
        elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
            size = 8 if kind == _EIGHT_BYTES else 4
        else:
            raise _Unusual
        content = file.tell()
        field = _Field(tag >> 3, at, content, content + size)
        if field.end > end:
            raise _Unusual
        yield field
        at = field.end
    raise _Unusual


def _read_varint(file: BinaryIO) -> int:
    value = 0
    for place in range(_LONGEST_VARINT):
        byte = file.read(1)
        if not byte:
            break
        value |= (byte[0] & 0x7F) << 7 * place
        if byte[0] < 0x80:
            return value
    raise _Unusual


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*found, value))


def _read(file: BinaryIO, start: int, end: int) -> bytes:
    file.seek(start)
    return file.read(end - start)
