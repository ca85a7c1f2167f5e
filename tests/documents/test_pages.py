"""The code in docs/tensorrt-flow.md, in docs/serving.md and in docs/fastapi.md runs."""

import re
import socket
from pathlib import Path
from typing import Any

import anyio
import httpx
import numpy as np
import pytest
from anyio import to_thread
from fastapi import FastAPI
from starlette.requests import Request
from starlette.routing import Route
from tritonclient.grpc import InferInput
from tritonclient.grpc.aio import InferenceServerClient

import trtasync
from support import doubles
from support.helpers import PATIENCE
from tests.documents.running import code_blocks, python_blocks, run, run_block, write_identity
from tests.integrations.services import behind_uvicorn
from tests.server.grpc.loops import BOTH
from tests.server.program.serving import serving
from trtasync.integrations import starlette

VERSIONS = ["11.4.0.106", "10.16.1.11"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.anyio
async def test_the_walk_through_runs_on_the_doubles(elsewhere: Path, version: str) -> None:
    write_identity(elsewhere / "model.onnx", ["N", "H", "W"])
    names: dict[str, object] = {}
    with doubles.install(version=version) as gpu:
        gpu.builds.static_contexts = True  # those that are made by hand
        for block in python_blocks("docs/tensorrt-flow.md"):
            await run_block(block, names)
    np.testing.assert_array_equal(names["y"], names["x"])
    assert (elsewhere / "model.plan").is_file()
    assert (elsewhere / "again.plan").is_file()


@pytest.mark.anyio
async def test_the_server_in_the_documents_serves(elsewhere: Path, anyio_backend_name: str) -> None:
    for name in ("digits", "better"):
        write_identity(elsewhere / f"{name}.onnx", ["N", 4])
    _, server, _, app = python_blocks("docs/serving.md")
    names: dict[str, Any] = {"np": np, "trtasync": trtasync, "FastAPI": FastAPI}
    names |= {"Request": Request, "Route": Route, **vars(starlette)}
    await run_block(app, names)
    assert await ask_the_app(names["app"]) == [1, 2, 3, 4]
    if anyio_backend_name == "asyncio":  # as the fast door is
        names = {"ask_the_server": ask_the_server}
        block = server.replace("8000", "0").replace("anyio.sleep_forever()", "ask_the_server(door)")
        await run_block(block, names)
        await names["main"]()


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", BOTH)
async def test_the_server_in_the_documents_serves_over_grpc(elsewhere: Path) -> None:
    for name in ("digits", "better"):
        write_identity(elsewhere / f"{name}.onnx", ["N", 4])
    names: dict[str, Any] = {"ask_over_grpc": ask_over_grpc}
    block = python_blocks("docs/serving.md")[2].replace(':8001"):', ':0") as port:')
    block = block.replace("anyio.sleep_forever()", "ask_over_grpc(port)")
    await run_block(block, names)
    await names["main"]()


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # as uvicorn is
async def test_the_page_about_fastapi(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    await run_block(python_blocks("docs/first-engine.md")[0], {})  # writes the model
    whole, client = python_blocks("docs/fastapi.md")
    (change,) = (block for language, block in code_blocks("docs/fastapi.md") if language == "diff")
    lines = {sign: re.findall(rf"^\{sign}(.*\n)", change, re.MULTILINE) for sign in "-+"}
    before, after = ("".join(lines[sign]) for sign in "-+")
    assert before in whole
    names: dict[str, Any] = {}
    await run_block(whole.replace(before, after), names)  # which test_web_servers asks
    await run_block(whole, names)
    async with behind_uvicorn(names["app"]) as port:
        await to_thread.run_sync(exec, client.replace("8080", str(port)), {})
    assert capsys.readouterr().out == "[0.5, 0.5]\n"


def test_tritons_client_in_the_documents_is_answered(elsewhere: Path) -> None:
    anyio.run(run_block, python_blocks("docs/first-engine.md")[0], {})  # writes the model
    script, block = elsewhere / "client.py", python_blocks("docs/serving.md")[0]
    with serving(elsewhere, elsewhere / "model.onnx") as server:
        script.write_text(block.replace("127.0.0.1:8000", server.url.removeprefix("http://")))
        assert run(str(script)) == "[[0.5 0.5]]\n"


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


async def ask_over_grpc(port: int) -> None:
    """Its model."""
    async with InferenceServerClient(f"127.0.0.1:{port}") as client:
        asked = InferInput("x", [1, 4], "FP32")
        asked.set_data_from_numpy(np.array([[1, 2, 3, 4]], np.float32))
        answer = await client.infer("digits", [asked])
        assert answer.as_numpy("y").tolist() == [[1, 2, 3, 4]]
