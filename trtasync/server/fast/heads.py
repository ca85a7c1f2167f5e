"""The head of a request: its first line and its headers, checked and remembered.

A client sends few different heads, so one that was seen before costs a look-up.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from trtasync.server.protocol.answers import JSON_LENGTH
from trtasync.server.protocol.bodies import choose_encoding
from trtasync.server.protocol.numbers import LARGE_JSON
from trtasync.server.protocol.refusals import Refusal

END = b"\r\n\r\n"

LONGEST = 16 << 10
"""Most bytes of a head."""

MOST_HEADERS = 100

KEPT, LONGEST_KEPT = 1024, 1024
"""Heads that are remembered, and the bytes of the longest of them."""

# RFC 9112 without the leniency that it allows servers: single spaces in the first line; then names,
# colons and visible characters, so no bare CR or LF, and no folded lines.
_HEAD = re.compile(
    rb"([A-Z-]+) (/[\x21-\x7e]*) HTTP/(1\.[01])\r\n"
    rb"((?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r\n)*)\r\n"
)
_NUMBER = re.compile(rb"[0-9]{1,18}")
_INFER = re.compile(rb"/v2/models/([A-Za-z0-9_.:@+~-]+)(?:/versions/([0-9]+))?/infer")

_BY_APPLICATION = {b"content-encoding", b"traceparent"}
"""Infer requests with one of these headers go to the application."""

Headers = tuple[tuple[bytes, bytes], ...]
ModelName = tuple[str, str | None]


@dataclass(frozen=True, slots=True)
class Head:
    """What a head says.

    Attributes:
        method: such as "GET".
        target: path and query, as they came.
        version: of HTTP, "1.0" or "1.1".
        headers: names in lower case.
        length: of the body in bytes; 0 for none; None where it comes in chunks.
        keeps: the client keeps the connection open.
        expects: the client waits for 100 (Continue) with its body.
        encoding: the compression of answers that the client prefers; None for none.
        model: name and version of the model, for an infer request that the fast door may answer
            itself; None for any other request, which the application answers.
        json_length: bytes of JSON in front of binary data; None if all of the body is JSON.
    """

    method: str
    target: bytes
    version: str
    headers: Headers
    length: int | None
    keeps: bool
    expects: bool
    encoding: str | None
    model: ModelName | None
    json_length: int | None


class Heads:
    """Reads heads, and remembers them."""

    def __init__(self, admit: Callable[[Head], None] = lambda _: None):
        """Start without known heads. `admit` raises on a head that is not let in; it is not asked
        again about a head that is remembered."""
        self._known: dict[bytes, Head] = {}
        self._admit = admit

    def read(self, block: bytes) -> Head:
        """The head in `block`, which ends with its empty line.

        Raises:
            Refusal: it is malformed, others could read it differently, or it is not let in.
        """
        head = self._known.get(block)
        if head is None:
            head = read_head(block)
            self._admit(head)
            if len(block) <= LONGEST_KEPT and not any(n == b"traceparent" for n, _ in head.headers):
                if len(self._known) >= KEPT:
                    del self._known[next(iter(self._known))]  # the oldest
                self._known[block] = head
        return head


def read_head(block: bytes) -> Head:
    """See `Heads.read`."""
    found = _HEAD.fullmatch(block)
    if found is None:
        raise Refusal("this is no head of a request for a path, in HTTP/1.1 to the letter.")
    method, target, number, lines = found.groups()
    version = number.decode()
    headers = tuple(map(_header, lines.split(b"\r\n")[:-1]))
    if len(headers) > MOST_HEADERS:
        raise Refusal(f"the request has more than {MOST_HEADERS} headers.", status=431)
    if len(_values(headers, b"host")) != 1 and version == "1.1":
        raise Refusal("a request of HTTP/1.1 has one Host header.")
    length = _length(headers, version)
    expects = _expects(headers) and version == "1.1"
    asked = None
    if method == b"POST" and length is not None:
        asked = _asked_of_model(target, headers, length)
    return Head(
        method.decode(),
        target,
        version,
        headers,
        length,
        _keeps(headers, version),
        expects,
        choose_encoding(b",".join(_values(headers, b"accept-encoding")).decode("latin-1")),
        *(asked or (None, None)),
    )


def _header(line: bytes) -> tuple[bytes, bytes]:
    name, _, value = line.partition(b":")
    return name.lower(), value.strip(b" \t")


def _values(headers: Headers, name: bytes) -> list[bytes]:
    return [value for known, value in headers if known == name]


def _length(headers: Headers, version: str) -> int | None:
    """The length of the body. Heads that two readers could understand differently are refused
    (request smuggling)."""
    lengths = _values(headers, b"content-length")
    codings = _values(headers, b"transfer-encoding")
    if not codings:
        if not lengths:
            return 0
        if len(lengths) > 1 or not _NUMBER.fullmatch(lengths[0]):
            raise Refusal("Content-Length must be one number.")
        return int(lengths[0])
    if lengths or version == "1.0":
        raise Refusal("a body comes with Content-Length or in chunks of HTTP/1.1, not both.")
    if len(codings) > 1 or codings[0].lower() != b"chunked":
        raise Refusal("no Transfer-Encoding but 'chunked' is understood.", status=501)
    return None


def _keeps(headers: Headers, version: str) -> bool:
    wishes = b",".join(_values(headers, b"connection")).lower().split(b",")
    wishes = [wish.strip() for wish in wishes]
    return b"close" not in wishes and (version == "1.1" or b"keep-alive" in wishes)


def _expects(headers: Headers) -> bool:
    expectations = _values(headers, b"expect")
    if any(each.lower() != b"100-continue" for each in expectations):
        raise Refusal("nothing can be expected but 100-continue.", status=417)
    return bool(expectations)


def _asked_of_model(
    target: bytes, headers: Headers, length: int
) -> tuple[ModelName, int | None] | None:
    """`Head.model` and `Head.json_length`; None for the application, which says what is wrong."""
    found = _INFER.fullmatch(target)
    if found is None or any(name in _BY_APPLICATION for name, _ in headers):
        return None
    lengths = _values(headers, JSON_LENGTH.encode())
    if len(lengths) > 1 or not all(map(_NUMBER.fullmatch, lengths)):
        return None
    json_length = int(lengths[0]) if lengths else None
    if json_length is not None and json_length > length:
        return None
    if (length if json_length is None else json_length) > LARGE_JSON:
        return None
    name, version = found.groups()
    return (name.decode(), None if version is None else version.decode()), json_length
