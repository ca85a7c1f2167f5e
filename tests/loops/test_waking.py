"""Who wakes a loop from a thread is never hurt by it, and a wake-up that was lost comes again."""

import asyncio
import contextvars
from collections.abc import Callable
from typing import TypeVarTuple, Unpack

import anyio
import pytest

from support.helpers import until
from trtasync.loops import EventLoop, current_loop

Arguments = TypeVarTuple("Arguments")


class Full(asyncio.SelectorEventLoop):
    """A loop that finds no memory for a callback from a thread, as often as it is told."""

    refusals = 0

    def call_soon_threadsafe(
        self,
        callback: Callable[[Unpack[Arguments]], object],
        *args: *Arguments,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        if self.refusals:
            self.refusals -= 1
            raise MemoryError("no room for a callback")
        return super().call_soon_threadsafe(callback, *args, context=context)


def test_a_wake_up_that_found_no_memory_does_not_swallow_the_next() -> None:
    async def main() -> None:
        running = asyncio.get_running_loop()
        assert isinstance(running, Full)
        loop = current_loop()
        woken = asyncio.Event()
        loop.callback = woken.set
        running.refusals = 1
        with pytest.raises(MemoryError):
            loop.wake_from_thread()
        loop.wake_from_thread()
        await asyncio.wait_for(woken.wait(), 20)
        loop.close()

    with asyncio.Runner(loop_factory=Full) as runner:
        runner.run(main())


@pytest.mark.parametrize("kind", ["asyncio", "trio"])
def test_nobody_is_woken_when_the_loop_is_gone(kind: str) -> None:
    calls: list[str] = []

    async def main() -> EventLoop:
        loop = current_loop()
        loop.callback = lambda: calls.append("before")
        await anyio.to_thread.run_sync(loop.wake_from_thread)
        await until(lambda: calls == ["before"])
        return loop

    loop = anyio.run(main, backend=kind)
    loop.wake_from_thread()
    assert not loop.wake_last(lambda: calls.append("after"))
    assert calls == ["before"]
