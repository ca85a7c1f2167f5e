"""The server: it listens, keeps the limits, and ends in order."""

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
"""Milliseconds between two pings of a client: one that pings more often loses its connection."""

SILENCE = 60_000
"""Milliseconds after which the server asks by a ping whether there is still a client."""

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
            models: to be opened and closed by others.
            model_control: clients may have models loaded again and unloaded.
            limits: for clients; None for the usual ones.
            admit: says of the `authorization` of a call whether it is let in; None: all are.
                Health is told to all.
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
        """Serve until the end of the block; then answer what was asked, and end. Once per server.

        Args:
            address: "host:port", with port 0 for any that is free, or "unix:path".
            credentials: for TLS, of `grpc.ssl_server_credentials`.
            share_port: other processes may listen at the same address, and the system deals
                connections out to them.

        Yields:
            the port.

        Raises:
            InvalidInput: nobody can listen there.
            WrongLoop: the loop that runs is not asyncio's, and grpcio knows no other.
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
                with anyio.CancelScope(shield=True):  # who is cancelled waits for nobody
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
