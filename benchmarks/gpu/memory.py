"""Memory: do a million requests leak any, and what do seven batch sizes take compared with one?

`python -m benchmarks.gpu.memory`.
"""

import gc
import time
from collections.abc import Sequence
from typing import Any

import anyio

from benchmarks.gpu.results import begin, save
from benchmarks.gpu.systems import ours
from benchmarks.gpu.works import CLIENTS, Work, tiny_work
from support.gpu.hardware import (
    Array,
    Ledger,
    free_bytes,
    missing,
    resident_bytes,
    synchronize,
    watched,
)
from support.gpu.kernels import tiny
from support.gpu.plans import BUCKETS, tiny_plan
from trtasync.measure.driving import Driver, Seen
from trtasync.measure.loads import Closed
from trtasync.measure.pacing import Pacer
from trtasync.measure.runs import on_loop
from trtasync.measure.settings import Loop

REQUESTS, WARM_UP = 1_000_000, 100_000
STREAMS = 2
ACTIVATIONS = 256 << 20
MARKS = 9
"""Looks at the memory on the way: as many requests each as the warm-up, so that the memory in which
the load keeps their times is there before the first."""


def taken(ledger: Ledger) -> dict[str, Any]:
    """Everything in use now, in bytes."""
    return {
        "device_free": free_bytes(),
        "device_allocated": ledger.held("device"),
        "pinned_allocated": ledger.held("pinned"),
        "resident": resident_bytes(),
    }


async def _ask(engine: Any, rows: Sequence[Array], requests: int) -> None:
    """Send requests until this many more are answered."""
    wanted = engine.statistics().answered + requests

    async def answered(_: Seen) -> None:
        while engine.statistics().answered < wanted:  # noqa: ASYNC110 - no event signals it
            await anyio.sleep(0.01)

    await Driver(engine.infer, rows, Pacer()).closed(Closed(len(rows)), answered)


async def a_million(work: Work) -> dict[str, Any]:
    """Memory after the warm-up and at marks on the way to a million requests."""
    rows, marks = work.rows(), []
    with watched() as ledger:
        async with ours(work, STREAMS) as engine:
            await _ask(engine, rows, WARM_UP)
            gc.collect()
            marks.append(taken(ledger))
            before, began = engine.statistics().answered, time.perf_counter()
            for _ in range(MARKS):
                await _ask(engine, rows, (REQUESTS - WARM_UP) // MARKS)
                gc.collect()
                marks.append(taken(ledger))
            passed = time.perf_counter() - began
            answered = engine.statistics().answered
        left = taken(ledger)
    first, last = marks[0], marks[-1]
    return {
        "answered": answered,
        "requests_per_second": (answered - before) / passed,
        "growth": {name: last[name] - first[name] for name in first},
        "left_after_closing": {
            name: left[name] for name in ("device_allocated", "pinned_allocated")
        },
        "marks": marks,
    }


async def buckets(sizes: Sequence[int], activation_bytes: int) -> dict[str, Any]:
    """Memory of an engine with these batch sizes, whose model needs this much scratch memory."""
    plan = tiny_plan(tiny(), activation_bytes=activation_bytes)
    work = tiny_work()
    work = Work(work.name, plan, work.kernel, work.row, work.dtype, work.answer, work.near)
    synchronize()
    before = free_bytes()
    with watched() as ledger:
        async with ours(work, STREAMS, batch_sizes=list(sizes)) as engine:
            await engine.infer(work.rows(1)[0])
            return {
                "batch_sizes": list(sizes),
                "streams": STREAMS,
                "activation_bytes": activation_bytes,
                "device_taken": before - free_bytes(),
                "device_allocated": ledger.held("device"),
                "pinned_allocated": ledger.held("pinned"),
            }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    options = begin("memory", __doc__, arguments)
    tiny()  # its weights and its code are not the engine's
    loop: Loop = "asyncio" if missing("uvloop") else "uvloop"
    on_loop("asyncio", lambda: buckets(BUCKETS, 1 << 20))  # the driver's own caches, once
    few = on_loop("asyncio", lambda: buckets(BUCKETS[-1:], ACTIVATIONS))
    many = on_loop("asyncio", lambda: buckets(BUCKETS, ACTIVATIONS))
    million = on_loop(loop, lambda: a_million(tiny_work()))
    summary = {
        "million": {name: value for name, value in million.items() if name != "marks"},
        "buckets": [few, many],
        "seven_over_one": many["device_taken"] / few["device_taken"],
    }
    print(f"a million requests: {million['requests_per_second']:,.0f}/s on {loop}")
    for name, size in million["growth"].items():
        print(f"  {name:20} {size:+14,} bytes")
    for each in (few, many):
        print(f"{len(each['batch_sizes'])} batch sizes: {each['device_taken'] / 2**20:,.0f} MiB")
    print(f"seven over one: {summary['seven_over_one']:.3f}")
    parameters = {
        "requests": REQUESTS,
        "warm_up": WARM_UP,
        "clients": CLIENTS,
        "loop": loop,
        "streams": STREAMS,
    }
    save("memory", parameters, million["marks"], summary, options.out)


if __name__ == "__main__":
    main()
