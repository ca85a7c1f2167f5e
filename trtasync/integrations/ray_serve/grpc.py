"""The protocol over Ray's gRPC proxies, without generated code.

serve.start(grpc_options=gRPCOptions(port=9000, grpc_servicer_functions=[
    "trtasync.integrations.ray_serve.grpc.add_inference_service"]))

A client says `application` in its metadata, as Ray wants it.
"""

from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import grpc

from trtasync.errors import TrtasyncError
from trtasync.server.about import About
from trtasync.server.grpc.calls import unary_bytes
from trtasync.server.grpc.inference import Inference
from trtasync.server.grpc.server import INFERENCE_SERVICE
from trtasync.server.grpc.services import Information
from trtasync.server.models import Models

CALLS = (
    *("ServerLive", "ServerReady", "ServerMetadata", "ModelReady", "ModelMetadata"),
    *("ModelConfig", "ModelStatistics", "ModelInfer"),
)
"""Those that a replica answers: streams and the repository are no matter of one replica."""


def add_inference_service(servicer: Any, server: Any) -> None:
    """Tell a proxy the calls; what it is given it hands to a replica as bytes.

    Args:
        servicer: Ray's, of which nothing is asked: Ray puts its own in the place of each call.
        server: of the proxy.
    """
    handlers = {name: grpc.unary_unary_rpc_method_handler(None) for name in CALLS}
    service = grpc.method_handlers_generic_handler(INFERENCE_SERVICE, handlers)
    server.add_generic_rpc_handlers((service,))


class GrpcCalls:
    """The calls of one replica."""

    def __init__(self, models: Models):
        """About these models."""
        infer = unary_bytes(Inference(models).infer)
        self._handlers = {
            "ModelInfer": infer,
            **Information(About(models, model_control=False)).handlers,
        }

    async def answer(self, name: str, content: bytes, context: Any) -> "Bytes":
        """Answer one call, as the gRPC door of a server does."""
        return Bytes(await self._handlers[name].unary_unary(content, _Call(context)))


Method = Callable[[Any, bytes, Any], Awaitable["Bytes"]]


def method(name: str) -> Method:
    """A method of a replica that answers a call, which Ray finds by its name."""

    async def call(self: Any, content: bytes, grpc_context: Any) -> Bytes:
        answer: Bytes = await self.grpc_calls.answer(name, content, grpc_context)
        return answer

    call.__name__ = name
    return call


class Bytes:
    """A message that is bytes already; Ray asks for them in its replica."""

    def __init__(self, content: bytes):
        """These."""
        self._content = content

    def SerializeToString(self) -> bytes:  # noqa: N802 - protobuf's name
        """Them."""
        return self._content


class _Call:
    """What handlers ask of a call, over Ray's context."""

    def __init__(self, context: Any):
        self._context = context
        self.invocation_metadata = context.invocation_metadata

    def time_remaining(self) -> float | None:
        """Ray does not tell: at the client's deadline it cancels the request."""
        return None

    async def abort(self, code: Any, details: str, trailing: tuple[Any, ...] = ()) -> NoReturn:
        """End it with a status."""
        self._context.set_code(code)
        self._context.set_details(details)
        if trailing:
            known = self._context.trailing_metadata()
            self._context.set_trailing_metadata([*known, *trailing])
        raise TrtasyncError(details)
