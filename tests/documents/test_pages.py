"""The code in the README, in docs/tensorrt-flow.md and in docs/serving.md runs."""

import logging
import socket
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.routing import Route
from tritonclient.grpc import InferInput
from tritonclient.grpc.aio import InferenceServerClient

import trtasync
from support import doubles
from support.helpers import PATIENCE
from tests.documents.running import python_blocks, run, run_block, write_identity
from trtasync.integrations import starlette

VERSIONS = ["11.4.0.106", "10.16.1.11"]


def test_code_in_the_readme_runs(tmp_path: Path) -> None:
    blocks = [block for block in python_blocks("README.md") if "import trtasync" in block]
    assert len(blocks) == 2
    for index, block in enumerate(blocks):
        script = tmp_path / f"block_{index}.py"
        script.write_text(block)
        assert "same" in run(str(script))


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to be in, where plans are kept as well."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRTASYNC_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path


@pytest.mark.anyio
async def test_the_readmes_way_to_a_plan_runs_on_the_doubles(elsewhere: Path) -> None:
    (block,) = [block for block in python_blocks("README.md") if "import" not in block]
    write_identity(elsewhere / "model.onnx", ["N", 3, 224, 224])
    with doubles.install():
        await run_block(block, {"trtasync": trtasync})


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.anyio
async def test_the_walk_through_runs_on_the_doubles(elsewhere: Path, version: str) -> None:
    write_identity(elsewhere / "model.onnx", ["N", "H", "W"])
    names: dict[str, object] = {}
    level = logging.getLogger("trtasync.tensorrt").level
    with doubles.install(version=version) as gpu:
        gpu.builds.static_contexts = True  # those that are made by hand
        try:
            for block in python_blocks("docs/tensorrt-flow.md"):
                await run_block(block, names)
        finally:
            logging.getLogger("trtasync.tensorrt").setLevel(level)
    np.testing.assert_array_equal(names["y"], names["x"])
    assert (elsewhere / "model.plan").is_file()
    assert (elsewhere / "again.plan").is_file()


@pytest.mark.anyio
async def test_the_server_in_the_documents_serves(elsewhere: Path, anyio_backend_name: str) -> None:
    for name in ("digits", "better"):
        write_identity(elsewhere / f"{name}.onnx", ["N", 4])
    server, over_grpc, app = python_blocks("docs/serving.md")
    names: dict[str, Any] = {"np": np, "trtasync": trtasync, "FastAPI": FastAPI}
    names |= {"Request": Request, "Route": Route, **vars(starlette)}
    await run_block(app, names)
    assert await ask_the_app(names["app"]) == [1, 2, 3, 4]
    if anyio_backend_name == "asyncio":  # as the fast door is
        names = {"ask_the_server": ask_the_server}
        block = server.replace("8000", "0").replace("anyio.sleep_forever()", "ask_the_server(door)")
        await run_block(block, names)
        await names["main"]()
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = str(free.getsockname()[1])
        names = {"ask_over_grpc": partial(ask_over_grpc, f"127.0.0.1:{port}")}
        block = over_grpc.replace("8001", port).replace("anyio.sleep_forever()", "ask_over_grpc()")
        await run_block(block, names)
        await names["main"]()


async def ask_the_app(app: FastAPI) -> object:
    """What it makes of four numbers."""
    async with app.router.lifespan_context(app) as state:

        async def served(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, "state": state}, receive, send)

        async with httpx.AsyncClient(transport=httpx.ASGITransport(served)) as client:
            body = np.array([1, 2, 3, 4], np.float32).tobytes()
            return (await client.post("http://app/digits", content=body)).json()


async def ask_the_server(door: socket.socket) -> None:
    """Both of its models."""
    url = f"http://127.0.0.1:{door.getsockname()[1]}/v2/models"
    inputs = [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}]
    async with httpx.AsyncClient(timeout=PATIENCE) as client:
        for name, version in (("stable", "1"), ("digits", "2")):
            answer = await client.post(f"{url}/{name}/infer", json={"inputs": inputs})
            assert answer.json()["model_version"] == version


async def ask_over_grpc(address: str) -> None:
    """Its model."""
    async with InferenceServerClient(address) as client:
        asked = InferInput("x", [1, 4], "FP32")
        asked.set_data_from_numpy(np.array([[1, 2, 3, 4]], np.float32))
        answer = await client.infer("digits", [asked])
        assert answer.as_numpy("y").tolist() == [[1, 2, 3, 4]]
