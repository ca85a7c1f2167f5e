"""Who comes in, how long the host stays, and how it ends."""

import logging
import os
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any

import anyio
from anyio.abc import TaskGroup

from trtasync.errors import (
    DeviceLost,
    EngineClosed,
    InvalidInput,
    QueueFull,
    TrtasyncError,
)
from trtasync.host.connection import Connection
from trtasync.host.limits import Limits
from trtasync.host.logs import ClientLogs
from trtasync.host.memory import Books
from trtasync.host.models import Model
from trtasync.host.places import StartLock, listen_at
from trtasync.host.session import ENDING, Session
from trtasync.host.slots import SharedSlot
from trtasync.host.statistics import tell_host
from trtasync.host.welcoming import welcome
from trtasync.loops import EventLoop, Watch, current_loop
from trtasync.loops.base import do_nothing
from trtasync.shared.greeting import Hello, Welcome
from trtasync.shared.peers import check_client, credentials
from trtasync.shared.records import Op, dump, pack
from trtasync.shared.refusals import describe

log: logging.Logger = logging.getLogger("trtasync")

_GLANCE = 0.005
"""Seconds between two looks at whether all is answered, at the end."""

_NO_LOCK = StartLock(None)

Work = Callable[[], Coroutine[Any, Any, object]]
Drain = Callable[[], Awaitable[object]]


