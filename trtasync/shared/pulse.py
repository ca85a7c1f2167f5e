"""Whether the host at the other end still turns: it is asked every now and then, and has to answer.

What is heard of it otherwise does not count, so that no request pays for this. Nor does time: a
question is asked when this process is awake, and the host then has the time that it is given.
"""

from collections.abc import Callable
from typing import Protocol

from trtasync.loops import EventLoop

QUESTIONS = 6
"""Without an answer, one after the other, until a host is taken to hang."""


class Asked(Protocol):
    """What a pulse needs of a session.

    Attributes:
        is_open: the host is there.
    """

    is_open: bool

    @property
    def pongs(self) -> int:
        """How often the host has answered."""

    def ping(self) -> None:
        """Ask it."""


class Pulse:
    """See the module's docstring."""

    def __init__(self, loop: EventLoop, patience: float, silent: Callable[[], None]):
        """Ask nobody yet.

        Args:
            loop: the running one, for this alone.
            patience: seconds for which a host may be silent; inf for whatever it takes.
            silent: called when one was for longer.
        """
        self._loop = loop
        self._interval = patience / QUESTIONS
        self._silent = silent
        self._asked = 0
        loop.callback = self._ask

    def begin(self, session: Asked) -> None:
        """Ask another host from now on."""
        self._session = session
        self._asked = 0
        self._wait()

    def _wait(self) -> None:
        self._loop.wake_at(self._loop.now() + self._interval)

    def _ask(self) -> None:
        session = self._session
        if not session.is_open:
            return  # until there is another one
        if self._asked - session.pongs >= QUESTIONS:
            self._silent()
            return
        self._asked += 1
        session.ping()
        self._wait()

    def close(self) -> None:
        """Ask nobody any more."""
        self._loop.close()
