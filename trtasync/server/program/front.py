"""A process that answers clients."""

import logging
import math
import os
import resource
import shlex
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace
from socket import socket
from typing import Any

import anyio
from starlette.routing import BaseRoute

from trtasync.errors import BackendUnavailable, DeviceLost, TrtasyncError
from trtasync.server.asgi import application
from trtasync.server.dashboard.route import dashboard
from trtasync.server.fast import FastServer, Limits
from trtasync.server.models import Models
from trtasync.server.program.admission import Gate
from trtasync.server.program.catalogue import INTERVAL, Catalogue
from trtasync.server.program.doors import numeric, url_of
from trtasync.server.program.hints import curl_for
from trtasync.server.program.opening import Manner
from trtasync.server.program.settings import Offer, ServerSettings, Wanted
from trtasync.server.prometheus.exposition import OF_PROCESS
from trtasync.server.prometheus.route import metrics
from trtasync.tracing.exporting import exporting

log: logging.Logger = logging.getLogger("trtasync")

FOR_OTHERS = 128
"""Descriptors kept from clients: for files of models, memory of engines and listening sockets."""


@dataclass(frozen=True, slots=True)
class Started:
    """What a front says when clients can come.

    Attributes:
        places: the addresses.
        models: names of what is served, with versions.
        hint: a command that asks the first of them.
    """

    places: str
    models: list[str]
    hint: str

    def __str__(self) -> str:
        return f"serves {', '.join(self.models)} at {self.places}; for example:\n  {self.hint}"


Ready = Callable[[Started], Awaitable[None]]


async def answer(
    wanted: Wanted,
    door: socket,
    orders: AsyncIterator[Offer],
    ready: Ready,
    *,
    shared: bool,
) -> None:
    """Serve until there are no more orders; then answer the requests in progress, and end.

    Args:
        wanted: what is served.
        door: a listening socket; it is closed at the end.
        orders: each is what to offer from then on, and has the files of the gate read again.
        ready: is called once clients can come.
        shared: engines are shared with other processes.

    Raises:
        TrtasyncError: a model cannot be opened, or the files of the gate cannot be used.
        DeviceLost: a model has lost its device.
    """
    traces = wanted.server.traces
    async with exporting(traces) as tracing:
        manner = Manner(shared, traces, tracing, wanted.server.hang_seconds)
        await _answer(wanted, door, orders, ready, manner)


async def _answer(
    wanted: Wanted, door: socket, orders: AsyncIterator[Offer], ready: Ready, manner: Manner
) -> None:
    server = wanted.server
    limits, gate = within_descriptors(server.limits), Gate(server)
    models = Models()
    catalogue = Catalogue(models, wanted.offer, manner)
    grpc_door = _grpc_door(models, server, door, gate)
    async with models:
        app = application(models, max_body=limits.body, routes=_routes(models, server))
        fast = FastServer(models, app, limits)
        fast.heads = gate.heads()
        async with (
            fast.listening(door, gate.tls),
            grpc_door,
            anyio.create_task_group() as beside,
        ):
            beside.start_soon(catalogue.watch)
            with anyio.CancelScope() as serving:
                if not manner.shared:  # a shared engine gets another process instead
                    limit = manner.hang_timeout or math.inf
                    beside.start_soon(_look_after, models, limit, serving)
                await ready(_started(server, door, models))
                async for offer in orders:
                    _let_in_anew(gate, fast)
                    beside.start_soon(catalogue.apply, offer)
            models.is_closing = True
            lost = [repr(model.name) for model in models if model.is_lost]
            if not serving.cancelled_caught:
                await anyio.sleep(server.grace_seconds)
            beside.cancel_scope.cancel()
        if serving.cancelled_caught:
            raise DeviceLost(
                f"the device of {', '.join(lost)} is lost to this process; start another one."
            )


async def _look_after(models: Models, hang_timeout: float, serving: anyio.CancelScope) -> None:
    """Give up batches that do not end; stop serving when a model has lost its device, which only
    another process gets back."""
    while True:
        await anyio.sleep(INTERVAL)
        for model in models:
            model.look(INTERVAL, hang_timeout)
        if any(model.is_lost for model in models):
            serving.cancel()
            return


def within_descriptors(limits: Limits) -> Limits:
    """Lower the limit of connections to what this process can have: the system would drop further
    clients without a word, and a changed model could not be opened any more."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if most == resource.RLIM_INFINITY or limits.connections <= most - FOR_OTHERS:
        return limits
    connections = max(1, most - FOR_OTHERS)
    log.warning(
        "at most %d clients at once: the system lets this process open %d files", connections, most
    )
    return replace(limits, connections=connections)


def _routes(models: Models, server: ServerSettings) -> list[BaseRoute]:
    registry = OF_PROCESS if server.workers in (None, 1) else None
    triton_names = bool(server.triton_metrics)
    return [dashboard(models), metrics(models, triton_names=triton_names, registry=registry)]


def _grpc_door(
    models: Models, server: ServerSettings, door: socket, gate: Gate
) -> AbstractAsyncContextManager[Any]:
    """The gRPC door, at the address of the other one; none if it is not wanted."""
    if server.grpc_port is None:
        return nullcontext()
    try:
        from trtasync.server.grpc import GrpcServer
        from trtasync.server.grpc import Limits as GrpcLimits
        from trtasync.server.grpc.admission import tls_credentials
    except ModuleNotFoundError as error:
        raise BackendUnavailable(
            f"--grpc-port needs pip install 'trtasync[grpc]' ({error})."
        ) from error
    limits = GrpcLimits(message=server.limits.body, drain=server.limits.drain)
    grpc = GrpcServer(models, limits=limits, admit=gate.admits if gate.tokens else None)
    credentials = None
    if server.tls_cert is not None and server.tls_key is not None:
        credentials = tls_credentials(server.tls_cert, server.tls_key)
    address = f"{numeric(door)}:{server.grpc_port}"
    return grpc.listening(address, credentials, share_port=True)


def _let_in_anew(gate: Gate, fast: FastServer) -> None:
    try:
        gate.read_again()
    except TrtasyncError as error:
        log.error("who was let in before goes on to be: %s", error)
    else:
        fast.heads = gate.heads()


def _started(server: ServerSettings, door: socket, models: Models) -> Started:
    url = url_of(door, server.tls_cert is not None)
    first, *_ = models
    options = "" if server.token_file is None else "-H 'Authorization: Bearer TOKEN' "
    if server.tls_cert is not None:
        options += f"--cacert {shlex.quote(os.path.relpath(server.tls_cert))} "
    grpc = "" if server.grpc_port is None else f" (gRPC: port {server.grpc_port})"
    return Started(
        url + grpc,
        [each.name if each.version == "1" else f"{each.name}:{each.version}" for each in models],
        curl_for(url, first.name, first.deployment.codec.interface, options),
    )
