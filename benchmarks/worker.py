"""One sample in one fresh process: `python -m benchmarks.worker '<plan as JSON>'`.

Prints a JSON object: for a load, one sample per number of callers; for `idle`, the CPU used. It
also measures third-party batchers, each in its own environment.
"""

import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from typing import Any

import anyio

from benchmarks.load import Sample, busy_coroutine, busy_thread, check, closed_loop, rows
from benchmarks.peers.callables import OPEN
from benchmarks.peers.processes import PROC, cpu_below
from benchmarks.peers.reasons import told
from benchmarks.report import ROOT
from trtasync.measure.runs import on_loop
from trtasync.measure.settings import Loop

ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(frozen=True, slots=True)
class Plan:
    """What one worker process does.

    Attributes:
        system: a key of `benchmarks.peers.callables.OPEN`.
        loop: the event loop.
        seconds: length of each sample, by its number of callers.
        warm_up: seconds of the same load before each sample, not counted.
        disturb: "none", "thread" or "coroutine": what computes beside the engine.
        switch_interval: seconds, for `sys.setswitchinterval`; None leaves the default.
        idle: seconds to sit open and idle instead of any load.
    """

    system: str
    loop: Loop
    seconds: dict[int, float]
    warm_up: float = 0.3
    disturb: str = "none"
    switch_interval: float | None = None
    idle: float = 0.0


def start(plan: Any, module: str = "benchmarks.worker") -> subprocess.Popen[str]:
    """Start a worker, with one BLAS thread; `answer` returns its result.

    Args:
        plan: a dataclass of plain values.
        module: the module that takes it.
    """
    command = [sys.executable, "-m", module, json.dumps(asdict(plan))]
    return subprocess.Popen(
        command, cwd=ROOT, env=os.environ | ONE_THREAD, stdout=subprocess.PIPE, text=True
    )


def answer(worker: subprocess.Popen[str]) -> Any:
    """Wait for a worker and return its answer.

    Raises:
        RuntimeError: the worker failed; its output is on stderr.
    """
    found, _ = worker.communicate()
    if worker.returncode:
        raise RuntimeError(f"{worker.args!r} ended with status {worker.returncode}")
    return json.loads(found)


async def _load(plan: Plan) -> dict[int, Sample]:
    async with AsyncExitStack() as stack:
        infer = await stack.enter_async_context(OPEN[plan.system]())
        await check(infer, max(plan.seconds))
        if plan.disturb == "thread":
            stack.enter_context(busy_thread())
        elif plan.disturb == "coroutine":
            await stack.enter_async_context(busy_coroutine())
        return {
            callers: await closed_loop(
                infer, rows(callers), seconds, plan.warm_up, others=_children
            )
            for callers, seconds in plan.seconds.items()
        }


def _children() -> float:
    """CPU seconds of processes that the system has started (Linux)."""
    return cpu_below(os.getpid()) if PROC.exists() else 0.0


async def _idle(plan: Plan) -> dict[str, float]:
    async with OPEN[plan.system]() as infer:
        await check(infer, 64)
        await anyio.sleep(0.5)
        wall, cpu = time.perf_counter(), time.process_time()
        await anyio.sleep(plan.idle)
        cpu = time.process_time() - cpu
        wall = time.perf_counter() - wall
    return {"seconds": wall, "cpu_seconds": cpu, "cores": cpu / wall}


def main() -> None:
    """Do what the plan on the command line says."""
    given = json.loads(sys.argv[1])
    given["seconds"] = {int(callers): seconds for callers, seconds in given["seconds"].items()}
    plan = Plan(**given)
    if plan.switch_interval is not None:
        sys.setswitchinterval(plan.switch_interval)
    work: Callable[[Plan], Awaitable[Any]] = _idle if plan.idle else _load
    try:
        found = on_loop(plan.loop, lambda: work(plan))
    except Exception as error:
        traceback.print_exc()
        sys.exit(told(error))  # the last line, which may be shown as the reason
    print(json.dumps(found))


if __name__ == "__main__":
    main()
