"""Many simultaneous callers, as bare tasks of the loop's own library, to measure engines.

A task of an AnyIO group has a cancel scope, in which every request has to look for a deadline; the
tasks of a server mostly have none.
"""

import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

Work = Coroutine[Any, Any, None]
Starter = Callable[[Work], None]


@asynccontextmanager
async def bare_tasks() -> AsyncIterator[Starter]:
    """A group whose starter runs a coroutine in a task; leaving waits for all of them.

    A task that raises ends the others and the block, with that very exception.
    """
    try:
        trio = sys.modules.get("trio")
        if trio is not None and trio.lowlevel.in_trio_task():
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


async def _run(job: Work) -> None:
    await job


def _forget(task: object) -> None:
    """The group keeps it."""
