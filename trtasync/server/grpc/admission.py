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
"""Beginnings of the calls that need no token, for whatever looks after processes."""

Admits = Callable[[str | None], bool]
"""Whether a call with this `authorization`, or None, is let in."""


class Admission(grpc.aio.ServerInterceptor):  # type: ignore[misc]  # grpcio comes without types
    """Refuses calls before anything of them is read."""

    def __init__(self, admits: Admits):
        """Ask `admits` about each call."""
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
    """Credentials for `GrpcServer.listening`, from files that were checked before."""
    return grpc.ssl_server_credentials([(Path(key).read_bytes(), Path(certificate).read_bytes())])
