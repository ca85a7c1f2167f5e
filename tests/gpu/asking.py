"""A process that asks a host whose model runs on the GPU: `python -m tests.gpu.asking SOCKET`.

Sixteen callers from `empty_input`, each with numbers of its own, until stdin ends. A wrong answer
ends it. Says "asking" after the first answers, and at the end what it has of CUDA.
"""

import json
import os
import sys
from contextlib import suppress
from pathlib import Path

import anyio
import numpy as np

import trtasync
from trtasync.shared import link

CALLERS = 16

COLUMNS = 16 * 1024
"""Of int32: 64 KB, which the GPU fetches from the shared memory by itself."""


async def caller(engine: trtasync.AnyEngine, base: int) -> None:
    """Ask without end, each time with other numbers."""
    value = base
    while True:
        value = base + (value + 1 - base) % 1000
        with suppress(trtasync.DeviceLost, trtasync.EngineRestarting):
            x = engine.empty_input()
            x[...] = value
            answer = await engine.infer(x)
            assert (answer == value + 1).all(), f"{value} was answered with {answer}"


async def main(path: str) -> None:
    """Ask until stdin ends."""
    random = int.from_bytes(os.urandom(3), "little")
    async with (
        trtasync.connect(path, reconnect=60) as engine,
        anyio.create_task_group() as tasks,
    ):
        await engine.infer(np.zeros(COLUMNS, np.int32))
        for number in range(CALLERS):
            tasks.start_soon(caller, engine, 1000 * (CALLERS * random + number) % 2**30)
        say("asking")
        await anyio.to_thread.run_sync(sys.stdin.readline)
        tasks.cancel_scope.cancel()
    say(cuda())


def cuda() -> list[str]:
    """Libraries of CUDA that this process has mapped, and devices that it has opened."""
    maps = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines()}
    files = {os.readlink(file) for file in Path("/proc/self/fd").iterdir() if file.exists()}
    return sorted(
        each for each in maps | files if "libcuda" in each or each.startswith("/dev/nvidia")
    )


def say(told: object) -> None:
    """A line for whoever started this."""
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    link.LONGEST_DELAY = 0.2  # hosts are killed on purpose
    anyio.run(main, sys.argv[1])
