"""ResNet-50 for four processes that share one engine, against the ceiling in the same rounds.

The host is a process of its own; rows lie in arrays of `empty_input`. Once more with a computing
Python thread in each client. `python -m benchmarks.gpu.shared`.
"""

import asyncio
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import trtasync
from benchmarks.gpu.ceiling import Ceiling
from benchmarks.gpu.resnet import DTYPES
from benchmarks.gpu.results import LiveTable, Measure, begin, finish
from benchmarks.gpu.systems import check
from benchmarks.gpu.works import Work, resnet_work
from benchmarks.gpu.yardsticks import reference
from benchmarks.load import Sample
from benchmarks.report import ROOT, cell_name
from benchmarks.sharing.client import Plan
from benchmarks.sharing.clients import measure
from benchmarks.table import Ratio
from support.gpu.resnet import ResNet50
from trtasync.measure.runs import on_loop
from trtasync.measure.settings import Loop

LOOP: Loop = "uvloop"
"""As workers of uvicorn have it, and `trtasync host`."""

STREAMS = 3
CLIENTS = 4
CALLERS = 160
"""Of each client: together as many as in `benchmarks.gpu.zero_copy`."""
WARM_UP = 0.5


@contextmanager
def host(socket: Path, dtype: str) -> Iterator[Path]:
    """A process that serves ResNet-50 at `socket` until the block ends."""
    command = [sys.executable, "-m", "benchmarks.gpu.shared_host", str(socket), dtype]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        if process.stdout.readline() != "ready\n":
            raise RuntimeError(f"the host ended with status {process.wait()}")
        yield socket
    finally:
        process.terminate()
        process.wait()


async def right(work: Work, socket: Path) -> None:
    """Its answers are the model's.

    Raises:
        AssertionError: they are not.
    """
    rows = work.rows(64)
    expected = reference(work, rows)
    async with trtasync.connect(socket) as engine:
        await check(work, engine.infer, rows, expected)


async def loaded(plan: Plan) -> Sample:
    """All clients together."""
    return await asyncio.to_thread(measure, plan, CLIENTS)


def plan_of(work: Work, socket: Path, seconds: float, *, busy: bool) -> Plan:
    """What each client does."""
    return Plan(
        LOOP,
        CALLERS,
        seconds,
        WARM_UP,
        socket=str(socket),
        shape=work.row,
        dtype=work.dtype,
        in_place=True,
        busy=busy,
    )


async def fill(work: Work, rounds: int, seconds: float, table: LiveTable) -> None:
    """All cells of one input type."""
    ceiling = Ceiling(work, STREAMS, work.rows())

    async def at_best() -> Sample:
        return ceiling.run(STREAMS, seconds)

    with tempfile.TemporaryDirectory() as folder, host(Path(folder) / "host", work.dtype) as socket:
        await right(work, socket)
        cells: dict[str, Measure] = {cell_name("ceiling", work.dtype): at_best}
        for name, busy in (("shared", False), ("shared busy", True)):
            plan = plan_of(work, socket, seconds, busy=busy)
            cells[cell_name(name, work.dtype)] = partial(loaded, plan)
        await table.fill(cells, rounds, random.Random(1))
    ceiling.close()


def wanted_ratios() -> list[Ratio]:
    """Requests/s over the ceiling of the same round, and with a computing thread over without."""
    pairs = (("shared", "ceiling"), ("shared busy", "ceiling"), ("shared busy", "shared"))
    return [
        Ratio(cell_name(ours, dtype), cell_name(theirs, dtype), "requests_per_second")
        for dtype in DTYPES
        for ours, theirs in pairs
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    options = begin("shared", __doc__, arguments)
    table, began = LiveTable(), time.monotonic()
    model = ResNet50()
    for dtype in DTYPES:
        work = resnet_work(model, dtype)
        on_loop(LOOP, partial(fill, work, options.rounds, options.seconds, table))
        print(f"{dtype}: {time.monotonic() - began:.0f} s", flush=True)
    model.close()
    parameters = {
        "model": "ResNet-50, half precision, channels last, random weights",
        "clients": CLIENTS,
        "callers of each": CALLERS,
        "loop": LOOP,
        "streams": STREAMS,
    }
    finish("shared", table, wanted_ratios(), options, parameters)


if __name__ == "__main__":
    main()
