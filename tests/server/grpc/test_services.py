"""What servers and models say of themselves over gRPC, and who may load and unload."""

import pytest

from support.helpers import rows
from tests.server.grpc.clients import raw, refused, request, serving
from tests.server.serving import models_of, opener
from trtasync.server.models import Models
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio


async def test_who_is_ready(backend: ScriptedBackend) -> None:
    models = models_of(backend)
    async with serving(models) as client:
        assert (await client.call("ServerLive")).live
        assert (await client.call("ServerReady")).ready
        assert (await client.call("ModelReady", name="m")).ready
        for name, version in (("z", ""), ("m", "2"), ("m", "x")):
            assert not (await client.call("ModelReady", name=name, version=version)).ready
        models.is_closing = True
        assert not (await client.call("ServerReady")).ready
        assert not (await client.call("ModelReady", name="m")).ready
        models.is_closing = False
        await models.find("m").unload()
        assert not (await client.call("ServerReady")).ready
        assert not (await client.call("ModelReady", name="m")).ready
        assert (await client.call("ServerLive")).live


@pytest.mark.parametrize("method", ["ModelMetadata", "ModelConfig", "ModelStatistics"])
async def test_a_model_that_there_is_not(backend: ScriptedBackend, method: str) -> None:
    models = models_of(backend)
    async with serving(models) as client:
        assert await client.call(method, name="m")
        await refused(client.call(method, name="z"), "NOT_FOUND")
        await refused(client.call(method, name="m", version="2"), "NOT_FOUND")
        await models.find("m").unload()
        error = await refused(client.call(method, name="m"), "UNAVAILABLE")
        assert dict(error.trailing_metadata()) == {"grpc-retry-pushback-ms": "1000"}


async def test_versions_and_aliases() -> None:
    models = Models()
    for number in (1, 2):
        models.add("m", opener(ScriptedBackend(lambda x, by=number: by * x)), version=number)
    models.alias("stable", "m", version=1)
    async with serving(models) as client:
        for name, asked, by in (("m", "", 2), ("m", "1", 1), ("stable", "", 1)):
            answer = await client.infer(request(rows([3]), model=name, model_version=asked))
            assert answer.raw_output_contents[0] == raw(by * 3)
            assert (answer.model_name, answer.model_version) == ("m", str(by))
            (entry, *_) = (
                await client.call("ModelStatistics", name=name, version=asked)
            ).model_stats
            assert entry.name == "m"
        versions = (await client.call("ModelMetadata", name="stable")).versions
        assert list(versions) == ["1"]


async def test_loading_and_unloading(backend: ScriptedBackend) -> None:
    models = models_of(backend)
    models.add("other", opener(ScriptedBackend()))
    async with serving(models, model_control=True) as client:
        await client.call("RepositoryModelUnload", model_name="m")
        await refused(client.infer(request(rows([1]))), "UNAVAILABLE")
        index = (await client.call("RepositoryIndex")).models
        assert [(each.name, each.version, each.state, each.reason) for each in index] == [
            ("m", "1", "UNAVAILABLE", "unloaded"),
            ("other", "1", "READY", ""),
        ]
        ready = (await client.call("RepositoryIndex", ready=True)).models
        assert [each.name for each in ready] == ["other"]
        await client.call("RepositoryModelLoad", model_name="m")
        assert (await client.infer(request(rows([1])))).raw_output_contents[0] == raw(2)
        await refused(client.call("RepositoryModelLoad", model_name="z"), "NOT_FOUND")
        await refused(client.call("RepositoryModelUnload", model_name="z"), "NOT_FOUND")


async def test_nobody_loads_or_unloads_where_it_is_not_allowed(backend: ScriptedBackend) -> None:
    async with serving(models_of(backend)) as client:
        for method in ("RepositoryModelLoad", "RepositoryModelUnload"):
            await refused(client.call(method, model_name="m"), "PERMISSION_DENIED")
        extensions = (await client.call("ServerMetadata")).extensions
        assert not [each for each in extensions if "repository" in each]
        assert (await client.call("RepositoryIndex")).models
        assert await client.infer(request(rows([1])))
