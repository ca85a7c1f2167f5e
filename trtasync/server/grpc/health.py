"""gRPC's own health service, which Kubernetes and load balancers ask."""

import anyio
from grpc import unary_stream_rpc_method_handler

from trtasync.server.grpc.calls import Handler, follow_trace, read, refuse, unary
from trtasync.server.grpc.messages import HEALTH
from trtasync.server.grpc.views import Call, HealthRequest, Message
from trtasync.server.models import Models
from trtasync.server.protocol.refusals import Refusal

LIVE = "live"
"""A service that serves as long as the server runs: for liveness probes, not readiness probes."""

TICK = 1.0
"""Seconds between two looks for a watching client: a lost device notifies nobody."""


class Health:
    """Whether services serve: all do while every model is ready and the server is not ending."""

    def __init__(self, models: Models, services: tuple[str, ...]):
        """`models`: of the server; `services`: the names of its parts; "" names all of it."""
        self._models = models
        self._ready_ones = ("", *services)
        self._is_draining = False
        self._changed = anyio.Event()

    @property
    def handlers(self) -> dict[str, Handler]:
        """For grpcio."""
        return {
            "Check": unary(HEALTH, "HealthCheckRequest", self.check),
            "Watch": unary_stream_rpc_method_handler(self._watch),
        }

    def look(self) -> None:
        """Look again for all watching clients: something has changed."""
        self._changed.set()
        self._changed = anyio.Event()

    def drain(self) -> None:
        """Stop serving: watching clients are told so, and their calls end."""
        self._is_draining = True
        self.look()

    async def check(self, request: HealthRequest, call: Call) -> Message:
        """The status now. Raises Refusal for an unknown service."""
        status = self._status(request.service)
        if status == "SERVICE_UNKNOWN":
            raise Refusal(f"there is no service '{request.service}' here.", status=404)
        return _response(status)

    async def _watch(self, content: bytes, call: Call) -> None:
        """Write the status now, and whenever it changes."""
        follow_trace(call)
        try:
            service = read(HEALTH, "HealthCheckRequest", content).service
        except Refusal as refusal:
            await refuse(call, refusal)
        told = ""
        while True:
            status = self._status(service)
            if status != told:
                told = status
                await call.write(_response(status).SerializeToString())
            elif self._is_draining:
                return
            else:
                with anyio.move_on_after(TICK):
                    await self._changed.wait()

    def _status(self, service: str) -> str:
        if service == LIVE:
            return "SERVING"
        if service not in self._ready_ones:
            return "SERVICE_UNKNOWN"
        is_ready = not self._is_draining and self._models.are_ready
        return "SERVING" if is_ready else "NOT_SERVING"


def _response(status: str) -> Message:
    return HEALTH.make("HealthCheckResponse", status=status)
