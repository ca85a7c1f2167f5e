"""HTTP and gRPC through Ray, in whatever mode it passes requests on."""

import json
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import anyio
import httpx
import numpy as np
import pytest
from anyio.abc import SocketStream
from anyio.from_thread import BlockingPortal

from support.helpers import row, same
from tests.ray.conftest import GRPC, HTTP
from tests.ray.watching import held, reached
from trtasync import Statistics

tritonhttp = pytest.importorskip("tritonclient.http")
tritongrpc = pytest.importorskip("tritonclient.grpc")

PATH = "/double/v2"
URL = f"http://127.0.0.1:{HTTP}{PATH}"
BEHIND_HAPROXY = os.environ.get("RAY_SERVE_ENABLE_HA_PROXY") == "1"
REQUEST = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 1, 1, 1]}]}


def given(kind: Any) -> Any:
    """An input in the classes of a client of Triton's."""
    tensor = kind.InferInput("x", [1, 4], "FP32")
    tensor.set_data_from_numpy(np.ones((1, 4), np.float32))
    return tensor


pytestmark = pytest.mark.usefixtures("double")


def test_tritons_http_client() -> None:
    with tritonhttp.InferenceServerClient(f"127.0.0.1:{HTTP}/double") as client:
        assert client.is_server_ready()
        assert client.get_model_metadata("double")["inputs"][0]["name"] == "x"
        answer = client.infer("double", [given(tritonhttp)])
        assert same(answer.as_numpy("y"), [row(2)])


def test_tritons_grpc_client() -> None:
    metadata = {"application": "double"}
    with tritongrpc.InferenceServerClient(f"127.0.0.1:{GRPC}") as client:
        assert client.is_server_ready(headers=metadata)
        answer = client.infer("double", [given(tritongrpc)], headers=metadata)
        assert same(answer.as_numpy("y"), [row(2)])
        with pytest.raises(tritongrpc.InferenceServerException, match="there is no model 'triple'"):
            client.infer("triple", [given(tritongrpc)], headers=metadata)


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/models/double/nothing", 404, "Not Found"),
        ("/models/triple", 404, "there is no model 'triple'."),
        ("/../../elsewhere/v2/models/double", 404, "Path '/elsewhere/v2/models/double' not found."),
    ],
)
def test_errors_have_the_protocols_form(path: str, status: int, text: str) -> None:
    if BEHIND_HAPROXY and "elsewhere" in path:
        pytest.skip("HAProxy answers that by itself")
    answer = httpx.get(URL + path)
    assert answer.status_code == status
    assert answer.json()["error"].startswith(text)


@asynccontextmanager
async def asked(**headers: str) -> AsyncIterator[SocketStream]:
    """The socket of a client who has asked, and leaves at the end of the block."""
    body = json.dumps(REQUEST)
    lines = {"host": "ray", "content-length": str(len(body)), **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    async with await anyio.connect_tcp("127.0.0.1", HTTP) as client:
        await client.send(f"POST {PATH}/models/double/infer HTTP/1.1\r\n{head}\r\n{body}".encode())
        yield client


def test_who_leaves_or_is_timed_out_leaves_the_queue(double: Any, portal: BlockingPortal) -> None:
    async def load() -> tuple[bytes, int]:
        before: Statistics = await double.statistics.remote()
        cancelled = before.cancelled
        async with AsyncExitStack() as kept:
            await kept.enter_async_context(held(double))
            await kept.enter_async_context(asked())
            await reached(double, lambda counts: counts.in_flight == 1)
            async with AsyncExitStack() as leaving:
                for _ in range(10):
                    await leaving.enter_async_context(asked())
                await reached(double, lambda counts: counts.queued == 10)
            await reached(double, lambda counts: counts.cancelled - cancelled == 10)
            async with asked(**{"x-request-timeout-seconds": "0.2"}) as late:
                answer = b""
                while not answer.endswith(b"}"):
                    answer += await late.receive()
            await reached(double, lambda counts: counts.cancelled - cancelled == 11)
        after = await reached(double, lambda counts: counts.in_flight == 0)
        return answer, after.rows - before.rows

    answer, rows = portal.call(load)
    assert rows == 1
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'{"error": "Request ' in answer
