"""Closed-loop clients on asyncio or uvloop, and a heartbeat that tells how the loop feels."""

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.gpu.works import Work
from support.gpu.hardware import Array

Sample = dict[str, Any]
"""Figures of one system under one load for some seconds."""

Infer = Callable[[Array], Awaitable[Array]]

BEAT = 0.001
"""Seconds between two beats of the heart, if nobody held the loop up."""


async def closed_loop(infer: Infer, rows: Sequence[Array], seconds: float) -> Sample:
    """One client per row; each asks again as soon as it has its answer, until the time is up."""
    settle()
    latencies: list[list[float]] = [[] for _ in rows]
    beats: list[float] = []
    heart = asyncio.ensure_future(_beat(beats))
    began, cpu = time.perf_counter(), time.process_time()
    end = began + seconds
    async with asyncio.TaskGroup() as group:
        for row, seen in zip(rows, latencies, strict=True):
            group.create_task(_client(infer, row, end, seen))
    passed, cpu = time.perf_counter() - began, time.process_time() - cpu
    heart.cancel()
    await asyncio.gather(heart, return_exceptions=True)
    every = [seconds for seen in latencies for seconds in seen]
    return {
        "requests": len(every),
        "seconds": passed,
        "requests_per_second": len(every) / passed,
        "cpu_us": cpu / len(every) * 1e6,
        "cpu_cores": cpu / passed,
        **latencies_of(every),
        **_named("heartbeat_", beats or [passed]),
    }


def settle() -> None:
    """Collect now, and never look at what there is by now again: with torch loaded, a full
    collection takes 100 to 200 ms, and where it falls would decide a sample."""
    gc.collect()
    gc.freeze()


async def _client(infer: Infer, row: Array, end: float, seen: list[float]) -> None:
    clock, note = time.perf_counter, seen.append
    start = clock()
    while start < end:
        await infer(row)
        now = clock()
        note(now - start)
        start = now


async def _beat(late: list[float]) -> None:
    """Note by how much each sleep of a millisecond was too long."""
    while True:
        start = time.perf_counter()
        await asyncio.sleep(BEAT)
        late.append(time.perf_counter() - start - BEAT)


def latencies_of(seconds: Sequence[float]) -> Sample:
    """p50 and p99."""
    return _named("", seconds)


def _named(prefix: str, seconds: Sequence[float]) -> Sample:
    p50, p99 = np.percentile(np.array(seconds), [50, 99]) * 1e6
    return {f"{prefix}p50_us": float(p50), f"{prefix}p99_us": float(p99)}


async def check(work: Work, infer: Infer, rows: Sequence[Array], expected: Sequence[Array]) -> None:
    """Everybody at once: each must get its own answer.

    Raises:
        AssertionError: somebody got another's.
    """
    answers = await asyncio.gather(*(infer(row) for row in rows))
    for answer, wanted in zip(answers, expected, strict=True):
        room = work.near * float(np.abs(wanted).max())
        np.testing.assert_allclose(answer, wanted, rtol=0, atol=room)
