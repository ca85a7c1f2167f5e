"""Clients that leave, and time that passes, before an answer."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from support.helpers import PATIENCE, rows, until
from tests.server.grpc.clients import Client, parameters, raw, refused, request, serving
from tests.server.serving import filled, held, models_of
from trtasync.scheduler import queues
from trtasync.shared.protocol import AnyEngine
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio

SHORT = 0.05
"""Seconds that pass while a batch is held; more, where a call needs longer to reach the engine."""


@asynccontextmanager
async def busy(backend: ScriptedBackend) -> AsyncIterator[tuple[Client, AnyEngine]]:
    """A batch is running and another one waits behind it: what comes now waits behind both."""
    models = models_of(backend, max_batch_size=1)
    async with serving(models) as client, anyio.create_task_group() as tasks:
        engine = models.deployed("m").engine
        with held(backend):
            for queued in (0, 1):
                tasks.start_soon(engine.infer, {"x": rows([1])})
                await filled(engine, queued)
            yield client, engine


async def test_a_cancelled_call_withdraws_its_request(backend: ScriptedBackend) -> None:
    async with busy(backend) as (client, engine):
        call = client.infer(request(rows([7])))
        await filled(engine, queued=2)
        call.cancel()
        await filled(engine, queued=1)
        with pytest.raises(asyncio.CancelledError):
            await call
    assert engine.statistics().cancelled == 1
    assert 7 not in [computed[0, 0] for computed in backend.computed]


async def test_a_connection_that_ends_withdraws_its_requests(backend: ScriptedBackend) -> None:
    async with busy(backend) as (client, engine):
        call = client.infer(request(rows([7])))
        await filled(engine, queued=2)
        await client.channel.close()
        await filled(engine, queued=1)
        with pytest.raises(asyncio.CancelledError):
            await call
    assert 7 not in [computed[0, 0] for computed in backend.computed]


async def test_a_cancelled_stream_withdraws_all_of_its_requests(backend: ScriptedBackend) -> None:
    async with busy(backend) as (client, engine):
        stream = client.stream()
        for queued in (2, 3):
            await stream.write(request(rows([7])))
            await filled(engine, queued)
        stream.cancel()
        await filled(engine, queued=1)
    assert 7 not in [computed[0, 0] for computed in backend.computed]


async def late(engine: AnyEngine, ask: Callable[[float], Any]) -> Any:
    """How a call ends whose request reaches the engine, and whose seconds are over then."""
    seconds, before = SHORT, engine.statistics().requests
    while True:
        error = await refused(ask(seconds), "DEADLINE_EXCEEDED")
        await filled(engine, queued=1)
        if engine.statistics().requests > before:
            return error
        seconds *= 2


async def test_the_deadline_of_a_call_is_the_engines(backend: ScriptedBackend) -> None:
    async with busy(backend) as (client, engine):
        await late(engine, lambda seconds: client.infer(request(rows([7])), timeout=seconds))
    assert 7 not in [computed[0, 0] for computed in backend.computed]


async def test_the_timeout_of_a_request(backend: ScriptedBackend) -> None:
    """It is told by the server, and a longer one of the call does not change it."""

    def asked(seconds: float) -> Any:
        return request(rows([7]), parameters=parameters(timeout=round(seconds * 1e6)))

    async with busy(backend) as (client, engine):
        error = await late(engine, lambda seconds: client.infer(asked(seconds), timeout=100))
        assert error.details() == "the request's timeout passed."
        await late(engine, lambda seconds: client.infer(asked(100), timeout=seconds))
    assert 7 not in [computed[0, 0] for computed in backend.computed]


async def test_who_has_less_time_goes_first(
    backend: ScriptedBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the engine knows of the time before it has passed."""
    monkeypatch.setattr(queues, "AGEING", 2 * PATIENCE)  # who has no deadline is due so late
    async with busy(backend) as (client, engine):
        call = client.infer(request(rows([7])), timeout=PATIENCE)
        await filled(engine, queued=2)
        backend.gate.let()
        await call
    assert [computed[0, 0] for computed in backend.computed] == [1, 7, 1]


async def test_who_leaves_a_watch_is_forgotten(backend: ScriptedBackend) -> None:
    async with serving(models_of(backend)) as client:
        watch = client.watch()
        assert await watch.read() == "SERVING"
        before = len(asyncio.all_tasks())
        watch.cancel()
        await until(lambda: len(asyncio.all_tasks()) < before)


async def test_streams_whose_clients_leave_are_nobody_elses_affair(
    backend: ScriptedBackend, caplog: pytest.LogCaptureFixture
) -> None:
    """The others are answered, and grpcio has nothing to complain about."""
    models = models_of(backend)

    async def leave(after: int) -> None:
        stream = client.stream()
        for value in range(10):
            await stream.write(request(rows([value])))
        for value in range(after):
            assert (await stream.read()).infer_response.raw_output_contents[0] == raw(2 * value)
        stream.cancel()

    async def stay(value: int) -> None:
        answer = await client.infer(request(rows([value])))
        assert answer.raw_output_contents[0] == raw(2 * value)

    with caplog.at_level(logging.WARNING):
        async with serving(models) as client, anyio.create_task_group() as tasks:
            for number in range(100):
                tasks.start_soon(leave, number % 10)
                tasks.start_soon(stay, number)
    assert caplog.records == []
