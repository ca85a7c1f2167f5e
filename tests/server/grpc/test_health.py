"""gRPC's health service."""

import grpc.aio
import pytest

from support.helpers import rows
from tests.server.grpc.clients import ALONE, refused, request, serving
from tests.server.serving import models_of
from trtasync.server.grpc import GrpcServer
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio

SERVICES = ["", "inference.GRPCInferenceService"]


@pytest.mark.parametrize("service", SERVICES)
async def test_ready_is_who_has_all_models_ready(backend: ScriptedBackend, service: str) -> None:
    models = models_of(backend)
    async with serving(models) as client:
        assert await client.check(service) == "SERVING"
        await models.find("m").unload()
        assert await client.check(service) == "NOT_SERVING"
        await models.find("m").load()
        assert await client.check(service) == "SERVING"
        models.is_closing = True
        assert await client.check(service) == "NOT_SERVING"


async def test_alive_is_who_answers(backend: ScriptedBackend) -> None:
    models = models_of(backend)
    async with serving(models) as client:
        await models.find("m").unload()
        assert await client.check("live") == "SERVING"


async def test_a_service_that_is_not_here(backend: ScriptedBackend) -> None:
    async with serving(models_of(backend)) as client:
        error = await refused(client.check("nothing"), "NOT_FOUND")
        assert error.details() == "there is no service 'nothing' here."
        watch = client.watch("nothing")
        assert await watch.read() == "SERVICE_UNKNOWN"  # and it may come; the call goes on
        assert not watch.done()


async def test_who_watches_is_told_of_each_change(backend: ScriptedBackend) -> None:
    models = models_of(backend)
    async with serving(models) as client:
        watch = client.watch()
        assert await watch.read() == "SERVING"
        await models.find("m").unload()
        assert await watch.read() == "NOT_SERVING"
        await models.find("m").load()
        assert await watch.read() == "SERVING"


async def test_who_watches_is_told_of_a_lost_device(backend: ScriptedBackend) -> None:
    async with serving(models_of(backend)) as client:
        watch = client.watch()
        assert await watch.read() == "SERVING"
        backend.lose = True
        await refused(client.infer(request(rows([1]))), "UNAVAILABLE")
        assert await watch.read() == "NOT_SERVING"


@pytest.mark.parametrize("method", ["Check", "Watch"])
async def test_what_is_no_request(backend: ScriptedBackend, method: str) -> None:
    async with serving(models_of(backend)) as client:
        path = f"/grpc.health.v1.Health/{method}"
        many = client.channel.unary_stream if method == "Watch" else client.channel.unary_unary
        call = many(path)(b"\x0a\xff")
        error = await refused(call.read() if method == "Watch" else call, "INVALID_ARGUMENT")
        assert "no HealthCheckRequest" in error.details()


async def test_a_client_nobody_here_wrote(backend: ScriptedBackend) -> None:
    health = pytest.importorskip("grpc_health.v1.health_pb2")
    stubs = pytest.importorskip("grpc_health.v1.health_pb2_grpc")
    models = models_of(backend)
    async with (
        models,
        GrpcServer(models).listening("127.0.0.1:0") as port,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=[ALONE]) as channel,
    ):
        stub = stubs.HealthStub(channel)
        asked = health.HealthCheckRequest()
        answer = await stub.Check(asked)
        assert answer.status == health.HealthCheckResponse.SERVING
        watch = stub.Watch(asked)
        assert (await watch.read()).status == health.HealthCheckResponse.SERVING
