"""The engine's requirements on an event loop and a future."""

import os
import threading
from collections.abc import Callable, Generator
from socket import socket
from typing import Any, Protocol

from trtasync.errors import WrongLoop


class Future(Protocol):
    """A future answer, set once by the engine and awaited once by its caller."""

    def done(self) -> bool:
        """Whether it has an answer, or its caller was cancelled."""

    def cancelled(self) -> bool:
        """Whether its caller was cancelled before an answer arrived."""

    def set_result(self, result: Any, /) -> None:
        """Set the answer. Raises the loop's `done_error` if already done."""

    def set_exception(self, exception: BaseException, /) -> None:
        """Set an exception. Raises the loop's `done_error` if already done."""

    def __await__(self) -> Generator[Any, None, Any]: ...


class Watch(Protocol):
    """A socket watched by the loop. Only for the loop's own thread."""

    def when_readable(self, callback: Callable[[], None] | None) -> None:
        """Run another callback in every turn in which there is something to read; None for none:
        what comes waits, and the other side does when it has sent too much."""

    def when_writable(self, callback: Callable[[], None] | None) -> None:
        """Run `callback` in every turn in which the socket is writable; None to stop."""

    def close(self) -> None:
        """Stop watching. To be called before the socket is closed."""


class EventLoop(Protocol):
    """See the module's docstring. All but `wake_from_thread` are for the loop's own thread."""

    callback: Callable[[], None]
    """The function that `wake` runs; set by the code that uses it."""
    due: float
    """The time set by `wake_at`."""
    future: Callable[[], Future]
    done_error: type[Exception]
    """The exception of a future that is already done (asyncio's own class: importing asyncio takes
    a third of `import trtasync`, so only the loop imports it)."""
    now: Callable[[], float]
    deadline: Callable[[], float]
    """The calling task's effective deadline: inf for none, -inf if it is already cancelled.
    Raises WrongLoop if the caller runs in another loop or thread."""

    def check(self) -> None:
        """Raise WrongLoop unless this loop is running. It is called once per turn of the loop;
        `deadline`, which is called once per request, may check only the thread."""

    def wake(self) -> None:
        """Run `callback` once, after the callbacks that are ready now."""

    def wake_at(self, when: float) -> None:
        """Run `callback` at a time, which replaces an earlier one; inf for never."""

    def wake_from_thread(self) -> None:
        """Like `wake`, from any thread. Never blocks; does nothing if the loop is gone."""

    def wake_last(self, callback: Callable[[], None]) -> bool:
        """Replace the callback; returns False if the loop will not run any more. Thread-safe."""

    def watch(self, connection: socket, readable: Callable[[], None]) -> Watch:
        """Run `readable` in every turn in which a non-blocking socket has bytes or has ended."""

    def close(self) -> None:
        """Stop calling `callback`."""

    def wrong(self) -> WrongLoop:
        """The error for a caller that this loop does not run."""


def do_nothing() -> None:
    """The callback before one is set."""


class Origin:
    """The process, thread and loop in which an engine was opened."""

    def __init__(self, ended: Callable[[], bool]):
        """Remember the calling process and thread.

        Args:
            ended: the loop will never run again.
        """
        self._process = os.getpid()
        self._thread = threading.get_ident()
        self._ended = ended

    def error(self) -> WrongLoop:
        """The error for a caller from elsewhere, which says what differs."""
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
