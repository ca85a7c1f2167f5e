"""One process that asks: `python -m benchmarks.sharing.client '<plan as JSON>'`.

It opens its engine, says that it is ready, waits for a line, and then asks until its time is up.
Prints a JSON object per load.
"""

import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

import trtasync
from benchmarks.load import Sample, busy_thread, check, closed_loop, rows
from benchmarks.systems import MAX_BATCH_SIZE, PRODUCT, Infer
from trtasync.measure.runs import on_loop
from trtasync.measure.settings import Loop


@dataclass(frozen=True, slots=True)
class Plan:
    """What one client does.

    Attributes:
        loop: the event loop.
        callers: at the same time.
        seconds: of the load.
        warm_up: seconds of the same load before, not counted.
        model: path of the model, for an engine of its own or a shared one.
        shared: which of them.
        socket: of a host that is there already; then `model` is not looked at.
        shape: of a row; None for the rows of `benchmarks.systems`, whose answers are checked.
        dtype: of a row.
        in_place: rows lie in `empty_input`.
        busy: a Python thread computes beside it.
    """

    loop: Loop
    callers: int
    seconds: float
    warm_up: float
    model: str = ""
    shared: bool = False
    socket: str = ""
    shape: tuple[int, ...] | None = None
    dtype: str = "float32"
    in_place: bool = False
    busy: bool = False


@asynccontextmanager
async def opened(plan: Plan) -> AsyncIterator[Any]:
    """The engine that is asked."""
    if plan.socket:
        async with trtasync.connect(plan.socket) as engine:
            yield engine
    elif plan.shared:
        async with trtasync.open_engine(
            plan.model, max_batch_size=MAX_BATCH_SIZE, shared=True, linger=5
        ) as engine:
            yield engine
    else:
        async with trtasync.open_engine(plan.model, max_batch_size=MAX_BATCH_SIZE) as engine:
            yield engine


def requests(plan: Plan, engine: Any) -> list[Any]:
    """A row for each caller."""
    if plan.shape is None:
        given = rows(plan.callers)
    else:
        random = np.random.default_rng(os.getpid())
        given = [
            random.integers(0, 200, plan.shape).astype(plan.dtype) for _ in range(plan.callers)
        ]
    if not plan.in_place:
        return given
    placed = [engine.empty_input() for _ in given]
    for array, row in zip(placed, given, strict=True):
        array[...] = row
    return placed


async def ask(plan: Plan) -> Sample:
    """Open, wait for the word, and ask."""
    async with opened(plan) as engine:
        infer: Infer = engine.infer
        if plan.shape is None:
            await check(infer, PRODUCT, plan.callers)
        given = requests(plan, engine)
        host = getattr(engine, "host_pid", None)
        print(json.dumps({"ready": True, "host": host}), flush=True)
        sys.stdin.readline()
        with busy_thread() if plan.busy else nullcontext():
            return await closed_loop(infer, given, plan.seconds, plan.warm_up)


def main() -> None:
    """Do what the plan on the command line says."""
    given = json.loads(sys.argv[1])
    if given.get("shape") is not None:
        given["shape"] = tuple(given["shape"])
    plan = Plan(**given)
    print(json.dumps(on_loop(plan.loop, lambda: ask(plan))), flush=True)


if __name__ == "__main__":
    main()
