"""Answers that wait for the end of a turn: the engine that hands them out may still be at work."""

import asyncio
import logging
from typing import TYPE_CHECKING

from trtasync.core.pump import Pump
from trtasync.server.fast.replies import Asked

if TYPE_CHECKING:
    from trtasync.server.fast.connection import Connection

log: logging.Logger = logging.getLogger("trtasync")


class Outbox:
    """Has answers written at the end of the turn of an engine that joined, or else of the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop):
        """For engines and connections on `loop`."""
        self._loop = loop
        self._answers: list[tuple[Connection, Asked]] = []
        self._pumps: list[Pump] = []

    def join(self, pump: Pump) -> None:
        """Flush at the end of each turn of an engine from now on."""
        pump.flushes = (*pump.flushes, self.flush)
        self._pumps.append(pump)

    def leave(self) -> None:
        """Flush at the end of no engine's turns any more."""
        for pump in self._pumps:
            pump.flushes = tuple(each for each in pump.flushes if each != self.flush)
        self._pumps.clear()

    def put(self, connection: "Connection", request: Asked) -> None:
        """Add a request that is over."""
        if not self._answers:
            self._loop.call_soon(self.flush)  # not every answer comes from a turn of an engine
        self._answers.append((connection, request))

    def flush(self) -> None:
        """Write all answers that wait."""
        if not self._answers:
            return
        answers, self._answers = self._answers, []
        for connection, request in answers:
            try:
                connection.answer(request)
            except Exception:
                give_up(connection)


def give_up(connection: "Connection") -> None:
    """End a connection in which a bug has shown, and no other."""
    log.exception("a connection failed, and is given up")
    connection.abort()
