"""The cost of a request by the numbers of waiting callers and of slots.

`python -m benchmarks.slots`, 6 minutes. A request that finds no slot waits in line and is staged
when one is free, which is a different path. A trivial model shows that path; an example model on
ONNX Runtime (two inputs of 64 float32) shows how much it matters.
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

from benchmarks.load import closed_loop, wait_for_quiet
from benchmarks.report import cell_name, write
from benchmarks.systems import COLUMNS
from benchmarks.table import Table
from examples.hello import MODEL
from trtasync import Engine, TensorSpec, open_engine
from trtasync.measure.runs import on_loop
from trtasync.measure.settings import Loop
from trtasync.runtimes.onnxruntime import backend as onnx_backend
from trtasync.testing import FunctionBackend

SLOTS = (2, 4, 8, 16, 32)
CALLERS = (64, 128, 256, 512, 1024)
LOOP: Loop = "uvloop"


def nothing(rows: int, slots: int) -> AbstractAsyncContextManager[Engine]:
    """Return the rows unchanged."""
    inputs, outputs = (
        [TensorSpec(name, np.dtype("float32"), ("N", COLUMNS))] for name in ("x", "y")
    )
    backend = FunctionBackend(lambda x: x, inputs=inputs, outputs=outputs, slots_per_lane=slots)
    return open_engine(backend, max_batch_size=rows)


@asynccontextmanager
async def example(rows: int, slots: int) -> AsyncIterator[Engine]:
    """Two images in, one number out."""
    with patch.object(onnx_backend, "slot_count", lambda spec, capacity: slots):
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


async def measure(case: str, rounds: int, seconds: float, table: Table) -> None:
    """Every cell, once per round."""
    opened, rows, request = CASES[case]
    order, cells = random.Random(1), [(slots, many) for slots in SLOTS for many in CALLERS]
    async with AsyncExitStack() as stack:
        engines = {slots: await stack.enter_async_context(opened(rows, slots)) for slots in SLOTS}
        for engine in engines.values():
            await closed_loop(engine.infer, [request] * CALLERS[0], seconds)
        gc.collect()
        gc.freeze()
        for _ in range(rounds):
            order.shuffle(cells)
            for slots, many in cells:
                wait_for_quiet(0.3)
                found = await closed_loop(engines[slots].infer, [request] * many, seconds)
                table.add(cell_name(case, f"{slots} slots"), found, str(many))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="benchmarks.slots", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="per sample")
    parser.add_argument("--no-write", action="store_true", help="print only")
    options = parser.parse_args(arguments)
    table = Table()
    for case in CASES:
        on_loop(LOOP, partial(measure, case, options.rounds, options.seconds, table))
    table.show()
    if not options.no_write:
        parameters = {"loop": LOOP, "rounds": options.rounds, "seconds": options.seconds}
        print(write("slots", parameters, table.samples(), table.by_callers()))


if __name__ == "__main__":
    main()
