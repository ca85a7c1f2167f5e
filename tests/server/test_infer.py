"""Requests to models over ASGI, and what may become of them, on every loop."""

import gzip
import json
import logging
import threading
import zlib
from typing import Any

import anyio
import anyio.to_thread
import httpx
import numpy as np
import pytest

from support.helpers import PATIENCE, rows, tensor, until
from tests.server.messages import binary, body, given, parsed
from tests.server.serving import INFER, URL, client_of, error_of, filled, held, models_of
from trtasync.server.models import Models
from trtasync.server.protocol.answers import JSON_LENGTH
from trtasync.server.receiving import UNPACKED_AT_ONCE
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio

X = rows([1, 2])
IN_JSON = {"inputs": [given("x", [2, 4], "FP32", data=X.tolist())]}
IN_BINARY = {
    "inputs": [binary("x", [2, 4], "FP32")],
    "parameters": {"binary_data_output": True},
}


class Pieces(httpx.AsyncByteStream):
    """A body of a length that nobody tells. No generator: nobody would close it when it is not
    read to its end."""

    def __init__(self, content: bytes):
        self._pieces = iter([content[at : at + 1000] for at in range(0, len(content), 1000)])

    def __aiter__(self) -> "Pieces":
        return self

    async def __anext__(self) -> bytes:
        for piece in self._pieces:
            return piece
        raise StopAsyncIteration


async def test_json_in_json_out(client: httpx.AsyncClient) -> None:
    for path in (INFER, "/v2/models/m/versions/1/infer"):
        response = await client.post(path, json={"id": "a", **IN_JSON})
        assert response.status_code == 200
        assert response.headers["content-type"] == "application/json"
        assert JSON_LENGTH not in response.headers
        told, outputs = parsed(response.content, None)
        assert (told["id"], told["model_name"], told["model_version"]) == ("a", "m", "1")
        np.testing.assert_array_equal(outputs["y"], 2 * X)


async def test_binary_in_binary_out(client: httpx.AsyncClient) -> None:
    content, length = body(IN_BINARY, X)
    response = await client.post(INFER, content=content, headers={JSON_LENGTH: length})
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/octet-stream"
    told, outputs = parsed(response.content, response.headers[JSON_LENGTH])
    assert "id" not in told
    np.testing.assert_array_equal(outputs["y"], 2 * X)


async def test_a_body_that_is_one_tensor(client: httpx.AsyncClient) -> None:
    response = await client.post(INFER, content=X[:1].tobytes(), headers={JSON_LENGTH: "0"})
    _, outputs = parsed(response.content, response.headers[JSON_LENGTH])
    np.testing.assert_array_equal(outputs["y"], 2 * X[:1])


@pytest.mark.parametrize(
    ("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)]
)
@pytest.mark.parametrize("count", [2, 9000], ids=["here", "beside the loop"])
async def test_a_compressed_body(
    backend: ScriptedBackend, encoding: str, compress: Any, count: int
) -> None:
    """The header tells the length of the JSON as it was before."""
    x = np.random.default_rng(0).random((count, 4), np.float32)
    content, length = body({"inputs": [binary("x", [count, 4], "FP32")]}, x)
    headers = {JSON_LENGTH: length, "content-encoding": encoding}
    async with client_of(models_of(backend, max_queue_size=count)) as client:
        response = await client.post(INFER, content=compress(content), headers=headers)
    np.testing.assert_array_equal(parsed(response.content, None)[1]["y"], 2 * x)


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{", {}, 400),
        (b"", {}, 400),
        (b"{}", {JSON_LENGTH: "x"}, 400),
        (b"damaged", {"content-encoding": "gzip"}, 400),
        (b"{}", {"content-encoding": "br"}, 415),
        (b"{}" + bytes(1 << 16), {}, 413),
        (gzip.compress(bytes(1 << 20)), {"content-encoding": "gzip"}, 413),
    ],
)
async def test_a_body_that_is_refused(
    backend: ScriptedBackend, content: bytes, headers: dict[str, str], status: int
) -> None:
    async with client_of(models_of(backend), max_body=1 << 16) as client:
        error_of(await client.post(INFER, content=content, headers=headers), status)
        in_pieces = httpx.Request("POST", URL + INFER, headers=headers, stream=Pieces(content))
        error_of(await client.send(in_pieces), status)
        assert (await client.post(INFER, json=IN_JSON)).status_code == 200


