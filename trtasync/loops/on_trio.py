"""The engine's event loop on trio: a system task waits to be woken."""

import math
from collections.abc import Awaitable, Callable, Generator
from socket import socket
from typing import Any

import trio

from trtasync.errors import WrongLoop
from trtasync.loops.base import Future, Origin, Watch, do_nothing


class AlreadyDone(Exception):
    """A future was answered twice, or after its caller was cancelled."""


class TrioLoop:
    """See `EventLoop`."""

    done_error: type[Exception] = AlreadyDone

    def __init__(self) -> None:
        self.callback: Callable[[], None] = do_nothing
        self._woken = False
        self._parked = False
        self._closed = False
        self._ended = False
        self.due: float = math.inf
        self._scope: trio.CancelScope | None = None
        self._token = trio.lowlevel.current_trio_token()
        # the clock itself, unlike trio.current_time, can be read from any thread at any time
        self.now: Callable[[], float] = trio.lowlevel.current_clock().current_time
        self.wrong: Callable[[], WrongLoop] = Origin(lambda: self._ended).error
        self.deadline: Callable[[], float] = self._deadline
        self.future: Callable[[], Future] = _TrioFuture
        self._task = trio.lowlevel.spawn_system_task(self._serve, name="trtasync wake")

    def _deadline(self) -> float:
        try:
            if trio.lowlevel.current_trio_token() is self._token:
                return trio.current_effective_deadline()
        except RuntimeError:
            pass
        raise self.wrong()

    def check(self) -> None:
        self._deadline()

    def wake(self) -> None:
        self._woken = True
        if self._parked:
            self._parked = trio.lowlevel.reschedule(self._task) is not None

    def wake_at(self, when: float) -> None:
        self.due = when
        if self._parked and self._scope is not None:
            self._scope.deadline = when

    def wake_from_thread(self) -> None:
        try:
            self._token.run_sync_soon(self.wake, idempotent=True)
        except trio.RunFinishedError:
            self._closed = True

    def wake_last(self, callback: Callable[[], None]) -> bool:
        self.callback = callback
        self.wake_from_thread()
        return not (self._closed or self._ended)

    def watch(self, connection: socket, readable: Callable[[], None]) -> Watch:
        return _Watch(connection, readable)

    def close(self) -> None:
        self._closed = True
        self.wake()

    async def _serve(self) -> None:
        try:
            while not self._closed:
                if self._woken:
                    await trio.lowlevel.cancel_shielded_checkpoint()
                else:
                    await self._park()
                if self._closed:
                    return
                self._woken = False
                self.callback()
        except trio.Cancelled:
            self._ended = True  # trio ends its system tasks last
            raise

    async def _park(self) -> None:
        with trio.CancelScope(deadline=self.due) as self._scope:
            self._parked = True
            await trio.lowlevel.wait_task_rescheduled(self._unpark)
        if self._scope.cancelled_caught:
            self.due = math.inf

    def _unpark(self, _: Any) -> trio.lowlevel.Abort:
        self._parked = False
        return trio.lowlevel.Abort.SUCCEEDED


class _TrioFuture:
    """The part of asyncio.Future that the engine needs, for trio."""

    __slots__ = ("_cancelled", "_done", "_error", "_result", "_task")

    def __init__(self) -> None:
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
            raise AlreadyDone
        self._done = True
        if self._task is not None:
            trio.lowlevel.reschedule(self._task)

    def _abort(self, _: Any) -> Any:
        self._done = self._cancelled = True
        return trio.lowlevel.Abort.SUCCEEDED

    def __await__(self) -> Generator[Any, None, Any]:
        lowlevel = trio.lowlevel
        if self._done:
            yield from lowlevel.checkpoint().__await__()
        else:
            try:
                self._task = lowlevel.current_task()
                yield from lowlevel.wait_task_rescheduled(self._abort).__await__()
            finally:
                self._task = None  # an exception may have come before it waited
        if self._error is not None:
            raise self._error
        return self._result


class _Watch:
    """See `Watch`: a system task for each direction that is looked at."""

    def __init__(self, connection: socket, readable: Callable[[], None]):
        self._connection = connection
        self._reading: trio.CancelScope | None = None
        self._writing: trio.CancelScope | None = None
        self.when_readable(readable)

    def when_readable(self, callback: Callable[[], None] | None) -> None:
        self._reading = self._exchange(self._reading, trio.lowlevel.wait_readable, callback)

    def when_writable(self, callback: Callable[[], None] | None) -> None:
        self._writing = self._exchange(self._writing, trio.lowlevel.wait_writable, callback)

    def close(self) -> None:
        self.when_readable(None)
        self.when_writable(None)

    def _exchange(
        self,
        before: trio.CancelScope | None,
        ready: Callable[[socket], Awaitable[None]],
        callback: Callable[[], None] | None,
    ) -> trio.CancelScope | None:
        if before is not None:
            before.cancel()
        if callback is None:
            return None
        scope = trio.CancelScope()
        trio.lowlevel.spawn_system_task(self._serve, scope, ready, callback, name="trtasync socket")
        return scope

    async def _serve(
        self,
        scope: trio.CancelScope,
        ready: Callable[[socket], Awaitable[None]],
        callback: Callable[[], None],
    ) -> None:
        with scope:
            while not scope.cancel_called:  # who closes the watch may close the socket next
                await ready(self._connection)
                callback()
