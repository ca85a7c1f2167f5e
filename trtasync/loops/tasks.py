"""Bare tasks of the loop's own library, where those of an AnyIO group are too slow.

To start, cancel and await one takes 50 us in such a group, and 11 to 15 us without. There it has a
cancel scope, too, in which every request has to look for a deadline; the tasks of a server mostly
have none.
"""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

Work = Coroutine[Any, Any, None]
Starter = Callable[[Work], None]
Answer = TypeVar("Answer")


@asynccontextmanager
async def bare_tasks() -> AsyncIterator[Starter]:
    """A group whose starter runs a coroutine in a task; leaving waits for all of them.

    A task that raises ends the others and the block, with that very exception.
    """
    try:
        if _in_trio():
            import trio

            async with trio.open_nursery() as nursery:
                yield lambda job: nursery.start_soon(_run, job)
        else:
            import asyncio

            async with asyncio.TaskGroup() as group:
                yield lambda job: _forget(group.create_task(job))
    except BaseExceptionGroup as group_error:
        error: BaseException = group_error
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from group_error


async def accompanied(call: Callable[[], Awaitable[Answer]], companion: Work) -> Answer:
    """Await `call()` with a task beside it, which is cancelled when the call has ended.

    Args:
        call: what is wanted.
        companion: what the task does. When it raises before the answer, the call is cancelled.

    Raises:
        BaseException: what the call or the companion raised, and no group of it.
    """
    answers: list[Answer] = []
    failure: BaseException | None = None
    try:
        await (_in_nursery if _in_trio() else _in_group)(call, companion, answers)
    except BaseExceptionGroup as group:
        failure = group.exceptions[0]
        group.__traceback__ = None  # of frames that keep it, and it what the call was about
    try:
        if failure is not None and not answers:
            raise failure  # here, where it is not told as a consequence of the group
        return answers[0]
    finally:
        del failure  # which this frame would keep, and it this frame


async def _in_group(
    call: Callable[[], Awaitable[Answer]], companion: Work, answers: list[Answer]
) -> None:
    import asyncio

    async with asyncio.TaskGroup() as group:
        task = group.create_task(companion)
        answers.append(await call())
        task.cancel()
        await asyncio.wait([task])  # failing later, it would leave the caller cancelled


async def _in_nursery(
    call: Callable[[], Awaitable[Answer]], companion: Work, answers: list[Answer]
) -> None:
    import trio

    async with trio.open_nursery() as nursery:
        nursery.start_soon(_run, companion)
        answers.append(await call())
        nursery.cancel_scope.cancel()


def _in_trio() -> bool:
    trio = sys.modules.get("trio")
    return trio is not None and bool(trio.lowlevel.in_trio_task())


async def _run(job: Work) -> None:
    await job


def _forget(task: object) -> None:
    """The group keeps it."""
