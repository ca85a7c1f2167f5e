"""Runs blocking work that happens once, such as loading and closing, in a new thread."""

import atexit
import math
from collections.abc import Callable
from threading import Thread
from typing import Any, TypeVar, cast
from weakref import WeakSet

import anyio
import anyio.lowlevel

from trtasync.loops.base import Future
from trtasync.loops.choice import current_loop
from trtasync.system.threads import NoThread, start_thread

T = TypeVar("T")

_left: WeakSet[Thread] = WeakSet()
"""Threads that only the interpreter's exit waits for: they are daemons, and ending one during a
C++ call aborts the process."""


@atexit.register
def _wait_for_those_left() -> None:
    for thread in list(_left):
        thread.join()


async def in_thread(
    work: Callable[[], T],
    undo: Callable[[T], None] | None = None,
    interrupt: Callable[[], object] | None = None,
    lasting: bool = False,
) -> T:
    """Run `work` in a new thread that ends afterwards, and wait for it.

    Unlike `anyio.to_thread.run_sync` it leaves no idle worker behind and loses no result: if the
    waiting task is cancelled, it still waits for the work and undoes its result, unless `interrupt`
    says that waiting is not necessary: then the thread ends by itself.

    Args:
        work: what to do; it must not touch the loop.
        undo: gets the result if the waiting task was cancelled (called in such a thread, too).
        interrupt: called on the loop when the waiting task is cancelled, to make the work end soon.
            Returns True if the rest of the work leaves nothing behind and need not be waited for.
        lasting: the result of the work is permanent, so it is returned even to a task whose scope
            was cancelled, which notices that at its next checkpoint. A bare `task.cancel()` is not
            repeated by asyncio, so it is obeyed at once.

    Raises:
        NoThread: no thread can be started.
        BaseException: the exception of `work`; a cancellation, usually after the work has ended.
    """
    outcome: list[tuple[bool, Any]] = []
    waiting: list[Future] = []

    def wake() -> None:
        for future in waiting:
            if not future.done():
                future.set_result(None)

    loop = current_loop()
    loop.callback = wake

    def run() -> None:
        try:
            outcome.append((True, work()))
        except BaseException as error:
            outcome.append((False, error))
        loop.wake_from_thread()

    async def ended() -> None:
        waiting[:] = [loop.future()]
        if not outcome:
            await waiting[0]

    cancellation = anyio.get_cancelled_exc_class()
    cancelled: BaseException | None = None
    bare = False
    try:
        thread = start_thread(run, "trtasync open/close")
        await ended()
    except NoThread:
        raise
    except BaseException as error:  # on trio Ctrl-C is raised here directly
        cancelled = error
        bare = not isinstance(error, cancellation) or anyio.current_effective_deadline() > -math.inf
        if interrupt is not None and interrupt() is True:
            _left.add(thread)
            raise
        # From here on the shield holds AnyIO off; a bare task.cancel() pierces it, once a call.
        with anyio.CancelScope(shield=True):
            while not outcome:
                try:
                    await ended()
                except cancellation:
                    bare = True
    finally:
        loop.close()
    thread.join()
    succeeded, value = outcome[0]
    if succeeded and lasting and not bare:
        return cast(T, value)
    try:
        await anyio.lowlevel.checkpoint_if_cancelled()
    except cancellation as error:
        cancelled = cancelled or error
    if cancelled is not None:
        if succeeded and undo is not None:
            await free_in_thread(lambda: undo(value))
        raise cancelled
    if not succeeded:
        raise value
    return cast(T, value)


async def free_in_thread(work: Callable[[], T], interrupt: Callable[[], object] | None = None) -> T:
    """Like `in_thread`, for freeing resources: if no thread can be started, it runs on the loop."""
    try:
        return await in_thread(work, interrupt=interrupt)
    except NoThread:
        return work()
