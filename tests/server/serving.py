"""Applications over scripted models, and clients in the same loop."""

import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from subprocess import PIPE, Popen
from typing import Any

import anyio
import anyio.to_thread
import httpx

from support.helpers import PATIENCE, until
from trtasync import open_engine
from trtasync.server.asgi import application
from trtasync.server.deployments import Opener
from trtasync.server.models import Models
from trtasync.shared.protocol import AnyEngine
from trtasync.testing import ScriptedBackend

INFER = "/v2/models/m/infer"
URL = "http://server"


def opener(backend: ScriptedBackend, **options: Any) -> Opener:
    """Opens the backend, all runs off the loop."""
    return lambda: open_engine(backend, **{"loop_budget": 0.0, **options})


def models_of(backend: ScriptedBackend, **options: Any) -> Models:
    """One model "m"."""
    models = Models()
    models.add("m", opener(backend, **options))
    return models


@asynccontextmanager
async def client_of(models: Models, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application over these models, in this very loop."""
    transport = httpx.ASGITransport(application(models, **options))
    async with models, httpx.AsyncClient(transport=transport, base_url=URL) as client:
        yield client


@contextmanager
def held(backend: ScriptedBackend) -> Iterator[None]:
    """Every batch is held until the end of the block, however that comes."""
    backend.gate.shut()
    try:
        yield
    finally:
        backend.gate.let()


async def by_a_thread(ask: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
    """What it gets, for which it needs one of AnyIO's threads: it waits while there is none."""
    limiter = anyio.to_thread.current_default_thread_limiter()
    taken = [object() for _ in range(int(limiter.available_tokens))]
    found: list[httpx.Response] = []

    async def get() -> None:
        found.append(await ask())

    for each in taken:
        limiter.acquire_on_behalf_of_nowait(each)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(get)
        await until(lambda: limiter.statistics().tasks_waiting == 1)
        assert not found
        for each in taken:
            limiter.release_on_behalf_of(each)
    return found[0]


async def filled(engine: AnyEngine, queued: int, in_flight: int = 1) -> None:
    """Wait until so many rows wait and run."""

    def is_filled() -> bool:
        counted = engine.statistics()
        return (counted.queued, counted.in_flight) == (queued, in_flight)

    await until(is_filled)


def error_of(response: httpx.Response, status: int) -> str:
    """What a refusal says; it has the protocol's form and nothing else."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    told = response.json()
    assert list(told) == ["error"]
    text: str = told["error"]
    assert text
    return text


@contextmanager
def served(program: str) -> Iterator[str]:
    """A module that serves in a process of its own and prints where: gives its "host:port".

    SIGTERM ends it, and it must end well.
    """
    command = [sys.executable, "-W", "error", "-m", program]
    with Popen(command, stdout=PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()
            status = process.wait(PATIENCE)
    assert status in (0, -signal.SIGTERM)
