"""Connections to a server, each of which carries one request after another."""

import re
import ssl
from contextlib import suppress
from typing import NamedTuple

import anyio
from anyio.abc import ByteStream
from anyio.streams.tls import TLSStream

from trtasync.errors import BackendUnavailable
from trtasync.server.remote.places import Place

CHUNK = 256 << 10
"""Most bytes that are read at once."""

LONGEST = 64 << 10
"""Most bytes of a head."""

PATIENCE = 10.0
"""Seconds for a server to accept a connection."""

_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: [^\r\n]*)?\r\n")
_ENDED = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError)


class Answer(NamedTuple):
    """What a server answers.

    Attributes:
        status: the HTTP status.
        headers: by their names in lower case.
        body: all of it.
    """

    status: int
    headers: dict[str, str]
    body: bytes


class Connections:
    """Connections to one server, as many as there were requests at once."""

    def __init__(self, place: Place):
        """None is open yet."""
        self._place = place
        self._free: list[Connection] = []

    async def ask(self, request: bytes) -> Answer:
        """Send a request, head and body, and await its answer.

        Raises:
            BackendUnavailable: the server is not there, or does not speak HTTP.
        """
        while self._free:
            connection = self._free.pop()
            with suppress(Stale):
                return await self._ask(connection, request)
        return await self._ask(Connection(await self._connect()), request)

    async def _ask(self, connection: "Connection", request: bytes) -> Answer:
        try:
            answer = await connection.ask(request)
        except BaseException:
            await connection.aclose()
            raise
        if answer.headers.get("connection", "").lower() == "close":
            await connection.aclose()
        else:
            self._free.append(connection)
        return answer

    async def _connect(self) -> ByteStream:
        place = self._place
        try:
            with anyio.fail_after(PATIENCE):
                stream = await anyio.connect_tcp(place.host, place.port)
                if not place.is_tls:
                    return stream
                context = ssl.create_default_context()
                return await TLSStream.wrap(
                    stream, hostname=place.host, ssl_context=context, standard_compatible=False
                )
        except (OSError, TimeoutError) as error:
            why = str(error) or "no answer in time"
            raise BackendUnavailable(f"no server answers at {place.authority}: {why}.") from error

    async def aclose(self) -> None:
        """End all idle connections."""
        while self._free:
            await self._free.pop().aclose()


class Stale(Exception):
    """A connection had ended before its request: servers close idle ones after a while."""


class Connection:
    """One connection."""

    def __init__(self, stream: ByteStream):
        """Wrap a stream."""
        self._stream = stream
        self._is_used = False

    async def ask(self, request: bytes) -> Answer:
        """See `Connections.ask`. Also raises Stale, if the connection had ended before."""
        try:
            await self._stream.send(request)
            came = await self._stream.receive(CHUNK)
        except _ENDED as error:
            if self._is_used:
                raise Stale from error
            raise _ended() from error
        self._is_used = True
        try:
            return await self._read(came)
        except _ENDED as error:
            raise _ended() from error

    async def _read(self, came: bytes) -> Answer:
        while (end := came.find(b"\r\n\r\n")) < 0:
            if len(came) > LONGEST:
                raise BackendUnavailable("the head of the server's answer does not end.")
            came += await self._stream.receive(CHUNK)
        status, headers = _read_head(came[: end + 2])
        length = headers.get("content-length", "")
        if not length.isdecimal():
            raise BackendUnavailable("the server does not say how long its answer is.")
        pieces, missing = [came[end + 4 :]], int(length) - (len(came) - end - 4)
        while missing > 0:
            pieces.append(await self._stream.receive(min(missing, CHUNK)))
            missing -= len(pieces[-1])
        if missing < 0:
            raise BackendUnavailable("the server answers more than it was asked.")
        return Answer(status, headers, b"".join(pieces))

    async def aclose(self) -> None:
        """End it."""
        await anyio.aclose_forcefully(self._stream)


def _read_head(head: bytes) -> tuple[int, dict[str, str]]:
    found = _STATUS.match(head)
    if found is None:
        raise BackendUnavailable("the server does not speak HTTP/1.1.")
    lines = head[found.end() :].decode("latin-1").split("\r\n")[:-1]
    pairs = (line.partition(":")[::2] for line in lines)
    return int(found[1]), {name.lower(): value.strip() for name, value in pairs}


def _ended() -> BackendUnavailable:
    return BackendUnavailable("the server ended the connection without an answer.")
