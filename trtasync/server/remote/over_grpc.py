"""A model on a server, over gRPC."""

from collections.abc import Mapping
from typing import Any

import grpc
import grpc.aio

from trtasync.errors import (
    BackendUnavailable,
    InferenceError,
    InvalidInput,
    QueueFull,
    TrtasyncError,
)
from trtasync.loops import current_loop
from trtasync.loops.on_asyncio import AsyncioLoop
from trtasync.model.arrays import Array
from trtasync.server.grpc.messages import INFERENCE
from trtasync.server.grpc.server import INFERENCE_SERVICE
from trtasync.server.protocol.datatypes import DATATYPES
from trtasync.server.protocol.refusals import Refusal
from trtasync.server.protocol.tensors import to_binary
from trtasync.server.remote.offers import Config, Metadata, Server, ToldTensor
from trtasync.server.remote.places import Place
from trtasync.words import one_line

PATIENCE = 10.0
"""Seconds for a server to say what it offers."""

_OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
_KINDS: Mapping[grpc.StatusCode, type[Exception]] = {
    grpc.StatusCode.RESOURCE_EXHAUSTED: QueueFull,
    grpc.StatusCode.UNAVAILABLE: QueueFull,
    grpc.StatusCode.DEADLINE_EXCEEDED: TimeoutError,
    grpc.StatusCode.INTERNAL: InferenceError,
    grpc.StatusCode.UNKNOWN: InferenceError,
}


class OverGrpc:
    """See `offers.Client`. All requests share one connection of grpcio's."""

    def __init__(self, place: Place, model: str):
        """For the model that has this name there, or NAME/versions/NUMBER.

        Raises:
            InvalidInput: the running loop is not asyncio's, and grpcio supports no other.
        """
        if not isinstance(current_loop(), AsyncioLoop):
            raise InvalidInput("grpcio runs on asyncio and uvloop only; measure on one of these.")
        self._name, _, self._version = model.partition("/versions/")
        self._place = place
        if place.is_tls:
            credentials = grpc.ssl_channel_credentials()
            self._channel = grpc.aio.secure_channel(place.authority, credentials, _OPTIONS)
        else:
            self._channel = grpc.aio.insecure_channel(place.authority, _OPTIONS)
        self._token = [("authorization", place.authorization)] if place.token else None
        self._infer = self._channel.unary_unary(f"/{INFERENCE_SERVICE}/ModelInfer")
        self._is_checked = False

    async def server(self) -> Server:
        """See `offers.Client`."""
        told = await self._tell("ServerMetadata")
        return Server(told.name, told.version)

    async def metadata(self) -> Metadata:
        """See `offers.Client`."""
        told = await self._tell("ModelMetadata", name=self._name, version=self._version)
        inputs = [ToldTensor(each.name, each.datatype, tuple(each.shape)) for each in told.inputs]
        return Metadata(told.name, tuple(inputs), told.platform)

    async def config(self) -> Config:
        """See `offers.Client`."""
        told = await self._tell("ModelConfig", name=self._name, version=self._version)
        return Config(told.config.max_batch_size)

    async def _tell(self, method: str, **asked: str) -> Any:
        call = self._channel.unary_unary(f"/{INFERENCE_SERVICE}/{method}")
        request = INFERENCE.make(f"{method}Request", **asked).SerializeToString()
        try:
            answer = await call(request, timeout=PATIENCE, metadata=self._token)
            return INFERENCE.parse(f"{method}Response", answer)
        except grpc.aio.AioRpcError as error:
            raise self._refusal(error) from None
        except Refusal as error:
            raise BackendUnavailable(
                f"the server does not speak the Open Inference Protocol: {error}"
            ) from None

    def request(self, inputs: Mapping[str, Array]) -> bytes:
        """See `offers.Client`."""
        told = [
            {"name": name, "datatype": DATATYPES[array.dtype.name], "shape": array.shape}
            for name, array in inputs.items()
        ]
        return INFERENCE.make(
            "ModelInferRequest",
            model_name=self._name,
            model_version=self._version,
            inputs=told,
            raw_input_contents=[bytes(to_binary(array)) for array in inputs.values()],
        ).SerializeToString()

    async def infer(self, request: bytes) -> None:
        """See `offers.Client`."""
        try:
            answer = await self._infer(request, metadata=self._token)
        except grpc.aio.AioRpcError as error:
            raise self._refusal(error) from None
        if not self._is_checked:
            check_outputs(answer)
            self._is_checked = True

    def _refusal(self, error: grpc.aio.AioRpcError) -> Exception:
        code, why = error.code(), one_line(error.details() or "")
        is_there = self._channel.get_state() is grpc.ChannelConnectivity.READY
        if code is grpc.StatusCode.UNAVAILABLE and not is_there:
            return BackendUnavailable(f"no server answers at {self._place.authority}: {why}.")
        return _KINDS.get(code, InvalidInput)(f"the server answers {code.name}: {why}")

    async def aclose(self) -> None:
        """See `offers.Client`."""
        await self._channel.close()


def check_outputs(answer: bytes) -> None:
    """Check that an answer holds raw contents for every output that it tells of.

    Raises:
        TrtasyncError: it does not, or is no such answer.
    """
    try:
        told = INFERENCE.parse("ModelInferResponse", answer)
        is_whole = 0 < len(told.outputs) == len(told.raw_output_contents)
    except Refusal:
        is_whole = False
    if not is_whole:
        raise TrtasyncError("the server's answer does not hold the outputs that it tells of.")