async def test_a_compressed_body_that_is_one_tensor(client: httpx.AsyncClient) -> None:
    headers = {JSON_LENGTH: "0", "content-encoding": "gzip"}
    response = await client.post(INFER, content=gzip.compress(X[:1].tobytes()), headers=headers)
    _, outputs = parsed(response.content, response.headers[JSON_LENGTH])
    np.testing.assert_array_equal(outputs["y"], 2 * X[:1])


async def test_who_compresses_otherwise_is_told_what_is_understood(
    client: httpx.AsyncClient,
) -> None:
    response = await client.post(INFER, json=IN_JSON, headers={"content-encoding": "br"})
    error_of(response, 415)
    assert response.headers["accept-encoding"] == "gzip, deflate"


@pytest.mark.parametrize("told", [None, "text/plain", "application/x-www-form-urlencoded", "?"])
async def test_what_the_body_is_said_to_be_does_not_matter(
    client: httpx.AsyncClient, told: str | None
) -> None:
    """Triton's client of threads says nothing, curl that it is a form."""
    headers = {} if told is None else {"content-type": told}
    response = await client.post(INFER, content=json.dumps(IN_JSON), headers=headers)
    np.testing.assert_array_equal(parsed(response.content, None)[1]["y"], 2 * X)


async def test_the_length_of_the_json_comes_once(client: httpx.AsyncClient) -> None:
    content, length = body(IN_BINARY, X)
    headers = [(JSON_LENGTH, length), (JSON_LENGTH, length)]
    response = await client.post(INFER, content=content, headers=headers)
    assert "2 times" in error_of(response, 400)


async def test_the_model_refuses_what_it_does_not_take(client: httpx.AsyncClient) -> None:
    wide = {"inputs": [given("x", [1, 5], "FP32", data=[0] * 5)]}
    assert "x" in error_of(await client.post(INFER, json=wide), 400)


async def test_a_model_that_fails_says_so(
    backend: ScriptedBackend, client: httpx.AsyncClient
) -> None:
    backend.bad = lambda row: row[0] == 2
    assert "bad" in error_of(await client.post(INFER, json=IN_JSON), 500)


async def test_what_nobody_foresaw_is_for_the_log_only(
    caplog: pytest.LogCaptureFixture,
) -> None:
    models = Models()

    class Odd:
        """An engine with a fault."""

        inputs = outputs = ()
        is_alive = True

        async def infer(self, inputs: Any, *, priority: int = 0) -> Any:
            raise ZeroDivisionError("a secret")

        def statistics(self) -> Any:
            raise ZeroDivisionError("a secret")

        async def aclose(self) -> None: ...

    async def open_odd() -> Any:
        return Odd()

    models.add("m", open_odd)
    async with client_of(models) as client:
        with caplog.at_level(logging.ERROR, "trtasync"):
            text = error_of(await client.post(INFER, json={"inputs": []}), 500)
    assert "secret" not in text
    assert "ZeroDivisionError: a secret" in caplog.text


