"""Long work in a thread that whoever wanted it may call off."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Stopped(Exception):
    """The work was called off; its result is not wanted."""


def go_on(stop: threading.Event) -> None:
    """Raise `Stopped` if the work was called off: to be asked between two steps of it."""
    if stop.is_set():
        raise Stopped


class Stop(threading.Event):
    """Calls work off, and knows whether anybody needs to wait for its end."""

    def __init__(self) -> None:
        super().__init__()
        self._deciding = threading.Lock()
        self._harmless = False

    def call_off(self) -> bool:
        """Set it; True where nobody needs to wait: the work ends by itself, and leaves nothing."""
        with self._deciding:
            self.set()
            return self._harmless

    @contextmanager
    def harmless(self) -> Iterator[None]:
        """Work that leaves nothing behind when it is called off, unless it comes to `decision`.

        Raises:
            Stopped: at its beginning or its end, because it was, and nothing was decided.
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
