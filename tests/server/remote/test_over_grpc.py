"""A model on a server over gRPC: what the server refuses, and servers of other things."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import anyio
import grpc
import grpc.aio
import pytest

from support.helpers import rows
from tests.server.grpc.looking import Looking
from tests.server.grpc.loops import ONE
from tests.server.serving import filled, held, models_of
from trtasync.errors import (
    BackendUnavailable,
    EngineClosed,
    InferenceError,
    InvalidInput,
    QueueFull,
    TrtasyncError,
)
from trtasync.server.grpc import GrpcServer
from trtasync.server.grpc.messages import INFERENCE
from trtasync.server.models import Models
from trtasync.server.remote.over_grpc import OverGrpc, check_outputs
from trtasync.server.remote.places import Place
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio


@pytest.fixture(params=ONE, scope="module")
def anyio_backend(request: pytest.FixtureRequest) -> object:
    """That of grpcio."""
    return request.param


@asynccontextmanager
async def client_of(port: int, model: str = "m") -> AsyncIterator[OverGrpc]:
    """A client of a server that listens."""
    client = OverGrpc(Place("grpc", "127.0.0.1", port), model)
    try:
        yield client
    finally:
        await client.aclose()


@asynccontextmanager
async def asking(models: Models, model: str = "m") -> AsyncIterator[OverGrpc]:
    """A client of our own server."""
    async with (
        models,
        GrpcServer(models).listening("127.0.0.1:0") as port,
        client_of(port, model) as client,
    ):
        yield client


@asynccontextmanager
async def saying(content: bytes) -> AsyncIterator[OverGrpc]:
    """A client of a server that answers everything with these bytes."""

    async def answer(request: bytes, call: Any) -> bytes:
        return content

    handler = grpc.unary_unary_rpc_method_handler(answer)
    server = grpc.aio.server(handlers=[SimpleNamespace(service=lambda details: handler)])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with client_of(port) as client:
            yield client
    finally:
        await server.stop(None)


async def test_what_a_server_tells_and_answers() -> None:
    async with asking(models_of(ScriptedBackend(lambda x: 2 * x)), "m/versions/1") as client:
        assert (await client.server()).name == "trtasync"
        metadata = await client.metadata()
        (x,) = metadata.inputs
        assert (metadata.name, x.name, x.datatype, x.shape) == ("m", "x", "FP32", (-1, 4))
        assert (await client.config()).max_batch_size > 1
        await client.infer(client.request({"x": rows([1, 2])}))
        with pytest.raises(InvalidInput, match=r"INVALID_ARGUMENT.*FP64"):
            await client.infer(client.request({"x": rows([1]).astype("f8")}))


async def test_a_version_that_is_not_there() -> None:
    async with asking(models_of(ScriptedBackend()), "m/versions/3") as client:
        with pytest.raises(InvalidInput, match="has no version '3'"):
            await client.metadata()


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (QueueFull("it is full"), QueueFull),
        (EngineClosed("it closes"), QueueFull),
        (TimeoutError(), TimeoutError),
        (InferenceError("it failed"), InferenceError),
        (InvalidInput("it is none"), InvalidInput),
    ],
)
async def test_refusals(error: Exception, kind: type[Exception]) -> None:
    looking = Looking()
    looking.error = error
    async with asking(looking.models) as client:
        with pytest.raises(kind, match=r"the server answers [A-Z_]+: ") as caught:
            await client.infer(client.request({}))
    assert type(caught.value) is kind
    assert str(error) in str(caught.value)


async def test_who_gives_up_takes_the_request_along() -> None:
    """As callers do that have a deadline."""
    backend = ScriptedBackend()
    models = models_of(backend, max_batch_size=1)
    async with asking(models) as client:
        engine, asked = models.deployed("m").engine, client.request({"x": rows([1])})
        with held(backend):
            async with anyio.create_task_group() as tasks:
                for queued in (0, 1):
                    tasks.start_soon(client.infer, asked)
                    await filled(engine, queued)
                tasks.cancel_scope.cancel()
            await filled(engine, queued=0)
        await client.infer(asked)
    assert len(backend.computed) == 2


async def test_no_server() -> None:
    async with client_of(1) as client:
        ask: Callable[[], Any]
        for ask in (client.server, lambda: client.infer(b"")):
            with pytest.raises(BackendUnavailable, match=r"no server answers at 127.0.0.1:1: .+\."):
                await ask()


async def test_a_server_of_something_else() -> None:
    async with saying(b"\xff") as client:
        for ask in (client.server, client.metadata, client.config):
            with pytest.raises(BackendUnavailable, match="Open Inference Protocol"):
                await ask()
        with pytest.raises(TrtasyncError, match="does not hold the outputs"):
            await client.infer(b"")


@pytest.mark.parametrize(
    ("outputs", "raw", "is_whole"),
    [(1, 1, True), (2, 2, True), (2, 1, False), (1, 2, False), (0, 0, False)],
)
async def test_answers_are_looked_at(outputs: int, raw: int, is_whole: bool) -> None:
    answer = INFERENCE.make(
        "ModelInferResponse", outputs=[{"name": "y"}] * outputs, raw_output_contents=[b""] * raw
    ).SerializeToString()
    if is_whole:
        check_outputs(answer)
    else:
        with pytest.raises(TrtasyncError, match="does not hold the outputs"):
            check_outputs(answer)
