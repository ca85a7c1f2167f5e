"""What reading the caller's deadline costs, AnyIO's way and the engine's.

`python -m benchmarks.effective_deadline`, half a minute; `docs/anyio-deadlines.md` has the why.
"""

import gc
import statistics
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, ExitStack
from functools import partial
from unittest.mock import patch

import anyio
import numpy as np

from benchmarks.systems import COLUMNS, PRODUCT, Infer, trtasync
from trtasync.loops import on_asyncio
from trtasync.loops.choice import current_loop
from trtasync.measure.runs import on_loop
from trtasync.measure.settings import Loop
from trtasync.measure.statistics import spread

LOOPS: tuple[Loop, ...] = ("asyncio", "uvloop")
SCOPES = (0, 1, 3)
CALLS, REPEATS = 5000, 60
ROUNDS, SECONDS, CALLERS = 30, 0.15, 64

Read = Callable[[], float]


def nanoseconds(read: Read) -> float:
    """The median of many runs."""
    found = []
    for _ in range(REPEATS):
        began = time.process_time_ns()
        for _ in range(CALLS):
            read()
        found.append((time.process_time_ns() - began) / CALLS)
    return statistics.median(found)


async def readings(name: str) -> None:
    """A reading alone, below so many scopes."""
    loop = current_loop()
    for scopes in SCOPES:
        with ExitStack() as stack:
            for _ in range(scopes):
                stack.enter_context(anyio.fail_after(1000))
            ours, theirs = nanoseconds(loop.deadline), nanoseconds(anyio.current_effective_deadline)
        print(f"{name}, {scopes} scopes: {ours:.0f} ns, by AnyIO {theirs:.0f} ns")
    loop.close()


async def load(infer: Infer) -> float:
    """Microseconds of CPU per request of callers that have a scope each."""
    count, row = 0, np.ones(COLUMNS, np.float32)
    began, end = time.process_time(), time.perf_counter() + SECONDS

    async def caller() -> None:
        nonlocal count
        with anyio.fail_after(1000):
            going = True
            while going:
                await infer(row)
                count += 1
                going = time.perf_counter() < end

    async with anyio.create_task_group() as group:
        for _ in range(CALLERS):
            group.start_soon(caller)
    return (time.process_time() - began) / count * 1e6


async def requests(loop: str) -> None:
    """Two engines in turn."""
    async with AsyncExitStack() as stack:
        read = await stack.enter_async_context(trtasync(PRODUCT))
        with patch.object(on_asyncio, "_task_scopes", lambda: None):  # as if AnyIO were another
            asked = await stack.enter_async_context(trtasync(PRODUCT))
        pairs = [(await load(read), await load(asked)) for _ in range(1 + ROUNDS)]
    ours, theirs = (spread(each) for each in zip(*pairs[1:], strict=True))
    ratio = spread(one / other for one, other in pairs[1:])
    print(f"{loop}, us per request: {ours}, by AnyIO {theirs}, ratio {ratio}")


def main() -> None:
    """Measure and print."""
    gc.freeze()
    for loop in LOOPS:
        on_loop(loop, partial(readings, loop))
        on_loop(loop, partial(requests, loop))


if __name__ == "__main__":
    main()
