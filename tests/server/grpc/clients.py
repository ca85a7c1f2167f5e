"""A client of our own messages over grpcio, in the loop of the server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest

from support.helpers import PATIENCE, Array, rows
from trtasync.server.grpc import GrpcServer
from trtasync.server.grpc.messages import HEALTH, INFERENCE
from trtasync.server.grpc.server import HEALTH_SERVICE, INFERENCE_SERVICE
from trtasync.server.models import Models

ALONE = ("grpc.use_local_subchannel_pool", 1)
"""Channels share no connections: each server is a new one."""


def parameters(**given: bool | float | str) -> dict[str, Any]:
    """InferParameters by name."""
    fields = {bool: "bool_param", int: "int64_param", float: "double_param", str: "string_param"}
    return {
        name: INFERENCE.make("InferParameter", **{fields[type(value)]: value})
        for name, value in given.items()
    }


def request(array: Array, model: str = "m", **more: Any) -> Any:
    """A request to a model of one input x, FP32."""
    x = {"name": "x", "datatype": "FP32", "shape": array.shape}
    whole = {"model_name": model, "inputs": [x], "raw_input_contents": [array.tobytes()]}
    return INFERENCE.make("ModelInferRequest", **(whole | more))


def raw(value: float) -> bytes:
    """What an answer holds to one row of so much."""
    content: bytes = rows([value]).tobytes()
    return content


class Client:
    """One channel."""

    def __init__(self, channel: Any):
        self.channel = channel

    @property
    def is_disconnected(self) -> bool:
        """The server takes no more calls on this connection, and there is no other one."""
        state = self.channel.get_state(try_to_connect=True)
        return state is grpc.ChannelConnectivity.TRANSIENT_FAILURE

    def infer(self, message: Any, **options: Any) -> Any:
        """The call ModelInfer; awaited, it gives the answer."""
        return self.send("ModelInfer", message.SerializeToString(), **options)

    def call(self, method: str, **fields: Any) -> Any:
        """Another call of one request and one answer."""
        asked = INFERENCE.make(f"{method}Request", **fields)
        return self.send(method, asked.SerializeToString(), timeout=PATIENCE)

    def send(self, method: str, content: bytes, **options: Any) -> Any:
        """A call whose request is of any bytes."""
        path = f"/{INFERENCE_SERVICE}/{method}"
        read = lambda answer: INFERENCE.parse(f"{method}Response", answer)  # noqa: E731 - one word
        return self.channel.unary_unary(path, response_deserializer=read)(content, **options)

    def stream(self, **options: Any) -> Any:
        """The call ModelStreamInfer."""
        path = f"/{INFERENCE_SERVICE}/ModelStreamInfer"
        call = self.channel.stream_stream(
            path,
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=lambda answer: INFERENCE.parse(
                "ModelStreamInferResponse", answer
            ),
        )
        return call(**options)

    async def check(self, service: str = "") -> str:
        """The status of a service."""
        call = self.channel.unary_unary(f"/{HEALTH_SERVICE}/Check")
        asked = HEALTH.make("HealthCheckRequest", service=service)
        return status_of(await call(asked.SerializeToString(), timeout=PATIENCE))

    def watch(self, service: str = "") -> Any:
        """The call Watch."""
        call = self.channel.unary_stream(
            f"/{HEALTH_SERVICE}/Watch", response_deserializer=status_of
        )
        return call(HEALTH.make("HealthCheckRequest", service=service).SerializeToString())


def status_of(content: bytes) -> str:
    """What an answer of the health service says."""
    status = HEALTH.parse("HealthCheckResponse", content).status
    return ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")[status]


@asynccontextmanager
async def connected(port: int, credentials: Any = None) -> AsyncIterator[Client]:
    """A client of a server that listens."""
    address, options = f"127.0.0.1:{port}", [ALONE]
    if credentials is None:
        channel = grpc.aio.insecure_channel(address, options=options)
    else:
        channel = grpc.aio.secure_channel(address, credentials, options=options)
    async with channel:
        yield Client(channel)


@asynccontextmanager
async def serving(models: Models, **options: Any) -> AsyncIterator[Client]:
    """A server of these models, and a client."""
    server = GrpcServer(models, **options)
    async with models, server.listening("127.0.0.1:0") as port, connected(port) as client:
        yield client


async def refused(call: Any, code: str) -> Any:
    """The error that a call must end with."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert caught.value.code().name == code, caught.value
    return caught.value
