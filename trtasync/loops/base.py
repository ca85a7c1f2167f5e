"""What the engine needs of an event loop, and of a future."""

import os
import threading
from collections.abc import Callable, Generator
from socket import socket
from typing import Any, Protocol

from trtasync.errors import WrongLoop


class Future(Protocol):
    """An answer to come: set once by the engine, awaited once by its caller."""

    def done(self) -> bool:
        """It has an answer, or its caller was cancelled."""

    def cancelled(self) -> bool:
        """Its caller was cancelled before an answer came."""

    def set_result(self, result: Any, /) -> None:
        """Answer. Raises the loop's `done_error` when done."""

    def set_exception(self, exception: BaseException, /) -> None:
        """Fail. Raises the loop's `done_error` when done."""

    def __await__(self) -> Generator[Any, None, Any]: ...


class Watch(Protocol):
    """A socket that the loop looks at. For the loop's own thread."""

    def when_readable(self, callback: Callable[[], None] | None) -> None:
        """Run another callback in every turn in which there is something to read; None for none:
        what comes waits, and the other side does when it has sent too much."""

    def when_writable(self, callback: Callable[[], None] | None) -> None:
        """Run `callback` in every turn in which the socket takes bytes; None for no more."""

    def close(self) -> None:
        """Look at it no more. To be called before the socket is closed."""


class EventLoop(Protocol):
    """See the module's docstring. All but `wake_from_thread` are for the loop's own thread."""

    callback: Callable[[], None]
    """What `wake` runs; set by who wakes it."""
    due: float
    """The time set by `wake_at`."""
    future: Callable[[], Future]
    done_error: type[Exception]
    """What a future raises that is done already (asyncio's own class: importing asyncio takes a
    third of `import trtasync`, so that is left to the loop)."""
    now: Callable[[], float]
    deadline: Callable[[], float]
    """The calling task's effective deadline: inf for none, -inf when it is cancelled already.
    Raises WrongLoop when the caller runs in another loop or thread."""

    def check(self) -> None:
        """Raise WrongLoop unless this loop is running; `deadline` may see the thread only, because
        it runs once a request and this once a turn of the loop."""

    def wake(self) -> None:
        """Run `callback` once, after what is ready now."""

    def wake_at(self, when: float) -> None:
        """Run `callback` at a time, instead of at the one set before; inf for never."""

    def wake_from_thread(self) -> None:
        """`wake`, from any thread. Never blocks; does nothing when the loop is gone."""

    def wake_last(self, callback: Callable[[], None]) -> bool:
        """Run another callback instead, from now on; False when the loop will run none. From any
        thread."""

    def watch(self, connection: socket, readable: Callable[[], None]) -> Watch:
        """Run `readable` in every turn in which a non-blocking socket has bytes, or its end."""

    def close(self) -> None:
        """Run `callback` no more."""

    def wrong(self) -> WrongLoop:
        """The error for a caller that this loop does not run."""


def do_nothing() -> None:
    """The callback of a loop that nobody wakes yet."""


class Origin:
    """The process, thread and loop that an engine was opened in."""

    def __init__(self, ended: Callable[[], bool]):
        """Remember the calling process and thread.

        Args:
            ended: the loop will never run again.
        """
        self._process = os.getpid()
        self._thread = threading.get_ident()
        self._ended = ended

    def error(self) -> WrongLoop:
        """The error for a caller from elsewhere: it says what is another one there."""
        here = os.getpid()
        if here != self._process:
            return WrongLoop(
                f"this engine was opened in process {self._process}, of which this one, {here}, is "
                "a fork: its threads and its device stayed there. Open an engine in each process, "
                "after the fork (gunicorn: not by an import with --preload, but at the start of "
                "the application), or start processes with 'spawn'.",
                where="process",
            )
        if self._ended():
            return WrongLoop(
                "the event loop that opened this engine has ended, and this is another one. Open "
                "it in the loop that uses it (pytest: a fixture of the session needs a loop of the "
                "session).",
                where="loop",
            )
        if threading.get_ident() != self._thread:
            return WrongLoop(
                "this engine was opened in another thread, and belongs to the event loop there: "
                "hand requests over with a blocking portal, or open an engine in this loop too.",
                where="thread",
            )
        return WrongLoop(
            "this engine was opened in another event loop of this thread, and belongs to it: open "
            "an engine in this loop too.",
            where="loop",
        )
