"""Long work in a thread that its caller may cancel."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Stopped(Exception):
    """The work was cancelled; its result is not wanted."""


def go_on(stop: threading.Event) -> None:
    """Raise `Stopped` if the work was cancelled; to be called between its steps."""
    if stop.is_set():
        raise Stopped


class Stop(threading.Event):
    """Cancels work, and knows whether its end must be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self._deciding = threading.Lock()
        self._harmless = False

    def call_off(self) -> bool:
        """Cancel; returns True if the work will end by itself and leave nothing behind."""
        with self._deciding:
            self.set()
            return self._harmless

    @contextmanager
    def harmless(self) -> Iterator[None]:
        """Mark work that leaves nothing behind if cancelled, unless it reaches `decision`.

        Raises:
            Stopped: it was cancelled before its beginning or its end, and nothing was decided.
        """
        with self._deciding:
            go_on(self)
            self._harmless = True
        try:
            yield
        finally:
            with self._deciding:
                undecided, self._harmless = self._harmless, False
        if undecided:
            go_on(self)

    @contextmanager
    def decision(self, final: bool = True) -> Iterator[None]:
        """What stays: it happens before the work is called off, or never. Must be short: whoever
        calls it off meanwhile is kept waiting.

        Args:
            final: the work is done by it: who calls it off later waits for the end.

        Raises:
            Stopped: it was called off; the block is not entered.
        """
        with self._deciding:
            go_on(self)
            self._harmless = self._harmless and not final
            yield
