"""What a request costs by how many callers wait and how many slots there are for them.

`python -m benchmarks.slots`, 6 minutes. A request that finds no slot waits in line and is staged
when one is free, which is another path. A model of nothing shows that path; an example model on
ONNX Runtime (two inputs of 64 float32) shows what it matters.
"""

import argparse
import gc
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np

from benchmarks.load import Sample, closed_loop, run_on, wait_for_quiet
from benchmarks.report import cell_name, spread, write
from benchmarks.systems import COLUMNS, Infer
from examples.hello import MODEL
from trtasync import Engine, TensorSpec, open_engine
from trtasync.runtimes import onnxruntime
from trtasync.testing import FunctionBackend

SLOTS = (2, 4, 8, 16, 32)
CALLERS = (64, 128, 256, 512, 1024)
LOOP = "uvloop"
FIGURES = ("cpu_us", "p50_us", "p99_us")

Cell = tuple[int, int]
"""Slots, callers."""


def nothing(rows: int, slots: int) -> AbstractAsyncContextManager[Engine]:
    """Rows that come back as they are."""
    inputs, outputs = (
        [TensorSpec(name, np.dtype("float32"), ("N", COLUMNS))] for name in ("x", "y")
    )
    backend = FunctionBackend(lambda x: x, inputs=inputs, outputs=outputs, slots_per_lane=slots)
    return open_engine(backend, max_batch_size=rows)


@asynccontextmanager
async def example(rows: int, slots: int) -> AsyncIterator[Engine]:
    """Two images in, one number out."""
    with patch.object(onnxruntime, "SLOTS_PER_LANE", slots):
        opened = open_engine(MODEL, max_batch_size=rows)
        async with opened as engine:
            yield engine


Open = Callable[[int, int], AbstractAsyncContextManager[Engine]]
VECTOR = np.ones(64, np.float32)
CASES: dict[str, tuple[Open, int, Any]] = {
    "nothing, batches of 8": (nothing, 8, np.ones(COLUMNS, np.float32)),
    "nothing, batches of 32": (nothing, 32, np.ones(COLUMNS, np.float32)),
    "digits_pair, batches of 8": (example, 8, [VECTOR, VECTOR]),
}
"""How an engine is opened, with which largest batch, and what it is asked."""


def asking(engine: Engine, request: Any) -> Infer:
    """The row that the load brings is another model's."""
    return lambda _: engine.infer(request)


async def measure(case: str, rounds: int, seconds: float) -> list[dict[Cell, Sample]]:
    """Every cell, once a round."""
    opened, rows, request = CASES[case]
    order, cells = random.Random(1), [(slots, many) for slots in SLOTS for many in CALLERS]
    async with AsyncExitStack() as stack:
        infers = {}
        for slots in SLOTS:
            engine = await stack.enter_async_context(opened(rows, slots))
            infers[slots] = asking(engine, request)
            await closed_loop(LOOP, infers[slots], CALLERS[0], seconds)
        gc.collect()
        gc.freeze()
        taken = []
        for _ in range(rounds):
            order.shuffle(cells)
            found = {}
            for slots, many in cells:
                wait_for_quiet(0.3)
                found[slots, many] = await closed_loop(LOOP, infers[slots], many, seconds)
            taken.append(found)
    return taken


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="benchmarks.slots", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="per sample")
    parser.add_argument("--no-write", action="store_true", help="print only")
    options = parser.parse_args(arguments)
    samples, summary = [], {}
    for case in CASES:
        taken = run_on(LOOP, partial(measure, case, options.rounds, options.seconds))
        print(f"\n{case}: CPU us per request (min .. max), p50 ms, p99 ms; per slots")
        for many in CALLERS:
            line = [f"{many:5}"]
            for slots in SLOTS:
                every = [found[slots, many] for found in taken]
                figures = {name: spread(sample[name] for sample in every) for name in FIGURES}  # type: ignore[literal-required]
                cell = cell_name(case, f"{slots} slots", f"{many} callers")
                summary[cell] = figures
                samples += [{"cell": cell, **sample} for sample in every]
                cpu, p50, p99 = (figures[name] for name in FIGURES)
                line.append(
                    f"{slots}: {cpu['median']:.2f} ({cpu['min']:.2f} .. {cpu['max']:.2f}) "
                    f"{p50['median'] / 1e3:.2f} {p99['median'] / 1e3:.2f}"
                )
            print(" | ".join(line), flush=True)
    if not options.no_write:
        parameters = {"loop": LOOP, "rounds": options.rounds, "seconds": options.seconds}
        print(write("slots", parameters, samples, summary))


if __name__ == "__main__":
    main()
