"""HTTP and gRPC through Ray, in whatever mode it passes requests on."""

import os
from functools import partial
from typing import Any

import anyio
import httpx
import numpy as np
import pytest
from anyio.from_thread import BlockingPortal

from support.helpers import row, same
from tests.ray.conftest import GRPC, HTTP
from tests.ray.test_requests import held, reached
from trtasync import Statistics

tritonhttp = pytest.importorskip("tritonclient.http")
tritongrpc = pytest.importorskip("tritonclient.grpc")

URL = f"http://127.0.0.1:{HTTP}/double/v2"
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


def test_who_leaves_or_is_timed_out_leaves_the_queue(double: Any, portal: BlockingPortal) -> None:
    async def load() -> tuple[httpx.Response, int]:
        before: Statistics = await double.statistics.remote()
        url, cancelled = f"{URL}/models/double/infer", before.cancelled
        async with (
            httpx.AsyncClient(timeout=30) as client,
            anyio.create_task_group() as kept,
            held(double),
        ):
            ask = partial(client.post, url, json=REQUEST)
            kept.start_soon(ask)
            await reached(double, lambda counts: counts.in_flight == 1)
            async with anyio.create_task_group() as leaving:
                for _ in range(10):
                    leaving.start_soon(ask)
                await reached(double, lambda counts: counts.queued == 10)
                leaving.cancel_scope.cancel()
            await reached(double, lambda counts: counts.cancelled - cancelled == 10)
            late = await ask(headers={"x-request-timeout-seconds": "0.2"})
            await reached(double, lambda counts: counts.cancelled - cancelled == 11)
        after: Statistics = await double.statistics.remote()
        return late, after.rows - before.rows

    late, rows = portal.call(load)
    assert rows == 1
    assert late.status_code == 408
    assert "timed out" in late.json()["error"]
