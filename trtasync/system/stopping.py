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
        """Set it; True where the work is at a step that nobody needs to wait for."""
        with self._deciding:
            self.set()
            return self._harmless

    @contextmanager
    def harmless(self) -> Iterator[None]:
        """A step that cannot be stopped soon, and leaves nothing behind when it was called off.

        Raises:
            Stopped: at its beginning or its end, because it was.
        """
        with self._deciding:
            go_on(self)
            self._harmless = True
        try:
            yield
        finally:
            with self._deciding:
                self._harmless = False
        go_on(self)
