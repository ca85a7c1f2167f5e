"""The server: it listens, watches the clock for its connections, and shuts down in order."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from email.utils import formatdate
from socket import socket
from ssl import SSLContext
from typing import TYPE_CHECKING, Any

import anyio

from trtasync.engine import Engine, inside
from trtasync.server.fast.arrivals import accepting
from trtasync.server.fast.bridge import Exchange
from trtasync.server.fast.connection import Connection
from trtasync.server.fast.desk import Desk, StraightDesk, TaskDesk
from trtasync.server.fast.heads import Head, Heads, ModelName
from trtasync.server.fast.limits import Limits
from trtasync.server.fast.outbox import Outbox, give_up
from trtasync.server.models import Models
from trtasync.server.protocol.refusals import Refusal

if TYPE_CHECKING:
    from starlette.types import ASGIApp

READ = 256 << 10
"""Most bytes that are read at once."""

TICK = 1.0
"""Seconds between two looks at the clock."""


class FastServer:
    """Serves models over HTTP/1.1, on the asyncio loop that their engines are opened on.

        door = socket.create_server(("127.0.0.1", 8000))
        async with models, FastServer(models, application(models)).listening(door):
            await stop.wait()

    Attributes:
        limits: for clients.
        loop: the loop that the server runs on.
        buffer: receives heads and short bodies; nothing is kept in it.
        scratch: a writable view of `buffer`.
        heads: reads heads, and remembers them.
        connections: the open ones.
        outbox: takes the outcomes of requests.
        exchanges: tasks that answer requests, most of them by the application.
        tick: grows by one each second.
        date: the line of an answer's head that tells the time.
        compresses: the application answers requests that accept compressed answers.
        is_draining: every answer is the last of its connection.
    """

    def __init__(
        self,
        models: Models,
        application: "ASGIApp",
        limits: Limits | None = None,
        *,
        compress_answers: bool | None = None,
    ):
        """Not listening yet.

        Args:
            models: the caller opens and closes them.
            application: over the same models; it answers all but infer requests. Its lifespan is
                not run.
            limits: for clients; None for the default ones.
            compress_answers: `application`, told the same, answers requests that accept compressed
                answers; None: as its `state.compress_answers` says (`asgi.application` sets it).
        """
        self.limits: Limits = limits or Limits()
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self.buffer: bytearray = bytearray(READ)
        self.scratch: memoryview = memoryview(self.buffer)
        self.heads: Heads = Heads()
        self.tick: int = 0
        self.date: bytes = _date()
        self.outbox: Outbox = Outbox(self.loop)
        self.is_draining: bool = False
        self.compresses: bool = (
            _compresses(application) if compress_answers is None else compress_answers
        )
        self._models = models
        self._application = application
        self._desks: dict[ModelName, Desk] = {}
        self.connections: set[Connection] = set()
        self._coming = 0  # bytes
        self.exchanges: set[asyncio.Task[None]] = set()
        self._none_left = asyncio.Event()

    @asynccontextmanager
    async def listening(self, door: socket, tls: SSLContext | None = None) -> AsyncIterator[None]:
        """Serve until the end of the block; then answer the requests in progress, and shut down.

        Args:
            door: a listening socket; it is closed at the end.
            tls: for TLS; None for plain HTTP.
        """
        self._models.watchers.append(self._models_changed)
        ticking = self.loop.create_task(self._tick())
        try:
            try:
                async with accepting(door, lambda: Connection(self), tls, self.limits.head):
                    yield
                    self.is_draining = True
            finally:
                await self._drain()
        finally:
            ticking.cancel()
            self.outbox.leave()
            self._models.watchers.remove(self._models_changed)

    async def _drain(self) -> None:
        self.is_draining = True
        self.look_round()
        try:
            with anyio.move_on_after(self.limits.drain):
                await self._until_none_is_left()
        finally:
            for connection in self.connections:
                connection.abort()
            for exchange in self.exchanges:
                exchange.cancel()
            with anyio.CancelScope(shield=True):
                await self._until_none_is_left()

    async def _until_none_is_left(self) -> None:
        while self.connections or self.exchanges:
            self._none_left.clear()
            await self._none_left.wait()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            self.tick += 1
            self.date = _date()
            self.look_round()

    def look_round(self) -> None:
        """Enforce the time limits of all clients."""
        self._for_all(Connection.check)

    def _for_all(self, act: Callable[[Connection], None]) -> None:
        """Call `act` on all connections; one that fails is given up without harm to the others."""
        for connection in tuple(self.connections):
            try:
                act(connection)
            except Exception:
                give_up(connection)

    # -- for connections -------------------------------------------------------------------------

    def welcome(self, connection: Connection) -> bool:
        """Register a new client; False if it is one too many."""
        self.connections.add(connection)
        return len(self.connections) <= self.limits.connections

    def farewell(self, connection: Connection) -> None:
        """Forget a client that has left."""
        self.connections.discard(connection)
        self._none_left.set()

    def receive(self, count: int) -> None:
        """Count bytes that have come of an incomplete body.

        Raises:
            Refusal: incomplete bodies exceed `Limits.bodies`.
        """
        self._coming += count
        if self._coming > self.limits.bodies:
            raise Refusal("the server is receiving as much as it can; come back soon.", status=503)

    def received(self, count: int) -> None:
        """Stop counting bytes: their body is complete, or was given up."""
        self._coming -= count

    def desk(self, head: Head) -> Desk | None:
        """The desk that submits a request to its engine; None if the application answers it."""
        model = head.model
        if model is None or (self.compresses and head.encoding is not None):
            return None
        desk = self._desks.get(model)
        return desk or self._open_desk(model)

    def _open_desk(self, model: ModelName) -> Desk | None:
        try:
            deployment = self._models.deployed(*model)
        except Refusal:
            return None  # the application tells the client why
        if isinstance(deployment.engine, Engine):
            desk: Desk = StraightDesk(deployment.codec, deployment.engine)
            self.outbox.join(inside(deployment.engine).core.pump)
        else:
            desk = TaskDesk(deployment, self.loop)
        self._desks[model] = desk
        return desk

    def _models_changed(self) -> None:
        """Forget all desks, and move bodies out of the rows of engines, which may close now."""
        self._desks.clear()
        self.outbox.leave()
        self._for_all(Connection.step_out)

    def apply(self, exchange: Exchange) -> None:
        """Let the application answer a request."""
        self.beside(exchange.run(self._application))

    def beside(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work`, which answers a request, in a task that shutting down waits for."""
        task = self.loop.create_task(work)
        self.exchanges.add(task)
        task.add_done_callback(self._applied)

    def _applied(self, task: asyncio.Task[None]) -> None:
        self.exchanges.discard(task)
        self._none_left.set()


def _compresses(application: "ASGIApp") -> bool:
    return bool(getattr(getattr(application, "state", None), "compress_answers", False))


def _date() -> bytes:
    return b"date: %s\r\n" % formatdate(usegmt=True).encode()
