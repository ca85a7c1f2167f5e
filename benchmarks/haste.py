"""How early a pressing batch has to go: goodput under real timers, `python -m benchmarks.haste`.

The device sleeps, as a GPU works without the GIL; concurrent batches share its time. Callers have
deadlines, and either their batch waits to grow (`max_queue_delay`), or a long batch of another
shape is running. `HASTE` of the policy is set to other values, from outside. 3 minutes.
"""

import argparse
import math
import random
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from unittest.mock import patch

import anyio
import numpy as np

from benchmarks.report import write
from benchmarks.yardsticks import Array
from trtasync import Engine, TensorSpec, open_engine
from trtasync.measure.runs import on_loop
from trtasync.measure.settings import Loop
from trtasync.measure.statistics import spread
from trtasync.scheduler import dispatch
from trtasync.testing import FunctionBackend

LOOPS: tuple[Loop, ...] = ("asyncio", "uvloop", "trio")
HASTES = (-math.inf, 0.0, 0.0005, 0.001, 0.002, 0.004)
"""Seconds before a deadline's last moment; at minus infinity no deadline makes a batch go."""
DEADLINE = 0.030
RATE = 40.0
"""Requests with a deadline per second, at random times."""
SHORT, LONG = 8, 16
"""Columns of the two shapes."""
SECONDS = {SHORT: 0.005, LONG: 0.080}
"""Of the device's time that a batch takes, whatever its rows."""
CASES: dict[str, dict[str, Any]] = {
    "max_queue_delay=0.1": {"streams": 1, "max_queue_delay": 0.1},
    "beside a long batch": {"streams": 2},
}


@dataclass
class Device:
    """Running batches get equal shares of the time."""

    at_work: int = 0

    def __call__(self, rows: Array) -> Array:
        """A batch."""
        left, now = SECONDS[rows.shape[1]], time.perf_counter()
        self.at_work += 1
        while left > 0.0:
            time.sleep(min(left * self.at_work, 0.0005))
            passed, now = time.perf_counter() - now, time.perf_counter()
            left -= passed / self.at_work
        self.at_work -= 1
        return rows[:, :1]


@dataclass
class Load:
    """Callers with deadlines, and how many of them were answered in time."""

    engine: Engine
    made: list[bool] = field(default_factory=list)

    async def ask(self, due: float) -> None:
        """One request; latency counts from when it was due."""
        with anyio.move_on_at(due + DEADLINE) as scope:
            await self.engine.infer(np.ones(SHORT, np.float32))
        self.made.append(not scope.cancelled_caught)

    async def run(self, seconds: float, chance: random.Random) -> float:
        """The share of them that were in time."""
        self.made.clear()
        due = anyio.current_time()
        end = due + seconds
        async with anyio.create_task_group() as group:
            while (due := due + chance.expovariate(RATE)) < end:
                await anyio.sleep_until(due)
                group.start_soon(self.ask, due)
        return sum(self.made) / max(1, len(self.made))


async def keep_long(engine: Engine) -> None:
    """One caller without a deadline."""
    while True:
        await engine.infer(np.ones(LONG, np.float32))


async def measure(case: str, rounds: int, seconds: float) -> dict[float, list[float]]:
    """Goodput by haste, of every round."""
    columns = [TensorSpec("x", np.dtype("float32"), ("N", "columns"))]
    backend = FunctionBackend(
        Device(), inputs=columns, outputs=[TensorSpec("y", np.dtype("float32"), ("N", 1))]
    )
    chance, order = random.Random(1), list(HASTES)
    found: dict[float, list[float]] = {haste: [] for haste in HASTES}
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(
            open_engine(backend, max_batch_size=16, batching=True, **CASES[case])
        )
        group = await stack.enter_async_context(anyio.create_task_group())
        if CASES[case]["streams"] > 1:
            group.start_soon(keep_long, engine)
        load = Load(engine)
        await load.run(seconds, chance)
        for _ in range(rounds):
            chance.shuffle(order)
            for haste in order:
                with patch.object(dispatch, "HASTE", haste):
                    found[haste].append(await load.run(seconds, chance))
        group.cancel_scope.cancel()
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="benchmarks.haste", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.5, help="per sample")
    parser.add_argument("--no-write", action="store_true", help="print only")
    options = parser.parse_args(arguments)
    samples, summary = [], {}
    for case in CASES:
        for loop in LOOPS:
            found = on_loop(loop, partial(measure, case, options.rounds, options.seconds))
            for haste, shares in found.items():
                name = f"{case}/{loop}/{haste * 1e3:g} ms"
                summary[name] = spread(shares)
                print(f"{name:44} {summary[name]}", flush=True)
                samples += [{"cell": name, "in_time": share} for share in shares]
    if not options.no_write:
        parameters = {
            "rounds": options.rounds,
            "seconds": options.seconds,
            "deadline": DEADLINE,
            "rate": RATE,
        }
        print(write("haste", parameters, samples, summary))


if __name__ == "__main__":
    main()
