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


class Hosted:
    """A host, and those that were connected to it.

    Attributes:
        service: the host.
        clients: theirs to close with it.
    """

    def __init__(self, service: Service):
        self.service = service
        self.clients: list[WireClient] = []

    def connect(self) -> WireClient:
        """A client that has said nothing yet."""
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        self.clients.append(WireClient(ours))
        self.service.join(theirs)
        return self.clients[-1]

    async def client(self, slots: int = 16, slot_bytes: int = 256) -> WireClient:
        """One that is welcome, has slots, and knows form 0: one row of the scripted model."""
        client = self.connect()
        await client.greet()
        await client.share(slots, slot_bytes)
        await client.form(0, (4,))
        return client


@asynccontextmanager
async def hosting(*engines: Engine, **limits: Any) -> AsyncIterator[Hosted]:
    """A host of open engines, by their names; it ends with the block."""
    models = [Model(engine.name, engine) for engine in engines]
    hosted = Hosted(Service(models, replace(LIMITS, **limits)))
    async with anyio.create_task_group() as group:
        group.start_soon(hosted.service.serve)
        try:
            yield hosted
        finally:
            for client in hosted.clients:
                client.close()
            hosted.service.stop()


@asynccontextmanager
async def scripted(
    backend: ScriptedBackend | None = None, limits: dict[str, Any] | None = None, **options: Any
) -> AsyncIterator[Hosted]:
    """A host of a scripted model."""
    async with (
        opened(backend or ScriptedBackend(), **options) as engine,
        hosting(engine, **(limits or {})) as hosted,
    ):
        yield hosted


def maps() -> int:
    """How often memory of clients is mapped in this process, the clients' own maps included."""
    with open("/proc/self/maps") as file:
        return sum("memfd:trtasync" in line for line in file)
