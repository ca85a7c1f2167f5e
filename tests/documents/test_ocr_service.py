"""The OCR service among the examples: deadlines, clients that leave, metrics, health."""

from collections.abc import AsyncIterator
from typing import Any

import anyio
import httpx
import numpy as np
import pytest

from examples import ocr_service
from examples.digit_lines import lines
from support.helpers import until
from tests.server.asgi_client import Client
from trtasync import Engine, TensorSpec, open_engine
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio

FLOAT = np.dtype("float32")
BODY = lines(1)[0].image.tobytes()


@pytest.fixture
async def backend() -> AsyncIterator[ScriptedBackend]:
    """Of the reader's shapes; it finds only paper."""
    backend = ScriptedBackend(
        lambda image: np.eye(11, dtype=np.float32)[np.full((len(image), image.shape[-1]), 10)],
        inputs=[TensorSpec("image", FLOAT, ("N", 1, 8, "W"))],
        outputs=[TensorSpec("probs", FLOAT, ("N", "W", 11))],
    )
    yield backend
    backend.gate.let()


@pytest.fixture
async def engine(backend: ScriptedBackend) -> AsyncIterator[Engine]:
    """A reader that a test can hold."""
    async with open_engine(backend, loop_budget=0.0) as engine:
        yield engine
        backend.gate.let()


def served_with(engine: Engine) -> Any:
    """The application, had its lifespan opened this engine."""

    async def served(scope: Any, receive: Any, send: Any) -> None:
        state = {"engines": {"lines": engine}}
        await ocr_service.app({**scope, "state": state}, receive, send)

    return served


def client_of(engine: Engine) -> httpx.AsyncClient:
    """A client in the same loop."""
    transport = httpx.ASGITransport(served_with(engine))
    return httpx.AsyncClient(transport=transport, base_url="http://app")


async def test_it_reads_and_tells_how_it_is() -> None:
    wanted = lines(9)
    app: Any = ocr_service.app
    async with (
        app.router.lifespan_context(app) as state,
        client_of(state["engines"]["lines"]) as client,
    ):
        read = [await client.post("/read", content=line.image.tobytes()) for line in wanted]
        narrow = await client.post("/read", content=bytes(4 * 8 * 7))
        told = (await client.get("/metrics")).text
        well = await client.get("/health")
    right = [each.json()["text"] == line.text for each, line in zip(read, wanted, strict=True)]
    assert sum(right) >= 7
    assert (narrow.status_code, "8 columns" in narrow.json()["error"]) == (400, True)
    assert 'trtasync_requests_total{model="lines",outcome="answered",version="1"} 9.0' in told
    assert (well.status_code, well.json()) == (200, {"engines": {"lines": True}})


async def test_it_is_ill_with_its_engine(backend: ScriptedBackend, engine: Engine) -> None:
    async with client_of(engine) as client:
        backend.lose = True
        assert (await client.post("/read", content=BODY)).status_code == 503
        assert (await client.get("/health")).status_code == 503


async def test_its_deadline_is_a_504(
    backend: ScriptedBackend, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ocr_service, "PATIENCE", -1)
    async with client_of(engine) as client:
        late = await client.post("/read", content=BODY)
    assert late.status_code == 504
    assert backend.computed == []


async def test_who_leaves_is_not_read(backend: ScriptedBackend, engine: Engine) -> None:
    backend.gate.shut()
    client = Client(BODY)
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/read",
        "headers": [],
        "query_string": b"",
    }
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(served_with(engine), scope, client.receive, client.send)
        await until(lambda: engine.statistics().in_flight + engine.statistics().queued == 1)
        client.leaves.set()
        await until(lambda: engine.statistics().cancelled == 1)
        backend.gate.let()
    assert client.got[0]["status"] == 499
