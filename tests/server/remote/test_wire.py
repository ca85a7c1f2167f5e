"""Connections to a server that says whatever a test wants."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import anyio
import pytest
from anyio.abc import SocketStream

from support.helpers import until
from trtasync.errors import BackendUnavailable
from trtasync.server.remote.places import Place
from trtasync.server.remote.wire import LONGEST, Connections

ASKED = b"GET /v2 HTTP/1.1\r\nHost: server\r\n\r\n"


def said(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    """An answer."""
    lines = [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


class Server:
    """Says what it is told to, to each connection in turn.

    Attributes:
        asked: what came, by connection.
    """

    def __init__(self, *connections: Sequence[Sequence[bytes]]):
        """Of each connection, of each request, the pieces of the answer; then it ends."""
        self._scripts = list(connections)
        self.asked: list[list[bytes]] = []

    async def __call__(self, stream: SocketStream) -> None:
        asked: list[bytes] = []
        self.asked.append(asked)
        async with stream:
            # A client that leaves with an answer unread resets the connection.
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                await self._talk(stream, asked)

    async def _talk(self, stream: SocketStream, asked: list[bytes]) -> None:
        for answer in self._scripts[len(self.asked) - 1]:
            came = b""
            while not came.endswith(b"\r\n\r\n"):
                came += await stream.receive()
            asked.append(came)
            for piece in answer:
                await stream.send(piece)
                await anyio.lowlevel.checkpoint()


@asynccontextmanager
async def listening(server: Server) -> AsyncIterator[Connections]:
    """Connections to it."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, server)
        connections = Connections(Place("http", "127.0.0.1", port))
        try:
            yield connections
        finally:
            await connections.aclose()
            tasks.cancel_scope.cancel()


@pytest.mark.anyio
async def test_a_connection_is_used_again() -> None:
    large = bytes(range(256)) * 4096
    whole = said(large, b"X-Kind:  large ")
    server = Server([[said(b"one")], [whole[:5], whole[5:70], whole[70:300_000], whole[300_000:]]])
    async with listening(server) as connections:
        assert (await connections.ask(ASKED)).body == b"one"
        answer = await connections.ask(ASKED)
        assert (answer.status, answer.body) == (200, large)
        assert answer.headers["x-kind"] == "large"
    assert server.asked == [[ASKED, ASKED]]


@pytest.mark.anyio
async def test_as_many_connections_as_ask_at_once() -> None:
    server = Server([[said(b"one")]], [[said(b"two")]])
    bodies: set[bytes] = set()

    async def ask(connections: Connections) -> None:
        bodies.add((await connections.ask(ASKED)).body)

    async with listening(server) as connections, anyio.create_task_group() as tasks:
        tasks.start_soon(ask, connections)
        tasks.start_soon(ask, connections)
    assert bodies == {b"one", b"two"}


@pytest.mark.anyio
@pytest.mark.parametrize("last", [said(b"one"), said(b"one", b"Connection: close")])
async def test_one_that_has_ended_is_replaced(last: bytes) -> None:
    server = Server([[last]], [[said(b"two")]])
    async with listening(server) as connections:
        assert (await connections.ask(ASKED)).body == b"one"
        assert (await connections.ask(ASKED)).body == b"two"


@pytest.mark.anyio
async def test_one_that_was_given_up_is_not_used_again() -> None:
    server = Server([[said(b"late")[:-1]], []], [[said(b"two")]])
    async with listening(server) as connections:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(connections.ask, ASKED)
                await until(lambda: server.asked == [[ASKED]])
                scope.cancel()
        assert (await connections.ask(ASKED)).body == b"two"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ([], "without an answer"),
        ([said(b"one")[:-1]], "without an answer"),
        ([b"SSH-2.0-OpenSSH_9.2\r\n\r\n"], "HTTP/1.1"),
        ([b"HTTP/1.1 200 OK\r\n\r\n"], "how long"),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"], "how long"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"], "how long"),
        ([said(b"one") + b"two"], "more than"),
        ([b"HTTP/1.1 200 OK\r\nX: " + b"x" * (2 * LONGEST)], "does not end"),
    ],
)
async def test_what_is_no_answer(answer: list[bytes], why: str) -> None:
    async with listening(Server([answer] if answer else [])) as connections:
        with pytest.raises(BackendUnavailable, match=why):
            await connections.ask(ASKED)


@pytest.mark.anyio
async def test_nobody_is_there() -> None:
    async with listening(Server()) as connections:
        place = connections._place
    with pytest.raises(BackendUnavailable, match=place.authority):
        await Connections(place).ask(ASKED)
