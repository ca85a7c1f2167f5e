"""One client process: `python -m benchmarks.sharing.client '<plan as JSON>'`.

It opens its engine, reports ready, waits for a line, and then sends requests until time is up.
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
from benchmarks.systems import COLUMNS, IMAGE, MAX_BATCH_SIZE, Infer, first_columns, model
from benchmarks.yardsticks import Model
from trtasync.measure.runs import on_loop
from trtasync.measure.settings import Loop

ANSWERS: dict[tuple[int, ...], Model] = {(COLUMNS,): model, (IMAGE,): first_columns}
"""What the models of `benchmarks.sharing.models` answer, by the shape of a row."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What one client does.

    Attributes:
        loop: the event loop.
        callers: concurrent callers.
        seconds: duration of the load.
        warm_up: seconds of the same load before, not counted.
        model: path of the model, for an engine of its own or a shared one.
        shared: whether that engine is shared.
        socket: socket of a running host; `model` is then ignored.
        shape: of a row; answers to those of `ANSWERS` are checked.
        dtype: dtype of a row.
        in_place: rows are in arrays of `empty_input`.
        busy: a Python thread computes beside it.
        switch_interval: seconds, for `sys.setswitchinterval`; None leaves the default.
    """

    loop: Loop
    callers: int
    seconds: float
    warm_up: float
    model: str = ""
    shared: bool = False
    socket: str = ""
    shape: tuple[int, ...] = (COLUMNS,)
    dtype: str = "float32"
    in_place: bool = False
    busy: bool = False
    switch_interval: float | None = None


@asynccontextmanager
async def opened(plan: Plan) -> AsyncIterator[Any]:
    """The engine to call."""
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
    if plan.shape in ANSWERS:
        given = rows(plan.callers, columns=plan.shape[0])
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
    """Open, wait for the start signal, and send requests."""
    async with opened(plan) as engine:
        infer: Infer = engine.infer
        if expect := ANSWERS.get(plan.shape):
            await check(infer, plan.callers, plan.shape[0], expect)
        given = requests(plan, engine)
        host = getattr(engine, "host_pid", None)
        print(json.dumps({"ready": True, "host": host}), flush=True)
        sys.stdin.readline()
        with busy_thread() if plan.busy else nullcontext():
            return await closed_loop(infer, given, plan.seconds, plan.warm_up)


def main() -> None:
    """Do what the plan on the command line says."""
    given = json.loads(sys.argv[1])
    plan = Plan(**given | {"shape": tuple(given["shape"])})
    if plan.switch_interval is not None:
        sys.setswitchinterval(plan.switch_interval)
    print(json.dumps(on_loop(plan.loop, lambda: ask(plan))), flush=True)


if __name__ == "__main__":
    main()
