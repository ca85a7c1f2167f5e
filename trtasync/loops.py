"""The event loop under the engine: asyncio (uvloop too) and trio, by their cheapest primitives.

The engine needs six things of a loop: a future, the time, the caller's effective deadline, a bell
that runs one callback after the callbacks that are ready now, an alarm that rings it at a time, and
the same bell for other threads. AnyIO offers all but the bell; its event costs 6 to 13 us a request
where a bare asyncio future costs 0.3 to 1, so both loops are spoken to directly, here only.
"""

import asyncio
import math
import sys
import threading
import time
import weakref
from collections.abc import Callable, Generator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import anyio
import anyio.lowlevel

from trtasync.errors import WrongLoop

if TYPE_CHECKING:
    import trio

T = TypeVar("T")

InvalidStateError = asyncio.InvalidStateError
"""Raised by a future that is done already."""


class Future(Protocol):
    """An answer to come: set once by the engine, awaited once by its caller."""

    def done(self) -> bool:
        """It has an answer, or its caller was cancelled."""

    def cancelled(self) -> bool:
        """Its caller was cancelled before an answer came."""

    def set_result(self, result: Any, /) -> None:
        """Answer. Raises InvalidStateError when done."""

    def set_exception(self, exception: BaseException, /) -> None:
        """Fail. Raises InvalidStateError when done."""

    def __await__(self) -> Generator[Any, None, Any]: ...


class EventLoop(Protocol):
    """See the module's docstring. All but `ring_from_thread` are for the loop's own thread."""

    future: Callable[[], Future]
    now: Callable[[], float]
    deadline: Callable[[], float]
    """The calling task's effective deadline: inf for none, -inf when it is cancelled already.
    Raises WrongLoop when the caller runs in another loop or thread."""

    def ring(self) -> None:
        """Run the callback once, after what is ready now."""

    def alarm(self, when: float) -> None:
        """Ring at a time, instead of at the one set before; inf for never."""

    def ring_from_thread(self) -> None:
        """`ring`, from any thread. Never blocks; does nothing when the loop is gone."""

    def close(self) -> None:
        """Ring no more."""


def current_loop(callback: Callable[[], None]) -> EventLoop:
    """The running loop, with `callback` on its bell."""
    return _TrioLoop(callback) if _in_trio() else _AsyncioLoop(callback)


def _in_trio() -> bool:
    trio = sys.modules.get("trio")
    return trio is not None and bool(trio.lowlevel.in_trio_task())


def _wrong_loop() -> WrongLoop:
    return WrongLoop(
        "this engine was opened in another event loop or thread. An engine belongs to the loop "
        "that opened it: open one per loop, or hand requests over with a blocking portal."
    )


# -- asyncio -------------------------------------------------------------------------------------


def _deadline_reader(loop: asyncio.AbstractEventLoop) -> Callable[[], float]:
    """Make the function behind `EventLoop.deadline`: it runs once a request.

    `anyio.current_effective_deadline` takes 1 to 2 us, a fifth of a request, to find out that the
    task has no cancel scope, which is what most callers have. Looking into AnyIO's table of scopes
    first takes a quarter of that; a task that has a scope is read by AnyIO itself, and so is every
    task if this AnyIO keeps no such table. A closure, because its names are looked up fastest.
    """
    effective = anyio.lowlevel.current_token().backend_class.current_effective_deadline
    current_task, ref, never = asyncio.current_task, weakref.ref, math.inf
    get_ident, thread = threading.get_ident, threading.get_ident()
    scopes = _task_scopes()

    def deadline() -> float:
        # Thread and task together say that this is the right loop. `get_running_loop` would say it
        # too, but calls getpid every time.
        task = current_task(loop)
        if task is None or get_ident() != thread:
            raise _wrong_loop()
        if not scopes:
            return never  # no task of this program has a scope
        state = scopes.get(ref(task))
        return never if state is None or state.cancel_scope is None else effective()

    def deadline_by_anyio() -> float:
        if current_task(loop) is None or get_ident() != thread:
            raise _wrong_loop()
        return effective()

    return deadline_by_anyio if scopes is None else deadline


def _task_scopes() -> Any:
    """AnyIO's table from (a weak reference to) a task to its scopes, if it keeps one."""
    try:
        from anyio._backends._asyncio import _task_states

        return _task_states.data
    except (ImportError, AttributeError):  # pragma: no cover - an AnyIO with other internals
        return None


def _future_maker(loop: asyncio.AbstractEventLoop) -> Callable[[], Future]:
    """`loop.create_future`, without the Python frame that asyncio's own puts around it."""
    if getattr(type(loop), "create_future", None) is asyncio.BaseEventLoop.create_future:
        return partial(asyncio.Future, loop=loop)
    return loop.create_future


class _AsyncioLoop:
    def __init__(self, callback: Callable[[], None]):
        self._loop = asyncio.get_running_loop()
        self._callback = callback
        self._rung = False
        self._rung_from_thread = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf
        self._closed = False
        self.deadline = _deadline_reader(self._loop)
        self.future = _future_maker(self._loop)
        # uvloop's clock is the same one rounded down to a millisecond, read once an iteration.
        same_clock = abs(self._loop.time() - time.monotonic()) < 0.1
        self.now = time.monotonic if same_clock else self._loop.time

    def ring(self) -> None:
        if not self._rung and not self._closed:
            self._rung = True
            self._loop.call_soon(self._fire)

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
        self._timer_at = when
        if when < math.inf and not self._closed:
            self._timer = self._loop.call_at(when, self._alarmed)

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
            self._loop.call_soon_threadsafe(self._fire_from_thread)
        except RuntimeError:
            self._closed = True  # the loop is closed: there is nobody left to tell

    def _fire_from_thread(self) -> None:
        self._rung_from_thread = False
        self.ring()

    def close(self) -> None:
        self.alarm(math.inf)
        self._closed = True


