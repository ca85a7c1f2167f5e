"""Whom the gRPC door lets in: tokens, and TLS."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from trtasync.server.grpc.calls import Handler
from trtasync.server.grpc.messages import HEALTH, INFERENCE
from trtasync.server.grpc.views import Call

OPEN = (
    f"/{HEALTH.package}.Health/",
    f"/{INFERENCE.package}.GRPCInferenceService/ServerLive",
    f"/{INFERENCE.package}.GRPCInferenceService/ServerReady",
)
"""How calls begin that whoever looks after processes may make without a token."""

Admits = Callable[[str | None], bool]
"""Whether the `authorization` of a call, or None, is one that is let in."""


class Admission(grpc.aio.ServerInterceptor):  # type: ignore[misc]  # grpcio comes without types
    """Refuses calls before anything of them is read."""

    def __init__(self, admits: Admits):
        """Ask this about each call."""
        self._admits = admits

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Handler]], details: Any
    ) -> Handler:
        """See `grpc.aio.ServerInterceptor`."""
        if details.method.startswith(OPEN):
            return await continuation(details)
        shown = [value for key, value in details.invocation_metadata if key == "authorization"]
        if self._admits(str(shown[0]) if len(shown) == 1 else None):
            return await continuation(details)
        return grpc.stream_stream_rpc_method_handler(_refuse)


async def _refuse(requests: Any, call: Call) -> None:
    await call.abort(
        grpc.StatusCode.UNAUTHENTICATED, "this server wants a token: authorization: Bearer TOKEN."
    )


def tls_credentials(certificate: str, key: str) -> Any:
    """For `GrpcServer.listening`, of files that were found to be good."""
    return grpc.ssl_server_credentials([(Path(key).read_bytes(), Path(certificate).read_bytes())])
