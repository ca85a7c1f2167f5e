"""The same loads beside a Python thread that computes forever: whoever loses the GIL, loses.

At Python's default switch interval (5 ms) and at 0.5 ms. `python -m benchmarks.gpu.busy`.
"""

import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from functools import partial
from typing import Any

from benchmarks.gpu.results import LiveTable, begin, finish
from benchmarks.gpu.systems import check, design_a, load, ours
from benchmarks.gpu.works import CLIENTS, Work, resnet_work, tiny_work
from benchmarks.gpu.yardsticks import Lane, reference
from benchmarks.load import busy_thread
from benchmarks.report import cell_name
from benchmarks.table import Ratio
from support.gpu.hardware import new_stream
from support.gpu.resnet import ResNet50
from trtasync.measure.runs import on_loop
from trtasync.measure.settings import Loop

LOOP: Loop = "asyncio"
STREAMS = 2
CONDITIONS = {"alone": None, "busy 5 ms": 0.005, "busy 0.5 ms": 0.0005}
"""Name -> switch interval beside the busy thread; None: no busy thread."""
SYSTEMS = ("trtasync", "trtasync plain", "A")
WARM_UP = 0.5


@contextmanager
def condition(interval: float | None) -> Iterator[None]:
    """A busy thread at a switch interval, or nothing."""
    if interval is None:
        yield
        return
    before = sys.getswitchinterval()
    sys.setswitchinterval(interval)
    try:
        with busy_thread():
            yield
    finally:
        sys.setswitchinterval(before)


@asynccontextmanager
async def _by_hand(work: Work) -> AsyncIterator[Any]:
    lanes = [Lane(work, new_stream()) for _ in range(STREAMS)]
    async with design_a(lanes) as batcher:
        yield batcher
    for lane in lanes:
        lane.close()


def opening(system: str, work: Work) -> Callable[[], AbstractAsyncContextManager[Any]]:
    """How a system is opened; "plain" is without CUDA graphs."""
    if system == "A":
        return lambda: _by_hand(work)
    return lambda: ours(work, STREAMS, graphs=system == "trtasync")


async def measure(work: Work, system: str, rounds: int, seconds: float, table: LiveTable) -> None:
    """One system under all conditions, in rounds."""
    rows = work.rows()
    expected = reference(work, rows)
    async with opening(system, work)() as opened:
        await check(work, opened.infer, rows, expected)
        for _ in range(rounds):
            for name, interval in CONDITIONS.items():
                with condition(interval):
                    sample = await load(opened.infer, rows, seconds, WARM_UP)
                table.add(cell_name(system, work.name, name), sample)


def wanted_ratios(works: Sequence[Work]) -> list[Ratio]:
    """How much of each system the busy thread leaves, and the engine over design A beside it."""
    left = [
        (cell_name(system, work.name, name), cell_name(system, work.name, "alone"))
        for work in works
        for system in SYSTEMS
        for name, interval in CONDITIONS.items()
        if interval is not None
    ]
    over = [
        (cell_name("trtasync", work.name, name), cell_name("A", work.name, name))
        for work in works
        for name in CONDITIONS
    ]
    return [Ratio(one, other, "requests_per_second") for one, other in left + over]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    options = begin("busy", __doc__, arguments)
    # compared with itself only: no need to wait for cuDNN to try its algorithms
    os.environ.setdefault("GPU_CUDNN_BENCHMARK", "0")
    rounds, seconds = max(1, options.rounds - 1), options.seconds / 2
    model, table, began = ResNet50(), LiveTable(), time.monotonic()
    works = [tiny_work(), resnet_work(model, "float32")]
    for work in works:
        for system in SYSTEMS:
            on_loop(LOOP, partial(measure, work, system, rounds, seconds, table))
        print(f"{work.name}: {time.monotonic() - began:.0f} s", flush=True)
    model.close()
    parameters = {
        "clients": CLIENTS,
        "loop": LOOP,
        "streams": STREAMS,
        "rounds": rounds,
        "seconds": seconds,
        "conditions": list(CONDITIONS),
    }
    finish("busy", table, wanted_ratios(works), options, parameters)


if __name__ == "__main__":
    main()
