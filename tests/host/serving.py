"""A host in the loop of the test, and clients at the other end of real sockets."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import anyio

from support.helpers import opened
from support.wire import WireClient
from trtasync import Engine
from trtasync.host.limits import Limits
from trtasync.host.models import Model
from trtasync.host.service import Service
from trtasync.testing import ScriptedBackend

LIMITS = Limits(bytes_per_client=64 << 20, total_bytes=256 << 20)


def connect(service: Service) -> WireClient:
    """A client that has said nothing yet."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    service.join(theirs)
    return WireClient(ours)


@asynccontextmanager
async def hosting(*engines: Engine, **limits: Any) -> AsyncIterator[Service]:
    """A host of open engines, by their names; it ends with the block."""
    models = [Model(engine.name, engine) for engine in engines]
    service = Service(models, replace(LIMITS, **limits))
    async with anyio.create_task_group() as group:
        group.start_soon(service.serve)
        try:
            yield service
        finally:
            service.stop()


@asynccontextmanager
async def scripted(
    backend: ScriptedBackend | None = None, limits: dict[str, Any] | None = None, **options: Any
) -> AsyncIterator[tuple[Service, WireClient]]:
    """A host of a scripted model, and a client that is welcome: 16 slots, form 0 is one row."""
    async with (
        opened(backend or ScriptedBackend(), **options) as engine,
        hosting(engine, **(limits or {})) as service,
    ):
        client = connect(service)
        await client.greet()
        await client.share(16, 256)
        await client.form(0, (4,))
        try:
            yield service, client
        finally:
            client.close()