async def test_what_is_small_and_unpacks_to_much_holds_nobody_up(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the loop, nor the threads that others wait for."""
    bomb = gzip.compress(bytes(32 << 20))
    assert len(bomb) < 1 << 16
    unpack, begun, may_unpack = zlib.decompressobj, [], threading.Event()

    def patient(form: int) -> Any:
        begun.append(form)
        assert may_unpack.wait(PATIENCE)
        return unpack(form)

    monkeypatch.setattr(zlib, "decompressobj", patient)
    threads = anyio.to_thread.current_default_thread_limiter()
    headers = {"content-encoding": "gzip", JSON_LENGTH: "0"}
    statuses: list[int] = []

    async def ask() -> None:
        response = await client.post(INFER, content=bomb, headers=headers)
        statuses.append(response.status_code)

    async with anyio.create_task_group() as tasks:
        try:
            for _ in range(UNPACKED_AT_ONCE + 1):
                tasks.start_soon(ask)
            await until(lambda: len(begun) == UNPACKED_AT_ONCE)
            assert threads.borrowed_tokens == 0
        finally:
            may_unpack.set()
    assert statuses == [400] * (UNPACKED_AT_ONCE + 1)


@pytest.mark.parametrize("accepted", ["gzip", "deflate", "gzip, deflate, br"])
async def test_answers_are_compressed_where_the_server_was_told_so(
    backend: ScriptedBackend, accepted: str
) -> None:
    """tritonclient's aio client asks for it on every request and undoes it on some only."""
    headers = {"accept-encoding": accepted}
    async with client_of(models_of(backend)) as client:
        response = await client.post(INFER, json=IN_JSON, headers=headers)
        assert "content-encoding" not in response.headers
    async with client_of(models_of(backend), compress_answers=True) as client:
        response = await client.post(INFER, json=IN_JSON, headers=headers)
        assert response.headers["content-encoding"] == accepted.split(",")[0]
        assert response.headers["vary"] == "accept-encoding"
        np.testing.assert_array_equal(parsed(response.content, None)[1]["y"], 2 * X)
        for path in ("/v2", "/v2/models/m", "/v2/models/m/config", "/v2/models/stats"):
            response = await client.get(path, headers=headers)
            assert "content-encoding" not in response.headers


async def test_a_request_that_is_not_answered_in_its_time(backend: ScriptedBackend) -> None:
    async with client_of(models_of(backend)) as client:
        with held(backend):
            late = await client.post(INFER, json={**IN_JSON, "parameters": {"timeout": 20_000}})
        assert "timeout" in error_of(late, 504)
        in_time = {**IN_JSON, "parameters": {"timeout": 100_000_000}}
        assert (await client.post(INFER, json=in_time)).status_code == 200


async def test_priority_1_goes_first(backend: ScriptedBackend) -> None:
    models = models_of(backend, max_batch_size=1)
    async with client_of(models) as client, anyio.create_task_group() as tasks:

        async def ask(value: float, priority: int) -> None:
            x = given("x", [1, 4], "FP32", data=[value] * 4)
            parameters = {"priority": priority}
            await client.post(INFER, json={"inputs": [x], "parameters": parameters})

        with held(backend):
            for queued, (value, priority) in enumerate([(0, 0), (1, 9), (2, 0), (3, 1)]):
                tasks.start_soon(ask, value, priority)
                await filled(models.deployed("m").engine, queued)
    assert [computed[0, 0] for computed in backend.computed] == [0, 3, 2, 1]
    async with client_of(models_of(backend)) as client:
        too_low = {**IN_JSON, "parameters": {"priority": 10}}
        assert "priority" in error_of(await client.post(INFER, json=too_low), 400)


async def test_a_full_queue_says_when_to_come_back(backend: ScriptedBackend) -> None:
    models = models_of(backend, max_batch_size=1, max_queue_size=1)
    async with client_of(models) as client, anyio.create_task_group() as tasks:
        engine = models.deployed("m").engine
        with held(backend):
            for queued in (0, 1):
                tasks.start_soon(engine.infer, {"x": rows([1])})
                await filled(engine, queued)
            full = await client.post(INFER, content=X[:1].tobytes(), headers={JSON_LENGTH: "0"})
            too_large = await client.post(INFER, json=IN_JSON)
    error_of(full, 429)
    assert int(full.headers["retry-after"]) >= 1
    error_of(too_large, 413)
    assert "retry-after" not in too_large.headers


async def test_several_inputs_and_the_outputs_that_are_asked_for() -> None:
    backend = ScriptedBackend(
        lambda a, b: [a + b, a - b],
        inputs=[tensor("a", "N", 4), tensor("b", "N", 4)],
        outputs=[tensor("sum", "N", 4), tensor("difference", "N", 4)],
    )
    request = {
        "inputs": [binary("b", [2, 4], "FP32"), given("a", [2, 4], "FP32", data=X.tolist())],
        "outputs": [
            {"name": "difference", "parameters": {"classification": 1}},
            {"name": "sum", "parameters": {"binary_data": True}},
        ],
    }
    content, length = body(request, 2 * X)
    async with client_of(models_of(backend)) as client:
        response = await client.post(INFER, content=content, headers={JSON_LENGTH: length})
    told, outputs = parsed(response.content, response.headers[JSON_LENGTH])
    assert [each["name"] for each in told["outputs"]] == ["difference", "sum"]
    assert outputs["difference"] == [b"-1.0:0", b"-2.0:0"]
    np.testing.assert_array_equal(outputs["sum"], 3 * X)


async def test_json_of_any_order_and_spacing(client: httpx.AsyncClient) -> None:
    content = json.dumps({**IN_JSON, "unknown": [1], "id": "z"}, indent=3)
    response = await client.post(INFER, content=content)
    assert response.json()["id"] == "z"
