"""JSON of megabytes is no reason for the event loop to stand still, at either door."""

import asyncio
import gc
import json

import httpx
import numpy as np
import pytest

from support.helpers import Array, tensor, until
from tests.server.fast.clients import infer, request, running
from tests.server.messages import given, parsed
from tests.server.serving import by_a_thread, client_of, models_of
from trtasync.server.fast.replies import Asked
from trtasync.server.protocol.numbers import LARGE_ARRAY, LARGE_JSON, MOST_JSON
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio

WIDTH = 300_000


def summing() -> ScriptedBackend:
    """From long rows to short ones."""
    return ScriptedBackend(
        lambda x: x[:, :4], inputs=[tensor("x", "N", "W")], outputs=[tensor("y", "N", 4)]
    )


def spreading(width: int = WIDTH) -> ScriptedBackend:
    """From short rows to long ones."""
    return ScriptedBackend(
        lambda x: np.repeat(x, width // 4, axis=1),
        inputs=[tensor("x", "N", 4)],
        outputs=[tensor("y", "N", "W")],
    )


def long_json() -> tuple[Array, bytes]:
    """A row, and a request for it as JSON."""
    x = np.random.default_rng(0).random((1, WIDTH), np.float32)
    content = json.dumps({"inputs": [given("x", [1, WIDTH], "FP32", data=x.tolist())]}).encode()
    assert len(content) > 2 * LARGE_JSON
    return x, content


class Noted(set["asyncio.Task[None]"]):
    """Tasks; `count` of them were begun."""

    count = 0

    def add(self, task: "asyncio.Task[None]") -> None:
        """One begins."""
        self.count += 1
        super().add(task)


async def test_a_long_request_is_read_beside_the_loop() -> None:
    x, content = long_json()
    async with client_of(models_of(summing())) as client:
        response = await by_a_thread(lambda: client.post("/v2/models/m/infer", content=content))
        np.testing.assert_array_equal(parsed(response.content, None)[1]["y"], x[:, :4])


async def test_a_long_answer_is_written_beside_the_loop() -> None:
    x = np.ones((1, 4), np.float32)
    asked = {"inputs": [given("x", [1, 4], "FP32", data=x.tolist())]}
    async with client_of(models_of(spreading())) as client:
        response = await by_a_thread(lambda: client.post("/v2/models/m/infer", json=asked))
        assert parsed(response.content, None)[1]["y"].shape == (1, WIDTH)


async def test_the_fast_door_leaves_long_requests_to_the_application() -> None:
    x, content = long_json()
    async with running(models_of(summing())) as server, server.client() as client:
        await client.send(request("POST", "/v2/models/m/infer", content))
        await until(lambda: bool(server.server.exchanges))
        np.testing.assert_array_equal((await client.answer()).y, x[:, :4])


@pytest.mark.parametrize("width", [LARGE_ARRAY, 2 * LARGE_ARRAY])
async def test_the_fast_door_writes_long_answers_beside_the_loop(width: int) -> None:
    x = np.ones((1, 4), np.float32)
    async with running(models_of(spreading(width))) as server, server.client() as client:
        server.server.exchanges = noted = Noted()
        for binary in (True, False):
            answer = await client.ask(infer(x, parameters={"binary_data_output": binary}))
            np.testing.assert_array_equal(answer.y, np.ones((1, width)))
            assert noted.count == (not binary and width > LARGE_ARRAY)


def failing() -> ScriptedBackend:
    """It answers nobody."""

    def fail(x: Array) -> Array:
        raise ValueError("no")

    return ScriptedBackend(fail, inputs=[tensor("x", "N", 4)], outputs=[tensor("y", "N", 4)])


@pytest.mark.parametrize(
    ("backend", "status"),
    [(spreading(4), 400), (spreading(2 * LARGE_ARRAY), 400), (failing(), 500)],
    ids=["short", "long", "failing"],
)
async def test_what_has_failed_is_not_kept(backend: ScriptedBackend, status: int) -> None:
    """Or megabytes of answers would wait for a collection of garbage."""
    x = np.full((1, 4), np.nan, np.float32)
    async with running(models_of(backend)) as server, server.client() as client:
        gc.collect()
        gc.disable()
        try:
            for _ in range(3):
                answer = await client.ask(infer(x, parameters={"binary_data_output": False}))
                assert answer.status == status
            # A thread that wrote an answer may let go of it after that is out.
            await until(lambda: not any(issubclass(type(each), Asked) for each in gc.get_objects()))
        finally:
            gc.enable()


async def test_who_leaves_while_a_long_answer_is_written() -> None:
    x = np.ones((1, 4), np.float32)
    async with running(models_of(spreading(4 * WIDTH))) as server:
        async with server.client() as client:
            await client.send(infer(x, parameters={"binary_data_output": False}))
            await until(lambda: bool(server.server.exchanges))
        await server.connections(0)
        await until(lambda: not server.server.exchanges)


async def test_json_that_stops_everybody_is_refused(client: httpx.AsyncClient) -> None:
    content = b'{"inputs":[],"id":"' + b"x" * MOST_JSON + b'"}'
    response = await client.post("/v2/models/m/infer", content=content)
    assert response.status_code == 413
    assert "send tensors as binary data" in response.json()["error"]
