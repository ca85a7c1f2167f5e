"""Requests cut from their bytes, and answers put together as bytes: tensors are not copied by
protobuf, and what is the same in all requests of a client is not read again.
"""

from collections.abc import Iterable
from typing import NamedTuple

from trtasync.server.protocol.tensors import Bytes

ID, RAW = 3, 7
"""Fields of ModelInferRequest: its `id` and `raw_input_contents`."""

ID_OF_ANSWER, RAW_OF_ANSWER = 3, 6
"""Those of ModelInferResponse."""

INFER_RESPONSE = 2
"""The field of ModelStreamInferResponse."""

MOST_FIELDS = 4096
"""Most fields of a request that is cut here, which takes a millisecond or two."""

_BYTES = 2
"""The wire type of what has a length: strings, bytes and messages."""

_LONGEST_LENGTH = 5
"""Most bytes of a length in protobuf."""


class Cut(NamedTuple):
    """A ModelInferRequest, cut into parts.

    Attributes:
        head: all of it but `id` and `raw`.
        id: its id, in UTF-8 if it is valid.
        raw: `raw_input_contents`, as views of the request's bytes.
    """

    head: bytes
    id: bytes
    raw: list[memoryview]


def cut(content: bytes) -> Cut | None:
    """The parts of a request; None if it has more than `MOST_FIELDS`, or is not written as clients
    do it, which need not be wrong."""
    view, at, end = memoryview(content), 0, len(content)
    head: list[memoryview] = []
    raw: list[memoryview] = []
    id = b""
    for _ in range(MOST_FIELDS):
        if at == end:
            return Cut(b"".join(head), id, raw)
        tag = content[at]
        begin, size = _length(content, at + 1, end)
        stop = begin + size
        if tag & 7 != _BYTES or tag & 0x80 or not begin or stop > end:
            return None
        if tag >> 3 == RAW:
            raw.append(view[begin:stop])
        elif tag >> 3 == ID:
            id = content[begin:stop]
        else:
            head.append(view[at:stop])
        at = stop
    return None


def _length(content: bytes, at: int, end: int) -> tuple[int, int]:
    """Read a length: where its content begins, and the length; 0 and 0 if it is none."""
    size = 0
    for shift, place in enumerate(range(at, min(at + _LONGEST_LENGTH, end))):
        byte = content[place]
        size |= (byte & 0x7F) << 7 * shift
        if not byte & 0x80:
            return place + 1, size
    return 0, 0


def answer(head: bytes, id: bytes, raw: Iterable[Bytes]) -> bytes:
    """A ModelInferResponse.

    Args:
        head: all of it but `id` and `raw`, as bytes.
        id: in UTF-8; empty for none.
        raw: `raw_output_contents`.
    """
    parts: list[Bytes] = [head]
    if id:
        parts += [_begin(ID_OF_ANSWER, len(id)), id]
    for each in raw:
        parts += [_begin(RAW_OF_ANSWER, len(each)), each]
    return b"".join(parts)


def in_stream(content: bytes) -> bytes:
    """The ModelStreamInferResponse of an answer."""
    return _begin(INFER_RESPONSE, len(content)) + content


def _begin(field: int, size: int) -> bytes:
    """The tag and length that stand before `size` bytes of a field."""
    found = bytearray((field << 3 | _BYTES,))
    while size > 0x7F:
        found.append(size & 0x7F | 0x80)
        size >>= 7
    found.append(size)
    return bytes(found)
