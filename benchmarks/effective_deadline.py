"""What reading the caller's deadline costs, AnyIO's way and the engine's: CPU time.

`python -m benchmarks.effective_deadline`, half a minute; `docs/anyio-deadlines.md` says why.
"""

import gc
import json
import statistics
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, ExitStack
from functools import partial
from typing import Any
from unittest.mock import patch

import anyio
import numpy as np

from benchmarks.report import Result, cell_name, when, write
from benchmarks.showing import times
from benchmarks.systems import COLUMNS, Infer, trtasync
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


async def readings(name: str) -> dict[str, Any]:
    """A reading alone, below so many scopes: both ways, in nanoseconds."""
    loop, found = current_loop(), {}
    for scopes in SCOPES:
        with ExitStack() as stack:
            for _ in range(scopes):
                stack.enter_context(anyio.fail_after(1000))
            ours, theirs = nanoseconds(loop.deadline), nanoseconds(anyio.current_effective_deadline)
        found[cell_name(name, str(scopes))] = {"ours": ours, "anyio": theirs}
    loop.close()
    return found


async def load(infer: Infer) -> float:
    """Microseconds of CPU time per request, for callers that have a scope each."""
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


async def requests(loop: str) -> dict[str, Any]:
    """Two engines in turn: both in microseconds, and what ours takes of theirs in a round."""
    async with AsyncExitStack() as stack:
        read = await stack.enter_async_context(trtasync())
        with patch.object(on_asyncio, "_task_scopes", lambda: None):  # as if it were another AnyIO
            asked = await stack.enter_async_context(trtasync())
        pairs = [(await load(read), await load(asked)) for _ in range(1 + ROUNDS)]
    ours, theirs = (spread(each) for each in zip(*pairs[1:], strict=True))
    ratio = spread(one / other for one, other in pairs[1:])
    return {"ours": ours, "anyio": theirs, "ratio": ratio}


def table(result: Result) -> str:
    """One reading, then a whole request."""
    found = result["summary"]
    lines = ["| | loop | trtasync | AnyIO | trtasync : AnyIO |", "|---|---|---:|---:|---:|"]
    for cell, each in found["readings"].items():
        loop, _, scopes = cell.partition("/")
        ratio = each["ours"] / each["anyio"]
        lines.append(
            f"| one reading, scopes around the caller: {scopes} | {loop} | {each['ours']:.0f} ns "
            f"| {each['anyio']:.0f} ns | {ratio:.2f} |"
        )
    for loop, each in found["requests"].items():
        lines.append(
            f"| CPU per request, {CALLERS} callers with a scope each | {loop} "
            f"| {each['ours']['median']:.3g} µs | {each['anyio']['median']:.3g} µs "
            f"| {times(each['ratio'])} |"
        )
    versions, hardware = result["versions"], result["hardware"]
    return "\n".join(
        [
            *lines,
            "",
            f"<sub>AnyIO {versions['anyio']}, Python {versions['python']}, {when(result)}; "
            f"{hardware['cpu']}, {hardware['cores']} cores, {hardware['system']}. "
            f"`benchmarks/results/{result['name']}.json`</sub>",
        ]
    )


def main() -> None:
    """Measure, print, write."""
    gc.freeze()
    summary: dict[str, dict[str, Any]] = {"readings": {}, "requests": {}}
    for loop in LOOPS:
        summary["readings"] |= on_loop(loop, partial(readings, loop))
        summary["requests"][loop] = on_loop(loop, partial(requests, loop))
    parameters = {"calls": CALLS, "repeats": REPEATS, "rounds": ROUNDS, "seconds": SECONDS}
    path = write("effective_deadline", parameters, [], summary)
    print(table(json.loads(path.read_text())))


if __name__ == "__main__":
    main()
