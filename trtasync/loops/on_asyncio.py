"""The engine's event loop on asyncio and uvloop."""

import asyncio
import contextvars
import math
import threading
import time
import weakref
from collections.abc import Callable
from socket import socket
from typing import Any

import anyio

from trtasync.errors import WrongLoop
from trtasync.loops.base import Future, Origin, Watch, do_nothing

_SCOPE_ATTRIBUTES = ("_cancel_called", "_deadline", "_parent_scope", "_shield")


def _deadline_reader(
    loop: asyncio.AbstractEventLoop, wrong: Callable[[], WrongLoop]
) -> Callable[[], float]:
    """Make the function behind `EventLoop.deadline`: it runs once a request.

    `anyio.current_effective_deadline` takes 1 to 2 us, a fifth of a request. The same walk from
    AnyIO's table of tasks up the cancel scopes takes a fifth of that, and next to nothing while no
    task of the program has a scope. An AnyIO with other internals is asked itself. A closure,
    because its names are looked up fastest.
    """
    effective = anyio.current_effective_deadline
    current_task, ref, never = asyncio.current_task, weakref.ref, math.inf
    get_ident, thread = threading.get_ident, threading.get_ident()
    scopes = _task_scopes()

    def deadline() -> float:
        # Thread and task together say that this is the right loop. `get_running_loop` would say it
        # too, but calls getpid every time. Without scopes the task is left to `EventLoop.check`.
        if get_ident() != thread:
            raise wrong()
        if not scopes:
            return never  # no task of this program has a scope
        task = current_task(loop)
        if task is None:
            raise wrong()
        state = scopes.get(ref(task))
        if state is None or (scope := state.cancel_scope) is None:
            return never
        earliest = never
        while scope is not None:
            if scope._cancel_called:
                return -never
            if scope._deadline < earliest:
                earliest = scope._deadline
            if scope._shield:
                break
            scope = scope._parent_scope
        return earliest

    def deadline_by_anyio() -> float:
        if current_task(loop) is None or get_ident() != thread:
            raise wrong()
        return effective()

    return deadline_by_anyio if scopes is None else deadline


def _task_scopes() -> Any:
    """AnyIO's table from (a weak reference to) a task to its scopes.

    None when this AnyIO keeps no such table, or one without the attributes that are read here; a
    test holds the reading against `anyio.current_effective_deadline`.
    """
    try:
        from anyio._backends._asyncio import TaskState, _task_states
    except ImportError:
        return None
    table: Any = _task_states
    probe = anyio.CancelScope()
    known = (
        isinstance(table, weakref.WeakKeyDictionary)
        and hasattr(table, "data")
        and hasattr(TaskState, "cancel_scope")
        and all(hasattr(probe, name) for name in _SCOPE_ATTRIBUTES)
    )
    return table.data if known else None


class AsyncioLoop:
    """See `EventLoop`."""

    done_error: type[Exception] = asyncio.InvalidStateError

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.callback: Callable[[], None] = do_nothing
        self._woken = False
        self._woken_from_thread = False
        self._timer: asyncio.TimerHandle | None = None
        self.due: float = math.inf
        self._closed = False
        # Whoever wakes it is a caller: what runs then must not see that caller's context variables.
        self._context = contextvars.Context()
        self.wrong: Callable[[], WrongLoop] = Origin(self._loop.is_closed).error
        self.deadline: Callable[[], float] = _deadline_reader(self._loop, self.wrong)
        self.future: Callable[[], Future] = self._loop.create_future
        # uvloop's clock is the same one rounded down to a millisecond, read once an iteration.
        same_clock = abs(self._loop.time() - time.monotonic()) < 0.1
        self.now: Callable[[], float] = time.monotonic if same_clock else self._loop.time

    def check(self) -> None:
        # the running loop and not the current task: a protocol's callbacks run in none
        if asyncio._get_running_loop() is not self._loop:
            raise self.wrong()

    def wake(self) -> None:
        if not self._woken and not self._closed:
            self._loop.call_soon(self._fire, context=self._context)
            self._woken = True

    def _fire(self) -> None:
        self._woken = False
        if not self._closed:
            self.callback()

    def wake_at(self, when: float) -> None:
        if when == self.due:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self.due = math.inf
        if when < math.inf and not self._closed:
            self._timer = self._loop.call_at(when, self._on_timer, context=self._context)
            self.due = when

    def _on_timer(self) -> None:
        self._timer = None
        self.due = math.inf
        self.wake()

    def wake_from_thread(self) -> None:
        # One wake-up for many completions; the flag is cleared before the callback looks at them.
        if self._woken_from_thread:
            return
        self._woken_from_thread = True
        try:
            self._loop.call_soon_threadsafe(self._fire_from_thread, context=self._context)
        except RuntimeError:
            self._closed = True  # the loop is closed: there is nobody left to tell
        except BaseException:
            self._woken_from_thread = False  # the next one wakes it
            raise

    def _fire_from_thread(self) -> None:
        self._woken_from_thread = False
        self.wake()

    def wake_last(self, callback: Callable[[], None]) -> bool:
        self.callback = callback
        if self._closed or not self._loop.is_running():
            return False
        self.wake_from_thread()
        return True

    def watch(self, connection: socket, readable: Callable[[], None]) -> Watch:
        return _Watch(self._loop, connection.fileno(), readable)

    def close(self) -> None:
        self.wake_at(math.inf)
        self._closed = True


class _Watch:
    """See `Watch`. By number: uvloop holds on to a socket object that it is given."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        descriptor: int,
        readable: Callable[[], None],
    ):
        self._loop = loop
        self._descriptor = descriptor
        self.when_readable(readable)

    def when_readable(self, callback: Callable[[], None] | None) -> None:
        if callback is None:
            self._loop.remove_reader(self._descriptor)
        else:
            contextvars.Context().run(self._loop.add_reader, self._descriptor, callback)

    def when_writable(self, callback: Callable[[], None] | None) -> None:
        if callback is None:
            self._loop.remove_writer(self._descriptor)
        else:
            contextvars.Context().run(self._loop.add_writer, self._descriptor, callback)

    def close(self) -> None:
        if not self._loop.is_closed():
            self._loop.remove_reader(self._descriptor)
            self._loop.remove_writer(self._descriptor)
