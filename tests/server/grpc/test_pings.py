"""Clients that ask by pings whether there is still a server, as Triton's can be told to."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import grpc.aio
import pytest
from anyio.abc import ByteReceiveStream, ByteSendStream, SocketAttribute, SocketStream

from support.helpers import rows, until
from tests.server.grpc.clients import ALONE, Client, raw, request
from tests.server.grpc.loops import ONE
from tests.server.serving import filled, held, models_of
from trtasync.server.grpc import GrpcServer, server
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio

OFTEN = 1_000
"""Milliseconds between two pings of a client: grpcio does not ping more often."""


@pytest.fixture(params=ONE, scope="module")
def anyio_backend(request: pytest.FixtureRequest) -> object:
    """One of the loops will do: what is told is told below them, and takes its time."""
    return request.param


class Relay:
    """Stands between a client and its server.

    Attributes:
        pieces: that the client has sent.
        connections: that it has made.
    """

    def __init__(self, port: int):
        """To the server that listens there."""
        self.pieces = self.connections = 0
        self._port = port

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        """Gives the port."""
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        async with listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, self._connect)
            yield listener.extra(SocketAttribute.local_port)
            tasks.cancel_scope.cancel()

    async def _connect(self, client: SocketStream) -> None:
        self.connections += 1
        async with (
            client,
            await anyio.connect_tcp("127.0.0.1", self._port) as server,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(self._hand_on, server, client)
            async for piece in client:
                self.pieces += 1
                await server.send(piece)
            tasks.cancel_scope.cancel()

    async def _hand_on(self, source: ByteReceiveStream, target: ByteSendStream) -> None:
        async for piece in source:
            await target.send(piece)


async def test_pings_while_nothing_happens(
    backend: ScriptedBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless it is told otherwise, grpcio ends the connection at the third."""
    monkeypatch.setattr(server, "PING", OFTEN // 2)
    models = models_of(backend)
    options = [
        ALONE,
        ("grpc.keepalive_time_ms", OFTEN),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
    ]
    async with models, GrpcServer(models).listening("127.0.0.1:0") as port:
        relay = Relay(port)
        async with (
            relay.listening() as between,
            grpc.aio.insecure_channel(f"127.0.0.1:{between}", options) as channel,
        ):
            client = Client(channel)
            with held(backend):
                call = client.infer(request(rows([1])))
                await filled(models.deployed("m").engine, queued=0)
                begun = relay.pieces
                await until(lambda: relay.pieces >= begun + 5 or call.done())
            assert (await call).raw_output_contents[0] == raw(2)
            assert relay.connections == 1