# -- trio ----------------------------------------------------------------------------------------


class _TrioLoop:
    def __init__(self, callback: Callable[[], None]):
        import trio

        self._trio = trio
        self._callback = callback
        self._rung = False
        self._parked = False
        self._closed = False
        self._when = math.inf
        self._scope: trio.CancelScope | None = None
        self._token = trio.lowlevel.current_trio_token()
        self.now = trio.current_time
        self.deadline = self._deadline
        self.future: Callable[[], Future] = lambda: _TrioFuture(trio)
        self._task = trio.lowlevel.spawn_system_task(self._serve, name="trtasync bell")

    def _deadline(self) -> float:
        try:
            if self._trio.lowlevel.current_trio_token() is self._token:
                return self._trio.current_effective_deadline()
        except RuntimeError:
            pass
        raise _wrong_loop()

    def ring(self) -> None:
        self._rung = True
        if self._parked:
            self._parked = False
            self._trio.lowlevel.reschedule(self._task)

    def alarm(self, when: float) -> None:
        self._when = when
        if self._parked and self._scope is not None:
            self._scope.deadline = when

    def ring_from_thread(self) -> None:
        try:
            self._token.run_sync_soon(self.ring, idempotent=True)
        except self._trio.RunFinishedError:
            self._closed = True

    def close(self) -> None:
        self._closed = True
        self.ring()

    async def _serve(self) -> None:
        while not self._closed:
            if self._rung:
                await self._trio.lowlevel.cancel_shielded_checkpoint()
            else:
                await self._park()
            if self._closed:
                return
            self._rung = False
            self._callback()

    async def _park(self) -> None:
        with self._trio.CancelScope(deadline=self._when) as self._scope:
            self._parked = True
            await self._trio.lowlevel.wait_task_rescheduled(self._unpark)
        if self._scope.cancelled_caught:
            self._when = math.inf

    def _unpark(self, _: Any) -> "trio.lowlevel.Abort":
        self._parked = False
        return self._trio.lowlevel.Abort.SUCCEEDED


class _TrioFuture:
    """What asyncio.Future is to asyncio, as far as the engine needs it."""

    __slots__ = ("_cancelled", "_done", "_error", "_result", "_task", "_trio")

    def __init__(self, trio: Any):
        self._trio = trio
        self._done = False
        self._cancelled = False
        self._task: Any = None
        self._result: Any = None
        self._error: BaseException | None = None

    def done(self) -> bool:
        return self._done

    def cancelled(self) -> bool:
        return self._cancelled

    def set_result(self, result: Any, /) -> None:
        self._result = result
        self._wake()

    def set_exception(self, exception: BaseException, /) -> None:
        self._error = exception
        self._wake()

    def _wake(self) -> None:
        if self._done:
            raise InvalidStateError
        self._done = True
        if self._task is not None:
            self._trio.lowlevel.reschedule(self._task)

    def _abort(self, _: Any) -> Any:
        self._done = self._cancelled = True
        return self._trio.lowlevel.Abort.SUCCEEDED

    def __await__(self) -> Generator[Any, None, Any]:
        lowlevel = self._trio.lowlevel
        if self._done:
            yield from lowlevel.checkpoint().__await__()
        else:
            self._task = lowlevel.current_task()
            yield from lowlevel.wait_task_rescheduled(self._abort).__await__()
        if self._error is not None:
            raise self._error
        return self._result


# -- threads -------------------------------------------------------------------------------------


async def in_thread(work: Callable[[], T], undo: Callable[[T], None] | None = None) -> T:
    """Run `work` in a thread of its own that is gone afterwards, and wait for it.

    Unlike `anyio.to_thread.run_sync` it leaves no idle worker behind and loses nothing: when the
    waiting task is cancelled the work is waited for all the same, and its result is undone.

    Args:
        work: what to do; it must not touch the loop.
        undo: gets the result when nobody is left to take it (called in the same kind of thread).

    Raises:
        whatever `work` raises; the cancellation, after the work has ended.
    """
    outcome: list[tuple[bool, Any]] = []
    waiting: list[Future] = []

    def wake() -> None:
        for future in waiting:
            if not future.done():
                future.set_result(None)

    bell = current_loop(wake)

    def run() -> None:
        try:
            outcome.append((True, work()))
        except BaseException as error:
            outcome.append((False, error))
        bell.ring_from_thread()

    thread = threading.Thread(target=run, name="trtasync open/close", daemon=True)
    async def ended() -> None:
        waiting[:] = [bell.future()]
        if not outcome:
            await waiting[0]

    cancelled: BaseException | None = None
    thread.start()
    try:
        await ended()
    except BaseException as error:
        cancelled = error
        # From here on the shield holds AnyIO off; a bare task.cancel() pierces it, once a call.
        with anyio.CancelScope(shield=True):
            while not outcome:
                with suppress(BaseException):
                    await ended()
    finally:
        bell.close()
    thread.join()
    succeeded, value = outcome[0]
    try:
        await anyio.lowlevel.checkpoint_if_cancelled()
    except BaseException as error:
        cancelled = error
    if cancelled is not None:
        if succeeded and undo is not None:
            await in_thread(lambda: undo(value))
        raise cancelled
    if not succeeded:
        raise value
    return value  # type: ignore[no-any-return]
