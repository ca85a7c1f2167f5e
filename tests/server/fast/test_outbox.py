"""Answers leave with the turn of the engine that gave them, and are never left lying."""

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from support.helpers import rows, until
from tests.server.fast.clients import Running, infer, running
from tests.server.serving import filled, held, models_of
from trtasync.core.pump import Pump
from trtasync.engine import Engine, inside
from trtasync.server.fast.connection import Connection
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio

X = rows([1])


class Wire(asyncio.Transport):
    """Calls `written` at each write."""

    def __init__(self, written: Callable[[], None]) -> None:
        super().__init__()
        self._written = written

    def write(self, data: Any) -> None:
        self._written()

    def get_write_buffer_size(self) -> int:
        return 0


def ask(server: Running, written: Callable[[], None]) -> Connection:
    """A request of a client without a socket."""
    connection = Connection(server.server)
    connection.connection_made(Wire(written))
    content = infer(X)
    connection.get_buffer(-1)[: len(content)] = content
    connection.buffer_updated(len(content))
    return connection


def pump_of(engine: object) -> Pump:
    assert isinstance(engine, Engine)
    return inside(engine).core.pump


async def test_an_answer_is_written_before_the_engine_s_turn_ends() -> None:
    """Otherwise a lone client waits for one more turn of the loop."""
    async with running(models_of(ScriptedBackend(np.negative))) as server:
        pump = pump_of(server.models.deployed("m").engine)
        seen: list[str] = []
        connection = ask(server, lambda: seen.append("written"))
        pump.flushes = (*pump.flushes, lambda: seen.append("end of the turn"))
        await until(lambda: "written" in seen)
        assert seen[seen.index("written") + 1] == "end of the turn"
        connection.connection_lost(None)


async def test_an_engine_that_is_replaced_keeps_nothing_of_the_door() -> None:
    backend = ScriptedBackend(np.negative)
    async with running(models_of(backend)) as server, server.client() as client:
        before = server.models.deployed("m").engine
        pump = pump_of(before)
        assert (await client.ask(infer(X))).status == 200
        assert len(pump.flushes) == 1
        model = server.models.find("m")
        with held(backend):
            await client.send(infer(X))
            await filled(before, queued=0, in_flight=1)
            loading = asyncio.ensure_future(model.load())
            await until(lambda: model.deployment.engine is not before)
            assert not pump.flushes
        np.testing.assert_array_equal((await client.answer()).y, -X)  # all the same
        await loading
