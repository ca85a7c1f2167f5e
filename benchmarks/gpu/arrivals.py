"""ResNet-50 under Poisson arrivals on the GPU: the engine's policy beside fixed delays.

What `benchmarks.policies` simulates, held against the real thing: same engine, same streams, rows
that the GPU gathers by itself. Latency counts from when a request was due.
`python -m benchmarks.gpu.arrivals`.
"""

import random
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

import anyio
import numpy as np

from benchmarks.gpu.clients import Sample, check, closed_loop, latencies_of, settle
from benchmarks.gpu.resnet import LOOP
from benchmarks.gpu.results import Table, parse, save, show_ratios
from benchmarks.gpu.systems import ours
from benchmarks.gpu.works import Work, resnet_work
from benchmarks.gpu.yardsticks import reference
from benchmarks.load import run_on
from benchmarks.report import cell_name
from support.gpu.hardware import Array, enter
from support.gpu.plans import use_double
from support.gpu.resnet import ResNet50
from trtasync.measure.driving import Driver, Seen
from trtasync.measure.pacing import Pacer

STREAMS = 3
CLIENTS = 640
"""Rows to choose from, and callers of the closed loop that tells the capacity."""
LOADS = (0.1, 0.3, 0.5, 0.7, 0.8, 0.9)
DELAYS = (0.0002, 0.001, 0.002)
"""Seconds of `max_queue_delay`: a batch waits so long for company, on an idle device too."""
WARM_UP = 0.2
OURS = "trtasync"


def delayed(seconds: float) -> str:
    """The name of a fixed delay."""
    return f"delay {seconds * 1e3:g} ms"


async def arrivals(infer: Any, rows: Sequence[Array], rate: float, seconds: float) -> Sample:
    """Figures of the requests that were due in a window of an unbroken load."""
    chance = np.random.default_rng(17)
    count = int(rate * (WARM_UP + seconds) * 1.5) + 100
    schedule = np.cumsum(chance.exponential(1.0 / rate, count))
    edges: list[float] = []

    async def window(seen: Seen) -> None:
        await anyio.sleep(WARM_UP)
        edges.append(Pacer.clock())
        await anyio.sleep(seconds)
        edges.append(Pacer.clock())

    settle()
    with Pacer() as pacer:
        seen = await Driver(infer, rows, pacer).open(schedule, window)
    begin, end = edges
    waits = [
        done - due for due, done in zip(seen.due, seen.done, strict=True) if begin <= due < end
    ]
    return {
        "requests": len(waits),
        "requests_per_second": len(waits) / (end - begin),
        **latencies_of(waits),
    }


async def compare(work: Work, rounds: int, seconds: float, table: Table) -> None:
    """Every policy at every load, in rounds."""
    rows = work.rows(CLIENTS)
    expected = reference(work, rows)
    order = random.Random(4)
    async with AsyncExitStack() as stack:
        engines = {OURS: await stack.enter_async_context(ours(work, STREAMS))}
        for delay in DELAYS:
            engine = await stack.enter_async_context(ours(work, STREAMS, max_queue_delay=delay))
            engines[delayed(delay)] = engine
        pinned = {name: [_pinned(engine, row) for row in rows] for name, engine in engines.items()}
        for name, engine in engines.items():
            await check(work, engine.infer, pinned[name], expected)
        await closed_loop(engines[OURS].infer, pinned[OURS], WARM_UP)
        full = await closed_loop(engines[OURS].infer, pinned[OURS], seconds)
        table.add(cell_name(OURS, "closed loop"), full)
        cells = [(name, load) for name in engines for load in LOADS]
        for _ in range(rounds):
            order.shuffle(cells)
            for name, load in cells:
                rate = load * full["requests_per_second"]
                sample = await arrivals(engines[name].infer, pinned[name], rate, seconds)
                table.add(cell_name(name, f"{load:.0%}"), sample)


def _pinned(engine: Any, row: Array) -> Array:
    array: Array = engine.empty_input()
    array[...] = row
    return array


def wanted_ratios() -> list[tuple[str, str, str]]:
    """Our latencies over those of every fixed delay."""
    return [
        (cell_name(OURS, f"{load:.0%}"), cell_name(delayed(delay), f"{load:.0%}"), figure)
        for load in LOADS
        for delay in DELAYS
        for figure in ("p50_us", "p99_us")
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    options = parse("arrivals", __doc__, list(arguments) if arguments is not None else None)
    use_double()
    enter()
    table = Table()
    model = ResNet50(fuse=False)
    work = resnet_work(model, "uint8")
    run_on(LOOP, lambda: compare(work, options.rounds, options.seconds / 2, table))
    model.close()
    found = table.ratios(wanted_ratios())
    table.show()
    show_ratios(found)
    parameters = {
        "model": "ResNet-50, half precision, channels last, random weights, uint8 input",
        "streams": STREAMS,
        "loads": list(LOADS),
        "delays": list(DELAYS),
        "loop": LOOP,
        "rounds": options.rounds,
        "seconds": options.seconds / 2,
    }
    summary = {"cells": table.summary(), "ratios": found}
    save("arrivals", parameters, table.samples(), summary, options.out)


if __name__ == "__main__":
    main()
