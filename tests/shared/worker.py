"""A process that shares an engine, as a web service's worker does: see `processes.Worker`.

`python -m tests.shared.worker MODEL LINGER`. It opens the engine at the first line on stdin, and
says on stdout in which process that runs. At each further line it asks once, and says the answer;
at "load" it says so, and asks from then on, whatever becomes of its hosts. At the end of stdin it
closes the engine, says which runtimes it has loaded, and ends.
"""

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import numpy as np

import trtasync
from trtasync.opening.awaiting import Opening
from trtasync.shared import link, pauses

HURRY = 0.2
"""Seconds after which a host is started again, where it is killed on purpose."""

RUNTIMES = ("onnxruntime", "tensorrt", "cuda")


def hurry() -> None:
    """Do not wait longer and longer for hosts that end again and again."""
    link.LONGEST_DELAY = pauses.LONGEST_PAUSE = HURRY


def say(told: Any) -> None:
    """A line for whoever started this."""
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


def opening(model: Path, linger: float) -> Opening[trtasync.AnyEngine]:
    """The engine, with no option that tests give another default than other processes have."""
    return trtasync.open_engine(
        model, batching=True, check_seconds=1.0, shared=True, linger=linger, reconnect=120
    )


async def main(model: str, linger: float) -> None:
    sys.stdin.readline()
    async with opening(Path(model), linger) as engine:
        x = np.ones(8, np.float32)
        say({"host": getattr(engine, "host_pid", None)})
        for line in iter(sys.stdin.readline, ""):
            if line.startswith("load"):
                await load(engine)
                break
            say((await engine.infer(x)).tolist())
        say([name for name in RUNTIMES if name in sys.modules])


async def load(engine: trtasync.AnyEngine) -> None:
    """32 callers until the end of stdin. A wrong answer ends this process."""
    weights = np.arange(24, dtype=np.float32).reshape(8, 3)

    async def ask(value: int) -> None:
        x = np.full(8, value, np.float32)
        expected = (x @ weights).tolist()
        while True:
            with suppress(trtasync.DeviceLost, trtasync.EngineRestarting):
                assert (await engine.infer(x)).tolist() == expected

    async with anyio.create_task_group() as tasks:
        for value in range(32):
            tasks.start_soon(ask, value)
        say("loading")
        await anyio.to_thread.run_sync(sys.stdin.readline)
        tasks.cancel_scope.cancel()


if __name__ == "__main__":
    if "hurry" in sys.argv:
        hurry()
    anyio.run(main, sys.argv[1], float(sys.argv[2]))