class Service:
    """Serves open engines to whoever connects. Lives on one event loop.

    Attributes:
        sessions: the clients.
        loop: the event loop, as engines see it.
        limits: what clients are granted.
        waiting: connections with something to send.
        endings: slots whose requests ended but for batches that still run.
        lost: why it had to end; None while it has not.
    """

    def __init__(
        self,
        models: Sequence[Model],
        limits: Limits,
        lock: StartLock = _NO_LOCK,
        logs: ClientLogs | None = None,
        drain: Drain | None = None,
    ):
        """Serve nobody yet.

        Args:
            models: with different names; whoever opened their engines closes them.
            limits: what clients are granted.
            lock: of whoever starts hosts.
            logs: lines that were kept so far.
            drain: has engines answer all that they have, soon; None to wait until they have.
        """
        self._models = {model.name: model for model in models}
        self.limits: Limits = limits
        self.loop: EventLoop = current_loop()
        self.loop.callback = self.flush
        # trio's clock begins anywhere, uvloop's is rounded
        self._clock = self.loop.now() - time.monotonic()
        self.sessions: set[Session] = set()
        self.waiting: list[Connection] = []
        self.endings: list[SharedSlot] = []
        self.lost: TrtasyncError | None = None
        self.began: float = time.time()
        self._lock = lock
        self._books = Books(limits)
        self._logs = logs or ClientLogs()
        self._drain_engines = drain or self._wait_answered
        self._late: dict[Session, float] = {}
        self._left_at = self.loop.now()
        self._listening: tuple[socket.socket, Watch] | None = None
        self._work: list[Work] = []
        self._has_work = anyio.Event()
        self._over = anyio.Event()

    # -- who comes -------------------------------------------------------------------------------

    def listen(self, path: str) -> None:
        """Let clients in through a socket of this user's own.

        Raises:
            InvalidInput: there can be no such socket.
        """
        listening = listen_at(path)
        self._listening = listening, self.loop.watch(listening, self._accept)

    def _accept(self) -> None:
        if self._listening is None:
            return
        listening, watch = self._listening
        try:
            while True:
                connection, _ = listening.accept()
                connection.setblocking(False)
                self.join(connection)
        except BlockingIOError:
            return
        except OSError as error:  # no descriptor is left: `_look_after` tries again
            log.warning("no client can be let in for now: %s", error)
            watch.when_readable(None)

    def join(self, connection: socket.socket) -> None:
        """Begin a session, if it may be."""
        pid, uid = credentials(connection)
        try:
            check_client(uid)
            if len(self.sessions) >= self.limits.sessions:
                raise QueueFull(
                    f"the engine process has {self.limits.sessions} clients, and takes no more.",
                    limit=self.limits.sessions,
                )
        except TrtasyncError as error:
            with suppress(OSError):
                connection.send(pack(Op.GONE, payload=dump(describe(error))))
            connection.close()
            return
        session = Session(self, connection, (pid, uid), self._books.open())
        self.sessions.add(session)
        self._late[session] = self.loop.now() + self.limits.greeting

    def greet(self, session: Session, hello: Hello) -> tuple[Model | None, Welcome]:
        """See `session.Around.greet`.

        Raises:
            TrtasyncError: it is refused.
        """
        if self._over.is_set():
            raise EngineClosed(ENDING)
        model, told = welcome(hello, self._models, self.limits.bytes_per_client)
        self._late.pop(session, None)
        return model, told

    def left(self, session: Session) -> None:
        """See `session.Around.left`."""
        self.sessions.discard(session)
        self._late.pop(session, None)
        if session.keeps_alive:
            self._left_at = self.loop.now()

    # -- what sessions need ----------------------------------------------------------------------

    def time_of(self, nanoseconds: int) -> float:
        """From CLOCK_MONOTONIC to the loop's clock."""
        return nanoseconds * 1e-9 + self._clock

    def told(self) -> dict[str, Any]:
        """See `session.Around.told`."""
        return tell_host(list(self._models.values()), list(self.sessions), self.began)

    def spawn(self, work: Work) -> None:
        """See `session.Around.spawn`."""
        self._work.append(work)
        self._has_work.set()

    def flush(self) -> None:
        """Send what was said in this turn: each connection once."""
        if self._logs.lines:
            self._tell_logs()
        if self.endings:
            self.endings = [slot for slot in self.endings if not slot.ended()]
        while self.waiting:
            waiting = self.waiting[:]
            self.waiting.clear()
            for connection in waiting:
                connection.flush()
        for model in self._models.values():
            if model.lost is not None and self.lost is None:
                self._lose(model.lost)

    def _tell_logs(self) -> None:
        """What was logged is kept until somebody wants it: of the start, who started the host."""
        wanted_by = [session for session in self.sessions if session.wants_logs]
        for line in self._logs.take() if wanted_by else ():
            for session in wanted_by:
                session.log(line)

    def _lose(self, error: TrtasyncError) -> None:
        self.lost = error
        log.error("the engine process ends: %s", error)
        self._over.set()

    # -- how long --------------------------------------------------------------------------------

    async def serve(self) -> None:
        """Until `stop`, until nobody has been there for long enough, or until a model is lost."""
        pumps = [model.core.pump for model in self._models.values()]
        for pump in pumps:
            pump.flushes = (*pump.flushes, self.flush)
        self._logs.wake = self.loop.wake_from_thread
        log.addHandler(self._logs)
        try:
            await self._serve()
        finally:
            log.removeHandler(self._logs)
            self._logs.wake = do_nothing
            for pump in pumps:
                pump.flushes = tuple(each for each in pump.flushes if each != self.flush)
            self._stop_listening()
            for session in list(self.sessions):
                session.end()
            self._work.clear()  # memory that was to be unmapped
            self.loop.close()

    async def _serve(self) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(self._look_after)
            group.start_soon(self._start_work, group)
            await self._over.wait()
            self._stop_listening()
            if self.lost is None:
                await self._drain()
            gone = self.lost or EngineClosed(ENDING)
            for session in list(self.sessions):
                session.end(_gone(gone))
            group.cancel_scope.cancel()

    async def _start_work(self, group: TaskGroup) -> None:
        """In a task: what the loop itself calls cannot start one."""
        while True:
            await self._has_work.wait()
            self._has_work = anyio.Event()
            while self._work:
                group.start_soon(self._work.pop())

    def stop(self) -> None:
        """End, when all that was accepted is answered. On the loop."""
        self._over.set()

    async def _look_after(self) -> None:
        """Send away who does not greet, give up batches that do not end; end when nobody comes any
        more."""
        linger, pace = self.limits.linger, self.limits.pace
        while True:
            await anyio.sleep(pace)
            for model in self._models.values():
                model.core.stalls.look(pace, self.limits.hang_timeout)
            self.flush()  # what an engine said that broke down
            now = self.loop.now()
            for session in [each for each, due in self._late.items() if due < now]:
                session.end(InvalidInput(f"nothing was said for {self.limits.greeting:g} s."))
            if self._listening is not None:
                self._listening[1].when_readable(self._accept)
            if linger is not None and now - self._left_at >= linger and self._is_alone():
                self._over.set()

    def _is_alone(self) -> bool:
        """Nobody is there, and nobody can come: then the lock stays taken until the end."""
        if any(session.keeps_alive for session in self.sessions) or not self._lock.take():
            return False
        self._accept()  # who connected before
        if any(session.keeps_alive for session in self.sessions):
            self._lock.give_back()
            return False
        return True

    async def _drain(self) -> None:
        """Nothing more is accepted; what was is answered, and read by who is there to read it."""
        for session in self.sessions:
            session.turn_away()
        await self._drain_engines()
        self.flush()
        with anyio.move_on_after(self.limits.last_words):
            while any(session.owed for session in self.sessions):  # noqa: ASYNC110 - theirs to end
                await anyio.sleep(_GLANCE)

    async def _wait_answered(self) -> None:
        while any(session.running for session in self.sessions):  # noqa: ASYNC110 - so seldom
            await anyio.sleep(_GLANCE)

    def _stop_listening(self) -> None:
        if self._listening is not None:
            listening, watch = self._listening
            self._listening = None
            watch.close()
            with suppress(OSError):
                os.unlink(listening.getsockname())  # first: another host may take the place then
            listening.close()


def _gone(error: TrtasyncError) -> TrtasyncError:
    """What clients are told: that their engine has gone, whatever it was."""
    if isinstance(error, (DeviceLost, EngineClosed)):
        return error
    return DeviceLost(f"the engine process ends: {error}")
