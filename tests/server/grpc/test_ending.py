"""How the server begins and ends."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import grpc
import grpc.aio
import pytest
from anyio.abc import TaskStatus

from support.helpers import rows, until
from tests.server.grpc.clients import Client, connected, raw, refused, request
from tests.server.serving import filled, held, models_of
from trtasync.errors import InvalidInput, WrongLoop
from trtasync.server.grpc import GrpcServer, Limits
from trtasync.server.models import Models
from trtasync.shared.protocol import AnyEngine
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio

DOOR = "127.0.0.1:0"


class Service:
    """A server in a task of its own.

    Attributes:
        end: has it end.
        has_ended: it has.
        scope: of the task.
    """

    def __init__(self, models: Models, limits: Limits | None):
        self.end = anyio.Event()
        self.has_ended = False
        self.scope = anyio.CancelScope()
        self._server = GrpcServer(models, limits=limits)

    async def run(self, *, task_status: TaskStatus[int]) -> None:
        """Until the end."""
        try:
            with self.scope:
                async with self._server.listening(DOOR) as port:
                    task_status.started(port)
                    await self.end.wait()
        finally:
            self.has_ended = True


@asynccontextmanager
async def service(
    backend: ScriptedBackend, limits: Limits | None = None
) -> AsyncIterator[tuple[Service, Client, AnyEngine]]:
    """A server of one model, whose rows run one by one."""
    models = models_of(backend, max_batch_size=1)
    async with models, anyio.create_task_group() as tasks:
        service = Service(models, limits)
        async with connected(await tasks.start(service.run)) as client:
            yield service, client, models.deployed("m").engine
            service.end.set()


async def test_what_was_asked_is_answered_at_the_end(backend: ScriptedBackend) -> None:
    async with service(backend) as (server, client, engine):
        with held(backend):
            calls = [client.infer(request(rows([1])))]
            await filled(engine, queued=0)
            calls.append(client.infer(request(rows([2]))))
            await filled(engine, queued=1)
            server.end.set()
            await until(lambda: client.is_disconnected)
            await refused(client.infer(request(rows([3]))), "UNAVAILABLE")
            assert not server.has_ended
        for value, call in enumerate(calls, 1):
            assert (await call).raw_output_contents[0] == raw(2 * value)
        await until(lambda: server.has_ended)
    assert [computed[0, 0] for computed in backend.computed] == [1, 2]


async def test_streams_answer_what_they_took_and_end(backend: ScriptedBackend) -> None:
    """One that waits for its client does not hold up the end."""
    async with service(backend) as (server, client, engine):
        idle, busy = client.stream(), client.stream()
        await idle.write(request(rows([1]), model="nothing"))
        assert (await idle.read()).error_message
        with held(backend):
            await busy.write(request(rows([2])))
            await filled(engine, queued=0)
            server.end.set()
            error = await refused(idle.read(), "UNAVAILABLE")
            assert error.details() == "the server is ending; ask another one."
            assert not server.has_ended
        assert (await busy.read()).infer_response.raw_output_contents[0] == raw(4)
        await refused(busy.read(), "UNAVAILABLE")
        await until(lambda: server.has_ended)


async def test_who_watches_is_told_of_the_end(backend: ScriptedBackend) -> None:
    async with service(backend) as (server, client, _):
        watch = client.watch()
        assert await watch.read() == "SERVING"
        server.end.set()
        assert await watch.read() == "NOT_SERVING"
        assert await watch.read() is grpc.aio.EOF
        await until(lambda: server.has_ended)


async def test_a_server_does_not_wait_for_ever_to_end(backend: ScriptedBackend) -> None:
    async with service(backend, limits=Limits(drain=0.05)) as (server, client, engine):
        with held(backend):
            calls = [client.infer(request(rows([1])))]
            await filled(engine, queued=0)
            calls.append(client.infer(request(rows([2]))))
            await filled(engine, queued=1)
            server.end.set()
            await until(lambda: server.has_ended)
            for call in calls:
                await refused(call, "UNAVAILABLE")
            await filled(engine, queued=0)
    assert [computed[0, 0] for computed in backend.computed] == [1]


async def test_who_is_cancelled_waits_for_nobody(backend: ScriptedBackend) -> None:
    async with service(backend) as (server, client, engine):
        with held(backend):
            call = client.infer(request(rows([1])))
            await filled(engine, queued=0)
            server.scope.cancel()
            await until(lambda: server.has_ended)
            await refused(call, "UNAVAILABLE")


async def test_a_port_that_is_taken(backend: ScriptedBackend) -> None:
    """grpcio would share it in silence, and each server get some of the calls."""
    models = models_of(backend)
    async with models, GrpcServer(models).listening(DOOR) as port:
        with pytest.raises(InvalidInput, match="cannot listen at"):
            async with GrpcServer(models).listening(f"127.0.0.1:{port}"):
                pass


async def test_a_port_may_be_shared(backend: ScriptedBackend) -> None:
    models = models_of(backend)
    first, second = GrpcServer(models), GrpcServer(models)
    async with (
        models,
        first.listening(DOOR, share_port=True) as port,
        second.listening(f"127.0.0.1:{port}", share_port=True) as same,
    ):
        assert same == port


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_a_loop_that_grpcio_does_not_know(
    backend: ScriptedBackend, anyio_backend: str
) -> None:
    models = models_of(backend)
    with pytest.raises(WrongLoop, match="asyncio and uvloop only"):
        async with models, GrpcServer(models).listening(DOOR):
            pass
