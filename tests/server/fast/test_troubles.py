"""One client's trouble is not the others'."""

import asyncio
from typing import Any

import anyio
import numpy as np
import pytest

from support.helpers import rows
from tests.server.fast.clients import infer, running
from tests.server.serving import filled, held, models_of
from trtasync.server.fast.connection import Connection
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio

X = rows([1])


class Broken(asyncio.Transport):
    """A transport that fails whenever it is used."""

    def __init__(self) -> None:
        super().__init__()
        self.aborted = False

    def write(self, data: Any) -> None:
        raise RuntimeError("the transport is broken")

    def get_write_buffer_size(self) -> int:
        raise RuntimeError("the transport is broken")

    def abort(self) -> None:
        self.aborted = True


@pytest.mark.parametrize("broken_first", [True, False])
async def test_whose_answer_cannot_be_written_takes_nobody_along(
    broken_first: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Both are answered by the same batch."""
    backend = ScriptedBackend(np.negative)
    async with running(models_of(backend)) as server, server.client() as client:
        engine = server.models.deployed("m").engine
        connection, transport = Connection(server.server), Broken()
        connection.connection_made(transport)

        def ask_badly() -> None:
            content = infer(X)
            connection.get_buffer(-1)[: len(content)] = content
            connection.buffer_updated(len(content))

        async with server.client() as other:
            with held(backend):
                await client.send(infer(X))
                await filled(engine, queued=0)  # the others wait for the one that runs
                if broken_first:
                    ask_badly()
                await other.send(infer(X))
                await filled(engine, queued=2 if broken_first else 1)
                if not broken_first:
                    ask_badly()
            for each in (client, other):
                assert (await each.answer()).status == 200
        assert transport.aborted
        assert "is given up" in caplog.text
        connection.connection_lost(None)


async def test_who_cannot_be_looked_at_does_not_stop_the_clock() -> None:
    async with running(models_of(ScriptedBackend())) as server, server.client() as client:
        connection, transport = Connection(server.server), Broken()
        connection.connection_made(transport)
        server.pass_time(76)
        assert transport.aborted
        assert await client.rest() == b""  # it was idle
        connection.connection_lost(None)


async def test_a_server_that_is_cancelled_leaves_no_connection_open() -> None:
    backend = ScriptedBackend()
    async with anyio.create_task_group() as tasks:
        begun = anyio.Event()
        seen: list[Any] = []

        async def serve() -> None:
            async with running(models_of(backend)) as server:
                seen.append(server)
                begun.set()
                await anyio.sleep_forever()

        tasks.start_soon(serve)
        await begun.wait()
        async with seen[0].client() as client:
            await client.send(infer(X)[:-4])
            await seen[0].begun()
            tasks.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                assert await client.rest() == b""
    assert not seen[0].server.connections
