"""Answers as bytes of HTTP/1.1."""

from collections.abc import Iterable
from functools import lru_cache
from http import HTTPStatus

from trtasync.server.failures import Failure
from trtasync.server.protocol.answers import JSON_LENGTH, OCTETS, Answer
from trtasync.server.protocol.refusals import JSON

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
VARY = b"vary: accept-encoding\r\n"

_TENSORS = b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\n%s: %%d\r\ncontent-length: %%d\r\n" % (
    OCTETS.encode(),
    JSON_LENGTH.encode(),
)
_JSON = b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\ncontent-length: %%d\r\n" % JSON.encode()

Headers = Iterable[tuple[bytes, bytes]]


def head_of_answer(answer: Answer, size: int) -> bytes:
    """The head of an answer of `size` bytes, without the line that ends it."""
    if answer.json_size is None:
        return _JSON % size
    return _TENSORS % (answer.json_size, size)


def head_of(status: int, headers: Headers) -> bytes:
    """The head of any other answer, without the line that ends it."""
    lines = b"".join([b"%s: %s\r\n" % header for header in headers])
    return b"HTTP/1.1 %d %s\r\n%s" % (status, _phrase(status), lines)


def head_of_failure(failure: Failure) -> bytes:
    """The head of an error, without the line that ends it."""
    headers = {"content-type": JSON, "content-length": str(len(failure.body)), **failure.headers}
    return head_of(failure.status, [(k.encode(), v.encode()) for k, v in headers.items()])


def chunk(content: bytes) -> bytes:
    """A chunk of a body whose length was not declared; empty for no content."""
    return b"%x\r\n%s\r\n" % (len(content), content) if content else b""


@lru_cache(maxsize=64)
def _phrase(status: int) -> bytes:
    try:
        return HTTPStatus(status).phrase.encode()
    except ValueError:
        return b""
