"""The repository over ASGI."""

from typing import Any

import httpx
import pytest

from support.helpers import rows
from tests.server.messages import given
from tests.server.serving import INFER, client_of, error_of, models_of
from trtasync import open_engine
from trtasync.server.control import LONGEST
from trtasync.server.models import Models
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio

IN_JSON = {"inputs": [given("x", [2, 4], "FP32", data=rows([1, 2]).tolist())]}


async def test_the_repository(backend: ScriptedBackend) -> None:
    async with client_of(models_of(backend), model_control=True) as client:
        extensions = (await client.get("/v2")).json()["extensions"]
        assert "model_repository(unload_dependents)" in extensions
        ready = {"name": "m", "version": "1", "state": "READY", "reason": ""}
        for content in (b"", b"{}", b'{"ready": true}'):
            response = await client.post("/v2/repository/index", content=content)
            assert response.json() == [ready]
        unload = {"parameters": {"unload_dependents": False}}  # tritonclient always says so
        response = await client.post("/v2/repository/models/m/unload", json=unload)
        assert (response.status_code, response.content) == (200, b"")
        index = await client.post("/v2/repository/index")
        assert index.json() == [{**ready, "state": "UNAVAILABLE", "reason": "unloaded"}]
        assert (await client.post("/v2/repository/index", json={"ready": True})).json() == []
        response = await client.post("/v2/repository/models/m/load")
        assert (response.status_code, response.content) == (200, b"")
        assert (await client.post(INFER, json=IN_JSON)).status_code == 200


@pytest.mark.parametrize(
    "parameters",
    [{"config": "{}"}, {"file:1/../../etc/x": "AAAA"}],
)
async def test_nobody_brings_files_or_settings_along(
    backend: ScriptedBackend, parameters: dict[str, str]
) -> None:
    async with client_of(models_of(backend), model_control=True) as client:
        load = {"parameters": parameters}
        response = await client.post("/v2/repository/models/m/load", json=load)
        assert "without parameters" in error_of(response, 400)


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("index", b"[]"),
        ("index", b"{"),
        ("index", b'{"ready": 1}'),
        ("index", b'{"x": ' + b"[" * 50_000),
        ("models/m/load", b'{"parameters": {"\xff": 1}}'),
        ("models/m/unload", b'{"parameters": {"unload_dependents": "yes"}}'),
    ],
)
async def test_what_is_no_request_to_the_repository(
    backend: ScriptedBackend, path: str, content: bytes
) -> None:
    async with client_of(models_of(backend), model_control=True) as client:
        error_of(await client.post(f"/v2/repository/{path}", content=content), 400)


async def test_nobody_unloads_models_unless_the_server_was_told_so(
    client: httpx.AsyncClient,
) -> None:
    assert (await client.post("/v2/repository/index")).status_code == 200
    for change in ("load", "unload"):
        error_of(await client.post(f"/v2/repository/models/m/{change}"), 403)
    assert (await client.post(INFER, json=IN_JSON)).status_code == 200


async def test_a_model_that_cannot_be_loaded_says_why(backend: ScriptedBackend) -> None:
    faults: list[Exception] = []
    models = Models()

    async def opened() -> Any:
        if faults:
            raise faults[0]
        return await open_engine(backend)

    models.add("m", opened)
    async with client_of(models, model_control=True) as client:
        faults.append(ValueError("no such plan"))
        error_of(await client.post("/v2/repository/models/m/load"), 500)
        (told,) = (await client.post("/v2/repository/index")).json()
        assert (told["state"], told["reason"]) == ("READY", "no such plan")
        assert (await client.post(INFER, json=IN_JSON)).status_code == 200


@pytest.mark.parametrize("path", ["index", "models/m/load", "models/m/unload"])
async def test_a_request_without_tensors_is_short(backend: ScriptedBackend, path: str) -> None:
    content = b'{"more":"%s"}' % (b"x" * LONGEST)
    async with client_of(models_of(backend), model_control=True) as client:
        response = await client.post(f"/v2/repository/{path}", content=content)
        assert f"more than {LONGEST} bytes" in error_of(response, 413)
