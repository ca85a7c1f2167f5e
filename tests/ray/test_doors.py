"""HTTP and gRPC through Ray, in whatever mode it passes requests on."""

import os
from typing import Any

import anyio
import httpx
import numpy as np
import pytest
from anyio.from_thread import BlockingPortal

from support.helpers import row, same
from tests.ray.conftest import GRPC, HTTP, Run
from tests.ray.models import scripted
from tests.ray.test_requests import reached

tritonhttp = pytest.importorskip("tritonclient.http")
tritongrpc = pytest.importorskip("tritonclient.grpc")

URL = f"http://127.0.0.1:{HTTP}/app/v2"
BEHIND_HAPROXY = os.environ.get("RAY_SERVE_ENABLE_HA_PROXY") == "1"
REQUEST = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 1, 1, 1]}]}


def given(kind: Any) -> Any:
    """An input in the classes of a client of Triton's."""
    tensor = kind.InferInput("x", [1, 4], "FP32")
    tensor.set_data_from_numpy(np.ones((1, 4), np.float32))
    return tensor


def test_tritons_http_client(run: Run) -> None:
    run(scripted())
    with tritonhttp.InferenceServerClient(f"127.0.0.1:{HTTP}/app") as client:
        assert client.is_server_ready()
        assert client.get_model_metadata("double")["inputs"][0]["name"] == "x"
        answer = client.infer("double", [given(tritonhttp)])
        assert same(answer.as_numpy("y"), [row(2)])


def test_tritons_grpc_client(run: Run) -> None:
    run(scripted())
    metadata = {"application": "app"}
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
def test_errors_have_the_protocols_form(run: Run, path: str, status: int, text: str) -> None:
    if BEHIND_HAPROXY and "elsewhere" in path:
        pytest.skip("HAProxy answers that by itself")
    run(scripted())
    answer = httpx.get(URL + path)
    assert answer.status_code == status
    assert answer.json()["error"].startswith(text)


def test_who_leaves_or_is_timed_out_leaves_the_queue(run: Run, portal: BlockingPortal) -> None:
    handle = run(scripted())

    async def load() -> tuple[httpx.Response, int]:
        await handle.hold.remote()
        async with httpx.AsyncClient(timeout=30) as client, anyio.create_task_group() as kept:

            async def ask(**headers: str) -> httpx.Response:
                return await client.post(
                    f"{URL}/models/double/infer", json=REQUEST, headers=headers
                )

            kept.start_soon(ask)
            await reached(handle, lambda counts: counts.in_flight == 1)
            async with anyio.create_task_group() as leaving:
                for _ in range(10):
                    leaving.start_soon(ask)
                await reached(handle, lambda counts: counts.queued == 10)
                leaving.cancel_scope.cancel()
            await reached(handle, lambda counts: counts.cancelled == 10)
            late = await ask(**{"x-request-timeout-seconds": "0.2"})
            await reached(handle, lambda counts: counts.cancelled == 11)
            await handle.let.remote()
        return late, await handle.computed.remote()

    late, computed = portal.call(load)
    assert computed == 1
    assert late.status_code == 408
    assert "timed out" in late.json()["error"]
