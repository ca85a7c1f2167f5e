"""A process that shares an engine, as a web service's worker does: see `processes.Worker`.

`python -m tests.shared.worker MODEL LINGER`. It opens the engine at the first line on stdin, and
says on stdout in which process that runs. At each further line it asks once, and says the answer;
at "load" it asks until it is killed. At the end of stdin it closes the engine and ends.
"""

import json
import sys
from typing import Any

import anyio
import numpy as np

import trtasync

RUNTIMES = ("onnxruntime", "tensorrt", "cuda")


def say(told: Any) -> None:
    """A line for whoever started this."""
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


async def main(model: str, linger: float) -> None:
    sys.stdin.readline()
    opening = trtasync.open_engine(model, batching=True, shared=True, linger=linger)
    async with opening as engine:
        x = np.ones(8, np.float32)
        say({"host": getattr(engine, "host_pid", None)})
        for line in iter(sys.stdin.readline, ""):
            if line.startswith("load"):
                await load(engine, x)
            say((await engine.infer(x)).tolist())
        say([name for name in RUNTIMES if name in sys.modules])


async def load(engine: trtasync.AnyEngine, x: Any) -> None:
    async def ask() -> None:
        while True:
            await engine.infer(x)

    async with anyio.create_task_group() as tasks:
        for _ in range(32):
            tasks.start_soon(ask)
        say("loading")


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], float(sys.argv[2]))
