"""The server: it listens, enforces the limits, and shuts down in order."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import grpc
import grpc.aio

from trtasync.errors import InvalidInput, WrongLoop
from trtasync.loops import current_loop
from trtasync.loops.on_asyncio import AsyncioLoop
from trtasync.server.about import About
from trtasync.server.grpc.admission import Admission, Admits
from trtasync.server.grpc.calls import unary_bytes
from trtasync.server.grpc.health import Health
from trtasync.server.grpc.inference import Inference
from trtasync.server.grpc.limits import Limits
from trtasync.server.grpc.messages import HEALTH, INFERENCE
from trtasync.server.grpc.services import Control, Information
from trtasync.server.grpc.streams import Streams
from trtasync.server.models import Models
from trtasync.server.repository import Repository

INFERENCE_SERVICE = f"{INFERENCE.package}.GRPCInferenceService"
PING = 5_000
"""Least milliseconds between two pings of a client: pinging more often loses it the connection."""

SILENCE = 60_000
"""Milliseconds of silence after which the server pings a client to see if it is still there."""

HEALTH_SERVICE = f"{HEALTH.package}.Health"


class GrpcServer:
    """Serves models over gRPC, on the asyncio loop that their engines are opened on.

    async with models, GrpcServer(models).listening("127.0.0.1:8001"):
        await stop.wait()
    """

    def __init__(
        self,
        models: Models,
        *,
        model_control: bool = False,
        limits: Limits | None = None,
        admit: Admits | None = None,
    ):
        """Not listening yet.

        Args:
            models: the caller opens and closes them.
            model_control: clients may load (also again) and unload models.
            limits: for clients; None for the default ones.
            admit: says by the `authorization` of a call whether it is let in; None: all are. Calls
                that ask for health always are.
        """
        self._interceptors = [] if admit is None else [Admission(admit)]
        self.limits: Limits = limits or Limits()
        self._models = models
        self._health = Health(models, (INFERENCE_SERVICE,))
        inference = Inference(models)
        self._streams = Streams(inference, self.limits.of_stream)
        calls = {
            "ModelInfer": unary_bytes(inference.infer),
            "ModelStreamInfer": self._streams.handler,
            **Information(About(models, model_control)).handlers,
            **Control(Repository(models, model_control)).handlers,
        }
        self._services = (
            grpc.method_handlers_generic_handler(INFERENCE_SERVICE, calls),
            grpc.method_handlers_generic_handler(HEALTH_SERVICE, self._health.handlers),
        )

    @asynccontextmanager
    async def listening(
        self, address: str, credentials: Any = None, *, share_port: bool = False
    ) -> AsyncIterator[int]:
        """Serve until the end of the block; then answer the calls in progress, and shut down. Once
        per server.

        Args:
            address: "host:port", with port 0 for any free port, or "unix:path".
            credentials: for TLS, from `grpc.ssl_server_credentials`.
            share_port: other processes may listen at the same address, and the system distributes
                connections among them.

        Yields:
            the port.

        Raises:
            InvalidInput: the server cannot listen there.
            WrongLoop: the running loop is not asyncio's, and grpcio supports no other.
        """
        if not isinstance(current_loop(), AsyncioLoop):
            raise WrongLoop("grpcio serves on asyncio and uvloop only; run the server on one.")
        server = grpc.aio.server(
            interceptors=self._interceptors,
            options=_options(self.limits, share_port),
            maximum_concurrent_rpcs=self.limits.calls,
        )
        server.add_generic_rpc_handlers(self._services)
        port = _bind(server, address, credentials)
        await server.start()
        self._models.watchers.append(self._health.look)
        try:
            yield port
        finally:
            self._models.watchers.remove(self._health.look)
            self._health.drain()
            self._streams.drain()
            try:
                await server.stop(self.limits.drain)
            finally:
                with anyio.CancelScope(shield=True):  # without waiting, if this was cancelled
                    await server.stop(None)


def _bind(server: Any, address: str, credentials: Any) -> int:
    try:
        if credentials is None:
            port: int = server.add_insecure_port(address)
        else:
            port = server.add_secure_port(address, credentials)
    except RuntimeError as error:
        raise InvalidInput(f"cannot listen at {address!r}: {error}.") from None
    return port


def _options(limits: Limits, share_port: bool) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", limits.message),
        ("grpc.max_send_message_length", -1),
        ("grpc.so_reuseport", share_port),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", PING),
        ("grpc.keepalive_time_ms", SILENCE),
    ]
