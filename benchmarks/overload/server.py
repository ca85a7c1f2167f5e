"""One sample in a fresh process: `python -m benchmarks.overload.server '<plan as JSON>'`.

Measures the engine's rate when it always has work, then has another process send a multiple of
that, and prints the outcome of the requests as JSON.
"""

import asyncio
import json
import resource
import socket
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import trtasync
from benchmarks.load import Used, closed_loop, foreign_cores, rows, until_closed
from benchmarks.overload.arrivals import FRAME, LEAD
from benchmarks.report import ROOT
from benchmarks.systems import COLUMNS
from trtasync.measure.runs import on_loop
from trtasync.measure.settings import Loop
from trtasync.measure.statistics import percentiles
from trtasync.measure.window import Window
from trtasync.testing import FunctionBackend

MAX_BATCH_SIZE = 32
FIRST, EACH = 0.008, 0.001
"""Seconds of a batch, and of each of its rows: 40 ms for 32. Ten times the rows that this makes,
8 000 a second, keep a loop with a task per request busy for a quarter of the time."""
CALIBRATION = 1.5
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What one process does.

    Attributes:
        loop: asyncio or uvloop.
        options: of `open_engine`.
        shares: priority -> requests, in capacities.
        seconds: counted.
        warm_up: seconds of the same load before that.
        seed: of the arrivals.
    """

    loop: Loop
    options: dict[str, Any]
    shares: dict[str, float]
    seconds: float
    warm_up: float
    seed: int


@dataclass(slots=True)
class Seen:
    """The outcome of the requests of one priority that were due in the window."""

    asked: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)

    def figures(self) -> dict[str, Any]:
        """Plain data."""
        answered = bool(self.latencies)
        p50, p99 = np.percentile(self.latencies, [50, 99]) * 1e3 if answered else (None, None)
        return {"asked": self.asked, **self.ends, "p50_ms": p50, "p99_ms": p99}


class Front(asyncio.Protocol):
    """Reads frames and calls the engine, in a task per request, as servers do."""

    def __init__(self, engine: trtasync.Engine, plan: Plan):
        self.closed = asyncio.get_running_loop().create_future()
        self.seen = {int(priority): Seen() for priority in plan.shares}
        self.refusals: list[float] = []
        self.answered = 0
        self._engine = engine
        self._plan = plan
        self._window = (-1.0, -1.0)
        self._row = np.ones(COLUMNS, np.float32)
        self._rest = b""
        self._tasks: set[asyncio.Task[None]] = set()

    def data_received(self, data: bytes) -> None:
        """asyncio's call."""
        data = self._rest + data
        whole = len(data) - len(data) % FRAME.itemsize
        self._rest = data[whole:]
        frames = np.frombuffer(data[:whole], FRAME)
        if self._window[0] < 0.0:
            begin = float(frames["due"][0]) + self._plan.warm_up
            self._window = (begin, begin + self._plan.seconds)
        loop = asyncio.get_running_loop()
        for due, priority in zip(frames["due"].tolist(), frames["priority"].tolist(), strict=True):
            task = loop.create_task(self._ask(due, priority))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio's call."""
        self.closed.set_result(None)

    async def drained(self) -> None:
        """Wait until every request has ended."""
        await self.closed
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _ask(self, due: float, priority: int) -> None:
        begin, end = self._window
        called = time.perf_counter()
        error = None
        try:
            await self._engine.infer(self._row, priority=priority)
        except trtasync.QueueFull as full:
            error = full
        now = time.perf_counter()
        if error is None and begin <= now < end:
            self.answered += 1
        if not begin <= due < end:
            return
        seen = self.seen[priority]
        seen.asked += 1
        if error is None:
            seen.latencies.append(now - due)
            seen.ends["answered"] += 1
        elif error.displaced:
            seen.ends["displaced"] += 1
        else:
            seen.ends["refused"] += 1
            self.refusals.append(now - called)


def model(x: np.ndarray) -> np.ndarray:
    """Sleeps without the GIL, as sessions and GPUs compute."""
    time.sleep(FIRST + EACH * len(x))
    return x[:, :1].copy()


async def measure(plan: Plan) -> dict[str, Any]:
    """Calibrate, then the load."""
    backend = FunctionBackend(
        model,
        inputs=[trtasync.TensorSpec("x", np.dtype(np.float32), ("N", COLUMNS))],
        outputs=[trtasync.TensorSpec("y", np.dtype(np.float32), ("N", 1))],
    )
    options = {"max_batch_size": MAX_BATCH_SIZE, **plan.options}
    async with trtasync.open_engine(backend, max_batch_size=MAX_BATCH_SIZE) as engine:
        callers = 4 * MAX_BATCH_SIZE
        busy = await closed_loop(engine.infer, rows(callers), CALIBRATION)
    capacity = busy["requests_per_second"]
    async with trtasync.open_engine(backend, **options) as engine:
        front, window, late = await load(engine, plan, capacity)
    refusals = percentiles("refusal_", front.refusals, (50, 99))
    return {
        "capacity": capacity,
        "goodput": front.answered / plan.seconds / capacity,
        "priorities": {priority: seen.figures() for priority, seen in front.seen.items()},
        "refusal_p50_us": refusals.get("refusal_p50_us"),
        "refusal_p99_us": refusals.get("refusal_p99_us"),
        "loop_cores": window.cpu / window.seconds,
        "late_ms": late * 1e3,
        **foreign_cores(window),
    }


async def load(
    engine: trtasync.Engine, plan: Plan, capacity: float
) -> tuple[Front, Window[Used], float]:
    """Another process sends requests; return the outcomes, CPU use and that process's lateness."""
    ours, theirs = socket.socketpair()
    order = {
        "rates": {priority: share * capacity for priority, share in plan.shares.items()},
        "seconds": plan.warm_up + plan.seconds + LEAD,
        "seed": plan.seed,
    }
    _, front = await asyncio.get_running_loop().create_unix_connection(
        lambda: Front(engine, plan), sock=ours
    )
    descriptor = theirs.fileno()
    command = [sys.executable, "-m", "benchmarks.overload.arrivals", str(descriptor)]
    generator = await asyncio.create_subprocess_exec(
        *command,
        json.dumps(order),
        cwd=ROOT,
        pass_fds=[descriptor],
        stdout=asyncio.subprocess.PIPE,
    )
    theirs.close()
    window = until_closed(_children)
    await front.drained()
    said, _ = await generator.communicate()
    window.close()
    return front, window, float(said)


def _children() -> float:
    """CPU seconds of processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Do what the plan on the command line says."""
    plan = Plan(**json.loads(sys.argv[1]))
    print(json.dumps(on_loop(plan.loop, lambda: measure(plan))))


if __name__ == "__main__":
    main()
