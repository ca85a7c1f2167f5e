"""An ONNX model without its weights, read quickly however large it is.

`onnx` takes half a second to read a model of half a gigabyte, during which no other thread runs,
and keeps a second copy of it. The few kilobytes that describe its graph are found by walking
protobuf's wire format (protobuf.dev/programming-guides/encoding) and skipping everything long.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

LONG = 4096
"""Bytes from which on numbers are left out: lengths and axes, which tell shapes, are shorter."""

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5


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


def outline(data: memoryview) -> bytes:
    """Strip the numbers of long tensors from a serialized `onnx.ModelProto`.

    Raises:
        ValueError: it is not one, or it is truncated.
    """
    try:
        return b"".join(_message(data, MODEL))
    except (IndexError, RecursionError):
        raise ValueError("it ends in the middle of a field, or is nested deeply") from None


def _message(data: memoryview, kind: Kind) -> Iterator[bytes]:
    """Its fields unchanged, except long ones."""
    position = copied = 0
    while position < len(data):
        tag, content, end = _field(data, position)
        number, long = tag >> 3, tag & 7 == _LENGTH and end - content > LONG
        if long and (number in kind.numbers or number in kind.parts):
            yield data[copied:position].tobytes()
            if number in kind.parts:
                part = b"".join(_message(data[content:end], kind.parts[number]))
                yield _varint(tag) + _varint(len(part)) + part
            copied = end
        position = end
    yield data[copied:].tobytes()


def _field(data: memoryview, position: int) -> tuple[int, int, int]:
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


def _read_varint(data: memoryview, position: int) -> tuple[int, int]:
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
