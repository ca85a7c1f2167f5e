"""A request that the ASGI application answers."""

import logging
from asyncio import Event
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import unquote

from trtasync.server.fast.heads import Head
from trtasync.server.fast.wire import Wire
from trtasync.server.fast.writing import LAST_CHUNK, Headers, chunk, head_of

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Scope

log: logging.Logger = logging.getLogger("trtasync")

WITHOUT_BODY = {204, 304}
_OURS = {b"connection", b"date", b"keep-alive", b"transfer-encoding"}
_BREAKS = b"\r\n\0"


class Exchange:
    """One request and its answer over ASGI."""

    def __init__(self, wire: Wire, head: Head, body: bytes, ended: Callable[[], None]):
        """For a complete request; `ended` is called when its answer is complete."""
        self._wire = wire
        self._head = head
        self._body: bytes | None = body
        self._ended = ended
        self._left = Event()
        self._writable = Event()
        self._lines = b""  # of the head of the answer
        self._is_told = False  # the head tells the length of the answer
        self._missing = 0  # bytes of the answer still to come, if so
        self._has_body = self._in_chunks = False
        self._is_begun = self._is_complete = False
        self._keeps = head.keeps

    async def run(self, application: "ASGIApp") -> None:
        """Let the application answer."""
        try:
            await application(self._scope(), self._receive, self._send)
            if not self._is_complete and not self._left.is_set():
                raise RuntimeError("the application has not answered to the end.")
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        if self._is_complete or self._left.is_set():
            log.error("the application failed after its answer", exc_info=error)
            return
        self._is_complete = True
        if self._is_begun:
            log.error("the application failed in the midst of its answer", exc_info=error)
            self._wire.abort()
        else:
            self._wire.fail(self._head, error)
            self._ended()

    def leave(self) -> None:
        """Note that the client has left: the application learns it when it receives."""
        self._left.set()
        self._writable.set()

    def go_on(self) -> None:
        """Let the application send again: the client reads."""
        self._writable.set()

    def _scope(self) -> "Scope":
        head, wire = self._head, self._wire
        path, _, query = head.target.partition(b"?")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": head.version,
            "method": head.method,
            "scheme": wire.scheme,
            "path": unquote(path.decode("latin-1")),
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": list(head.headers),
            "client": _address(wire.about("peername")),
            "server": _address(wire.about("sockname")),
        }

    async def _receive(self) -> "Message":
        body, self._body = self._body, None
        if body is not None:
            return {"type": "http.request", "body": body, "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: "Message") -> None:
        if self._left.is_set() or self._is_complete:
            return
        if message["type"] == "http.response.start":
            self._start(message["status"], list(message.get("headers", ())))
            return
        content, more = message.get("body", b""), message.get("more_body", False)
        self._write(content, more)
        if more and self._wire.is_blocked:
            self._writable.clear()
            await self._writable.wait()

    def _start(self, status: int, headers: Headers) -> None:
        known = {name.lower(): value for name, value in headers}
        for each in headers:
            if any(byte in part for part in each for byte in _BREAKS):
                raise ValueError(f"a header of the answer has a line break: {each!r}.")
        self._keeps = self._keeps and known.get(b"connection", b"").lower() != b"close"
        self._lines = head_of(status, [each for each in headers if each[0].lower() not in _OURS])
        self._has_body = self._head.method != "HEAD" and status not in WITHOUT_BODY
        self._is_told = b"content-length" in known or status in WITHOUT_BODY
        self._missing = int(known.get(b"content-length", 0))

    def _write(self, content: bytes, more: bool) -> None:
        pieces = []
        if self._is_told and self._has_body:
            self._missing -= len(content)
            if self._missing < 0 or (self._missing and not more):
                raise ValueError("the answer is not as long as its Content-Length says.")
        if not self._is_begun:
            pieces.append(self._begin(len(content), more))
            self._is_begun = True
        if self._has_body:
            pieces.append(chunk(content) if self._in_chunks else content)
            if self._in_chunks and not more:
                pieces.append(LAST_CHUNK)
        self._wire.write(b"".join(pieces))
        if not more:
            self._is_complete = True
            self._wire.ended_answer(self._keeps)
            self._ended()

    def _begin(self, size: int, more: bool) -> bytes:
        lines = self._lines
        if not self._is_told:
            if not more:
                lines += b"content-length: %d\r\n" % size
            elif self._head.version == "1.1":
                lines += b"transfer-encoding: chunked\r\n"
                self._in_chunks = True
            else:  # the end of the connection is the end of the body
                self._keeps = False
        self._keeps = self._wire.keeps(self._keeps)
        return lines + self._wire.last_lines(self._head, self._keeps)


def _address(known: object) -> tuple[str, int] | None:
    """Host and port, from what asyncio knows; None for a Unix socket."""
    return known[:2] if isinstance(known, tuple) else None
