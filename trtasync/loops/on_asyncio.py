"""The engine's event loop on asyncio and uvloop."""

import asyncio
import contextvars
import math
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import anyio

from trtasync.errors import WrongLoop
from trtasync.loops.base import Future, Home

_SCOPE_ATTRIBUTES = ("_cancel_called", "_deadline", "_parent_scope", "_shield")


def _deadline_reader(
    loop: asyncio.AbstractEventLoop, wrong: Callable[[], WrongLoop]
) -> Callable[[], float]:
    """Make the function behind `EventLoop.deadline`: it runs once a request.

    `anyio.current_effective_deadline` takes 1 to 2 us, a fifth of a request. The same walk from
    AnyIO's table of tasks up the cancel scopes takes a quarter of that, and next to nothing while
    no task of the program has a scope. An AnyIO with other internals is asked itself. A closure,
    because its names are looked up fastest. More in docs/anyio-deadlines.md.
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

    def __init__(self, callback: Callable[[], None]):
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._callback = callback
        self._rung = False
        self._rung_from_thread = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf
        self._closed = False
        # Whoever rings is a caller: what runs then must not see that caller's context variables.
        self._context = contextvars.Context()
        self.wrong = Home(self._loop.is_closed).error
        self.deadline = _deadline_reader(self._loop, self.wrong)
        self.future: Callable[[], Future] = self._loop.create_future
        # uvloop's clock is the same one rounded down to a millisecond, read once an iteration.
        same_clock = abs(self._loop.time() - time.monotonic()) < 0.1
        self.now = time.monotonic if same_clock else self._loop.time

    def check(self) -> None:
        if threading.get_ident() != self._thread or asyncio.current_task(self._loop) is None:
            raise self.wrong()

    def ring(self) -> None:
        if not self._rung and not self._closed:
            self._loop.call_soon(self._fire, context=self._context)
            self._rung = True

    def _fire(self) -> None:
        self._rung = False
        if not self._closed:
            self._callback()

    def alarm(self, when: float) -> None:
        if when == self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._timer_at = math.inf
        if when < math.inf and not self._closed:
            self._timer = self._loop.call_at(when, self._alarmed, context=self._context)
            self._timer_at = when

    def _alarmed(self) -> None:
        self._timer = None
        self._timer_at = math.inf
        self.ring()

    def ring_from_thread(self) -> None:
        # One wake-up for many completions; the flag is cleared before the callback looks at them.
        if self._rung_from_thread:
            return
        self._rung_from_thread = True
        try:
            self._loop.call_soon_threadsafe(self._fire_from_thread, context=self._context)
        except RuntimeError:
            self._closed = True  # the loop is closed: there is nobody left to tell
        except BaseException:
            self._rung_from_thread = False  # the next one rings
            raise

    def _fire_from_thread(self) -> None:
        self._rung_from_thread = False
        self.ring()

    def ring_last(self, callback: Callable[[], None]) -> bool:
        self._callback = callback
        if self._closed or not self._loop.is_running():
            return False
        self.ring_from_thread()
        return True

    def close(self) -> None:
        self.alarm(math.inf)
        self._closed = True
