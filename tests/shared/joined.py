"""An engine that is shared, its host in the same loop: what is asked crosses genuine sockets."""

import os
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import numpy as np

from support.helpers import Array, opened, tensor
from tests.host.serving import LIMITS
from trtasync import connect
from trtasync.host.limits import Limits
from trtasync.host.models import Model
from trtasync.host.service import Service
from trtasync.shared.client import SharedEngine
from trtasync.testing import ScriptedBackend


def stretched(x: Array) -> Array:
    """Rows a thousand times as long."""
    return np.repeat(x, 1000, axis=1)


def stretching() -> ScriptedBackend:
    """Nobody knows how long answers are before there is one."""
    return ScriptedBackend(
        stretched, inputs=[tensor("x", "N", "T")], outputs=[tensor("y", "N", "U")]
    )


class Cut(Service):
    """A host whose clients can be cut off, as its sudden end would do it."""

    def __init__(self, models: list[Model], limits: Limits, path: Path):
        super().__init__(models, limits)
        self.path = path
        self.connections: list[socket.socket] = []
        self.listen(str(path))

    def join(self, connection: socket.socket) -> None:
        """See `Service.join`."""
        self.connections.append(connection)
        super().join(connection)

    def cut(self) -> None:
        """Every client sees its host go, without a word."""
        for connection in self.connections:
            if connection.fileno() >= 0:
                connection.shutdown(socket.SHUT_RDWR)
        self.connections.clear()

    def hide(self) -> None:
        """Nobody finds it any more."""
        os.rename(self.path, self.path.with_suffix(".hidden"))

    def show(self) -> None:
        """It is found again."""
        os.rename(self.path.with_suffix(".hidden"), self.path)


class Joined:
    """A shared engine.

    Attributes:
        engine: the client's.
        host: its other side.
        backend: that computes there.
    """

    def __init__(self, engine: SharedEngine, host: Cut, backend: ScriptedBackend):
        self.engine = engine
        self.host = host
        self.backend = backend

    @property
    def in_use(self) -> int:
        """Slots of the client that are not free."""
        return self.engine._link.session.credit.in_use()

    @property
    def bytes(self) -> int:
        """That the client shares."""
        return sum(session.told()["bytes"] for session in self.host.sessions)


@asynccontextmanager
async def host_of(
    backend: ScriptedBackend, limits: dict[str, Any] | None = None, **options: Any
) -> AsyncIterator[Cut]:
    """A host of a scripted model."""
    with tempfile.TemporaryDirectory(prefix="trtasync-") as folder:  # sockets have short paths
        async with opened(backend, **options) as own, anyio.create_task_group() as tasks:
            granted = replace(LIMITS, **(limits or {}))
            host = Cut([Model("scripted", own)], granted, Path(folder) / "host.sock")
            tasks.start_soon(host.serve)
            try:
                yield host
            finally:
                host.stop()


@asynccontextmanager
async def joined(
    backend: ScriptedBackend | None = None,
    limits: dict[str, Any] | None = None,
    reconnect: float = 0.0,
    hang_timeout: float = 0.0,
    **options: Any,
) -> AsyncIterator[Joined]:
    """A shared engine; a failing test opens the gate that it has shut."""
    backend = backend or ScriptedBackend()
    async with (
        host_of(backend, limits, **options) as host,
        connect(host.path, reconnect=reconnect, hang_timeout=hang_timeout) as engine,
    ):
        assert isinstance(engine, SharedEngine)
        try:
            yield Joined(engine, host, backend)
        except BaseException:
            backend.gate.let()
            raise
