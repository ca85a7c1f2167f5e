"""What servers and models say of themselves over ASGI; what is not there; who is ready."""

import re

import httpx
import pytest

from support.helpers import rows
from tests.server.messages import given, parsed
from tests.server.serving import INFER, client_of, error_of, models_of, opener
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio

IN_JSON = {"inputs": [given("x", [2, 4], "FP32", data=rows([1, 2]).tolist())]}


async def test_a_model_that_is_not_ready(backend: ScriptedBackend) -> None:
    models = models_of(backend)
    async with client_of(models) as client:
        await models.find("m").unload()
        for path in ("", "/config", "/stats", "/ready"):
            response = await client.get(f"/v2/models/m{path}")
            error_of(response, 503)
            assert int(response.headers["retry-after"]) >= 1
        error_of(await client.post(INFER, json=IN_JSON), 503)
        error_of(await client.get("/v2/health/ready"), 503)
        assert (await client.get("/v2/health/live")).status_code == 200
        assert (await client.get("/v2/models/stats")).json() == {"model_stats": []}


async def test_a_version_that_is_not_ready_beside_one_that_is(backend: ScriptedBackend) -> None:
    models = models_of(backend)
    async with client_of(models) as client:
        models.add("m", opener(ScriptedBackend()), version=2)
        assert (await client.get("/v2/models/m")).json()["versions"] == ["1"]
        (told,) = (await client.get("/v2/models/m/stats")).json()["model_stats"]
        assert told["version"] == "1"
        for path in ("", "/config", "/stats", "/ready"):
            error_of(await client.get(f"/v2/models/m/versions/2{path}"), 503)
        assert (await client.get("/v2/health/ready")).status_code == 200


async def test_a_server_that_has_lost_its_device_is_not_ready(backend: ScriptedBackend) -> None:
    async with client_of(models_of(backend)) as client:
        assert (await client.get("/v2/health/ready")).status_code == 200
        assert (await client.get("/v2/models/m/ready")).status_code == 200
        backend.lose = True
        error_of(await client.post(INFER, json=IN_JSON), 503)
        error_of(await client.get("/v2/health/ready"), 503)
        error_of(await client.get("/v2/models/m/ready"), 503)


async def test_a_server_that_is_about_to_end_is_not_ready(backend: ScriptedBackend) -> None:
    models = models_of(backend)
    async with client_of(models) as client:
        models.is_closing = True
        error_of(await client.get("/v2/health/ready"), 503)
        error_of(await client.get("/v2/models/m/ready"), 503)
        assert (await client.post(INFER, json=IN_JSON)).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/v2/"),
        ("GET", "/v1"),
        ("GET", "/v2/models"),
        ("GET", "/v2/models/z"),
        ("GET", "/v2/models/m/versions/2"),
        ("GET", "/v2/models/m/versions/01/ready"),
        ("GET", "/v2/models/m/versions/x/config"),
        ("GET", "/v2/models/m/what"),
        ("GET", "/v2/models/m/stats/"),
        ("GET", "/v2/models/%2e%2e/config"),
        ("POST", "/v2/models/z/infer"),
        ("POST", "/v2/models/m/versions/2/infer"),
        ("POST", "/v2/models/m/generate"),
        ("POST", "/v2/models/m/generate_stream"),
        ("GET", "/v2/trace/setting"),
        ("POST", "/v2/models/m/trace/setting"),
        ("GET", "/v2/logging"),
        ("POST", "/v2/systemsharedmemory/region/r/register"),
        ("POST", "/v2/systemsharedmemory/unregister"),
        ("POST", "/v2/repository/models/z/load"),
        ("GET", "/v2/systemsharedmemory/status"),
        ("POST", "/v2/cudasharedmemory/unregister"),
    ],
)
async def test_what_is_not_there(backend: ScriptedBackend, method: str, path: str) -> None:
    async with client_of(models_of(backend), model_control=True) as client:
        error_of(await client.request(method, path), 404)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", INFER, "POST"),
        ("PUT", INFER, "POST"),
        ("POST", "/v2", "GET, HEAD"),
        ("POST", "/v2/health/live", "GET, HEAD"),
        ("DELETE", "/v2/models/m", "GET, HEAD"),
        ("GET", "/v2/repository/index", "POST"),
    ],
)
async def test_a_method_that_does_not_go(
    client: httpx.AsyncClient, method: str, path: str, allowed: str
) -> None:
    response = await client.request(method, path)
    error_of(response, 405)
    assert set(response.headers["allow"].split(", ")) == set(allowed.split(", "))


async def test_head_is_get_without_its_body(client: httpx.AsyncClient) -> None:
    response = await client.head("/v2")
    assert response.status_code == 200
    assert response.headers["content-length"] == str(len((await client.get("/v2")).content))


async def test_what_the_server_and_its_model_say_of_themselves(client: httpx.AsyncClient) -> None:
    live = await client.get("/v2/health/live")
    assert (live.status_code, live.content) == (200, b"")
    server = (await client.get("/v2")).json()
    assert server["name"] == "trtasync"
    for path in ("/v2/models/m", "/v2/models/m/versions/1"):
        told = (await client.get(path)).json()
        assert told == {
            "name": "m",
            "versions": ["1"],
            "platform": "trtasync",
            "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}],
            "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 4]}],
        }
    for path in ("/v2/models/m/config", "/v2/models/m/versions/1/config"):
        told = (await client.get(path)).json()
        assert told["max_batch_size"] == 4096
        assert told["input"][0]["dims"] == [4]
    await client.post(INFER, json=IN_JSON)
    for path in ("/v2/models/stats", "/v2/models/m/stats", "/v2/models/m/versions/1/stats"):
        (told,) = (await client.get(path)).json()["model_stats"]
        assert (told["name"], told["version"], told["inference_count"]) == ("m", "1", 2)


async def test_versions_and_aliases(backend: ScriptedBackend) -> None:
    models = models_of(backend)
    models.add("m", opener(ScriptedBackend(lambda x: 3 * x)), version=10)
    models.add("m", opener(ScriptedBackend(lambda x: 4 * x)), version=9)
    models.alias("newest", "m")
    models.alias("oldest", "m", version=1)

    async with client_of(models) as client:

        async def factor(path: str) -> tuple[float, str, str]:
            response = await client.post(f"/v2/models/{path}/infer", json=IN_JSON)
            told, outputs = parsed(response.content, None)
            return outputs["y"][0, 0], told["model_name"], told["model_version"]

        assert await factor("m") == (3, "m", "10")
        assert await factor("newest") == (3, "m", "10")
        assert await factor("m/versions/9") == (4, "m", "9")
        assert await factor("oldest") == (2, "m", "1")
        error_of(await client.get("/v2/models/oldest/versions/9"), 404)
        assert (await client.get("/v2/models/m")).json()["versions"] == ["1", "9", "10"]
        assert (await client.get("/v2/models/oldest")).json()["versions"] == ["1"]
        assert len((await client.get("/v2/models/m/stats")).json()["model_stats"]) == 3
        await models.find("m", "10").unload()
        assert await factor("m") == (4, "m", "9")


async def test_who_asks_for_no_route_is_told_where_all_are_listed(
    client: httpx.AsyncClient,
) -> None:
    error = error_of(await client.get("/"), 404)

    (path,) = re.findall(r"v2/\S+", error)
    assert (await client.get(f"/{path}")).json()["paths"]
