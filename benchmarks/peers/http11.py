"""As much of HTTP/1.1 as a load generator needs: requests built once, answers parsed."""

from collections.abc import Mapping
from typing import NamedTuple


class Answer(NamedTuple):
    """One response."""

    status: int
    head: bytes
    body: bytes

    def header(self, name: str) -> str | None:
        """The value of a header field, None without it."""
        return _field(self.head, name.lower().encode())


class BadAnswer(Exception):
    """The stream is not valid HTTP."""


def request_bytes(path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """A POST on a connection that is kept open, ready to be written again and again."""
    fields = {"Host": "localhost", **headers, "Content-Length": str(len(body))}
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class AnswerReader:
    """Parses answers from a stream: bodies by Content-Length or in chunks.

    One answer at a time: a caller sends its next request when it has the answer.
    """

    def __init__(self) -> None:
        self._data = b""

    def feed(self, data: bytes) -> Answer | None:
        """Process received bytes; return the answer if it is complete, else None.

        Raises:
            BadAnswer: this is not an HTTP/1.1 answer, or more than one.
        """
        if self._data:
            data = self._data + data
        answer, rest = _cut(data)
        self._data = data if answer is None else b""
        if answer is not None and rest:
            raise BadAnswer(f"{len(rest)} bytes after the answer")
        return answer


def _cut(data: bytes) -> tuple[Answer | None, bytes]:
    head, found, rest = data.partition(b"\r\n\r\n")
    if not found:
        return None, b""
    if not head.startswith(b"HTTP/1.1 "):
        raise BadAnswer(f"the answer begins with {head[:20]!r}")
    status = int(head[9:12])
    if status == 100:
        return _cut(rest)
    length = _field(head, b"content-length")
    if length is not None:
        size = int(length)
        if len(rest) < size:
            return None, b""
        return Answer(status, head, rest[:size]), rest[size:]
    if (_field(head, b"transfer-encoding") or "").lower() != "chunked":
        raise BadAnswer("an answer of unknown length")
    body, left = _chunks(rest)
    return (None, b"") if body is None else (Answer(status, head, body), left)


def _field(head: bytes, name: bytes) -> str | None:
    begin = head.lower().find(b"\r\n" + name + b":")
    if begin < 0:
        return None
    begin += len(name) + 3
    end = head.find(b"\r\n", begin)
    return head[begin : end if end >= 0 else len(head)].strip().decode("latin-1")


def _chunks(data: bytes) -> tuple[bytes | None, bytes]:
    """The chunked body, and what follows; None while it is incomplete."""
    parts: list[bytes] = []
    while True:
        line, found, data = data.partition(b"\r\n")
        if not found:
            return None, b""
        size = int(line.partition(b";")[0], 16)
        if not size:
            # trailers, if any, and the empty line that ends them
            while data and not data.startswith(b"\r\n"):
                _, _, data = data.partition(b"\r\n")
            return (b"".join(parts), data[2:]) if data else (None, b"")
        if len(data) < size + 2:
            return None, b""
        parts.append(data[:size])
        data = data[size + 2 :]
