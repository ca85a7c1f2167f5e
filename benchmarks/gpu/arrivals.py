"""ResNet-50 under Poisson arrivals on the GPU: the engine's policy beside fixed delays.

Compares what `benchmarks.policies` simulates with reality: same engine, same streams, rows that the
GPU gathers itself. Latency counts from when a request was due. `python -m benchmarks.gpu.arrivals`.
"""

import random
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial

from benchmarks.gpu.resnet import LOOP
from benchmarks.gpu.results import LiveTable, Measure, begin, finish
from benchmarks.gpu.systems import check, in_pinned, load, ours
from benchmarks.gpu.works import Work, resnet_work
from benchmarks.gpu.yardsticks import reference
from benchmarks.load import open_loop
from benchmarks.report import cell_name
from benchmarks.table import Ratio
from support.gpu.resnet import ResNet50
from trtasync.measure.runs import on_loop

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


async def compare(work: Work, rounds: int, seconds: float, table: LiveTable) -> None:
    """Every policy at every load, in rounds."""
    rows = work.rows(CLIENTS)
    expected = reference(work, rows)
    async with AsyncExitStack() as stack:
        engines = {OURS: await stack.enter_async_context(ours(work, STREAMS))}
        for delay in DELAYS:
            engine = await stack.enter_async_context(ours(work, STREAMS, max_queue_delay=delay))
            engines[delayed(delay)] = engine
        pinned = {
            name: [in_pinned(engine, row) for row in rows] for name, engine in engines.items()
        }
        for name, engine in engines.items():
            await check(work, engine.infer, pinned[name], expected)
        full = await load(engines[OURS].infer, pinned[OURS], seconds, WARM_UP)
        table.add(cell_name(OURS, "closed loop"), full)
        cells: dict[str, Measure] = {
            cell_name(name, f"{share:.0%}"): partial(
                open_loop,
                engine.infer,
                pinned[name],
                share * full["requests_per_second"],
                seconds,
                WARM_UP,
            )
            for name, engine in engines.items()
            for share in LOADS
        }
        await table.fill(cells, rounds, random.Random(4))


def wanted_ratios() -> list[Ratio]:
    """Our latencies over those of every fixed delay."""
    return [
        Ratio(cell_name(OURS, f"{load:.0%}"), cell_name(delayed(delay), f"{load:.0%}"), figure)
        for load in LOADS
        for delay in DELAYS
        for figure in ("p50_us", "p99_us")
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    options = begin("arrivals", __doc__, arguments)
    table = LiveTable()
    model = ResNet50(fuse=False)
    work = resnet_work(model, "uint8")
    on_loop(LOOP, partial(compare, work, options.rounds, options.seconds / 2, table))
    model.close()
    parameters = {
        "model": "ResNet-50, half precision, channels last, random weights, uint8 input",
        "streams": STREAMS,
        "loads": list(LOADS),
        "delays": list(DELAYS),
        "loop": LOOP,
        "seconds": options.seconds / 2,
    }
    finish("arrivals", table, wanted_ratios(), options, parameters)


if __name__ == "__main__":
    main()
