"""Clients that leave before their answer, over ASGI."""

from typing import Any

import anyio
import numpy as np
import pytest

from support.helpers import opened, rows, until
from tests.server.asgi_client import LEFT, Client, scope
from tests.server.messages import binary, body
from tests.server.serving import filled, held, models_of
from trtasync.errors import InvalidInput, TrtasyncError
from trtasync.server.asgi import application
from trtasync.server.departures import while_connected
from trtasync.server.protocol.answers import JSON_LENGTH
from trtasync.server.protocol.refusals import ClientGone
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio


async def test_a_request_is_withdrawn_when_its_client_leaves() -> None:
    """A batch is running, so this request waits behind it, and is never computed."""
    backend = ScriptedBackend()
    models = models_of(backend, max_batch_size=1)
    content, length = body({"inputs": [binary("x", [1, 4], "FP32")]}, rows([7]))
    client = Client(content)
    async with models, anyio.create_task_group() as tasks:
        engine = models.deployed("m").engine
        with held(backend):
            for queued in (0, 1):
                tasks.start_soon(engine.infer, {"x": rows([1])})
                await filled(engine, queued)
            app = application(models)
            tasks.start_soon(app, scope([(JSON_LENGTH, length)]), client.receive, client.send)
            await filled(engine, queued=2)
            client.leaves.set()
            await until(lambda: bool(client.got))
    assert client.got[0]["status"] == 499
    assert engine.statistics().cancelled == 1
    assert 7 not in [computed[0, 0] for computed in backend.computed]


async def test_a_server_that_cancels_the_request_may_be_left_to_it() -> None:
    """Nobody listens for the client then; whoever runs the application ends it."""
    backend = ScriptedBackend()
    models = models_of(backend)
    content, length = body({"inputs": [binary("x", [1, 4], "FP32")]}, rows([7]))
    client = Client(content)
    client.leaves.set()
    app = application(models, watch_clients=False)
    async with models:
        engine = models.deployed("m").engine
        with held(backend):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(app, scope([(JSON_LENGTH, length)]), client.receive, client.send)
                await filled(engine, queued=0)
                await anyio.wait_all_tasks_blocked()
                assert engine.statistics().cancelled == 0
                tasks.cancel_scope.cancel()
            assert engine.statistics().cancelled == 1
    assert client.got == []


async def test_who_asks_for_what_is_not_there_need_not_send_the_rest() -> None:
    client = Client(complete=False)  # whose body never comes
    async with models_of(ScriptedBackend()) as models:
        path = "/v2/models/z/infer"
        await application(models)({**scope([]), "path": path}, client.receive, client.send)
    assert client.got[0]["status"] == 404


async def test_a_client_that_leaves_in_the_midst_of_its_body() -> None:
    backend = ScriptedBackend()
    models = models_of(backend)
    client = Client(b"{", complete=False)
    client.leaves.set()
    async with models:
        await application(models)(scope([]), client.receive, client.send)
    assert client.got[0]["status"] == 499
    assert backend.computed == []


async def never_leaves() -> Any:
    """The client waits."""
    await anyio.sleep_forever()


async def test_the_answer_and_what_is_raised_come_as_they_are() -> None:
    async with opened(ScriptedBackend()) as engine:
        answer = await while_connected(never_leaves, lambda: engine.infer(rows([1])))
        np.testing.assert_array_equal(answer, rows([1]))
        with pytest.raises(InvalidInput):  # and no group of it: a 400, not a 500
            await while_connected(never_leaves, lambda: engine.infer(np.zeros((1, 9))))


async def test_whoever_waits_may_be_cancelled() -> None:
    backend = ScriptedBackend()
    async with opened(backend) as engine:
        with held(backend), anyio.move_on_after(0.02) as patience:
            await while_connected(never_leaves, lambda: engine.infer(rows([1])))
        assert patience.cancelled_caught
        await until(lambda: engine.statistics().cancelled == 1)


async def test_the_deadline_of_whoever_waits_is_the_engines() -> None:
    """It orders the queue, and what cannot make it is not computed."""
    backend = ScriptedBackend()
    async with opened(backend) as engine:
        with pytest.raises(TimeoutError), anyio.fail_after(-1):
            await while_connected(never_leaves, lambda: engine.infer(rows([1])))
        await engine.infer(rows([2]))
    assert [computed[0, 0] for computed in backend.computed] == [2]


@pytest.mark.parametrize("fault", [RuntimeError("of the server"), KeyError("of the server")])
async def test_a_fault_of_the_server_is_told(fault: Exception) -> None:
    async def receive() -> Any:
        raise fault

    with pytest.raises(type(fault), match="of the server"):
        await while_connected(receive, anyio.sleep_forever)


async def test_a_body_that_nobody_has_read_is_not_thrown_away() -> None:
    client = Client(b"", b"content")
    with pytest.raises(TrtasyncError, match="body must be read"):
        await while_connected(client.receive, anyio.sleep_forever)


async def test_a_client_that_leaves_in_the_turn_of_its_answer_gets_it() -> None:
    async def call() -> int:
        return 5

    async def left() -> Any:
        return LEFT

    assert await while_connected(left, call) == 5
    with pytest.raises(ClientGone):
        await while_connected(left, anyio.sleep_forever)
