"""Engines in other people's Starlette and FastAPI applications."""

import gzip
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import anyio
import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from support.helpers import rows, until
from tests.server.asgi_client import Client
from trtasync import BackendUnavailable, Engine, open_engine
from trtasync.core.metrics import Statistics
from trtasync.integrations.starlette import (
    exception_handlers,
    health,
    infer,
    lifespan,
    metrics,
    read_array,
)
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio


async def double(request: Request) -> Response:
    """Numbers in JSON, and twice as much."""
    x = np.array(await request.json(), np.float32)
    return JSONResponse((await infer(request, "double", x)).tolist())


async def double_raw(request: Request) -> Response:
    """Raw numbers, of which at most 64 bytes are taken, and twice as much."""
    x = await read_array(request, "<f4", (-1,), max_body=64)
    return JSONResponse((await infer(request, "double", x)).tolist())


async def unknown(request: Request) -> Response:
    """A mistake in the application."""
    return JSONResponse(await infer(request, "unknown", 1))


ROUTES = [
    Route("/double", double, methods=["POST"]),
    Route("/double_raw", double_raw, methods=["POST"]),
    Route("/unknown", unknown),
    Route("/health", health),
    Route("/metrics", metrics),
]


@pytest.fixture(params=[Starlette, FastAPI])
def application(request: pytest.FixtureRequest) -> Any:
    """Makes an application of an engine."""

    def of(backend: ScriptedBackend, **options: Any) -> Any:
        return request.param(
            lifespan=lifespan(double=lambda: open_engine(backend, loop_budget=0.0, **options)),
            exception_handlers=exception_handlers,
            routes=ROUTES,
        )

    return of


@asynccontextmanager
async def running(app: Any) -> AsyncIterator[tuple[Any, Engine]]:
    """The application as a server would run it, and its engine."""
    async with app.router.lifespan_context(app) as state:

        async def served(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, "state": dict(state)}, receive, send)

        yield served, state["engines"]["double"]


def client_of(app: Any) -> httpx.AsyncClient:
    """A client in the same loop."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app")


async def test_a_handler_infers(application: Any) -> None:
    backend = ScriptedBackend(lambda x: 2 * x)
    async with running(application(backend)) as (app, engine), client_of(app) as client:
        response = await client.post("/double", json=[1, 2, 3, 4])
        assert (response.status_code, response.json()) == (200, [2, 4, 6, 8])
    assert engine.statistics().answered == 1
    assert backend.closed == 1


async def test_errors_have_their_status_and_never_500(application: Any) -> None:
    backend = ScriptedBackend()
    app = application(backend, max_queue_size=1)
    async with running(app) as (app, engine), client_of(app) as client:
        bad = await client.post("/double", json=[1, 2])
        assert bad.status_code == 400
        assert "x" in bad.json()["error"]
        large = await client.post("/double", json=[[1] * 4] * 2)
        assert large.status_code == 413
        backend.bad = lambda row: row[0] == 3
        failed = await client.post("/double", json=[3] * 4)
        assert (failed.status_code, "bad" in failed.json()["error"]) == (500, True)
        wrong = await client.get("/unknown")
        assert (wrong.status_code, "'unknown'" in wrong.json()["error"]) == (500, True)
        await engine.aclose()
        closed = await client.post("/double", json=[1] * 4)
        assert (closed.status_code, closed.headers["retry-after"]) == (503, "1")


async def test_health_follows_the_engines(application: Any) -> None:
    backend = ScriptedBackend()
    async with running(application(backend)) as (app, _), client_of(app) as client:
        well = await client.get("/health")
        assert (well.status_code, well.json()) == (200, {"engines": {"double": True}})
        backend.lose = True
        assert (await client.post("/double", json=[1] * 4)).status_code == 503
        ill = await client.get("/health")
        assert (ill.status_code, ill.json()) == (503, {"engines": {"double": False}})


async def test_arrays_are_read_from_bodies(application: Any) -> None:
    backend = ScriptedBackend(lambda x: 2 * x)
    row = rows([1])[0].astype("<f4").tobytes()
    async with running(application(backend)) as (app, _), client_of(app) as client:
        read = await client.post("/double_raw", content=row)
        assert (read.status_code, read.json()) == (200, [2, 2, 2, 2])
        encoded = {"content-encoding": "gzip"}
        packed = await client.post("/double_raw", content=gzip.compress(row), headers=encoded)
        assert packed.json() == read.json()
        short = await client.post("/double_raw", content=row[1:])
        assert (short.status_code, "float32" in short.json()["error"]) == (400, True)
        long = await client.post("/double_raw", content=row * 5)
        assert (long.status_code, "64 bytes" in long.json()["error"]) == (413, True)


async def test_metrics_are_those_of_the_engines(application: Any) -> None:
    sample = 'trtasync_requests_total{model="double",outcome="answered",version="1"} '
    async with running(application(ScriptedBackend())) as (app, _), client_of(app) as client:
        for answered in (0, 1):
            told = await client.get("/metrics")
            assert told.headers["content-type"].startswith("text/plain")
            (line,) = [line for line in told.text.splitlines() if line.startswith(sample)]
            assert float(line.removeprefix(sample)) == answered
            await client.post("/double", json=[1, 2, 3, 4])


async def test_metrics_are_told_without_an_engine_that_does_not_answer() -> None:
    class Gone:
        """A shared engine whose process is gone."""

        def statistics(self) -> Statistics:
            raise BackendUnavailable("it does not answer.")

    async with open_engine(ScriptedBackend()) as engine:
        app = Starlette(routes=ROUTES, exception_handlers=exception_handlers)
        state = {"engines": {"gone": Gone(), "there": engine}}

        async def served(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, "state": state}, receive, send)

        async with client_of(served) as client:
            told = await client.get("/metrics")
    assert told.status_code == 200
    assert 'model="there"' in told.text
    assert "gone" not in told.text


async def test_what_a_client_left_behind_is_not_computed(application: Any) -> None:
    """Twenty of twenty rows are withdrawn; Starlette alone would compute them all."""
    backend = ScriptedBackend()
    async with running(application(backend)) as (app, engine):
        backend.gate.shut()
        clients = [Client(b"[7, 7, 7, 7]") for _ in range(20)]
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/double",
            "headers": [],
            "query_string": b"",
        }
        async with AsyncExitStack() as stack:
            tasks = await stack.enter_async_context(anyio.create_task_group())
            for _ in range(2):  # batches that hold the only stream
                tasks.start_soon(engine.infer, rows([1] * 8))
            await until(lambda: engine.statistics().in_flight + engine.statistics().queued == 16)
            for client in clients:
                tasks.start_soon(app, scope, client.receive, client.send)
            await until(lambda: engine.statistics().in_flight + engine.statistics().queued == 36)
            for client in clients:
                client.leaves.set()
            await until(lambda: engine.statistics().cancelled == 20)
            backend.gate.let()
    assert not any((computed == 7).any() for computed in backend.computed)
    assert [client.got[0]["status"] for client in clients] == [499] * 20


async def test_without_the_lifespan_it_says_so() -> None:
    app = Starlette(routes=ROUTES, exception_handlers=exception_handlers)
    async with client_of(app) as client:
        response = await client.post("/double", json=[1] * 4)
    assert response.status_code == 500
    assert "give it a lifespan" in response.json()["error"]
