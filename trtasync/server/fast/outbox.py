"""Answers that wait for the end of a turn: while an engine gives them, it may be at work."""

import asyncio
import logging
from typing import TYPE_CHECKING

from trtasync.core.pump import Pump
from trtasync.server.fast.replies import Asked

if TYPE_CHECKING:
    from trtasync.server.fast.connection import Connection

log: logging.Logger = logging.getLogger("trtasync")


class Outbox:
    """They go at the end of the turn of an engine that joined, or else at that of the loop's."""

    def __init__(self, loop: asyncio.AbstractEventLoop):
        """Of what runs on `loop`."""
        self._loop = loop
        self._answers: list[tuple[Connection, Asked]] = []
        self._pumps: list[Pump] = []

    def join(self, pump: Pump) -> None:
        """The turns of an engine end here, from now on."""
        pump.flushes = (*pump.flushes, self.flush)
        self._pumps.append(pump)

    def leave(self) -> None:
        """Those of no engine do any more."""
        for pump in self._pumps:
            pump.flushes = tuple(each for each in pump.flushes if each != self.flush)
        self._pumps.clear()

    def put(self, connection: "Connection", request: Asked) -> None:
        """A request has ended."""
        if not self._answers:
            self._loop.call_soon(self.flush)  # not every answer comes from a turn of an engine
        self._answers.append((connection, request))

    def flush(self) -> None:
        """Write what there is."""
        if not self._answers:
            return
        answers, self._answers = self._answers, []
        for connection, request in answers:
            try:
                connection.answer(request)
            except Exception:
                give_up(connection)


def give_up(connection: "Connection") -> None:
    """A bug ends the connection that it shows in, and no other."""
    log.exception("a connection failed, and is given up")
    connection.abort()
