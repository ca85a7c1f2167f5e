"""Engines in applications of Litestar, aiohttp, and Starlette on trio, over real sockets."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import anyio
import httpx
import pytest
from anyio.abc import SocketStream

from support.helpers import PATIENCE, rows, until
from tests.integrations.services import Serving, on_aiohttp, on_hypercorn, on_uvicorn
from trtasync import Engine, open_engine
from trtasync.testing import ScriptedBackend

ASYNCIO: Any = ("asyncio", {"use_uvloop": False})
SERVICES = [
    pytest.param(ASYNCIO, on_aiohttp, id="aiohttp"),
    pytest.param(ASYNCIO, on_uvicorn, id="litestar"),
    pytest.param(("trio", {}), on_hypercorn, id="trio"),
]

pytestmark = pytest.mark.anyio
on_each = pytest.mark.parametrize(("anyio_backend", "serving"), SERVICES)

CLIENTS = 20
REQUEST = b"POST /double HTTP/1.1\r\nhost: x\r\ncontent-length: 12\r\n\r\n[7, 7, 7, 7]"


@asynccontextmanager
async def running(
    serving: Serving, backend: ScriptedBackend, **options: Any
) -> AsyncIterator[tuple[int, Engine]]:
    """The service over a scripted model: its port and its engine."""
    engines: list[Engine] = []

    @asynccontextmanager
    async def opener() -> AsyncIterator[Engine]:
        async with open_engine(backend, loop_budget=0.0, **options) as engine:
            engines.append(engine)
            yield engine

    async with serving(opener) as port:
        try:
            yield port, (await _first(engines))
        finally:
            backend.gate.let()


async def _first(engines: list[Engine]) -> Engine:
    await until(lambda: bool(engines))
    return engines[0]


def client_of(port: int) -> httpx.AsyncClient:
    """A client of a service that may not listen yet."""
    patient = httpx.AsyncHTTPTransport(retries=8)
    return httpx.AsyncClient(
        transport=patient, base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE
    )


@on_each
async def test_a_handler_infers(serving: Serving) -> None:
    backend = ScriptedBackend(lambda x: 2 * x)
    async with running(serving, backend) as (port, engine), client_of(port) as client:
        response = await client.post("/double", json=[1, 2, 3, 4])
        assert (response.status_code, response.json()) == (200, [2, 4, 6, 8])
    assert engine.statistics().answered == 1
    assert backend.closed == 1


@on_each
async def test_errors_have_their_status(serving: Serving) -> None:
    backend = ScriptedBackend()
    backend.bad = lambda row: row[0] == 3
    async with (
        running(serving, backend, max_queue_size=1) as (port, engine),
        client_of(port) as client,
    ):

        async def refused(path: str, given: Any, status: int) -> str:
            response = await client.post(path, json=given)
            assert response.status_code == status, response.text
            assert list(response.json()) == ["error"]
            return str(response.json()["error"])

        assert "x" in await refused("/double", [1, 2], 400)
        await refused("/double", [[1] * 4] * 2, 413)
        assert "bad" in await refused("/double", [3] * 4, 500)
        assert "'unknown'" in await refused("/unknown", [1] * 4, 500)
        await refused("/late", [1] * 4, 504)
        await engine.aclose()
        await refused("/double", [1] * 4, 503)
        assert (await client.post("/double", json=[1] * 4)).headers["retry-after"] == "1"


@on_each
async def test_health_follows_the_engine(serving: Serving) -> None:
    backend = ScriptedBackend()
    async with running(serving, backend) as (port, _), client_of(port) as client:
        well = await client.get("/health")
        assert (well.status_code, well.json()) == (200, {"engines": {"double": True}})
        backend.lose = True
        assert (await client.post("/double", json=[1] * 4)).status_code == 503
        ill = await client.get("/health")
        assert (ill.status_code, ill.json()) == (503, {"engines": {"double": False}})


async def left_behind(serving: Serving, leaving: bool) -> tuple[int, int]:
    """Twenty clients ask while the model is busy, and go.

    Args:
        serving: the service.
        leaving: their requests are expected to leave with them.

    Returns:
        how many requests were cancelled, and how many of these rows were computed all the same.
    """
    backend = ScriptedBackend()
    async with running(serving, backend) as (port, engine):
        async with client_of(port) as client:
            assert (await client.post("/double", json=[1] * 4)).status_code == 200
        backend.gate.shut()
        async with AsyncExitStack() as stack:
            tasks = await stack.enter_async_context(anyio.create_task_group())
            for _ in range(2):  # batches that hold the only stream
                tasks.start_soon(engine.infer, rows([1] * 8))
            await until(lambda: engine.statistics().in_flight + engine.statistics().queued == 16)
            clients: list[SocketStream] = []
            for _ in range(CLIENTS):
                clients.append(await anyio.connect_tcp("127.0.0.1", port))
                await clients[-1].send(REQUEST)
            both = 16 + CLIENTS
            await until(lambda: engine.statistics().in_flight + engine.statistics().queued == both)
            for each in clients:
                await each.aclose()
            if leaving:
                await until(lambda: engine.statistics().cancelled == CLIENTS)
            backend.gate.let()
        await until(lambda: not engine.statistics().queued + engine.statistics().in_flight)
        async with client_of(port) as client:  # and the service goes on
            assert (await client.post("/double", json=[1] * 4)).status_code == 200
    computed = sum(int((batch == 7).all(axis=1).sum()) for batch in backend.computed)
    return engine.statistics().cancelled, computed


@on_each
async def test_what_clients_left_behind_is_not_computed(serving: Serving) -> None:
    assert await left_behind(serving, leaving=True) == (CLIENTS, 0)


@pytest.mark.parametrize("anyio_backend", [ASYNCIO])
async def test_aiohttp_has_to_be_asked_for_it() -> None:
    """What its integration tells users, and why the example says `handler_cancellation`."""
    serving = partial(on_aiohttp, handler_cancellation=False)
    assert await left_behind(serving, leaving=False) == (0, CLIENTS)
